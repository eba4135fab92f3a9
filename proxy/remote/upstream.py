"""Passes requests on to the old services behind mounts: nothing is stored, and the body is read as fast as the client
takes it.

A response is limited in size, the time for its head, and its transfer rate; the requests of a process are limited in
number. Times in which the client is waited for do not count.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import aiohttp
from aiohttp import hdrs

from proxy.core.errors import Overloaded, SourceTimeout, SourceUnavailable
from proxy.core.net.breaker import RetryBudget
from proxy.ports.clock import Clock
from proxy.ports.upstream import UpstreamAnswer
from proxy.remote.errors import Busy, CircuitOpen, RemoteError, TooSlow, Unavailable
from proxy.remote.guard import Guard, body_meter
from proxy.remote.guarded_http import LOOP_HEADER, as_remote_errors, guarded_session, origin_of, request_head

MAX_REQUESTS = 256
READ_TIMEOUT_S = 10.0
"""A server must send the next bytes of a body within this time."""
_CHUNK_BYTES = 64 * 1024


class UpstreamClient:
    """Satisfies UpstreamServer. `max_bytes` limits a body. `loop_token` is added to CDN-Loop, so that a
    loop of requests is detected. `chance` returns numbers from 0 to 1."""

    def __init__(
        self, *, max_bytes: int, loop_token: str, agent: str, clock: Clock, chance: Callable[[], float]
    ) -> None:
        self.max_bytes = max_bytes
        self.running = 0
        """The number of requests under way."""
        self._loop_token = loop_token
        self._agent = agent
        self._clock = clock
        self._chance = chance
        self._budget = RetryBudget()
        self._guards: dict[str, Guard] = {}
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def close(self) -> None:
        """Closes all connections."""
        while self._sessions:
            await self._sessions.popitem()[1].close()

    @asynccontextmanager
    async def request(
        self, method: str, url: str, headers: Mapping[str, str], *, allow_private: bool, deadline: float
    ) -> AsyncIterator[UpstreamAnswer]:
        if self.running >= MAX_REQUESTS:
            raise Overloaded("too many requests wait for the upstream of this mount", retry_after_s=1)
        loop = ", ".join(filter(None, (headers.get(LOOP_HEADER), self._loop_token)))
        sent = {**headers, LOOP_HEADER: loop}
        session = self._session(allow_private)
        self.running += 1
        try:
            with _as_source_errors():
                answer = await self._guard(url).call(lambda: self._head(session, method, url, sent, deadline))
            async with answer:
                yield UpstreamAnswer(answer.status, answer.headers, self._body(answer))
        finally:
            self.running -= 1

    async def _head(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: str,
        headers: Mapping[str, str],
        deadline: float,
    ) -> aiohttp.ClientResponse:
        with as_remote_errors():
            answer = await request_head(session, method, url, headers, deadline - self._clock())
        if answer.status >= 500:
            answer.close()
            later = hdrs.RETRY_AFTER in answer.headers
            raise (Busy if later else Unavailable)(f"it answers {answer.status}")
        return answer

    async def _body(self, answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        with _as_source_errors(), as_remote_errors():
            meter = body_meter(self._clock, self.max_bytes, answer.content_length)
            client_s = 0.0
            while True:
                async with asyncio.timeout(READ_TIMEOUT_S):
                    chunk = await answer.content.read(_CHUNK_BYTES)
                if not chunk:
                    return
                received_s = self._clock()
                meter.take(len(chunk), received_s - client_s)
                yield chunk
                client_s += self._clock() - received_s

    def _guard(self, url: str) -> Guard:
        return self._guards.setdefault(origin_of(url), Guard(self._clock, self._chance, self._budget))

    def _session(self, allow_private: bool) -> aiohttp.ClientSession:
        if allow_private not in self._sessions:
            self._sessions[allow_private] = guarded_session(
                headers={hdrs.USER_AGENT: self._agent, hdrs.ACCEPT_ENCODING: "identity"},
                allow_private=allow_private,
                connections=MAX_REQUESTS,
            )
        return self._sessions[allow_private]


@contextmanager
def _as_source_errors() -> Iterator[None]:
    """Raises the error of a source for a RemoteError, whose message has neither a credential nor an address."""
    try:
        yield
    except TooSlow as fault:
        raise SourceTimeout(f"the upstream of this mount did not answer in time: {fault}") from None
    except RemoteError as fault:
        retry_after_s = 1 if isinstance(fault, CircuitOpen) else None
        raise SourceUnavailable(
            f"the upstream of this mount did not answer: {fault}", retry_after_s=retry_after_s
        ) from None
