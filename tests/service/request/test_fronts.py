"""What a process that only answers does before its producer, and how few calls it makes."""

import asyncio
import math
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
from proxy.core.transform.operations import Transform
from proxy.service.request import deliver as deliver_module
from proxy.service.request.deliver import Deliver
from proxy.service.request.singleflight import Flights
from tests.support.fakes import FakeInstantTier
from tests.support.waiting import deadline, settle

KEY, OTHER_KEY = (CacheKey(digest * 32, Format.PNG) for digest in ("ab", "cd"))
VARIANT = Variant(body=b"picture")


class StillClock:
    """Stands still until it is moved, so that all that is asked at once is asked at one moment."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return 100.0 + self.ahead_s


class FakeProducer:
    """Counts its calls; `gate`, while closed, holds them."""

    def __init__(self) -> None:
        self.names = self.variants = 0
        self.until_s = self.ahead_s = self.met_until_s = 0.0
        self.met: list[str] = []
        self.key, self.version = KEY, "1"
        self.location = ""
        self.failure: Exception | None = None
        self.name_failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def resolve_key(self, wanted: VariantRequest, *, deadline: float) -> ResolvedKey:
        self.names += 1
        await self.gate.wait()
        if self.name_failure is not None:
            raise self.name_failure
        return ResolvedKey(self.key, self.freshness)

    async def check_version(self, ref: OriginalRef, version: str, *, deadline: float) -> VersionCheck:
        self.met.append(version)
        await self.gate.wait()
        return VersionCheck(self.met_until_s, self.freshness)

    @property
    def freshness(self) -> Freshness:
        return Freshness(self.version, self.until_s, self.until_s + self.ahead_s)

    async def variant(self, wanted: VariantRequest, *, deadline: float, redirect_until_s: float) -> Delivered:
        self.variants += 1
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        delivery = Delivery(
            key=self.key, outcome=Outcome.MISS, stored=True,
            freshness=self.freshness,
            location=self.location if redirect_until_s else "",
        )  # fmt: skip
        return Delivered(delivery, None if delivery.location else VARIANT)

    def open_current(self, ref: OriginalRef, *, deadline: float) -> AbstractAsyncContextManager[Any]:
        raise NotImplementedError


def wanted() -> VariantRequest:
    return VariantRequest(OriginalRef("photos", "a"), Transform(width_px=4), frozenset(), 4000)


async def test_a_miss_is_a_hit_from_then_on() -> None:
    producer, clock, asked = FakeProducer(), StillClock(), wanted()
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    producer.until_s = clock() + 1
    assert deliver.fresh_hit(asked) is None
    first = await deliver.variant(asked, deadline=deadline())
    assert (first.delivery.outcome, first.variant) == (Outcome.MISS, VARIANT)
    recalled = deliver.fresh_hit(asked)
    assert recalled is not None
    assert (recalled.delivery.outcome, recalled.delivery.tier, recalled.variant) == ("hit", "memory", VARIANT)
    assert not recalled.delivery.stored
    assert (producer.names, producer.variants) == (0, 1)


async def test_only_the_name_is_asked_for_what_is_here_already() -> None:
    producer, clock, asked = FakeProducer(), StillClock(), wanted()
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    await deliver.variant(asked, deadline=deadline())
    assert deliver.fresh_hit(asked) is None, "its identity may not be believed any more"
    producer.until_s = clock() + 1
    again = await deliver.variant(asked, deadline=deadline())
    assert (again.delivery.outcome, again.delivery.tier) == (Outcome.HIT, "memory")
    assert (producer.names, producer.variants) == (1, 1)
    assert deliver.fresh_hit(asked) is not None


async def test_a_picture_at_hand_does_not_wait_for_a_back_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver_module, "STALE_WAIT_S", 0.02)
    producer, clock, asked = FakeProducer(), StillClock(), wanted()
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    await deliver.variant(asked, deadline=deadline())
    producer.gate.clear()
    hit = await deliver.variant(asked, deadline=deadline())
    assert (hit.delivery.tier, hit.variant) == ("memory", VARIANT)
    assert deliver.fresh_hit(asked) is not None, "and for a second nobody waits at all"
    clock.ahead_s = 1.5
    assert deliver.fresh_hit(asked) is None
    again = await deliver.variant(asked, deadline=deadline())
    assert again.variant is VARIANT
    assert producer.names == 1, "who was asked and does not answer is not asked again"
    producer.key = OTHER_KEY
    producer.gate.set()
    await settle()
    fresh = await deliver.variant(asked, deadline=deadline())
    assert fresh.delivery.key == producer.key, "it is asked for again, and believed"


async def test_a_hot_picture_waits_for_no_look() -> None:
    producer, clock, asked = FakeProducer(), StillClock(), wanted()
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    producer.until_s, producer.ahead_s = clock() + 1, 0.1
    await deliver.variant(asked, deadline=deadline())
    clock.ahead_s = 1.09
    producer.gate.clear()
    producer.key, producer.version, producer.until_s = OTHER_KEY, "2", clock() + 1
    for _ in range(3):
        assert deliver.fresh_hit(asked) is None
        assert (await deliver.variant(asked, deadline=deadline())).delivery.key == KEY
        await settle()
    assert producer.names == 1, "one look, begun by the first"
    producer.gate.set()
    await settle()
    assert (await deliver.variant(asked, deadline=deadline())).delivery.key == producer.key


async def test_a_picture_that_nobody_has_asked_for_since_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver_module, "STALE_WAIT_S", 5.0)
    producer, clock, asked = FakeProducer(), StillClock(), wanted()
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    producer.until_s, producer.ahead_s = clock() + 1, 0.1
    await deliver.variant(asked, deadline=deadline())
    clock.ahead_s = 1.1
    producer.key, producer.version = OTHER_KEY, "2"
    assert (await deliver.variant(asked, deadline=deadline())).delivery.key == producer.key


async def test_a_look_in_vain_that_nobody_waited_for_is_made_again() -> None:
    producer, clock, asked = FakeProducer(), StillClock(), wanted()
    flights = Flights()
    deliver = Deliver(FakeInstantTier(), producer, flights, clock)
    producer.until_s, producer.ahead_s = clock() + 1, 0.1
    await deliver.variant(asked, deadline=deadline())
    clock.ahead_s = 1.01
    producer.name_failure = SourceUnavailable("down")
    for _ in range(2):
        assert (await deliver.variant(asked, deadline=deadline())).delivery.key == KEY
        await settle()
    assert (producer.names, len(flights)) == (2, 0)


async def test_what_is_gone_is_not_at_hand() -> None:
    producer, clock, asked = FakeProducer(), StillClock(), wanted()
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    producer.until_s, producer.ahead_s = clock() + 1, 0.5
    await deliver.variant(asked, deadline=deadline())
    clock.ahead_s = 1.1
    producer.name_failure = OriginalNotFound("it is gone")
    assert (await deliver.variant(asked, deadline=deadline())).delivery.key == KEY
    await settle()
    with pytest.raises(OriginalNotFound):
        await deliver.variant(asked, deadline=deadline())


async def test_a_look_that_is_merely_slow_is_believed_once_it_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deliver_module, "STALE_WAIT_S", 0.02)
    producer, clock, asked = FakeProducer(), StillClock(), wanted()
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    await deliver.variant(asked, deadline=deadline())
    producer.gate.clear()
    old = await deliver.variant(asked, deadline=deadline())
    assert old.delivery.key == KEY
    producer.key, producer.version, producer.until_s = OTHER_KEY, "2", clock() + 9
    producer.gate.set()
    await settle()  # Nobody waits for it any more.
    fresh = await deliver.variant(asked, deadline=deadline())
    assert fresh.delivery.key == producer.key


async def test_what_is_known_to_be_old_is_not_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another variant has told that the original is another."""
    monkeypatch.setattr(deliver_module, "STALE_WAIT_S", 0.02)
    producer, clock = FakeProducer(), StillClock()
    deliver, asked = Deliver(FakeInstantTier(), producer, Flights(), clock), wanted()
    other = VariantRequest(asked.ref, Transform(width_px=5), frozenset(), 4000)
    await deliver.variant(asked, deadline=deadline())
    producer.key, producer.version, producer.until_s = OTHER_KEY, "2", clock() + 9
    await deliver.variant(other, deadline=deadline())
    producer.gate.clear()
    waiting = asyncio.create_task(deliver.variant(asked, deadline=deadline()))
    await settle()
    assert not waiting.done()
    producer.gate.set()
    assert (await waiting).delivery.key == producer.key


async def test_what_the_client_has_is_not_sent_for() -> None:
    producer = FakeProducer()
    deliver = Deliver(FakeInstantTier(), producer, Flights(), StillClock())
    held = await deliver.variant(wanted(), deadline=deadline(), needs_no_body=lambda key: key == KEY)
    assert (held.delivery.tier, held.variant) == ("validator", None)
    other = await deliver.variant(wanted(), deadline=deadline(), needs_no_body=lambda key: False)
    assert other.variant is VARIANT
    assert (producer.names, producer.variants) == (2, 1)


async def test_what_memory_does_not_take_is_asked_for_again() -> None:
    producer = FakeProducer()
    producer.until_s = 1000.0
    deliver, asked = Deliver(FakeInstantTier(max_entry_bytes=0), producer, Flights(), StillClock()), wanted()
    for _ in range(2):
        assert (await deliver.variant(asked, deadline=deadline())).variant is VARIANT
    assert deliver.fresh_hit(asked) is None
    assert producer.variants == 2


async def test_a_location_is_passed_on_and_not_remembered() -> None:
    producer = FakeProducer()
    producer.location = "https://cdn.example/x"
    deliver, asked = Deliver(FakeInstantTier(), producer, Flights(), StillClock()), wanted()
    sent = await deliver.variant(asked, deadline=deadline(), redirect_until_s=math.inf)
    assert (sent.delivery.location, sent.variant) == ("https://cdn.example/x", None)
    assert deliver.fresh_hit(asked) is None
    assert (await deliver.variant(asked, deadline=deadline())).variant is VARIANT


async def test_equal_wishes_are_one_call() -> None:
    producer = FakeProducer()
    producer.gate.clear()
    deliver = Deliver(FakeInstantTier(max_entry_bytes=0), producer, Flights(), StillClock())
    asking = [asyncio.create_task(deliver.variant(wanted(), deadline=deadline())) for _ in range(50)]
    await settle()
    producer.gate.set()
    outcomes = [(await task).delivery.outcome for task in asking]
    assert producer.variants == 1
    assert outcomes.count(Outcome.MISS) == 1
    assert outcomes.count(Outcome.COLLAPSED) == 49


async def test_who_comes_after_the_original_was_replaced_does_not_join(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deliver_module, "STALE_WAIT_S", 5.0)
    producer, clock, one = FakeProducer(), StillClock(), wanted()
    deliver = Deliver(FakeInstantTier(), producer, Flights(clock), clock)
    producer.gate.clear()
    asking = [asyncio.create_task(deliver.variant(asked, deadline=deadline())) for asked in (one, wanted())]
    await settle()
    clock.ahead_s = 0.3
    asking.append(asyncio.create_task(deliver.variant(wanted(), deadline=deadline())))
    await settle()
    assert producer.variants == 2, "a look that began before is none for who comes later"
    producer.gate.set()
    await asyncio.gather(*asking)
    producer.gate.clear()
    names = [asyncio.create_task(deliver.variant(one, deadline=deadline())) for _ in range(2)]
    await settle()
    clock.ahead_s = 0.6
    names.append(asyncio.create_task(deliver.variant(one, deadline=deadline())))
    await settle()
    assert producer.names == 2
    producer.gate.set()
    await asyncio.gather(*names)
    producer.gate.clear()
    making = asyncio.create_task(deliver.variant(wanted(), deadline=deadline()))
    await settle()
    producer.key, producer.version = OTHER_KEY, "2"
    clock.ahead_s = 0.9
    producer.gate.set()
    assert (await deliver.variant(wanted(), deadline=deadline())).delivery.key == OTHER_KEY
    await making


async def test_one_look_at_an_original_is_good_for_all_that_is_made_of_it() -> None:
    producer, clock = FakeProducer(), StillClock()
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    one, other = wanted(), wanted()
    producer.until_s = clock() + 1
    await deliver.variant(one, deadline=deadline())
    await deliver.variant(other, deadline=deadline())
    clock.ahead_s = 2
    assert deliver.fresh_hit(one) is None
    assert deliver.fresh_hit(other) is None
    producer.until_s = clock() + 1
    await deliver.variant(one, deadline=deadline())
    assert deliver.fresh_hit(other) is not None, "it is of the same original, which was looked at just now"
    producer.key, producer.version = OTHER_KEY, "2"
    clock.ahead_s = 4
    producer.until_s = clock() + 1
    await deliver.variant(one, deadline=deadline())
    assert deliver.fresh_hit(one) is not None
    assert deliver.fresh_hit(other) is None, "it is of an original that is no more"


async def test_a_failure_is_everybodys_and_not_remembered() -> None:
    producer = FakeProducer()
    producer.failure = SourceUnavailable("down")
    deliver = Deliver(FakeInstantTier(), producer, Flights(), StillClock())
    for _ in range(2):
        with pytest.raises(SourceUnavailable):
            await deliver.variant(wanted(), deadline=deadline())
    assert producer.variants == 2


def versioned() -> VariantRequest:
    return VariantRequest(OriginalRef("photos", "a"), Transform(width_px=4, version="2"), frozenset(), 4000)


async def test_a_version_is_asked_about_until_it_is_met() -> None:
    producer, clock, asked = FakeProducer(), StillClock(), versioned()
    producer.until_s = clock() + 1000
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    for _ in range(2):
        assert deliver.fresh_hit(asked) is None
        assert (await deliver.variant(asked, deadline=deadline())).delivery.provisional
    assert (producer.met, producer.variants) == (["2", "2"], 1)
    producer.met_until_s = clock() + 60
    assert not (await deliver.variant(asked, deadline=deadline())).delivery.provisional
    hit = deliver.fresh_hit(asked)
    assert hit is not None
    assert not hit.delivery.provisional
    clock.ahead_s += 60
    assert deliver.fresh_hit(asked) is None
    assert len(producer.met) == 3


async def test_a_look_at_an_original_that_is_another_is_believed_at_once() -> None:
    producer, clock, asked = FakeProducer(), StillClock(), versioned()
    producer.until_s, producer.met_until_s = clock() + 1000, clock() + 60
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    await deliver.variant(wanted(), deadline=deadline())
    producer.key, producer.version = OTHER_KEY, "2"
    assert (await deliver.variant(asked, deadline=deadline())).delivery.key == producer.key


@pytest.mark.parametrize("kind", [ScopeKind.PLAN, ScopeKind.ORIGINAL, ScopeKind.PREFIX])
@pytest.mark.parametrize("is_known", [True, False])
async def test_an_answer_made_before_a_purge_is_not_recorded_after_it(
    kind: ScopeKind, is_known: bool
) -> None:
    producer, clock, one = FakeProducer(), StillClock(), wanted()
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    producer.until_s = clock() + 1
    if is_known:
        await deliver.variant(replace(one, max_side_px=1), deadline=deadline())
    producer.gate.clear()
    making = asyncio.create_task(deliver.variant(one, deadline=deadline()))
    await settle()
    await deliver.invalidate([PurgeScope("photos", kind, "a")], [])
    producer.gate.set()
    assert (await making).variant == VARIANT
    assert deliver.fresh_hit(one) is None
    producer.key = OTHER_KEY
    assert (await deliver.variant(one, deadline=deadline())).delivery.key == OTHER_KEY
    assert deliver.fresh_hit(one) is not None


async def test_a_version_that_is_superseded_meanwhile_is_not_recorded() -> None:
    """Two requests of one original are under way; the one that began with the older version ends last."""
    producer, clock, old, new = FakeProducer(), StillClock(), wanted(), replace(wanted(), max_side_px=1)
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    producer.until_s = clock() + 1
    await deliver.variant(replace(old, max_side_px=2), deadline=deadline())
    slow = asyncio.Event()

    async def variant(request: VariantRequest, **_: object) -> Delivered:
        if request is old:
            await slow.wait()
        version = "1" if request is old else "2"
        freshness = Freshness(version, clock() + 1)
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


async def test_a_failure_leaves_no_record_of_an_original_that_is_not_known() -> None:
    producer, clock, one = FakeProducer(), StillClock(), wanted()
    deliver = Deliver(FakeInstantTier(), producer, Flights(), clock)
    producer.failure = OriginalNotFound("no")
    with pytest.raises(OriginalNotFound):
        await deliver.variant(one, deadline=deadline())
    assert not deliver._originals
