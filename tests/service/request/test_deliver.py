"""The paragraph: every outcome by name."""

import asyncio
import gc
import json
import math
import weakref
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.core.cache.delivery import Outcome, Variant
from proxy.core.cache.generations import Generations
from proxy.core.cache.http_caching import etag
from proxy.core.cache.keys import original_key
from proxy.core.cache.variant_request import VariantRequest
from proxy.core.errors import Internal, OriginalNotFound, Overloaded, SourceUnavailable, Undecodable
from proxy.core.image.formats import Format
from proxy.core.image.original import Identity
from proxy.core.transform.operations import Transform
from proxy.core.transform.plan import RenderDefaults
from proxy.core.url.dialects.native import parse_tokens
from proxy.service.request.deliver import Deliver
from proxy.service.request.produce import OriginalServices, Produce, Rendering, VariantStores
from proxy.service.request.singleflight import Flights
from proxy.service.request.tier_chain import Leased, TierChain
from proxy.service.request.version_checks import NOT_CHECKED
from tests.service.composition import originals_of
from tests.support.fakes import (
    FakeClock,
    FakeEntryIndex,
    FakeInstantTier,
    FakeMetrics,
    FakeRedirects,
    FakeRenderer,
    FakeSource,
    FakeTier,
)
from tests.support.waiting import deadline, settle

AUTO = (Format.AVIF, Format.WEBP, Format.JPEG)


@pytest.fixture
async def house() -> AsyncIterator[SimpleNamespace]:
    made = SimpleNamespace(
        clock=FakeClock(),
        metrics=FakeMetrics(),
        source=FakeSource(),
        renderer=FakeRenderer(),
        flights=Flights(),
        memory=FakeInstantTier(),
        disk=FakeTier(),
    )
    made.chain = TierChain(made.memory, [made.disk], made.metrics)
    originals, opened, facts = originals_of(
        {"photos": made.source}, made.chain, made.renderer, made.flights, made.clock, made.metrics
    )
    recipe = RenderDefaults(quality=80, effort={}, max_side_px=4000)
    made.produce = Produce(
        OriginalServices(originals, opened, facts),
        VariantStores(made.chain, Leased(made.chain), FakeEntryIndex()),
        Rendering(made.renderer, recipe, AUTO),
        made.flights,
        Generations(),
        made.clock,
        made.metrics,
    )
    made.deliver = Deliver(made.memory, made.produce, made.flights, made.clock)
    made.ref = made.source.put("a", b"1")

    async def variant(asked: VariantRequest, **how: Any) -> SimpleNamespace:
        """A delivery and its variant as one value, for short assertions."""
        delivery, variant = await made.deliver.variant(asked, **how)
        fields = ("key", "outcome", "tier", "stored", "timings")
        return SimpleNamespace(
            variant=variant, format=delivery.key.format, **{name: getattr(delivery, name) for name in fields}
        )

    made.variant = variant
    yield made
    await made.flights.close()
    await made.chain.close(asyncio.get_running_loop().time() + 1)
    assert all(original.closed for original in made.source.fetched)


def wanted(house: SimpleNamespace, tokens: str = "w_400,f_jpg", *accepted: Format) -> VariantRequest:
    return VariantRequest(house.ref, parse_tokens(tokens, {}).own, frozenset(accepted), 4000)


async def test_a_miss_then_hits(house: SimpleNamespace) -> None:
    asked = wanted(house)
    assert house.deliver.fresh_hit(asked) is None
    first = await house.variant(asked, deadline=deadline())
    assert (first.outcome, first.tier, first.stored) == (Outcome.MISS, "", True)
    second = await house.variant(asked, deadline=deadline())
    assert (second.outcome, second.tier, second.variant) == (Outcome.HIT, "memory", first.variant)
    recalled = house.deliver.fresh_hit(asked)
    assert recalled is not None
    assert recalled.variant is first.variant
    assert (recalled.delivery.outcome, recalled.delivery.tier) == (Outcome.HIT, "memory")
    assert house.renderer.renders == 1
    assert house.metrics.counts == {"fetched photos ok": 1, "rendered jpeg": 1}


async def test_what_is_recalled_is_only_what_may_be_believed(house: SimpleNamespace) -> None:
    asked = wanted(house)
    await house.variant(asked, deadline=deadline())
    await house.variant(asked, deadline=deadline())
    assert house.deliver.fresh_hit(asked) is not None
    house.memory.entries.clear()
    assert house.deliver.fresh_hit(asked) is None
    again = await house.variant(asked, deadline=deadline())
    assert again.tier == "disk"
    house.clock.ahead_s = 2
    assert house.deliver.fresh_hit(asked) is None


async def test_a_replaced_original_is_a_new_picture_within_a_second(house: SimpleNamespace) -> None:
    asked = wanted(house)
    old = await house.variant(asked, deadline=deadline())
    house.source.put("a", b"22", "2")
    house.clock.ahead_s = 1.0
    new = await house.variant(asked, deadline=deadline())
    assert new.outcome is Outcome.MISS
    assert new.key != old.key
    assert new.variant.body.startswith(b"22")


async def test_a_restart_serves_from_disk(house: SimpleNamespace) -> None:
    asked = wanted(house)
    first = await house.variant(asked, deadline=deadline())
    await settle()
    house.memory.entries.clear()
    again = await house.variant(asked, deadline=deadline())
    assert (again.outcome, again.tier, again.variant) == (Outcome.HIT, "disk", first.variant)
    assert house.renderer.renders == 1


async def test_a_thousand_at_once_are_one_fetch_and_one_render(house: SimpleNamespace) -> None:
    asked = [wanted(house) for _ in range(1000)]
    house.renderer.gate.clear()
    tasks = [asyncio.create_task(house.variant(one, deadline=deadline())) for one in asked]
    await settle()
    house.renderer.gate.set()
    outcomes = [(await task).outcome for task in tasks]
    assert outcomes.count(Outcome.MISS) == 1
    assert outcomes.count(Outcome.COLLAPSED) == 999
    assert house.renderer.renders == len(house.source.fetched) == house.source.identified == 1


async def test_many_variants_at_once_are_one_fetch(house: SimpleNamespace) -> None:
    house.renderer.gate.clear()
    tasks = [
        asyncio.create_task(house.variant(wanted(house, f"w_{width},f_jpg"), deadline=deadline()))
        for width in range(100, 130)
    ]
    await settle()
    house.renderer.gate.set()
    await asyncio.gather(*tasks)
    assert house.renderer.renders == 30
    assert len(house.source.fetched) == 1


async def test_the_first_client_may_leave(house: SimpleNamespace) -> None:
    house.renderer.gate.clear()
    first = asyncio.create_task(house.variant(wanted(house), deadline=deadline()))
    await settle()
    second = asyncio.create_task(house.variant(wanted(house), deadline=deadline()))
    await settle()
    first.cancel()
    house.renderer.gate.set()
    assert (await second).outcome is Outcome.COLLAPSED
    assert house.renderer.renders == 1


async def test_a_started_render_is_kept_though_everybody_left(house: SimpleNamespace) -> None:
    house.renderer.gate.clear()
    alone = asyncio.create_task(house.variant(wanted(house), deadline=deadline()))
    await settle()
    alone.cancel()
    await settle()
    house.renderer.gate.set()
    await settle()
    assert (await house.variant(wanted(house), deadline=deadline())).outcome is Outcome.HIT
    assert house.renderer.renders == 1


async def test_a_render_nobody_waits_for_does_not_start(house: SimpleNamespace) -> None:
    house.renderer.seats = asyncio.Semaphore(0)
    alone = asyncio.create_task(house.variant(wanted(house), deadline=deadline()))
    await settle()
    alone.cancel()
    await settle()
    house.renderer.seats.release()
    await settle()
    assert house.renderer.renders == 0
    assert len(house.flights) == 0


async def test_the_clients_own_copy_needs_no_lookup(house: SimpleNamespace) -> None:
    asked = wanted(house)
    first = await house.variant(asked, deadline=deadline())
    house.memory.entries.clear()
    house.disk.entries.clear()
    current = await house.variant(asked, deadline=deadline(), needs_no_body=lambda key: key == first.key)
    assert (current.outcome, current.tier, current.variant) == (Outcome.HIT, "validator", None)
    assert house.renderer.renders == 1
    other = await house.variant(asked, deadline=deadline(), needs_no_body=lambda key: False)
    assert other.variant is not None


async def test_auto_reads_the_facts_once_and_makes_one_entry_a_format(house: SimpleNamespace) -> None:
    classes: list[tuple[Format, ...]] = [(), (Format.WEBP,), (Format.AVIF,), (Format.AVIF, Format.WEBP)]
    formats = [
        (await house.variant(wanted(house, "f_auto", *accepted), deadline=deadline())).format
        for accepted in classes
    ]
    assert formats == [Format.JPEG, Format.WEBP, Format.AVIF, Format.AVIF]
    assert house.renderer.probes == 1
    assert house.renderer.renders == 3


async def test_a_failure_is_not_cached(house: SimpleNamespace) -> None:
    house.renderer.failures = [Overloaded("busy")]
    with pytest.raises(Overloaded):
        await house.variant(wanted(house), deadline=deadline())
    assert house.memory.entries == {}
    assert (await house.variant(wanted(house), deadline=deadline())).outcome is Outcome.MISS


async def test_a_promoted_variant_is_recalled_as_a_memory_hit(house: SimpleNamespace) -> None:
    asked = wanted(house)
    await house.variant(asked, deadline=deadline())
    await settle()
    house.memory.entries.clear()
    assert (await house.variant(asked, deadline=deadline())).tier == "disk"
    assert house.deliver.fresh_hit(asked).delivery.tier == "memory"


async def test_nothing_but_the_tiers_holds_a_variant(house: SimpleNamespace) -> None:
    asked = wanted(house)
    body = weakref.ref((await house.variant(asked, deadline=deadline())).variant)
    await house.variant(asked, deadline=deadline())
    await settle()
    house.memory.entries.clear()
    house.disk.entries.clear()
    gc.collect()
    assert body() is None


async def test_no_original(house: SimpleNamespace) -> None:
    del house.source.originals["a"]
    with pytest.raises(OriginalNotFound):
        await house.variant(wanted(house), deadline=deadline())


async def test_a_file_replaced_between_look_and_fetch_is_identified_again(house: SimpleNamespace) -> None:
    asked = wanted(house)
    await house.produce.resolve(asked, deadline=deadline())
    house.source.put("a", b"22", "2")
    delivery = await house.variant(asked, deadline=deadline())
    assert delivery.variant.body.startswith(b"22")


async def test_a_file_written_into_during_the_render_is_rendered_again(house: SimpleNamespace) -> None:
    def overwrite(original: object) -> None:
        original.changed = True  # type: ignore[attr-defined]
        house.renderer.during = lambda _: None

    house.renderer.during = overwrite
    delivery = await house.variant(wanted(house), deadline=deadline())
    assert delivery.outcome is Outcome.MISS
    assert house.renderer.renders == 2


async def test_a_file_that_never_rests_is_given_up(house: SimpleNamespace) -> None:
    house.renderer.during = lambda original: setattr(original, "changed", True)
    with pytest.raises(SourceUnavailable, match="keeps changing"):
        await house.variant(wanted(house), deadline=deadline())
    assert house.memory.entries == {}


async def test_an_uncacheable_result_is_shared_and_said_to_be_unstored(house: SimpleNamespace) -> None:
    house.memory.max_entry_bytes = 0
    chain = TierChain(house.memory, [], house.metrics)
    house.produce._chain, house.produce._leased = chain, Leased(chain)
    house.renderer.gate.clear()
    tasks = [asyncio.create_task(house.variant(wanted(house), deadline=deadline())) for _ in range(10)]
    await settle()
    house.renderer.gate.set()
    deliveries = await asyncio.gather(*tasks)
    assert not any(delivery.stored for delivery in deliveries)
    assert house.renderer.renders == 1


async def test_timings_add_up(house: SimpleNamespace) -> None:
    delivery = await house.variant(wanted(house), deadline=deadline())
    assert min(delivery.timings.fetch_s, delivery.timings.queue_s, delivery.timings.render_s) >= 0


async def test_a_failure_is_everybodys(house: SimpleNamespace) -> None:
    house.renderer.gate.clear()
    house.renderer.failures = [Undecodable("broken")]
    tasks = [asyncio.create_task(house.variant(wanted(house), deadline=deadline())) for _ in range(20)]
    await settle()
    house.renderer.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, Undecodable) for result in results)
    assert house.renderer.renders == 1


async def test_a_variant_in_the_bucket_is_told_where_it_is(house: SimpleNamespace) -> None:
    house.produce._redirects = redirects = FakeRedirects()
    asked = wanted(house)
    key = (await house.produce.resolve_key(asked, deadline=deadline())).key
    redirects.known[key] = "https://cdn.example/x"
    sent = await house.deliver.variant(asked, deadline=deadline(), redirect_until_s=math.inf)
    assert (sent.delivery.outcome, sent.delivery.tier, sent.delivery.location, sent.variant) == (
        Outcome.HIT, "bucket", "https://cdn.example/x", None,
    )  # fmt: skip
    assert house.renderer.renders == 0
    proxied = await house.deliver.variant(asked, deadline=deadline())
    assert proxied.variant is not None
    hit = await house.deliver.variant(asked, deadline=deadline(), redirect_until_s=math.inf)
    assert (hit.delivery.tier, hit.delivery.location) == ("memory", ""), "a memory hit is served before it"


async def test_what_is_not_in_the_bucket_is_proxied(house: SimpleNamespace) -> None:
    house.produce._redirects = FakeRedirects()
    sent = await house.deliver.variant(wanted(house), deadline=deadline(), redirect_until_s=math.inf)
    assert (sent.delivery.outcome, sent.delivery.location) == (Outcome.MISS, "")


async def test_the_original_itself_goes_through(house: SimpleNamespace) -> None:
    async with house.deliver.open_current(house.ref, deadline=deadline()) as original:
        assert original.file.content == b"1"


async def test_without_versions_none_is_met(house: SimpleNamespace) -> None:
    assert await house.produce.check_version(house.ref, "1", deadline=deadline()) == NOT_CHECKED


async def test_information_has_the_tag_of_its_original(house: SimpleNamespace) -> None:
    async def told(*_: object, on_start: Any, **__: object) -> Variant:
        on_start()
        return Variant(body=b'{"width": 3}')

    house.renderer.render = told
    asked = VariantRequest(house.ref, Transform(format=Format.INFO), frozenset(), 4000)
    delivered = await house.deliver.variant(asked, deadline=deadline())
    identity = Identity(house.ref, "1")
    assert delivered.variant is not None
    said = json.loads(delivered.variant.body)
    assert (said["width"], said["etag"]) == (3, etag(original_key(identity)))


async def test_what_no_tier_keeps_cannot_be_prepared(house: SimpleNamespace) -> None:
    async def full(*_: object) -> bool:
        return False

    house.disk.store = full
    with pytest.raises(Internal, match="no tier could store it"):
        await house.produce.prepare(wanted(house), deadline=deadline())
    assert house.renderer.renders == 1


async def test_what_is_there_is_not_prepared_again(house: SimpleNamespace) -> None:
    assert await house.produce.prepare(wanted(house), deadline=deadline())
    assert not await house.produce.prepare(wanted(house), deadline=deadline())
    assert house.renderer.renders == 1
    assert not house.memory.entries, "it takes no room from what clients want"
