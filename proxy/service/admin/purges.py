"""Purges: after the response to a purge, no process serves variants that were made before it.

A purge is a new generation. The order: the journal on disk; the table of generations, so that the miss path makes new
cache keys; the processes that answer requests, which drop their records; the other nodes, which do the same and confirm;
the CDN. Then old entries are deleted in the background, to free space.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
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

ACKNOWLEDGE_TIMEOUT_S = 3.0
"""The time for a process to acknowledge a purge; a purge also waits this long for a process that is being replaced."""
REVALIDATE_TIMEOUT_S = 5.0
"""The timeout of a revalidation at the source."""
DELETE_WAIT_S = 0.5
"""The response to a purge waits this long for the deletion of old entries."""
_CONCURRENT_DELETES = 16
_KEYS_PER_CALL = 1000


class PurgeResult(msgspec.Struct, frozen=True, kw_only=True, rename={"pending": "behind"}):
    """The result of a purge. `tiers` counts the entries that this node has deleted, by tier; `pending`, `behind` in the
    operations API, those that it is still deleting. `open` has one message for each node that may serve old variants;
    the purge is complete if it is empty."""

    removed: int
    tiers: dict[str, int]
    pending: int = 0
    open: list[str] = []


class _Deletion:
    """The progress of a deletion. `pending` is 0 until the entries were looked up in the index."""

    def __init__(self) -> None:
        self.pending = 0
        self.tiers: Counter[str] = Counter()


class Purges:
    """One instance per node, in the process that owns the tiers. `processes` is the number of processes that must
    acknowledge purges. Before the first one subscribes none is expected, unless `expects_subscribers`. `fleet` is None
    if the node is alone; `siblings` then counts other instances on the same cache directory, as in a restart."""

    def __init__(
        self,
        generations: Generations,
        journal: PurgeJournal,
        originals: Originals,
        index: EntryIndex,
        chain: TierChain,
        original_store: OriginalStore,
        *,
        fleet: PurgeLog | None,
        cdn: CdnPurge | None = None,
        siblings: Callable[[], int] = lambda: 0,
        processes: int,
        expects_subscribers: bool = False,
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
        self._original_store = original_store
        self._fleet = fleet
        self._cdn = cdn
        self._siblings = siblings
        self._processes = processes
        self._expects_subscribers = expects_subscribers
        self._retired: set[str] = set()
        self._clock = clock
        self._wall = wall
        self._salt = salt
        self._log = log
        self._subscribers: dict[str, PurgeSubscriber] = {}
        self._changed = asyncio.Event()
        self._apply_lock = asyncio.Lock()
        self._unwritten: list[Purge] = []
        self._unacknowledged: dict[PurgeScope, str] = {}
        self._tasks = Tasks()

    def subscribe(self, name: str, subscriber: PurgeSubscriber) -> None:
        """Adds the process `name`, or replaces its predecessor. The process must have no records from before."""
        self._subscribers[name] = subscriber
        self._retired.discard(name)
        self._expects_subscribers = True
        self._notify_change()

    def unsubscribe(self, name: str, subscriber: PurgeSubscriber) -> None:
        """Removes the process; a successor is still expected."""
        if self._subscribers.get(name) is subscriber:
            del self._subscribers[name]

    def retire(self, name: str) -> None:
        """Removes the process `name`, which has answered its last request; no successor is expected."""
        self._subscribers.pop(name, None)
        self._retired.add(name)
        self._notify_change()

    @property
    def _expected_count(self) -> int:
        """The number of processes that must acknowledge."""
        return max(0, self._processes - len(self._retired)) if self._expects_subscribers else 0

    def _notify_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def purge(self, scopes: Sequence[PurgeScope]) -> PurgeResult:
        """Purges `scopes` on all nodes, in every Unicode normal form of their keys. `open` of the result has one message
        for each node that has not confirmed."""
        purges = self._purges_of(scopes)
        unconfirmed = await self._apply(purges)
        if self._fleet is not None:
            unconfirmed += await self._fleet.publish(purges)
        elif siblings := self._siblings():
            unconfirmed.append(
                f"this node: {siblings} other instances share its cache, as in a restart, and are not purged"
            )
        # Last, and only if all have confirmed: otherwise the CDN could fetch and cache an old variant again.
        if self._cdn is not None and not unconfirmed:
            unconfirmed += await self._cdn.call(scopes)
        deletion = _Deletion()
        await asyncio.wait({self._start_deletion(purges, deletion)}, timeout=DELETE_WAIT_S)
        tiers = dict(deletion.tiers)
        self._log.info("purged", scopes=len(scopes), tiers=tiers, open=unconfirmed)
        return PurgeResult(
            removed=sum(tiers.values()), tiers=tiers, pending=deletion.pending, open=unconfirmed
        )

    async def purge_and_revalidate(self, ref: OriginalRef, scopes: Sequence[PurgeScope]) -> PurgeResult:
        """Purges `scopes`, which are of the original `ref`, and revalidates it. Purges the whole original if it has changed or
        cannot be revalidated."""
        await self.original_changed([ref])
        stored, tag = await self._originals.stored_tag(ref), ""
        try:
            has_changed, tag = await self._originals.revalidate(
                ref, deadline=self._clock() + REVALIDATE_TIMEOUT_S
            )
        except CalotypeError:
            has_changed = True
        if has_changed or (tag and tag != stored):
            scopes = [PurgeScope.of_original(ref)]
        purged = await self.purge(scopes)
        self._originals.store_tag(ref, tag)
        return purged

    def generation(self, ref: OriginalRef) -> str:
        """The current generation of an original."""
        return self._generations.original_generation(ref)

    async def record_intent(self, scopes: Sequence[PurgeScope]) -> None:
        """Writes purges to the journal before an overwrite, so that a restart applies them if the overwrite is
        interrupted. Raises PurgeIncomplete if that fails; the overwrite must then not begin."""
        try:
            await asyncio.to_thread(self._journal.append, self._purges_of(scopes))
        except OSError as fault:
            raise PurgeIncomplete(
                f"the purge could not be written, so nothing was changed: {fault.strerror}"
            ) from None

    def _purges_of(self, scopes: Sequence[PurgeScope]) -> list[Purge]:
        """Purges of `scopes` under a new token, in every Unicode normal form of their keys."""
        token = self._generations.next_token(int(self._wall() * 1e9), self._salt())
        return [Purge(each, token) for scope in scopes for each in scope.normal_forms()]

    async def apply_remote(self, purges: Sequence[Purge]) -> list[str]:
        """Applies purges of another node; returns one message for each part of this node that has not confirmed. A purge
        without a token only drops the negative entry of its original."""
        for scope, token in purges:
            if not token:
                self._originals.drop_negative(OriginalRef(scope.source, scope.text))
        new = [purge for purge in purges if purge.token and self._generations.is_newer(purge)]
        if not new and not self._unacknowledged and not self._unwritten:
            return []
        unconfirmed = await self._apply(new)
        if new:
            self._start_deletion(new, _Deletion())
        return unconfirmed

    async def original_changed(self, refs: Sequence[OriginalRef]) -> list[str]:
        """Drops the negative entries of these originals on all nodes; returns one message for each node that has not
        confirmed."""
        scopes = [each for ref in refs for each in PurgeScope.of_original(ref).normal_forms()]
        for scope in scopes:
            self._originals.drop_negative(OriginalRef(scope.source, scope.text))
        if self._fleet is None or not refs:
            return []
        return await self._fleet.publish([Purge(scope, "") for scope in scopes])

    async def close(self) -> None:
        """Cancels deletions; the remaining entries stay in the tiers, under keys that are no longer used."""
        await self._tasks.close()

    async def _apply(self, purges: Sequence[Purge]) -> list[str]:
        """Applies purges to the journal, to this process, then to the subscribers; retries what failed the last time."""
        unconfirmed = []
        async with self._apply_lock:
            self._unwritten += purges
            try:
                if self._unwritten:
                    await asyncio.to_thread(self._journal.append, self._unwritten)
                self._unwritten = []
            except OSError as fault:
                unconfirmed.append(
                    f"this node: the purge could not be written ({fault.strerror}); a restart loses it"
                )
            for purge in purges:
                self._generations.apply(purge)
                self._unacknowledged[purge.scope] = purge.token
                if (ref := purge.scope.original) is not None:
                    self._originals.drop_negative(ref)
        confirmed_by = dict(self._unacknowledged)
        if missing := await self._invalidate_subscribers(list(confirmed_by)):
            return [*unconfirmed, *missing]
        for scope, token in confirmed_by.items():
            if self._unacknowledged.get(scope) == token:
                del self._unacknowledged[scope]
        return unconfirmed

    async def _invalidate_subscribers(self, scopes: Sequence[PurgeScope]) -> list[str]:
        """Calls all subscribers, also those that subscribe before the timeout; returns one message if some are missing."""
        deadline = self._clock() + ACKNOWLEDGE_TIMEOUT_S
        confirmed_by: dict[PurgeSubscriber, bool] = {}

        async def invalidate(subscriber: PurgeSubscriber) -> None:
            confirmed_by[subscriber] = False
            with suppress(TimeoutError, NotAcknowledged):
                async with asyncio.timeout_at(deadline):
                    await subscriber.invalidate(scopes, [])
                confirmed_by[subscriber] = True

        def confirmed() -> int:
            return sum(confirmed_by.get(subscriber, False) for subscriber in self._subscribers.values())

        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                while True:
                    changed = self._changed
                    await asyncio.gather(
                        *(invalidate(one) for one in self._subscribers.values() if one not in confirmed_by)
                    )
                    if confirmed() >= self._expected_count:
                        return []
                    await changed.wait()
        return [
            f"this node: {self._expected_count - confirmed()} of its {self._expected_count} processes did not confirm"
        ]

    def _start_deletion(self, purges: Sequence[Purge], deletion: _Deletion) -> asyncio.Task[None]:
        task = self._tasks.start(self._delete(purges, deletion), "purge")
        task.add_done_callback(self._log_failure)
        return task

    def _log_failure(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._log.error("the entries of a purge could not be deleted", reason=repr(failure))

    async def _delete(self, purges: Sequence[Purge], deletion: _Deletion) -> None:
        entries = await self._index.find(purges)
        deletion.pending = len(entries)
        for first in range(0, len(entries), _KEYS_PER_CALL):
            part = entries[first : first + _KEYS_PER_CALL]
            keys = [entry.key for entry in part if not entry.is_original]
            for subscriber in list(self._subscribers.values()):
                # This only frees memory: a process that does not answer evicts the entries later.
                with suppress(TimeoutError, NotAcknowledged):
                    async with asyncio.timeout(ACKNOWLEDGE_TIMEOUT_S):
                        deletion.tiers[self._chain.fast] += await subscriber.invalidate([], keys)
            await self._delete_part(part, deletion)

    async def _delete_part(self, entries: Sequence[Entry], deletion: _Deletion) -> None:
        remaining = iter(entries)
        removed = []

        async def delete() -> None:
            for entry in remaining:
                if not entry.is_original:
                    names, is_removed = await self._chain.remove(entry.key)
                    deletion.tiers.update(names)
                    if not is_removed:
                        continue  # The index keeps the entry for the next purge.
                elif await self._original_store.remove(entry.key.digest):
                    deletion.tiers[self._original_store.name] += 1
                removed.append(entry)
                deletion.pending -= 1

        await asyncio.gather(*(delete() for _ in range(_CONCURRENT_DELETES)))
        await self._index.drop(removed)
