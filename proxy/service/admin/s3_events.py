"""What stores tell of their objects: an original that was removed or replaced is purged, one that came is prepared.

Events come twice, late and out of order; what is known to be older than the last that was heard changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

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
    """What came of a notification, in events: `ignored` were of other buckets, or older than what is known."""

    created: int = 0
    removed: int = 0
    ignored: int = 0


class S3Events:
    """The use case. `places` are the s3 sources by name; `is_alone` says that no other node may have made anything of an
    original that this one does not know."""

    def __init__(
        self,
        places: Mapping[str, S3Location],
        originals: Originals,
        purges: Purges,
        pregeneration: Pregeneration,
        index: EntryIndex,
        rules: Callable[[], Rules],
        eager: tuple[str, ...],
        *,
        is_alone: bool,
    ) -> None:
        self._places = places
        self._originals = originals
        self._purges = purges
        self._pregeneration = pregeneration
        self._index = index
        self._rules = rules
        self._eager = eager
        self._is_alone = is_alone

    async def apply(self, events: Sequence[Event]) -> EventSummary:
        """Raises PurgeIncomplete, after which the same notification may come again."""
        created: dict[OriginalRef, Event] = {}
        removed: dict[OriginalRef, Event] = {}
        ignored = 0
        for event in events:
            refs = list(self._refs(event))
            for ref in refs:
                last = created.get(ref) or removed.get(ref)
                seen = LastEvent(last.etag, last.sequencer) if last else await self._index.last_event(ref)
                if seen is not None and event.is_before(seen.sequencer):
                    ignored += 1
                    continue
                (created if event.is_created else removed)[ref] = event
                (removed if event.is_created else created).pop(ref, None)
            ignored += not refs
        gone = list(removed)
        there: list[OriginalRef] = []
        for ref, event in created.items():
            (there if await self._is_the_same(ref, event) else gone).append(ref)
        await self._purge(gone)
        await self._purges.original_changed(there)
        for ref, event in created.items():
            if event.etag and await self._originals.known_tag(ref) != event.etag:
                await self._originals.publish_tag(ref, event.etag)
        await self._prepare(list(created))
        # Last: what could not be done to the end is done again when it is told again.
        for ref, event in (created | removed).items():
            await self._index.record_event(ref, LastEvent(event.etag, event.sequencer))
        return EventSummary(created=len(created), removed=len(removed), ignored=ignored)

    def _refs(self, event: Event) -> list[OriginalRef]:
        """The originals it is about; of a key that no URL can name there is none."""
        refs = []
        for name, place in self._places.items():
            if place.bucket == event.bucket and event.key.startswith(place.prefix):
                with suppress(CalotypeError):
                    refs.append(OriginalRef(name, checked_key(event.key.removeprefix(place.prefix))))
        return refs

    async def _is_the_same(self, ref: OriginalRef, event: Event) -> bool:
        """Whether nothing old can be about of what was created: the fleet knows it by its entity tag, or nothing is known at
        all."""
        if event.etag and await self._originals.known_tag(ref) == event.etag:
            return True
        seen = await self._index.last_event(ref)
        if seen is None:
            return self._is_alone
        return bool(event.etag) and seen.etag == event.etag

    async def _purge(self, refs: Sequence[OriginalRef]) -> None:
        if not refs:
            return
        purged = await self._purges.purge([PurgeScope.of_original(ref) for ref in refs])
        if purged.open:
            raise PurgeIncomplete("not every node has confirmed the purge", open=tuple(purged.open))

    async def _prepare(self, refs: Sequence[OriginalRef]) -> None:
        transforms = tuple(f"t_{name}" for name in self._eager)
        for mount in self._rules().mounts:
            keys = tuple(ref.key for ref in refs if ref.source == mount.source)
            refs = [ref for ref in refs if ref.source != mount.source]
            if keys and transforms:
                await self._pregeneration.add(
                    PregenerationSpec(mount=mount.name, transforms=transforms, keys=keys)
                )
