"""Two hundred uploads at once, of mixed pictures, with their eager variants behind them; and what hits wait meanwhile.

`python -m benchmarks.uploads`. Hits come at a steady pace before, and from the first upload until the last eager variant is
there. Goals: each stored once, every variant there, p99 of hits as before.
"""

import asyncio
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from benchmarks.common import node, photograph
from benchmarks.overload import HITS_A_SECOND, percentile, timed
from tests import pictures

UPLOADS = 200
PRESETS = {"card": "w_320,h_240,c_fill,f_auto", "thumb": "w_96,f_webp"}
VARIANTS = 4
HOT = "/w_300,f_webp/photo.jpg"


def mixed() -> list[bytes]:
    """JPEG, PNG, WebP and GIF in several sizes."""
    made = []
    for number in range(20):
        kind = ("jpeg", "png", "webp")[number % 3]
        made.append(pictures.photo_as(kind, 400 + 80 * number, 300 + 60 * number, seed=number))
    return [*made, pictures.film_as("gif"), pictures.cut_out_as("png")]


async def hits(public: str) -> list[float]:
    """Until standard input ends."""
    stop = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    tasks = []
    async with aiohttp.ClientSession(public, connector=aiohttp.TCPConnector(limit=0)) as client:
        began_s = time.perf_counter()
        for number in itertools.count():
            if stop.done():
                break
            await asyncio.sleep(max(0.0, began_s + number / HITS_A_SECOND - time.perf_counter()))
            tasks.append(asyncio.create_task(timed(client, HOT)))
        answers = await asyncio.gather(*tasks)
    assert all(status == 200 for status, _ in answers), "a hit failed"
    return [seconds for _, seconds in answers]


class Hits:
    """A client of its own process, so that what it waits is not our own work."""

    def __init__(self, public: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.uploads", public],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def end(self) -> list[float]:
        told, _ = self._process.communicate()
        seconds: list[float] = json.loads(told)
        return seconds


async def run(public: str, admin: str, originals: Path) -> None:
    contents = mixed()
    async with (
        aiohttp.ClientSession(public, connector=aiohttp.TCPConnector(limit=0)) as client,
        aiohttp.ClientSession(admin, connector=aiohttp.TCPConnector(limit=0)) as api,
    ):
        await timed(client, HOT)
        for round_ in range(3):
            before = len(list(originals.rglob("*.*")))
            reading = Hits(public)
            await asyncio.sleep(10)
            idle = await asyncio.to_thread(reading.end)
            reading = Hits(public)
            await asyncio.sleep(1)
            began_s = time.perf_counter()

            async def upload(number: int) -> dict[str, object]:
                async with api.post(
                    f"/v1/originals?name=p{number}", data=contents[number % len(contents)]
                ) as answer:
                    assert answer.status == 201, await answer.text()
                    told: dict[str, object] = await answer.json()
                    return told

            told = await asyncio.gather(*(upload(number) for number in range(UPLOADS)))
            stored_s = time.perf_counter() - began_s
            done = 0
            for each in told:
                while True:
                    async with api.get(f"/v1/warm/{each['warm']}") as answer:
                        job = await answer.json()
                    if job["state"] == "done":
                        assert job["failed"] == 0, job
                        done += job["done"] + job["skipped"]
                        break
                    await asyncio.sleep(0.05)
            all_s = time.perf_counter() - began_s
            beside = await asyncio.to_thread(reading.end)
            stored = len(list(originals.rglob("*.*"))) - before
            print(
                f"round {round_ + 1}: {stored} of {UPLOADS} stored in {stored_s:.1f} s, {done} of {VARIANTS * UPLOADS}"
                f" variants after {all_s:.1f} s; hits idle: median {statistics.median(idle) * 1000:.1f} ms, p99"
                f" {percentile(idle, 0.99):.1f} ms; beside: median {statistics.median(beside) * 1000:.1f} ms, p99"
                f" {percentile(beside, 0.99):.1f} ms, max {max(beside) * 1000:.1f} ms"
            )


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(asyncio.run(hits(sys.argv[1]))))
        return
    with tempfile.TemporaryDirectory() as made:
        originals = Path(made, "originals")
        photograph(originals / "photo.jpg", 1600, 1200)
        settings = {
            "CALOTYPE_PRESETS": json.dumps(PRESETS),
            "CALOTYPE_EAGER__PRESETS": json.dumps(list(PRESETS)),
            "CALOTYPE_SERVER__PROCESSES": os.environ.get("PROCESSES", "1"),
        }
        with node(originals, **settings) as (public, admin):
            asyncio.run(run(public, admin, originals))


if __name__ == "__main__":
    main()
