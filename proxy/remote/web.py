"""An HTTP client for web servers of others, with restrictions.

The address of every connection is checked, after redirects too. Cookies, proxies of the environment and content
codings are not used. `sources` interprets the originals.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiohttp
from aiohttp import hdrs

from proxy.core.cache.http_caching import http_date
from proxy.core.errors import CalotypeError
from proxy.core.net.breaker import RetryBudget
from proxy.core.url.original_urls import WebLocation
from proxy.ports.clock import Clock
from proxy.ports.originals import Sink
from proxy.remote.errors import (
    AccessDenied,
    AddressNotAllowed,
    Busy,
    Missing,
    RequestRefused,
    TooSlow,
    Unavailable,
)
from proxy.remote.guard import Guard, body_meter
from proxy.remote.guarded_http import LOOP_HEADER, as_remote_errors, guarded_session, origin_of, request_head

READ_TIMEOUT_S = 3.0
CONNECTIONS = 16
"""Per host, so that a slow host does not affect others."""
MAX_REDIRECTS = 3
CHUNK_BYTES = 256 * 1024
_PLAIN_CODINGS = frozenset({"identity", "aws-chunked"})
"""Some stores leave aws-chunked on objects that they have decoded."""
_TRANSFER_CODINGS = frozenset({"gzip", "x-gzip", "deflate", "compress", "x-compress", "br", "zstd"})
"""Transfer codings that change the bytes; unknown ones are ignored."""
_TOKEN = re.compile(r"[a-z0-9!#$&^_.+-]{1,32}", re.ASCII)
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Validator(NamedTuple):
    """The validator of a version of an original; none if `value` is empty. `redirect_digest` is a digest of the URL
    after redirects, if any, because such URLs may be secret. `digest` is that of the bytes, because a server may
    send other bytes under the same tag."""

    kind: str = ""
    value: str = ""
    redirect_digest: str = ""
    digest: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}\n{self.redirect_digest}\n{self.digest}".rstrip("\n")

    @classmethod
    def read(cls, text: str) -> "Validator":
        """The inverse of `str`."""
        validator, redirect_digest, digest, *_ = f"{text}\n\n".split("\n")
        kind, _, value = validator.partition(":")
        return cls(kind, value, redirect_digest, digest)

    def with_digest(self, digest: str) -> "Validator":
        """This validator with the digest of the bytes; the digest alone if the server sent no validator."""
        return self._replace(digest=digest) if self.value else Validator("digest", digest)

    @classmethod
    def of(cls, answer: aiohttp.ClientResponse, url: str, requested: str) -> "Validator":
        """The strongest validator of a response. A validator that is not ASCII cannot be sent back and is ignored;
        so is that of a body delimited by the end of the connection, which may be incomplete (RFC 9112, 6.3 (8))."""
        if not _is_framed(answer):
            return cls()
        for kind, name in (("tag", hdrs.ETAG), ("date", hdrs.LAST_MODIFIED)):
            if (value := answer.headers.get(name, "")).isascii() and value:
                return cls(kind, value, _redirect_digest(kind, url, requested))
        return cls()

    def condition(self, url: str, requested: str) -> dict[str, str]:
        """The conditional header for `url`, to which `requested` redirects; empty for the validator of another URL."""
        names = {"tag": hdrs.IF_NONE_MATCH, "date": hdrs.IF_MODIFIED_SINCE}
        is_there = self.kind in names and self.redirect_digest == _redirect_digest(self.kind, url, requested)
        return {names[self.kind]: self.value} if is_there else {}


def _redirect_digest(kind: str, url: str, requested: str) -> str:
    """The digest of the URL after redirects; empty without a redirect. For an entity tag the query string is left
    out, because the tag identifies the version of a path; a date does not."""
    if url == requested:
        return ""
    return hashlib.sha256((url.partition("?")[0] if kind == "tag" else url).encode()).hexdigest()[:16]


class WebClient:
    """A client for the hosts of one source; an async context. `headers` may be secrets: they are sent to the
    requested origin, but not after a redirect to another one. `loop_token` is sent in CDN-Loop, so that servers
    detect a loop. `chance` returns numbers from 0 to 1."""

    def __init__(
        self,
        location: WebLocation,
        *,
        headers: Mapping[str, str] = {},
        allow_private: bool,
        loop_token: str,
        agent: str,
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self._location = location
        self._secret_headers = dict(headers)
        self._allow_private = allow_private
        self._headers = {
            hdrs.USER_AGENT: agent,
            hdrs.ACCEPT: "image/*, */*;q=0.1",
            hdrs.ACCEPT_ENCODING: "identity",
            LOOP_HEADER: loop_token,
        }
        self._clock = clock
        budget = RetryBudget()
        self._guards = {host: Guard(clock, chance, budget) for host in location.reached}
        self._session: aiohttp.ClientSession | None = None

    @property
    def circuit_open(self) -> bool:
        """Whether the circuit breaker of any host is open."""
        return any(guard.circuit_open for guard in self._guards.values())

    async def __aenter__(self) -> "WebClient":
        self._session = guarded_session(
            headers=self._headers,
            allow_private=self._allow_private,
            connections=CONNECTIONS,
            read_timeout_s=READ_TIMEOUT_S,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def get(self, key: str, sink: Sink, *, known: Validator | None, max_bytes: int) -> Validator | None:
        """Reads `key` into `sink` and returns its validator; None if `known` is still valid. Raises RemoteError."""
        url = self._location.url_of(key)
        return await self._guards[self._location.host_of(url)].call(
            lambda: self._get(url, sink, known, max_bytes)
        )

    async def check(self, host: str) -> None:
        """Requests `/` from `host`, over TLS if possible. Any response suffices. Raises RemoteError."""
        try:
            async with self._answer(f"https://{host}/", {}):
                return
        except (Unavailable, TooSlow):
            async with self._answer(f"http://{host}/", {}):
                return

    async def _get(self, url: str, sink: Sink, known: Validator | None, max_bytes: int) -> Validator | None:
        requested = url
        for _ in range(1 + MAX_REDIRECTS):
            condition = known.condition(url, requested) if known else {}
            secret = self._secret_headers if origin_of(url) == origin_of(requested) else {}
            async with self._answer(url, secret | condition) as answer:
                if answer.status in REDIRECTS:
                    url = self._next(url, answer.headers.get(hdrs.LOCATION, ""))
                    continue
                if answer.status == 304 and condition:
                    return None
                _check_response(answer)
                validator = Validator.of(answer, url, requested)
                if validator.value and known is not None and validator == known._replace(digest=""):
                    return None  # The server ignores conditional requests.
                await self._receive(answer, sink, max_bytes)
                return validator
        raise RequestRefused(f"it redirects more than {MAX_REDIRECTS} times")

    def _next(self, url: str, location: str) -> str:
        if not location:
            raise RequestRefused("it redirects without a Location header")
        try:
            return self._location.led_to(url, location.encode("utf-8", "surrogateescape"))
        except (CalotypeError, ValueError):
            raise AddressNotAllowed("it redirects to an address that is not allowed") from None

    async def _receive(self, answer: aiohttp.ClientResponse, sink: Sink, max_bytes: int) -> None:
        modified = answer.headers.get(hdrs.LAST_MODIFIED, "") if _is_framed(answer) else ""
        await sink.begin(max(0, http_date(modified) or 0))
        meter = body_meter(self._clock, max_bytes, answer.content_length)
        while chunk := await answer.content.read(CHUNK_BYTES):
            meter.take(len(chunk), self._clock())
            await sink.write(chunk)

    @asynccontextmanager
    async def _answer(self, url: str, headers: dict[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._session is not None
        with as_remote_errors():
            answer = await request_head(self._session, hdrs.METH_GET, url, headers, READ_TIMEOUT_S)
            async with answer:
                yield answer


def _is_framed(answer: aiohttp.ClientResponse) -> bool:
    """Whether the response has a Content-Length or is chunked (RFC 9112, section 6.3)."""
    if transfer := _listed(answer, hdrs.TRANSFER_ENCODING):
        return transfer[-1] == "chunked"
    return hdrs.CONTENT_LENGTH in answer.headers


def _check_response(answer: aiohttp.ClientResponse) -> None:
    """Raises RemoteError unless the response is a complete, unencoded 200."""
    status = answer.status
    if status in (404, 410):
        raise Missing("the original does not exist")
    if status in (401, 403, 451):
        raise AccessDenied(f"it answers {status}")
    if status >= 500:
        later = hdrs.RETRY_AFTER in answer.headers
        raise (Busy if later else Unavailable)(f"it answers {status}")
    if status != 200:
        raise RequestRefused(f"it answers {status}")
    codings = [coding for coding in _listed(answer, hdrs.CONTENT_ENCODING) if coding not in _PLAIN_CODINGS]
    codings += [coding for coding in _listed(answer, hdrs.TRANSFER_ENCODING) if coding in _TRANSFER_CODINGS]
    if codings:
        named = ", ".join(coding if _TOKEN.fullmatch(coding) else "unknown" for coding in codings)
        raise RequestRefused(f"its response is encoded ({named}), although the request excludes that")


def _listed(answer: aiohttp.ClientResponse, name: str) -> list[str]:
    """The codings of a header in order, without parameters (RFC 9110, 5.6.1.2 and 8.4; RFC 9112, 7)."""
    fields = ",".join(answer.headers.getall(name, ()))
    listed = (coding.partition(";")[0].strip(" \t").lower() for coding in fields.split(","))
    return [coding for coding in listed if coding]
