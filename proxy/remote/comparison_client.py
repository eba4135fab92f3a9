"""An HTTP client that takes a response of any status, for comparing servers. Satisfies Responder.

The operator names the server, which may be private. Redirects may lead elsewhere: then only to public addresses, unless
the server is trusted. Cookies and proxies of the environment are not used.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import NamedTuple

import aiohttp
from aiohttp import hdrs
from yarl import URL

from proxy.core.comparing.response import Response, media_type
from proxy.ports.clock import Clock
from proxy.remote.errors import Broken, RemoteError, RequestRefused, Unavailable
from proxy.remote.guard import body_meter
from proxy.remote.guarded_http import (
    any_socket,
    as_remote_errors,
    origin_of,
    plain_session,
    public_socket,
)
from proxy.remote.web import CHUNK_BYTES, MAX_REDIRECTS, REDIRECTS

RETRY_PAUSES_S = (0.5, 3.0)
"""Before each further attempt, if the server sends no Retry-After."""
MAX_RETRY_PAUSE_S = 30.0
_BUSY = frozenset({420, 429, 503})


class Server(NamedTuple):
    """Where to ask: `url` is put before each target, and `host`, if not empty, is sent as Host. With `socket_path` the
    connection goes to that Unix socket. A trusted server may redirect to private addresses."""

    url: str
    host: str = ""
    socket_path: str = ""
    is_trusted: bool = False


class ComparisonClient:
    """An async context. `headers` are sent to the server and after redirects. Reads at most `max_bytes` of a body;
    one attempt takes at most `timeout_s`."""

    def __init__(
        self, server: Server, *, headers: Mapping[str, str], timeout_s: float, max_bytes: int, clock: Clock
    ) -> None:
        self._server = server
        self._headers = {**headers, hdrs.ACCEPT_ENCODING: "identity"}
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._clock = clock
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "ComparisonClient":
        server = self._server
        self._session = await self._stack.enter_async_context(
            plain_session(
                aiohttp.UnixConnector(server.socket_path, limit=0)
                if server.socket_path
                else aiohttp.TCPConnector(limit=0, socket_factory=any_socket),
                self._headers,
            )
        )
        factory = any_socket if server.is_trusted else public_socket
        self._elsewhere = await self._stack.enter_async_context(
            plain_session(aiohttp.TCPConnector(limit=0, socket_factory=factory), self._headers)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def check(self) -> str:
        """Why the server cannot be reached; empty if it answers at all."""
        try:
            with as_remote_errors():
                async with (
                    asyncio.timeout(self._timeout_s),
                    self._session.get(URL(f"{self._server.url}/", encoded=True), allow_redirects=False),
                ):
                    return ""
        except RemoteError as failure:
            return str(failure)

    async def ask(self, target: str) -> Response:
        """As Responder. Asks again if the server is busy or closes the connection."""
        for pause_s in (*RETRY_PAUSES_S, None):
            retry_after_s = None
            try:
                async with asyncio.timeout(self._timeout_s):
                    response, retry_after_s = await self._follow(target)
                if response.status not in _BUSY:
                    return response
            except TimeoutError:
                return Response(fault="it did not answer in time")
            except (Unavailable, Broken) as failure:
                response = Response(fault=str(failure))
            except RemoteError as failure:
                return Response(fault=str(failure))
            if pause_s is None:
                break
            await asyncio.sleep(pause_s if retry_after_s is None else retry_after_s)
        return response

    async def _follow(self, target: str) -> tuple[Response, float | None]:
        """The response after redirects, and the seconds of its Retry-After. Raises RemoteError."""
        url = requested = self._server.url + target
        for _ in range(1 + MAX_REDIRECTS):
            is_same = origin_of(url) == origin_of(requested)
            session = self._session if is_same else self._elsewhere
            headers = {hdrs.HOST: self._server.host} if is_same and self._server.host else {}
            with as_remote_errors():
                async with session.get(
                    URL(url, encoded=True), headers=headers, allow_redirects=False
                ) as answer:
                    if answer.status in REDIRECTS:
                        url = _next(url, answer.headers.get(hdrs.LOCATION, ""))
                        continue
                    return await self._received(answer), _retry_after_s(answer)
        raise RequestRefused(f"it redirects more than {MAX_REDIRECTS} times")

    async def _received(self, answer: aiohttp.ClientResponse) -> Response:
        meter = body_meter(self._clock, self._max_bytes, answer.content_length)
        parts = []
        while chunk := await answer.content.read(CHUNK_BYTES):
            meter.take(len(chunk), self._clock())
            parts.append(chunk)
        kind = media_type(answer.headers.get(hdrs.CONTENT_TYPE, ""))
        return Response(answer.status, kind, b"".join(parts))


def _next(url: str, location: str) -> str:
    """The http or https URL of a redirect. Raises RequestRefused."""
    try:
        led_to = URL(url, encoded=True).join(URL(location))
    except ValueError:
        raise RequestRefused("it redirects to an invalid URL") from None
    if not location or led_to.scheme not in ("http", "https") or led_to.user or not led_to.host:
        raise RequestRefused("it redirects to an address that is not allowed")
    return str(led_to.with_fragment(None))


def _retry_after_s(answer: aiohttp.ClientResponse) -> float | None:
    """The seconds of Retry-After, at most `MAX_RETRY_PAUSE_S`; None without them, and for a date."""
    value = answer.headers.get(hdrs.RETRY_AFTER, "")
    return min(float(value), MAX_RETRY_PAUSE_S) if value.isascii() and value.isdecimal() else None
