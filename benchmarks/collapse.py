"""A thousand concurrent requests for one cold variant, against a thousand simultaneous memory hits in the same run.

`python -m benchmarks.collapse` counts renders and statuses. Compared are the time from the first to the last
response of the cold requests, and the time from the first request to the last response of the hits. The client is a
single process.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import aiohttp

from benchmarks.common import metric, node, photograph

CROWD = 1000
ROUNDS = 5


async def crowd(base: str, target: str) -> tuple[float, float, int]:
    """The time from the first to the last response, and from the first request to the last response, in seconds; and
    the number of 200 responses with equal bytes."""
    async with aiohttp.ClientSession(base, connector=aiohttp.TCPConnector(limit=0)) as client:
        ended: list[float] = []
        bodies: list[bytes] = []

        async def ask() -> None:
            async with client.get(target) as answer:
                body = await answer.read()
                ended.append(time.perf_counter())
                if answer.status == 200:
                    bodies.append(body)

        began = time.perf_counter()
        await asyncio.gather(*(ask() for _ in range(CROWD)))
        return max(ended) - min(ended), max(ended) - began, bodies.count(bodies[0])


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        originals = Path(made, "originals")
        photograph(originals / "photo.jpg", 4800, 3200)
        with node(originals) as (public, admin):
            asyncio.run(crowd(public, "/w_500,f_jpg/photo.jpg"))
            cold, hot = [], []
            for round_ in range(ROUNDS):
                before = metric(admin, "calotype_renders_total")
                spread, _, good = asyncio.run(crowd(public, f"/w_{600 + round_},f_jpg/photo.jpg"))
                renders = metric(admin, "calotype_renders_total") - before
                _, again, _ = asyncio.run(crowd(public, f"/w_{600 + round_},f_jpg/photo.jpg"))
                cold.append(spread)
                hot.append(again)
                print(f"{good} of {CROWD} answers 200 and equal, {renders:.0f} render")
            ratios = [a / b for a, b in zip(cold, hot, strict=True)]
            print(
                f"cold answers are spread over {statistics.median(cold) * 1000:.0f} ms,"
                f" as many hits take {statistics.median(hot) * 1000:.0f} ms,"
                f" ratio {spread(ratios)}"
            )


if __name__ == "__main__":
    main()
