"""A node with real parts on free ports, in this process, with generated originals."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import uvloop
from yarl import URL

from proxy.config.environment import SystemdEnvironment
from proxy.config.settings import load
from proxy.node.single import SingleProcessNode
from proxy.node.systemd import Systemd
from proxy.ports.operations import CommandDispatcher
from proxy.telemetry.event_log import open_log
from proxy.telemetry.log_writer import LogWriter
from tests.support import pictures
from tests.support.answers import Answer
from tests.support.fakes import temporary_file
from tests.support.waiting import LONGEST_S


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """uvloop, as for users; where connections are cut off, which is not the same there, plain asyncio too."""
    both = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    return both if item.path.stem == "test_slow_clients" else {"uvloop": uvloop.new_event_loop}


class Running:
    """A node under test and a client; `get` takes a raw target exactly as it is written."""

    def __init__(
        self,
        node: SingleProcessNode,
        client: aiohttp.ClientSession,
        originals: Path,
        stop: Callable[[], Awaitable[None]],
    ) -> None:
        self.node = node
        self.client = client
        self.originals = originals
        self.stop = stop

    async def get(self, target: str, *, method: str = "GET", admin: bool = False, **headers: str) -> Answer:
        base = self.node.admin_url if admin else self.node.public_url
        url = URL(base + target, encoded=True)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.request(method, url, headers=sent, skip_auto_headers=["Accept"]) as response:
            return Answer(response.status, response.headers, await response.read())

    async def metric(self, name: str, **labels: str) -> float:
        text = (await self.get("/metrics", admin=True)).body.decode()
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in text.splitlines()
            if line.startswith((f"{name} ", f"{name}{{"))
            and all(f'{label}="{value}"' in line for label, value in labels.items())
        )


async def raw(node: Running, request: bytes) -> bytes:
    """What comes back for these bytes until the node closes, or is silent for a moment if they do not ask it to close."""
    host, port = node.node.public_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    received = b""
    silence_s = LONGEST_S if b"connection: close" in request.lower() else 1.0
    try:
        writer.write(request)
        while part := await asyncio.wait_for(reader.read(65536), silence_s):
            received += part
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return received


@asynccontextmanager
async def running(folder: Path, *, log_to: str = "/dev/null", **changes: Any) -> AsyncIterator[Running]:
    """A node of settings made for tests; `changes` are sections."""
    originals = folder / "originals"
    originals.mkdir(exist_ok=True)
    flags: dict[str, Any] = {
        "server": {"port": 0, "request_timeout": LONGEST_S},
        "admin": {"port": 0},
        "sources": {"photos": {"path": str(originals)}},
        "mounts": {"all": {"source": "photos", "dimensions": "any"}},
        "cache": {"disk": {"path": str(folder / "cache"), "max_bytes": "64MiB"}},
        "render": {"workers": 1, "timeout": LONGEST_S},
        "presets": {"card": "w_120,h_90,c_fill,f_auto", "small": "w_33"},
    }
    for section, values in changes.items():
        flags[section] = (
            {**flags.get(section, {}), **values} if section not in ("mounts", "sources") else values
        )
    settings = load(None, flags)
    stop, ready = asyncio.Event(), asyncio.Event()

    async def on_ready(_: CommandDispatcher) -> None:
        ready.set()

    async with AsyncExitStack() as stack:
        out = LogWriter(stack.enter_context(open(log_to, "w")))  # noqa: SIM115 (closed by the stack)
        stack.callback(out.close)
        log = open_log(out)
        systemd = Systemd(SystemdEnvironment())
        stack.callback(systemd.close)
        node = SingleProcessNode(settings, log, out, systemd)
        task = asyncio.create_task(node.run(stop, on_ready))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            waiting.cancel()
            await task

        async def stopped() -> None:
            stop.set()
            await task

        stack.push_async_callback(stopped)
        client = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        )
        yield Running(node, client, originals, stopped)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Running]:
    """One node with a handful of originals."""
    async with running(tmp_path) as started:
        add_originals(started)
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """The same for all tests of a file that are marked with `shares_node`: for tests whose answers do not depend on
    earlier requests, and that change no original of others. To start a node takes half a second of processor time."""
    async with running(tmp_path_factory.mktemp("shared")) as started:
        add_originals(started)
        yield started


shares_node = pytest.mark.asyncio(loop_scope="module")


def add_originals(node: Running) -> None:
    for name, content in ORIGINALS.items():
        temporary_file(node.originals, name, content())


ORIGINALS: dict[str, Callable[[], bytes]] = {
    "quarters.png": lambda: pictures.quarters_as("png"),
    "photo.jpg": lambda: pictures.photo_as("jpeg"),
    "cut-out.png": lambda: pictures.cut_out_as("png"),
    "film.gif": lambda: pictures.film_as("gif"),
    "deep/a b%é.jpg": lambda: pictures.quarters_as("jpeg"),
    "text.jpg": lambda: b"no picture at all",
    "broken.jpg": lambda: pictures.photo_as("jpeg")[:-3000],
    "huge.png": lambda: pictures.png_of(20_000, 20_000),
}
