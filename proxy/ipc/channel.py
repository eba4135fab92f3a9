"""Messages between the processes of a node over a private unix socket: a pickled value and file descriptors.

Both ends run the same version of Calotype. Nothing from outside the node is unpickled here.
"""

import asyncio
import os
import pickle
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

_HEAD = struct.Struct("!Q")
_MAX_DESCRIPTORS = 8


class Closed(Exception):
    """The other end closed the connection."""


class Message(NamedTuple):
    """A received message. The receiver closes the descriptors."""

    value: Any
    descriptors: list[int]


class Channel:
    """One end of a connection, for one call at a time."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end

    @classmethod
    async def connect(cls, path: str) -> "Channel":
        """Connects to the socket at `path`. Messages wait until the other end accepts. Raises OSError."""
        end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            end.setblocking(False)
            await asyncio.get_running_loop().sock_connect(end, path)
        except BaseException:
            end.close()
            raise
        return cls(end)

    async def send(self, value: object, descriptors: list[int] | None = None) -> None:
        """Raises Closed."""
        text = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        message = memoryview(_HEAD.pack(len(text)) + text)
        try:
            if descriptors:
                # The buffer of the socket is empty before a call, so this does not block.
                message = message[socket.send_fds(self._end, [message], descriptors) :]
            await asyncio.get_running_loop().sock_sendall(self._end, message)
        except OSError:
            raise Closed from None

    async def receive(self) -> Message:
        """Raises Closed. If it is cancelled within a message, it closes the channel and the received descriptors."""
        head, descriptors = b"", list[int]()
        try:
            while len(head) < _HEAD.size:
                part, passed = await self._with_descriptors(_HEAD.size - len(head))
                head += part
                descriptors += passed
            (length,) = _HEAD.unpack(head)
            return Message(pickle.loads(await self._exactly(length)), descriptors)  # noqa: S301 (see above)
        except BaseException:
            for descriptor in descriptors:
                os.close(descriptor)
            if head:
                self.close()
            raise

    @contextmanager
    def watched(self, notice: Callable[[], object]) -> Iterator[None]:
        """Calls `notice` when the other end closes the connection or sends out of turn."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._end, notice)
        try:
            yield
        finally:
            loop.remove_reader(self._end)

    def close(self) -> None:
        self._end.close()

    async def _with_descriptors(self, count: int) -> tuple[bytes, list[int]]:
        while True:
            try:
                # Close-on-exec, so that child processes do not inherit the descriptors.
                part, descriptors, _, _ = socket.recv_fds(
                    self._end, count, _MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                await self._readable()
            except OSError:
                raise Closed from None
            else:
                if not part:
                    raise Closed
                return part, descriptors

    async def _readable(self) -> None:
        readable = asyncio.Event()
        with self.watched(readable.set):
            await readable.wait()

    async def _exactly(self, count: int) -> bytearray:
        loop = asyncio.get_running_loop()
        received = bytearray(count)
        view = memoryview(received)
        while view:
            try:
                got = await loop.sock_recv_into(self._end, view)
            except OSError:
                got = 0
            if not got:
                raise Closed
            view = view[got:]
        return received
