"""The nodes that share a Redis, and how a purge reaches all of them: a table of purges, a stream of those that come, and
for each node how far it has confirmed.

A purge is told to be complete only when every node that has not signed off has confirmed it. Redis is where they meet,
not what they rest on: each node has all purges on its own disk, and gives them back to a Redis that has lost them.
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
"""Longer than a node may take to have its own processes forget."""
REDIS_TIMEOUT_S = 1.0
POLL_S = 0.01
CANCEL_S = 0.1
RETRY_PAUSE_S = 0.5
MIN_REDIS_AGE_S = 2.5
"""What a Redis that is younger than this knows may not be all: who lives notices that it has lost its memory, or has
begun anew with an old one, and gives it back what it lacks."""
GONE_TTL_S = 60.0
NODE_EXPIRY_S = 86_400.0
"""Who has not been heard of for so long is taken for gone."""
GONE = "gone"
"""What a node leaves in its place when it signs off; an owner may write it for one that is lost."""
_STREAM_ENTRIES = 10_000
_BATCH = 500
_TOKEN = re.compile(r"(?:[0-9a-f]{16,64})?")
_INTEGER = re.compile(r"[0-9]{1,20}")
_TABLE, _STREAM, _NODES, _COUNT = (
    *("calotype:purges", "calotype:purge-stream", "calotype:nodes", "calotype:purge-count"),
)
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
    """What another node said last, and when that was heard, on our own Clock."""

    position: str
    changed_s: float


class RedisPurgeLog:
    """Satisfies Fleet. `name` is this node's own, the same after a restart, `instance` of this start of it; `lives` tells
    of another start of it on this disk whether it still does. `caught_up` is set once all that was purged before is
    known here; Redis is not waited for otherwise."""

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
            # Once more, for a connection that was closed while it was idle.
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
        self._other_nodes: dict[str, _OtherNode] = {}
        self._gone_since_s: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None
        self.caught_up = asyncio.Event()

    def start(self, apply: ApplyRemote) -> None:
        """Begins to follow; `learn` applies what other nodes purge, and returns what it could not reach."""
        self._apply = apply
        self._task = Tasks().start(self._run(), "purge log")

    async def close(self) -> None:
        """Signs off: from now on nobody waits for this node."""
        while self._task is not None and not self._task.done():
            # redis-py may take a cancellation for a timeout of its own.
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CANCEL_S)
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(REDIS_TIMEOUT_S):
                await self._client.hset(_NODES, self._member, GONE)
                await self._client.aclose()

    async def publish(self, purges: Sequence[Purge]) -> list[str]:
        try:
            last = _FIRST_POSITION
            for first in range(0, len(purges), _BATCH):
                async with asyncio.timeout(REDIS_TIMEOUT_S):
                    last = await self._send(purges[first : first + _BATCH])
        except (RedisError, OSError, TimeoutError) as fault:
            return [f"redis: {_kind(fault)}, so other nodes are not told yet; they will be once it is well"]
        if not self.caught_up.is_set():
            return ["redis: this node has not met the others yet, and does not know whom to wait for"]
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
            f"node {name}: has not confirmed; last heard of {now_s - other.changed_s:.0f} s ago"
            for name, other in sorted(waiting.items())
        ]

    async def _send(self, purges: Sequence[Purge]) -> str:
        position = [text for purge in purges for text in (_encoded(purge.scope), purge.token)]
        last: str = await self._client.eval(
            _PUBLISH, 3, _TABLE, _STREAM, _COUNT, str(_STREAM_ENTRIES), *position
        )
        return last

    async def _unconfirmed(self, last: str) -> dict[str, _OtherNode]:
        """Nodes that are not as far as `last`. Those that Redis has forgotten count too; what they said to the memory it
        has lost does not."""
        await self._refresh_nodes()
        if await self._client.hget(_TABLE, _EPOCH_FIELD) != self._epoch:
            return dict(self._other_nodes)
        return {
            name: other
            for name, other in self._other_nodes.items()
            if name != self._member and _entry_id(other.position) < _entry_id(last)
        }

    async def _refresh_nodes(self) -> None:
        """Learns who else there is, and how far; and who has gone."""
        received: dict[str, str] = await self._client.hgetall(_NODES)
        now_s = self._clock()
        for name, position in received.items():
            if name not in self._other_nodes or self._other_nodes[name].position != position:
                self._other_nodes[name] = _OtherNode(position, now_s)
        gone = [name for name, other in self._other_nodes.items() if self._is_gone(name, other, now_s)]
        for name in gone:
            del self._other_nodes[name]
        # Who has gone stays for a while, for others to see it.
        if lost := [name for name in gone if name in received and received[name] != GONE]:
            await self._client.hset(_NODES, mapping=dict.fromkeys(lost, GONE))
        for name in received.keys() & self._gone_since_s.keys():
            if now_s - self._gone_since_s[name] > GONE_TTL_S:
                del self._gone_since_s[name]
                await self._client.hdel(_NODES, name)
        for name in gone:
            self._gone_since_s.setdefault(name, now_s)

    def _is_gone(self, name: str, other: _OtherNode, now_s: float) -> bool:
        whose, _, instance = name.rpartition(".")
        if other.position == GONE or now_s - other.changed_s > NODE_EXPIRY_S:
            return True
        return whose == self._name and name != self._member and not self._is_running(instance)

    async def _run(self) -> None:
        """Meets the others, and hears what they purge, for as long as this node lives."""
        is_well = True
        while True:
            try:
                await self._synchronize()
                self.caught_up.set()
                is_well = True
                while True:
                    await self._read_next()
            except Exception as failure:
                # Whatever it is: a node that is deaf must not stay so.
                if is_well:
                    self._log.warning("other nodes cannot be heard", reason=_kind(failure))
                is_well = False
                await asyncio.sleep(RETRY_PAUSE_S)

    async def _synchronize(self) -> None:
        """Signs in, then takes what is known there and gives what is not. Whoever purges after the signing in waits
        for us; what was purged before it stands in the table."""
        await self._acknowledge(_FIRST_POSITION)
        latest = await self._client.xrevrange(_STREAM, "+", "-", count=1)
        at, number = (latest[0][0], _number(latest[0][1])) if latest else (_FIRST_POSITION, 0)
        born, age_s = await self._read_epoch()
        if not self.caught_up.is_set() and age_s < MIN_REDIS_AGE_S:
            await asyncio.sleep(MIN_REDIS_AGE_S - age_s)
        await self._apply_all(await self._table())
        table = dict(await self._table())
        missing = [purge for purge in self._generations if purge.token > table.get(purge.scope, "")]
        for first in range(0, len(missing), _BATCH):
            await self._send(missing[first : first + _BATCH])
        self._epoch, self._position, self._number = born, at, number
        await self._acknowledge(at)

    async def _read_epoch(self) -> tuple[str, float]:
        """The name of this Redis' memory, which we give it if it has none, and how old it is, or the server if that is
        younger, in seconds."""
        seconds, _ = await self._client.time()
        await self._client.hsetnx(_TABLE, _EPOCH_FIELD, f"{self._member} {seconds}")
        born = str(await self._client.hget(_TABLE, _EPOCH_FIELD))
        since = born.rpartition(" ")[2]
        age_s = float(seconds) - int(since) if _INTEGER.fullmatch(since) else 0.0
        with suppress(redis.exceptions.ResponseError):  # Some do not let everybody ask.
            server = await self._client.info("server")
            age_s = min(age_s, float(server.get("uptime_in_seconds", age_s)))
        return born, max(0.0, age_s)

    async def _table(self) -> list[tuple[PurgeScope, str]]:
        table: dict[str, str] = await self._client.hgetall(_TABLE)
        return _parsed(table.items())

    async def _read_next(self) -> None:
        """What came since, or for a heartbeat nothing; and says so."""
        heard = await self._client.xread(
            {_STREAM: self._position}, block=int(HEARTBEAT_S * 1000), count=_BATCH
        )
        if isinstance(heard, dict):
            heard = [(name, *entries) for name, entries in heard.items()]
        entries = heard[0][1] if heard else []
        if entries and _number(entries[0][1]) != self._number + 1:
            raise _ResyncNeeded("more was purged than the stream holds")  # The table has it.
        await self._apply_all(
            _parsed((entry.get("scope", ""), entry.get("token", "")) for _, entry in entries)
        )
        if entries:
            self._position, self._number = entries[-1][0], _number(entries[-1][1])
        else:
            await self._refresh_nodes()
            if await self._client.hget(_TABLE, _EPOCH_FIELD) != self._epoch:
                raise _ResyncNeeded("Redis has lost its memory")
        await self._acknowledge(self._position)

    async def _apply_all(self, received: Sequence[tuple[PurgeScope, str]]) -> None:
        """Applies it; as long as a part of this node is deaf, nothing is confirmed."""
        assert self._apply is not None
        purges = [Purge(scope, token) for scope, token in received]
        while purges and (unheard := await self._apply(purges)):
            self._log.error("a purge is not complete here", open=unheard)
            await asyncio.sleep(RETRY_PAUSE_S)

    async def _acknowledge(self, at: str) -> None:
        """How far we are; that it changes shows that we live."""
        await self._client.hset(_NODES, self._member, f"{at} {self._clock():.1f}")


class _ResyncNeeded(Exception):
    """Something was not heard: meet the others anew."""


def _kind(fault: Exception) -> str:
    """In words for the owner, which hold no URL."""
    if isinstance(fault, _ResyncNeeded):
        return str(fault)
    if isinstance(fault, redis.exceptions.ResponseError):
        return f"it answers with an error ({type(fault).__name__})"
    if isinstance(fault, RedisError | OSError | TimeoutError):
        return "it cannot be reached"
    return type(fault).__name__


def _encoded(scope: PurgeScope) -> str:
    return json.dumps(scope)


def _parsed(received: Iterable[tuple[str, str]]) -> list[tuple[PurgeScope, str]]:
    """Scopes and tokens as they are written there; what else stands there is nothing of ours."""
    found = []
    for position, token in received:
        with suppress(ValueError, TypeError, RecursionError):
            source, reach, text = json.loads(position)
            if isinstance(source, str) and isinstance(text, str) and _TOKEN.fullmatch(token):
                f"{source}{text}".encode()  # Half a surrogate pair is no text.
                found.append((PurgeScope(source, ScopeKind(reach), text), token))
    return found


def _number(entry: Mapping[str, str]) -> int:
    position = entry.get("number", "")
    return int(position) if _INTEGER.fullmatch(position) else 0


def _entry_id(position: str) -> tuple[int, int]:
    """Of an entry in the stream, from what a node says; nowhere for what is none."""
    first, _, second = position.partition(" ")[0].partition("-")
    return (int(first), int(second)) if _INTEGER.fullmatch(first) and _INTEGER.fullmatch(second) else (0, 0)
