"""S3 events: purges originals that were deleted or replaced, and pre-generates variants of created ones.

Events arrive twice, late and out of order; an event older than the last one of its original is ignored.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass

from proxy.core.admin.jobs import PregenerationSpec
from proxy.core.admin.s3_events import Event
from proxy.core.cache.generations import PurgeScope
from proxy.core.cache.keys import LastEvent
from proxy.core.errors import CalotypeError, PurgeIncomplete
from proxy.core.image.original import OriginalRef
from proxy.core.url.mounts import Rules
from proxy.core.url.original_urls import S3Location
from proxy.core.url.target import checked_key
from proxy.ports.operations import EntryIndex
from proxy.service.admin.pregeneration import Pregeneration
from proxy.service.admin.purges import Purges
from proxy.service.request.originals import Originals


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSummary:
    """The number of events of a notification by effect; `ignored` are those of other buckets or older than the last."""

    created: int = 0
    removed: int = 0
    ignored: int = 0


@dataclass(slots=True, eq=False)
class S3Events:
    """Applies notifications. `locations` are the s3 sources by name. `is_alone`: no other node can have variants of an
    original that this node does not know."""

    locations: Mapping[str, S3Location]
    originals: Originals
    purges: Purges
    pregeneration: Pregeneration
    index: EntryIndex
    rules: Callable[[], Rules]
    eager: tuple[str, ...]
    _: KW_ONLY
    is_alone: bool

    async def apply(self, events: Sequence[Event]) -> EventSummary:
        """Applies a notification. Raises PurgeIncomplete; the same notification can then be sent again."""
        created: dict[OriginalRef, Event] = {}
        removed: dict[OriginalRef, Event] = {}
        ignored = 0
        for event in events:
            refs = list(self._refs(event))
            for ref in refs:
                last = created.get(ref) or removed.get(ref)
                recorded = LastEvent(last.etag, last.sequencer) if last else await self.index.last_event(ref)
                if recorded is not None and event.is_before(recorded.sequencer):
                    ignored += 1
                    continue
                (created if event.is_created else removed)[ref] = event
                (removed if event.is_created else created).pop(ref, None)
            ignored += not refs
        purged = list(removed)
        unchanged: list[OriginalRef] = []
        for ref, event in created.items():
            (unchanged if await self._is_unchanged(ref, event) else purged).append(ref)
        await self._purge(purged)
        await self.purges.original_changed(unchanged)
        for ref, event in created.items():
            if event.etag and await self.originals.stored_tag(ref) != event.etag:
                await self.originals.publish_tag(ref, event.etag)
        await self._pregenerate(list(created))
        # Last, so that a notification that failed is applied when the store sends it again.
        for ref, event in (created | removed).items():
            await self.index.record_event(ref, LastEvent(event.etag, event.sequencer))
        return EventSummary(created=len(created), removed=len(removed), ignored=ignored)

    def _refs(self, event: Event) -> list[OriginalRef]:
        """The originals of an event; none if no URL can have its key."""
        refs = []
        for name, location in self.locations.items():
            if location.bucket == event.bucket and event.key.startswith(location.prefix):
                with suppress(CalotypeError):
                    refs.append(OriginalRef(name, checked_key(event.key.removeprefix(location.prefix))))
        return refs

    async def _is_unchanged(self, ref: OriginalRef, event: Event) -> bool:
        """Whether no variant of an older object can exist: the recorded entity tag is the same, or nothing is recorded."""
        if event.etag and await self.originals.stored_tag(ref) == event.etag:
            return True
        recorded = await self.index.last_event(ref)
        if recorded is None:
            return self.is_alone
        return bool(event.etag) and recorded.etag == event.etag

    async def _purge(self, refs: Sequence[OriginalRef]) -> None:
        if not refs:
            return
        purged = await self.purges.purge([PurgeScope.of_original(ref) for ref in refs])
        if purged.open:
            raise PurgeIncomplete("not every node has confirmed the purge", open=tuple(purged.open))

    async def _pregenerate(self, refs: Sequence[OriginalRef]) -> None:
        transforms = tuple(f"t_{name}" for name in self.eager)
        for mount in self.rules().mounts:
            keys = tuple(ref.key for ref in refs if ref.source == mount.source)
            refs = [ref for ref in refs if ref.source != mount.source]
            if keys and transforms:
                await self.pregeneration.add(
                    PregenerationSpec(mount=mount.name, transforms=transforms, keys=keys)
                )
