"""Deliver over a real producer: hits, misses, and equal requests at the same time."""

import asyncio
import gc
import weakref
from types import SimpleNamespace

from proxy.core.cache.delivery import Outcome
from proxy.core.errors import Undecodable
from tests.support.waiting import deadline, settle


async def test_a_miss_then_hits(node: SimpleNamespace) -> None:
    variant_request = node.request()
    assert node.deliver.fresh_hit(variant_request) is None
    first = await node.variant(variant_request, deadline=deadline())
    assert (first.outcome, first.tier, first.stored) == (Outcome.MISS, "", True)
    second = await node.variant(variant_request, deadline=deadline())
    assert (second.outcome, second.tier, second.variant) == (Outcome.HIT, "memory", first.variant)
    hit = node.deliver.fresh_hit(variant_request)
    assert hit is not None
    assert hit.variant is first.variant
    assert (hit.delivery.outcome, hit.delivery.tier) == (Outcome.HIT, "memory")
    assert node.renderer.renders == 1
    assert node.metrics.counts == {"fetched photos ok": 1, "rendered jpeg": 1}


async def test_a_fresh_hit_needs_the_bytes_and_a_fresh_original(node: SimpleNamespace) -> None:
    variant_request = node.request()
    await node.variant(variant_request, deadline=deadline())
    await node.variant(variant_request, deadline=deadline())
    assert node.deliver.fresh_hit(variant_request) is not None
    node.memory.entries.clear()
    assert node.deliver.fresh_hit(variant_request) is None
    again = await node.variant(variant_request, deadline=deadline())
    assert again.tier == "disk"
    node.clock.ahead_s = 2
    assert node.deliver.fresh_hit(variant_request) is None


async def test_a_replaced_original_is_a_miss_within_a_second(node: SimpleNamespace) -> None:
    variant_request = node.request()
    old = await node.variant(variant_request, deadline=deadline())
    node.source.put("a", b"22", "2")
    node.clock.ahead_s = 1.0
    new = await node.variant(variant_request, deadline=deadline())
    assert new.outcome is Outcome.MISS
    assert new.key != old.key
    assert new.variant.body.startswith(b"22")


async def test_a_variant_is_served_from_disk_after_a_restart(node: SimpleNamespace) -> None:
    variant_request = node.request()
    first = await node.variant(variant_request, deadline=deadline())
    await settle()
    node.memory.entries.clear()
    again = await node.variant(variant_request, deadline=deadline())
    assert (again.outcome, again.tier, again.variant) == (Outcome.HIT, "disk", first.variant)
    assert node.renderer.renders == 1


async def test_a_thousand_equal_requests_are_one_fetch_and_one_render(node: SimpleNamespace) -> None:
    requests = [node.request() for _ in range(1000)]
    node.renderer.release.clear()
    tasks = [asyncio.create_task(node.variant(one, deadline=deadline())) for one in requests]
    await settle()
    node.renderer.release.set()
    outcomes = [(await task).outcome for task in tasks]
    assert outcomes.count(Outcome.MISS) == 1
    assert outcomes.count(Outcome.COLLAPSED) == 999
    assert node.renderer.renders == len(node.source.fetched) == node.source.identified == 1


async def test_concurrent_variants_of_an_original_share_one_fetch(node: SimpleNamespace) -> None:
    node.renderer.release.clear()
    tasks = [
        asyncio.create_task(node.variant(node.request(f"w_{width},f_jpg"), deadline=deadline()))
        for width in range(100, 130)
    ]
    await settle()
    node.renderer.release.set()
    await asyncio.gather(*tasks)
    assert node.renderer.renders == 30
    assert len(node.source.fetched) == 1


async def test_a_waiter_gets_the_variant_though_the_leader_is_cancelled(node: SimpleNamespace) -> None:
    node.renderer.release.clear()
    first = asyncio.create_task(node.variant(node.request(), deadline=deadline()))
    await settle()
    second = asyncio.create_task(node.variant(node.request(), deadline=deadline()))
    await settle()
    first.cancel()
    node.renderer.release.set()
    assert (await second).outcome is Outcome.COLLAPSED
    assert node.renderer.renders == 1


async def test_a_variant_that_the_client_has_needs_no_lookup(node: SimpleNamespace) -> None:
    variant_request = node.request()
    first = await node.variant(variant_request, deadline=deadline())
    node.memory.entries.clear()
    node.disk.entries.clear()
    current = await node.variant(
        variant_request, deadline=deadline(), needs_no_body=lambda key: key == first.key
    )
    assert (current.outcome, current.tier, current.variant) == (Outcome.HIT, "validator", None)
    assert node.renderer.renders == 1
    other = await node.variant(variant_request, deadline=deadline(), needs_no_body=lambda key: False)
    assert other.variant is not None


async def test_a_promoted_variant_is_a_memory_hit(node: SimpleNamespace) -> None:
    variant_request = node.request()
    await node.variant(variant_request, deadline=deadline())
    await settle()
    node.memory.entries.clear()
    assert (await node.variant(variant_request, deadline=deadline())).tier == "disk"
    assert node.deliver.fresh_hit(variant_request).delivery.tier == "memory"


async def test_nothing_but_the_tiers_holds_a_variant(node: SimpleNamespace) -> None:
    variant_request = node.request()
    body = weakref.ref((await node.variant(variant_request, deadline=deadline())).variant)
    await node.variant(variant_request, deadline=deadline())
    await settle()
    node.memory.entries.clear()
    node.disk.entries.clear()
    gc.collect()
    assert body() is None


async def test_a_failure_is_shared_by_all_waiters(node: SimpleNamespace) -> None:
    node.renderer.release.clear()
    node.renderer.failures = [Undecodable("broken")]
    tasks = [asyncio.create_task(node.variant(node.request(), deadline=deadline())) for _ in range(20)]
    await settle()
    node.renderer.release.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, Undecodable) for result in results)
    assert node.renderer.renders == 1


async def test_an_original_is_opened(node: SimpleNamespace) -> None:
    async with node.deliver.open_current(node.ref, deadline=deadline()) as original:
        assert original.file.content == b"1"
