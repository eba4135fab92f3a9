"""Cold misses over a folder of photographs, every request a new size, eight at a time, against a bare loop: aiohttp
and as many render processes as cores that only thumbnail and encode.

`python -m benchmarks.misses [FOLDER]`; without FOLDER the photographs are made here. Rounds alternate; the median of
the ratios is the figure.
"""

import asyncio
import itertools
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import (
    BARE_DRAW,
    SAME_ENCODERS,
    free_port,
    get_all,
    node,
    photograph,
    process,
    saved_alike,
    spread,
)

BARE = (
    BARE_DRAW
    + """
import asyncio
from aiohttp import web
async def main():
    pool = concurrent.futures.ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn"), start)
    loop = asyncio.get_running_loop()
    async def answer(request):
        if request.path == "/": return web.Response()
        _, tokens, name = request.path.split("/", 2)
        width, kind, _ = tokens.split(",")
        return web.Response(body=await loop.run_in_executor(pool, draw, name, int(width[2:]), kind[2:]))
    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(sys.argv[2])).start()
    await asyncio.Event().wait()
if __name__ == "__main__":
    asyncio.run(main())
"""
)
AT_ONCE = 8
REQUESTS = 80
ROUNDS = 4


async def drive(base: str, names: list[str], widths: "itertools.count[int]", kind: str) -> float:
    """Pictures per second over REQUESTS cold misses."""
    targets = [f"/w_{next(widths)},{saved_alike(kind)}/{names[n % len(names)]}" for n in range(REQUESTS)]
    began = time.perf_counter()
    await get_all(base, targets, at_once=AT_ONCE)
    return REQUESTS / (time.perf_counter() - began)


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        originals = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(made, "originals")
        if len(sys.argv) == 1:
            for number in range(12):
                photograph(originals / f"{number}.jpg", 2000, 1500, seed=number + 1)
        names = sorted(path.name for path in originals.glob("*.jpg"))
        Path(made, "bare.py").write_text(BARE)
        port = free_port()
        bare = f"http://127.0.0.1:{port}"
        with (
            node(originals, **SAME_ENCODERS) as (public, _),
            process(
                sys.executable,
                f"{made}/bare.py",
                str(originals),
                str(port),
                url=bare,
                env={"VIPS_CONCURRENCY": "1"},
            ),
        ):
            print(
                f"{len(names)} photographs, {REQUESTS} misses a round, {AT_ONCE} at a time, {os.cpu_count()} cores"
            )
            widths = itertools.count(401)
            for kind in ("webp", "jpg", "avif"):
                ours, theirs = [], []
                for round_ in range(ROUNDS + 1):
                    pair = (
                        asyncio.run(drive(public, names, widths, kind)),
                        asyncio.run(drive(bare, names, widths, kind)),
                    )
                    if round_:
                        ours.append(pair[0])
                        theirs.append(pair[1])
                ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
                print(
                    f"{kind}: {statistics.median(ours):.1f} to {statistics.median(theirs):.1f} pictures/s,"
                    f" ratio {spread(ratios)}"
                )


if __name__ == "__main__":
    main()
