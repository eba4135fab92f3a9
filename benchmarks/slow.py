"""A thousand connections that take their time, before nginx and before the bare node, and what a healthy client notices.

`python -m benchmarks.slow [seconds of siege]`. Whoever is cut off comes back at once, so the pressure stays. The healthy
client asks for one picture on time, whether or not earlier answers came; its times count from when it should have asked.
Everything but 200 with the right bytes is a failure, and any failure fails the benchmark. nginx and openssl are needed.
"""

import asyncio
import contextlib
import multiprocessing
import resource
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from benchmarks.common import free_port, photograph, process
from proxy.cli import nginx_demo

CROWD = 1000
CALM_S, SIEGE_S = 5.0, 35.0
HEALTHY, EACH_A_SECOND = 4, 25
PATIENCE_S = 5.0
HOT, LARGE = "/w_300,f_webp/photo.jpg", "/w_1200,f_png/photo.jpg"
GONE = select.POLLRDHUP | select.POLLHUP | select.POLLERR
MODES = ("header", "body", "read", "ranges")


def asked(target: str, *more: str, method: str = "GET") -> bytes:
    return "\r\n".join((f"{method} {target} HTTP/1.1", "Host: x", *more, "", "")).encode()


RANGES = asked(HOT, "Range: bytes=" + ",".join(f"{at}-{at}" for at in range(CROWD)))
OPENING = {
    "header": (asked(HOT)[:-2] + b"X-Slow: ",) * 2,
    "body": tuple(asked(HOT, "Content-Length: 100000", method=method) for method in ("GET", "POST")),
    "read": (asked(LARGE),) * 2,
    "ranges": (RANGES,) * 2,
}


class Siege(NamedTuple):
    """What became of the attackers."""

    most: int
    """Connected at once."""
    left: int
    """Of those that came first, how many were never cut off."""
    cut: int
    answers: Counter[str]
    """The status that each connection was first given."""


class Crowd:
    """CROWD sockets of one mode; `step` is a second of each."""

    def __init__(self, mode: str, port: int, addresses: int) -> None:
        self._mode, self._port, self._addresses = mode, port, addresses
        self._poll = select.poll()
        self._first: set[int] = set()
        self._numbers: dict[int, int] = {}
        self._told: set[int] = set()
        self.sockets: dict[int, socket.socket] = {}
        self.cut = 0
        self.answers: Counter[str] = Counter()

    def left(self) -> int:
        return len(self._first)

    def fill(self, *, first: bool = False) -> None:
        taken = set(self._numbers.values())
        for number in range(CROWD):
            if number not in taken:
                with contextlib.suppress(OSError):
                    self._add(number, first)

    def _add(self, number: int, first: bool) -> None:
        made = socket.socket()
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304 if self._mode == "read" else 65536)
            made.settimeout(1)
            made.bind((f"127.0.0.{2 + number % self._addresses}", 0))
            made.connect(("127.0.0.1", self._port))
            made.sendall(OPENING[self._mode][number % 2])
        except OSError:
            made.close()
            raise
        made.setblocking(False)
        self.sockets[made.fileno()] = made
        self._numbers[made.fileno()] = number
        self._poll.register(made, GONE)
        if first:
            self._first.add(made.fileno())

    def step(self) -> None:
        self._hear()
        for descriptor, _ in self._poll.poll(0):
            self._drop(descriptor)
        for descriptor, one in self.sockets.items():
            with contextlib.suppress(OSError):
                if self._mode in ("header", "body"):
                    one.send(b"x")
                elif self._mode == "ranges":
                    while one.recv(65536):
                        pass
            if self._mode == "ranges" and self._numbers[descriptor] % 2 == int(time.monotonic()) % 2:
                with contextlib.suppress(OSError):
                    one.send(RANGES)

    def _hear(self) -> None:
        """The status each was given, which is left where it is."""
        for descriptor, one in self.sockets.items():
            if descriptor not in self._told:
                with contextlib.suppress(OSError):
                    if said := one.recv(12, socket.MSG_PEEK):
                        self._told.add(descriptor)
                        self.answers[said[9:12].decode("latin-1")] += 1

    def _drop(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)
        self.sockets.pop(descriptor).close()
        self._numbers.pop(descriptor)
        self._first.discard(descriptor)
        self._told.discard(descriptor)
        self.cut += 1

    def close(self) -> None:
        for one in self.sockets.values():
            one.close()


def besiege(mode: str, port: int, addresses: int, seconds: float, report: Connection) -> None:
    """A process of its own, so that what it does is not in the healthy client's times."""
    crowd = Crowd(mode, port, addresses)
    began = time.monotonic()
    crowd.fill(first=True)
    most = len(crowd.sockets)
    while time.monotonic() - began < seconds:
        due = time.monotonic() + 1
        crowd.step()
        left = crowd.left()
        crowd.fill()
        most = max(most, len(crowd.sockets))
        time.sleep(max(0.0, due - time.monotonic()))
    report.send(Siege(most, left, crowd.cut, crowd.answers))
    crowd.close()


class Healthy:
    """One keep-alive connection that asks EACH_A_SECOND times a second."""

    def __init__(self, port: int, expected: bytes) -> None:
        self._port, self._expected = port, expected
        self._writer: asyncio.StreamWriter | None = None
        self.times: list[float] = []
        self.failures: Counter[str] = Counter()

    async def _once(self) -> None:
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(asked(HOT))
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await self._reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ValueError(head[9:12].decode())
        if body != self._expected:
            raise ValueError("other bytes")

    async def run(self, seconds: float, phase: float) -> None:
        began = time.monotonic() + phase
        for number in range(int(seconds * EACH_A_SECOND)):
            due = began + number / EACH_A_SECOND
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._once()
            except (OSError, EOFError, ValueError, TimeoutError, asyncio.LimitOverrunError) as fault:
                self.failures[f"{type(fault).__name__} {fault}"] += 1
                self.close()
            self.times.append(time.monotonic() - due)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


async def visits(port: int, expected: bytes, seconds: float) -> tuple[list[float], Counter[str]]:
    """Times and failures of the healthy client."""
    clients = [Healthy(port, expected) for _ in range(HEALTHY)]
    spacing = 1 / EACH_A_SECOND / HEALTHY
    await asyncio.gather(*(one.run(seconds, number * spacing) for number, one in enumerate(clients)))
    for one in clients:
        one.close()
    return [t for one in clients for t in one.times], sum((one.failures for one in clients), Counter())


def resident_mb(pid: int, field: str = "VmRSS") -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) / 1024


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


class Target(NamedTuple):
    name: str
    port: int
    pid: int


def run(target: Target, mode: str, addresses: int, expected: bytes, seconds: float) -> int:
    """Prints a row; how many requests of the healthy client failed."""
    calm, failed = asyncio.run(visits(target.port, expected, CALM_S))
    before_mb = resident_mb(target.pid)
    forget_peak(target.pid)
    here, there = multiprocessing.Pipe(duplex=False)
    attackers = multiprocessing.Process(target=besiege, args=(mode, target.port, addresses, seconds, there))
    attackers.start()
    try:
        times, more = asyncio.run(visits(target.port, expected, seconds))
        siege: Siege = here.recv()
    finally:
        attackers.join(PATIENCE_S)
        attackers.kill()
    failed += more
    print(
        f"| {target.name} | {mode}{', one address' if addresses == 1 else ''} | {siege.most} | {siege.left} | {siege.cut} |"
        f" {told(siege.answers)} | {len(calm) + len(times)} | {failed.total()} | {quantiles(calm)} | {quantiles(times)} |"
        f" {before_mb:.0f}, {resident_mb(target.pid, 'VmHWM'):.0f}, {resident_mb(target.pid):.0f} |",
        flush=True,
    )
    for what, count in failed.most_common():
        print(f"  failed {count} times: {what}")
    return failed.total()


def told(answers: Counter[str]) -> str:
    return ", ".join(f"{count} of {status}" for status, count in sorted(answers.items())) or "none"


def quantiles(times: list[float]) -> str:
    at_99 = sorted(times)[int(len(times) * 0.99)]
    return f"{statistics.median(times) * 1000:.1f}, {at_99 * 1000:.1f}"


@contextlib.contextmanager
def node(folder: Path, **more: str) -> Iterator[int]:
    """The pid of a node over the originals of `folder`."""
    admin_port = free_port()
    env = {
        "CALOTYPE_ADMIN__PORT": str(admin_port),
        "CALOTYPE_MOUNTS__ALL__SOURCE": "originals",
        "CALOTYPE_MOUNTS__ALL__DIMENSIONS": "any",
        **more,
    }
    command = (sys.executable, "-m", "proxy", "serve", "--originals", str(folder / "originals"))
    with process(*command, url=f"http://127.0.0.1:{admin_port}/readyz", env=env) as child:
        yield child.pid


@contextlib.contextmanager
def bare(folder: Path) -> Iterator[Target]:
    port = free_port()
    with node(
        folder, CALOTYPE_SERVER__PORT=str(port), CALOTYPE_CACHE__DISK__PATH=str(folder / "bare")
    ) as pid:
        yield Target("node", port, pid)


@contextlib.contextmanager
def fronted(folder: Path) -> Iterator[Target]:
    public = folder / "public.sock"
    ports = nginx_demo.Ports(free_port(), free_port(), free_port(), free_port())
    configuration = nginx_demo.arrange(folder / "front", folder / "hot", ports, [f"unix:{public}"])
    with node(
        folder, CALOTYPE_SERVER__SOCKET=str(public), CALOTYPE_CACHE__DISK__PATH=str(folder / "cache")
    ) as pid:
        nginx = subprocess.Popen(nginx_demo.nginx(configuration))
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", ports.clear)):
                    break
                time.sleep(0.05)
            yield Target("nginx", ports.clear, pid)
        finally:
            nginx.terminate()
            nginx.wait(20)
            shutil.rmtree(f"/dev/shm/{folder.name}-calotype-front", ignore_errors=True)


def fetched(port: int, target: str) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(asked(target, "Connection: close"))
        said = b"".join(iter(lambda: client.recv(1 << 20), b""))
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    return body


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SIEGE_S
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    failures = 0
    with tempfile.TemporaryDirectory(prefix="calotype-slow-") as made:
        folder = Path(made)
        photograph(folder / "originals/photo.jpg", 2400, 1800)
        for begun in (fronted, bare):
            with begun(folder) as target:
                expected = fetched(target.port, HOT)
                if begun is fronted:
                    print(
                        f"{CROWD} attackers for {seconds:.0f} s; the hot picture {len(expected) / 1000:.0f} kB,"
                        f" the large one {len(fetched(target.port, LARGE)) / 1e6:.1f} MB; times are p50, p99 in ms;"
                        " RSS of the node in MiB before, at its peak, after\n\n"
                        "| target | slow | connected | never cut off | cut off | answers | requests | failures | calm | siege | RSS |\n"
                        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
                        flush=True,
                    )
                fetched(target.port, LARGE)
                for mode in MODES:
                    failures += run(target, mode, 200, expected, seconds)
                if begun is fronted:
                    failures += run(target, "read", 1, expected, seconds)
    if failures:
        raise SystemExit(f"{failures} requests of the healthy client failed")


if __name__ == "__main__":
    main()
