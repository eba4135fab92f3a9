"""Nodes as a user runs them: the real command, real stores, one process tree each."""

import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from yarl import URL

from tests.support import commands
from tests.support.answers import Answer, opened
from tests.support.commands import Command
from tests.support.servers import ROOT, Redis, Store, free_port
from tests.support.tcp_faults import FaultyProxy
from tests.support.waiting import LONGEST_S, eventually_sync

LONG = bool(os.environ.get("LONG_STORIES"))
"""Whether to take the time that the figures in benchmarks/README.md are of."""

_MOST_NICE = 19
LONGER_TIMEOUTS = str(Path(__file__).parent / "longer_timeouts")
PATIENT = {
    "server": {"request_timeout": "5m", "drain": "1m"},
    "render": {"timeout": "5m"},
    "redis": {"timeout": "5s"},
}


def s3(store: Store, bucket: str, **more: object) -> dict[str, object]:
    """The settings of a bucket there."""
    return {
        "kind": "s3",
        "bucket": bucket,
        "endpoint_url": store.endpoint_url,
        "access_key": store.access_key,
        "secret_key": store.secret_key,
        "region": store.region,
        **more,
    }


class AdminReply(NamedTuple):
    """What an admin call answers."""

    status: int
    body: Any


class Node:
    """A node of its own process tree with one worker, in a folder of its own. With `has_longer_timeouts` it waits for what is slow only
    because the machine is busy; a story of something that hangs starts it without."""

    def __init__(
        self,
        folder: Path,
        *,
        processes: int = 1,
        has_longer_timeouts: bool = True,
        **sections: dict[str, Any],
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port, self.admin_port = free_port(), free_port()
        settings: dict[str, Any] = {
            "server": {"port": self.port, "processes": processes},
            "admin": {"port": self.admin_port},
            "mounts": {"all": {"source": "photos", "dimensions": "any"}},
            **sections,
        }
        settings["render"] = {"workers": 1} | settings.get("render", {})
        settings["cache"] = {"disk": {"path": str(folder / "cache")}, **settings.get("cache", {})}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CALOTYPE_")}
        if has_longer_timeouts:
            for section, values in PATIENT.items():
                if section != "redis" or settings.get("redis"):
                    settings[section] = values | settings.get(section, {})
            inherited["PYTHONPATH"] = LONGER_TIMEOUTS
        self.environment = inherited | {
            f"CALOTYPE_{section.upper()}": json.dumps(values) for section, values in settings.items()
        }
        self.prefix: list[str] = []
        """What starts it, where that is not us."""
        self.process: subprocess.Popen[bytes] | Command | None = None

    def override(self, section: str, **values: object) -> None:
        """Changes some settings of a section."""
        name = f"CALOTYPE_{section.upper()}"
        self.environment[name] = json.dumps(json.loads(self.environment.get(name, "{}")) | values)

    def with_default(self, constant: str) -> "Node":
        """The same node, whose `constant` is not lengthened."""
        self.environment["STORY_BRIEF"] = constant
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it and waits until it is ready. A node with longer timeouts is forked from a process that has imported its
        modules; others are the command as users run it."""
        with (self.folder / "log").open("ab") as log:
            if self.environment.get("PYTHONPATH") == LONGER_TIMEOUTS and not (
                self.prefix or "STORY_BRIEF" in self.environment
            ):
                self.process = self.command("serve", output=log.fileno())
            else:
                self.process = subprocess.Popen(
                    [*self.prefix, sys.executable, "-m", "proxy", "serve"],
                    stdout=log,
                    stderr=log,
                    cwd=ROOT,
                    env=self.environment,
                    close_fds=False,
                )
        eventually_sync(lambda: self._has_ended() or (self.ready() and self._all_workers_run()))
        if self._has_ended():
            raise RuntimeError(self.log()[-3000:])

    def command(self, *words: str, output: int) -> Command:
        """Starts a command of calotype with the settings of this node."""
        with open(os.devnull) as nothing:
            return commands.start(
                *words,
                env=self.environment,
                stdin=nothing.fileno(),
                stdout=output,
                stderr=output,
                python_path=LONGER_TIMEOUTS,
            )

    def _has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def _all_workers_run(self) -> bool:
        """Whether every worker has lowered its priority, which it does first. A node is ready with one."""
        render = json.loads(self.environment.get("CALOTYPE_RENDER", "{}"))
        with contextlib.suppress(ProcessLookupError):
            own = os.getpriority(os.PRIO_PROCESS, 0)
            nice = [
                pid
                for pid in self.workers()
                if os.getpriority(os.PRIO_PROCESS, pid) > own or own == _MOST_NICE
            ]
            return len(nice) == render["workers"]
        return False

    def ready(self) -> bool:
        with contextlib.suppress(OSError):
            return b"true" in self.admin("/readyz")
        return False

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LONGEST_S)

    def kill(self) -> None:
        """SIGKILL to the whole tree, at once; waits until it has ended, so that its port is free."""
        if self.process is not None:
            tree: list[int] = []
            # Again after the stop: a process may have been started meanwhile.
            while started := {self.process.pid, *descendants(self.process.pid)} - {*tree}:
                for pid in started:
                    send_signal(pid, signal.SIGSTOP)
                tree += started
            for pid in tree:
                send_signal(pid, signal.SIGKILL)
            self.process.wait()
            eventually_sync(lambda: not any(map(alive, tree)))
            self.process = None

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def admin(self, target: str) -> bytes:
        """The body of an admin page."""
        with opened(f"http://127.0.0.1:{self.admin_port}{target}") as answer:
            return bytes(answer.read())

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels."""
        total = 0.0
        for line in self.admin("/metrics").decode().splitlines():
            if re.match(rf"{name}(\{{|\s)", line) and all(f'{k}="{v}"' in line for k, v in labels.items()):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def call(self, method: str, target: str, body: object = None, **headers: str) -> "AdminReply":
        """An admin call, with JSON or bytes."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.admin_port}{target}", content, headers, method=method
        )
        with opened(request) as answer:
            return AdminReply(answer.status, json.loads(answer.read()))

    def finished_job(self, job: str) -> dict[str, Any]:
        """The progress of a job once it is done."""

        def done() -> dict[str, Any] | None:
            progress: dict[str, Any] = self.call("GET", f"/v1/warm/{job}").body
            return progress if progress["state"] == "done" else None

        progress = eventually_sync(done)
        assert progress is not None
        return progress

    def disk_entries(self) -> int:
        """How many variants and facts are on its disk."""
        return len(list((self.folder / "cache/variants").glob("*/*/*.val")))

    def workers(self) -> list[int]:
        assert self.process is not None
        return [pid for pid in descendants(self.process.pid) if b"render.worker" in command_of(pid)]

    def back(self) -> int:
        """The process that has the records of the disk open."""
        assert self.process is not None
        index = str(self.folder / "cache/records/index.db")
        return next(
            pid for pid in [self.process.pid, *descendants(self.process.pid)] if index in files_of(pid)
        )

    def busy_s(self) -> float:
        """CPU seconds its workers have used."""
        return sum(cpu_s(pid) for pid in self.workers())


class SharedServices:
    """A store with buckets of this test, behind a proxy that counts requests, and a Redis."""

    def __init__(self, store: Store, store_proxy: FaultyProxy, redis: Redis, folder: Path) -> None:
        self.direct = store
        self.store = store.via(store_proxy.url)
        self.store_proxy = store_proxy
        self.redis = redis
        self.folder = folder
        name = secrets.token_hex(4)
        self.originals = store.bucket(f"originals-{name}")
        self.processed = store.bucket(f"processed-{name}")

    def node(
        self,
        name: str,
        *,
        processes: int = 1,
        redis: bool = True,
        has_longer_timeouts: bool = True,
        **sections: dict[str, object],
    ) -> Node:
        defaults: dict[str, dict[str, object]] = {
            "sources": {"photos": s3(self.store, self.originals)},
            "cache": {"bucket": s3(self.store, self.processed)},
            "render": {"workers": 2},
            "redis": {"url": self.redis.url} if redis else {},
        }
        return Node(
            self.folder / name,
            processes=processes,
            has_longer_timeouts=has_longer_timeouts,
            **{**defaults, **sections},
        )

    def put(self, key: str, content: bytes) -> None:
        self.direct.put(self.originals, key, content)

    def gets(self, key: str) -> int:
        return self.store_proxy.count("GET", f"/{self.originals}/{key}")

    def flagged(self) -> int:
        """How many variants and facts are in the bucket, and flagged so: a node that comes finds them."""
        with self.redis.client() as flags:
            keys = [*flags.scan_iter("calotype:flag:*", count=1000)]
            return flags.mget(keys).count("present") if keys else 0

    def puts(self, suffix: str) -> int:
        return sum(
            method == "PUT" and f"/{self.processed}/" in target and target.partition("?")[0].endswith(suffix)
            for method, target in self.store_proxy.requests
        )


def send_signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def command_of(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return _stat(pid)[0] != "Z"
    return False


def files_of(pid: int) -> list[str]:
    """What its descriptors lead to, standard input first."""
    files = []
    for entry in sorted(Path(f"/proc/{pid}/fd").iterdir(), key=lambda each: int(each.name)):
        with contextlib.suppress(FileNotFoundError):  # Closed meanwhile.
            files.append(os.readlink(entry))
    return files


def parent_of(pid: int) -> int:
    return int(_stat(pid)[1])


def cpu_s(pid: int) -> float:
    with contextlib.suppress(OSError):
        fields = _stat(pid)
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(parent_of(int(entry.name)), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        of = children.get(waiting.pop(), [])
        found += of
        waiting += of
    return found


@contextlib.contextmanager
def running(*nodes: Node) -> Iterator[None]:
    """All of them, from ready to SIGTERM; what is left then is killed."""
    try:
        for node in nodes:
            node.start()
        yield
        assert [node.stop() for node in nodes if node.process is not None] == [
            0 for node in nodes if node.process is not None
        ]
    finally:
        for node in nodes:
            node.kill()


class Origin:
    """A web server of one picture, which it sends once `may_send` is set."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.port = 0
        self.requests = 0
        self.may_send = asyncio.Event()

    def source(self) -> dict[str, object]:
        """The settings of a source there."""
        return {"kind": "http", "hosts": [f"127.0.0.1:{self.port}"], "allow_private": True}

    def variant(self, transform: str) -> str:
        """The path of a variant of that picture."""
        return f"/{transform}/http://127.0.0.1:{self.port}/photo.png"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            self.requests += 1
            await self.may_send.wait()
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(self._content)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + self._content)
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def origin(content: bytes) -> AsyncIterator[Origin]:
    """Runs such a server."""
    made = Origin(content)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        made.may_send.set()
        server.close()


@contextlib.asynccontextmanager
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=LONGEST_S)
    ) as session:
        yield session


async def get(session: aiohttp.ClientSession, url: str, **headers: str) -> Answer:
    began_s = time.monotonic()
    async with session.get(URL(url, encoded=True), headers=headers, allow_redirects=False) as answer:
        body = await answer.read()
        return Answer(answer.status, answer.headers, body, time.monotonic() - began_s)


async def get_all(urls: list[str], *, at_once: int = 2000, **headers: str) -> list[Answer]:
    """Each URL, in order, so many at a time."""
    slots = asyncio.Semaphore(at_once)

    async def one(session: aiohttp.ClientSession, url: str) -> Answer:
        async with slots:
            return await get(session, url, **headers)

    async with client() as session:
        return await asyncio.gather(*(one(session, url) for url in urls))
