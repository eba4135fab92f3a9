"""Identities, facts, and one fetch for all."""

import asyncio
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace

import pytest

from proxy.core.cache.generations import Generations, Purge, PurgeScope, ScopeKind
from proxy.core.cache.keys import facts_key, original_key
from proxy.core.errors import (
    OriginalNotFound,
    SourceNotAllowed,
    SourceTimeout,
    SourceUnavailable,
    Undecodable,
    UnsupportedFormat,
)
from proxy.core.image.facts import Facts
from proxy.core.image.formats import Format
from proxy.core.image.original import Identity, OriginalRef
from proxy.ports.originals import Version
from proxy.service.request.originals import STALE_IF_ERROR_S, OriginalChanged
from proxy.service.request.quarantine import UNDECODABLE_S, Quarantine
from proxy.service.request.singleflight import Flights
from proxy.service.request.tier_chain import TierChain
from tests.service.composition import originals_of
from tests.support.fakes import (
    FakeClock,
    FakeInstantTier,
    FakeMetrics,
    FakeOriginalStore,
    FakeRenderer,
    FakeSource,
    FakeTier,
)
from tests.support.waiting import deadline, settle


@pytest.fixture
async def house() -> AsyncIterator[SimpleNamespace]:
    made = SimpleNamespace(
        clock=FakeClock(),
        metrics=FakeMetrics(),
        source=FakeSource(),
        renderer=FakeRenderer(),
        flights=Flights(),
        generations=Generations(),
    )
    made.chain = TierChain(FakeInstantTier(), [], made.metrics)
    made.originals, made.opened, made.facts = originals_of(
        {"photos": made.source}, made.chain, made.renderer, made.flights, made.clock, made.metrics, generations=made.generations
    )  # fmt: skip
    yield made
    await made.flights.close()
    assert all(original.closed for original in made.source.fetched)


async def test_an_identity_is_asked_for_once_a_second(house: SimpleNamespace) -> None:
    ref = house.source.put("a", b"1")
    for _ in range(5):
        await house.originals.identify(ref, deadline=deadline())
    assert house.source.identified == 1
    house.source.put("a", b"22", "2")
    assert (await house.originals.identify(ref, deadline=deadline())).version == "1"
    house.clock.ahead_s = 1.0
    assert (await house.originals.identify(ref, deadline=deadline())).version == "2"
    assert house.source.identified == 2


@pytest.mark.parametrize(("recheck_s", "ahead_s"), [(1.0, 0.05), (3600.0, 1.0), (0.0, 0.0)])
async def test_the_last_part_of_the_time_is_there_to_look_again(
    house: SimpleNamespace, recheck_s: float, ahead_s: float
) -> None:
    house.source.freshness_lifetime_s = recheck_s
    ref = house.source.put("a", b"1")
    before_s = house.clock()
    belief = house.originals.freshness(await house.originals.identify(ref, deadline=deadline()))
    assert before_s - 1e-6 <= belief.stale_until_s - recheck_s <= house.clock() + 1e-6
    assert belief.stale_until_s - belief.fresh_until_s == pytest.approx(ahead_s)
    house.clock.ahead_s = recheck_s - ahead_s
    await house.originals.identify(ref, deadline=deadline())
    assert house.source.identified == 2


async def test_a_crowd_asks_once(house: SimpleNamespace) -> None:
    ref = house.source.put("a", b"1")
    await asyncio.gather(*(house.originals.identify(ref, deadline=deadline()) for _ in range(100)))
    assert house.source.identified == 1


async def test_not_found_is_remembered_for_a_minute(house: SimpleNamespace) -> None:
    ref = OriginalRef("photos", "a")
    for _ in range(3):
        with pytest.raises(OriginalNotFound):
            await house.originals.identify(ref, deadline=deadline())
    house.source.put("a", b"1")
    house.clock.ahead_s = FakeSource.negative_ttl_s - 1
    with pytest.raises(OriginalNotFound):
        await house.originals.identify(ref, deadline=deadline())
    assert house.source.identified == 1
    house.clock.ahead_s = FakeSource.negative_ttl_s
    assert (await house.originals.identify(ref, deadline=deadline())).version == "1"


async def test_a_source_may_say_that_it_is_seen_sooner(house: SimpleNamespace) -> None:
    ref = OriginalRef("photos", "a")
    house.source.negative_ttl_s = 1.0
    with pytest.raises(OriginalNotFound) as caught:
        await house.originals.identify(ref, deadline=deadline())
    assert 0 < caught.value.lasts_s <= 1
    house.source.put("a", b"1")
    house.clock.ahead_s = 1.0
    identity = await house.originals.identify(ref, deadline=deadline())
    del house.source.originals["a"]
    for _ in range(2):
        with pytest.raises(OriginalNotFound) as caught:
            async with house.opened.open(identity, deadline=deadline()):
                pass
        assert 0 < caught.value.lasts_s <= 1


async def test_what_is_told_of_a_missing_original_ends_with_its_memory(house: SimpleNamespace) -> None:
    ref = OriginalRef("photos", "a")
    for passed_s in (0.0, 15.0, 40.0):
        house.clock.ahead_s = passed_s
        with pytest.raises(OriginalNotFound) as caught:
            await house.originals.identify(ref, deadline=deadline())
        assert 0 < caught.value.lasts_s <= FakeSource.negative_ttl_s - passed_s
    assert house.source.identified == 1


async def test_forgetting_asks_again(house: SimpleNamespace) -> None:
    ref = house.source.put("a", b"1")
    identity = await house.originals.identify(ref, deadline=deadline())
    assert house.originals.freshness(identity).fresh_until_s > house.clock()
    assert house.originals.freshness(Identity(ref, "other")).fresh_until_s == 0.0
    assert house.originals.freshness(Identity(OriginalRef("photos", "b"), "1")).fresh_until_s == 0.0
    house.originals.drop_negative(ref)
    await house.originals.identify(ref, deadline=deadline())
    assert house.source.identified == 2


async def test_facts_are_read_once_and_kept_in_the_chain(house: SimpleNamespace) -> None:
    identity = await house.originals.identify(house.source.put("a", b"1"), deadline=deadline())
    found = await asyncio.gather(*(house.facts.of(identity, deadline=deadline()) for _ in range(20)))
    assert set(found) == {house.renderer.facts}
    assert house.renderer.probes == 1
    assert len(house.source.fetched) == 1
    assert await house.facts.of(identity, deadline=deadline()) == house.renderer.facts
    assert house.renderer.probes == 1


async def test_facts_of_a_slower_tier_need_no_original(house: SimpleNamespace) -> None:
    identity = await house.originals.identify(house.source.put("a", b"1"), deadline=deadline())
    await house.facts.of(identity, deadline=deadline())
    disk = FakeTier()
    disk.entries[facts_key(identity)] = house.chain.peek(facts_key(identity)).variant
    _, _, facts = originals_of(
        {"photos": house.source},
        TierChain(FakeInstantTier(), [disk], house.metrics),
        house.renderer,
        Flights(),
        house.clock,
        house.metrics,
    )
    assert await facts.of(identity, deadline=deadline()) == house.renderer.facts
    assert house.renderer.probes == 1


async def test_failed_facts_are_not_kept(house: SimpleNamespace) -> None:
    identity = await house.originals.identify(house.source.put("a", b"1"), deadline=deadline())
    house.renderer.failures = [Undecodable("broken")]
    with pytest.raises(Undecodable):
        await house.facts.of(identity, deadline=deadline())
    assert await house.facts.of(identity, deadline=deadline()) == house.renderer.facts


async def test_facts_of_a_file_that_changed_meanwhile_are_not_believed(house: SimpleNamespace) -> None:
    identity = await house.originals.identify(house.source.put("a", b"1"), deadline=deadline())
    house.renderer.during = lambda original: setattr(original, "changed", True)
    with pytest.raises(OriginalChanged):
        await house.facts.of(identity, deadline=deadline())


async def test_all_who_hold_an_original_share_one_fetch(house: SimpleNamespace) -> None:
    identity = await house.originals.identify(house.source.put("a", b"1"), deadline=deadline())

    async def use() -> None:
        async with house.opened.open(identity, deadline=deadline()) as original:
            await settle()
            assert not original.file.closed

    await asyncio.gather(*(use() for _ in range(30)))
    assert len(house.source.fetched) == 1
    assert house.source.fetched[0].closed
    await use()
    assert len(house.source.fetched) == 2
    assert house.metrics.counts == {"fetched photos ok": 2}


async def test_a_borrower_who_leaves_during_the_fetch_leaves_no_open_file(house: SimpleNamespace) -> None:
    identity = await house.originals.identify(house.source.put("a", b"1"), deadline=deadline())
    house.source.gate.clear()

    async def use() -> None:
        async with house.opened.open(identity, deadline=deadline()):
            raise AssertionError("never reached")

    leaving = asyncio.create_task(use())
    await settle()
    leaving.cancel()
    await asyncio.sleep(0)
    house.source.gate.set()
    await settle()
    assert [original.closed for original in house.source.fetched] == [True]


async def test_another_version_than_the_one_wanted_is_no_use(house: SimpleNamespace) -> None:
    ref = house.source.put("a", b"1")
    identity = await house.originals.identify(ref, deadline=deadline())
    house.source.put("a", b"22", "2")
    with pytest.raises(OriginalChanged):
        async with house.opened.open(identity, deadline=deadline()):
            pass
    async with house.opened.open_current(ref, deadline=deadline()) as original:
        assert original.name == original_key(Identity(ref, "2"))


async def test_what_was_fetched_is_believed_without_another_look(house: SimpleNamespace) -> None:
    """A server may go on confirming the validator of the one before."""
    house.source.serves_stale, house.source.freshness_lifetime_s = True, 100.0
    ref = house.source.put("a", b"1")
    identity = await house.originals.identify(ref, deadline=deadline())
    house.source.put("a", b"22", "2")
    async with house.opened.open_current(ref, deadline=deadline()) as original:
        assert original.name == original_key(Identity(ref, "2"))
    assert house.source.identified == 1
    with pytest.raises(OriginalChanged):
        async with house.opened.open(identity, deadline=deadline()):
            pass
    again, _, _ = originals_of(
        {"photos": house.source}, house.chain, house.renderer, house.flights, house.clock, house.metrics
    )
    house.source.failure = SourceUnavailable("down")
    assert (await again.identify(ref, deadline=deadline())).version == "2"


async def test_bytes_that_were_no_picture_are_not_confirmed_by_their_validator(
    house: SimpleNamespace,
) -> None:
    quarantine = Quarantine(house.renderer, house.clock)
    originals, _, facts = originals_of(
        {"photos": house.source}, house.chain, quarantine, house.flights, house.clock, house.metrics, refusals=quarantine
    )  # fmt: skip
    house.source.serves_stale, house.source.freshness_lifetime_s = True, 10_000.0
    ref = house.source.put("a", b"half")
    identity = await originals.identify(ref, deadline=deadline())
    house.renderer.failures = [Undecodable("broken")]
    for _ in range(3):
        with pytest.raises(Undecodable):
            await facts.of(identity, deadline=deadline())
        assert await originals.identify(ref, deadline=deadline()) == identity
    assert (house.source.identified, house.renderer.probes) == (1, 1)
    house.clock.ahead_s = UNDECODABLE_S
    house.source.failure = SourceUnavailable("down")
    assert await originals.identify(ref, deadline=deadline()) == identity
    house.source.failure = None
    for _ in range(3):
        assert await originals.identify(ref, deadline=deadline()) == identity
    assert (house.source.identified, house.source.knew) == (3, None), "asked for anew, once it answers"
    house.renderer.failures = [Undecodable("broken")]
    with pytest.raises(Undecodable):
        await facts.of(identity, deadline=deadline())
    house.clock.ahead_s += UNDECODABLE_S
    house.source.put("a", b"whole", "2")
    assert (await originals.identify(ref, deadline=deadline())).version == "2"
    assert house.source.knew is None
    house.clock.ahead_s += 10_000.0
    await originals.identify(ref, deadline=deadline())
    assert house.source.knew == "2"


async def test_an_original_that_is_no_picture_is_asked_for_anew_in_time(house: SimpleNamespace) -> None:
    quarantine = Quarantine(house.renderer, house.clock)
    _, opened, _ = originals_of(
        {"photos": house.source}, house.chain, quarantine, house.flights, house.clock, house.metrics, refusals=quarantine
    )  # fmt: skip
    house.source.freshness_lifetime_s = 10_000.0
    ref = house.source.put("a", b"<html>back soon</html>")
    for seconds in (0, 1, 150, UNDECODABLE_S - 1):
        house.clock.ahead_s = seconds
        with pytest.raises(UnsupportedFormat):
            async with opened.open_current(ref, deadline=deadline()):
                pass
    assert house.source.identified == 1
    house.clock.ahead_s = UNDECODABLE_S
    house.source.put("a", b"GIF89a" + bytes(60), "2")
    async with opened.open_current(ref, deadline=deadline()) as original:
        assert original.name == original_key(Identity(ref, "2"))


async def test_whoever_comes_as_the_last_leaves_gets_an_open_original(house: SimpleNamespace) -> None:
    """The fetch has landed, its only borrower is cancelled in the same turn, and a newcomer asks."""
    identity = await house.originals.identify(house.source.put("a", b"1"), deadline=deadline())
    house.source.gate.clear()

    async def use() -> bool:
        async with house.opened.open(identity, deadline=deadline()) as original:
            await asyncio.sleep(0)
            return bool(original.file.closed)

    for turns in range(6):
        house.source.gate.clear()
        leaving = asyncio.create_task(use())
        await settle()
        house.source.gate.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        leaving.cancel()
        assert await use() is False


async def test_an_original_that_never_rests_is_given_up(house: SimpleNamespace) -> None:
    ref = house.source.put("a", b"1")
    fetch = house.source.fetch

    async def moving(key: str) -> object:
        house.source.put("a", b"1", str(len(house.source.fetched) + 100))
        return await fetch(key)

    house.source.fetch = moving
    with pytest.raises(SourceUnavailable, match="keeps changing"):
        async with house.opened.open_current(ref, deadline=deadline()):
            pass


async def test_a_source_that_does_not_even_tell_times_out(house: SimpleNamespace) -> None:
    async def forever(*_: object) -> None:
        await asyncio.sleep(60)

    house.source.identify = forever
    with pytest.raises(SourceTimeout):
        await house.originals.identify(
            OriginalRef("photos", "a"), deadline=asyncio.get_running_loop().time() + 0.02
        )


async def test_a_slow_source_times_out(house: SimpleNamespace) -> None:
    identity = await house.originals.identify(house.source.put("a", b"1"), deadline=deadline())
    house.source.gate.clear()
    with pytest.raises((SourceTimeout,)):
        async with house.opened.open(identity, deadline=asyncio.get_running_loop().time() + 0.02):
            pass
    assert house.metrics.counts == {"fetched photos timeout": 1}


async def test_a_failing_source_is_counted(house: SimpleNamespace) -> None:
    identity = await house.originals.identify(house.source.put("a", b"1"), deadline=deadline())
    house.source.failure = SourceUnavailable("down")
    with pytest.raises(SourceUnavailable):
        async with house.opened.open(identity, deadline=deadline()):
            pass
    assert house.metrics.counts == {"fetched photos source-unavailable": 1}


# Originals from afar: kept near at hand, and missing only when they are fetched.


async def test_what_is_kept_is_not_fetched(house: SimpleNamespace) -> None:
    ref = house.source.put("a", b"1")
    identity = await house.originals.identify(ref, deadline=deadline())
    house.opened._store = keep = FakeOriginalStore()
    keep.kept[identity] = b"kept"
    async with house.opened.open(identity, deadline=deadline()) as original:
        assert original.file.content == b"kept"
    assert house.source.fetched == []
    assert house.metrics.counts == {}
    assert keep.opened[0].closed


async def test_what_is_not_kept_is_fetched(house: SimpleNamespace) -> None:
    ref = house.source.put("a", b"1")
    identity = await house.originals.identify(ref, deadline=deadline())
    house.opened._store = FakeOriginalStore()
    async with house.opened.open(identity, deadline=deadline()):
        pass
    assert len(house.source.fetched) == 1


async def test_an_original_found_missing_when_fetched_is_remembered(house: SimpleNamespace) -> None:
    ref = house.source.put("a", b"1")
    identity = await house.originals.identify(ref, deadline=deadline())
    house.source.failure = OriginalNotFound("gone")
    with pytest.raises(OriginalNotFound):
        async with house.opened.open(identity, deadline=deadline()):
            pass
    house.source.failure = None
    assert await house.originals.identify(ref, deadline=deadline()) == identity, (
        "what was made of it is still served"
    )
    house.clock.ahead_s = 45
    with pytest.raises(OriginalNotFound) as caught:
        async with house.opened.open(identity, deadline=deadline()):
            pass
    assert 0 < caught.value.lasts_s <= 15
    house.clock.ahead_s = 60
    async with house.opened.open(identity, deadline=deadline()) as original:
        assert original.file.content == b"1"


@pytest.fixture
async def afar(house: SimpleNamespace) -> SimpleNamespace:
    """A source that may be believed on while it is out of order."""
    house.source.serves_stale = True
    house.source.freshness_lifetime_s = 100.0
    house.ref = house.source.put("a", b"1")
    return house


async def test_a_source_out_of_order_is_believed_on(afar: SimpleNamespace) -> None:
    first = await afar.originals.identify(afar.ref, deadline=deadline())
    for failure in (SourceUnavailable("down"), SourceTimeout("slow")):
        afar.clock.ahead_s += 101
        afar.source.failure = failure
        assert await afar.originals.identify(afar.ref, deadline=deadline()) == first
        asked = afar.source.identified
        afar.clock.ahead_s += STALE_IF_ERROR_S - 0.1
        assert await afar.originals.identify(afar.ref, deadline=deadline()) == first
        assert afar.source.identified == asked, "it is left alone for a moment"
        afar.clock.ahead_s += 0.2
        await afar.originals.identify(afar.ref, deadline=deadline())
        assert afar.source.identified == asked + 1
    assert afar.metrics.counts["fetched photos stale"] == 4
    afar.source.failure = None
    afar.source.put("a", b"2", "2")
    afar.clock.ahead_s += STALE_IF_ERROR_S + 0.1
    assert (await afar.originals.identify(afar.ref, deadline=deadline())).version == "2"


async def test_one_never_seen_is_not_made_up(afar: SimpleNamespace) -> None:
    afar.source.failure = SourceUnavailable("down")
    with pytest.raises(SourceUnavailable):
        await afar.originals.identify(afar.ref, deadline=deadline())


async def test_the_last_look_outlives_a_restart(afar: SimpleNamespace) -> None:
    first = await afar.originals.identify(afar.ref, deadline=deadline())
    again, _, _ = originals_of(
        {"photos": afar.source}, afar.chain, afar.renderer, afar.flights, afar.clock, afar.metrics
    )
    afar.source.failure = SourceUnavailable("down")
    assert await again.identify(afar.ref, deadline=deadline()) == first
    assert afar.source.knew == first.version
    afar.source.failure = None
    afar.clock.ahead_s += STALE_IF_ERROR_S + 1
    assert await again.identify(afar.ref, deadline=deadline()) == first
    assert afar.metrics.counts["fetched photos ok"] == 1, "a look that finds nothing new is no fetch"


async def test_a_removed_original_does_not_come_back(afar: SimpleNamespace) -> None:
    """Not when the node is started again, and finds its source out of order."""
    await afar.originals.identify(afar.ref, deadline=deadline())
    afar.clock.ahead_s += 101
    del afar.source.originals["a"]
    with pytest.raises(OriginalNotFound):
        await afar.originals.identify(afar.ref, deadline=deadline())
    again, _, _ = originals_of(
        {"photos": afar.source}, afar.chain, afar.renderer, afar.flights, afar.clock, afar.metrics
    )
    afar.source.failure = SourceUnavailable("down")
    with pytest.raises(SourceUnavailable):
        await again.identify(afar.ref, deadline=deadline())


async def test_a_source_that_leads_astray_is_not_believed_on(afar: SimpleNamespace) -> None:
    await afar.originals.identify(afar.ref, deadline=deadline())
    afar.clock.ahead_s += 101
    afar.source.failure = SourceNotAllowed("it redirects to somewhere else")
    with pytest.raises(SourceNotAllowed):
        await afar.originals.identify(afar.ref, deadline=deadline())


async def test_a_look_ends_in_time(house: SimpleNamespace) -> None:
    ref = house.source.put("a", b"1")
    house.source.gate.clear()
    with pytest.raises(SourceTimeout, match="in time"):
        await house.originals.revalidate(ref, deadline=asyncio.get_running_loop().time() + 0.02)


@pytest.mark.parametrize("has_tags", [False, True])
async def test_a_look_at_a_missing_original_says_so(house: SimpleNamespace, has_tags: bool) -> None:
    async def none(_: str) -> str:
        return ""

    if not has_tags:
        house.source.tag = none
    with pytest.raises(OriginalNotFound):
        await house.originals.revalidate(OriginalRef("photos", "gone"), deadline=deadline())
    assert house.source.identified == int(not has_tags)


async def test_facts_that_were_found_out_already_are_not_read_again(house: SimpleNamespace) -> None:
    ref = house.source.put("a", b"1")
    facts = Facts(format=Format.PNG, width_px=7, height_px=5, pages=1, alpha=True)
    house.facts.store(await house.originals.identify(ref, deadline=deadline()), facts)
    identity = await house.originals.identify(ref, deadline=deadline())
    assert await house.facts.of(identity, deadline=deadline()) == facts
    assert house.renderer.probes == 0


async def test_an_original_written_into_before_it_is_sent_is_opened_again(house: SimpleNamespace) -> None:
    ref = house.source.put("a", b"1")
    fetch = house.source.fetch

    async def changed_once(key: str) -> object:
        original = await fetch(key)
        original.file.changed = len(house.source.fetched) == 1
        house.source.put("a", b"2", "2")
        return original

    house.source.fetch = changed_once
    async with house.opened.open_current(ref, deadline=deadline()) as original:
        assert original.file is house.source.fetched[1]
    assert len(house.source.fetched) == 2
    assert all(each.closed for each in house.source.fetched)


# A purge and an upload drop what is known; work that began earlier records nothing that is used.


def purge(house: SimpleNamespace, _: OriginalRef) -> None:
    house.generations.apply(
        Purge(PurgeScope("photos", ScopeKind.PREFIX, ""), house.generations.next_token(1, ""))
    )


def upload(house: SimpleNamespace, ref: OriginalRef) -> None:
    house.originals.drop_negative(ref)


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("drop", [purge, upload])
async def test_an_identification_that_crosses_a_purge_is_not_recorded(
    house: SimpleNamespace, drop: Callable[[SimpleNamespace, OriginalRef], None], exists: bool
) -> None:
    ref = OriginalRef("photos", "a")
    identify = house.source.identify

    async def crossing(key: str, known: str | None) -> Version:
        drop(house, ref)
        return await identify(key, known)

    house.source.identify = crossing
    if exists:
        house.source.put("a", b"1")
        first = await house.originals.identify(ref, deadline=deadline())
        assert (first.version, first.generation) == ("1", "")
        assert house.originals.freshness(first).fresh_until_s == 0.0
    else:
        with pytest.raises(OriginalNotFound):
            await house.originals.identify(ref, deadline=deadline())
    house.source.identify = identify
    house.source.put("a", b"2", "2")
    second = await house.originals.identify(ref, deadline=deadline())
    assert (second.version, second.generation) == ("2", house.generations.latest)
    assert house.source.identified == 2


@pytest.mark.parametrize("drop", [purge, upload])
async def test_bytes_that_were_missing_before_a_purge_are_fetched_after_it(
    house: SimpleNamespace, drop: Callable[[SimpleNamespace, OriginalRef], None]
) -> None:
    ref = house.source.put("a", b"1")
    identity = await house.originals.identify(ref, deadline=deadline())

    async def use(identity: Identity) -> bytes:
        async with house.opened.open(identity, deadline=deadline()) as original:
            content: bytes = original.file.content
            return content

    house.source.failure = OriginalNotFound("gone")
    with pytest.raises(OriginalNotFound):
        await use(identity)
    drop(house, ref)
    house.source.gate.clear()
    crossing = asyncio.create_task(use(await house.originals.identify(ref, deadline=deadline())))
    await settle()
    drop(house, ref)
    house.source.gate.set()
    with pytest.raises(OriginalNotFound):
        await crossing
    house.source.failure = None
    assert await use(await house.originals.identify(ref, deadline=deadline())) == b"1"


async def test_an_original_that_is_fetched_after_a_purge_belongs_to_the_new_generation(
    house: SimpleNamespace,
) -> None:
    ref = house.source.put("a", b"1")
    identity = await house.originals.identify(ref, deadline=deadline())
    purge(house, ref)
    with pytest.raises(OriginalChanged):
        async with house.opened.open(identity, deadline=deadline()):
            pass
    again = await house.originals.identify(ref, deadline=deadline())
    assert again == Identity(ref, "1", house.generations.latest)
    assert house.source.identified == 1, "the fetch has identified it"
    async with house.opened.open(again, deadline=deadline()) as original:
        assert original.name == original_key(again)


async def test_what_is_known_of_a_name_in_two_normal_forms_is_known_of_both(house: SimpleNamespace) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    there = house.source.put(composed, b"1")
    requested = OriginalRef("photos", decomposed)
    identity = await house.originals.identify(requested, deadline=deadline())
    assert identity.ref == there
    assert await house.originals.identify(there, deadline=deadline()) == identity
    assert house.source.identified == 1
    assert house.originals.freshness(identity).fresh_until_s > house.clock()
    house.source.put(composed, b"22", "2")
    async with house.opened.open_current(requested, deadline=deadline()) as original:
        assert original.file.content == b"22"
