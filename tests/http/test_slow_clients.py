"""The node disconnects slow clients without delaying others."""

import asyncio
import contextlib
import functools
import select
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pyvips

from proxy.edge.public import server
from proxy.node import listeners, sockets
from tests.http.conftest import ORIGINALS, Running, running
from tests.support import pictures
from tests.support.fakes import temporary_file
from tests.support.waiting import LONGEST_S, eventually

ASK = b"GET /w_50/photo.jpg HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
async def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    """A node with short timeouts."""
    monkeypatch.setattr(server, "HEAD_S", 0.8)
    monkeypatch.setattr(server, "PROGRESS_CHECK_S", 2.0)
    monkeypatch.setattr(listeners, "KEEPALIVE_S", 2.0)
    monkeypatch.setattr(sockets, "USER_TIMEOUT_MS", 2000)
    async with running(tmp_path) as started:
        temporary_file(started.originals, "photo.jpg", ORIGINALS["photo.jpg"]())
        temporary_file(started.originals, "noise.png", noise())
        temporary_file(started.originals, "large.png", pictures.png_of(400, 400) + bytes(20_000_000))
        yield started


class Client:
    def __init__(self, node: Running, *, receive_bytes: int = 0) -> None:
        host, port = node.node.public_url.removeprefix("http://").split(":")
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.connect((host, int(port)))
        self.socket.setblocking(False)
        self.began_s = time.monotonic()

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def receive(self, count: int = 65536) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.socket, count)

    async def answer(self) -> bytes:
        """One answer with its length, whole."""
        head, _, body = (await self.receive()).partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += await self.receive()
        return head

    async def is_cut_off(self, within_s: float = LONGEST_S) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                with contextlib.suppress(ConnectionError):
                    while await self.receive():
                        pass
                return True
        return False


Connect = Callable[..., Client]


@pytest.fixture
def connect(node: Running) -> Iterator[Connect]:
    clients: list[Client] = []

    def made(**how: int) -> Client:
        clients.append(Client(node, **how))
        return clients[-1]

    yield made
    for client in clients:
        client.socket.close()


async def test_an_unfinished_head_is_cut_off(connect: Connect) -> None:
    for before in (b"", b"G", ASK, ASK + b"Accept: image/we"):
        client = connect()
        if before:
            await client.send(before)
        assert await client.is_cut_off(), before


async def test_a_head_that_arrives_byte_by_byte_is_cut_off(connect: Connect) -> None:
    client = connect()
    with contextlib.suppress(ConnectionError):
        for number in range(100):
            await client.send(ASK[number % 20 : number % 20 + 1] if number < len(ASK) else b"x")
            await asyncio.sleep(0.05)
            if number > 60:
                pytest.fail("still connected")


async def test_an_unfinished_second_head_is_cut_off(connect: Connect) -> None:
    client = connect()
    await client.send(ASK + b"\r\n")
    assert b"200 OK" in await client.answer()
    await client.send(b"GET /")
    assert await client.is_cut_off()


async def test_an_idle_connection_is_closed_after_the_keep_alive_timeout(connect: Connect) -> None:
    client = connect()
    await client.send(ASK + b"\r\n")
    assert b"200 OK" in await client.answer()
    await asyncio.sleep(1.0)
    await client.send(ASK + b"\r\n")
    assert b"200 OK" in await client.answer(), "longer than a head may take is no fault"
    assert await client.is_cut_off()


async def test_a_head_in_pieces_is_served_within_the_timeout(connect: Connect) -> None:
    client = connect()
    for piece in (ASK[:10], ASK[10:], b"\r\n"):
        await client.send(piece)
        await asyncio.sleep(0.05)
    assert b"200 OK" in await client.answer()


async def test_a_render_may_take_longer_than_a_head(connect: Connect) -> None:
    client = connect()
    await client.send(ASK.replace(b"w_50", b"w_900,f_avif,e_blur:20") + b"\r\n")
    assert b"200 OK" in await client.answer()


@pytest.mark.parametrize("target", ["/original/large.png", "/w_50/photo.jpg"])
async def test_a_stalled_reader_is_disconnected(node: Running, connect: Connect, target: str) -> None:
    client = connect(receive_bytes=4096)
    for _ in range(1 if "large" in target else 3000):
        try:
            await asyncio.wait_for(
                client.send(b"GET " + target.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n"), 0.2
            )
        except (TimeoutError, ConnectionError):
            break
    await eventually(lambda: not connections(node))


async def test_a_client_that_reads_slowly_but_steadily_stays_connected(connect: Connect) -> None:
    """It reads all of every answer, a moment late: there is something unread whenever one looks."""
    client = connect(receive_bytes=2304)
    began_s = time.monotonic()
    while time.monotonic() - began_s < 4:
        await client.send(ASK.replace(b"w_50", b"w_300") + b"\r\n")
        await asyncio.sleep(0.05)
        assert b"200 OK" in await client.answer()


async def test_an_unread_closed_connection_is_dropped(node: Running, connect: Connect) -> None:
    """The kernel has it all, and would offer it for a quarter of an hour."""
    temporary_file(node.originals, "middling.png", pictures.png_of(400, 400) + bytes(200_000))
    client = connect(receive_bytes=4096)
    await client.send(b"GET /original/middling.png HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    await asyncio.sleep(0.3)  # The node does not wait for the reader; the connection is still there.
    assert connections(node) == 1
    await eventually(lambda: not connections(node))


@pytest.mark.parametrize(
    ("target", "size_bytes"), [("/original/large.png", 20_000_000), ("/f_png/noise.png", 2_800_000)]
)
async def test_a_slow_reader_receives_the_whole_body(connect: Connect, target: str, size_bytes: int) -> None:
    client = connect(receive_bytes=65536)
    await client.send(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    received = 0
    while part := await client.receive(size_bytes // 60):
        received += len(part)
        await asyncio.sleep(0.05)
    assert received > size_bytes


def noise() -> bytes:
    return bytes(
        pyvips.Image.gaussnoise(1000, 1100)
        .bandjoin([pyvips.Image.gaussnoise(1000, 1100)] * 2)
        .cast("uchar")
        .pngsave_buffer()
    )


async def test_a_stalled_reader_of_a_unix_socket_is_disconnected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of which the kernel itself never tires."""
    monkeypatch.setattr(server, "PROGRESS_CHECK_S", 0.3)
    path = tmp_path / "socket"
    async with running(tmp_path, server={"socket": str(path)}) as started:
        for name, size_bytes in (("large.png", 20_000_000), ("middling.png", 250_000)):
            temporary_file(started.originals, name, pictures.png_of(400, 400) + bytes(size_bytes))
            for keeps in ("keep-alive", "close"):
                with socket.socket(socket.AF_UNIX) as silent:
                    silent.setblocking(False)
                    await asyncio.get_running_loop().sock_connect(silent, str(path))
                    ask = f"GET /original/{name} HTTP/1.1\r\nHost: x\r\nConnection: {keeps}\r\n\r\n"
                    await asyncio.get_running_loop().sock_sendall(silent, ask.encode())
                    await eventually(functools.partial(has_hung_up, silent))


def has_hung_up(client: socket.socket) -> bool:
    poll = select.poll()
    poll.register(client, select.POLLHUP)
    return bool(poll.poll(0))


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 1000000\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\nExpect: 100-continue\r\n",
    ],
)  # fmt: skip
async def test_a_request_with_a_body_is_refused_at_once(node: Running, connect: Connect, head: bytes) -> None:
    client = connect()
    await client.send(ASK + head + b"\r\n")
    answer = await client.answer()
    assert b"400 Bad Request" in answer
    assert b"no-store" in answer
    assert await client.is_cut_off()


async def test_a_request_with_an_empty_body_is_served(connect: Connect) -> None:
    client = connect()
    await client.send(ASK + b"Content-Length: 0\r\n\r\n")
    assert b"200 OK" in await client.answer()


async def test_slow_clients_do_not_slow_other_clients(node: Running, connect: Connect) -> None:
    """A hundred of each kind, and pictures for everybody else meanwhile."""
    clients = [connect(receive_bytes=4096) for _ in range(300)]
    for number, client in enumerate(clients):
        match number % 3:
            case 0:
                await client.send(ASK)
            case 1:
                await client.send(ASK + b"Content-Length: 100\r\n\r\n")
            case 2:
                await client.send(b"GET /original/large.png HTTP/1.1\r\nHost: x\r\n\r\n")
    for number in range(50):
        answer = await node.get(f"/w_{50 + number % 3}/photo.jpg")
        assert answer.status == 200
    await eventually(lambda: connections(node) <= 1)


def connections(node: Running) -> int:
    """Those of the public listener that the kernel still knows as established or closing with something unsent."""
    port = int(node.node.public_url.rsplit(":", 1)[1])
    count = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        if int(local.partition(":")[2], 16) == port and state in ("01", "04", "08", "09"):
            count += 1
    return count
