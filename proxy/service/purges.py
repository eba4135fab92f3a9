"""Purges: what was made before one is not served any more once it is answered, and deleted where it is known to lie.

A purge is a new generation, on disk here before anything else. From then on the miss path forms other keys; then every
process that answers forgets what it believed; then the other nodes do the same and confirm. Deleting comes behind all
that and only makes room.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from proxy.core.generations import Generations, Purge, Scope
from proxy.core.keys import Entry, OriginalRef
from proxy.ports import Clock, Fleet, Follower, Hook, Index, Journal, OriginalsTier, Unfollowed, WallClock
from proxy.service.chain import Chain
from proxy.service.originals import Originals

FOLLOW_S = 3.0
"""How long a process may take to forget; one that is being replaced is waited for so long."""
DELETE_S = 0.5
"""How long an answer waits for what is being deleted."""
_AT_ONCE = 16
_KEYS_AT_ONCE = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """What came of a purge. `tiers` counts entries that this node has deleted, by tier, `behind` those it is still
    deleting. Where `open` is not empty the purge is not complete: what is old may still be served there."""

    removed: int
    tiers: dict[str, int]
    behind: int = 0
    open: list[str] = field(default_factory=list)


class _Deleting:
    """What becomes of entries, which are `left`."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self.left = len(entries)
        self.tiers: Counter[str] = Counter()


class Purges:
    """One for the node, in the process that owns its tiers. There are so many `processes` that answer and have to follow,
    from the first on that does, or `followed` from the beginning; `fleet` is None where the node is alone."""

    def __init__(
        self,
        generations: Generations,
        journal: Journal,
        originals: Originals,
        index: Index,
        chain: Chain,
        keep: OriginalsTier,
        *,
        fleet: Fleet | None,
        hook: Hook | None = None,
        processes: int,
        followed: bool = False,
        clock: Clock,
        wall: WallClock,
        salt: Callable[[], str],
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._generations = generations
        self._journal = journal
        self._originals = originals
        self._index = index
        self._chain = chain
        self._keep = keep
        self.fleet = fleet
        self._hook = hook
        self._processes = processes
        self._expected = processes if followed else 0
        self._clock = clock
        self._wall = wall
        self._salt = salt
        self._log = log
        self._followers: set[Follower] = set()
        self._more_followers = asyncio.Event()
        self._order = asyncio.Lock()
        self._owed: set[Scope] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(self, follower: Follower) -> None:
        """It is told from now on. It believes nothing of what was before."""
        self._followers.add(follower)
        self._expected = self._processes
        self._more_followers.set()

    def leave(self, follower: Follower) -> None:
        """It is told no more."""
        self._followers.discard(follower)

    async def purge(self, scopes: Sequence[Scope]) -> Purged:
        """Purges all of `scopes`, everywhere; `open` of what is returned says where that could not be done."""
        token = self._generations.next_token(int(self._wall() * 1e9), self._salt())
        purges = [Purge(scope, token) for scope in scopes]
        deleting = _Deleting(await self._index.find(scopes))
        unheard = await self._apply(purges, deleting)
        if self.fleet is not None:
            unheard += await self.fleet.publish(purges)
        # What stands behind us is asked anew only when nothing old can come of it.
        if self._hook is not None:
            unheard += await self._hook.call(scopes)
        await asyncio.wait({self._start(deleting)}, timeout=DELETE_S)
        tiers = dict(deleting.tiers)
        self._log.info("purged", scopes=len(scopes), tiers=tiers, open=unheard)
        return Purged(removed=sum(tiers.values()), tiers=tiers, behind=deleting.left, open=unheard)

    async def learn(self, purges: Sequence[Purge]) -> list[str]:
        """Applies what another node has purged; returns what of this node could not be reached. Purges without a token
        only tell that an original is there by now."""
        for scope, token in purges:
            if not token:
                self._originals.found(OriginalRef(scope.source, scope.text))
        news = [purge for purge in purges if purge.token and self._generations.is_news(purge)]
        if not news and not self._owed:
            return []
        deleting = _Deleting(await self._index.find([purge.scope for purge in news]))
        unheard = await self._apply(news, deleting)
        self._start(deleting)
        return unheard

    async def found(self, ref: OriginalRef) -> list[str]:
        """Has every node forget that an original was missing."""
        self._originals.found(ref)
        return [] if self.fleet is None else await self.fleet.publish([Purge(Scope.of_original(ref), "")])

    async def close(self) -> None:
        """What is not deleted yet stays: nobody asks for it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _apply(self, purges: Sequence[Purge], deleting: _Deleting) -> list[str]:
        """On disk, then here, then in every process that answers."""
        unheard = []
        async with self._order:
            try:
                await asyncio.to_thread(self._journal.append, purges)
            except OSError as fault:
                unheard.append(
                    f"this node: the purge could not be written ({fault.strerror}); a restart forgets it"
                )
            for purge in purges:
                self._generations.apply(purge)
                if (ref := purge.scope.original) is not None:
                    self._originals.found(ref)
        # Who could not be reached the last time is told again.
        self._owed.update(purge.scope for purge in purges)
        told = list(self._owed)
        if unreached := await self._tell(told, deleting):
            return [*unheard, *unreached]
        self._owed.difference_update(told)
        return unheard

    async def _tell(self, scopes: Sequence[Scope], deleting: _Deleting) -> list[str]:
        """Has the processes that answer forget; those that are there, and those that come in time."""
        deadline = self._clock() + FOLLOW_S
        told: dict[Follower, bool] = {}

        async def tell(follower: Follower) -> None:
            # Most purges are of a few entries; what of the others stays in a memory makes room there in time.
            keys = [entry.key for entry in deleting.entries[:_KEYS_AT_ONCE]]
            told[follower] = False
            with suppress(TimeoutError, Unfollowed):
                async with asyncio.timeout_at(deadline):
                    deleting.tiers[self._chain.fast] += await follower.forget(scopes, keys)
                told[follower] = True

        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                while True:
                    self._more_followers.clear()
                    await asyncio.gather(*(tell(one) for one in self._followers - told.keys()))
                    if sum(told[one] for one in self._followers & told.keys()) >= self._expected:
                        return []
                    await self._more_followers.wait()
        deaf = self._expected - sum(told.values())
        return [f"this node: {deaf} of its {self._expected} processes did not confirm"]

    def _start(self, deleting: _Deleting) -> asyncio.Task[None]:
        task = asyncio.create_task(self._delete(deleting), name="purge")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _delete(self, deleting: _Deleting) -> None:
        waiting = iter(deleting.entries)

        async def delete() -> None:
            for entry in waiting:
                if not entry.is_original:
                    deleting.tiers.update(await self._chain.remove(entry.key, entry.kind))
                elif await self._keep.remove(entry.key):
                    deleting.tiers[self._keep.name] += 1
                deleting.left -= 1

        await asyncio.gather(*(delete() for _ in range(_AT_ONCE)))
        await self._index.drop(deleting.entries)
