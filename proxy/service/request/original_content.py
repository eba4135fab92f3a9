"""The content of originals. Concurrent requests share one fetch and one open original, which the last request closes.
Facts are found once, then stored in the tiers.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import msgspec

from proxy.core.cache.delivery import Variant
from proxy.core.cache.keys import CacheKey, Entry, original_key
from proxy.core.errors import UnsupportedFormat
from proxy.core.image.formats import NO_PICTURE, SNIFF_BYTES, sniff
from proxy.core.image.original import Identity, OriginalRef
from proxy.ports.operations import EntryIndex
from proxy.ports.originals import Original, OriginalStore
from proxy.ports.rendering import Refusals
from proxy.service.request.originals import OriginalChanged, Originals
from proxy.service.request.singleflight import Flight, Flights
from proxy.service.request.tier_chain import Leased, TierChain

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class OpenOriginals:
    """Opens originals from the original store on disk or from their source."""

    def __init__(
        self, originals: Originals, store: OriginalStore, flights: Flights, refusals: Refusals | None = None
    ) -> None:
        self._originals = originals
        self._store = store
        self._flights = flights
        self._refusals = refusals
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
                    returned.file.close()

    @asynccontextmanager
    async def open_current(
        self, ref: OriginalRef, *alternatives: OriginalRef, deadline: float
    ) -> AsyncIterator[Original]:
        """The current original, open while the context is; if it does not exist, the first alternative that does."""
        async with AsyncExitStack() as stack:

            async def attempt() -> Original:
                identity, _ = await self._originals.find((ref, *alternatives), deadline=deadline)
                original = await stack.enter_async_context(self.open(identity, deadline=deadline))
                if not original.file.unchanged():
                    raise OriginalChanged(identity.ref)
                await self._check_format(original)
                return original

            yield await self._originals.retry_if_changed(attempt)

    async def _check_format(self, original: Original) -> None:
        """Raises UnsupportedFormat for bytes that are no picture, and records the refusal."""
        if self._refusals is None:
            return
        if sniff(await asyncio.to_thread(os.pread, original.file.fileno(), SNIFF_BYTES, 0)) is None:
            failure = UnsupportedFormat(NO_PICTURE)
            self._refusals.refuse(original.name, failure)
            raise failure

    async def _fetch(self, identity: Identity, flight: Flight, deadline: float) -> None:
        flight.keep_running()  # A cancelled fetch could leave its file open.
        file = await self._store.lookup(identity)
        if file is None:
            file = await self._originals.fetch(identity, deadline=deadline)
        if self._users[identity]:
            self._open[identity] = Original(original_key(identity), file)
        else:
            file.close()


class FindFact(Protocol[T_co]):
    """Finds a fact in the bytes of an original, in a worker."""

    async def __call__(self, original: Original, *, deadline: float) -> T_co: ...


@dataclass(slots=True, eq=False)
class OriginalFact(Generic[T]):
    """A fact of originals, such as what the header says or where faces are, by identity: found by the first job that
    needs it, then stored in the tiers under `key`. `kind` is its type, which msgspec reads and writes."""

    kind: type[T]
    key: Callable[[Identity], CacheKey]
    find: FindFact[T]
    opened: OpenOriginals
    chain: TierChain
    leased: Leased
    flights: Flights
    index: EntryIndex

    async def of(self, identity: Identity, *, deadline: float) -> T:
        """From a tier, or found and stored. Raises OriginalChanged and the errors of opening and finding."""
        key = self.key(identity)
        if (hit := self.chain.peek(key)) is not None:
            return self._decoded(hit.variant)

        async def find() -> Variant:
            async with self.opened.open(identity, deadline=deadline) as original:
                fact = await self.find(original, deadline=deadline)
                if not original.file.unchanged():
                    raise OriginalChanged(identity.ref)
            return _entry(identity, fact)

        async def lookup_or_find(_: Flight) -> T:
            hit = await self.chain.lookup(key)
            variant = (hit or await self.leased.make(key, find, deadline=deadline)).variant
            self._note(identity)
            return self._decoded(variant)

        return (await self.flights.run(key, lookup_or_find, deadline=deadline)).result

    def store(self, identity: Identity, fact: T) -> None:
        """Stores a fact found elsewhere."""
        self.chain.store(self.key(identity), _entry(identity, fact))
        self._note(identity)

    def _decoded(self, variant: Variant) -> T:
        return msgspec.json.decode(variant.body, type=self.kind)

    def _note(self, identity: Identity) -> None:
        """Adds the entry to the index, so that a purge deletes it."""
        self.index.note([identity.ref], Entry(self.key(identity), generation=identity.generation))


def _entry(identity: Identity, fact: object) -> Variant:
    return Variant(body=msgspec.json.encode(fact), of=str(identity.ref))
