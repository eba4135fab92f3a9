"""The memory of a node over many misses: `python -m benchmarks.memory [MISSES [FOLDER]]`.

Every request is a new variant of one of the originals in FOLDER, which are made here without one: JPEG, WebP, AVIF and PNG in turn,
16 at a time, with the default configuration. Prints the memory of all processes after every 1,000 misses, each page
counted once, and by how much it grows a thousand misses in the second half.
"""

import asyncio
import itertools
import os
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.common import get_all, node, photograph
from benchmarks.contest.usage import children, memory_bytes

MISSES = 20_000
EACH = 1000
AT_ONCE = 16
FORMATS = ("jpg", "webp", "avif", "png")
MEGABYTE = 1e6


async def drive(base: str, names: list[str], numbers: "itertools.count[int]", count: int) -> None:
    """Requests `count` new variants, each for the first time."""
    targets = []
    for _ in range(count):
        number = next(numbers)
        width, quality = 40 + number % 720, 40 + number // 720 % 60
        tokens = f"w_{width},f_{FORMATS[number % len(FORMATS)]},q_{quality}"
        targets.append(f"/{tokens}/{names[number % len(names)]}")
    await get_all(base, targets, at_once=AT_ONCE)


def main() -> None:
    misses = int(sys.argv[1]) if len(sys.argv) > 1 else MISSES
    with tempfile.TemporaryDirectory() as made:
        originals = Path(sys.argv[2] if len(sys.argv) > 2 else made)
        if len(sys.argv) <= 2:
            for seed in range(30):
                photograph(originals / f"{seed}.jpg", 1600, 1200, seed=seed)
        names = sorted(path.name for path in originals.iterdir() if path.suffix in (".jpg", ".png", ".webp"))
        with node(originals) as (public, _):
            roots, numbers, found = sorted(children(os.getpid())), itertools.count(), []
            print(f"after the start: {memory_bytes(roots) / MEGABYTE:.0f} MB")
            for done in range(EACH, misses + 1, EACH):
                asyncio.run(drive(public, names, numbers, EACH))
                found.append(memory_bytes(roots) / MEGABYTE)
                print(f"after {done} misses: {found[-1]:.0f} MB", flush=True)
        half = found[len(found) // 2 :]
        if len(half) > 1:
            slope, _ = statistics.linear_regression(range(len(half)), half)
            print(f"{slope:.2f} MB a thousand misses in the second half")


if __name__ == "__main__":
    main()
