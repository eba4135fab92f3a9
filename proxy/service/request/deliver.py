"""A request for a variant: a memory hit, a revalidated copy of the client, or a call to the producer.

One instance per process that answers requests. It has a record for each original, and answers that point at their record. A purge and a new version of the original replace the record, which makes all its answers invalid, also
those of requests in progress (`core/cache/freshness`).
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import NamedTuple, TypeVar

from proxy.core.cache.delivery import NO_TIMINGS, VALIDATOR, Delivered, Delivery, Outcome, Variant
from proxy.core.cache.freshness import NEVER_FRESH, Freshness, OriginalRecord, State, state
from proxy.core.cache.generations import PurgeScope, ScopeKind
from proxy.core.cache.keys import CacheKey
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
"""A request without a cache key joins a flight of this age at most: an older flight may have seen an older original."""
STALE_WAIT_S = 0.25
"""A request for a stale variant in memory waits this long for a revalidation."""
SLOW_REVALIDATION_S = 1.0
"""A stale variant is served as fresh for this long after a revalidation that did not end in time."""
_MEMO_ENTRIES = 20_000

T = TypeVar("T")


class _Plans:
    """The record of all plans. A purge of plans replaces it: such a purge changes cache keys, but not originals."""


class _Answer(NamedTuple):
    """The resolved key of a request, and its memory hit, if any. Valid while both records are current."""

    resolved: ResolvedKey
    original: OriginalRecord
    plans: _Plans
    hit: Delivery | None = None


class Deliver:
    """The use case for variants, from this process's memory or through `producer`."""

    def __init__(self, memory: InstantTier, producer: Producer, flights: Flights, clock: Clock) -> None:
        self._memory = memory
        self._producer = producer
        self._flights = flights
        self._clock = clock
        self._originals: Memo[OriginalRef, OriginalRecord] = Memo(_MEMO_ENTRIES)
        self._plans = _Plans()
        self._answers: Memo[VariantRequest, _Answer] = Memo(_MEMO_ENTRIES)
        self._checked_until_s: Memo[VariantRequest, float] = Memo(_MEMO_ENTRIES)

    def fresh_hit(self, request: VariantRequest) -> Delivered | None:
        """The memory hit of a fresh original, without waiting; otherwise None."""
        answer = self._answers.get(request)
        if (
            answer is None
            or answer.hit is None
            or not self._is_valid(request, answer)
            or answer.original.freshness.fresh_until_s <= self._clock()
            or not self._is_version_checked(request)
        ):
            return None
        variant = self._memory.lookup(answer.hit.key)
        return None if variant is None else Delivered(answer.hit, variant)

    async def variant(
        self,
        request: VariantRequest,
        *,
        deadline: float,
        redirect_until_s: float = 0,
        needs_no_body: Callable[[CacheKey], bool] | None = None,
    ) -> Delivered:
        """The variant, from a tier or rendered. Raises CalotypeErrors.

        If `redirect_until_s`, a point on the Clock, is not 0, the result may be a location that is valid until then.
        `needs_no_body` returns whether the response for a key is a 304 or 412; the bytes are then not looked up.
        """
        is_checked = self._is_version_checked(request) or await self._check_version(request, deadline)
        delivered = await self._deliver(request, deadline, redirect_until_s, needs_no_body)
        if is_checked:
            return delivered
        return delivered._replace(delivery=replace(delivered.delivery, provisional=True))

    async def _deliver(
        self,
        request: VariantRequest,
        deadline: float,
        redirect_until_s: float,
        needs_no_body: Callable[[CacheKey], bool] | None,
    ) -> Delivered:
        key = None
        if needs_no_body is not None or request in self._answers:
            # The key suffices if the bytes are in memory or the client has them.
            answer = await self._resolve(request, deadline)
            key = answer.resolved.key
            variant = self._memory.lookup(key)
            if needs_no_body is not None and needs_no_body(key):
                return Delivered(_hit(answer.resolved, VALIDATOR, variant), None)
            if variant is not None:
                hit = _hit(answer.resolved, self._memory.name, variant)
                self._store_answer(request, answer._replace(hit=hit))
                return Delivered(hit, variant)
        original, plans = self._record_of(request.ref), self._plans
        (delivery, variant), collapsed = await self._flights.run(
            ("variant", original, plans, redirect_until_s, key or request.by_value),
            lambda _: self._call_producer(
                request.ref,
                original,
                self._producer.variant(request, deadline=deadline, redirect_until_s=redirect_until_s),
            ),
            deadline=deadline,
            join_within_s=None if key else JOIN_WINDOW_S,
        )
        answer = self._store_result(request, original, plans, ResolvedKey(delivery.key, delivery.freshness))
        if (
            variant is not None
            and self._is_valid(request, answer)
            and (self._memory.lookup(delivery.key) or self._memory.store(delivery.key, variant))
        ):
            hit = replace(
                delivery, outcome=Outcome.HIT, tier=self._memory.name, stored=False, timings=NO_TIMINGS
            )
            self._store_answer(request, answer._replace(hit=hit))
        if collapsed and delivery.outcome is Outcome.MISS:
            delivery = replace(delivery, outcome=Outcome.COLLAPSED, timings=NO_TIMINGS)
        return Delivered(delivery, variant)

    async def invalidate(self, scopes: Sequence[PurgeScope] | None, keys: Sequence[CacheKey]) -> int:
        """Satisfies PurgeSubscriber; None as `scopes` drops all records and answers."""
        for scope in scopes or ():
            if scope.kind in (ScopeKind.PLAN, ScopeKind.VARIANT):
                self._plans = _Plans()
            elif (ref := scope.original) is not None:
                self._originals.pop(ref, None)
            else:
                self._originals.clear()
        if scopes is None:
            self._originals.clear()
            self._answers.clear()
        return sum(self._memory.remove(key) for key in keys)

    def open_current(self, ref: OriginalRef, *, deadline: float) -> AbstractAsyncContextManager[Original]:
        """The original, open while the context is."""
        return self._producer.open_current(ref, deadline=deadline)

    def _is_version_checked(self, request: VariantRequest) -> bool:
        """Whether the version in the URL, if any, needs no revalidation of the original."""
        return request.version is None or self._checked_until_s.get(request, 0.0) > self._clock()

    async def _check_version(self, request: VariantRequest, deadline: float) -> bool:
        """Whether the original was revalidated for the version in the URL."""
        assert request.version is not None
        original = self._record_of(request.ref)
        check = self._producer.check_version(request.ref, request.version, deadline=deadline)
        until_s, freshness = await self._call_producer(request.ref, original, check)
        if not until_s:
            return False
        self._checked_until_s.store(request, until_s)
        self._update_record(request.ref, original, freshness)
        return True

    async def _resolve(self, request: VariantRequest, deadline: float) -> _Answer:
        """The key of the variant: stored while the original is fresh, else by a revalidation. A request for a stale
        variant in memory waits for the revalidation for STALE_WAIT_S at most."""
        answer = self._answers.get(request)
        if answer is None or not self._is_valid(request, answer):
            return await self._revalidate(request, deadline)
        original, now_s = answer.original, self._clock()
        now = state(original.freshness, now_s)
        if now is State.FRESH:
            return answer
        if self._memory.lookup(answer.resolved.key) is None:
            return await self._revalidate(request, deadline)
        if now_s - original.revalidating_since_s > STALE_WAIT_S:
            return answer  # The current revalidation has exceeded STALE_WAIT_S already.
        if now is State.REFRESH:
            if original.revalidating_since_s == math.inf:
                self._flights.start_detached(*self._revalidation(request, deadline))
            return answer
        try:
            async with asyncio.timeout(STALE_WAIT_S):
                return await self._revalidate(request, deadline)
        except TimeoutError:
            if not self._is_valid(request, answer) or self._memory.lookup(answer.resolved.key) is None:
                return await self._revalidate(request, deadline)
            until_s = self._clock() + SLOW_REVALIDATION_S
            original.freshness = original.freshness._replace(fresh_until_s=until_s)
            return answer

    async def _revalidate(self, request: VariantRequest, deadline: float) -> _Answer:
        key, work = self._revalidation(request, deadline)
        answer = (await self._flights.run(key, work, deadline=deadline, join_within_s=JOIN_WINDOW_S)).result
        return self._store_answer(request, answer)

    def _revalidation(
        self, request: VariantRequest, deadline: float
    ) -> tuple[tuple[object, ...], Callable[[Flight], Awaitable[_Answer]]]:
        """The key of the flight that resolves the cache key, and its work."""
        original, plans = self._record_of(request.ref), self._plans

        async def revalidate(flight: Flight) -> _Answer:
            is_first = original.revalidating_since_s == math.inf
            if is_first:
                # The flight continues after its waiters are served stale: later requests need the result.
                flight.keep_running()
                original.revalidating_since_s = self._clock()
            try:
                call = self._producer.resolve_key(request, deadline=deadline)
                resolved = await self._call_producer(request.ref, original, call)
            except OriginalNotFound:
                self._drop_record(request.ref, original)
                raise
            finally:
                if is_first:
                    original.revalidating_since_s = math.inf
            return self._store_result(request, original, plans, resolved)

        return ("key", original, plans, request.by_value), revalidate

    async def _call_producer(self, ref: OriginalRef, original: OriginalRecord, call: Awaitable[T]) -> T:
        """The result of a call to the producer. A failure drops the record of an original that was never fresh."""
        try:
            return await call
        except BaseException:
            if original.freshness is NEVER_FRESH:
                self._drop_record(ref, original)
            raise

    def _record_of(self, ref: OriginalRef) -> OriginalRecord:
        """The record of an original. It exists before the producer is called, so that a purge meanwhile can drop it."""
        record = self._originals.get(ref)
        return self._originals.store(ref, OriginalRecord()) if record is None else record

    def _drop_record(self, ref: OriginalRef, original: OriginalRecord) -> None:
        if self._originals.get(ref) is original:
            del self._originals[ref]

    def _update_record(
        self, ref: OriginalRef, original: OriginalRecord, freshness: Freshness
    ) -> OriginalRecord:
        """The record with the result of work that began with `original`: a new record for a new version. A record that
        was dropped meanwhile is not stored again."""
        if self._originals.get(ref) is original:
            if original.freshness.version not in ("", freshness.version):
                original = self._originals.store(ref, OriginalRecord())
            original.freshness = freshness
        return original

    def _store_result(
        self, request: VariantRequest, original: OriginalRecord, plans: _Plans, resolved: ResolvedKey
    ) -> _Answer:
        """The answer of work that began with these records; stored if both are still current."""
        original = self._update_record(request.ref, original, resolved.freshness)
        last = self._answers.get(request)
        hit = last.hit if last is not None and last.resolved.key == resolved.key else None
        return self._store_answer(request, _Answer(resolved, original, plans, hit))

    def _store_answer(self, request: VariantRequest, answer: _Answer) -> _Answer:
        return self._answers.store(request, answer) if self._is_valid(request, answer) else answer

    def _is_valid(self, request: VariantRequest, answer: _Answer) -> bool:
        return self._originals.get(request.ref) is answer.original and answer.plans is self._plans


def _hit(resolved: ResolvedKey, tier: str, variant: Variant | None) -> Delivery:
    return Delivery(
        key=resolved.key,
        outcome=Outcome.HIT,
        tier=tier,
        freshness=resolved.freshness,
        notice="" if variant is None else variant.notice,
    )
