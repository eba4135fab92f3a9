"""Whether restarts and reloads of nodes and of nginx lose requests, and the effect of too few file descriptors.

`python -m benchmarks.restarts [a b ...]`: a, rolling restarts behind nginx; b, reloads of nginx; c, SIGTERM for one of two;
d, a listening socket passed on; e, SIGHUP with good and broken files; g, 128 descriptors and 500 idle clients. The
load is open: 200 requests per second over 20 connections, each sent on time or when a connection is free; a tenth
requests new variants. The client does not use a connection that it knows to be closed, and never retries. Any
response but a complete 200 with the right bytes fails the benchmark, except for new clients while descriptors are
short. In b, connections that nginx closes while a request arrives are counted separately.
"""

import asyncio
import contextlib
import itertools
import random
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from benchmarks.common import photograph
from benchmarks.slow_clients import request_bytes
from proxy.core.url.signing import sign
from tests.stories import fleet
from tests.stories.front import fronting
from tests.support.servers import free_port

RATE, FRESH_RATE, CONNECTIONS, MISSES, PATIENCE_S, DRAIN_S = 200, 50, 20, 0.1, 12.0, 10.0
RESTARTS, NGINX_RELOADS, HANDOVERS, RELOADS, EVERY_S, TAKES_S = 20, 30, 6, 100, 0.2, 2.0
NOFILE, IDLE = 128, 500
ORIGINALS = 16  # Several originals, because nginx sends all requests for one to the same node.
HOT = [f"/w_{300 + number},h_300,c_scale,f_webp/photo{number}.jpg" for number in range(ORIGINALS)]
NEW = (f"/w_{16 + n % 250},h_{16 + n // 250},c_scale,f_webp/photo{n % 16}.jpg" for n in itertools.count())
KEY, SPARE_KEY = "0" * 32, "1" * 32
SIGNED = sign("/w_33,h_33,c_scale,f_webp/photo0.jpg", SPARE_KEY.encode())
BROKEN = ("[presets]\ncard = \n", "[server]\nprot = 1\n")
TEMPS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
UNCACHED = {"cache": "proxy_cache off;\n" + "".join(f"{kind}_temp_path temp/{kind};\n" for kind in TEMPS)}
PASS_ON = ("bash", "-c", 'exec 3<&"$0"; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"')
RACE = "closed while idle"
_seen: dict[str, bytes] = {}


def is_right(target: str, body: bytes) -> bool:
    """Whether `body` is a complete WebP of the size in `target`, equal to the first one for `target`."""
    if body[8:16] != b"WEBPVP8 " or int.from_bytes(body[4:8], "little") + 8 != len(body):
        return False
    width, height = (int.from_bytes(body[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    return target.startswith(f"/w_{width},h_{height},") and _seen.setdefault(target, body) == body


class Connection:
    """An HTTP/1.1 connection, used until the server closes it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, target: str) -> tuple[str, bytes]:
        """The status and the body, or the reason why there is none."""
        if self._streams and (self._streams[0].at_eof() or self._streams[0].exception()):
            self.close()
        fate = RACE if self._streams else "refused"
        try:
            async with asyncio.timeout(PATIENCE_S):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self._port)
                    fate = "closed without an answer"
                reader, writer = self._streams
                writer.write(request_bytes(target))
                head = await reader.readexactly(1)
                fate = "broken off"
                head = (head + await reader.readuntil(b"\r\n\r\n")).lower()
                body = await reader.readexactly(int(head.partition(b"\r\ncontent-length: ")[2].split()[0]))
        except (OSError, EOFError) as fault:
            self.close()
            return "no answer in time" if isinstance(fault, TimeoutError) else fate, b""
        if b"\r\nconnection: close\r\n" in head:
            self.close()
        return head.split()[1].decode(), body

    async def request(self, target: str) -> str:
        """The fault of the response; empty if none."""
        status, body = await self.get(target)
        return status if status != "200" else "" if is_right(target, body) else "other bytes"

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


class Load:
    """The results of the requests. With `kept` False there are fewer requests, each on a new connection."""

    def __init__(self, port: int, *, reuse: bool = True) -> None:
        self._port, self._reuse, self._is_over, self.sent = port, reuse, False, 0
        self.times: list[float] = []
        self.failures: Counter[str] = Counter()

    async def __aenter__(self) -> "Load":
        self._tasks = [asyncio.create_task(self._run_client(number)) for number in range(CONNECTIONS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_over = True
        await asyncio.gather(*self._tasks)

    async def _run_client(self, number: int) -> None:
        pause_s = CONNECTIONS / (RATE if self._reuse else FRESH_RATE)
        due = time.monotonic() + pause_s * number / CONNECTIONS
        with contextlib.closing(Connection(self._port)) as connection:
            while not self._is_over:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                self.sent += 1
                target = next(NEW) if random.random() < MISSES else random.choice(HOT)
                if wrong := await connection.request(target):
                    self.failures[wrong] += 1
                else:
                    self.times.append(time.monotonic() - due)
                if not self._reuse:
                    connection.close()
                due += pause_s


class Node(fleet.Node):
    """A node with keys and presets in a file; `prefix` is a command that starts it."""

    def __init__(self, folder: Path, processes: int, prefix: Sequence[str]) -> None:
        mount = {"source": "photos", "dimensions": "any", "signing": "optional"}
        sources = {"photos": {"path": str(folder.parent / "originals")}}
        super().__init__(folder, processes=processes, sources=sources, mounts={"all": mount})
        self.prefix, self.file = list(prefix), folder / "node.toml"
        self.environment["CALOTYPE_CONFIG"] = str(self.file)
        self.write(40, spare=True)

    def write(self, side: int, spare: bool) -> None:
        keys = f'base = "{KEY}"\n' + f'spare = "{SPARE_KEY}"\n' * spare
        self.file.write_text(f'[signing.keys]\n{keys}[presets]\ncard = "w_{side},h_{side},c_scale,f_webp"\n')

    def tree(self) -> list[int]:
        assert self.process is not None
        return [self.process.pid, *fleet.descendants(self.process.pid)]

    async def end(self, failures: Counter[str]) -> float:
        """Seconds until it ends after SIGTERM; another exit status is a failure."""
        tree, began = self.tree(), time.monotonic()
        code, took = await asyncio.to_thread(self.stop), time.monotonic() - began
        self.process = None
        if code or took > DRAIN_S or any(map(fleet.alive, tree)):
            failures[f"exit code {code} after {took:.1f} s, or processes left"] += 1
        return took

    async def lags(self, side: int, spare: bool) -> str:
        """The differences to the file, over several new connections."""
        for _ in range(4):
            with contextlib.closing(Connection(self.port)) as connection:
                status, body = await connection.get("/t_card/photo0.jpg")
                if status != "200" or not is_right(f"/w_{side},h_{side},", body):
                    return f"{status} and not the preset"
                status, _ = await connection.get(SIGNED)
                if status != ("200" if spare else "403"):
                    return f"{status} with the key {'there' if spare else 'gone'}"
        return ""


async def rolled(nodes: Sequence[Node], times: int, load: Load, pause_s: float = 0) -> str:
    """Stops and starts each node in turn, `times` times; returns the longest stop in seconds."""
    ends = []
    for node in itertools.islice(itertools.cycle(nodes), times):
        ends.append(await node.end(load.failures))
        await asyncio.to_thread(node.start)
        await asyncio.sleep(pause_s)
    return f"{times} times, to exit {max(ends):.2f} s at most"


class Bench:
    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers, self.failed = folder, itertools.count(), False
        for number in range(ORIGINALS):
            photograph(folder / f"originals/photo{number}.jpg", 400, 300, seed=number)
        print(f"{RATE} requests/s, a tenth of them misses; good answers in ms from when each was due\n")
        print("| scenario | requests | failures | nginx's race | p50, p99, max | besides |")
        print("| --- | --- | --- | --- | --- | --- |", flush=True)

    def node(self, processes: int, *prefix: str) -> Node:
        return Node(self._folder / f"node{next(self._numbers)}", processes, prefix)

    def row(self, name: str, load: Load, besides: str = "", *, forgiven: bool = False) -> None:
        races = load.failures.pop(RACE, 0) if name.startswith("b") else 0
        failures, times = load.failures.total(), sorted(load.times) or [0.0]
        at = ", ".join(f"{times[int((len(times) - 1) * share)] * 1000:.1f}" for share in (0.5, 0.99, 1))
        print(f"| {name} | {load.sent} | {failures} | {races} | {at} | {besides} |", flush=True)
        for what, count in load.failures.most_common():
            print(f"  failed {count} times: {what}", flush=True)
        self.failed |= failures > 0 and not forgiven

    @contextlib.asynccontextmanager
    async def fronted(self, cached: bool, processes: int) -> AsyncIterator[tuple[list[Node], Load, Path]]:
        """Two nodes behind nginx under load, and the pid file of nginx."""
        nodes, folder = [self.node(processes) for _ in range(2)], self._folder / f"nginx{next(self._numbers)}"
        named = (f"127.0.0.1:{node.port}" for node in nodes)
        with fleet.running(*nodes), fronting(folder, *named, **{} if cached else UNCACHED) as nginx:
            async with Load(nginx.ports.clear) as load:
                await asyncio.sleep(1)
                yield nodes, load, folder / "nginx.pid"

    async def a(self) -> None:
        for cached in (True, False):
            async with self.fronted(cached, 1) as (nodes, load, _):
                summary = await rolled(nodes, RESTARTS, load)
            self.row(f"a rolling restarts, micro-cache {'on' if cached else 'off'}", load, summary)

    async def b(self) -> None:
        async with self.fronted(True, 1) as (_, load, pid):
            for _ in range(NGINX_RELOADS):
                fleet.send_signal(int(pid.read_text()), signal.SIGHUP)
                await asyncio.sleep(1)
        self.row("b reloads of nginx", load, f"{NGINX_RELOADS} times")

    async def c(self) -> None:
        for processes in (1, 2):
            async with self.fronted(False, processes) as (nodes, load, _):
                took = await nodes[0].end(load.failures)
                await asyncio.sleep(4)
            self.row(f"c SIGTERM for one of two, processes={processes}", load, f"to exit {took:.2f} s")

    async def d(self) -> None:
        for processes, overlaps in itertools.product((1, 2), (False, True)):
            with socket.create_server(("127.0.0.1", free_port()), backlog=4096) as listener:
                listener.set_inheritable(True)
                prefix = (*PASS_ON, str(listener.fileno()))
                nodes = [self.node(processes, *prefix) for _ in range(1 + overlaps)]
                with fleet.running(*nodes):
                    async with Load(listener.getsockname()[1]) as load:
                        await asyncio.sleep(1)
                        summary = await rolled(nodes, HANDOVERS, load, pause_s=1)
            name = f"d socket passed on, {'overlap' if overlaps else 'gap'}, processes={processes}"
            self.row(name, load, summary)

    async def e(self) -> None:
        for processes in (1, 2):
            node, slowest, began = self.node(processes), 0.0, time.monotonic()
            with fleet.running(node):
                async with Load(node.port) as load:
                    for number in range(RELOADS):
                        await asyncio.sleep(max(0.0, began + EVERY_S - time.monotonic()))
                        began, is_broken = time.monotonic(), number % 2 == 1
                        side, spare = 41 + number // 2, number % 4 > 1
                        node.write(side, spare)
                        if is_broken:
                            node.file.write_text(BROKEN[number // 2 % 2])
                        fleet.send_signal(node.tree()[0], signal.SIGHUP)
                        await asyncio.sleep(EVERY_S / 2 if is_broken else 0)
                        while problem := await node.lags(side, spare):
                            if is_broken or time.monotonic() > began + TAKES_S:
                                load.failures[f"{problem}, {'broken' if is_broken else 'good'} file"] += 1
                                break
                        slowest = slowest if is_broken else max(slowest, time.monotonic() - began)
                good, bad = (node.log().count(words) for words in ("was reloaded", "is invalid"))
            summary = f"{good} files taken, {bad} refused, in force after {slowest:.2f} s at most"
            self.row(f"e SIGHUP, processes={processes}", load, summary)

    async def g(self) -> None:
        for processes in (1, 2):
            node = self.node(processes, "prlimit", f"--nofile={NOFILE}:{NOFILE}")
            late, after = (Load(node.port, reuse=False) for _ in range(2))
            idle = [Connection(node.port) for _ in range(IDLE)]
            with fleet.running(node):
                tree = set(node.tree())
                async with Load(node.port) as load:
                    await asyncio.sleep(2)
                    statuses = Counter(await asyncio.gather(*(one.request(HOT[0]) for one in idle)))
                    async with late:
                        await asyncio.sleep(6)
                    for one in idle:
                        one.close()
                    await asyncio.sleep(1)
                    async with after:
                        await asyncio.sleep(4)
                summary = ", ".join(f"{count} {what or 'right'}" for what, count in statuses.most_common())
                summary += f"; {len(tree - set(node.tree()))} processes died"
            self.row(f"g {NOFILE} descriptors, processes={processes}", load, f"{IDLE} idle: {summary}")
            self.row("g new clients meanwhile", late, forgiven=True)
            self.row("g new clients afterwards", after, forgiven=True)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="calotype-restarts-") as made:
        bench = Bench(Path(made))
        for name in sys.argv[1:] or "abcdeg":
            asyncio.run(getattr(bench, name)())
    sys.exit("requests failed, or a node failed" if bench.failed else 0)


if __name__ == "__main__":
    main()
