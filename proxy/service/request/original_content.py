"""The content of originals. Concurrent requests share one fetch and one open original, which the last request closes.
Facts are read from the header once, then stored in the tiers.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import msgspec

from proxy.core.cache.delivery import Variant
from proxy.core.cache.keys import Entry, facts_key, original_key
from proxy.core.errors import UnsupportedFormat
from proxy.core.image.facts import Facts
from proxy.core.image.formats import NO_PICTURE, SNIFF_BYTES, sniff
from proxy.core.image.original import Identity, OriginalRef
from proxy.ports.operations import EntryIndex
from proxy.ports.originals import Original, OriginalStore
from proxy.ports.rendering import Refusals, Renderer
from proxy.service.request.originals import OriginalChanged, Originals
from proxy.service.request.singleflight import Flight, Flights
from proxy.service.request.tier_chain import Leased, TierChain


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
    async def open_current(self, ref: OriginalRef, *, deadline: float) -> AsyncIterator[Original]:
        """The current original, open while the context is."""
        async with AsyncExitStack() as stack:

            async def attempt() -> Original:
                identity = await self._originals.identify(ref, deadline=deadline)
                original = await stack.enter_async_context(self.open(identity, deadline=deadline))
                if not original.file.unchanged():
                    raise OriginalChanged
                await self._check_format(original)
                return original

            yield await self._originals.retry_if_changed(ref, attempt)

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


@dataclass(slots=True, eq=False)
class OriginalFacts:
    """The facts of an original, by its identity."""

    opened: OpenOriginals
    chain: TierChain
    leased: Leased
    renderer: Renderer
    flights: Flights
    index: EntryIndex

    async def of(self, identity: Identity, *, deadline: float) -> Facts:
        """From a tier, or probed and stored. Raises OriginalChanged and the errors of opening and probing."""
        key = facts_key(identity)
        if (hit := self.chain.peek(key)) is not None:
            return msgspec.json.decode(hit.variant.body, type=Facts)

        async def probe() -> Variant:
            async with self.opened.open(identity, deadline=deadline) as original:
                facts = await self.renderer.probe(original, deadline=deadline)
                if not original.file.unchanged():
                    raise OriginalChanged
            return _entry(identity, facts)

        async def lookup_or_probe(_: Flight) -> Facts:
            hit = await self.chain.lookup(key)
            body = (hit or await self.leased.make(key, probe, deadline=deadline)).variant.body
            self._note(identity)
            return msgspec.json.decode(body, type=Facts)

        return (await self.flights.run(key, lookup_or_probe, deadline=deadline)).result

    def store(self, identity: Identity, facts: Facts) -> None:
        """Stores facts of a probe elsewhere."""
        self.chain.store(facts_key(identity), _entry(identity, facts))
        self._note(identity)

    def _note(self, identity: Identity) -> None:
        """Adds the entry to the index, so that a purge deletes it."""
        entry = Entry(facts_key(identity), generation=identity.generation)
        self.index.note(identity.ref, entry)


def _entry(identity: Identity, facts: Facts) -> Variant:
    return Variant(body=msgspec.json.encode(facts), of=str(identity.ref))
