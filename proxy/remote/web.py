"""Other people's web servers: what must not happen is refused here.

Every connection's final address is checked, every redirect too; no cookie is kept, no proxy of the environment asked, no
encoding undone. What an original means is for `sources` to say.
"""

import asyncio
import hashlib
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import NamedTuple

import aiohttp
from aiohttp import hdrs
from yarl import URL

from proxy.core.cache.http_caching import http_date
from proxy.core.errors import CalotypeError
from proxy.core.net.addresses import is_public
from proxy.core.net.breaker import RetryBudget
from proxy.core.url.original_urls import WebLocation
from proxy.ports.clock import Clock
from proxy.ports.originals import Sink
from proxy.remote.errors import (
    AccessDenied,
    AddressNotAllowed,
    Broken,
    Busy,
    Missing,
    RemoteError,
    RequestRefused,
    TooSlow,
    Unavailable,
)
from proxy.remote.guard import Guard, Meter

CONNECT_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 3.0
CONNECTIONS = 16
"""To one host, so that a slow one is nobody else's trouble."""
MAX_REDIRECTS = 3
LOOP_HEADER = "CDN-Loop"
_CHUNK_BYTES = 256 * 1024
_PLAIN_CODINGS = frozenset({"identity", "aws-chunked"})
"""The last is left on objects by stores that have undone it."""
_TRANSFER_CODINGS = frozenset({"gzip", "x-gzip", "deflate", "compress", "x-compress", "br", "zstd"})
"""Those of a transfer that change the bytes; one that nobody knows is taken for a word without a meaning."""
_TOKEN = re.compile(r"[a-z0-9!#$&^_.+-]{1,32}", re.ASCII)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

AddressInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


class Validator(NamedTuple):
    """What tells one version of an original from another; an empty `value` is none. `place` is where redirects led, if
    anywhere, as a digest: such URLs may hold what is nobody's business. `digest` is that of the bytes: a server may send
    others under the same tag."""

    kind: str = ""
    value: str = ""
    redirect_digest: str = ""
    digest: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}\n{self.redirect_digest}\n{self.digest}".rstrip("\n")

    @classmethod
    def read(cls, text: str) -> "Validator":
        """The inverse of `str`."""
        named_value, redirect_digest, digest, *_ = f"{text}\n\n".split("\n")
        kind, _, value = named_value.partition(":")
        return cls(kind, value, redirect_digest, digest)

    def with_digest(self, digest: str) -> "Validator":
        """The same of known bytes, which are all there is where the server gives nothing."""
        return self._replace(digest=digest) if self.value else Validator("digest", digest)

    @classmethod
    def of(cls, answer: aiohttp.ClientResponse, url: str, requested: str) -> "Validator":
        """The better of those that a server gives. One that is not ASCII cannot be sent back; one of a body whose end only
        the connection tells says nothing, for the body may be a part (RFC 9112 6.3 (8))."""
        if not _is_framed(answer):
            return cls()
        for kind, name in (("tag", hdrs.ETAG), ("date", hdrs.LAST_MODIFIED)):
            if (value := answer.headers.get(name, "")).isascii() and value:
                return cls(kind, value, _redirect_digest(kind, url, requested))
        return cls()

    def condition(self, url: str, requested: str) -> dict[str, str]:
        """The header that asks `url`, to which `asked` has led, whether it still holds."""
        names = {"tag": hdrs.IF_NONE_MATCH, "date": hdrs.IF_MODIFIED_SINCE}
        is_there = self.kind in names and self.redirect_digest == _redirect_digest(self.kind, url, requested)
        return {names[self.kind]: self.value} if is_there else {}


def _redirect_digest(kind: str, url: str, requested: str) -> str:
    """A tag tells pictures of one path apart, whatever is behind its `?`; a date does not."""
    if url == requested:
        return ""
    return hashlib.sha256((url.partition("?")[0] if kind == "tag" else url).encode()).hexdigest()[:16]


class _ForeignAddress(OSError):
    """One text for all, so that asyncio makes one of several."""

    def __str__(self) -> str:
        return "the address is not public"


class WebClient:
    """The hosts of one source; an async context. `headers` are sent to whom is asked, and to no other place to which that
    redirects: they may be secrets. `me` is told to the servers, so that a loop is seen; `chance` gives
    numbers from 0 to 1."""

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
        self._stack = AsyncExitStack()
        self._session: aiohttp.ClientSession | None = None

    @property
    def circuit_open(self) -> bool:
        """Whether any of the hosts is left alone."""
        return any(guard.circuit_open for guard in self._guards.values())

    async def __aenter__(self) -> "WebClient":
        self._session = await self._stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0, limit_per_host=CONNECTIONS, socket_factory=self._socket
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=self._headers,
                auto_decompress=False,
                trust_env=False,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=READ_TIMEOUT_S
                ),
            )
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def get(self, key: str, sink: Sink, *, known: Validator | None, max_bytes: int) -> Validator | None:
        """The bytes of a key of the place into `sink`, and their validator; None where they are those of `known`. Raises
        RemoteError."""
        url = self._location.url_of(key)
        return await self._guards[self._location.host_of(url)].call(
            lambda: self._get(url, sink, known, max_bytes)
        )

    async def check(self, host: str) -> None:
        """Has a server of the place say anything at all, over TLS if it can. Raises RemoteError."""
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
            secret = self._secret_headers if _origin(url) == _origin(requested) else {}
            async with self._answer(url, secret | condition) as answer:
                if answer.status in _REDIRECTS:
                    url = self._next(url, answer.headers.get(hdrs.LOCATION, ""))
                    continue
                if answer.status == 304 and condition:
                    return None
                _check_response(answer)
                validator = Validator.of(answer, url, requested)
                if validator.value and known is not None and validator == known._replace(digest=""):
                    return None  # It does not know conditions.
                await self._receive(answer, sink, max_bytes)
                return validator
        raise RequestRefused(f"it redirects more than {MAX_REDIRECTS} times")

    def _next(self, url: str, location: str) -> str:
        if not location:
            raise RequestRefused("it redirects without saying where")
        try:
            return self._location.led_to(url, location.encode("utf-8", "surrogateescape"))
        except (CalotypeError, ValueError):
            raise AddressNotAllowed("it redirects to a place that is not allowed") from None

    async def _receive(self, answer: aiohttp.ClientResponse, sink: Sink, max_bytes: int) -> None:
        modified = answer.headers.get(hdrs.LAST_MODIFIED, "") if _is_framed(answer) else ""
        await sink.begin(max(0, http_date(modified) or 0))
        meter = Meter(self._clock, max_bytes, answer.content_length)
        while chunk := await answer.content.read(_CHUNK_BYTES):
            meter.take(chunk)
            await sink.write(chunk)

    @asynccontextmanager
    async def _answer(self, url: str, headers: dict[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._session is not None
        with _as_remote_errors():
            async with asyncio.timeout(READ_TIMEOUT_S):
                # The whole head: a drip of it would start any other clock anew.
                answer = await self._session.get(
                    URL(url, encoded=True), headers=headers, allow_redirects=False
                )
            async with answer:
                yield answer

    def _socket(self, info: AddressInfo) -> socket.socket:
        """The last hand before a connection is made, whatever name, redirect or resolver led there."""
        family, kind, protocol, _, address = info
        if not self._allow_private and not is_public(str(address[0])):
            raise _ForeignAddress
        return socket.socket(family, kind, protocol)


def _origin(url: str) -> str:
    """Scheme and host: one that is asked in clear is another place."""
    return "/".join(url.split("/", 3)[:3])


def _is_framed(answer: aiohttp.ClientResponse) -> bool:
    """Whether the answer itself tells where its body ends (RFC 9112 6.3)."""
    if transfer := _listed(answer, hdrs.TRANSFER_ENCODING):
        return transfer[-1] == "chunked"
    return hdrs.CONTENT_LENGTH in answer.headers


def _check_response(answer: aiohttp.ClientResponse) -> None:
    """Raises RemoteError unless this is the whole of what was asked for, as it is."""
    status = answer.status
    if status in (404, 410):
        raise Missing("there is no such original")
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
        raise RequestRefused(f"it encodes its answer ({named}) though it was asked not to")


def _listed(answer: aiohttp.ClientResponse, name: str) -> list[str]:
    """The codings of a header, in their order, without parameters (RFC 9110 5.6.1.2, 8.4; RFC 9112 7)."""
    fields = ",".join(answer.headers.getall(name, ()))
    listed = (coding.partition(";")[0].strip(" \t").lower() for coding in fields.split(","))
    return [coding for coding in listed if coding]


@contextmanager
def _as_remote_errors() -> Iterator[None]:
    """Faults of aiohttp as one of ours."""
    try:
        yield
    except RemoteError:
        raise
    except aiohttp.ClientConnectorError as fault:
        if isinstance(fault.os_error, _ForeignAddress):
            raise AddressNotAllowed("its address is not public") from None
        raise Unavailable(_unreachable(fault)) from None
    except aiohttp.ConnectionTimeoutError:
        raise TooSlow("no connection to it was made in time") from None
    except TimeoutError:
        raise TooSlow("it did not answer in time") from None
    except aiohttp.ClientResponseError:
        raise Broken("its answer is not HTTP that can be understood") from None
    except aiohttp.ClientPayloadError:
        raise Broken("its answer broke off before the end") from None
    except (aiohttp.ServerDisconnectedError, ConnectionError):
        raise Unavailable("it closed the connection before it answered") from None
    except (aiohttp.ClientError, OSError):
        raise Unavailable("it broke off") from None
    except ValueError:
        raise Broken("its answer cannot be understood") from None


def _unreachable(fault: aiohttp.ClientConnectorError) -> str:
    """Why there is no connection; the fault's own words hold the address."""
    match fault:
        case aiohttp.ClientConnectorDNSError():
            return "its name has no address"
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not trusted"
        case aiohttp.ClientConnectorSSLError():
            return "TLS with it failed"
    if isinstance(fault.os_error, ConnectionRefusedError):
        return "it refuses connections"
    return "it cannot be reached"
