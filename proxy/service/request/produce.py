"""The miss path: identify the original, resolve, look up, collapse, render, store.

One for the node, whichever process it lives in; `deliver` stands before it in every process that answers.
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import NamedTuple

from proxy.core.cache.delivery import NO_TIMINGS, Delivered, Delivery, Met, Outcome, Timings, Variant
from proxy.core.cache.generations import Generations
from proxy.core.cache.http_caching import etag
from proxy.core.cache.keys import Entry, original_key, variant_key
from proxy.core.cache.variant_request import Named, Wanted
from proxy.core.errors import Internal
from proxy.core.image.facts import Facts
from proxy.core.image.formats import Format
from proxy.core.image.metadata import with_etag
from proxy.core.image.original import Identity, OriginalRef
from proxy.core.memo import Memo
from proxy.core.transform.negotiate import choose
from proxy.core.transform.plan import Plan, Recipe, canonical, resolve
from proxy.ports.clock import Clock
from proxy.ports.operations import Index
from proxy.ports.originals import Original
from proxy.ports.rendering import Renderer
from proxy.ports.telemetry import Metrics
from proxy.ports.tiers import Redirects
from proxy.service.request.originals import OriginalChanged, Originals
from proxy.service.request.singleflight import Flight, Flights, Landed
from proxy.service.request.tier_chain import Brought, Chain
from proxy.service.request.versions import NOT_MET, Versions

_MEMO_ENTRIES = 20_000


class Resolved(NamedTuple):
    """A Wanted against one identity of its original."""

    identity: Identity
    plan: Plan
    key: str
    of_plans: int
    """How many purges of plans there had been."""


class _Made(NamedTuple):
    """What a flight lands with."""

    brought: Brought
    timings: Timings


class Produce:
    """Satisfies Producer. `auto` is the order of preference for f_auto; `redirects`, if any, is the tier that clients
    may be sent to."""

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
        redirects: Redirects | None = None,
        generations: Generations | None = None,
        index: Index | None = None,
        versions: Versions | None = None,
    ) -> None:
        self._versions = versions
        self._originals = originals
        self._chain = chain
        self._flights = flights
        self._renderer = renderer
        self._recipe = recipe
        self._auto = auto
        self._clock = clock
        self._metrics = metrics
        self._redirects = redirects
        self._generations = Generations() if generations is None else generations
        self._index = index
        self._resolved: Memo[tuple[object, ...], Resolved] = Memo(_MEMO_ENTRIES)

    async def name(self, wanted: Wanted, *, deadline: float) -> Named:
        resolved = await self.resolve(wanted, deadline=deadline)
        return Named(resolved.key, resolved.plan.encode.format, self._originals.belief(resolved.identity))

    async def meet(self, ref: OriginalRef, version: str, *, deadline: float) -> Met:
        if self._versions is None:
            return NOT_MET
        return await self._versions.meet(ref, version, deadline=deadline)

    async def variant(self, wanted: Wanted, *, deadline: float, redirect_until_s: float) -> Delivered:
        async def attempt() -> Delivered:
            return await self._deliver(await self._resolve(wanted, deadline), deadline, redirect_until_s)

        return await self._originals.while_it_rests(wanted.ref, attempt)

    async def prepare(self, wanted: Wanted, *, deadline: float) -> bool:
        """Has the variant in the tiers, behind all that clients wait for; False where it was there."""

        async def attempt() -> bool:
            resolved = await self._resolve(wanted, deadline)
            key, kind = resolved.key, resolved.plan.encode.format
            if await self._chain.holds(key, kind):
                return False
            made, collapsed = await self._fly(resolved, deadline, is_behind=True)
            if not await self._chain.settled(key, kind):
                if self._is_purged(resolved):
                    raise OriginalChanged
                raise Internal("it was made, but no tier has kept it: is there room?")
            return not made.brought.tier and not collapsed

        return await self._originals.while_it_rests(wanted.ref, attempt)

    def _is_purged(self, resolved: Resolved) -> bool:
        """Whether there was a purge since that may be of it."""
        generations, identity = self._generations, resolved.identity
        return (
            generations.of(identity.ref) != identity.generation or generations.of_plans != resolved.of_plans
        )

    def latest(self, ref: OriginalRef, *, deadline: float) -> AbstractAsyncContextManager[Original]:
        return self._originals.latest(ref, deadline=deadline)

    async def resolve(self, wanted: Wanted, *, deadline: float) -> Resolved:
        """Identity, Plan and key, without looking for the variant."""
        return await self._originals.while_it_rests(wanted.ref, lambda: self._resolve(wanted, deadline))

    def plan(self, wanted: Wanted, facts: Facts | None) -> Plan:
        """The Plan; `facts` may be None only where the transform needs none."""
        asked = wanted.transform
        recipe = replace(self._recipe, max_side_px=wanted.max_side_px)
        return resolve(asked, choose(asked, wanted.accepted, self._auto, facts), recipe)

    async def _deliver(self, resolved: Resolved, deadline: float, redirect_until_s: float) -> Delivered:
        key, kind = resolved.key, resolved.plan.encode.format
        if (variant := self._chain.recall(key)) is not None:
            return self._delivered(resolved, Outcome.HIT, Brought(variant, self._chain.fast))
        if (
            redirect_until_s
            and self._redirects
            and (location := await self._redirects.location(key, kind, until_s=redirect_until_s))
        ):
            belief = self._originals.belief(resolved.identity)
            delivery = Delivery(
                key=key, format=kind, outcome=Outcome.HIT, tier="bucket", belief=belief, location=location
            )
            return Delivered(delivery, None)
        made, collapsed = await self._fly(resolved, deadline)
        outcome = Outcome.HIT if made.brought.tier else Outcome.COLLAPSED if collapsed else Outcome.MISS
        timings = made.timings if outcome is Outcome.MISS else NO_TIMINGS
        return self._delivered(resolved, outcome, made.brought, timings)

    async def _fly(self, resolved: Resolved, deadline: float, *, is_behind: bool = False) -> Landed[_Made]:
        return await self._flights.run(
            resolved.key,
            lambda flight: self._make(resolved, flight, deadline),
            deadline=deadline,
            is_behind=is_behind,
        )

    def _delivered(
        self, resolved: Resolved, outcome: Outcome, brought: Brought, timings: Timings = NO_TIMINGS
    ) -> Delivered:
        delivery = Delivery(
            key=resolved.key,
            format=resolved.plan.encode.format,
            outcome=outcome,
            tier=brought.tier,
            stored=brought.stored,
            timings=timings,
            belief=self._originals.belief(resolved.identity),
        )
        return Delivered(delivery, brought.variant)

    async def _resolve(self, wanted: Wanted, deadline: float) -> Resolved:
        """Remembered until the original's identity changes."""
        identity = await self._originals.identify(wanted.ref, deadline=deadline)
        remembered = self._resolved.get(wanted.by_value)
        of_plans = self._generations.of_plans
        if remembered is not None and remembered.identity == identity and remembered.of_plans == of_plans:
            return remembered
        needs_facts = wanted.transform.needs_facts
        plan = self.plan(
            wanted, await self._originals.facts(identity, deadline=deadline) if needs_facts else None
        )
        key = variant_key(identity, plan, self._generations.of_plan(wanted.ref, plan))
        return self._resolved.keep(wanted.by_value, Resolved(identity, plan, key, of_plans))

    async def _make(self, resolved: Resolved, flight: Flight, deadline: float) -> _Made:
        """Inside the flight: look again, for the flight before may just have landed, then make it. Who prepares has asked
        the tiers right before: what has landed since then is still at hand."""
        timings = NO_TIMINGS

        async def render() -> Variant:
            nonlocal timings
            variant, timings = await self._render(resolved, flight, deadline)
            body = variant.body
            if variant.kind is Format.INFO:
                body = with_etag(body, etag(original_key(resolved.identity)))
            return replace(variant, body=body, of=str(resolved.identity.ref))

        key, kind = resolved.key, resolved.plan.encode.format
        found = self._chain.at_hand(key) if flight.is_behind else await self._chain.lookup(key, kind)
        brought = found or await self._chain.make(key, kind, render, deadline=deadline, haste=flight)
        await self._note(resolved)
        return _Made(brought, timings)

    async def _note(self, resolved: Resolved) -> None:
        """So that a purge finds it; one that came meanwhile did not."""
        ref, plan = resolved.identity.ref, resolved.plan
        if self._generations.of(ref) != resolved.identity.generation:
            await self._chain.remove(resolved.key, plan.encode.format)
        elif self._index is not None:
            since = max(resolved.identity.generation, self._generations.of_plan(ref, plan))
            self._index.note(ref, Entry(resolved.key, plan.encode.format, generation=since), canonical(plan))

    async def _render(self, resolved: Resolved, flight: Flight, deadline: float) -> tuple[Variant, Timings]:
        asked_s = self._clock()
        started_s = asked_s

        def start() -> None:
            nonlocal started_s
            started_s = self._clock()
            flight.hold()

        async with self._originals.borrow(resolved.identity, deadline=deadline) as original:
            fetched_s = started_s = self._clock()
            variant = await self._renderer.render(
                original, resolved.plan, deadline=deadline, on_start=start, haste=flight
            )
            if not original.unchanged():
                raise OriginalChanged
        timings = Timings(
            fetch_s=fetched_s - asked_s, queue_s=started_s - fetched_s, render_s=self._clock() - started_s
        )
        self._metrics.rendered(resolved.identity.ref, resolved.plan.encode.format, timings)
        return variant, timings
