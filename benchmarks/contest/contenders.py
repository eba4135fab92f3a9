"""The contenders: nodes, the bare programs that bound them, and the rivals that are installed.

Each one runs as its own process tree on the same originals. Encoders have the same quality on their own scale; what else
differs between them is said in the report.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from benchmarks import hits, misses
from benchmarks.common import free_port, node, process
from benchmarks.contest.usage import children
from tests.rivals import servers

QUALITY = 80
_THUMBOR_FORMATS = {"jpg": "jpeg"}


class Picture(NamedTuple):
    """A variant: the file name of its original, its width in pixels, and its format: jpg, webp or avif."""

    original: str
    width_px: int
    format: str


@dataclass(frozen=True)
class Contender:
    """A running contender. `target` is None for one that makes no pictures, `hit` empty for one that keeps none: it is the
    URL of the picture of a hit. `start_s` is how long it took to answer."""

    name: str
    base: str
    roots: tuple[int, ...]
    start_s: float
    target: Callable[[Picture], str] | None = None
    hit: str = ""


@dataclass
class Contest:
    """The contenders that run, and why the others do not."""

    running: list[Contender] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)


HIT = Picture("hit.jpg", 600, "jpg")


def _native(picture: Picture) -> str:
    return f"/w_{picture.width_px},f_{picture.format},eq_{QUALITY}/{picture.original}"


def _bare(picture: Picture) -> str:
    return f"/w_{picture.width_px},f_{picture.format}/{picture.original}"


def _thumbor(picture: Picture) -> str:
    kind = _THUMBOR_FORMATS.get(picture.format, picture.format)
    return f"/unsafe/{picture.width_px}x0/filters:format({kind}):quality({QUALITY})/{picture.original}"


def _ipx(picture: Picture) -> str:
    return f"/_ipx/w_{picture.width_px},f_{picture.format},q_{QUALITY}/{picture.original}"


def _imgproxy(picture: Picture) -> str:
    return f"/_/w:{picture.width_px}/q:{QUALITY}/plain/local:///{picture.original}@{picture.format}"


@contextmanager
def contest(originals: Path, folder: Path) -> Iterator[Contest]:
    """Starts the contenders, one after the other; `folder` is theirs."""
    found = Contest()
    with ExitStack() as stack:

        def start(
            name: str,
            program: AbstractContextManager[str],
            target: Callable[[Picture], str] | None = None,
            hit: str = "",
        ) -> Contender:
            before, began_s = children(os.getpid()), time.perf_counter()
            base = stack.enter_context(program)
            start_s = time.perf_counter() - began_s
            roots = tuple(children(os.getpid()) - before)
            found.running.append(Contender(name, base, roots, start_s, target, hit))
            return found.running[-1]

        cores = os.cpu_count() or 1
        first = start("calotype", _node(originals, 1), _native, _native(HIT))
        start(f"calotype, {cores} processes", _node(originals, cores), _native, _native(HIT))
        body, headers = _fetched(first.base + first.hit)
        start("bare aiohttp", _handler(folder, body, headers), hit="/x.jpg")
        start("bare render loop", _loop(folder, originals), _bare)
        if shutil.which("nginx") is None:
            found.missing["nginx"] = "nginx is not installed"
        else:
            (folder / "static").mkdir()
            (folder / "static" / "x.jpg").write_bytes(body)
            start("nginx static", _nginx(folder, "static", ""), hit="/x.jpg")
            start("nginx proxy_cache before calotype", _nginx(folder, "cache", first.base), hit=first.hit)
        rivals = (
            ("thumbor", servers.thumbor, _thumbor, "./run rivals installs it"),
            ("ipx", servers.ipx, _ipx, "./run rivals installs it"),
            ("imgproxy", servers.imgproxy, _imgproxy, "CALOTYPE_IMGPROXY names no program and no URL"),
            ("imagor", servers.imagor, _thumbor, "CALOTYPE_IMAGOR names no program and no URL"),
        )
        available = servers.available()
        for name, program, target, reason in rivals:
            if name in available:
                (folder / name).mkdir()
                start(name, program(originals, folder / name), target)
            else:
                found.missing[name] = reason
        yield found


@contextmanager
def _node(originals: Path, processes: int) -> Iterator[str]:
    with node(originals, CALOTYPE_SERVER__PROCESSES=str(processes)) as (public, _):
        yield public


def _fetched(url: str) -> tuple[bytes, dict[str, str]]:
    """The bytes and the headers of a hit."""
    for _ in range(2):
        with urllib.request.urlopen(url) as answer:
            body, headers = answer.read(), dict(answer.headers.items())
    return body, headers


@contextmanager
def _handler(folder: Path, body: bytes, headers: dict[str, str]) -> Iterator[str]:
    """A bare aiohttp application that returns the same bytes with the same headers."""
    (folder / "bare.py").write_text(hits.BARE)
    (folder / "body").write_bytes(body)
    dropped = ("Content-Length", "Date", "Connection")
    kept = {name: value for name, value in headers.items() if name not in dropped}
    (folder / "headers").write_text(json.dumps(kept))
    loop = "uvloop" if _has_uvloop() else "asyncio"
    base = f"http://127.0.0.1:{free_port()}"
    files = (str(folder / "bare.py"), loop, "Application", base.rpartition(":")[2])
    command = (sys.executable, *files, str(folder / "body"), str(folder / "headers"))
    with process(*command, url=f"{base}/x"):
        yield base


def _has_uvloop() -> bool:
    return (
        subprocess.run([sys.executable, "-c", "import uvloop"], capture_output=True, check=False).returncode
        == 0
    )


@contextmanager
def _loop(folder: Path, originals: Path) -> Iterator[str]:
    """Render processes behind aiohttp that only thumbnail and encode."""
    (folder / "loop.py").write_text(misses.BARE)
    port = free_port()
    command = (sys.executable, str(folder / "loop.py"), str(originals), str(port))
    with process(*command, url=f"http://127.0.0.1:{port}", env=_LOOP):
        yield f"http://127.0.0.1:{port}"


_LOOP = {"VIPS_CONCURRENCY": "1", "PYTHONWARNINGS": "ignore"}
"""One thread a process; and the end of the processes is no news."""

_NGINX = """
daemon off;
pid {folder}/{kind}.pid;
error_log {folder}/{kind}.error;
worker_processes auto;
events {{ worker_connections 4096; }}
http {{
    access_log {folder}/{kind}.log combined buffer=32k flush=1s;
    types {{ }}
    default_type image/jpeg;
    proxy_cache_path {folder}/{kind}-cache keys_zone={kind}:10m;
    proxy_temp_path {folder}/{kind}-temp;
    client_body_temp_path {folder}/{kind}-body;
    server {{
        listen 127.0.0.1:{port};
        {location}
    }}
}}
"""


@contextmanager
def _nginx(folder: Path, kind: str, upstream: str) -> Iterator[str]:
    """nginx with a folder of files, or a cache before `upstream`."""
    port = free_port()
    location = f"location / {{ root {folder}/{kind}; }}"
    if upstream:
        location = f"location / {{ proxy_pass {upstream}; proxy_cache {kind}; proxy_cache_valid 200 1h; }}"
    configuration = folder / f"{kind}.conf"
    configuration.write_text(_NGINX.format(folder=folder, kind=kind, port=port, location=location))
    ready = f"http://127.0.0.1:{port}{'/x.jpg' if not upstream else _native(HIT)}"
    # Its workers may not be allowed to read a folder of the caller.
    with process("nginx", "-e", str(folder / f"{kind}.start"), "-c", str(configuration), url=ready):
        yield f"http://127.0.0.1:{port}"


def working_folder() -> "tempfile.TemporaryDirectory[str]":
    """A folder that the workers of nginx may read."""
    made = tempfile.TemporaryDirectory(prefix="contest-")
    os.chmod(made.name, 0o755)
    return made
