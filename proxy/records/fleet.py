"""The nodes that share a Redis, and how a purge reaches all of them: a table of purges, a stream of those that come, and
for each node how far it has confirmed.

A purge is told to be complete only when every node that has not signed off has confirmed it. Redis is where they meet,
not what they rest on: each node has all purges on its own disk, and gives them back to a Redis that has lost them.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import redis.asyncio
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from proxy.core.generations import Generations, Purge, Reach, Scope
from proxy.ports import Clock, WallClock

HEARTBEAT_S = 1.0
CONFIRM_S = 2.0
REDIS_S = 1.0
POLL_S = 0.01
CANCEL_S = 0.1
RECOVER_S = 0.5
SILENT_S = 5.0
"""Who has not been heard of for so long is told of as silent; it may be cut off, and still serve."""
FORGET_S = 86_400.0
"""Who has not been heard of for so long is taken for gone."""
_STREAM_ENTRIES = 10_000
_TABLE, _STREAM, _NODES = "calotype:purges", "calotype:purge-stream", "calotype:nodes"
_BORN = ""
_FROM_BEGINNING = "0-0"

_PUBLISH = """
for at = 2, #ARGV, 2 do
    if ARGV[at + 1] ~= '' then
        local known = redis.call('HGET', KEYS[1], ARGV[at])
        if not known or known < ARGV[at + 1] then redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1]) end
    end
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], '*', 'scope', ARGV[at], 'token', ARGV[at + 1])
end
return redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1][1]
"""

T = TypeVar("T")

Learn = Callable[[Sequence[Purge]], Awaitable[list[str]]]


class RedisFleet:
    """Satisfies Fleet. `name` is this node's own, the same after a restart, `instance` of this start of it. An async
    context, which does not wait for Redis: `caught_up` is set once all that was purged before is known here."""

    def __init__(
        self,
        url: str,
        *,
        name: str,
        instance: str,
        generations: Generations,
        clock: Clock,
        wall: WallClock,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._client: Any = redis.asyncio.Redis.from_url(
            url,
            decode_responses=True,
            encoding_errors="replace",
            socket_timeout=HEARTBEAT_S + 2 * REDIS_S,
            socket_connect_timeout=REDIS_S,
            retry=Retry(NoBackoff(), 0),
            retry_on_error=[],
        )
        self._name = name
        self._us = f"{name}.{instance}"
        self._generations = generations
        self._clock = clock
        self._wall = wall
        self._log = log
        self._learn: Learn | None = None
        self._born: str | None = None
        self._at = _FROM_BEGINNING
        self._others: dict[str, float] = {}
        self._following: asyncio.Task[None] | None = None
        self.caught_up = asyncio.Event()

    def start(self, learn: Learn) -> None:
        """Begins to follow; `learn` applies what other nodes purge, and returns what it could not reach."""
        self._learn = learn
        self._following = asyncio.create_task(self._follow(), name="fleet")

    async def close(self) -> None:
        """Signs off: from now on nobody waits for this node."""
        while self._following is not None and not self._following.done():
            # redis-py may take a cancellation for a timeout of its own.
            self._following.cancel()
            await asyncio.wait({self._following}, timeout=CANCEL_S)
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(REDIS_S):
                await self._client.hdel(_NODES, self._us)
                await self._client.aclose()

    async def publish(self, purges: Sequence[Purge]) -> list[str]:
        try:
            async with asyncio.timeout(REDIS_S):
                last = await self._send(purges)
        except (RedisError, OSError, TimeoutError):
            return [
                "redis: it cannot be reached, so other nodes are not told yet; they will be once it is back"
            ]
        deadline = self._clock() + CONFIRM_S
        waiting: dict[str, float] = {}
        while self._clock() < deadline:
            try:
                async with asyncio.timeout(REDIS_S):
                    waiting = await self._unconfirmed(last)
            except (RedisError, OSError, TimeoutError):
                return ["redis: it went away before all nodes had confirmed"]
            if not waiting:
                return []
            await asyncio.sleep(POLL_S)
        return [
            f"node {name}: has not confirmed; last heard of {self._wall() - seen_s:.0f} s ago"
            for name, seen_s in sorted(waiting.items())
        ]

    async def _send(self, purges: Sequence[Purge]) -> str:
        said = [text for purge in purges for text in (_spelled(purge.scope), purge.token)]
        last: str = await self._client.eval(_PUBLISH, 2, _TABLE, _STREAM, str(_STREAM_ENTRIES), *said)
        return last

    async def _unconfirmed(self, last: str) -> dict[str, float]:
        """Nodes that are not as far as `last`, and when they were heard of. Those that Redis has forgotten count too."""
        told: dict[str, str] = await self._client.hgetall(_NODES)
        now_s = self._wall()
        confirmed = set()
        for name, said in told.items():
            at, _, seen = said.partition(" ")
            self._others[name] = float(seen or 0)
            if _place(at) >= _place(last):
                confirmed.add(name)
        gone = [name for name, seen_s in self._others.items() if now_s - seen_s > FORGET_S]
        for name in gone:
            del self._others[name]
        if gone:
            await self._client.hdel(_NODES, *gone)
        # Who has signed off is not in the hash any more; who was cut off, or is mute, is.
        self._others = {name: seen_s for name, seen_s in self._others.items() if name in told}
        return {name: seen_s for name, seen_s in self._others.items() if name not in confirmed | {self._us}}

    async def _follow(self) -> None:
        """Meets the others, and hears what they purge, for as long as this node lives."""
        is_well = True
        while True:
            try:
                await self._meet()
                self.caught_up.set()
                is_well = True
                while True:
                    await self._hear()
            except (RedisError, OSError, TimeoutError) as failure:
                if is_well:
                    self._log.warning("other nodes cannot be heard: Redis fails", kind=type(failure).__name__)
                is_well = False
                await asyncio.sleep(RECOVER_S)

    async def _meet(self) -> None:
        """Signs in, then takes what is known there and gives what is not. Whoever purges after the signing in waits
        for us; what was purged before it stands in the table."""
        await self._say(_FROM_BEGINNING)
        await self._drop_former_selves()
        at = await self._client.xrevrange(_STREAM, "+", "-", count=1)
        start = at[0][0] if at else _FROM_BEGINNING
        born, was_empty = await self._birth()
        if was_empty and not self.caught_up.is_set():
            # It may have lost what others know. They notice within a heartbeat, and give it back.
            await asyncio.sleep(2 * HEARTBEAT_S)
        await self._learned(await self._table())
        missing = [purge for purge in self._generations if purge.scope.source]
        table = dict(await self._table())
        missing = [purge for purge in missing if purge.token > table.get(purge.scope, "")]
        for first in range(0, len(missing), 500):
            await self._send(missing[first : first + 500])
        self._born = born
        self._at = start
        await self._say(start)

    async def _birth(self) -> tuple[str, bool]:
        """The name of this Redis' memory, and whether we had to give it one."""
        ours = await self._client.hsetnx(_TABLE, _BORN, self._us)
        return str(await self._client.hget(_TABLE, _BORN)), bool(ours)

    async def _table(self) -> list[tuple[Scope, str]]:
        table: dict[str, str] = await self._client.hgetall(_TABLE)
        found = ((_read(said), token) for said, token in table.items())
        return [(scope, token) for scope, token in found if scope is not None]

    async def _hear(self) -> None:
        """What came since, or for a heartbeat nothing; and says so."""
        heard = await self._client.xread({_STREAM: self._at}, block=int(HEARTBEAT_S * 1000))
        entries = heard[0][1] if heard else []
        said = [(_read(entry.get("scope", "")), entry.get("token", "")) for _, entry in entries]
        await self._learned([(scope, token) for scope, token in said if scope is not None])
        if entries:
            self._at = entries[-1][0]
        elif await self._client.hget(_TABLE, _BORN) != self._born:
            raise redis.exceptions.ConnectionError("this Redis has lost its memory")  # Meet it anew.
        await self._say(self._at)

    async def _learned(self, told: Sequence[tuple[Scope, str]]) -> None:
        """Applies it; as long as a part of this node is deaf, nothing is confirmed."""
        assert self._learn is not None
        purges = [Purge(scope, token) for scope, token in told]
        while purges and (unheard := await self._learn(purges)):
            self._log.error("a purge is not complete here", open=unheard)
            await asyncio.sleep(RECOVER_S)

    async def _say(self, at: str) -> None:
        await self._client.hset(_NODES, self._us, f"{at} {self._wall():.1f}")

    async def _drop_former_selves(self) -> None:
        """Those of this node that ended without signing off."""
        told: dict[str, str] = await self._client.hgetall(_NODES)
        for name, said in told.items():
            silent_s = self._wall() - float(said.partition(" ")[2] or 0)
            if name.startswith(f"{self._name}.") and name != self._us and silent_s > SILENT_S:
                await self._client.hdel(_NODES, name)


def _spelled(scope: Scope) -> str:
    return json.dumps(scope)


def _read(said: str) -> Scope | None:
    """A scope as it is written there; None for what else stands there."""
    with suppress(ValueError, TypeError):
        source, reach, text = json.loads(said)
        if isinstance(source, str) and isinstance(text, str):
            return Scope(source, Reach(reach), text)
    return None


def _place(at: str) -> tuple[int, int]:
    """Of an entry in the stream; nowhere for what is none."""
    first, _, second = at.partition("-")
    return (int(first), int(second)) if first.isdigit() and second.isdigit() else (0, 0)
