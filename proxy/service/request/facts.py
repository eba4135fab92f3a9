"""Facts of originals: read from the header once, then stored in the tiers."""

import msgspec

from proxy.core.cache.delivery import Variant
from proxy.core.cache.keys import Entry, facts_key
from proxy.core.image.facts import Facts
from proxy.core.image.original import Identity
from proxy.ports.operations import EntryIndex
from proxy.ports.rendering import Renderer
from proxy.service.request.leased import Leased
from proxy.service.request.open_originals import OpenOriginals
from proxy.service.request.originals import OriginalChanged
from proxy.service.request.singleflight import Flight, Flights
from proxy.service.request.tier_chain import TierChain


class OriginalFacts:
    """The facts of an original, by its identity."""

    def __init__(
        self,
        opened: OpenOriginals,
        chain: TierChain,
        leased: Leased,
        renderer: Renderer,
        flights: Flights,
        index: EntryIndex,
    ) -> None:
        self._opened = opened
        self._chain = chain
        self._leased = leased
        self._renderer = renderer
        self._flights = flights
        self._index = index

    async def of(self, identity: Identity, *, deadline: float) -> Facts:
        """From a tier, or probed and stored. Raises OriginalChanged and the errors of opening and probing."""
        key = facts_key(identity)
        if (hit := self._chain.peek(key)) is not None:
            return msgspec.json.decode(hit.variant.body, type=Facts)

        async def probe() -> Variant:
            async with self._opened.open(identity, deadline=deadline) as original:
                facts = await self._renderer.probe(original, deadline=deadline)
                if not original.file.unchanged():
                    raise OriginalChanged
            return _entry(identity, facts)

        async def lookup_or_probe(_: Flight) -> Facts:
            hit = await self._chain.lookup(key)
            body = (hit or await self._leased.make(key, probe, deadline=deadline)).variant.body
            self._note(identity)
            return msgspec.json.decode(body, type=Facts)

        return (await self._flights.run(key, lookup_or_probe, deadline=deadline)).result

    def store(self, identity: Identity, facts: Facts) -> None:
        """Stores facts of a probe elsewhere."""
        self._chain.store(facts_key(identity), _entry(identity, facts))
        self._note(identity)

    def _note(self, identity: Identity) -> None:
        """Adds the entry to the index, so that a purge deletes it."""
        entry = Entry(facts_key(identity), generation=identity.generation)
        self._index.note(identity.ref, entry)


def _entry(identity: Identity, facts: Facts) -> Variant:
    return Variant(body=msgspec.json.encode(facts), of=str(identity.ref))
