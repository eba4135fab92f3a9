"""Open originals: concurrent requests share one fetch and one open original; the last request closes it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from proxy.core.cache.generations import Generations
from proxy.core.cache.keys import CacheKey, Entry, original_key
from proxy.core.errors import CalotypeError, OriginalNotFound, SourceTimeout
from proxy.core.image.original import Identity, OriginalRef
from proxy.ports.clock import Clock
from proxy.ports.operations import EntryIndex
from proxy.ports.originals import Original, OriginalStore, Source
from proxy.ports.telemetry import Metrics
from proxy.service.request.singleflight import Flight, Flights
from proxy.service.request.ttl_cache import TtlCache

MAX_NEGATIVE_BYTES = 3 * 2**20


class OriginalChanged(Exception):
    """The source no longer has the identified original; identify it again. If `is_identified`, the new identity is
    recorded already."""

    def __init__(self, *, is_identified: bool = False) -> None:
        super().__init__()
        self.is_identified = is_identified


class OpenOriginals:
    """Opens originals from the original store on disk or from their source. `on_fetched` is called with the requested
    identity and the fetched original, whose identity may differ."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        flights: Flights,
        clock: Clock,
        metrics: Metrics,
        generations: Generations,
        store: OriginalStore | None = None,
        index: EntryIndex | None = None,
    ) -> None:
        self._sources = sources
        self._flights = flights
        self._clock = clock
        self._metrics = metrics
        self._generations = generations
        self._store = store
        self._index = index
        self.on_fetched: Callable[[Identity, Original], None] = lambda *_: None
        self._negative: TtlCache[tuple[OriginalRef, str], tuple[str, float]] = TtlCache(
            MAX_NEGATIVE_BYTES, clock, lambda key, entry: (key[0].key, key[1], entry[0])
        )
        self._open: dict[Identity, Original] = {}
        self._users: Counter[Identity] = Counter()

    @asynccontextmanager
    async def open(self, identity: Identity, *, deadline: float) -> AsyncIterator[Original]:
        """The original of `identity`. Raises OriginalChanged if the source has a new version, OriginalNotFound, and the
        errors of the source."""
        self._users[identity] += 1
        try:
            # A loop, because the last user may close the original before a waiter of the flight resumes.
            while (original := self._open.get(identity)) is None:
                await self._flights.run(
                    ("fetch", identity),
                    lambda flight: self._fetch(identity, flight, deadline),
                    deadline=deadline,
                )
            yield original
        finally:
            self._users[identity] -= 1
            if not self._users[identity]:
                del self._users[identity]
                if (returned := self._open.pop(identity, None)) is not None:
                    returned.close()

    def drop_negative(self, ref: OriginalRef) -> None:
        """Drops the negative entry of a fetch."""
        self._negative.remove((ref, self._generations.original_generation(ref)))

    async def _fetch(self, identity: Identity, flight: Flight, deadline: float) -> Original:
        flight.keep_running()  # A cancelled fetch could leave its file open.
        original = await self._store.lookup(identity) if self._store is not None else None
        if original is None:
            original = await self._from_source(identity, deadline)
            if self._index is not None:
                entry = Entry(
                    CacheKey(original_key(original.identity)),
                    is_original=True,
                    generation=original.identity.generation,
                )
                self._index.note(identity.ref, entry)
        if original.identity != identity:
            original.close()
            raise OriginalChanged(is_identified=True)
        if not self._users[identity]:
            original.close()
        else:
            self._open[identity] = original
        return original

    async def _from_source(self, identity: Identity, deadline: float) -> Original:
        ref, generation = identity.ref, identity.generation
        # Negative entries are separate from identities: variants of a deleted original are still served.
        detail, until_s = self._negative.get((ref, generation)) or ("", 0.0)
        if (lasts_s := until_s - self._clock()) > 0:
            raise OriginalNotFound(detail, lasts_s=lasts_s)
        try:
            async with asyncio.timeout_at(deadline):
                original = await self._sources[ref.source].fetch(ref.key, generation)
        except TimeoutError:
            self._metrics.fetched(ref.source, "timeout")
            raise SourceTimeout("the original did not arrive in time") from None
        except CalotypeError as failure:
            self._metrics.fetched(ref.source, failure.slug)
            if isinstance(failure, OriginalNotFound):
                failure.lasts_s = self._sources[ref.source].negative_ttl_s
                until_s = self._clock() + failure.lasts_s
                self._negative.store((ref, generation), (failure.detail, until_s), until_s)
            raise
        self._metrics.fetched(ref.source, "ok")
        self.on_fetched(identity, original)
        return original
