"""Shared by the benchmarks: a node on free ports with generated originals, wrk, and scores of pictures."""

import asyncio
import contextlib
import importlib
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import aiohttp
import pyvips

SAVE = {
    "webp": {"Q": 83, "effort": 4},
    "jpg": {"Q": 80, "optimize_coding": True},
    "avif": {"Q": 70, "effort": 0},
}
"""The encoder settings of the bare programs."""
SAME_ENCODERS = {"CALOTYPE_FORMATS__AVIF_EFFORT": str(SAVE["avif"]["effort"])}
"""Settings of a node that encodes as the bare programs do, if URLs have `saved_alike`."""
BARE_DRAW = """
import concurrent.futures, multiprocessing, os, sys
root = sys.argv[1]
SAVE = SETTINGS
def start():
    global pyvips
    import pyvips
    pyvips.cache_set_max(0)
def draw(name, width, kind):
    with open(os.path.join(root, name), "rb") as file:
        content = file.read()
    image = pyvips.Image.thumbnail_buffer(content, width, height=10_000, size="down",
                                          option_string="[fail_on=error]")
    if kind == "avif":
        return image.heifsave_buffer(compression="av1", bitdepth=8, keep="none", **SAVE[kind])
    return image.write_to_buffer("." + kind, keep="none", **SAVE[kind])
""".replace("SETTINGS", repr(SAVE))
"""The minimum of a render: read, thumbnail, encode."""
BARE_LOOP = (
    BARE_DRAW
    + """
def one(job):
    return len(draw(*job))
if __name__ == "__main__":
    jobs = JOBS
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn"), start) as pool:
        list(pool.map(one, jobs[:4]))
        sys.stdin.readline()
        assert all(pool.map(one, jobs))
"""
)
ROOT = Path(__file__).parent.parent
WRK_SECONDS = 4


def spread(ratios: Sequence[float]) -> str:
    """The median with minimum and maximum."""
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def photograph(path: Path, width: int, height: int, *, seed: int = 1) -> None:
    """A noisy, smooth picture that compresses like a photograph."""
    octaves = [
        pyvips.Image.perlin(width, height, cell_size=cell, seed=seed + cell) for cell in (400, 90, 20, 6)
    ]
    bands = [
        (octaves[band] * 90 + octaves[(band + 1) % 4] * 40 + octaves[(band + 2) % 4] * 20 + 128)
        for band in range(3)
    ]
    grain = pyvips.Image.gaussnoise(width, height, mean=0, sigma=5, seed=seed)
    image = (bands[0].bandjoin(bands[1:]) + grain).cast("uchar").copy(interpretation="srgb")
    path.parent.mkdir(parents=True, exist_ok=True)
    image.write_to_file(str(path), **({"Q": 90} if path.suffix == ".jpg" else {}))


def bare_s(script: Path, originals: Path) -> float:
    """The duration of a BARE_LOOP in seconds, without the start of its processes."""
    process = subprocess.Popen(
        [sys.executable, str(script), str(originals)],
        stdin=subprocess.PIPE,
        env={"VIPS_CONCURRENCY": "1", "PATH": "/usr/bin"},
    )
    time.sleep(3)  # Each process has rendered.
    began_s = time.perf_counter()
    process.communicate(b"\n")
    assert process.returncode == 0
    return time.perf_counter() - began_s


@contextlib.contextmanager
def process(
    *command: str, url: str, env: dict[str, str] | None = None, tree: Path = ROOT
) -> Iterator[subprocess.Popen[bytes]]:
    """A server process in the checkout `tree`; a context that starts when `url` answers, and ends with SIGTERM."""
    child = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        env={**os.environ, **(env or {})},
        cwd=tree,
        start_new_session=True,
    )
    try:
        for _ in range(400):
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1):
                break
            if child.poll() is not None:
                raise SystemExit(f"{command[0]} ended with {child.returncode}")
            time.sleep(0.05)
        else:
            raise SystemExit(f"{url} did not answer")
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # The render processes of a bare loop would go on.


@contextlib.contextmanager
def node(originals: Path, **settings: str) -> Iterator[tuple[str, str]]:
    """A node with the default configuration and any size allowed. Yields its public and admin URLs."""
    with node_of(ROOT, originals, **settings) as (public, admin, _):
        yield public, admin


@contextlib.contextmanager
def node_of(tree: Path, originals: Path, **settings: str) -> Iterator[tuple[str, str, int]]:
    """As `node`, of the checkout `tree`; yields the process id too."""
    port, admin_port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as cache:
        env = {
            "CALOTYPE_SERVER__PORT": str(port),
            "CALOTYPE_ADMIN__PORT": str(admin_port),
            "CALOTYPE_CACHE__DISK__PATH": cache,
            "CALOTYPE_MOUNTS__ALL__SOURCE": "originals",
            "CALOTYPE_MOUNTS__ALL__DIMENSIONS": "any",
            **settings,
        }
        public, admin = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin_port}"
        command = (sys.executable, "-m", "proxy", "serve", "--originals", str(originals))
        with process(*command, url=f"{admin}/readyz", env=env, tree=tree) as started:
            yield public, admin, started.pid


async def get_all(base: str, targets: Iterable[str], *, at_once: int) -> None:
    """Each target, so many at a time. Every answer must be a 200."""
    rest = iter(targets)
    async with aiohttp.ClientSession(base) as client:

        async def work() -> None:
            for target in rest:
                async with client.get(target) as answer:
                    if answer.status != 200:
                        raise SystemExit(f"{answer.url}: {answer.status} {await answer.text()}")
                    await answer.read()

        await asyncio.gather(*(work() for _ in range(at_once)))


def saved_alike(kind: str) -> str:
    """The format and quality of the bare programs in a URL."""
    return f"f_{kind},eq_{SAVE[kind]['Q']}"


def wrk(url: str, *, connections: int = 32, seconds: float = WRK_SECONDS) -> float:
    """Requests per second; every answer must be a 2xx."""
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-H", "Accept: image/avif,image/webp,*/*", url],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    if "Non-2xx" in done or "Socket errors" in done:
        raise SystemExit(done)
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", done)
    assert rate is not None
    return float(rate[1])


def metric(admin: str, name: str) -> float:
    """The sum of a metric's samples."""
    with urllib.request.urlopen(f"{admin}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(rf"{name}(\{{|\s)", line))


def ssimulacra2(one: pyvips.Image, other: pyvips.Image) -> float:
    """The SSIMULACRA2 score of `other` against `one`, 100 for equal pictures. Needs `pip install ssimulacra2`."""
    measure = importlib.import_module("ssimulacra2").compute_ssimulacra2
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{number}.png" for number in range(2)]
        for image, path in zip((one, other), paths, strict=True):
            image.pngsave(path, keep="none")
        return float(measure(*paths))
