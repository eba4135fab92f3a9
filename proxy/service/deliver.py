"""The paragraph: identify, resolve, look up, collapse, produce, answer.

Speaks in core values only; HTTP is above, tiers, sources and workers are behind their ports.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from proxy.core.delivery import VALIDATOR, Delivered, Delivery, Outcome, Timings, Variant
from proxy.core.formats import Format
from proxy.core.keys import Identity, OriginalRef, variant_key
from proxy.core.memo import Memo
from proxy.core.negotiate import AcceptClass, choose
from proxy.core.plan import Plan, Recipe, resolve
from proxy.core.transform import Transform
from proxy.ports import Clock, Metrics, Renderer
from proxy.service.chain import Chain
from proxy.service.originals import OriginalChanged, Originals
from proxy.service.singleflight import Flight, Flights

_MEMO_ENTRIES = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """What a request wants once its URL is understood. Compared by identity: one object per URL and Accept
    class is made and kept by the edge, so that resolving it can be remembered at the price of a dict look-up."""

    ref: OriginalRef
    transform: Transform
    accepted: AcceptClass


class Resolved(NamedTuple):
    """A Wanted against one identity of its original."""

    identity: Identity
    plan: Plan
    key: str


class _Brought(NamedTuple):
    """What a flight lands with: found in a tier, or made."""

    variant: Variant
    tier: str
    stored: bool
    timings: Timings


class Deliver:
    """The node's one use case for variants. `auto` is the order of preference for f_auto."""

    def __init__(
        self,
        originals: Originals,
        chain: Chain,
        flights: Flights,
        renderer: Renderer,
        recipe: Recipe,
        auto: tuple[Format, ...],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._originals = originals
        self._chain = chain
        self._flights = flights
        self._renderer = renderer
        self._recipe = recipe
        self._auto = auto
        self._clock = clock
        self._metrics = metrics
        self._resolved: Memo[Wanted, Resolved] = Memo(_MEMO_ENTRIES)
        self._hits: Memo[Wanted, tuple[Delivery, float]] = Memo(_MEMO_ENTRIES)

    def recall(self, wanted: Wanted) -> Delivered | None:
        """The memory hit, at once, as long as the original's identity may be believed; None for all else."""
        hit = self._hits.get(wanted)
        if hit is None or hit[1] <= self._clock():
            return None
        variant = self._chain.recall(hit[0].key)
        return None if variant is None else Delivered(hit[0], variant)

    async def variant(
        self, wanted: Wanted, *, deadline: float, is_current: Callable[[str], bool] | None = None
    ) -> Delivered:
        """The variant for `wanted`, from a tier or rendered.

        `is_current` says whether the client holds the variant of a key already; then nothing is looked up.
        """

        async def attempt() -> Delivered:
            resolved = await self._resolve(wanted, deadline)
            delivered = await self._deliver(resolved, deadline, is_current)
            if delivered.delivery.tier == self._chain.fast:
                until = self._originals.believed_until(resolved.identity)
                self._hits.keep(wanted, (delivered.delivery, until))
            return delivered

        return await self._originals.while_it_rests(wanted.ref, attempt)

    async def resolve(self, wanted: Wanted, *, deadline: float) -> Resolved:
        """Identity, Plan and key, without looking for the variant."""
        return await self._originals.while_it_rests(wanted.ref, lambda: self._resolve(wanted, deadline))

    async def _deliver(
        self, resolved: Resolved, deadline: float, is_current: Callable[[str], bool] | None
    ) -> Delivered:
        key, kind = resolved.key, resolved.plan.encode.format
        if is_current is not None and is_current(key):
            return Delivered(Delivery(key=key, format=kind, outcome=Outcome.HIT, tier=VALIDATOR), None)
        if (variant := self._chain.recall(key)) is not None:
            delivery = Delivery(key=key, format=kind, outcome=Outcome.HIT, tier=self._chain.fast)
            return Delivered(delivery, variant)
        brought, collapsed = await self._flights.run(
            key, lambda flight: self._bring(resolved, flight, deadline), deadline=deadline
        )
        made = Outcome.COLLAPSED if collapsed else Outcome.MISS
        delivery = Delivery(
            key=key,
            format=kind,
            outcome=Outcome.HIT if brought.tier else made,
            tier=brought.tier,
            stored=brought.stored,
            timings=brought.timings,
        )
        return Delivered(delivery, brought.variant)

    async def _resolve(self, wanted: Wanted, deadline: float) -> Resolved:
        """Remembered until the original's identity changes."""
        identity = await self._originals.identify(wanted.ref, deadline=deadline)
        remembered = self._resolved.get(wanted)
        if remembered is not None and remembered.identity == identity:
            return remembered
        asked = wanted.transform
        facts = await self._originals.facts(identity, deadline=deadline) if asked.needs_facts else None
        plan = resolve(asked, choose(asked, wanted.accepted, self._auto, facts), self._recipe)
        key = variant_key(identity, plan, asked.version)
        return self._resolved.keep(wanted, Resolved(identity, plan, key))

    async def _bring(self, resolved: Resolved, flight: Flight, deadline: float) -> _Brought:
        """Inside the flight: look again, for the flight before may just have landed, then make it."""
        if found := await self._chain.lookup(resolved.key):
            return _Brought(found.variant, found.tier, False, Timings())
        asked_s = self._clock()
        started_s = asked_s

        def start() -> None:
            nonlocal started_s
            started_s = self._clock()
            flight.hold()

        async with self._originals.borrow(resolved.identity, deadline=deadline) as original:
            fetched_s = started_s = self._clock()
            variant = await self._renderer.render(original, resolved.plan, deadline=deadline, on_start=start)
            if not original.unchanged():
                raise OriginalChanged
        rendered_s = self._clock()
        kind = resolved.plan.encode.format
        self._metrics.rendered(kind, rendered_s - started_s)
        timings = Timings(
            fetch_s=fetched_s - asked_s, queue_s=started_s - fetched_s, render_s=rendered_s - started_s
        )
        return _Brought(variant, "", self._chain.store(resolved.key, variant), timings)
