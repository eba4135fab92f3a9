"""The paragraph: the hit in memory, the client's own copy, or what the producer brings.

One for each process that answers requests. Speaks in core values only; HTTP is above, the miss path behind its port.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from proxy.core.delivery import NO_TIMINGS, VALIDATOR, Delivered, Delivery, Outcome, Variant
from proxy.core.keys import OriginalRef
from proxy.core.memo import Memo
from proxy.core.wanted import Named, Wanted
from proxy.ports import Clock, InstantTier, Original, Producer
from proxy.service.singleflight import Flights

_MEMO_ENTRIES = 20_000


class Deliver:
    """The use case for variants, from this process's memory or through `producer`."""

    def __init__(self, memory: InstantTier, producer: Producer, clock: Clock) -> None:
        self._memory = memory
        self._producer = producer
        self._clock = clock
        self._hits: Memo[Wanted, Delivery] = Memo(_MEMO_ENTRIES)

    def recall(self, wanted: Wanted) -> Delivered | None:
        """The memory hit, at once, as long as the original's identity may be believed; None for all else."""
        hit = self._hits.get(wanted)
        if hit is None or hit.until_s <= self._clock():
            return None
        variant = self._memory.lookup(hit.key)
        return None if variant is None else Delivered(hit, variant)

    async def variant(
        self,
        wanted: Wanted,
        *,
        deadline: float,
        redirect: bool = False,
        is_current: Callable[[str], bool] | None = None,
    ) -> Delivered:
        """The variant for `wanted`, from a tier or rendered, or where `redirect` allows it its location.

        `is_current` says whether the client holds the variant of a key already; then nothing is looked up.
        """
        if is_current is not None or wanted in self._hits:
            # The name alone may be all there is to ask: the bytes are here, or with the client.
            named = await self._producer.name(wanted, deadline=deadline)
            if is_current is not None and is_current(named.key):
                return Delivered(_hit(named, VALIDATOR), None)
            if (variant := self._memory.lookup(named.key)) is not None:
                return self._remember(wanted, _hit(named, self._memory.name), variant)
        delivered = await self._producer.variant(wanted, deadline=deadline, redirect=redirect)
        delivery, brought = delivered
        if brought is not None and (
            self._memory.lookup(delivery.key) or self._memory.store(delivery.key, brought)
        ):
            recalled = replace(
                delivery, outcome=Outcome.HIT, tier=self._memory.name, stored=False, timings=NO_TIMINGS
            )
            self._remember(wanted, recalled, brought)
        return delivered

    def latest(self, ref: OriginalRef, *, deadline: float) -> AbstractAsyncContextManager[Original]:
        """The original itself, open as long as the context is."""
        return self._producer.latest(ref, deadline=deadline)

    def _remember(self, wanted: Wanted, hit: Delivery, variant: Variant) -> Delivered:
        self._hits.keep(wanted, hit)
        return Delivered(hit, variant)


def _hit(named: Named, tier: str) -> Delivery:
    return Delivery(key=named.key, format=named.format, outcome=Outcome.HIT, tier=tier, until_s=named.until_s)


class Collapse:
    """A Producer around the Producer of another process: of equal wishes here, one goes there."""

    def __init__(self, producer: Producer, flights: Flights) -> None:
        self._producer = producer
        self._flights = flights

    async def name(self, wanted: Wanted, *, deadline: float) -> Named:
        landed = await self._flights.run(
            ("name", wanted.by_value),
            lambda _: self._producer.name(wanted, deadline=deadline),
            deadline=deadline,
        )
        return landed.result

    async def variant(self, wanted: Wanted, *, deadline: float, redirect: bool) -> Delivered:
        (delivery, variant), collapsed = await self._flights.run(
            ("variant", redirect, wanted.by_value),
            lambda _: self._producer.variant(wanted, deadline=deadline, redirect=redirect),
            deadline=deadline,
        )
        if collapsed and delivery.outcome is Outcome.MISS:
            delivery = replace(delivery, outcome=Outcome.COLLAPSED)
        return Delivered(delivery, variant)

    def latest(self, ref: OriginalRef, *, deadline: float) -> AbstractAsyncContextManager[Original]:
        return self._producer.latest(ref, deadline=deadline)
