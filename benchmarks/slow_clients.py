"""A thousand slow connections to nginx and to the bare node, and their effect on a healthy client.

`python -m benchmarks.slow_clients [seconds of siege]`. A closed slow connection is reopened at once. The healthy
client sends requests on time, whether or not earlier ones were answered; times count from the planned time. Any
response but a 200 with the right bytes fails the benchmark. Needs nginx and openssl.
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


def request_bytes(target: str, *more: str, method: str = "GET") -> bytes:
    return "\r\n".join((f"{method} {target} HTTP/1.1", "Host: x", *more, "", "")).encode()


RANGES = request_bytes(HOT, "Range: bytes=" + ",".join(f"{at}-{at}" for at in range(CROWD)))
OPENING = {
    "header": (request_bytes(HOT)[:-2] + b"X-Slow: ",) * 2,
    "body": tuple(request_bytes(HOT, "Content-Length: 100000", method=method) for method in ("GET", "POST")),
    "read": (request_bytes(LARGE),) * 2,
    "ranges": (RANGES,) * 2,
}


class Siege(NamedTuple):
    """The results of the slow connections."""

    most: int
    """Connected at the same time."""
    left: int
    """How many of the first connections were never closed."""
    cut: int
    answers: Counter[str]
    """The first status of each connection."""


class Crowd:
    """CROWD sockets of one mode. `step` runs one second of each."""

    def __init__(self, mode: str, port: int, addresses: int) -> None:
        self._mode, self._port, self._addresses = mode, port, addresses
        self._poll = select.poll()
        self._first: set[int] = set()
        self._numbers: dict[int, int] = {}
        self._counted: set[int] = set()
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
        self._read_statuses()
        for descriptor, _ in self._poll.poll(0):
            self._drop(descriptor)
        for descriptor, sock in self.sockets.items():
            with contextlib.suppress(OSError):
                if self._mode in ("header", "body"):
                    sock.send(b"x")
                elif self._mode == "ranges":
                    while sock.recv(65536):
                        pass
            if self._mode == "ranges" and self._numbers[descriptor] % 2 == int(time.monotonic()) % 2:
                with contextlib.suppress(OSError):
                    sock.send(RANGES)

    def _read_statuses(self) -> None:
        """Reads the status of each connection without consuming it."""
        for descriptor, sock in self.sockets.items():
            if descriptor not in self._counted:
                with contextlib.suppress(OSError):
                    if received := sock.recv(12, socket.MSG_PEEK):
                        self._counted.add(descriptor)
                        self.answers[received[9:12].decode("latin-1")] += 1

    def _drop(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)
        self.sockets.pop(descriptor).close()
        self._numbers.pop(descriptor)
        self._first.discard(descriptor)
        self._counted.discard(descriptor)
        self.cut += 1

    def close(self) -> None:
        for sock in self.sockets.values():
            sock.close()


def besiege(mode: str, port: int, addresses: int, seconds: float, report: Connection) -> None:
    """Runs in a process of its own, so that it does not affect the times of the healthy client."""
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
    """A keep-alive connection that sends EACH_A_SECOND requests per second."""

    def __init__(self, port: int, expected: bytes) -> None:
        self._port, self._expected = port, expected
        self._writer: asyncio.StreamWriter | None = None
        self.times: list[float] = []
        self.failures: Counter[str] = Counter()

    async def _once(self) -> None:
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(request_bytes(HOT))
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
    await asyncio.gather(*(sock.run(seconds, number * spacing) for number, sock in enumerate(clients)))
    for sock in clients:
        sock.close()
    return [t for sock in clients for t in sock.times], sum((sock.failures for sock in clients), Counter())


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
    """Prints a row; returns the number of failed requests of the healthy client."""
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
        f"| {target.name} | {mode}{', sock address' if addresses == 1 else ''} | {siege.most} | {siege.left} | {siege.cut} |"
        f" {counts_text(siege.answers)} | {len(calm) + len(times)} | {failed.total()} | {quantiles(calm)} | {quantiles(times)} |"
        f" {before_mb:.0f}, {resident_mb(target.pid, 'VmHWM'):.0f}, {resident_mb(target.pid):.0f} |",
        flush=True,
    )
    for what, count in failed.most_common():
        print(f"  failed {count} times: {what}")
    return failed.total()


def counts_text(answers: Counter[str]) -> str:
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
        client.sendall(request_bytes(target, "Connection: close"))
        received = b"".join(iter(lambda: client.recv(1 << 20), b""))
    head, _, body = received.partition(b"\r\n\r\n")
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
