"""Hits while misses arrive at five times the capacity of the workers: the latency of hits, and of shed requests.

`python -m benchmarks.overload`. The load is open: requests are sent on time, whether or not earlier ones were
answered. The figures are percentiles of hits when idle and under overload, and of shed requests.
"""

import asyncio
import itertools
import statistics
import tempfile
import time
from pathlib import Path

import aiohttp

from benchmarks.common import node, photograph

SECONDS = 8
HITS_A_SECOND = 100


async def timed(client: aiohttp.ClientSession, target: str) -> tuple[int, float]:
    began = time.perf_counter()
    async with client.get(target) as answer:
        await answer.read()
        return answer.status, time.perf_counter() - began


async def paced(
    client: aiohttp.ClientSession, targets: "itertools.chain[str]", rate: float
) -> list[tuple[int, float]]:
    """Sends `rate` requests per second for SECONDS; returns status and time of each."""
    tasks = []
    began = time.perf_counter()
    for number, target in zip(range(int(rate * SECONDS)), targets, strict=False):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(timed(client, target)))
    return await asyncio.gather(*tasks)


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1000


async def run(public: str) -> None:
    async with aiohttp.ClientSession(public, connector=aiohttp.TCPConnector(limit=0)) as client:
        hot = "/w_300,f_webp/photo.jpg"
        await timed(client, hot)
        widths = itertools.count(401)
        misses = (f"/w_{width},f_webp/photo.jpg" for width in widths)
        began = time.perf_counter()
        for _ in range(3):
            await asyncio.gather(*(timed(client, next(misses)) for _ in range(8)))
        capacity = 24 / (time.perf_counter() - began)
        idle = [seconds for _, seconds in await paced(client, itertools.repeat(hot), HITS_A_SECOND)]
        crowd, under = await asyncio.gather(
            paced(client, misses, 5 * capacity), paced(client, itertools.repeat(hot), HITS_A_SECOND)
        )
        hits = [seconds for status, seconds in under if status == 200]
        shed = [seconds for status, seconds in crowd if status == 503]
        drawn = [seconds for status, seconds in crowd if status == 200]
        assert len(hits) == len(under), "a hit failed"
        print(
            f"capacity about {capacity:.0f} renders/s, offered {5 * capacity:.0f}/s beside {HITS_A_SECOND} hits/s"
        )
        for name, values in (
            ("hits, idle", idle),
            ("hits, overloaded", hits),
            ("shed", shed),
            ("rendered", drawn),
        ):
            print(
                f"{name}: {len(values)} answers, median {statistics.median(values) * 1000:.1f} ms,"
                f" p99 {percentile(values, 0.99):.1f} ms, max {max(values) * 1000:.1f} ms"
            )
        print(f"p99 of hits above idle: {percentile(hits, 0.99) - percentile(idle, 0.99):.1f} ms")


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        originals = Path(made, "originals")
        photograph(originals / "photo.jpg", 3200, 2400)
        with node(originals) as (public, _):
            asyncio.run(run(public))


if __name__ == "__main__":
    main()
