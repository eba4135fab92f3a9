"""Versions that URLs name: in no key, and a reason to look at the original, once a second at most."""

import asyncio

import pytest
import structlog

from proxy.core.cache.delivery import Delivered
from proxy.core.cache.generations import PurgeScope
from proxy.core.cache.keys import identity_key
from proxy.core.cache.variant_request import VariantRequest
from proxy.core.errors import OriginalNotFound, SourceUnavailable
from proxy.service.request import version_checks as versions_module
from tests.service.composition import Composition, soon


@pytest.fixture
async def house() -> Composition:
    made = Composition()
    made.source.freshness_lifetime_s = float("inf")
    made.source.put("a", b"first", "")
    made.source.tags["a"] = "t1"
    return made


def versioned(house: Composition, version: str) -> VariantRequest:
    return house.request(tokens=f"w_100,f_webp,v_{version}")


async def ask(house: Composition, wanted: VariantRequest) -> Delivered:
    return house.deliver.fresh_hit(wanted) or await house.deliver.variant(wanted, deadline=soon())


async def replaced(house: Composition) -> None:
    house.source.put("a", b"second", "")
    house.source.tags["a"] = "t2"


async def test_versions_share_one_entry(house: Composition) -> None:
    plain = await ask(house, house.request())
    house.clock.ahead_s += 2
    for version in ("1", "2"):
        house.clock.ahead_s += 2
        answer = await ask(house, versioned(house, version))
        assert answer.delivery.key == plain.delivery.key
        assert not answer.delivery.provisional
    assert house.renderer.renders == 1
    await house.close()


async def test_what_was_replaced_is_seen_with_a_new_version_and_then_without(house: Composition) -> None:
    old = await house.get(house.request())
    await replaced(house)
    assert await house.get(house.request()) == old
    new = await house.get(versioned(house, "2"))
    assert new != old
    assert await house.get(house.request()) == new
    assert house.generations.latest, "it is purged for the fleet"
    await house.close()


async def test_a_version_met_before_the_original_was_replaced_has_its_look_within_a_minute(
    house: Composition,
) -> None:
    wanted = versioned(house, "2")
    old = await house.get(wanted)
    await replaced(house)
    for _ in range(59):
        house.clock.ahead_s += 1
        assert await house.get(wanted) == old, "however often it is asked, its minute goes by"
    assert house.source.looks == 1
    house.clock.ahead_s += 1.1
    assert await house.get(wanted) != old
    assert house.source.looks == 2
    await house.close()


async def test_a_restart_forgets_the_versions_and_not_the_original(house: Composition) -> None:
    """What the fleet knows stands in the tiers."""
    wanted = versioned(house, "2")
    old = await house.get(wanted)
    await house.flights.close()
    await house.chain.close(soon())
    again = Composition()
    again.disk.entries, again.source = house.disk.entries, house.source
    again.originals._sources = {"photos": house.source}
    await replaced(house)
    assert await again.get(versioned(again, "2")) != old
    await again.close()


async def test_an_original_that_nothing_is_known_of_is_not_purged(house: Composition) -> None:
    for version in ("1", "2"):
        await house.get(versioned(house, version))
        house.clock.ahead_s += 2
    assert not house.generations.latest
    await replaced(house)
    await house.get(versioned(house, "3"))
    first = house.generations.latest
    assert first
    for version in ("4", "5"):
        house.clock.ahead_s += 2
        await house.get(versioned(house, version))
    assert house.generations.latest == first, "one purge for one replacement"
    await house.close()


async def test_a_purge_by_its_owner_is_no_reason_for_another(house: Composition) -> None:
    await house.get(house.request())
    await replaced(house)
    await house.purges.purge([PurgeScope.of_original(house.request().ref)])
    token = house.generations.latest
    new = await house.get(house.request())
    assert await house.get(versioned(house, "2")) == new
    assert house.generations.latest == token
    await house.close()


async def test_however_many_versions_strangers_ask_there_is_one_look_a_second(house: Composition) -> None:
    await house.get(house.request())
    answers = await asyncio.gather(*(ask(house, versioned(house, str(number))) for number in range(500)))
    assert house.source.looks == 1
    assert not any(answer.delivery.provisional for answer in answers)
    began = house.clock()
    for number in range(500, 503):
        await asyncio.gather(*(ask(house, versioned(house, f"{number}.{more}")) for more in range(100)))
    assert house.source.looks <= 2 + (house.clock() - began) / versions_module.MIN_INTERVAL_S
    assert house.renderer.renders == 1
    await house.close()


async def test_a_look_is_good_for_those_who_asked_before_it_began_alone(house: Composition) -> None:
    old = await house.get(house.request())
    house.source.gate.clear()
    early = asyncio.create_task(house.get(versioned(house, "1")))
    while not house.source.looks:
        await asyncio.sleep(0)
    late = asyncio.create_task(house.get(versioned(house, "2")))
    await asyncio.sleep(0)
    house.source.gate.set()
    assert await early == old
    await replaced(house)
    assert await late != old
    assert house.source.looks == 2
    await house.close()


@pytest.mark.parametrize(
    "failure", [SourceUnavailable("down"), OriginalNotFound("gone")], ids=["down", "gone"]
)
async def test_until_the_look_has_been_answers_are_provisional(
    house: Composition, failure: SourceUnavailable
) -> None:
    old = await house.get(house.request())
    house.source.failure = failure
    for _ in range(2):
        answer = await ask(house, versioned(house, "1"))
        assert answer.delivery.provisional
        assert answer.variant is not None
        assert answer.variant.body == old
    assert house.source.looks == 1, "a source that is out of order is left alone for a while"
    house.source.failure = None
    await replaced(house)
    house.clock.ahead_s += versions_module.RETRY_AFTER_S + 1
    assert await house.get(versioned(house, "1")) != old
    await house.close()


async def test_a_look_that_hangs_is_not_waited_for(
    house: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions_module, "MIN_INTERVAL_S", 0.02)
    monkeypatch.setattr(versions_module, "WAIT_S", 0.02)
    await house.get(house.request())
    house.source.gate.clear()
    for version in ("1", "1", "2"):
        assert (await ask(house, versioned(house, version))).delivery.provisional
    assert house.source.looks == 1
    house.source.gate.set()
    while (await ask(house, versioned(house, "1"))).delivery.provisional:
        await asyncio.sleep(0)
    await house.close()


async def test_what_is_remembered_of_versions_is_bounded(
    house: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = house.versions
    versions._checked_until_s._max_bytes = 20_000
    await house.get(house.request())
    await asyncio.gather(
        *(
            house.produce.check_version(house.request().ref, f"{number}" * 8, deadline=soon())
            for number in range(1000)
        )
    )
    assert 0 < len(versions._checked_until_s) < 40
    assert versions._checked_until_s.size_bytes <= 20_000
    assert len(versions._revalidations) == 1
    await house.close()


async def test_a_source_that_names_versions_is_looked_at_and_purged_alike(house: Composition) -> None:
    house.source.tags.clear()
    house.source.put("a", b"first", "1")
    old = await house.get(house.request())
    house.source.put("a", b"second", "2")
    assert await house.get(house.request()) == old
    assert await house.get(versioned(house, "2")) != old
    assert house.generations.latest
    await house.close()


async def test_a_purge_follows_from_what_was_kept_where_its_tag_is_lost(house: Composition) -> None:
    """An entry that was evicted, and pictures that were not."""
    old = await house.get(house.request())
    await house.chain.remove(identity_key(house.request().ref, ""))
    await replaced(house)
    assert await house.get(versioned(house, "1")) != old
    await house.close()


async def test_what_was_met_needs_no_look_and_is_no_more_than_its_original(house: Composition) -> None:
    ref = house.request().ref
    met = await house.versions.check(ref, "1", deadline=soon())
    assert met.valid_until_s == pytest.approx(house.clock() + versions_module.CHECK_TTL_S, abs=1)
    assert await house.versions.check(ref, "1", deadline=soon()) == met
    assert house.source.looks == 1
    del house.source.originals["a"]
    house.originals.drop_negative(ref)
    assert await house.versions.check(ref, "1", deadline=soon()) == versions_module.NOT_CHECKED
    assert house.source.looks == 1
    await house.close()


async def test_an_unexpected_error_of_a_look_is_logged_and_rested_after(house: Composition) -> None:
    log = structlog.testing.CapturingLogger()
    house.versions._log = log

    async def broken(_: str) -> str:
        raise RuntimeError("odd")

    tag, house.source.tag = house.source.tag, broken
    ref = house.request().ref
    for _ in range(2):
        assert await house.versions.check(ref, "1", deadline=soon()) == versions_module.NOT_CHECKED
    assert [call.method_name for call in log.calls] == ["exception"]
    house.source.tag = tag
    house.clock.ahead_s += versions_module.RETRY_AFTER_S + 1
    assert await house.versions.check(ref, "1", deadline=soon()) != versions_module.NOT_CHECKED
    await house.close()


async def test_a_stop_ends_a_look(house: Composition) -> None:
    house.source.gate.clear()
    meeting = asyncio.create_task(house.versions.check(house.request().ref, "1", deadline=soon()))
    while not house.source.looks:
        await asyncio.sleep(0)
    await house.versions.close()
    assert await meeting == versions_module.NOT_CHECKED
    assert not house.versions._tasks
    house.source.gate.set()
    await house.close()
