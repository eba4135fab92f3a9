"""Versions in URLs: they are in no cache key, and cause a revalidation of the original once a second at most."""

import asyncio

import pytest
import structlog

from proxy.core.cache.delivery import Delivered
from proxy.core.cache.generations import PurgeScope
from proxy.core.cache.keys import identity_key
from proxy.core.cache.variant_request import VariantRequest
from proxy.core.errors import OriginalNotFound, SourceUnavailable
from proxy.service.request import version_checks as versions_module
from tests.service.composition import Composition
from tests.support.waiting import deadline


@pytest.fixture
async def composition() -> Composition:
    made = Composition()
    made.source.freshness_lifetime_s = float("inf")
    made.source.put("a", b"first", "")
    made.source.tags["a"] = "t1"
    return made


def versioned(composition: Composition, version: str) -> VariantRequest:
    return composition.request(tokens=f"w_100,f_webp,v_{version}")


async def ask(composition: Composition, variant_request: VariantRequest) -> Delivered:
    return composition.deliver.fresh_hit(variant_request) or await composition.deliver.variant(
        variant_request, deadline=deadline()
    )


async def replace_original(composition: Composition) -> None:
    composition.source.put("a", b"second", "")
    composition.source.tags["a"] = "t2"


async def test_versions_share_one_entry(composition: Composition) -> None:
    plain = await ask(composition, composition.request())
    composition.clock.ahead_s += 2
    for version in ("1", "2"):
        composition.clock.ahead_s += 2
        answer = await ask(composition, versioned(composition, version))
        assert answer.delivery.key == plain.delivery.key
        assert not answer.delivery.provisional
    assert composition.renderer.renders == 1
    await composition.close()


async def test_a_new_version_purges_a_replaced_original(composition: Composition) -> None:
    old = await composition.get(composition.request())
    await replace_original(composition)
    assert await composition.get(composition.request()) == old
    new = await composition.get(versioned(composition, "2"))
    assert new != old
    assert await composition.get(composition.request()) == new
    assert composition.generations.latest, "it is purged on all nodes"
    await composition.close()


async def test_a_checked_version_is_checked_again_after_a_minute(
    composition: Composition,
) -> None:
    variant_request = versioned(composition, "2")
    old = await composition.get(variant_request)
    await replace_original(composition)
    for _ in range(59):
        composition.clock.ahead_s += 1
        assert await composition.get(variant_request) == old, "requests do not extend the minute"
    assert composition.source.tag_requests == 1
    composition.clock.ahead_s += 1.1
    assert await composition.get(variant_request) != old
    assert composition.source.tag_requests == 2
    await composition.close()


async def test_a_restart_drops_checked_versions_and_not_the_entity_tag(composition: Composition) -> None:
    """The entity tag is stored in the tiers."""
    variant_request = versioned(composition, "2")
    old = await composition.get(variant_request)
    await composition.flights.close()
    await composition.chain.close(deadline())
    again = Composition()
    again.disk.entries, again.source = composition.disk.entries, composition.source
    again.originals.sources = {"photos": composition.source}
    await replace_original(composition)
    assert await again.get(versioned(again, "2")) != old
    await again.close()


async def test_an_unknown_original_is_not_purged(composition: Composition) -> None:
    for version in ("1", "2"):
        await composition.get(versioned(composition, version))
        composition.clock.ahead_s += 2
    assert not composition.generations.latest
    await replace_original(composition)
    await composition.get(versioned(composition, "3"))
    first = composition.generations.latest
    assert first
    for version in ("4", "5"):
        composition.clock.ahead_s += 2
        await composition.get(versioned(composition, version))
    assert composition.generations.latest == first, "one purge for one replacement"
    await composition.close()


async def test_a_version_after_a_purge_does_not_purge_again(composition: Composition) -> None:
    await composition.get(composition.request())
    await replace_original(composition)
    await composition.purges.purge([PurgeScope.of_original(composition.request().ref)])
    token = composition.generations.latest
    new = await composition.get(composition.request())
    assert await composition.get(versioned(composition, "2")) == new
    assert composition.generations.latest == token
    await composition.close()


async def test_many_versions_cause_one_revalidation_a_second(composition: Composition) -> None:
    await composition.get(composition.request())
    answers = await asyncio.gather(
        *(ask(composition, versioned(composition, str(number))) for number in range(500))
    )
    assert composition.source.tag_requests == 1
    assert not any(answer.delivery.provisional for answer in answers)
    began = composition.clock()
    for number in range(500, 503):
        await asyncio.gather(
            *(ask(composition, versioned(composition, f"{number}.{more}")) for more in range(100))
        )
    assert (
        composition.source.tag_requests <= 2 + (composition.clock() - began) / versions_module.MIN_INTERVAL_S
    )
    assert composition.renderer.renders == 1
    await composition.close()


async def test_a_revalidation_applies_only_to_requests_from_before_its_start(
    composition: Composition,
) -> None:
    old = await composition.get(composition.request())
    composition.source.release.clear()
    early = asyncio.create_task(composition.get(versioned(composition, "1")))
    while not composition.source.tag_requests:
        await asyncio.sleep(0)
    late = asyncio.create_task(composition.get(versioned(composition, "2")))
    await asyncio.sleep(0)
    composition.source.release.set()
    assert await early == old
    await replace_original(composition)
    assert await late != old
    assert composition.source.tag_requests == 2
    await composition.close()


@pytest.mark.parametrize(
    "failure", [SourceUnavailable("down"), OriginalNotFound("gone")], ids=["down", "gone"]
)
async def test_answers_are_provisional_until_a_revalidation_succeeds(
    composition: Composition, failure: SourceUnavailable
) -> None:
    old = await composition.get(composition.request())
    composition.source.failure = failure
    for _ in range(2):
        answer = await ask(composition, versioned(composition, "1"))
        assert answer.delivery.provisional
        assert answer.variant is not None
        assert answer.variant.body == old
    assert composition.source.tag_requests == 1, "an unavailable source is not called for a while"
    composition.source.failure = None
    await replace_original(composition)
    composition.clock.ahead_s += versions_module.RETRY_AFTER_S + 1
    assert await composition.get(versioned(composition, "1")) != old
    await composition.close()


async def test_answers_are_provisional_while_a_revalidation_hangs(
    composition: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions_module, "MIN_INTERVAL_S", 0.02)
    monkeypatch.setattr(versions_module, "WAIT_S", 0.02)
    await composition.get(composition.request())
    composition.source.release.clear()
    for version in ("1", "1", "2"):
        assert (await ask(composition, versioned(composition, version))).delivery.provisional
    assert composition.source.tag_requests == 1
    composition.source.release.set()
    while (await ask(composition, versioned(composition, "1"))).delivery.provisional:
        await asyncio.sleep(0)
    await composition.close()


async def test_records_of_checked_versions_are_bounded(
    composition: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = composition.versions
    versions._checked_until_s._max_bytes = 20_000
    await composition.get(composition.request())
    await asyncio.gather(
        *(
            composition.produce.check_version(
                composition.request().refs, f"{number}" * 8, deadline=deadline()
            )
            for number in range(1000)
        )
    )
    assert 0 < len(versions._checked_until_s) < 40
    assert versions._checked_until_s.size_bytes <= 20_000
    assert len(versions._revalidations) == 1
    await composition.close()


async def test_a_source_with_versions_is_revalidated_and_purged_too(composition: Composition) -> None:
    composition.source.tags.clear()
    composition.source.put("a", b"first", "1")
    old = await composition.get(composition.request())
    composition.source.put("a", b"second", "2")
    assert await composition.get(composition.request()) == old
    assert await composition.get(versioned(composition, "2")) != old
    assert composition.generations.latest
    await composition.close()


async def test_a_replacement_is_purged_though_its_tag_was_evicted(composition: Composition) -> None:
    """The entry with the tag was evicted, the variants were not."""
    old = await composition.get(composition.request())
    await composition.chain.remove(identity_key(composition.request().ref, ""))
    await replace_original(composition)
    assert await composition.get(versioned(composition, "1")) != old
    await composition.close()


async def test_a_checked_version_is_valid_until_its_original_is_dropped(composition: Composition) -> None:
    ref = composition.request().ref
    check = await composition.versions.check([ref], "1", deadline=deadline())
    assert check.valid_until_s == pytest.approx(composition.clock() + versions_module.CHECK_TTL_S, abs=1)
    assert await composition.versions.check([ref], "1", deadline=deadline()) == check
    assert composition.source.tag_requests == 1
    del composition.source.originals["a"]
    composition.originals.drop_record(ref)
    assert await composition.versions.check([ref], "1", deadline=deadline()) == versions_module.NOT_CHECKED
    assert composition.source.tag_requests == 1
    await composition.close()


async def test_an_unexpected_error_of_a_revalidation_is_logged_and_delays_the_next(
    composition: Composition,
) -> None:
    log = structlog.testing.CapturingLogger()
    composition.versions._log = log

    async def broken(_: str) -> str:
        raise RuntimeError("odd")

    tag, composition.source.tag = composition.source.tag, broken
    ref = composition.request().ref
    for _ in range(2):
        assert (
            await composition.versions.check([ref], "1", deadline=deadline()) == versions_module.NOT_CHECKED
        )
    assert [call.method_name for call in log.calls] == ["exception"]
    composition.source.tag = tag
    composition.clock.ahead_s += versions_module.RETRY_AFTER_S + 1
    assert await composition.versions.check([ref], "1", deadline=deadline()) != versions_module.NOT_CHECKED
    await composition.close()


async def test_close_cancels_a_revalidation(composition: Composition) -> None:
    composition.source.release.clear()
    checking = asyncio.create_task(
        composition.versions.check(composition.request().refs, "1", deadline=deadline())
    )
    while not composition.source.tag_requests:
        await asyncio.sleep(0)
    await composition.versions.close()
    assert await checking == versions_module.NOT_CHECKED
    assert not composition.versions._tasks
    composition.source.release.set()
    await composition.close()
