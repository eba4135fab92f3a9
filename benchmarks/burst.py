"""Thirty variants of one original requested at once, ten widths in three formats, as by a page with many sizes or by
a new preset; against a bare loop that renders each separately.

`python -m benchmarks.burst`. Rounds alternate; the median of the ratios is the figure.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import aiohttp

from benchmarks.common import BARE_LOOP, SAME_ENCODERS, bare_s, node, photograph, saved_alike, spread

WIDTHS = (200, 300, 400, 480, 600, 750, 900, 1080, 1200, 1600)
KINDS = ("webp", "jpg", "avif")
ROUNDS = 5


async def burst(public: str, name: str) -> float:
    """Seconds until all thirty responses are complete."""
    async with aiohttp.ClientSession(public, connector=aiohttp.TCPConnector(limit=0)) as client:

        async def one(width: int, kind: str) -> None:
            async with client.get(f"/w_{width},{saved_alike(kind)}/{name}") as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()

        began_s = time.perf_counter()
        await asyncio.gather(*(one(width, kind) for width in WIDTHS for kind in KINDS))
        return time.perf_counter() - began_s


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        for suffix in ("jpg", "png"):
            originals = Path(made, suffix)
            for number in range(ROUNDS):
                photograph(originals / f"{number}.{suffix}", 5120, 2880, seed=number + 1)
            script = Path(made, f"{suffix}.py")
            ours, theirs = [], []
            with node(originals, **SAME_ENCODERS) as (public, _):
                for number in range(ROUNDS):
                    name = f"{number}.{suffix}"
                    jobs = [(name, width, kind) for width in WIDTHS for kind in KINDS]
                    script.write_text(BARE_LOOP.replace("JOBS", repr(jobs)))
                    ours.append(asyncio.run(burst(public, name)))
                    theirs.append(bare_s(script, originals))
            ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
            print(
                f"{suffix}: {statistics.median(ours):.2f} s to {statistics.median(theirs):.2f} s,"
                f" ratio {spread(ratios)}"
            )


if __name__ == "__main__":
    main()
