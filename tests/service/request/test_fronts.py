"""Deliver in a front: which requests it answers from memory, and which calls it makes to its producer."""

import asyncio
import math
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest

from proxy.core.cache.delivery import Delivered, Delivery, Outcome, Variant, VersionCheck
from proxy.core.cache.freshness import Freshness
from proxy.core.cache.generations import PurgeScope, ScopeKind
from proxy.core.cache.keys import CacheKey
from proxy.core.cache.variant_request import ResolvedKey, VariantRequest
from proxy.core.errors import OriginalNotFound, SourceUnavailable
from proxy.core.image.formats import Format
from proxy.core.image.original import OriginalRef
from proxy.service.request import deliver as deliver_module
from proxy.service.request.deliver import Deliver
from proxy.service.request.singleflight import Flights
from tests.support.fakes import FakeInstantTier
from tests.support.strategies import flat
from tests.support.waiting import deadline, settle

KEY, OTHER_KEY = (CacheKey(digest * 32, Format.PNG) for digest in ("ab", "cd"))
VARIANT = Variant(body=b"picture")


class StillClock:
    """A clock that stands still until a test moves it, so that concurrent requests have the same time."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return 100.0 + self.ahead_s


class FakeProducer:
    """Counts its calls; `release`, while not set, holds them."""

    def __init__(self) -> None:
        self.key_calls = self.variant_calls = 0
        self.fresh_until_s = self.ahead_s = self.valid_until_s = 0.0
        self.checked: list[str] = []
        self.key, self.version = KEY, "1"
        self.location = ""
        self.failure: Exception | None = None
        self.name_failure: Exception | None = None
        self.release = asyncio.Event()
        self.release.set()

    async def resolve_key(self, variant_request: VariantRequest, *, deadline: float) -> ResolvedKey:
        self.key_calls += 1
        await self.release.wait()
        if self.name_failure is not None:
            raise self.name_failure
        return ResolvedKey(self.key, (self.freshness,))

    async def check_version(
        self, refs: Sequence[OriginalRef], version: str, *, deadline: float
    ) -> VersionCheck:
        self.checked.append(version)
        await self.release.wait()
        return VersionCheck(self.valid_until_s, (self.freshness,))

    @property
    def freshness(self) -> Freshness:
        return Freshness(self.version, self.fresh_until_s, self.fresh_until_s + self.ahead_s)

    async def variant(
        self, variant_request: VariantRequest, *, deadline: float, redirect_until_s: float
    ) -> Delivered:
        self.variant_calls += 1
        await self.release.wait()
        if self.failure is not None:
            raise self.failure
        delivery = Delivery(
            key=self.key, outcome=Outcome.MISS, stored=True,
            freshness=(self.freshness,),
            location=self.location if redirect_until_s else "",
        )  # fmt: skip
        return Delivered(delivery, None if delivery.location else VARIANT)

    def open_current(self, ref: OriginalRef, *, deadline: float) -> AbstractAsyncContextManager[Any]:
        raise NotImplementedError


def new_request() -> VariantRequest:
    return VariantRequest(OriginalRef("photos", "a"), flat(width=4), frozenset(), 4000)


async def test_a_miss_is_a_hit_from_then_on() -> None:
    producer, clock, variant_request = FakeProducer(), StillClock(), new_request()
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    producer.fresh_until_s = clock() + 1
    assert deliver.fresh_hit(variant_request) is None
    first = await deliver.variant(variant_request, deadline=deadline())
    assert (first.delivery.outcome, first.variant) == (Outcome.MISS, VARIANT)
    hit = deliver.fresh_hit(variant_request)
    assert hit is not None
    assert (hit.delivery.outcome, hit.delivery.tier, hit.variant) == ("hit", "memory", VARIANT)
    assert not hit.delivery.stored
    assert (producer.key_calls, producer.variant_calls) == (0, 1)


async def test_a_variant_in_memory_needs_only_its_cache_key() -> None:
    producer, clock, variant_request = FakeProducer(), StillClock(), new_request()
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    await deliver.variant(variant_request, deadline=deadline())
    assert deliver.fresh_hit(variant_request) is None, "its identity is not fresh any more"
    producer.fresh_until_s = clock() + 1
    again = await deliver.variant(variant_request, deadline=deadline())
    assert (again.delivery.outcome, again.delivery.tier) == (Outcome.HIT, "memory")
    assert (producer.key_calls, producer.variant_calls) == (1, 1)
    assert deliver.fresh_hit(variant_request) is not None


async def test_a_variant_in_memory_is_served_stale_while_the_back_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deliver_module, "STALE_WAIT_S", 0.02)
    producer, clock, variant_request = FakeProducer(), StillClock(), new_request()
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    await deliver.variant(variant_request, deadline=deadline())
    producer.release.clear()
    hit = await deliver.variant(variant_request, deadline=deadline())
    assert (hit.delivery.tier, hit.variant) == ("memory", VARIANT)
    assert deliver.fresh_hit(variant_request) is not None, "no request waits for a second"
    clock.ahead_s = 1.5
    assert deliver.fresh_hit(variant_request) is None
    again = await deliver.variant(variant_request, deadline=deadline())
    assert again.variant is VARIANT
    assert producer.key_calls == 1, "a call that hangs is not repeated"
    producer.key = OTHER_KEY
    producer.release.set()
    await settle()
    fresh = await deliver.variant(variant_request, deadline=deadline())
    assert fresh.delivery.key == producer.key, "the next request gets the new cache key"


async def test_a_stale_variant_is_served_while_it_is_revalidated() -> None:
    producer, clock, variant_request = FakeProducer(), StillClock(), new_request()
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    producer.fresh_until_s, producer.ahead_s = clock() + 1, 0.1
    await deliver.variant(variant_request, deadline=deadline())
    clock.ahead_s = 1.09
    producer.release.clear()
    producer.key, producer.version, producer.fresh_until_s = OTHER_KEY, "2", clock() + 1
    for _ in range(3):
        assert deliver.fresh_hit(variant_request) is None
        assert (await deliver.variant(variant_request, deadline=deadline())).delivery.key == KEY
        await settle()
    assert producer.key_calls == 1, "one revalidation, started by the first request"
    producer.release.set()
    await settle()
    assert (await deliver.variant(variant_request, deadline=deadline())).delivery.key == producer.key


async def test_a_variant_beyond_its_stale_time_waits_for_revalidation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deliver_module, "STALE_WAIT_S", 5.0)
    producer, clock, variant_request = FakeProducer(), StillClock(), new_request()
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    producer.fresh_until_s, producer.ahead_s = clock() + 1, 0.1
    await deliver.variant(variant_request, deadline=deadline())
    clock.ahead_s = 1.1
    producer.key, producer.version = OTHER_KEY, "2"
    assert (await deliver.variant(variant_request, deadline=deadline())).delivery.key == producer.key


async def test_a_failed_background_revalidation_is_repeated() -> None:
    producer, clock, variant_request = FakeProducer(), StillClock(), new_request()
    flights = Flights()
    deliver = Deliver(FakeInstantTier(), producer, flights, clock)
    producer.fresh_until_s, producer.ahead_s = clock() + 1, 0.1
    await deliver.variant(variant_request, deadline=deadline())
    clock.ahead_s = 1.01
    producer.name_failure = SourceUnavailable("down")
    for _ in range(2):
        assert (await deliver.variant(variant_request, deadline=deadline())).delivery.key == KEY
        await settle()
    assert (producer.key_calls, len(flights)) == (2, 0)


async def test_a_variant_of_a_removed_original_is_not_served_stale() -> None:
    producer, clock, variant_request = FakeProducer(), StillClock(), new_request()
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    producer.fresh_until_s, producer.ahead_s = clock() + 1, 0.5
    await deliver.variant(variant_request, deadline=deadline())
    clock.ahead_s = 1.1
    producer.name_failure = OriginalNotFound("it is gone")
    assert (await deliver.variant(variant_request, deadline=deadline())).delivery.key == KEY
    await settle()
    with pytest.raises(OriginalNotFound):
        await deliver.variant(variant_request, deadline=deadline())


async def test_the_result_of_a_slow_revalidation_applies_when_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deliver_module, "STALE_WAIT_S", 0.02)
    producer, clock, variant_request = FakeProducer(), StillClock(), new_request()
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    await deliver.variant(variant_request, deadline=deadline())
    producer.release.clear()
    old = await deliver.variant(variant_request, deadline=deadline())
    assert old.delivery.key == KEY
    producer.key, producer.version, producer.fresh_until_s = OTHER_KEY, "2", clock() + 9
    producer.release.set()
    await settle()  # No request waits for it any more.
    fresh = await deliver.variant(variant_request, deadline=deadline())
    assert fresh.delivery.key == producer.key


async def test_a_variant_of_a_replaced_original_is_not_served_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request for another variant has shown the replacement."""
    monkeypatch.setattr(deliver_module, "STALE_WAIT_S", 0.02)
    producer, clock = FakeProducer(), StillClock()
    deliver, variant_request = Deliver(FakeInstantTier(), producer, Flights(), clock), new_request()
    other = VariantRequest(variant_request.ref, flat(width=5), frozenset(), 4000)
    await deliver.variant(variant_request, deadline=deadline())
    producer.key, producer.version, producer.fresh_until_s = OTHER_KEY, "2", clock() + 9
    await deliver.variant(other, deadline=deadline())
    producer.release.clear()
    waiting = asyncio.create_task(deliver.variant(variant_request, deadline=deadline()))
    await settle()
    assert not waiting.done()
    producer.release.set()
    assert (await waiting).delivery.key == producer.key


async def test_a_variant_that_the_client_has_is_not_produced() -> None:
    producer = FakeProducer()
    deliver = Deliver(FakeInstantTier(), producer, Flights(), StillClock())
    held = await deliver.variant(new_request(), deadline=deadline(), needs_no_body=lambda key: key == KEY)
    assert (held.delivery.tier, held.variant) == ("validator", None)
    other = await deliver.variant(new_request(), deadline=deadline(), needs_no_body=lambda key: False)
    assert other.variant is VARIANT
    assert (producer.key_calls, producer.variant_calls) == (2, 1)


async def test_a_variant_that_memory_does_not_store_is_produced_again() -> None:
    producer = FakeProducer()
    producer.fresh_until_s = 1000.0
    deliver, variant_request = (
        Deliver(FakeInstantTier(max_entry_bytes=0), producer, Flights(), StillClock()),
        new_request(),
    )
    for _ in range(2):
        assert (await deliver.variant(variant_request, deadline=deadline())).variant is VARIANT
    assert deliver.fresh_hit(variant_request) is None
    assert producer.variant_calls == 2


async def test_a_location_is_passed_on_and_not_stored() -> None:
    producer = FakeProducer()
    producer.location = "https://cdn.example/x"
    deliver, variant_request = Deliver(FakeInstantTier(), producer, Flights(), StillClock()), new_request()
    sent = await deliver.variant(variant_request, deadline=deadline(), redirect_until_s=math.inf)
    assert (sent.delivery.location, sent.variant) == ("https://cdn.example/x", None)
    assert deliver.fresh_hit(variant_request) is None
    assert (await deliver.variant(variant_request, deadline=deadline())).variant is VARIANT


async def test_equal_requests_are_one_call() -> None:
    producer = FakeProducer()
    producer.release.clear()
    deliver = Deliver(FakeInstantTier(max_entry_bytes=0), producer, Flights(), StillClock())
    asking = [asyncio.create_task(deliver.variant(new_request(), deadline=deadline())) for _ in range(50)]
    await settle()
    producer.release.set()
    outcomes = [(await task).delivery.outcome for task in asking]
    assert producer.variant_calls == 1
    assert outcomes.count(Outcome.MISS) == 1
    assert outcomes.count(Outcome.COLLAPSED) == 49


async def test_a_request_after_a_replacement_does_not_join_an_earlier_flight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deliver_module, "STALE_WAIT_S", 5.0)
    producer, clock, one = FakeProducer(), StillClock(), new_request()
    deliver = Deliver(FakeInstantTier(), producer, Flights(clock), clock)
    producer.release.clear()
    asking = [
        asyncio.create_task(deliver.variant(each, deadline=deadline())) for each in (one, new_request())
    ]
    await settle()
    clock.ahead_s = 0.3
    asking.append(asyncio.create_task(deliver.variant(new_request(), deadline=deadline())))
    await settle()
    assert producer.variant_calls == 2, "a later request needs a later identification"
    producer.release.set()
    await asyncio.gather(*asking)
    producer.release.clear()
    resolving = [asyncio.create_task(deliver.variant(one, deadline=deadline())) for _ in range(2)]
    await settle()
    clock.ahead_s = 0.6
    resolving.append(asyncio.create_task(deliver.variant(one, deadline=deadline())))
    await settle()
    assert producer.key_calls == 2
    producer.release.set()
    await asyncio.gather(*resolving)
    producer.release.clear()
    making = asyncio.create_task(deliver.variant(new_request(), deadline=deadline()))
    await settle()
    producer.key, producer.version = OTHER_KEY, "2"
    clock.ahead_s = 0.9
    producer.release.set()
    assert (await deliver.variant(new_request(), deadline=deadline())).delivery.key == OTHER_KEY
    await making


async def test_one_revalidation_applies_to_all_variants_of_an_original() -> None:
    producer, clock = FakeProducer(), StillClock()
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    one, other = new_request(), new_request()
    producer.fresh_until_s = clock() + 1
    await deliver.variant(one, deadline=deadline())
    await deliver.variant(other, deadline=deadline())
    clock.ahead_s = 2
    assert deliver.fresh_hit(one) is None
    assert deliver.fresh_hit(other) is None
    producer.fresh_until_s = clock() + 1
    await deliver.variant(one, deadline=deadline())
    assert deliver.fresh_hit(other) is not None, "it is of the same original, which has just been revalidated"
    producer.key, producer.version = OTHER_KEY, "2"
    clock.ahead_s = 4
    producer.fresh_until_s = clock() + 1
    await deliver.variant(one, deadline=deadline())
    assert deliver.fresh_hit(one) is not None
    assert deliver.fresh_hit(other) is None, "it is of an original that was replaced"


async def test_a_failure_is_not_stored() -> None:
    producer = FakeProducer()
    producer.failure = SourceUnavailable("down")
    deliver = Deliver(FakeInstantTier(), producer, Flights(), StillClock())
    for _ in range(2):
        with pytest.raises(SourceUnavailable):
            await deliver.variant(new_request(), deadline=deadline())
    assert producer.variant_calls == 2


def versioned_request() -> VariantRequest:
    return VariantRequest(OriginalRef("photos", "a"), flat(width=4, version="2"), frozenset(), 4000)


async def test_a_version_is_checked_until_the_producer_confirms_it() -> None:
    producer, clock, variant_request = FakeProducer(), StillClock(), versioned_request()
    producer.fresh_until_s = clock() + 1000
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    for _ in range(2):
        assert deliver.fresh_hit(variant_request) is None
        assert (await deliver.variant(variant_request, deadline=deadline())).delivery.provisional
    assert (producer.checked, producer.variant_calls) == (["2", "2"], 1)
    producer.valid_until_s = clock() + 60
    assert not (await deliver.variant(variant_request, deadline=deadline())).delivery.provisional
    hit = deliver.fresh_hit(variant_request)
    assert hit is not None
    assert not hit.delivery.provisional
    clock.ahead_s += 60
    assert deliver.fresh_hit(variant_request) is None
    assert len(producer.checked) == 3


async def test_a_version_check_that_finds_a_replacement_applies_at_once() -> None:
    producer, clock, variant_request = FakeProducer(), StillClock(), versioned_request()
    producer.fresh_until_s, producer.valid_until_s = clock() + 1000, clock() + 60
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    await deliver.variant(new_request(), deadline=deadline())
    producer.key, producer.version = OTHER_KEY, "2"
    assert (await deliver.variant(variant_request, deadline=deadline())).delivery.key == producer.key


@pytest.mark.parametrize("kind", [ScopeKind.PLAN, ScopeKind.ORIGINAL, ScopeKind.PREFIX])
@pytest.mark.parametrize("is_known", [True, False])
async def test_an_answer_made_before_a_purge_is_not_recorded_after_it(
    kind: ScopeKind, is_known: bool
) -> None:
    producer, clock, one = FakeProducer(), StillClock(), new_request()
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    producer.fresh_until_s = clock() + 1
    if is_known:
        await deliver.variant(replace(one, max_side_px=1), deadline=deadline())
    producer.release.clear()
    making = asyncio.create_task(deliver.variant(one, deadline=deadline()))
    await settle()
    await deliver.invalidate([PurgeScope("photos", kind, "a")], [])
    producer.release.set()
    assert (await making).variant == VARIANT
    assert deliver.fresh_hit(one) is None
    producer.key = OTHER_KEY
    assert (await deliver.variant(one, deadline=deadline())).delivery.key == OTHER_KEY
    assert deliver.fresh_hit(one) is not None


async def test_a_version_that_is_superseded_meanwhile_is_not_recorded() -> None:
    """Two requests of one original are under way; the one that began with the older version ends last."""
    producer, clock, old, new = (
        FakeProducer(),
        StillClock(),
        new_request(),
        replace(new_request(), max_side_px=1),
    )
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    producer.fresh_until_s = clock() + 1
    await deliver.variant(replace(old, max_side_px=2), deadline=deadline())
    slow = asyncio.Event()

    async def variant(request: VariantRequest, **_: object) -> Delivered:
        if request is old:
            await slow.wait()
        version = "1" if request is old else "2"
        freshness = (Freshness(version, clock() + 1),)
        delivery = Delivery(key=CacheKey(version * 64, Format.PNG), outcome=Outcome.MISS, freshness=freshness)
        return Delivered(delivery, VARIANT)

    producer.variant = variant  # type: ignore[method-assign]
    making = asyncio.create_task(deliver.variant(old, deadline=deadline()))
    await settle()
    await deliver.variant(new, deadline=deadline())
    slow.set()
    assert (await making).delivery.key == CacheKey("1" * 64, Format.PNG)
    assert deliver.fresh_hit(old) is None
    assert deliver.fresh_hit(new) is not None


async def test_a_failure_leaves_no_record_of_an_unknown_original() -> None:
    producer, clock, one = FakeProducer(), StillClock(), new_request()
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    producer.failure = OriginalNotFound("no")
    with pytest.raises(OriginalNotFound):
        await deliver.variant(one, deadline=deadline())
    assert not deliver._originals
