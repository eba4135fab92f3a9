"""Purges: after the response to a purge, no process serves variants that were made before it.

A purge is a new generation. The order: the log, which is on disk; the processes that answer requests, which drop their
records; the other nodes, which do the same and confirm; the CDN. Then old entries are deleted to free space.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import structlog

from proxy.core.cache.generations import Purge, PurgeScope
from proxy.core.errors import CalotypeError
from proxy.core.image.original import OriginalRef
from proxy.local.tasks import all_of
from proxy.ports.clock import Clock
from proxy.ports.operations import CdnPurge, SharedPurgeLog
from proxy.service.admin.purge_log import PurgeLog
from proxy.service.admin.purge_subscribers import PurgeSubscribers
from proxy.service.admin.reclaim import Reclaim
from proxy.service.request.originals import Originals, Revalidated

REVALIDATE_TIMEOUT_S = 5.0
"""The timeout of a revalidation at the source."""
DELETE_WAIT_S = 0.5
"""The response to a purge waits this long for the deletion of old entries."""


class PurgeResult(msgspec.Struct, frozen=True, kw_only=True, rename={"pending": "behind"}):
    """The result of a purge. `tiers` counts the entries that this node has deleted, by tier; `pending`, `behind` in the
    operations API, those that it is still deleting. `open` has one message for each node that may serve old variants;
    the purge is complete if it is empty."""

    removed: int
    tiers: dict[str, int]
    pending: int = 0
    open: list[str] = []


@dataclass(slots=True, eq=False)
class Purges:
    """One instance per node, in the process that owns the tiers. `fleet` is how the other nodes get the purges."""

    purge_log: PurgeLog
    subscribers: PurgeSubscribers
    fleet: SharedPurgeLog
    cdn: CdnPurge | None
    reclaim: Reclaim
    originals: Originals
    clock: Clock
    log: structlog.typing.FilteringBoundLogger

    async def purge(self, scopes: Sequence[PurgeScope]) -> PurgeResult:
        """Purges `scopes` on all nodes, in every Unicode normal form of their keys. `open` of the result has one message
        for each node that has not confirmed."""
        purges = self.purge_log.purges_of(scopes)
        unconfirmed = await self._apply(purges)
        unconfirmed += await self.fleet.publish(purges)
        # Last, and only if all have confirmed: otherwise the CDN could fetch and cache an old variant again.
        if self.cdn is not None and not unconfirmed:
            unconfirmed += await self.cdn.call(scopes)
        deletion = await self.reclaim.delete(purges, wait_s=DELETE_WAIT_S)
        tiers = dict(deletion.tiers)
        self.log.info("purged", scopes=len(scopes), tiers=tiers, open=unconfirmed)
        return PurgeResult(
            removed=sum(tiers.values()), tiers=tiers, pending=deletion.pending, open=unconfirmed
        )

    async def find(self, candidates: Sequence[OriginalRef]) -> OriginalRef | None:
        """The first of `candidates` that exists now; None if none does, or if the source does not answer."""
        await self.original_changed(candidates)
        try:
            found = await self.originals.find(candidates, deadline=self.clock() + REVALIDATE_TIMEOUT_S)
        except CalotypeError:
            return None
        return found.identity.ref

    async def purge_and_revalidate(
        self, refs: Sequence[OriginalRef], scopes: Sequence[PurgeScope]
    ) -> PurgeResult:
        """Purges `scopes`, which are of variants of the originals `refs`, and revalidates these. Purges the whole of
        each original that has changed or cannot be revalidated."""
        await self.original_changed(refs)
        revalidated = await all_of([self._revalidate(ref) for ref in refs])
        changed = [ref for ref, (has_changed, _) in zip(refs, revalidated, strict=True) if has_changed]
        purged = await self.purge([PurgeScope.of_original(ref) for ref in changed] or scopes)
        for ref, (_, tag) in zip(refs, revalidated, strict=True):
            self.originals.store_tag(ref, tag)
        return purged

    async def _revalidate(self, ref: OriginalRef) -> Revalidated:
        """Whether the original has changed, also if it cannot be revalidated, and its tag."""
        stored = await self.originals.stored_tag(ref)
        try:
            has_changed, tag = await self.originals.revalidate(
                ref, deadline=self.clock() + REVALIDATE_TIMEOUT_S
            )
        except CalotypeError:
            return Revalidated(has_changed=True, tag="")
        return Revalidated(has_changed or (tag != "" and tag != stored), tag)

    async def apply_remote(self, purges: Sequence[Purge]) -> list[str]:
        """Applies purges of another node; returns one message for each part of this node that has not confirmed. A purge
        without a token only drops the records of its original."""
        await self._drop_records([scope for scope, token in purges if not token])
        new = [purge for purge in purges if purge.token and self.purge_log.generations.is_newer(purge)]
        unconfirmed = await self._apply(new)
        if new:
            await self.reclaim.delete(new, wait_s=0)
        return unconfirmed

    async def original_changed(self, refs: Sequence[OriginalRef]) -> list[str]:
        """Drops the records of these originals, negative ones too, on all nodes; returns one message for each node that has not
        confirmed."""
        scopes = [each for ref in refs for each in PurgeScope.of_original(ref).normal_forms()]
        await self._drop_records(scopes)
        return await self.fleet.publish([Purge(scope, "") for scope in scopes]) if scopes else []

    async def _drop_records(self, scopes: Sequence[PurgeScope]) -> None:
        for scope in scopes:
            self.originals.drop_record(OriginalRef(scope.source, scope.text))
        if scopes:
            await self.subscribers.drop_records(scopes)

    async def _apply(self, purges: Sequence[Purge]) -> list[str]:
        """Appends to the log and waits for the processes; also for purges that are not written or confirmed yet."""
        position = await self.purge_log.append(purges)
        unconfirmed = await self.subscribers.confirmed(position)
        return self.purge_log.unwritten + unconfirmed
