"""A request for a variant: a memory hit, a revalidated copy of the client, or a call to the producer.

One instance per process that answers requests. It has a record for each original, and answers that point at the
records of all their originals. A purge and a new version of an original replace its record, which makes all its
answers invalid, also those of requests in progress (`core/cache/freshness`).
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from itertools import starmap
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
    """The resolved key of a request, and its memory hit, if any. Valid while all records are current: those of the
    originals, after those of candidates that were not found."""

    resolved: ResolvedKey
    originals: tuple[OriginalRecord, ...]
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
        """The memory hit of fresh originals, without waiting; otherwise None."""
        answer = self._answers.get(request)
        if (
            answer is None
            or answer.hit is None
            or not self._is_valid(answer)
            or not self._is_version_checked(request)
        ):
            return None
        now_s = self._clock()
        for original in answer.originals:
            if original.freshness.fresh_until_s <= now_s:
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
        originals, plans = self._records_of(request), self._plans
        (delivery, variant), collapsed = await self._flights.run(
            ("variant", originals, plans, redirect_until_s, key or request.by_value),
            lambda _: self._call_producer(
                originals,
                self._producer.variant(request, deadline=deadline, redirect_until_s=redirect_until_s),
            ),
            deadline=deadline,
            join_within_s=None if key else JOIN_WINDOW_S,
        )
        answer = self._store_result(request, originals, plans, ResolvedKey(delivery.key, delivery.freshness))
        if (
            variant is not None
            and self._is_valid(answer)
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

    def open_current(
        self, ref: OriginalRef, *alternatives: OriginalRef, deadline: float
    ) -> AbstractAsyncContextManager[Original]:
        """The original, open while the context is."""
        return self._producer.open_current(ref, *alternatives, deadline=deadline)

    def _is_version_checked(self, request: VariantRequest) -> bool:
        """Whether the version in the URL, if any, needs no revalidation of the originals."""
        return request.version is None or self._checked_until_s.get(request, 0.0) > self._clock()

    async def _check_version(self, request: VariantRequest, deadline: float) -> bool:
        """Whether the originals were revalidated for the version in the URL."""
        assert request.version is not None
        originals = self._records_of(request)
        if len(request.candidates) > 1:
            found = (await self._resolve(request, deadline)).originals
            originals = found[-1 - len(request.transform.further) :]
        refs = tuple(original.ref for original in originals)
        check = self._producer.check_version(refs, request.version, deadline=deadline)
        until_s, freshness = await self._call_producer(originals, check)
        if not until_s:
            return False
        self._checked_until_s.store(request, until_s)
        self._update_records(originals, freshness)
        return True

    async def _resolve(self, request: VariantRequest, deadline: float) -> _Answer:
        """The key of the variant: stored while the originals are fresh, else by a revalidation. A request for a stale
        variant in memory waits for the revalidation for STALE_WAIT_S at most."""
        answer = self._answers.get(request)
        if answer is None or not self._is_valid(answer):
            return await self._revalidate(request, deadline)
        now_s = self._clock()
        states = {original: state(original.freshness, now_s) for original in answer.originals}
        expired = [original for original, now in states.items() if now is not State.FRESH]
        if not expired:
            return answer
        if self._memory.lookup(answer.resolved.key) is None:
            return await self._revalidate(request, deadline)
        since_s = max(original.revalidating_since_s for original in expired)
        if now_s - since_s > STALE_WAIT_S:
            return answer  # The current revalidations have exceeded STALE_WAIT_S already.
        if State.STALE not in states.values():
            if since_s == math.inf:
                self._flights.start_detached(*self._revalidation(request, deadline))
            return answer
        try:
            async with asyncio.timeout(STALE_WAIT_S):
                return await self._revalidate(request, deadline)
        except TimeoutError:
            if not self._is_valid(answer) or self._memory.lookup(answer.resolved.key) is None:
                return await self._revalidate(request, deadline)
            until_s = self._clock() + SLOW_REVALIDATION_S
            for original in expired:
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
        originals, plans = self._records_of(request), self._plans

        async def revalidate(flight: Flight) -> _Answer:
            first = [original for original in originals if original.revalidating_since_s == math.inf]
            if first:
                # The flight continues after its waiters are served stale: later requests need the result.
                flight.keep_running()
            for original in first:
                original.revalidating_since_s = self._clock()
            try:
                call = self._producer.resolve_key(request, deadline=deadline)
                resolved = await self._call_producer(originals, call)
            except OriginalNotFound as missing:
                candidates = len(request.candidates)
                last = candidates + missing.original
                for original in originals[last - 1 : last] if missing.original else originals[:candidates]:
                    self._drop_record(original)
                raise
            finally:
                for original in first:
                    original.revalidating_since_s = math.inf
            return self._store_result(request, originals, plans, resolved)

        return ("key", originals, plans, request.by_value), revalidate

    async def _call_producer(self, originals: tuple[OriginalRecord, ...], call: Awaitable[T]) -> T:
        """The result of a call to the producer. A failure drops the records of originals that were never fresh."""
        try:
            return await call
        except BaseException:
            self._drop_unknown(originals)
            raise

    def _records_of(self, request: VariantRequest) -> tuple[OriginalRecord, ...]:
        """The records of the originals. They exist before the producer is called, so that a purge meanwhile can drop
        them."""
        records = self._originals
        return tuple(records.get(ref) or records.store(ref, OriginalRecord(ref)) for ref in request.refs)

    def _drop_unknown(self, originals: Iterable[OriginalRecord]) -> None:
        """Drops the records of originals that were never fresh."""
        for original in originals:
            if original.freshness is NEVER_FRESH:
                self._drop_record(original)

    def _drop_record(self, original: OriginalRecord) -> None:
        if self._originals.get(original.ref) is original:
            del self._originals[original.ref]

    def _update_records(
        self, originals: tuple[OriginalRecord, ...], freshness: tuple[Freshness, ...]
    ) -> tuple[OriginalRecord, ...]:
        """The records with the result of work that began with `originals`."""
        return tuple(starmap(self._update_record, zip(originals, freshness, strict=True)))

    def _update_record(self, original: OriginalRecord, freshness: Freshness) -> OriginalRecord:
        """The record with `freshness`: a new record for a new version. A record that was dropped meanwhile is not
        stored again."""
        if self._originals.get(original.ref) is original:
            if original.freshness.version not in ("", freshness.version):
                original = self._originals.store(original.ref, OriginalRecord(original.ref))
            original.freshness = freshness
        return original

    def _store_result(
        self,
        request: VariantRequest,
        originals: tuple[OriginalRecord, ...],
        plans: _Plans,
        resolved: ResolvedKey,
    ) -> _Answer:
        """The answer of work that began with these records; stored if all are still current."""
        if unused := len(originals) - len(resolved.freshness):
            candidates = len(request.candidates)
            self._drop_unknown(originals[candidates - unused : candidates])
            originals = originals[: candidates - unused] + originals[candidates:]
        originals = self._update_records(originals, resolved.freshness)
        last = self._answers.get(request)
        hit = last.hit if last is not None and last.resolved.key == resolved.key else None
        return self._store_answer(request, _Answer(resolved, originals, plans, hit))

    def _store_answer(self, request: VariantRequest, answer: _Answer) -> _Answer:
        return self._answers.store(request, answer) if self._is_valid(answer) else answer

    def _is_valid(self, answer: _Answer) -> bool:
        for original in answer.originals:
            if self._originals.get(original.ref) is not original:
                return False
        return answer.plans is self._plans


def _hit(resolved: ResolvedKey, tier: str, variant: Variant | None) -> Delivery:
    return Delivery(
        key=resolved.key,
        outcome=Outcome.HIT,
        tier=tier,
        freshness=resolved.freshness,
        notice="" if variant is None else variant.notice,
        original_bytes=0 if variant is None else variant.original_bytes,
    )
