"""aiohttp's server with its own error responses and timeouts: parser errors become problems, slow clients are
disconnected, connections above the limit are rejected, and a stopping node closes idle connections gracefully.

Repeats no byte of the request, in the response or in the log.
"""

import array
import asyncio
import fcntl
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from aiohttp import HttpVersion10, HttpVersion11, hdrs, web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from proxy.core.errors import BadUrl, CalotypeError, ExpectationFailed, Internal, Overloaded, UrlTooLong
from proxy.core.net.trusted_proxies import TrustedProxies
from proxy.edge import problems
from proxy.edge.headers import joined

CANCEL_S = 0.1
CLOSE_GRACE_STEP_S = 0.02
REJECT_LINGER_S = 0.5
MAX_REJECTED = 16
_VERSIONS = (HttpVersion10, HttpVersion11)
_WORDS = 3
"""Words in a request line; HTTP/0.9 has two."""
HEAD_S = 10.0
"""Timeout for the header of a request, from the connection or its first byte on."""
PROGRESS_CHECK_S = 15.0
"""Interval of the check whether a client with unsent bytes reads any of them."""


class ConnectionHandler(RequestHandler):
    """The hook that aiohttp offers: a protocol that responds to unreadable requests."""

    __slots__ = (
        *("_awaits_head", "_body", "_held", "_is_active", "_is_over", "_line", "_unsent_bytes", "_watch"),
        *("is_trusted", "peer"),
    )

    peer: str
    """The address of the peer; empty for a unix socket."""
    is_trusted: bool
    """Whether the forwarding headers of the peer count."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        named = transport.get_extra_info("peername")
        self.peer = named[0] if isinstance(named, tuple) else ""
        self.is_trusted = _server_of(self).trusted_proxies.trusts(self.peer)
        self._unsent_bytes, self._is_active = 0, False
        self._held, self._is_over = b"", False
        self._line: bytes | None = b""
        self._body: StreamReader = EMPTY_PAYLOAD
        self._watch = self._loop.call_later(PROGRESS_CHECK_S, self._check_progress)
        self._awaits_head: asyncio.TimerHandle | None = self._loop.call_later(HEAD_S, self._cut_off)

    def data_received(self, data: bytes) -> None:
        self._is_active = True
        self._read(data)
        if self._messages or self._current_request is not None:
            if self._awaits_head is not None:
                self._awaits_head.cancel()
                self._awaits_head = None
        elif self._awaits_head is None:
            self._awaits_head = self._loop.call_later(HEAD_S, self._cut_off)

    def _read(self, data: bytes) -> None:
        """Gives the parser one request head a call: when it refuses a head, it drops all other bytes of that call."""
        if self._held:
            data, self._held = self._held + data, b""
        at, most = 0, self._max_msg_queue_size
        while not self._is_over:
            end = _end_of_head(data, at)
            known = len(self._messages)
            self._record_beginning(data[at:end])
            super().data_received(data[at:end])
            self._refuse_unsupported(len(self._messages) > known)
            if end == len(data):
                break
            at = end
            if len(self._messages) >= most:
                self._held = data[at:]  # Until aiohttp resumes reading.
                break

    def _record_beginning(self, piece: bytes) -> None:
        """Stores the beginning of a header; None if it cannot be told from the end of a body."""
        if not self._body.is_eof():
            self._line = None
        elif self._line is not None and len(self._line) < self.max_line_size:
            self._line = (self._line + piece).lstrip(b"\r\n")

    def _refuse_unsupported(self, is_whole: bool) -> None:
        """Refuses requests that the parser accepts: HTTP/0.9, which has no header end, and unknown versions."""
        if is_whole:
            message, self._body = self._messages[-1]
            if not isinstance(message, RawRequestMessage):
                self._is_over = True
            elif message.version not in _VERSIONS:
                self._messages.pop()
                self._refuse()
            else:
                self._line = b""
        elif self._line is not None:
            line, ended, _ = self._line.partition(b"\n")
            if ended and len(line.split()) < _WORDS:
                self._refuse()

    def _refuse(self) -> None:
        self._is_over = True
        self._messages.append((_ErrInfo(400, BadHttpMessage("unsupported HTTP version"), ""), EMPTY_PAYLOAD))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._is_active = True

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._watch.cancel()
        if self._awaits_head is not None:
            self._awaits_head.cancel()

    def _check_progress(self) -> None:
        """Aborts a connection that neither took nor sent a byte since the last check, even after we closed it."""
        if self.transport is None:
            return
        unsent_bytes = _unsent_bytes(self.transport)
        if unsent_bytes and unsent_bytes == self._unsent_bytes and not self._is_active:
            self._cut_off()
            return
        self._unsent_bytes, self._is_active = unsent_bytes, False
        self._watch = self._loop.call_later(PROGRESS_CHECK_S, self._check_progress)

    def _cut_off(self) -> None:
        """Aborts at once: a client that does not read would not read an error either."""
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
            raise ConnectionError("the response has already begun")
        refuse = _server_of(self).refuse
        if status == 500:
            self.logger.error("internal error", exc_info=exc)
            response = refuse(Internal("an unexpected error was logged"), "")
        else:
            # aiohttp's request for a parser error has version HTTP/1.0 and no method.
            request._version = HttpVersion11
            method, _, rest = (self._line or b"").partition(b" ")
            if method == b"HEAD":
                request._method = hdrs.METH_HEAD
            target = rest.split(maxsplit=1)[0] if rest.strip() else b""
            response = refuse(self._refusal(exc), target.decode("utf-8", "surrogateescape"))
        response.force_close()
        return response

    def _refusal(self, exc: BaseException | None) -> CalotypeError:
        if isinstance(exc, LineTooLong) and exc.args[1] == self.max_line_size:
            return UrlTooLong(f"the URL is longer than {self.max_line_size} bytes")
        return BadUrl("the request is not valid HTTP, or its head is too large")

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 (aiohttp's own)
        """Waits at most `timeout` seconds for the request in progress; aiohttp would wait twice as long."""
        if self._task_handler is not None:
            await asyncio.wait({self._task_handler}, timeout=timeout)
        await super().shutdown(CANCEL_S)


def _end_of_head(data: bytes, at: int) -> int:
    """The end of the first request header after `at`, or the length of `data` if it does not end in `data`."""
    if data[at : at + 1] in (b"\r", b"\n"):
        return len(data) - len(data[at:].lstrip(b"\r\n"))
    end = data.find(b"\n\r\n", at)
    return len(data) if end < 0 else end + 3


def _unsent_bytes(transport: asyncio.Transport) -> int:
    """Bytes that the client has not acknowledged, with those in the kernel's send buffer of several megabytes."""
    held = array.array("i", [0])
    with suppress(OSError, ValueError, AttributeError):  # The socket is closed or closing.
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, held)
    return transport.get_write_buffer_size() + held[0]


def _server_of(handler: RequestHandler) -> "ConnectionServer":
    server = handler._manager
    assert isinstance(server, ConnectionServer)
    return server


def sender(request: web.BaseRequest) -> tuple[str, str]:
    """The client's address, and the X-Request-Id of a trusted proxy, as it is written; empty without one."""
    handler = request.protocol
    assert isinstance(handler, ConnectionHandler)
    if not handler.is_trusted:
        return handler.peer, ""
    headers = request.headers
    forwarded = joined(headers, hdrs.X_FORWARDED_FOR)
    client = _server_of(handler).trusted_proxies.client(handler.peer, forwarded)
    return client, headers.get("X-Request-Id", "")


class _RejectedConnection(asyncio.Protocol):
    """A connection above the limit: receives 503 and is closed; aborted at once if there are too many of these."""

    def __init__(self, loop: asyncio.AbstractEventLoop, others: "set[_RejectedConnection]") -> None:
        self._loop = loop
        self._others = others

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # No isinstance: uvloop has a transport class of its own.
        self._transport = cast("asyncio.Transport", transport)
        self._ends = self._loop.call_later(REJECT_LINGER_S, self._transport.abort)
        if len(self._others) >= MAX_REJECTED:
            self._transport.abort()
        self._others.add(self)

    def data_received(self, data: bytes) -> None:
        self._transport.write(_TOO_MANY)
        self._transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._ends.cancel()
        self._others.discard(self)


def _too_many() -> bytes:
    problem = problems.problem(Overloaded("too many connections", retry_after_s=1))
    assert isinstance(problem.body, bytes)
    head = "".join(f"{name}: {value}\r\n" for name, value in problem.headers.items())
    return (
        f"HTTP/1.1 503 Service Unavailable\r\n{head}Content-Length: {len(problem.body)}\r\nConnection: close\r\n\r\n"
    ).encode() + problem.body


_TOO_MANY = _too_many()


class ConnectionServer(web.Server):
    """Makes a ConnectionHandler for each connection, up to `most_connections`; takes the options of `web.Server`.
    `refuse` makes the response to an invalid request from the error and the target, which is empty if unknown."""

    def __init__(
        self,
        handler: Any,
        *,
        refuse: Callable[[CalotypeError, str], web.Response],
        trusted_proxies: TrustedProxies,
        most_connections: int,
        **options: Any,
    ) -> None:
        super().__init__(handler, **options)
        self.refuse = refuse
        self.trusted_proxies = trusted_proxies
        self._rejected: set[_RejectedConnection] = set()
        self._most_connections = most_connections
        self.rejected = 0

    def __call__(self) -> RequestHandler:
        if len(self._connections) >= self._most_connections:
            self.rejected += 1
            # asyncio accepts every protocol; aiohttp's annotation is narrower.
            return _RejectedConnection(self._loop, self._rejected)  # type: ignore[return-value]
        return ConnectionHandler(self, loop=self._loop, **self._kwargs)


class ConnectionRunner(web.ServerRunner):
    """Graceful shutdown: serves for a short grace period with `Connection: close`, set by `on_stop`, so that idle
    keep-alive connections are not closed under a request."""

    def __init__(
        self,
        server: ConnectionServer,
        on_stop: Callable[[], None],
        *,
        close_grace_s: float,
        shutdown_timeout: float,
    ) -> None:
        super().__init__(server, shutdown_timeout=shutdown_timeout)
        self._connection_server = server
        self._on_stop = on_stop
        self._close_grace_s = close_grace_s

    async def cleanup(self) -> None:
        for site in self.sites:
            await site.stop()
        self._on_stop()
        waited_s = 0.0
        while self._connection_server.connections and waited_s < self._close_grace_s:
            await asyncio.sleep(CLOSE_GRACE_STEP_S)
            waited_s += CLOSE_GRACE_STEP_S
        await super().cleanup()


class AdminAppRunner(web.AppRunner):
    """Puts a ConnectionServer, up to `most_connections`, in front of an application; takes the options of
    `web.AppRunner`. Refuses Expect itself, because aiohttp's response repeats bytes of the request."""

    def __init__(self, app: web.Application, *, most_connections: int, **options: Any) -> None:
        super().__init__(app, **options)
        self._most_connections = most_connections

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()

        async def handle(request: web.Request) -> web.StreamResponse:
            if joined(request.headers, hdrs.EXPECT).lower() not in ("", "100-continue"):
                response = problems.admin_problem(
                    ExpectationFailed("header Expect must be 100-continue or absent")
                )
                response.force_close()
                return response
            return await self.app._handle(request)

        return ConnectionServer(
            handle,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            refuse=lambda failure, _: problems.admin_problem(failure),
            trusted_proxies=TrustedProxies(()),
            most_connections=self._most_connections,
            **made._kwargs,
        )
