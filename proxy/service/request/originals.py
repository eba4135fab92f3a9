"""Originals: their current identity, its freshness, and the entity tag under which the nodes of a fleet compare them.

Identities are cached for the freshness lifetime of their source, negative entries for its negative lifetime.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from proxy.core.cache.delivery import Variant
from proxy.core.cache.freshness import MISSING, Freshness
from proxy.core.cache.generations import Generations
from proxy.core.cache.keys import CacheKey, Entry, identity_key, original_key
from proxy.core.errors import CalotypeError, OriginalNotFound, SourceTimeout, SourceUnavailable
from proxy.core.image.original import Identity, OriginalRef, forms, missing
from proxy.ports.clock import Clock
from proxy.ports.operations import EntryIndex
from proxy.ports.originals import OriginalFile, Source, Version
from proxy.ports.rendering import Refusals
from proxy.ports.telemetry import Metrics
from proxy.service.request.original_record import Record
from proxy.service.request.singleflight import Flight, Flights
from proxy.service.request.tier_chain import Receipt, TierChain
from proxy.service.request.ttl_cache import TtlCache

STALE_IF_ERROR_S = 5.0
"""A failed source is called again for a stale original after this time."""
STALE_MISSING_S = 3600.0
"""A candidate that was missing counts as missing for this time if its source is unavailable."""
MAX_RECORD_BYTES = 19 * 2**20
_MAX_ATTEMPTS = 3
REFRESH_AHEAD, MAX_REFRESH_AHEAD_S = 0.05, 1.0
"""The last part of the lifetime of an identity, in which a hit starts a revalidation and does not wait for it."""

T = TypeVar("T")


class OriginalChanged(Exception):
    """The source no longer has an identified original. `refs` are to be identified again; other new identities are
    recorded already."""

    def __init__(self, *refs: OriginalRef) -> None:
        super().__init__()
        self.refs = refs


class Found(NamedTuple):
    """The identity of the first candidate that exists, and the candidates before it."""

    identity: Identity
    missing: tuple[OriginalRef, ...] = ()


class Revalidated(NamedTuple):
    """The result of a revalidation: whether the original is another than the recorded one, and its entity tag, empty if
    the source has versions."""

    has_changed: bool
    tag: str


@dataclass(slots=True, eq=False)
class Originals:
    """Identities and tags of originals, and all calls to their sources for these and for bytes."""

    sources: Mapping[str, Source]
    chain: TierChain
    flights: Flights
    clock: Clock
    metrics: Metrics
    generations: Generations
    index: EntryIndex
    refusals: Refusals | None
    _records: TtlCache[OriginalRef, Record] = field(init=False)

    def __post_init__(self) -> None:
        self._records = TtlCache(
            MAX_RECORD_BYTES,
            self.clock,
            lambda ref, record: (
                *(ref.key, record.missing, record.generation),
                record.identity.version if record.identity else "",
            ),
        )

    async def identify(self, ref: OriginalRef, *, deadline: float) -> Identity:
        """The identity, requested from the source once per `freshness_lifetime_s` at most. Raises OriginalNotFound and the
        errors of the source."""
        record = self._record_of(ref)
        if record.fresh_until_s <= self.clock() or self._must_refetch(record.identity):
            self._begin(record, deadline)
            await self.flights.run(
                ("identify", record), lambda _: self._revalidate(record, deadline), deadline=deadline
            )
        if record.identity is None:
            raise OriginalNotFound(record.missing, lasts_s=record.stale_until_s - self.clock())
        return record.identity

    async def find(self, refs: Sequence[OriginalRef], *, deadline: float) -> Found:
        """The first of `refs` that exists; one alone need not exist. A name that does not exist is remembered for
        `negative_ttl_s`. Raises OriginalNotFound if none exists, and the errors of the source."""
        if len(refs) == 1:
            return Found(await self.identify(refs[0], deadline=deadline))
        failures: list[OriginalNotFound] = []
        for position, ref in enumerate(refs):
            try:
                return Found(await self._identify_existing(ref, deadline), tuple(refs[:position]))
            except OriginalNotFound as failure:
                failures.append(failure)
        raise OriginalNotFound(
            f"{failures[0].detail}, nor with another suffix",
            lasts_s=min(failure.lasts_s or 0.0 for failure in failures),
        )

    async def _identify_existing(self, ref: OriginalRef, deadline: float) -> Identity:
        """As `identify`, and asks a source that has no versions whether it has the original. While the source is
        unavailable, a name that did not exist still does not."""
        self._record_of(ref).check_bytes(self.clock())
        try:
            identity = await self.identify(ref, deadline=deadline)
            if not identity.version:
                await self._check_exists(ref, deadline)
            return identity
        except (SourceUnavailable, SourceTimeout):
            record = self._record_of(ref)
            if not record.missing_until_s:
                raise
            record.set_bytes_missing(missing(ref).detail, self.clock() + STALE_IF_ERROR_S)
            self._records.store(ref, record, self.clock() + STALE_MISSING_S)
            raise OriginalNotFound(record.missing, lasts_s=STALE_IF_ERROR_S) from None
        except OriginalNotFound:
            if (record := self._record_of(ref)).missing_until_s:
                self._records.store(ref, record, self.clock() + STALE_MISSING_S)
            raise

    async def _check_exists(self, ref: OriginalRef, deadline: float) -> None:
        record, source = self._record_of(ref), self.sources[ref.source]

        async def check(_: Flight) -> None:
            try:
                await self._tag(ref, deadline)
            except OriginalNotFound as failure:
                failure.lasts_s = source.negative_ttl_s
                self._set_bytes_missing(record, failure.detail, source.negative_ttl_s)
                raise
            record.exists = True

        if not record.exists:
            await self.flights.run(("exists", record), check, deadline=deadline)

    async def revalidate(self, ref: OriginalRef, *, deadline: float) -> Revalidated:
        """Revalidates at the source, also while the cached identity is fresh. Records the tag if none is recorded. A different
        tag is only reported: the caller purges, then stores it. Raises OriginalNotFound and the errors of the source."""
        record = self._record_of(ref)
        tag = await self._tag(ref, deadline)
        last: str | None
        if tag:
            record.bytes_missing_until_s = 0.0
            last = await self._lookup_last(record)
            if last is None and await self.index.last_event(ref) is None:
                self._store_tag(record, tag)
                last = tag
            has_changed = last != tag
        else:
            self._begin(record, deadline)
            identity = await self._last_identity(record)
            await self._revalidate(record, deadline, stale_if_error=False)
            if record.identity is None:
                raise OriginalNotFound(record.missing)
            has_changed = identity is not None and identity.version != record.identity.version
        # A purge meanwhile has handled the change already.
        is_current = record.generation == self.generations.original_generation(ref)
        return Revalidated(has_changed and is_current, tag)

    async def _tag(self, ref: OriginalRef, deadline: float) -> str:
        try:
            async with asyncio.timeout_at(deadline):
                return await self.sources[ref.source].tag(ref.key)
        except TimeoutError:
            raise SourceTimeout("the source did not answer in time") from None

    async def fetch(self, identity: Identity, *, deadline: float) -> OriginalFile:
        """The bytes of an identity. Raises OriginalChanged if the source has another version or a purge has come since;
        OriginalNotFound, and the errors of the source."""
        ref, source = identity.ref, self.sources[identity.ref.source]
        record = self._record_of(ref)
        record.check_bytes(self.clock())
        self._begin(record, deadline)
        try:
            async with asyncio.timeout_at(deadline):
                version, file, tag = await source.fetch(ref.key)
        except TimeoutError:
            self.metrics.fetched(ref.source, "timeout")
            raise SourceTimeout("the original did not arrive in time") from None
        except CalotypeError as failure:
            self.metrics.fetched(ref.source, failure.slug)
            if isinstance(failure, OriginalNotFound):
                failure.lasts_s = source.negative_ttl_s
                self._set_bytes_missing(record, failure.detail, failure.lasts_s)
            raise
        self.metrics.fetched(ref.source, "ok")
        record.exists = True
        fetched = record.identity_of(version)
        entry = Entry(CacheKey(original_key(fetched)), is_original=True, generation=fetched.generation)
        self.index.note([ref], entry)
        if tag:
            self._store_first_tag(record, tag)
        if fetched == identity:
            return file
        file.close()
        # A revalidation with the validator of the expected version would prove nothing.
        if source.serves_stale:
            self._store_last(record, fetched.version)
        record.set(fetched, "", self.clock() + source.freshness_lifetime_s)
        self._update(record)
        for other in forms(fetched.ref.key)[1:]:
            self._records.remove(OriginalRef(ref.source, other))
        raise OriginalChanged

    def freshness(self, identity: Identity) -> Freshness:
        """The freshness of `identity`; expired if another identity is recorded."""
        record = self._record_of(identity.ref)
        version = f"{identity.version} {identity.generation}"
        if record.identity != identity:
            return Freshness(version, 0.0)
        return Freshness(version, record.fresh_until_s, record.stale_until_s)

    def freshness_of_missing(self, ref: OriginalRef) -> Freshness:
        """How long an original that does not exist is not looked for again."""
        until_s = self._record_of(ref).missing_until_s
        return Freshness(MISSING, until_s, until_s)

    async def retry_if_changed(self, work: Callable[[], Awaitable[T]]) -> T:
        """The result of `work`, which is repeated if it raises OriginalChanged. Raises SourceUnavailable after the last
        attempt."""
        for _ in range(_MAX_ATTEMPTS):
            try:
                return await work()
            except OriginalChanged as changed:
                for ref in changed.refs:
                    self.drop_record(ref)
        raise SourceUnavailable("the original keeps changing while it is read", retry_after_s=1)

    def drop_record(self, ref: OriginalRef) -> None:
        """Drops what is known of an original that exists, by any normal form of its key: the next `identify` calls the
        source."""
        for key in forms(ref.key):
            self._records.remove(OriginalRef(ref.source, key))

    def store_tag(self, ref: OriginalRef, tag: str) -> Receipt | None:
        """Records `tag` as the original's tag in the fleet until a purge. An empty tag is not stored."""
        return self._store_tag(self._record_of(ref), tag) if tag else None

    async def publish_tag(self, ref: OriginalRef, tag: str) -> None:
        """As `store_tag`, and waits until every node can look up the tag."""
        if (receipt := self.store_tag(ref, tag)) is not None:
            await receipt.durable()

    async def stored_tag(self, ref: OriginalRef) -> str | None:
        """The tag in the fleet since the last purge."""
        return await self._lookup_last(self._record_of(ref))

    def _store_tag(self, record: Record, tag: str) -> Receipt:
        """Stores the tag and adds its entry to the index, so that a purge deletes it."""
        key = identity_key(record.ref, record.generation)
        self.index.note([record.ref], Entry(key, generation=record.generation))
        return self._store_last(record, tag)

    def _store_first_tag(self, record: Record, tag: str) -> None:
        """Stores the tag of a fetch if there is none: the first tag stays, so that a revalidation detects a change."""

        async def store(_: Flight) -> None:
            if await self._lookup_last(record) is None:
                self._store_tag(record, tag)

        self.flights.start_detached(("tag", record.ref, record.generation), store)

    def _store_last(self, record: Record, text: str) -> Receipt:
        """Stores the last version, empty if the original is missing, or the tag: for other nodes and after a restart."""
        key = identity_key(record.ref, record.generation)
        return self.chain.store(key, Variant(body=text.encode(), of=str(record.ref)))

    async def _lookup_last(self, record: Record) -> str | None:
        hit = await self.chain.lookup(identity_key(record.ref, record.generation))
        return hit.variant.body.decode() if hit else None

    def _must_refetch(self, last: Identity | None) -> bool:
        """Whether the bytes were rejected as no picture and have to be fetched again: a server that confirms their
        validator proves nothing."""
        return (
            last is not None and self.refusals is not None and self.refusals.has_expired(original_key(last))
        )

    async def _revalidate(self, record: Record, deadline: float, *, stale_if_error: bool = True) -> None:
        """Records the current identity. Without `stale_if_error` an unavailable source is an error."""
        ref, source = record.ref, self.sources[record.ref.source]
        last = await self._last_identity(record)
        known = None if last is None or self._must_refetch(last) else last.version
        current, detail, lifetime_s = None, "", source.freshness_lifetime_s
        ahead_s = min(REFRESH_AHEAD * lifetime_s, MAX_REFRESH_AHEAD_S)
        try:
            async with asyncio.timeout_at(deadline):
                current = record.identity_of(await source.identify(ref.key, known))
            if self.refusals is not None and self._must_refetch(current):
                # The source has sent the bytes again, so they are decoded again.
                self.refusals.clear(original_key(current))
        except OriginalNotFound as missing:
            detail, lifetime_s, ahead_s = missing.detail, source.negative_ttl_s, 0.0
        except (TimeoutError, SourceTimeout, SourceUnavailable) as failure:
            if last is None or not stale_if_error or not source.serves_stale:
                if isinstance(failure, TimeoutError):
                    raise SourceTimeout("the source did not answer in time") from None
                raise
            self.metrics.fetched(ref.source, "stale")
            current, lifetime_s, ahead_s = last, min(lifetime_s, STALE_IF_ERROR_S), 0.0
        if source.serves_stale and current != last:
            if current is not None:
                self.metrics.fetched(ref.source, "ok")
            self._store_last(record, current.version if current is not None else "")
        record.set(current, detail, self.clock() + lifetime_s, ahead_s)
        self._update(record)

    async def _last_identity(self, record: Record) -> Identity | None:
        """The identity of the last revalidation, which another node or an earlier start may have made."""
        if record.stale_until_s or not self.sources[record.ref.source].serves_stale:
            return record.identity
        version = await self._lookup_last(record)
        return record.identity_of(Version(record.ref.key, version)) if version else None

    def _record_of(self, ref: OriginalRef) -> Record:
        """The record since the last purge, or a new one."""
        record, generation = self._records.get(ref), self.generations.original_generation(ref)
        return record if record is not None and record.generation == generation else Record(ref, generation)

    def _begin(self, record: Record, deadline: float) -> None:
        """Stores the record before the source is asked, so that a purge or an upload meanwhile drops it."""
        self._records.store(record.ref, record, max(deadline, record.stale_until_s))

    def _set_bytes_missing(self, record: Record, detail: str, lasts_s: float) -> None:
        record.set_bytes_missing(detail, self.clock() + lasts_s)
        self._update(record)

    def _update(self, record: Record) -> None:
        """Stores what was written into the record, unless it was dropped meanwhile; also for another normal form."""
        if self._record_of(record.ref) is not record:
            return
        until_s, identity = max(record.stale_until_s, record.bytes_missing_until_s), record.identity
        self._records.store(record.ref, record, until_s)
        if identity is not None and identity.ref != record.ref:
            self._records.store(identity.ref, replace(record, ref=identity.ref), until_s)
