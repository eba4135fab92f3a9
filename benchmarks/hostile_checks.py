"""The node, the client and the checks of responses for `benchmarks.hostile`, which decides the requests."""

import asyncio
import contextlib
import json
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pyvips
from yarl import URL

from benchmarks.common import free_port, process
from proxy.core.image.formats import SNIFF_BYTES, TRAITS, sniff
from tests.stories.fleet import command_of, descendants

WORKERS = 2
SAMPLE_S = 0.5
WORKER_MEMORY_BYTES = 2**30
OUTPUT_SIDE_PX = 4000
ACCEPT = {"Accept": "image/avif,image/webp,*/*"}

RIGHT = {
    "bad-transform": 400,
    "bad-url": 400,
    "original-not-found": 404,
    "unsupported-format": 415,
    "undecodable": 422,
    "original-too-large": 422,
    "worker-died": 502,
    "overloaded": 503,
    "render-timeout": 504,
}
"""The allowed statuses for a faulty original, by slug."""


class Rules(NamedTuple):
    """The strictness of the checks. Every `decode_every`th picture is decoded."""

    deadline_s: float = 10.0
    slack_s: float = 0.1
    decode_every: int = 8


class Answer(NamedTuple):
    """A response. `status` 0 means none; `seconds` is measured by the client."""

    target: str
    status: int
    slug: str
    headers: dict[str, str]
    body: bytes
    seconds: float

    @property
    def says(self) -> str:
        return f"{self.status} {self.slug}".strip()

    @property
    def is_hit(self) -> bool:
        return "; hit" in self.headers.get("cache-status", "")


@dataclass
class Node:
    """A running node: its public URL, its process, and the folder of its originals."""

    url: str
    pid: int
    originals: Path

    def workers(self) -> list[int]:
        return [pid for pid in descendants(self.pid) if b"render.worker" in command_of(pid)]


@dataclass
class Watch:
    """Samples the workers of a node: their process ids, and the highest memory use of one."""

    node: Node
    seen: set[int] = field(default_factory=set)
    resident_kib: int = 0
    address_kib: int = 0

    def look(self) -> None:
        for pid in self.node.workers():
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                self.seen.add(pid)
                self.resident_kib = max(self.resident_kib, _kib(status, "VmHWM"))
                self.address_kib = max(self.address_kib, _kib(status, "VmPeak"))

    @contextlib.asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._sample())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.look()

    async def _sample(self) -> None:
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(SAMPLE_S)

    def faults(self) -> list[str]:
        if self.address_kib * 1024 <= WORKER_MEMORY_BYTES:
            return []
        return [f"a worker took {self.address_kib} KiB, more than render.memory"]


def _kib(status: str, name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", status)
    return int(found[1]) if found else 0


@contextlib.contextmanager
def running() -> Iterator[Node]:
    """A node of two workers and default limits over an empty folder of originals, with any size allowed.

    Workers are not recycled, so a replaced worker was killed or has died.
    """
    port, admin_port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as made:
        originals, config = Path(made, "originals"), Path(made, "calotype.toml")
        originals.mkdir()
        config.write_text(
            f"[server]\nport = {port}\n[admin]\nport = {admin_port}\n"
            f'[sources.originals]\npath = "{originals}"\n'
            '[mounts.all]\nsource = "originals"\ndimensions = "any"\n'
            f'[cache.disk]\npath = "{made}/cache"\n[render]\nworkers = {WORKERS}\nrecycle_after = 1_000_000\n'
        )
        command = (sys.executable, "-m", "proxy", "serve", "--config", str(config))
        with process(*command, url=f"http://127.0.0.1:{admin_port}/readyz") as child:
            yield Node(f"http://127.0.0.1:{port}", child.pid, originals)


def client(node: Node) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        node.url,
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=60),
        headers=ACCEPT,
    )


async def fetch(session: aiohttp.ClientSession, target: str) -> Answer:
    began_s = time.monotonic()
    try:
        async with session.get(URL(target, encoded=True)) as got:
            body = await got.read()
            headers = {name.lower(): value for name, value in got.headers.items()}
            return Answer(target, got.status, _slug(body, headers), headers, body, time.monotonic() - began_s)
    except (aiohttp.ClientError, TimeoutError) as fault:
        return Answer(target, 0, type(fault).__name__, {}, b"", time.monotonic() - began_s)


def _slug(body: bytes, headers: dict[str, str]) -> str:
    if headers.get("content-type") != "application/problem+json":
        return ""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(body)["type"]).removeprefix("urn:calotype:error:")
    return "not a problem"


def judged(answer: Answer, rules: Rules) -> list[str]:
    """The faults in status, headers and time of a response."""
    faults = []
    if answer.status == 200:
        kind = sniff(answer.body[:SNIFF_BYTES])
        if kind is None or TRAITS[kind].mime != answer.headers["content-type"]:
            faults.append(f"{answer.headers['content-type']} over {answer.body[:12]!r}")
    elif RIGHT.get(answer.slug) != answer.status:
        faults.append("no answer for a picture at fault")
    else:
        cache_control = answer.headers.get("cache-control", "")
        if cache_control != ("public, max-age=60" if answer.status == 404 else "no-store"):
            faults.append(f"an error with Cache-Control: {cache_control}")
    if answer.seconds > rules.deadline_s + rules.slack_s:
        faults.append("late")
    return faults


def decoded(body: bytes, tokens: str) -> list[str]:
    """The faults found by decoding all pixels of a picture."""
    width = re.match(r"w_(\d+)", tokens)
    widest = int(width[1]) if width and "a_90" not in tokens else OUTPUT_SIDE_PX
    try:
        image = pyvips.Image.new_from_buffer(body, "", fail_on="error")
        image.avg()
    except pyvips.Error:
        return ["the picture does not decode"]
    return [] if image.width <= widest else [f"{image.width} px wide"]
