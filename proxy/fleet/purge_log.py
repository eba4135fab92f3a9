"""The purge log that all nodes share over Redis: a table of all purges, a stream of new purges, and for each node
the position in the stream that it has acknowledged.

A purge is complete when every node that has not signed off has acknowledged it. Redis is not the only copy: each
node has all purges on its disk, and restores them to a Redis that has lost them.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import redis.asyncio
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from proxy.core.cache.generations import Generations, Purge, PurgeScope, ScopeKind
from proxy.local.tasks import Tasks
from proxy.ports.clock import Clock

HEARTBEAT_S = 1.0
CONFIRM_TIMEOUT_S = 4.0
"""Longer than a node may take to invalidate its own processes."""
REDIS_TIMEOUT_S = 1.0
POLL_S = 0.01
CANCEL_S = 0.1
RETRY_PAUSE_S = 0.5
MIN_REDIS_AGE_S = 2.5
"""The table of a younger Redis may be incomplete: running nodes need this time to detect that Redis lost data, or
was restored from an old copy, and to restore the missing purges."""
GONE_TTL_S = 60.0
NODE_EXPIRY_S = 86_400.0
"""A node that acknowledges nothing for so long is removed."""
GONE = "gone"
"""The position of a node that has signed off. An operator may write it for a node that is lost."""
_STREAM_ENTRIES = 10_000
_BATCH = 500
_TOKEN = re.compile(r"(?:[0-9a-f]{16,64})?")
_INTEGER = re.compile(r"[0-9]{1,20}")
_TABLE = "calotype:purges"
_STREAM = "calotype:purge-stream"
_NODES = "calotype:nodes"
_COUNT = "calotype:purge-count"
_EPOCH_FIELD = ""
_FIRST_POSITION = "0-0"

_PUBLISH = """
for at = 2, #ARGV, 2 do
    if ARGV[at + 1] ~= '' then
        local known = redis.call('HGET', KEYS[1], ARGV[at])
        if not known or known < ARGV[at + 1] then redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1]) end
    end
    local number = redis.call('INCR', KEYS[3])
    redis.call(
        'XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], '*', 'scope', ARGV[at], 'token', ARGV[at + 1], 'number', number
    )
end
return redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1][1]
"""

ApplyRemote = Callable[[Sequence[Purge]], Awaitable[list[str]]]


class _OtherNode(NamedTuple):
    """The last position of another node, and when it changed, on this node's clock."""

    position: str
    changed_s: float


class RedisPurgeLog:
    """Satisfies SharedPurgeLog. `name` identifies this node and survives a restart; `instance` identifies the process.
    `is_running` tells whether another instance of this node on this disk is running. `caught_up` is set when this
    node has applied all earlier purges; nothing else waits for Redis."""

    def __init__(
        self,
        url: str,
        *,
        name: str,
        instance: str,
        is_running: Callable[[str], bool],
        generations: Generations,
        clock: Clock,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._client: Any = redis.asyncio.Redis.from_url(
            url,
            decode_responses=True,
            encoding_errors="replace",
            socket_timeout=HEARTBEAT_S + 2 * REDIS_TIMEOUT_S,
            socket_connect_timeout=REDIS_TIMEOUT_S,
            # One retry, for a connection that was closed while idle.
            retry=Retry(NoBackoff(), 1),
        )
        self._name = name
        self._member = f"{name}.{instance}"
        self._is_running = is_running
        self._generations = generations
        self._clock = clock
        self._log = log
        self._apply: ApplyRemote | None = None
        self._epoch: str | None = None
        self._position = _FIRST_POSITION
        self._number = 0
        self._has_unpublished = False
        self._other_nodes: dict[str, _OtherNode] = {}
        self._gone_since_s: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None
        self.caught_up = asyncio.Event()

    def start(self, apply: ApplyRemote) -> None:
        """Starts. `apply` applies purges; it returns a message for each part of this node that has not confirmed."""
        self._apply = apply
        self._task = Tasks().start(self._run(), "purge log")

    async def close(self) -> None:
        """Signs off: other nodes no longer wait for this node."""
        while self._task is not None and not self._task.done():
            # redis-py may turn a cancellation into a timeout, so cancel until the task ends.
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CANCEL_S)
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(REDIS_TIMEOUT_S):
                await self._client.hset(_NODES, self._member, GONE)
                await self._client.aclose()

    async def publish(self, purges: Sequence[Purge]) -> list[str]:
        try:
            last = await self._send(purges)
        except (RedisError, OSError, TimeoutError) as fault:
            self._has_unpublished = True
            return [f"redis: {_kind(fault)}, so other nodes get the purge later"]
        if not self.caught_up.is_set():
            return ["redis: this node has not synchronized yet, and does not know the other nodes"]
        deadline = self._clock() + CONFIRM_TIMEOUT_S
        waiting: dict[str, _OtherNode] = {}
        while self._clock() < deadline:
            try:
                async with asyncio.timeout(REDIS_TIMEOUT_S):
                    waiting = await self._unconfirmed(last)
            except (RedisError, OSError, TimeoutError) as fault:
                return [f"redis: {_kind(fault)} before all nodes had confirmed"]
            if not waiting:
                return []
            await asyncio.sleep(POLL_S)
        now_s = self._clock()
        return [
            f"node {name}: has not confirmed; last heartbeat {now_s - other.changed_s:.0f} s ago"
            for name, other in sorted(waiting.items())
        ]

    async def _send(self, purges: Sequence[Purge]) -> str:
        """Adds purges to table and stream; returns the position of the last one."""
        last = _FIRST_POSITION
        for first in range(0, len(purges), _BATCH):
            batch = purges[first : first + _BATCH]
            texts = [text for scope, token in batch for text in (_encoded(scope), token)]
            async with asyncio.timeout(REDIS_TIMEOUT_S):
                last = await self._client.eval(
                    _PUBLISH, 3, _TABLE, _STREAM, _COUNT, str(_STREAM_ENTRIES), *texts
                )
        return last

    async def _unconfirmed(self, last: str) -> dict[str, _OtherNode]:
        """The nodes that have not acknowledged `last`. Includes nodes missing from a Redis that lost its data;
        acknowledgements given before the loss do not count."""
        await self._refresh_nodes()
        if await self._client.hget(_TABLE, _EPOCH_FIELD) != self._epoch:
            return dict(self._other_nodes)
        return {
            name: other
            for name, other in self._other_nodes.items()
            if name != self._member and _entry_id(other.position) < _entry_id(last)
        }

    async def _refresh_nodes(self) -> None:
        """Reads the positions of all nodes, and removes nodes that have gone."""
        received: dict[str, str] = await self._client.hgetall(_NODES)
        now_s = self._clock()
        for name, position in received.items():
            if name not in self._other_nodes or self._other_nodes[name].position != position:
                self._other_nodes[name] = _OtherNode(position, now_s)
        gone = [name for name, other in self._other_nodes.items() if self._is_gone(name, other, now_s)]
        for name in gone:
            del self._other_nodes[name]
        # The entry of a gone node stays for `GONE_TTL_S`, so that other nodes see it.
        if lost := [name for name in gone if name in received and received[name] != GONE]:
            await self._client.hset(_NODES, mapping=dict.fromkeys(lost, GONE))
        for name in received.keys() & self._gone_since_s.keys():
            if now_s - self._gone_since_s[name] > GONE_TTL_S:
                del self._gone_since_s[name]
                await self._client.hdel(_NODES, name)
        for name in gone:
            self._gone_since_s.setdefault(name, now_s)

    def _is_gone(self, name: str, other: _OtherNode, now_s: float) -> bool:
        owner, _, instance = name.rpartition(".")
        if other.position == GONE or now_s - other.changed_s > NODE_EXPIRY_S:
            return True
        return owner == self._name and name != self._member and not self._is_running(instance)

    async def _run(self) -> None:
        """Synchronizes with Redis, then reads purges until `close`; restarts after a failure."""
        was_available = True
        while True:
            try:
                await self._synchronize()
                self.caught_up.set()
                was_available = True
                while True:
                    await self._read_next()
            except Exception as failure:
                # After any failure: a node must not stop receiving purges.
                if was_available:
                    self._log.warning("purges of other nodes cannot be received", reason=_kind(failure))
                was_available = False
                await asyncio.sleep(RETRY_PAUSE_S)

    async def _synchronize(self) -> None:
        """Registers this node, then applies the purges of the table and adds the missing ones. A later purge waits
        for this node; an earlier one is in the table."""
        self._has_unpublished = False
        await self._acknowledge(_FIRST_POSITION)
        latest = await self._client.xrevrange(_STREAM, "+", "-", count=1)
        position, number = (latest[0][0], _number(latest[0][1])) if latest else (_FIRST_POSITION, 0)
        epoch, age_s = await self._read_epoch()
        if not self.caught_up.is_set() and age_s < MIN_REDIS_AGE_S:
            await asyncio.sleep(MIN_REDIS_AGE_S - age_s)
        await self._apply_all(await self._table())
        table = dict(await self._table())
        await self._send([purge for purge in self._generations if purge.token > table.get(purge.scope, "")])
        self._epoch, self._position, self._number = epoch, position, number
        await self._acknowledge(position)

    async def _read_epoch(self) -> tuple[str, float]:
        """The epoch of the data in Redis, created if missing, and the lesser of its age and the uptime in seconds."""
        seconds, _ = await self._client.time()
        await self._client.hsetnx(_TABLE, _EPOCH_FIELD, f"{self._member} {seconds}")
        epoch = str(await self._client.hget(_TABLE, _EPOCH_FIELD))
        since = epoch.rpartition(" ")[2]
        age_s = float(seconds) - int(since) if _INTEGER.fullmatch(since) else 0.0
        with suppress(redis.exceptions.ResponseError):  # INFO may be forbidden.
            server = await self._client.info("server")
            age_s = min(age_s, float(server.get("uptime_in_seconds", age_s)))
        return epoch, max(0.0, age_s)

    async def _table(self) -> list[Purge]:
        table: dict[str, str] = await self._client.hgetall(_TABLE)
        return _parsed(table.items())

    async def _read_next(self) -> None:
        """Reads new purges, waits `HEARTBEAT_S` at most, applies them, and acknowledges."""
        batch = await self._client.xread(
            {_STREAM: self._position}, block=int(HEARTBEAT_S * 1000), count=_BATCH
        )
        if self._has_unpublished:
            raise _ResyncNeeded("a purge of this node is not published")
        if isinstance(batch, dict):
            batch = [(name, *entries) for name, entries in batch.items()]
        entries = batch[0][1] if batch else []
        if entries and _number(entries[0][1]) != self._number + 1:
            raise _ResyncNeeded("entries of the purge stream are missing")  # The table has them.
        await self._apply_all(
            _parsed((entry.get("scope", ""), entry.get("token", "")) for _, entry in entries)
        )
        if entries:
            self._position, self._number = entries[-1][0], _number(entries[-1][1])
        else:
            await self._refresh_nodes()
            if await self._client.hget(_TABLE, _EPOCH_FIELD) != self._epoch:
                raise _ResyncNeeded("Redis has lost its data")
        await self._acknowledge(self._position)

    async def _apply_all(self, purges: Sequence[Purge]) -> None:
        """Applies purges; retries until every part of this node acknowledges them."""
        assert self._apply is not None
        while purges and (unconfirmed := await self._apply(purges)):
            self._log.error("a purge is not complete on this node", open=unconfirmed)
            await asyncio.sleep(RETRY_PAUSE_S)

    async def _acknowledge(self, position: str) -> None:
        """Writes the position of this node. The time in it changes with each heartbeat."""
        await self._client.hset(_NODES, self._member, f"{position} {self._clock():.1f}")


class _ResyncNeeded(Exception):
    """Entries may be missing: synchronize again."""


def _kind(fault: Exception) -> str:
    """A reason for the operator, without the URL."""
    if isinstance(fault, _ResyncNeeded):
        return str(fault)
    if isinstance(fault, redis.exceptions.ResponseError):
        return f"it answers with an error ({type(fault).__name__})"
    if isinstance(fault, RedisError | OSError | TimeoutError):
        return "it cannot be reached"
    return type(fault).__name__


def _encoded(scope: PurgeScope) -> str:
    return json.dumps(scope)


def _parsed(received: Iterable[tuple[str, str]]) -> list[Purge]:
    """The valid purges; other entries were not written by a node."""
    found = []
    for encoded, token in received:
        with suppress(ValueError, TypeError, RecursionError):
            source, kind, text = json.loads(encoded)
            if isinstance(source, str) and isinstance(text, str) and _TOKEN.fullmatch(token):
                f"{source}{text}".encode()  # Raises for a lone surrogate.
                found.append(Purge(PurgeScope(source, ScopeKind(kind), text), token))
    return found


def _number(entry: Mapping[str, str]) -> int:
    number = entry.get("number", "")
    return int(number) if _INTEGER.fullmatch(number) else 0


def _entry_id(position: str) -> tuple[int, int]:
    """The stream entry ID that a node wrote, as two numbers; (0, 0) if invalid."""
    first, _, second = position.partition(" ")[0].partition("-")
    return (int(first), int(second)) if _INTEGER.fullmatch(first) and _INTEGER.fullmatch(second) else (0, 0)
