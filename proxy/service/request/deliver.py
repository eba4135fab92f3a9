"""The paragraph: the hit in memory, the client's own copy, or what the producer brings.

One for each process that answers requests. Speaks in core values only; HTTP is above, the miss path behind its port.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from proxy.core.cache.delivery import NO_TIMINGS, VALIDATOR, Belief, Delivered, Delivery, Outcome, Variant
from proxy.core.cache.generations import Reach, Scope
from proxy.core.cache.variant_request import Named, Wanted
from proxy.core.errors import OriginalNotFound
from proxy.core.image.original import OriginalRef
from proxy.core.memo import Memo
from proxy.ports.clock import Clock
from proxy.ports.operations import Producer
from proxy.ports.originals import Original
from proxy.ports.tiers import InstantTier
from proxy.service.request.singleflight import Flight, Flights

MOMENT_S = 0.25
PATIENCE_S = 0.25
"""How long a picture that is at hand waits for word on whether its original is still the same."""
RECOVERY_S = 1.0
_MEMO_ENTRIES = 20_000


class Deliver:
    """The use case for variants, from this process's memory or through `producer`."""

    def __init__(self, memory: InstantTier, producer: Producer, flights: Flights, clock: Clock) -> None:
        self._memory = memory
        self._producer = producer
        self._flights = flights
        self._clock = clock
        self._hits: Memo[Wanted, Delivery] = Memo(_MEMO_ENTRIES)
        self._names: Memo[Wanted, Named] = Memo(_MEMO_ENTRIES)
        self._beliefs: Memo[OriginalRef, Belief] = Memo(_MEMO_ENTRIES)
        self._met: Memo[Wanted, float] = Memo(_MEMO_ENTRIES)
        self._looking: dict[OriginalRef, float] = {}
        self._purges = 0

    def recall(self, wanted: Wanted) -> Delivered | None:
        """The memory hit, at once, as long as the original's identity may be believed; None for all else."""
        hit = self._hits.get(wanted)
        if hit is None or not self._holds(wanted.ref, hit.belief) or not self._is_met(wanted):
            return None
        variant = self._memory.lookup(hit.key)
        return None if variant is None else Delivered(hit, variant)

    async def variant(
        self,
        wanted: Wanted,
        *,
        deadline: float,
        redirect_until_s: float = 0,
        is_current: Callable[[str], bool] | None = None,
    ) -> Delivered:
        """The variant for `wanted`, from a tier or rendered, or its location, where that may be good until
        `redirect_until_s`, a point on the Clock, which is not 0.

        `is_current` says whether the client holds the variant of a key already; then nothing is looked up.
        """
        is_met = self._is_met(wanted) or await self._meet(wanted, deadline)
        delivered = await self._brought(wanted, deadline, redirect_until_s, is_current)
        if is_met:
            return delivered
        return delivered._replace(delivery=replace(delivered.delivery, provisional=True))

    def _is_met(self, wanted: Wanted) -> bool:
        """Whether the version that the URL names, if it does, needs no look at the original."""
        return wanted.version is None or self._met.get(wanted, 0.0) > self._clock()

    async def _meet(self, wanted: Wanted, deadline: float) -> bool:
        """Whether the look has been, after which other things are believed."""
        assert wanted.version is not None
        purges = self._purges
        until_s, belief = await self._producer.meet(wanted.ref, wanted.version, deadline=deadline)
        if not until_s:
            return False
        self._met.keep(wanted, until_s)
        if purges == self._purges:
            self._beliefs.keep(wanted.ref, belief)
        return True

    async def _brought(
        self,
        wanted: Wanted,
        deadline: float,
        redirect_until_s: float,
        is_current: Callable[[str], bool] | None,
    ) -> Delivered:
        flight: tuple[object, ...]
        purges = self._purges
        if is_current is None and wanted not in self._names:
            flight = (self._moment(), wanted.by_value)
        else:
            # The name alone may be all there is to ask: the bytes are here, or with the client.
            named = await self._named(wanted, deadline)
            if is_current is not None and is_current(named.key):
                return Delivered(_hit(named, VALIDATOR), None)
            if (variant := self._memory.lookup(named.key)) is not None:
                hit = _hit(named, self._memory.name)
                return (
                    self._remember(wanted, hit, variant)
                    if purges == self._purges
                    else Delivered(hit, variant)
                )
            flight = (named.key,)
        # Of those who ask at this moment, or for this very key: nobody joins who comes when the original is another.
        (delivery, brought), collapsed = await self._flights.run(
            ("variant", purges, redirect_until_s, *flight),
            lambda _: self._producer.variant(wanted, deadline=deadline, redirect_until_s=redirect_until_s),
            deadline=deadline,
        )
        if purges != self._purges:
            return Delivered(delivery, brought)  # True when it was asked for, and for nobody who asks now.
        self._learn(wanted, Named(delivery.key, delivery.format, delivery.belief))
        if brought is not None and (
            self._memory.lookup(delivery.key) or self._memory.store(delivery.key, brought)
        ):
            recalled = replace(
                delivery, outcome=Outcome.HIT, tier=self._memory.name, stored=False, timings=NO_TIMINGS
            )
            self._remember(wanted, recalled, brought)
        if collapsed and delivery.outcome is Outcome.MISS:
            delivery = replace(delivery, outcome=Outcome.COLLAPSED, timings=NO_TIMINGS)
        return Delivered(delivery, brought)

    async def forget(self, scopes: Sequence[Scope] | None, keys: Sequence[str]) -> int:
        """Satisfies Follower; with None for all that is believed."""
        if scopes is None or scopes:
            self._purges += 1
        if scopes is None:
            self._beliefs.clear()
            self._names.clear()
            self._hits.clear()
        for scope in scopes or ():
            if (ref := scope.original) is not None:
                self._beliefs.pop(ref, None)
            else:
                self._beliefs.clear()
            if scope.reach in (Reach.PLAN, Reach.VARIANT):
                # These have other keys now, of originals that are the same.
                self._names.clear()
                self._hits.clear()
        return sum(self._memory.remove(key) for key in keys)

    def latest(self, ref: OriginalRef, *, deadline: float) -> AbstractAsyncContextManager[Original]:
        """The original itself, open as long as the context is."""
        return self._producer.latest(ref, deadline=deadline)

    async def _named(self, wanted: Wanted, deadline: float) -> Named:
        """Remembered as long as it may be believed, and asked once for all who ask at the same moment."""
        purges = self._purges
        named = self._names.get(wanted)
        if named is not None and self._holds(wanted.ref, named.belief):
            return named
        if named is not None and (held := self._at_hand(wanted.ref, named)):
            now_s = self._clock()
            if now_s - self._looking.get(wanted.ref, math.inf) > PATIENCE_S:
                return named  # It was asked for long ago; to ask again would not help.
            if now_s < held.last_s:
                if wanted.ref not in self._looking:
                    self._flights.begin(*self._looked_up(wanted, deadline))
                return named
            try:
                async with asyncio.timeout(PATIENCE_S):
                    return await self._renamed(wanted, deadline)
            except TimeoutError:
                if purges == self._purges and self._at_hand(wanted.ref, named):
                    # Who looks after originals has other worries. What was true a second ago is, for another.
                    until_s = self._clock() + RECOVERY_S
                    return self._learn(wanted, named._replace(belief=named.belief._replace(until_s=until_s)))
        return await self._renamed(wanted, deadline)

    async def _renamed(self, wanted: Wanted, deadline: float) -> Named:
        purges = self._purges
        named = (await self._flights.run(*self._looked_up(wanted, deadline), deadline=deadline)).result
        return self._names.keep(wanted, named) if purges == self._purges else named

    def _looked_up(
        self, wanted: Wanted, deadline: float
    ) -> tuple[tuple[object, ...], Callable[[Flight], Awaitable[Named]]]:
        """The flight that asks for the name, and its key."""
        purges = self._purges

        async def look(flight: Flight) -> Named:
            alone = wanted.ref not in self._looking
            if alone:
                # Who gives up is served what is old; the answer is for those who come after.
                flight.hold()
                self._looking[wanted.ref] = self._clock()
            try:
                named = await self._producer.name(wanted, deadline=deadline)
                return self._learn(wanted, named) if purges == self._purges else named
            except OriginalNotFound:
                self._beliefs.pop(wanted.ref, None)
                raise
            finally:
                if alone:
                    del self._looking[wanted.ref]

        return ("name", purges, self._moment(), wanted.by_value), look

    def _at_hand(self, ref: OriginalRef, named: Named) -> Belief | None:
        """What was last believed of an original, where its picture is in memory and it is not known to be another."""
        held = self._beliefs.get(ref)
        if held is None or held.version != named.belief.version or self._memory.lookup(named.key) is None:
            return None
        return held

    def _learn(self, wanted: Wanted, named: Named) -> Named:
        """One look at an original is good for all that is made of it."""
        self._beliefs.keep(wanted.ref, named.belief)
        return self._names.keep(wanted, named)

    def _moment(self) -> int:
        return int(self._clock() / MOMENT_S)

    def _holds(self, ref: OriginalRef, belief: Belief) -> bool:
        """Whether what rests on `belief` still holds, by the last look at the original."""
        held = self._beliefs.get(ref)
        return held is not None and held.version == belief.version and held.until_s > self._clock()

    def _remember(self, wanted: Wanted, hit: Delivery, variant: Variant) -> Delivered:
        self._hits.keep(wanted, hit)
        return Delivered(hit, variant)


def _hit(named: Named, tier: str) -> Delivery:
    return Delivery(key=named.key, format=named.format, outcome=Outcome.HIT, tier=tier, belief=named.belief)
