"""Deletes the entries of purged variants in the background, to free space. No response depends on it: the keys of
these entries have an old generation, which no request looks up.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from proxy.core.cache.generations import Purge
from proxy.core.cache.keys import Entry
from proxy.local.tasks import Tasks
from proxy.ports.operations import EntryIndex
from proxy.ports.originals import OriginalStore
from proxy.service.admin.purge_subscribers import PurgeSubscribers
from proxy.service.request.tier_chain import TierChain

_CONCURRENT_DELETES = 16
_KEYS_PER_CALL = 1000


@dataclass(slots=True)
class Deletion:
    """The progress of a deletion: the entries that were deleted, by tier, and the number of those that are `pending`,
    which is 0 until the entries were looked up in the index."""

    tiers: Counter[str] = field(default_factory=Counter)
    pending: int = 0


@dataclass(slots=True, eq=False)
class Reclaim:
    """One instance per node, in the process that owns the tiers."""

    index: EntryIndex
    chain: TierChain
    original_store: OriginalStore
    subscribers: PurgeSubscribers
    log: structlog.typing.FilteringBoundLogger
    _tasks: Tasks = field(default_factory=Tasks, init=False)

    async def delete(self, purges: Sequence[Purge], *, wait_s: float) -> Deletion:
        """Starts to delete the entries that `purges` cover; returns the progress when all are deleted, or after
        `wait_s`."""
        deletion = Deletion()
        task = self._tasks.start(self._delete(purges, deletion), "purge")
        await asyncio.wait({task}, timeout=wait_s)
        return deletion

    async def close(self) -> None:
        """Cancels deletions; the remaining entries stay in the tiers."""
        await self._tasks.close()

    async def _delete(self, purges: Sequence[Purge], deletion: Deletion) -> None:
        try:
            entries = await self.index.find(purges)
            deletion.pending = len(entries)
            for first in range(0, len(entries), _KEYS_PER_CALL):
                await self._delete_part(entries[first : first + _KEYS_PER_CALL], deletion)
        except Exception as failure:
            self.log.error("the entries of a purge could not be deleted", reason=repr(failure))

    async def _delete_part(self, entries: Sequence[Entry], deletion: Deletion) -> None:
        keys = [entry.key for entry in entries if not entry.is_original]
        deletion.tiers[self.chain.fast] += await self.subscribers.remove(keys)
        remaining = iter(entries)
        removed = []

        async def delete() -> None:
            for entry in remaining:
                if not entry.is_original:
                    names, is_removed = await self.chain.remove(entry.key)
                    deletion.tiers.update(names)
                    if not is_removed:
                        continue  # The index keeps the entry for the next purge.
                elif await self.original_store.remove(entry.key.digest):
                    deletion.tiers[self.original_store.name] += 1
                removed.append(entry)
                deletion.pending -= 1

        await asyncio.gather(*(delete() for _ in range(_CONCURRENT_DELETES)))
        await self.index.drop(removed)
