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

from proxy.core.cache.generations import Generations, Purge, PurgeScope
from proxy.core.cache.keys import Entry
from proxy.core.errors import CalotypeError, PurgeIncomplete
from proxy.core.image.original import OriginalRef
from proxy.local.tasks import Tasks
from proxy.ports.clock import Clock, WallClock
from proxy.ports.operations import (
    CdnPurge,
    EntryIndex,
    NotAcknowledged,
    PurgeJournal,
    PurgeLog,
    PurgeSubscriber,
)
from proxy.ports.originals import OriginalStore
from proxy.service.request.originals import Originals
from proxy.service.request.tier_chain import TierChain

FOLLOW_S = 3.0
"""How long a process may take to forget; one that is being replaced is waited for so long."""
LOOK_S = 5.0
"""How long a source may take to tell of an original."""
DELETE_S = 0.5
"""How long an answer waits for what is being deleted."""
_AT_ONCE = 16
_KEYS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeResult:
    """What came of a purge. `tiers` counts entries that this node has deleted, by tier, `behind` those it is still
    deleting. Where `open` is not empty the purge is not complete: what is old may still be served there."""

    removed: int
    tiers: dict[str, int]
    behind: int = 0
    open: list[str] = field(default_factory=list)


class _Deletion:
    """What becomes of the entries that purges cover; how many are `left` is known once they are found."""

    def __init__(self) -> None:
        self.left = 0
        self.tiers: Counter[str] = Counter()


class Purges:
    """One for the node, in the process that owns its tiers. There are so many `processes` that answer and have to follow,
    from the first on that does, or `followed` from the beginning; `fleet` is None where the node is alone, but for
    `neighbours`: other starts of it on the same disk, as in a restart."""

    def __init__(
        self,
        generations: Generations,
        journal: PurgeJournal,
        originals: Originals,
        index: EntryIndex,
        chain: TierChain,
        keep: OriginalStore,
        *,
        fleet: PurgeLog | None,
        hook: CdnPurge | None = None,
        neighbours: Callable[[], int] = lambda: 0,
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
        self._fleet = fleet
        self._hook = hook
        self._neighbours = neighbours
        self._processes = processes
        self._is_followed = followed
        self._retired: set[str] = set()
        self._clock = clock
        self._wall = wall
        self._salt = salt
        self._log = log
        self._followers: dict[str, PurgeSubscriber] = {}
        self._followed = asyncio.Event()
        self._order = asyncio.Lock()
        self._unwritten: list[Purge] = []
        self._owed: dict[PurgeScope, str] = {}
        self._tasks = Tasks()

    def subscribe(self, name: str, follower: PurgeSubscriber) -> None:
        """The process of that name is told from now on, in place of the one before it. It believes nothing of what was
        before."""
        self._followers[name] = follower
        self._retired.discard(name)
        self._is_followed = True
        self._notice()

    def unsubscribe(self, name: str, follower: PurgeSubscriber) -> None:
        """It is told no more; another may come in its place."""
        if self._followers.get(name) is follower:
            del self._followers[name]

    def retire(self, name: str) -> None:
        """It has answered its last request."""
        self._followers.pop(name, None)
        self._retired.add(name)
        self._notice()

    @property
    def _expected(self) -> int:
        """How many have to confirm."""
        return max(0, self._processes - len(self._retired)) if self._is_followed else 0

    def _notice(self) -> None:
        self._followed.set()
        self._followed = asyncio.Event()

    async def purge(self, scopes: Sequence[PurgeScope]) -> PurgeResult:
        """Purges all of `scopes`, everywhere, in every Unicode normal form of their keys; `open` of what is returned says
        where that could not be done."""
        purges = self._purges_of(scopes)
        unheard = await self._apply(purges)
        if self._fleet is not None:
            unheard += await self._fleet.publish(purges)
        elif beside := self._neighbours():
            unheard.append(
                f"this node: {beside} more starts of it share its cache, as in a restart, and are not told"
            )
        # What stands behind us is asked anew only when nothing old can come of it.
        if self._hook is not None and not unheard:
            unheard += await self._hook.call(scopes)
        deleting = _Deletion()
        await asyncio.wait({self._start(purges, deleting)}, timeout=DELETE_S)
        tiers = dict(deleting.tiers)
        self._log.info("purged", scopes=len(scopes), tiers=tiers, open=unheard)
        return PurgeResult(removed=sum(tiers.values()), tiers=tiers, behind=deleting.left, open=unheard)

    async def renew(self, ref: OriginalRef, scopes: Sequence[PurgeScope]) -> PurgeResult:
        """Purges `scopes`, which are of that original, and has every node look at it anew; all that was made of it, where it is
        another than the fleet knows, or cannot be looked at."""
        await self.original_changed([ref])
        known, tag = await self._originals.known_tag(ref), ""
        try:
            is_another, tag = await self._originals.revalidate(ref, deadline=self._clock() + LOOK_S)
        except CalotypeError:
            is_another = True
        if is_another or (tag and tag != known):
            scopes = [PurgeScope.of_original(ref)]
        purged = await self.purge(scopes)
        self._originals.note_tag(ref, tag)
        return purged

    def generation(self, ref: OriginalRef) -> str:
        """That of an original now."""
        return self._generations.original_generation(ref)

    async def intend(self, scopes: Sequence[PurgeScope]) -> None:
        """Has a restart purge these, whatever becomes of what is about to be done. Raises PurgeIncomplete, where nothing
        must be done."""
        try:
            await asyncio.to_thread(self._journal.append, self._purges_of(scopes))
        except OSError as fault:
            raise PurgeIncomplete(
                f"the purge could not be written, so nothing was changed: {fault.strerror}"
            ) from None

    def _purges_of(self, scopes: Sequence[PurgeScope]) -> list[Purge]:
        """Purges of `scopes` under a new token, in every Unicode normal form of their keys."""
        token = self._generations.next_token(int(self._wall() * 1e9), self._salt())
        return [Purge(each, token) for scope in scopes for each in scope.spelled()]

    async def apply_remote(self, purges: Sequence[Purge]) -> list[str]:
        """Applies what another node has purged; returns what of this node could not be reached. Purges without a token
        only tell that an original is there by now."""
        for scope, token in purges:
            if not token:
                self._originals.drop_negative(OriginalRef(scope.source, scope.text))
        news = [purge for purge in purges if purge.token and self._generations.is_news(purge)]
        if not news and not self._owed and not self._unwritten:
            return []
        unheard = await self._apply(news)
        if news:
            self._start(news, _Deletion())
        return unheard

    async def original_changed(self, refs: Sequence[OriginalRef]) -> list[str]:
        """Has every node forget that these originals were missing."""
        scopes = [each for ref in refs for each in PurgeScope.of_original(ref).spelled()]
        for scope in scopes:
            self._originals.drop_negative(OriginalRef(scope.source, scope.text))
        if self._fleet is None or not refs:
            return []
        return await self._fleet.publish([Purge(scope, "") for scope in scopes])

    async def close(self) -> None:
        """What is not deleted yet stays: nobody asks for it."""
        await self._tasks.close()

    async def _apply(self, purges: Sequence[Purge]) -> list[str]:
        """On disk, then here, then in every process that answers. What failed the last time is tried again."""
        unheard = []
        async with self._order:
            self._unwritten += purges
            try:
                if self._unwritten:
                    await asyncio.to_thread(self._journal.append, self._unwritten)
                self._unwritten = []
            except OSError as fault:
                unheard.append(
                    f"this node: the purge could not be written ({fault.strerror}); a restart forgets it"
                )
            for purge in purges:
                self._generations.apply(purge)
                self._owed[purge.scope] = purge.token
                if (ref := purge.scope.original) is not None:
                    self._originals.drop_negative(ref)
        confirmed_by = dict(self._owed)
        if unreached := await self._tell(list(confirmed_by)):
            return [*unheard, *unreached]
        for scope, token in confirmed_by.items():
            if self._owed.get(scope) == token:
                del self._owed[scope]
        return unheard

    async def _tell(self, scopes: Sequence[PurgeScope]) -> list[str]:
        """Has the processes that answer forget; those that are there, and those that come in time."""
        deadline = self._clock() + FOLLOW_S
        confirmed_by: dict[PurgeSubscriber, bool] = {}

        async def tell(follower: PurgeSubscriber) -> None:
            confirmed_by[follower] = False
            with suppress(TimeoutError, NotAcknowledged):
                async with asyncio.timeout_at(deadline):
                    await follower.invalidate(scopes, [])
                confirmed_by[follower] = True

        def confirmed() -> int:
            return sum(confirmed_by.get(follower, False) for follower in self._followers.values())

        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                while True:
                    more = self._followed
                    await asyncio.gather(
                        *(tell(one) for one in self._followers.values() if one not in confirmed_by)
                    )
                    if confirmed() >= self._expected:
                        return []
                    await more.wait()
        return [
            f"this node: {self._expected - confirmed()} of its {self._expected} processes did not confirm"
        ]

    def _start(self, purges: Sequence[Purge], deleting: _Deletion) -> asyncio.Task[None]:
        task = self._tasks.start(self._delete(purges, deleting), "purge")
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._log.error("what was purged could not be deleted", reason=repr(failure))

    async def _delete(self, purges: Sequence[Purge], deleting: _Deletion) -> None:
        entries = await self._index.find(purges)
        deleting.left = len(entries)
        for first in range(0, len(entries), _KEYS_AT_ONCE):
            part = entries[first : first + _KEYS_AT_ONCE]
            keys = [entry.key for entry in part if not entry.is_original]
            for follower in list(self._followers.values()):
                # Only to make room: who does not hear it makes room in time.
                with suppress(TimeoutError, NotAcknowledged):
                    async with asyncio.timeout(FOLLOW_S):
                        deleting.tiers[self._chain.fast] += await follower.invalidate([], keys)
            await self._delete_part(part, deleting)

    async def _delete_part(self, entries: Sequence[Entry], deleting: _Deletion) -> None:
        waiting = iter(entries)
        gone = []

        async def delete() -> None:
            for entry in waiting:
                if not entry.is_original:
                    names, is_gone = await self._chain.remove(entry.key, entry.kind)
                    deleting.tiers.update(names)
                    if not is_gone:
                        continue  # It stays on the index, for the next purge.
                elif await self._keep.remove(entry.key):
                    deleting.tiers[self._keep.name] += 1
                gone.append(entry)
                deleting.left -= 1

        await asyncio.gather(*(delete() for _ in range(_AT_ONCE)))
        await self._index.drop(gone)
