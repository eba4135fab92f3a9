"""A memory hit of a 25 kB variant against bare aiohttp handlers that return the same bytes under the same headers.

`python -m benchmarks.hits`. uvloop is used if installed. The figure is the median of the ratios. Needs wrk.
"""

import itertools
import json
import statistics
import sys
import tempfile
import urllib.request
from pathlib import Path

from benchmarks.common import ROOT, free_port, node, photograph, process, spread, wrk

BARE = """
import asyncio, json, sys
from aiohttp import web
from multidict import CIMultiDict
loop, kind, port, body_file, headers_file = sys.argv[1:]
body = open(body_file, "rb").read()
headers = CIMultiDict(json.load(open(headers_file)))
async def answer(request):
    return web.Response(body=body, headers=headers)
async def main():
    if kind == "Application":
        app = web.Application()
        app.router.add_get("/{tail:.*}", answer)
        runner = web.AppRunner(app, access_log=None)
    else:
        runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(port)).start()
    await asyncio.Event().wait()
if loop == "uvloop":
    import uvloop
    uvloop.run(main())
else:
    asyncio.run(main())
"""
ROUNDS = 4


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        originals = Path(folder, "originals")
        photograph(originals / "photo.jpg", 1600, 1200)
        with node(originals) as (public, _):
            # The quality is chosen so that the variant has about 25 kB.
            sized = []
            for quality in range(20, 96, 5):
                url = f"{public}/w_600,q_{quality},f_jpg/photo.jpg"
                with urllib.request.urlopen(url) as answer:
                    sized.append((abs(len(answer.read()) - 25_000), url))
            url = min(sized)[1]
            with urllib.request.urlopen(url) as answer:
                body, headers = answer.read(), dict(answer.headers.items())
            assert "hit; detail=memory" in headers["Cache-Status"]
            Path(folder, "body").write_bytes(body)
            dropped = ("Content-Length", "Date", "Connection")
            Path(folder, "headers").write_text(
                json.dumps({k: v for k, v in headers.items() if k not in dropped})
            )
            Path(folder, "bare.py").write_text(BARE)
            print(f"{len(body)} bytes, wrk -t1 -c32, {ROUNDS} rounds")
            for loop, kind in itertools.product(("asyncio", "uvloop"), ("Application", "Server")):
                port = free_port()
                command = (
                    sys.executable,
                    f"{folder}/bare.py",
                    loop,
                    kind,
                    str(port),
                    f"{folder}/body",
                    f"{folder}/headers",
                )
                with process(*command, url=f"http://127.0.0.1:{port}/x"):
                    ours, theirs = [], []
                    for _ in range(ROUNDS):
                        ours.append(wrk(url))
                        theirs.append(wrk(f"http://127.0.0.1:{port}/w_600/photo.jpg"))
                ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
                print(
                    f"against a bare web.{kind} on {loop}: {statistics.median(ours):.0f}"
                    f" to {statistics.median(theirs):.0f} requests/s,"
                    f" ratio {spread(ratios)}"
                )


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
