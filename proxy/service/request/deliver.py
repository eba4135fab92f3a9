"""The paragraph: the hit in memory, the client's own copy, or what the producer brings.

One for each process that answers requests. Speaks in core values only; HTTP is above, the miss path behind its port.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from proxy.core.cache.delivery import NO_TIMINGS, VALIDATOR, Delivered, Delivery, Freshness, Outcome, Variant
from proxy.core.cache.generations import PurgeScope, ScopeKind
from proxy.core.cache.variant_request import ResolvedKey, VariantRequest
from proxy.core.errors import OriginalNotFound
from proxy.core.image.original import OriginalRef
from proxy.core.memo import Memo
from proxy.ports.clock import Clock
from proxy.ports.operations import Producer
from proxy.ports.originals import Original
from proxy.ports.tiers import InstantTier
from proxy.service.request.singleflight import Flight, Flights

JOIN_WINDOW_S = 0.25
STALE_WAIT_S = 0.25
"""How long a picture that is at hand waits for word on whether its original is still the same."""
STALE_IF_ERROR_S = 1.0
_MEMO_ENTRIES = 20_000


class Deliver:
    """The use case for variants, from this process's memory or through `producer`."""

    def __init__(self, memory: InstantTier, producer: Producer, flights: Flights, clock: Clock) -> None:
        self._memory = memory
        self._producer = producer
        self._flights = flights
        self._clock = clock
        self._hits: Memo[VariantRequest, Delivery] = Memo(_MEMO_ENTRIES)
        self._keys: Memo[VariantRequest, ResolvedKey] = Memo(_MEMO_ENTRIES)
        self._freshness: Memo[OriginalRef, Freshness] = Memo(_MEMO_ENTRIES)
        self._met: Memo[VariantRequest, float] = Memo(_MEMO_ENTRIES)
        self._revalidating_since: dict[OriginalRef, float] = {}
        self._purges = 0

    def fresh_hit(self, request: VariantRequest) -> Delivered | None:
        """The memory hit, at once, as long as the original's identity may be believed; None for all else."""
        hit = self._hits.get(request)
        if (
            hit is None
            or not self._is_fresh(request.ref, hit.freshness)
            or not self._is_version_checked(request)
        ):
            return None
        variant = self._memory.lookup(hit.key)
        return None if variant is None else Delivered(hit, variant)

    async def variant(
        self,
        request: VariantRequest,
        *,
        deadline: float,
        redirect_until_s: float = 0,
        is_current: Callable[[str], bool] | None = None,
    ) -> Delivered:
        """The variant for `wanted`, from a tier or rendered, or its location, where that may be good until
        `redirect_until_s`, a point on the Clock, which is not 0.

        `is_current` says whether the client holds the variant of a key already; then nothing is looked up.
        """
        is_met = self._is_version_checked(request) or await self._check_version(request, deadline)
        delivered = await self._brought(request, deadline, redirect_until_s, is_current)
        if is_met:
            return delivered
        return delivered._replace(delivery=replace(delivered.delivery, provisional=True))

    def _is_version_checked(self, request: VariantRequest) -> bool:
        """Whether the version that the URL names, if it does, needs no look at the original."""
        return request.version is None or self._met.get(request, 0.0) > self._clock()

    async def _check_version(self, request: VariantRequest, deadline: float) -> bool:
        """Whether the look has been, after which other things are believed."""
        assert request.version is not None
        purges = self._purges
        until_s, belief = await self._producer.check_version(request.ref, request.version, deadline=deadline)
        if not until_s:
            return False
        self._met.keep(request, until_s)
        if purges == self._purges:
            self._freshness.keep(request.ref, belief)
        return True

    async def _brought(
        self,
        request: VariantRequest,
        deadline: float,
        redirect_until_s: float,
        is_current: Callable[[str], bool] | None,
    ) -> Delivered:
        flight: tuple[object, ...]
        purges = self._purges
        if is_current is None and request not in self._keys:
            flight = (self._moment(), request.by_value)
        else:
            # The name alone may be all there is to ask: the bytes are here, or with the client.
            named = await self._resolve_key(request, deadline)
            if is_current is not None and is_current(named.key):
                return Delivered(_hit(named, VALIDATOR), None)
            if (variant := self._memory.lookup(named.key)) is not None:
                hit = _hit(named, self._memory.name)
                return (
                    self._remember(request, hit, variant)
                    if purges == self._purges
                    else Delivered(hit, variant)
                )
            flight = (named.key,)
        # Of those who ask at this moment, or for this very key: nobody joins who comes when the original is another.
        (delivery, brought), collapsed = await self._flights.run(
            ("variant", purges, redirect_until_s, *flight),
            lambda _: self._producer.variant(request, deadline=deadline, redirect_until_s=redirect_until_s),
            deadline=deadline,
        )
        if purges != self._purges:
            return Delivered(delivery, brought)  # True when it was asked for, and for nobody who asks now.
        self._record(request, ResolvedKey(delivery.key, delivery.format, delivery.freshness))
        if brought is not None and (
            self._memory.lookup(delivery.key) or self._memory.store(delivery.key, brought)
        ):
            recalled = replace(
                delivery, outcome=Outcome.HIT, tier=self._memory.name, stored=False, timings=NO_TIMINGS
            )
            self._remember(request, recalled, brought)
        if collapsed and delivery.outcome is Outcome.MISS:
            delivery = replace(delivery, outcome=Outcome.COLLAPSED, timings=NO_TIMINGS)
        return Delivered(delivery, brought)

    async def invalidate(self, scopes: Sequence[PurgeScope] | None, keys: Sequence[str]) -> int:
        """Satisfies Follower; with None for all that is believed."""
        if scopes is None or scopes:
            self._purges += 1
        if scopes is None:
            self._freshness.clear()
            self._keys.clear()
            self._hits.clear()
        for scope in scopes or ():
            if (ref := scope.original) is not None:
                self._freshness.pop(ref, None)
            else:
                self._freshness.clear()
            if scope.kind in (ScopeKind.PLAN, ScopeKind.VARIANT):
                # These have other keys now, of originals that are the same.
                self._keys.clear()
                self._hits.clear()
        return sum(self._memory.remove(key) for key in keys)

    def open_current(self, ref: OriginalRef, *, deadline: float) -> AbstractAsyncContextManager[Original]:
        """The original itself, open as long as the context is."""
        return self._producer.open_current(ref, deadline=deadline)

    async def _resolve_key(self, request: VariantRequest, deadline: float) -> ResolvedKey:
        """Remembered as long as it may be believed, and asked once for all who ask at the same moment."""
        purges = self._purges
        named = self._keys.get(request)
        if named is not None and self._is_fresh(request.ref, named.freshness):
            return named
        if named is not None and (held := self._servable_stale(request.ref, named)):
            now_s = self._clock()
            if now_s - self._revalidating_since.get(request.ref, math.inf) > STALE_WAIT_S:
                return named  # It was asked for long ago; to ask again would not help.
            if now_s < held.stale_until_s:
                if request.ref not in self._revalidating_since:
                    self._flights.start_detached(*self._revalidation(request, deadline))
                return named
            try:
                async with asyncio.timeout(STALE_WAIT_S):
                    return await self._revalidate(request, deadline)
            except TimeoutError:
                if purges == self._purges and self._servable_stale(request.ref, named):
                    # Who looks after originals has other worries. What was true a second ago is, for another.
                    until_s = self._clock() + STALE_IF_ERROR_S
                    return self._record(
                        request, named._replace(freshness=named.freshness._replace(fresh_until_s=until_s))
                    )
        return await self._revalidate(request, deadline)

    async def _revalidate(self, request: VariantRequest, deadline: float) -> ResolvedKey:
        purges = self._purges
        named = (await self._flights.run(*self._revalidation(request, deadline), deadline=deadline)).result
        return self._keys.keep(request, named) if purges == self._purges else named

    def _revalidation(
        self, request: VariantRequest, deadline: float
    ) -> tuple[tuple[object, ...], Callable[[Flight], Awaitable[ResolvedKey]]]:
        """The flight that asks for the name, and its key."""
        purges = self._purges

        async def look(flight: Flight) -> ResolvedKey:
            alone = request.ref not in self._revalidating_since
            if alone:
                # Who gives up is served what is old; the answer is for those who come after.
                flight.keep_running()
                self._revalidating_since[request.ref] = self._clock()
            try:
                named = await self._producer.resolve_key(request, deadline=deadline)
                return self._record(request, named) if purges == self._purges else named
            except OriginalNotFound:
                self._freshness.pop(request.ref, None)
                raise
            finally:
                if alone:
                    del self._revalidating_since[request.ref]

        return ("name", purges, self._moment(), request.by_value), look

    def _servable_stale(self, ref: OriginalRef, named: ResolvedKey) -> Freshness | None:
        """What was last believed of an original, where its picture is in memory and it is not known to be another."""
        held = self._freshness.get(ref)
        if held is None or held.version != named.freshness.version or self._memory.lookup(named.key) is None:
            return None
        return held

    def _record(self, request: VariantRequest, named: ResolvedKey) -> ResolvedKey:
        """One look at an original is good for all that is made of it."""
        self._freshness.keep(request.ref, named.freshness)
        return self._keys.keep(request, named)

    def _moment(self) -> int:
        return int(self._clock() / JOIN_WINDOW_S)

    def _is_fresh(self, ref: OriginalRef, belief: Freshness) -> bool:
        """Whether what rests on `belief` still holds, by the last look at the original."""
        held = self._freshness.get(ref)
        return held is not None and held.version == belief.version and held.fresh_until_s > self._clock()

    def _remember(self, request: VariantRequest, hit: Delivery, variant: Variant) -> Delivered:
        self._hits.keep(request, hit)
        return Delivered(hit, variant)


def _hit(named: ResolvedKey, tier: str) -> Delivery:
    return Delivery(
        key=named.key, format=named.format, outcome=Outcome.HIT, tier=tier, freshness=named.freshness
    )
