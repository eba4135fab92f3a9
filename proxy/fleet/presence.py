"""Presence flags and leases in Redis, shared by all nodes: which objects the bucket holds, and which node renders a
missing variant.

Redis holds hints only and stores no variant. A command takes `timeout_s` at most. If a command fails or times out,
the circuit opens: commands return their default at once, until a background ping succeeds.
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

from proxy.local.tasks import Tasks, cancel
from proxy.ports.clock import Clock
from proxy.ports.telemetry import Metrics
from proxy.ports.tiers import Presence

ABSENT_TTL_S = 60
CONNECT_TIMEOUT_S = 1.0
LEASE_TTL_S = 2.0
"""How long a lease outlives its node. Other nodes wait no longer for a leased variant to reach the bucket."""
MAINTENANCE_INTERVAL_S = 0.5
POLL_S = (0.01, 0.1)
CONNECTIONS = 8
"""A command takes a fraction of a millisecond; more connections would only lengthen the start."""
_NAMESPACE = "calotype"
_EXTRA_LOOP_PASSES = 5

_RENEW = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"

T = TypeVar("T")


class RedisFault(Exception):
    """Redis cannot be used. The message is one line with the remedy, without the URL."""


class RedisPresence:
    """Satisfies PresenceFlags and Leases. An async context: inside it, held leases are renewed in the background.

    `flag_ttl_s` is the lifetime of a flag for a present object.
    """

    def __init__(
        self, url: str, *, timeout_s: float, flag_ttl_s: float, metrics: Metrics, clock: Clock
    ) -> None:
        self._client: Any = redis.asyncio.Redis.from_url(
            url,
            decode_responses=True,
            encoding_errors="replace",
            # Longer than `timeout_s`: `_with_timeout` tells a slow server from a busy event loop.
            socket_timeout=5,
            socket_connect_timeout=5,
            retry=Retry(NoBackoff(), 0),
            retry_on_error=[],
        )
        try:
            pool: Any = self._client.connection_pool
            pool.make_connection()  # Does not connect, but validates the options of the URL.
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
            await cancel(self._maintenance)
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(self._timeout_s):
                await self._client.aclose()

    async def presence(self, key: str) -> Presence:
        return _presence(await self._guarded(lambda: self._client.get(_flag_key(key))))

    async def mark_absent(self, key: str) -> None:
        # NX: another node may have stored the object in the meantime.
        absent = Presence.ABSENT
        await self._guarded(lambda: self._client.set(_flag_key(key), absent, ex=ABSENT_TTL_S, nx=True))

    async def mark_present(self, key: str) -> None:
        present = Presence.PRESENT
        await self._guarded(lambda: self._client.set(_flag_key(key), present, ex=self._flag_ttl_s))

    async def unmark(self, key: str) -> None:
        await self._guarded(lambda: self._client.delete(_flag_key(key)))

    async def acquire(self, key: str, *, deadline: float) -> bool:
        now_s = answered_s = self._clock()
        wait_until_s = now_s + (deadline - now_s) / 2
        pause_s, longest_s = POLL_S
        waited = False
        self._leases.add(key)
        self._renewed.add(key)
        try:
            while True:
                answer = await self._guarded(lambda: self._try_lease(key))
                now_s = self._clock()
                if answer is not None:
                    is_ours, flag = answer
                    answered_s = now_s
                    if flag is Presence.PRESENT:
                        await self.release(key)
                        return False
                    if is_ours:
                        return True
                elif not waited or now_s - answered_s > LEASE_TTL_S:
                    return True
                if now_s >= wait_until_s:
                    return True  # A second render is better than none before the deadline.
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
            await self._guarded(lambda: self._client.eval(_RELEASE, 1, _lease_key(key), self._holder))

    @property
    def circuit_open(self) -> bool:
        """Whether the circuit is open: no command is sent until a ping succeeds."""
        return not self._is_available

    async def measure_round_trip(self) -> float:
        """The duration of a write, a read and a delete, in seconds. Raises RedisFault."""
        name = f"{_NAMESPACE}:check:{self._holder}"
        try:
            await self._client.ping()  # Opens the connection, which is not part of the measurement.
            began_s = self._clock()
            await self._client.set(name, "1", ex=ABSENT_TTL_S)
            await self._client.get(name)
            await self._client.delete(name)
        except (AuthenticationError, NoPermissionError):
            raise RedisFault("refuses the credentials; correct redis.url or its access list") from None
        except ReadOnlyError:
            raise RedisFault("is a read-only replica; name the primary in redis.url") from None
        except OutOfMemoryError:
            raise RedisFault("is full; raise its maxmemory, or let it evict (allkeys-lru)") from None
        except ResponseError:
            raise RedisFault("answers with an error; check that redis.url is a Redis server") from None
        except (RedisError, OSError):
            raise RedisFault("cannot be reached; start it, or correct redis.url") from None
        return self._clock() - began_s

    async def _try_lease(self, key: str) -> tuple[bool, Presence]:
        """Acquires the lease if it is free, and reads the flag, in one round trip."""
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.set(_lease_key(key), self._holder, px=int(LEASE_TTL_S * 1000), nx=True)
            pipe.get(_lease_key(key))
            pipe.get(_flag_key(key))
            _, holder, flag = await pipe.execute()
        return holder == self._holder, _presence(flag)

    async def _guarded(self, command: Callable[[], Awaitable[T]]) -> T | None:
        """The answer; None if the circuit is open or the command fails. Takes no longer than the timeout."""
        if not self._is_available:
            return None
        async with self._command_slots:
            if not self._is_available:
                return None
            try:
                return await self._with_timeout(command)
            except Exception as fault:
                self._metrics.tier_failed("redis", _kind(fault))
                if not isinstance(fault, ResponseError):
                    # An error reply (ResponseError) keeps the circuit closed; other failures open it.
                    self._is_available = False
                    self._circuit_opened.set()
                return None

    async def _with_timeout(self, command: Callable[[], Awaitable[T]]) -> T:
        """The answer within the timeout. A busy event loop gets a few more passes to read it."""

        async def ask() -> T:
            return await command()

        task = self._tasks.start(ask(), "redis command")
        try:
            await asyncio.wait({task}, timeout=self._timeout_s)
            for _ in range(_EXTRA_LOOP_PASSES):
                if task.done():
                    return task.result()
                await asyncio.sleep(0)
            raise TimeoutError
        finally:
            if not task.done():
                # Cancelling closes the connection; this does not wait for it.
                task.cancel()
                # An error is retrieved, so that asyncio does not log it.
                task.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _connect(self) -> None:
        """Opens the connections: each takes several round trips, for which no request should wait."""

        async def one() -> None:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._client.ping()

        results = await asyncio.gather(*(one() for _ in range(CONNECTIONS)), return_exceptions=True)
        faults = [result for result in results if isinstance(result, Exception)]
        self._is_available = not faults
        if faults:
            self._metrics.tier_failed("redis", _kind(faults[0]))

    async def _maintain(self) -> None:
        """Renews the held leases, and closes the circuit when Redis answers again."""
        while True:
            with suppress(TimeoutError):
                # A ping right after the circuit opens: a short interruption may be over.
                async with asyncio.timeout(MAINTENANCE_INTERVAL_S):
                    await self._circuit_opened.wait()
            self._circuit_opened.clear()
            if not self._is_available:
                with suppress(Exception):
                    await self._with_timeout(self._client.ping)
                    await self._connect()
            if self._renewed:
                await self._guarded(self._renew)

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
    """The flag; any other value was not written by a node."""
    return Presence(flag) if flag in ("present", "absent") else Presence.UNKNOWN


def _kind(fault: Exception) -> str:
    if isinstance(fault, TimeoutError | redis.exceptions.TimeoutError):
        return "timeout"
    return "refused" if isinstance(fault, ResponseError) else "unavailable"
