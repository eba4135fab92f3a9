"""Originals: their current identity, how long it is fresh, and the tag by which the nodes of a fleet know them.

Identities are remembered for as long as their source allows, and negative entries for a while.
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
from proxy.service.request.remembered import TtlCache
from proxy.service.request.singleflight import Flight, Flights
from proxy.service.request.tier_chain import Receipt, TierChain

STALE_IF_ERROR_S = 5.0
"""How long a source that is out of order is not asked again about an original that is served meanwhile."""

_GONE = ""
MAX_IDENTITY_BYTES = 16 * 2**20
_ATTEMPTS = 3
REFRESH_AHEAD, MAX_REFRESH_AHEAD_S = 0.05, 1.0
"""Which last part of the time that an identity may be believed is there to look it up anew, so that hits need not wait."""

T = TypeVar("T")


class _OriginalRecord(NamedTuple):
    """Who an original was when it was last looked at, or what is said of one that was missing, from when on it is looked up
    again, and until when it may be believed."""

    identity: Identity | None
    missing: str
    fresh_until_s: float
    stale_until_s: float
    generation: str


class Revalidated(NamedTuple):
    """What a look found: whether the original is another than the fleet knows, and what its source tells it by, if it
    names no versions."""

    is_another: bool
    tag: str


def _version(known: Identity | OriginalNotFound) -> str:
    return known.version if isinstance(known, Identity) else _GONE


class Originals:
    """What is known of originals besides their pixels. `opened` gives their bytes."""

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
        opened.on_fetched = self._fetched
        self._flights = flights
        self._clock = clock
        self._metrics = metrics
        self._generations = generations
        self._index = index
        self._refusals = refusals
        self._known: TtlCache[OriginalRef, _OriginalRecord] = TtlCache(
            MAX_IDENTITY_BYTES,
            clock,
            lambda ref, known: (
                *(ref.key, known.missing, known.generation),
                known.identity.version if known.identity else "",
            ),
        )

    async def identify(self, ref: OriginalRef, *, deadline: float) -> Identity:
        """The identity, looked up at its source no more often than the source's `recheck_s`."""
        generation = self._generations.original_generation(ref)
        known = self._known_of(ref, generation)
        if known is None or known.fresh_until_s <= self._clock() or self._is_doubted(known.identity):
            landed = await self._flights.run(
                ("identify", ref, generation),
                lambda _: self._revalidate(ref, generation, deadline),
                deadline=deadline,
            )
            known = landed.result
        if known.identity is None:
            raise OriginalNotFound(known.missing, lasts_s=known.stale_until_s - self._clock())
        return known.identity

    def _is_doubted(self, known: Identity | OriginalNotFound | None) -> bool:
        """Whether the bytes were no picture when they were last looked at: a server that confirms them by their validator
        proves nothing."""
        return isinstance(known, Identity) and self._refusals is not None and self._refusals.has_ended(known)

    def _known_of(self, ref: OriginalRef, generation: str) -> "_OriginalRecord | None":
        """What is remembered since the last purge."""
        known = self._known.get(ref)
        return known if known is not None and known.generation == generation else None

    async def revalidate(self, ref: OriginalRef, *, deadline: float) -> Revalidated:
        """Asks the source now, whatever is remembered. What was not known before is from now on; what is another than
        was known stays so until it is purged. Raises OriginalNotFound, or whatever the source raises."""
        generation = self._generations.original_generation(ref)
        try:
            async with asyncio.timeout_at(deadline):
                tag = await self._sources[ref.source].tag(ref.key)
        except TimeoutError:
            raise SourceTimeout("the source did not answer in time") from None
        if not tag:
            return await self._look_afresh(ref, generation, deadline)
        self.opened.drop_negative(ref)
        known = await self._tag_of(ref, generation)
        if known is None and (self._index is None or await self._index.last_event(ref) is None):
            self._store_tag(ref, generation, tag)
            return Revalidated(False, tag)
        # What was purged meanwhile was looked at by another node, or by its owner.
        return Revalidated(known != tag and generation == self._generations.original_generation(ref), tag)

    async def _look_afresh(self, ref: OriginalRef, generation: str, deadline: float) -> Revalidated:
        serves_stale = self._sources[ref.source].serves_stale
        known = self._known_of(ref, generation)
        last = await self._last(ref, generation) if serves_stale else known.identity if known else None
        found = await self._revalidate(ref, generation, deadline, afresh=True)
        if found.identity is None:
            raise OriginalNotFound(found.missing)
        is_current = generation == self._generations.original_generation(ref)
        return Revalidated(last is not None and last.version != found.identity.version and is_current, "")

    def note_tag(self, ref: OriginalRef, tag: str) -> Receipt | None:
        """The fleet knows the original by `tag` from now on, until it is purged. An empty tag is not stored."""
        return self._store_tag(ref, self._generations.original_generation(ref), tag) if tag else None

    async def publish_tag(self, ref: OriginalRef, tag: str) -> None:
        """As `note_tag`; every node can look the tag up when this returns."""
        if (receipt := self.note_tag(ref, tag)) is not None:
            await receipt.durable()

    async def known_tag(self, ref: OriginalRef) -> str | None:
        """What the fleet knows the original by since the last purge."""
        return await self._tag_of(ref, self._generations.original_generation(ref))

    def _store_tag(self, ref: OriginalRef, generation: str, tag: str) -> Receipt:
        return self._store(ref, generation, identity_key(ref, generation), tag.encode())

    def _store(self, ref: OriginalRef, generation: str, key: str, body: bytes) -> Receipt:
        """An entry that is no picture, found by the purge that is to delete it."""
        if self._index is not None:
            self._index.note(ref, Entry(key, None, generation=generation))
        return self._chain.store(key, Variant(kind=None, body=body, of=str(ref)))

    async def _tag_of(self, ref: OriginalRef, generation: str) -> str | None:
        """What the fleet knows an original without a version by."""
        brought = await self._chain.lookup(identity_key(ref, generation), None)
        return brought.variant.body.decode() if brought else None

    def _learn_tag(self, ref: OriginalRef, generation: str, tag: str) -> None:
        """Of what was fetched, where nothing is known: what was fetched first stays known, so that a look finds out that
        there is another."""

        async def learn(_: Flight) -> None:
            if await self._tag_of(ref, generation) is None:
                self._store_tag(ref, generation, tag)

        self._flights.start_detached(("tag", ref, generation), learn)

    async def _revalidate(
        self, ref: OriginalRef, generation: str, deadline: float, *, afresh: bool = False
    ) -> "_OriginalRecord":
        """With `afresh` only what the source says now counts."""
        source = self._sources[ref.source]
        last = await self._last(ref, generation) if source.serves_stale else None
        known: Identity | OriginalNotFound
        lasts_s, ahead_s = (
            source.freshness_lifetime_s,
            min(REFRESH_AHEAD * source.freshness_lifetime_s, MAX_REFRESH_AHEAD_S),
        )
        try:
            async with asyncio.timeout_at(deadline):
                known = await source.identify(ref.key, None if self._is_doubted(last) else last, generation)
            if self._refusals is not None and self._is_doubted(known):
                self._refusals.forget(known)  # They came anew, and are tried anew.
        except OriginalNotFound as missing:
            known, lasts_s, ahead_s = missing.with_traceback(None), source.negative_ttl_s, 0.0
        except (TimeoutError, SourceTimeout, SourceUnavailable) as failure:
            if last is None or afresh:
                if isinstance(failure, TimeoutError):
                    raise SourceTimeout("the source did not answer in time") from None
                raise
            self._metrics.fetched(ref.source, "stale")
            known, lasts_s, ahead_s = last, min(lasts_s, STALE_IF_ERROR_S), 0.0
        if source.serves_stale and _version(known) != (last.version if last else _GONE):
            if _version(known) != _GONE:
                self._metrics.fetched(ref.source, "ok")
            self._note(ref, known, generation)
        return self._remember(ref, known, lasts_s, ahead_s, generation)

    def _note(self, ref: OriginalRef, known: Identity | OriginalNotFound, generation: str) -> None:
        """For who asks after a restart, or on another node."""
        self._chain.store(
            identity_key(ref, generation), Variant(kind=None, body=_version(known).encode(), of=str(ref))
        )

    def _remember(
        self,
        ref: OriginalRef,
        known: Identity | OriginalNotFound,
        lasts_s: float,
        ahead_s: float,
        generation: str,
    ) -> _OriginalRecord:
        last_s = self._clock() + lasts_s
        identity, missing = (known, "") if isinstance(known, Identity) else (None, known.detail)
        found = _OriginalRecord(identity, missing, last_s - ahead_s, last_s, generation)
        if generation == self._generations.original_generation(ref):
            self._known.keep(ref, found, last_s)
            if identity is not None and identity.ref != ref:
                self._known.keep(identity.ref, found, last_s)
        return found

    async def _last(self, ref: OriginalRef, generation: str) -> Identity | None:
        """The identity when it was last looked at, perhaps before a restart, perhaps by another node."""
        known = self._known_of(ref, generation)
        if known is not None:
            return known.identity
        brought = await self._chain.lookup(identity_key(ref, generation), None)
        version = brought.variant.body.decode() if brought else _GONE
        return None if version == _GONE else Identity(ref, version, generation)

    def freshness(self, identity: Identity) -> Freshness:
        """Until when `identity` need not be looked up again; no time at all if another is known by now."""
        known = self._known.get(identity.ref)
        version = f"{identity.version} {identity.generation}"
        if known is None or known.identity != identity:
            return Freshness(version, 0.0)
        return Freshness(version, known.fresh_until_s, known.stale_until_s)

    async def retry_if_changed(self, ref: OriginalRef, work: Callable[[], Awaitable[T]]) -> T:
        """`work`, begun anew where the original turns out to have changed; raises SourceUnavailable where it
        does so again and again."""
        for _ in range(_ATTEMPTS):
            try:
                return await work()
            except OriginalChanged as changed:
                if not changed.is_known:
                    self.drop_identity(ref)
        raise SourceUnavailable("the original keeps changing while it is read", retry_after_s=1)

    def drop_identity(self, ref: OriginalRef) -> None:
        """The next `identify` asks the source."""
        self._known.forget(ref)

    def drop_negative(self, ref: OriginalRef) -> None:
        """It is there by now, whatever was remembered."""
        self.drop_identity(ref)
        self.opened.drop_negative(ref)

    @asynccontextmanager
    async def open_current(self, ref: OriginalRef, *, deadline: float) -> AsyncIterator[Original]:
        """The original as its source has it now, for whoever wants its bytes and not a certain version."""
        async with AsyncExitStack() as stack:

            async def attempt() -> Original:
                identity = await self.identify(ref, deadline=deadline)
                original = await stack.enter_async_context(self.opened.open(identity, deadline=deadline))
                if not original.unchanged():
                    raise OriginalChanged
                await self._check(original)
                return original

            original = await self.retry_if_changed(ref, attempt)
            yield original

    async def _check(self, original: Original) -> None:
        """Raises UnsupportedFormat for what is no picture, and has that remembered, if anything is."""
        if self._refusals is None:
            return
        if sniff(await asyncio.to_thread(os.pread, original.fileno(), SNIFF_BYTES, 0)) is None:
            failure = UnsupportedFormat(NO_PICTURE)
            self._refusals.refuse(original.identity, failure)
            raise failure

    def _fetched(self, expected: Identity, original: Original) -> None:
        """Learns from what the source has sent. Another original than expected is the current one: revalidating it with the
        validator of the expected one would prove nothing."""
        identity = original.identity
        if original.tag:
            self._learn_tag(expected.ref, expected.generation, original.tag)
        if identity == expected:
            return
        source = self._sources[identity.ref.source]
        if source.serves_stale:
            self._note(identity.ref, identity, identity.generation)
        self._remember(identity.ref, identity, source.freshness_lifetime_s, 0.0, identity.generation)
        for other in forms(identity.ref.key)[1:]:
            self.drop_identity(OriginalRef(identity.ref.source, other))
