"""Two hundred uploads of mixed pictures at once, with eager variants; and the latency of hits meanwhile.

`python -m benchmarks.uploads`. Hits arrive at a fixed rate: first alone; then beside loops that keep all cores busy
at the niceness of workers; then from the first upload until the last eager variant is stored. Goals: each picture
stored once, every variant stored, p99 of hits unchanged.
"""

import asyncio
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp

from benchmarks.common import node, photograph
from benchmarks.overload import HITS_A_SECOND, percentile, timed
from proxy.render.worker import NICENESS
from tests.support import pictures

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
    """Runs until standard input ends."""
    with contextlib.suppress(PermissionError):
        # With priority, so that its own wait for a core is not measured.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
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


@contextlib.contextmanager
def spinning() -> Iterator[None]:
    """Keeps every core busy at low priority."""
    loop = f"import os; os.nice({NICENESS})\nwhile True: pass"
    loops = [subprocess.Popen([sys.executable, "-c", loop]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for each in loops:
            each.kill()
            each.wait()


class Hits:
    """A client in a process of its own, so that the work of this process does not delay it."""

    def __init__(self, public: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.uploads", public],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def end(self) -> list[float]:
        result, _ = self._process.communicate()
        seconds: list[float] = json.loads(result)
        return seconds


async def run(public: str, admin: str, originals: Path) -> None:
    contents = mixed()
    async with aiohttp.ClientSession(public) as client:
        await timed(client, HOT)
    for round_ in range(3):
        async with aiohttp.ClientSession(admin, connector=aiohttp.TCPConnector(limit=0)) as api:
            before = len(list(originals.rglob("*.*")))
            reading = Hits(public)
            await asyncio.sleep(10)
            idle = await asyncio.to_thread(reading.end)
            with spinning():
                reading = Hits(public)
                await asyncio.sleep(10)
                busy = await asyncio.to_thread(reading.end)
            reading = Hits(public)
            await asyncio.sleep(1)
            began_s = time.perf_counter()

            async def upload(number: int) -> dict[str, object]:
                async with api.post(
                    f"/v1/originals?name=p{number}", data=contents[number % len(contents)]
                ) as answer:
                    assert answer.status == 201, await answer.text()
                    result: dict[str, object] = await answer.json()
                    return result

            result = await asyncio.gather(*(upload(number) for number in range(UPLOADS)))
            stored_s = time.perf_counter() - began_s
            done = 0
            for each in result:
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
                f" variants after {all_s:.1f} s; hits, median, p99 and max in ms: {figures(idle)} before,"
                f" {figures(busy)} beside loops, {figures(beside)} beside uploads"
            )


def figures(seconds: list[float]) -> str:
    return (
        f"{statistics.median(seconds) * 1000:.1f} {percentile(seconds, 0.99):.1f} {max(seconds) * 1000:.1f}"
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
