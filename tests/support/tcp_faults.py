"""A TCP proxy between the code under test and a store. It counts requests and simulates faults of the store.

Bytes pass unchanged in both directions (S3 signatures cover the Host header). One mode at a time, set from the
test's thread; when the call returns it holds for new requests and for connections already open.
"""

import asyncio
import contextlib
import fcntl
import re
import socket
import struct
import termios
import threading
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from tests.support.servers import free_port

REQUEST_LINE = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.[01]\r\n")
LONGEST_HEAD = 1 << 20
PIECE = 1 << 16
DRIPS_PER_S = 20


class Ended(Exception):
    """This connection has served its time."""


@dataclass(frozen=True)
class Passing:
    pass


@dataclass(frozen=True)
class Hanging:
    pass


@dataclass(frozen=True)
class Dripping:
    bytes_per_second: int


@dataclass(frozen=True)
class Cutting:
    after_bytes: int


@dataclass(frozen=True)
class Flipping:
    offset: int


@dataclass
class Answering:
    raw: bytes
    only: str | None
    left: int | None

    def takes(self, method: str) -> bool:
        if self.only not in (None, method) or self.left == 0:
            return False
        if self.left is not None:
            self.left -= 1
        return True


Mode = Passing | Hanging | Dripping | Cutting | Flipping | Answering


@dataclass
class Framing:
    """How long the body behind a head is: `length` bytes, or chunks, or (None) until the connection ends."""

    length: int | None
    chunked: bool = False

    @classmethod
    def of_request(cls, head: bytes) -> "Framing":
        return cls(int(header(head, b"content-length") or 0), chunked(head))

    @classmethod
    def of_answer(cls, head: bytes, method: str) -> "Framing":
        if method == "HEAD" or status(head) in (204, 304):
            return cls(0)
        length = header(head, b"content-length")
        return cls(None if length is None else int(length), chunked(head))

    async def body(self, reader: asyncio.StreamReader) -> AsyncIterator[tuple[bytes, bool]]:
        """Every byte as it comes, and whether it is the body's own or belongs to the chunks' wrapping."""
        if self.chunked:
            size = -1
            while size:
                line = await reader.readuntil(b"\r\n")
                yield line, False
                size = int(line.split(b";")[0], 16)
                async for piece in exactly(reader, size):
                    yield piece, True
                if size:
                    yield await reader.readexactly(2), False
            while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
                yield line, False
            yield line, False
        elif self.length is None:
            while piece := await reader.read(PIECE):
                yield piece, True
        else:
            async for piece in exactly(reader, self.length):
                yield piece, True


def header(head: bytes, name: bytes) -> bytes | None:
    found = re.search(rb"\r\n" + name + rb":[ \t]*([^\r\n]*)", head, re.IGNORECASE)
    return found[1].strip() if found else None


def chunked(head: bytes) -> bool:
    return b"chunked" in (header(head, b"transfer-encoding") or b"").lower()


def status(head: bytes) -> int:
    return int(head.split(None, 2)[1])


async def exactly(reader: asyncio.StreamReader, size: int) -> AsyncIterator[bytes]:
    while size:
        piece = await reader.read(min(size, PIECE))
        if not piece:
            raise asyncio.IncompleteReadError(b"", size)
        size -= len(piece)
        yield piece


@contextlib.asynccontextmanager
async def ended(*tasks: asyncio.Future[Any]) -> AsyncIterator[None]:
    """None of these runs on behind this block."""
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def reset(writer: asyncio.StreamWriter) -> None:
    """What was written arrives, then an RST."""
    peer = writer.get_extra_info("socket")
    for _ in range(200):
        if not writer.transport.get_write_buffer_size() and not unsent(peer):
            break
        await asyncio.sleep(0.005)
    abort(writer)


def unsent(peer: socket.socket) -> int:
    waiting: int = struct.unpack("i", fcntl.ioctl(peer.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
    return waiting


def abort(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        reset_at_close(writer.get_extra_info("socket"))
    writer.transport.abort()


def reset_at_close(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Connection:
    """One client's connection and the store's connection that belongs to it."""

    def __init__(
        self, proxy: "FaultyProxy", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.proxy, self.reader, self.writer = proxy, reader, writer
        self.store: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.answered = 0
        self.continued = False
        self.body_begun = False

    async def serve(self) -> None:
        try:
            while True:
                await self.exchange()
        except asyncio.IncompleteReadError:
            pass
        except (Ended, OSError, ValueError, asyncio.LimitOverrunError, asyncio.CancelledError):
            abort(self.writer)
        finally:
            for writer in (self.writer, *(self.store or ())[1:]):
                writer.close()

    async def exchange(self) -> None:
        head = await self.next_head()
        line = REQUEST_LINE.match(head)
        if line is None:
            raise Ended
        method, target = line[1].decode(), line[2].decode("latin-1")
        self.proxy.saw(method, target)
        self.answered, self.continued, self.body_begun = 0, False, False
        mode = self.proxy.mode
        if isinstance(mode, Hanging):
            await self.hang()
        expects = (header(head, b"expect") or b"").lower() == b"100-continue"
        request = Framing.of_request(head)
        if isinstance(mode, Answering) and mode.takes(method):
            if not expects:
                async for _ in request.body(self.reader):
                    pass
            await self.answer_itself(mode.raw, method)
            return
        if self.store is None:
            where = (self.proxy.upstream_host, self.proxy.upstream_port)
            self.store = await asyncio.open_connection(*where, limit=LONGEST_HEAD)
        store_reader, store_writer = self.store
        store_writer.write(head)
        body = asyncio.create_task(self.pass_body(request, store_writer))
        answer = asyncio.create_task(self.pass_answer(store_reader, method))
        async with ended(body, answer):
            await asyncio.wait((body, answer), return_when=asyncio.FIRST_COMPLETED)
            if body.done():
                body.result()
            await answer
            if not expects or self.continued or self.body_begun:
                await body

    async def next_head(self) -> bytes:
        """The next request's; should the store hang up before it comes, so do we."""
        head = asyncio.ensure_future(self.reader.readuntil(b"\r\n\r\n"))
        waiting: list[asyncio.Future[bytes]] = [head]
        if self.store is not None:
            waiting.append(asyncio.ensure_future(self.store[0].read(1)))
        async with ended(*waiting):
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not head.done():
                raise asyncio.IncompleteReadError(b"", None)
            return head.result()

    async def pass_body(self, request: Framing, store: asyncio.StreamWriter) -> None:
        """A store that stopped listening may still answer, so its deafness is no error here."""
        async for piece, _ in request.body(self.reader):
            self.body_begun = True
            with contextlib.suppress(OSError):
                store.write(piece)
                await store.drain()

    async def pass_answer(self, store: asyncio.StreamReader, method: str) -> None:
        while status(head := await self.answer_head(store)) < 200:
            self.continued = True
            if isinstance(self.proxy.mode, Hanging):
                await self.hang()
            self.writer.write(head)
            await self.writer.drain()
        await self.send(head)
        at = 0
        async for piece, own in Framing.of_answer(head, method).body(store):
            mode = self.proxy.mode
            if own and isinstance(mode, Flipping) and at <= mode.offset < at + len(piece):
                flipped = bytearray(piece)
                flipped[mode.offset - at] ^= 0xFF
                await self.send(bytes(flipped))
            else:
                await self.send(piece)
            at += len(piece) if own else 0

    async def answer_head(self, store: asyncio.StreamReader) -> bytes:
        try:
            return await store.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as cut:
            await self.send(cut.partial)
            raise Ended from None

    async def answer_itself(self, raw: bytes, method: str) -> None:
        """The connection stays open only if the answer's length is what its head promises."""
        await self.send(raw)
        head, _, body = raw.partition(b"\r\n\r\n")
        framing = Framing.of_answer(head, method)
        honest = body.endswith(b"0\r\n\r\n") if framing.chunked else len(body) == framing.length
        if not honest or (header(head, b"connection") or b"").lower() == b"close":
            raise asyncio.IncompleteReadError(b"", None)

    async def send(self, data: bytes) -> None:
        """To the client, as the mode of this moment has it."""
        while data:
            mode, pause, room = self.proxy.mode, 0.0, len(data)
            if isinstance(mode, Hanging):
                await self.hang()
            elif isinstance(mode, Dripping):
                room = max(1, mode.bytes_per_second // DRIPS_PER_S)
                pause = min(room, len(data)) / mode.bytes_per_second
            elif isinstance(mode, Cutting):
                room = mode.after_bytes - self.answered
                if room <= 0:
                    await reset(self.writer)
                    raise Ended
            piece, data = data[:room], data[room:]
            self.writer.write(piece)
            await self.writer.drain()
            self.answered += len(piece)
            if pause:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.proxy.changed.wait(), pause)

    async def hang(self) -> None:
        """Reads on and says nothing, until the client leaves or the mode changes; both end the connection."""
        changed = asyncio.create_task(self.proxy.changed.wait())
        left = asyncio.create_task(self.read_to_end())
        async with ended(changed, left):
            await asyncio.wait((changed, left), return_when=asyncio.FIRST_COMPLETED)
        raise Ended

    async def read_to_end(self) -> None:
        while await self.reader.read(PIECE):
            pass


class FaultyProxy:
    def __init__(self, upstream_host: str, upstream_port: int) -> None:
        self.upstream_host, self.upstream_port = upstream_host, upstream_port
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.mode: Mode = Passing()
        self._lock = threading.Lock()
        self._requests: list[tuple[str, str]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="between", daemon=True)
        self._connections: dict[asyncio.Task[None], socket.socket] = {}
        self._listener: socket.socket | None = None
        self.changed = asyncio.Event()

    def __enter__(self) -> "FaultyProxy":
        self._thread.start()
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()
        self._do(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def requests(self) -> list[tuple[str, str]]:
        """(method, raw target) of every request seen, in order, answered or not."""
        with self._lock:
            return list(self._requests)

    def count(self, method: str = "", containing: str = "") -> int:
        return sum(method in ("", seen) and containing in target for seen, target in self.requests)

    def forget(self) -> None:
        """Counts from nought again."""
        with self._lock:
            self._requests.clear()

    def saw(self, method: str, target: str) -> None:
        with self._lock:
            self._requests.append((method, target))

    def up(self) -> None:
        self._do(self._switch(Passing()))

    def down(self) -> None:
        """Connects are refused, open connections reset."""
        self._do(self._close())

    def hang(self) -> None:
        """Accepts, reads, answers nothing; whoever hung is reset when the mode changes, and never passed on."""
        self._do(self._switch(Hanging()))

    def drip(self, bytes_per_second: int) -> None:
        self._do(self._switch(Dripping(bytes_per_second)))

    def cut(self, after_bytes: int) -> None:
        """A reset after so many bytes of each answer, head and body; shorter answers pass."""
        self._do(self._switch(Cutting(after_bytes)))

    def flip(self, offset: int) -> None:
        """The byte of each answer's body at `offset` is inverted."""
        self._do(self._switch(Flipping(offset)))

    def answer(self, raw: bytes, only: str | None = None, times: int | None = None) -> None:
        """Answers itself: every request, or those of method `only`, or the next `times` of them; others pass."""
        self._do(self._switch(Answering(raw, only, times)))

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _switch(self, mode: Mode) -> None:
        self.mode = mode
        self.changed.set()
        self.changed = asyncio.Event()
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
            self._listener.setblocking(False)
            self._loop.add_reader(self._listener, self._accept, self._listener)

    async def _close(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        connections = dict(self._connections)
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        for peer in connections.values():
            if peer.fileno() >= 0:
                reset_at_close(peer)
                peer.close()

    def _accept(self, listener: socket.socket) -> None:
        """An asyncio.Server drops what it has just accepted when it is closed; here nothing is between the two."""
        with contextlib.suppress(OSError):
            peer, _ = listener.accept()
            peer.setblocking(False)
            task = self._loop.create_task(self._serve(peer))
            self._connections[task] = peer
            task.add_done_callback(self._connections.pop)

    async def _serve(self, peer: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=peer, limit=LONGEST_HEAD)
        await Connection(self, reader, writer).serve()
