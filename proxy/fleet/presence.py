"""Redis, the nodes' meeting point: presence flags of what is in the bucket, and whose turn it is to make what is not.

A hint, never the store. It is asked for `timeout` at most; if it fails or hangs, it is not asked again until it has
answered a ping behind the scenes, and nobody waits meanwhile.
"""

import asyncio
import math
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from proxy.local.tasks import Tasks
from proxy.ports.clock import Clock
from proxy.ports.telemetry import Metrics
from proxy.ports.tiers import Presence

ABSENT_TTL_S = 60
CONNECT_TIMEOUT_S = 1.0
LEASE_TTL_S = 2.0
"""How long a turn outlives the node that took it, and how long its variant may be on its way to the bucket."""
MAINTENANCE_INTERVAL_S = 0.5
POLL_S = (0.01, 0.1)
CONNECTIONS = 8
"""A command takes a fraction of a millisecond: more at once would only be longer in the making."""
_NAMESPACE = "calotype"
_EXTRA_LOOP_PASSES = 5

_RENEW = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"

T = TypeVar("T")


class RedisFault(Exception):
    """Redis cannot be used; one line that says how to mend it, without its URL."""


class RedisPresence:
    """Satisfies Flags and Turns. An async context: entered it starts to look after its turns, left it stops.

    `flag_ttl_s` is how long a flag stays that says an object is there.
    """

    def __init__(
        self, url: str, *, timeout_s: float, flag_ttl_s: float, metrics: Metrics, clock: Clock
    ) -> None:
        self._client: Any = redis.asyncio.Redis.from_url(
            url,
            decode_responses=True,
            encoding_errors="replace",
            # Our own guard is the shorter one: it can tell a slow server from a busy loop.
            socket_timeout=5,
            socket_connect_timeout=5,
            retry=Retry(NoBackoff(), 0),
            retry_on_error=[],
        )
        try:
            pool: Any = self._client.connection_pool
            pool.make_connection()  # Connects nowhere, but reads all options of the URL.
        except TypeError as fault:
            raise ValueError("unknown option in the URL") from fault
        self._timeout_s = timeout_s
        self._flag_ttl_s = math.ceil(flag_ttl_s)
        self._metrics = metrics
        self._clock = clock
        self._holder = secrets.token_hex(16)
        self._is_available = True
        self._command_slots = asyncio.Semaphore(CONNECTIONS)
        self._leases: set[str] = set()
        self._renewed: set[str] = set()
        self._circuit_opened = asyncio.Event()
        self._tasks = Tasks()
        self._maintenance: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "RedisPresence":
        await self._connect()
        self._maintenance = self._tasks.start(self._maintain(), "redis")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._maintenance is not None:
            self._maintenance.cancel()
            await asyncio.gather(self._maintenance, return_exceptions=True)
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(self._timeout_s):
                await self._client.aclose()

    async def presence(self, key: str) -> Presence:
        return _presence(await self._guarded(lambda: self._client.get(_flag_key(key)), None))

    async def mark_absent(self, key: str) -> None:
        # Over nothing only nothing: another node may have stored it meanwhile.
        absent = Presence.ABSENT.value
        await self._guarded(lambda: self._client.set(_flag_key(key), absent, ex=ABSENT_TTL_S, nx=True), None)

    async def mark_present(self, key: str) -> None:
        present = Presence.PRESENT.value
        await self._guarded(lambda: self._client.set(_flag_key(key), present, ex=self._flag_ttl_s), None)

    async def unmark(self, key: str) -> None:
        await self._guarded(lambda: self._client.delete(_flag_key(key)), None)

    async def acquire(self, key: str, *, deadline: float) -> bool:
        now_s = heard_s = self._clock()
        patient_until_s = now_s + (deadline - now_s) / 2
        pause_s, longest_s = POLL_S
        waited = False
        self._leases.add(key)
        self._renewed.add(key)
        try:
            while True:
                answer = await self._guarded(lambda: self._try_lease(key), None)
                now_s = self._clock()
                if answer is not None:
                    ours, flag = answer
                    heard_s = now_s
                    if flag is Presence.PRESENT:
                        await self.release(key)
                        return False
                    if ours:
                        return True
                elif not waited or now_s - heard_s > LEASE_TTL_S:
                    return True
                if now_s >= patient_until_s:
                    return True  # Better a second render than none in time.
                waited = True
                await asyncio.sleep(pause_s)
                pause_s = min(longest_s, 1.5 * pause_s)
        except BaseException:
            await self.release(key)
            raise

    def complete(self, key: str) -> None:
        self._renewed.discard(key)

    async def release(self, key: str) -> None:
        self._renewed.discard(key)
        if key in self._leases:
            self._leases.remove(key)
            await self._guarded(lambda: self._client.eval(_RELEASE, 1, _lease_key(key), self._holder), None)

    @property
    def circuit_open(self) -> bool:
        """Whether it is left alone until it has answered again."""
        return not self._is_available

    async def measure_round_trip(self) -> float:
        """The seconds a write and a read take. Raises RedisFault, in words for the owner."""
        name = f"{_NAMESPACE}:check:{self._holder}"
        try:
            await self._client.ping()  # The time a connection takes is paid once, and by no request.
            began_s = self._clock()
            await self._client.set(name, "1", ex=ABSENT_TTL_S)
            await self._client.get(name)
            await self._client.delete(name)
        except (AuthenticationError, NoPermissionError):
            raise RedisFault("refuses these credentials; correct redis.url, or its access list") from None
        except ReadOnlyError:
            raise RedisFault("is a read-only replica; name the primary in redis.url") from None
        except OutOfMemoryError:
            raise RedisFault("is full; raise its maxmemory, or let it evict (allkeys-lru)") from None
        except ResponseError:
            raise RedisFault("answers with an error; is redis.url that of a Redis?") from None
        except (RedisError, OSError):
            raise RedisFault("cannot be reached; start it, or correct redis.url") from None
        return self._clock() - began_s

    async def _try_lease(self, key: str) -> tuple[bool, Presence]:
        """Takes the turn if nobody has it, and reads the flag, in one round trip."""
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.set(_lease_key(key), self._holder, px=int(LEASE_TTL_S * 1000), nx=True)
            pipe.get(_lease_key(key))
            pipe.get(_flag_key(key))
            _, holder, flag = await pipe.execute()
        return holder == self._holder, _presence(flag)

    async def _guarded(self, command: Callable[[], Awaitable[T]], otherwise: T) -> T:
        """The answer, or `otherwise` where Redis is out of order; never longer than the timeout."""
        if not self._is_available:
            return otherwise
        async with self._command_slots:
            if not self._is_available:
                return otherwise
            try:
                return await self._with_timeout(command)
            except Exception as fault:
                self._metrics.tier_failed("redis", _kind(fault))
                if not isinstance(fault, ResponseError):
                    # A server that answers, if only with no, costs nothing to ask again; this one is left alone.
                    self._is_available = False
                    self._circuit_opened.set()
                return otherwise

    async def _with_timeout(self, command: Callable[[], Awaitable[T]]) -> T:
        """The answer within the timeout; a loop too busy to read what has arrived gets a few more turns to do so."""

        async def ask() -> T:
            return await command()

        asking = self._tasks.start(ask(), "redis command")
        try:
            await asyncio.wait({asking}, timeout=self._timeout_s)
            for _ in range(_EXTRA_LOOP_PASSES):
                if asking.done():
                    return asking.result()
                await asyncio.sleep(0)
            raise TimeoutError
        finally:
            if not asking.done():
                # This closes its connection; nobody waits for that.
                asking.cancel()
                asking.add_done_callback(self._read_failure)

    @staticmethod
    def _read_failure(abandoned: asyncio.Task[Any]) -> None:
        if not abandoned.cancelled():
            abandoned.exception()  # Read, so that it is not reported as lost.

    async def _connect(self) -> None:
        """Makes the connections: each takes several round trips, for which no request should wait."""

        async def one() -> None:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._client.ping()

        tried = await asyncio.gather(*(one() for _ in range(CONNECTIONS)), return_exceptions=True)
        faults = [result for result in tried if isinstance(result, Exception)]
        self._is_available = not faults
        if faults:
            self._metrics.tier_failed("redis", _kind(faults[0]))

    async def _maintain(self) -> None:
        """Keeps the turns that are held, and finds out when a Redis that was given up is back."""
        while True:
            with suppress(TimeoutError):
                # A hiccup is over at once, and many wait for it to be.
                async with asyncio.timeout(MAINTENANCE_INTERVAL_S):
                    await self._circuit_opened.wait()
            self._circuit_opened.clear()
            if not self._is_available:
                with suppress(Exception):
                    await self._with_timeout(self._client.ping)
                    await self._connect()
            if self._renewed:
                await self._guarded(self._renew, None)

    async def _renew(self) -> None:
        async with self._client.pipeline(transaction=False) as pipe:
            for key in self._renewed:
                pipe.eval(_RENEW, 1, _lease_key(key), self._holder, int(LEASE_TTL_S * 1000))
            await pipe.execute()


def _flag_key(key: str) -> str:
    return f"{_NAMESPACE}:flag:{key}"


def _lease_key(key: str) -> str:
    return f"{_NAMESPACE}:turn:{key}"


def _presence(flag: str | None) -> Presence:
    """What else stands there is nothing we wrote."""
    return Presence(flag) if flag in ("present", "absent") else Presence.UNKNOWN


def _kind(fault: Exception) -> str:
    if isinstance(fault, TimeoutError | redis.exceptions.TimeoutError):
        return "timeout"
    return "refused" if isinstance(fault, ResponseError) else "unavailable"
