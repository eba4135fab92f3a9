"""aiohttp's server with its error answers replaced, and with patience that ends: what the HTTP parser refuses is a
problem like any other, and who sends or reads too slowly is cut off.

Nothing of the request is repeated, in the answer or in the log.
"""

import array
import asyncio
import fcntl
import termios
from contextlib import suppress

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from proxy.core.errors import BadUrl, Internal
from proxy.edge import respond

CANCEL_S = 0.1
HEAD_S = 10.0
"""How long the head of a request may take, from the connection or its first byte on."""
LOOK_S = 15.0
"""How often it is looked whether a client that is owed something takes any of it."""


class QuietHandler(RequestHandler):
    """The hook aiohttp offers: a protocol that answers for a request that could not be read."""

    __slots__ = ("_awaits_head", "_is_active", "_owed_bytes", "_watch")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._owed_bytes, self._is_active = 0, False
        self._watch = self._loop.call_later(LOOK_S, self._look)
        self._awaits_head: asyncio.TimerHandle | None = self._loop.call_later(HEAD_S, self._cut_off)

    def data_received(self, data: bytes) -> None:
        self._is_active = True
        super().data_received(data)
        if self._messages or self._current_request is not None:
            if self._awaits_head is not None:
                self._awaits_head.cancel()
                self._awaits_head = None
        elif self._awaits_head is None:
            self._awaits_head = self._loop.call_later(HEAD_S, self._cut_off)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._is_active = True

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._watch.cancel()
        if self._awaits_head is not None:
            self._awaits_head.cancel()

    def _look(self) -> None:
        """Cuts off who has neither taken nor sent anything since the last look, also where we have closed already."""
        if self.transport is None:
            return
        owed_bytes = _owed_bytes(self.transport)
        if owed_bytes and owed_bytes == self._owed_bytes and not self._is_active:
            self._cut_off()
            return
        self._owed_bytes, self._is_active = owed_bytes, False
        self._watch = self._loop.call_later(LOOK_S, self._look)

    def _cut_off(self) -> None:
        """At once: who does not read would not read the rest either."""
        if self.transport is not None:
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        if status == 500:
            self.logger.error("internal error", exc_info=exc)
            response = respond.problem(Internal("an unexpected error was logged"))
        else:
            response = respond.problem(BadUrl("the request is not valid HTTP, or its head is too large"))
        response.force_close()
        return response

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 (aiohttp's own)
        """Waits `timeout` seconds for the request under way, and no more: aiohttp's own would wait that long again
        for one that does not end."""
        if self._task_handler is not None:
            await asyncio.wait({self._task_handler}, timeout=timeout)
        await super().shutdown(CANCEL_S)


def _owed_bytes(transport: asyncio.Transport) -> int:
    """What the client has not taken: the kernel holds megabytes, and takes more of ours a megabyte at a time."""
    held = array.array("i", [0])
    with suppress(OSError, ValueError, AttributeError):  # It is gone, or going.
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, held)
    return transport.get_write_buffer_size() + held[0]


class QuietServer(web.Server):
    """Makes a QuietHandler for each connection; takes the options of `web.Server`."""

    def __call__(self) -> RequestHandler:
        return QuietHandler(self, loop=self._loop, **self._kwargs)
