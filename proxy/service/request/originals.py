"""Originals: their current identity, its freshness, and the entity tag under which the nodes of a fleet compare them.

Identities are cached for the freshness lifetime of their source, negative entries for its negative lifetime.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple, TypeVar

from proxy.core.cache.delivery import Variant
from proxy.core.cache.freshness import Freshness
from proxy.core.cache.generations import Generations
from proxy.core.cache.keys import Entry, identity_key
from proxy.core.errors import (
    OriginalNotFound,
    SourceTimeout,
    SourceUnavailable,
    UnsupportedFormat,
)
from proxy.core.image.formats import NO_PICTURE, SNIFF_BYTES, sniff
from proxy.core.image.original import Identity, OriginalRef, forms
from proxy.ports.clock import Clock
from proxy.ports.operations import EntryIndex
from proxy.ports.originals import Original, Source
from proxy.ports.rendering import Refusals
from proxy.ports.telemetry import Metrics
from proxy.service.request.open_originals import OpenOriginals, OriginalChanged
from proxy.service.request.singleflight import Flight, Flights
from proxy.service.request.tier_chain import Receipt, TierChain
from proxy.service.request.ttl_cache import TtlCache

STALE_IF_ERROR_S = 5.0
"""A failed source is called again for a stale original after this time."""

_MISSING = ""
MAX_IDENTITY_BYTES = 16 * 2**20
_MAX_ATTEMPTS = 3
REFRESH_AHEAD, MAX_REFRESH_AHEAD_S = 0.05, 1.0
"""The last part of the lifetime of an identity, in which a hit starts a revalidation and does not wait for it."""

T = TypeVar("T")


class _IdentityRecord(NamedTuple):
    """The identity of an original, or None and the detail of its negative entry, with its freshness on the Clock."""

    identity: Identity | None
    missing: str
    fresh_until_s: float
    stale_until_s: float
    generation: str


class Revalidated(NamedTuple):
    """The result of a revalidation: whether the original is another than the recorded one, and its entity tag, empty if
    the source has versions."""

    has_changed: bool
    tag: str


def _version(current: Identity | OriginalNotFound) -> str:
    return current.version if isinstance(current, Identity) else _MISSING


class Originals:
    """Identities and tags of originals. `opened` opens their bytes."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        chain: TierChain,
        opened: OpenOriginals,
        flights: Flights,
        clock: Clock,
        metrics: Metrics,
        generations: Generations,
        index: EntryIndex | None = None,
        refusals: Refusals | None = None,
    ) -> None:
        self._sources = sources
        self._chain = chain
        self.opened = opened
        opened.on_fetched = self._on_fetched
        self._flights = flights
        self._clock = clock
        self._metrics = metrics
        self._generations = generations
        self._index = index
        self._refusals = refusals
        self._records: TtlCache[OriginalRef, _IdentityRecord] = TtlCache(
            MAX_IDENTITY_BYTES,
            clock,
            lambda ref, record: (
                *(ref.key, record.missing, record.generation),
                record.identity.version if record.identity else "",
            ),
        )

    async def identify(self, ref: OriginalRef, *, deadline: float) -> Identity:
        """The identity, requested from the source once per `freshness_lifetime_s` at most. Raises OriginalNotFound and the
        errors of the source."""
        generation = self._generations.original_generation(ref)
        record = self._record_of(ref, generation)
        if record is None or record.fresh_until_s <= self._clock() or self._must_refetch(record.identity):
            flight = await self._flights.run(
                ("identify", ref, generation),
                lambda _: self._revalidate(ref, generation, deadline),
                deadline=deadline,
            )
            record = flight.result
        if record.identity is None:
            raise OriginalNotFound(record.missing, lasts_s=record.stale_until_s - self._clock())
        return record.identity

    def _must_refetch(self, last: Identity | OriginalNotFound | None) -> bool:
        """Whether the bytes were rejected as no picture and have to be fetched again: a server that confirms their
        validator proves nothing."""
        return isinstance(last, Identity) and self._refusals is not None and self._refusals.has_expired(last)

    def _record_of(self, ref: OriginalRef, generation: str) -> _IdentityRecord | None:
        """The record since the last purge."""
        record = self._records.get(ref)
        return record if record is not None and record.generation == generation else None

    async def revalidate(self, ref: OriginalRef, *, deadline: float) -> Revalidated:
        """Revalidates at the source, also while the cached identity is fresh. The first tag is recorded; a different tag is recorded only
        after a purge. Raises OriginalNotFound and the errors of the source."""
        generation = self._generations.original_generation(ref)
        try:
            async with asyncio.timeout_at(deadline):
                tag = await self._sources[ref.source].tag(ref.key)
        except TimeoutError:
            raise SourceTimeout("the source did not answer in time") from None
        if not tag:
            return await self._revalidate_version(ref, generation, deadline)
        self.opened.drop_negative(ref)
        stored = await self._lookup_tag(ref, generation)
        if stored is None and (self._index is None or await self._index.last_event(ref) is None):
            self._store_tag(ref, generation, tag)
            return Revalidated(False, tag)
        # A purge meanwhile has handled the change already.
        return Revalidated(stored != tag and generation == self._generations.original_generation(ref), tag)

    async def _revalidate_version(self, ref: OriginalRef, generation: str, deadline: float) -> Revalidated:
        record = self._record_of(ref, generation)
        last = record.identity if record else None
        if self._sources[ref.source].serves_stale:
            last = await self._last_identity(ref, generation)
        new = await self._revalidate(ref, generation, deadline, stale_if_error=False)
        if new.identity is None:
            raise OriginalNotFound(new.missing)
        is_current = generation == self._generations.original_generation(ref)
        return Revalidated(last is not None and last.version != new.identity.version and is_current, "")

    def store_tag(self, ref: OriginalRef, tag: str) -> Receipt | None:
        """Records `tag` as the original's tag in the fleet until a purge. An empty tag is not stored."""
        return self._store_tag(ref, self._generations.original_generation(ref), tag) if tag else None

    async def publish_tag(self, ref: OriginalRef, tag: str) -> None:
        """As `store_tag`, and waits until every node can look up the tag."""
        if (receipt := self.store_tag(ref, tag)) is not None:
            await receipt.durable()

    async def stored_tag(self, ref: OriginalRef) -> str | None:
        """The tag in the fleet since the last purge."""
        return await self._lookup_tag(ref, self._generations.original_generation(ref))

    def _store_tag(self, ref: OriginalRef, generation: str, tag: str) -> Receipt:
        """Stores the tag and adds its entry to the index, so that a purge deletes it."""
        key = identity_key(ref, generation)
        if self._index is not None:
            self._index.note(ref, Entry(key, generation=generation))
        return self._chain.store(key, Variant(body=tag.encode(), of=str(ref)))

    async def _lookup_tag(self, ref: OriginalRef, generation: str) -> str | None:
        """The tag of an original whose source has no versions."""
        hit = await self._chain.lookup(identity_key(ref, generation))
        return hit.variant.body.decode() if hit else None

    def _store_first_tag(self, ref: OriginalRef, generation: str, tag: str) -> None:
        """Stores the tag of a fetch if there is none: the first tag stays, so that a revalidation detects a change."""

        async def store(_: Flight) -> None:
            if await self._lookup_tag(ref, generation) is None:
                self._store_tag(ref, generation, tag)

        self._flights.start_detached(("tag", ref, generation), store)

    async def _revalidate(
        self, ref: OriginalRef, generation: str, deadline: float, *, stale_if_error: bool = True
    ) -> "_IdentityRecord":
        """The record after a revalidation. Without `stale_if_error` an unavailable source is an error."""
        source = self._sources[ref.source]
        last = await self._last_identity(ref, generation) if source.serves_stale else None
        current: Identity | OriginalNotFound
        lifetime_s = source.freshness_lifetime_s
        ahead_s = min(REFRESH_AHEAD * lifetime_s, MAX_REFRESH_AHEAD_S)
        validator = None if self._must_refetch(last) else last
        try:
            async with asyncio.timeout_at(deadline):
                current = await source.identify(ref.key, validator, generation)
            if self._refusals is not None and self._must_refetch(current):
                # The source has sent the bytes again, so they are decoded again.
                self._refusals.clear(current)
        except OriginalNotFound as missing:
            current, lifetime_s, ahead_s = missing.with_traceback(None), source.negative_ttl_s, 0.0
        except (TimeoutError, SourceTimeout, SourceUnavailable) as failure:
            if last is None or not stale_if_error:
                if isinstance(failure, TimeoutError):
                    raise SourceTimeout("the source did not answer in time") from None
                raise
            self._metrics.fetched(ref.source, "stale")
            current, lifetime_s, ahead_s = last, min(lifetime_s, STALE_IF_ERROR_S), 0.0
        if source.serves_stale and _version(current) != (last.version if last else _MISSING):
            if _version(current) != _MISSING:
                self._metrics.fetched(ref.source, "ok")
            self._store_version(ref, current, generation)
        return self._record(ref, current, lifetime_s, ahead_s, generation)

    def _store_version(self, ref: OriginalRef, current: Identity | OriginalNotFound, generation: str) -> None:
        """Stores the version for use after a restart and by other nodes."""
        self._chain.store(
            identity_key(ref, generation), Variant(body=_version(current).encode(), of=str(ref))
        )

    def _record(
        self,
        ref: OriginalRef,
        current: Identity | OriginalNotFound,
        lifetime_s: float,
        ahead_s: float,
        generation: str,
    ) -> _IdentityRecord:
        stale_until_s = self._clock() + lifetime_s
        identity, missing = (current, "") if isinstance(current, Identity) else (None, current.detail)
        record = _IdentityRecord(identity, missing, stale_until_s - ahead_s, stale_until_s, generation)
        if generation == self._generations.original_generation(ref):
            self._records.store(ref, record, stale_until_s)
            if identity is not None and identity.ref != ref:
                self._records.store(identity.ref, record, stale_until_s)
        return record

    async def _last_identity(self, ref: OriginalRef, generation: str) -> Identity | None:
        """The identity of the last revalidation, which another node or an earlier start may have made."""
        record = self._record_of(ref, generation)
        if record is not None:
            return record.identity
        hit = await self._chain.lookup(identity_key(ref, generation))
        version = hit.variant.body.decode() if hit else _MISSING
        return None if version == _MISSING else Identity(ref, version, generation)

    def freshness(self, identity: Identity) -> Freshness:
        """The freshness of `identity`; expired if another identity is recorded."""
        record = self._records.get(identity.ref)
        version = f"{identity.version} {identity.generation}"
        if record is None or record.identity != identity:
            return Freshness(version, 0.0)
        return Freshness(version, record.fresh_until_s, record.stale_until_s)

    async def retry_if_changed(self, ref: OriginalRef, work: Callable[[], Awaitable[T]]) -> T:
        """The result of `work`, which is repeated if it raises OriginalChanged. Raises SourceUnavailable after the last
        attempt."""
        for _ in range(_MAX_ATTEMPTS):
            try:
                return await work()
            except OriginalChanged as changed:
                if not changed.is_identified:
                    self.drop_identity(ref)
        raise SourceUnavailable("the original keeps changing while it is read", retry_after_s=1)

    def drop_identity(self, ref: OriginalRef) -> None:
        """Makes the next `identify` call the source."""
        self._records.remove(ref)

    def drop_negative(self, ref: OriginalRef) -> None:
        """Drops the negative entries of an original that exists."""
        self.drop_identity(ref)
        self.opened.drop_negative(ref)

    @asynccontextmanager
    async def open_current(self, ref: OriginalRef, *, deadline: float) -> AsyncIterator[Original]:
        """The current original, open while the context is."""
        async with AsyncExitStack() as stack:

            async def attempt() -> Original:
                identity = await self.identify(ref, deadline=deadline)
                original = await stack.enter_async_context(self.opened.open(identity, deadline=deadline))
                if not original.unchanged():
                    raise OriginalChanged
                await self._check_format(original)
                return original

            original = await self.retry_if_changed(ref, attempt)
            yield original

    async def _check_format(self, original: Original) -> None:
        """Raises UnsupportedFormat for bytes that are no picture, and records the refusal."""
        if self._refusals is None:
            return
        if sniff(await asyncio.to_thread(os.pread, original.fileno(), SNIFF_BYTES, 0)) is None:
            failure = UnsupportedFormat(NO_PICTURE)
            self._refusals.refuse(original.identity, failure)
            raise failure

    def _on_fetched(self, expected: Identity, original: Original) -> None:
        """Records the tag and the identity of a fetch. An unexpected identity is the current one: a revalidation with the
        validator of the expected one would prove nothing."""
        identity = original.identity
        if original.tag:
            self._store_first_tag(expected.ref, expected.generation, original.tag)
        if identity == expected:
            return
        source = self._sources[identity.ref.source]
        if source.serves_stale:
            self._store_version(identity.ref, identity, identity.generation)
        self._record(identity.ref, identity, source.freshness_lifetime_s, 0.0, identity.generation)
        for other in forms(identity.ref.key)[1:]:
            self.drop_identity(OriginalRef(identity.ref.source, other))
