"""TierChain: order of lookups, promotion, the write queues, and what is dropped at closing."""

import asyncio

import pytest

from proxy.core.cache.delivery import Variant
from proxy.core.cache.keys import CacheKey
from proxy.service.request import tier_chain as chain_module
from proxy.service.request.tier_chain import Lookup, TierChain
from tests.support.fakes import FakeInstantTier, FakeMetrics, FakeTier
from tests.support.waiting import deadline, settle

KEY = CacheKey("k")
VARIANT = Variant(body=b"picture")


async def test_a_stored_variant_is_in_every_tier() -> None:
    memory, disk, metrics = FakeInstantTier(), FakeTier(), FakeMetrics()
    chain = TierChain(memory, [disk], metrics)
    assert chain.store(KEY, VARIANT).stored
    await settle()
    assert memory.entries == disk.entries == {KEY: VARIANT}
    assert chain.peek(KEY) == Lookup(VARIANT, "memory")
    assert await chain.lookup(KEY) == Lookup(VARIANT, "memory")
    assert disk.lookups == 0
    await chain.close(deadline())
    assert disk.closed


async def test_a_hit_is_promoted_to_every_faster_tier() -> None:
    memory, disk, bucket = FakeInstantTier(), FakeTier("disk"), FakeTier("bucket")
    bucket.entries[KEY] = VARIANT
    chain = TierChain(memory, [disk, bucket], FakeMetrics())
    assert await chain.lookup(KEY) == Lookup(VARIANT, "bucket")
    await settle()
    assert memory.entries == disk.entries == {KEY: VARIANT}
    assert await chain.lookup(CacheKey("nothing")) is None
    await chain.close(deadline())


async def test_a_variant_in_the_write_queue_is_found() -> None:
    memory, disk = FakeInstantTier(max_entry_bytes=0), FakeTier()
    disk.release.clear()
    chain = TierChain(memory, [disk], FakeMetrics())
    assert chain.store(KEY, VARIANT).stored
    assert chain.store(KEY, VARIANT).stored
    await settle()
    assert await chain.lookup(KEY) == Lookup(VARIANT, "disk")
    assert disk.lookups == 0
    disk.release.set()
    await chain.close(deadline())
    assert disk.entries == {KEY: VARIANT}


async def test_a_replacement_is_written_while_the_chain_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_module, "MAX_QUEUED_BYTES", 20)
    disk, metrics = FakeTier(), FakeMetrics()
    disk.release.clear()
    chain = TierChain(FakeInstantTier(), [disk], metrics)
    assert chain.store(KEY, VARIANT).stored
    await settle()
    closing = asyncio.create_task(chain.close(deadline()))
    await settle()
    newer = Variant(body=b"newer")
    assert chain.store(KEY, newer).stored
    chain.store(KEY, Variant(body=b"x" * 21))
    assert metrics.counts == {"disk dropped": 1}
    disk.release.set()
    await closing
    assert disk.entries == {KEY: newer}


@pytest.mark.parametrize("being_written", [False, True])
async def test_the_last_queued_variant_of_a_key_is_written(being_written: bool) -> None:
    newer = Variant(body=b"newer")
    disk = FakeTier()
    disk.release.clear()
    chain = TierChain(FakeInstantTier(), [disk], FakeMetrics())
    assert chain.store(KEY, VARIANT).stored
    if being_written:
        await settle()
    assert chain.store(KEY, newer).stored
    assert await chain.lookup(KEY) == Lookup(newer, "memory")
    disk.release.set()
    await settle()
    assert disk.entries == {KEY: newer}
    await chain.close(deadline())


@pytest.mark.parametrize(("entries", "in_bytes"), [(3, 10**9), (10**9, 3 * len(VARIANT.body))])
async def test_the_write_queue_is_bounded_and_dropped_variants_are_counted(
    monkeypatch: pytest.MonkeyPatch, entries: int, in_bytes: int
) -> None:
    monkeypatch.setattr(chain_module, "MAX_QUEUED", entries)
    monkeypatch.setattr(chain_module, "MAX_QUEUED_BYTES", in_bytes)
    metrics, disk = FakeMetrics(), FakeTier()
    disk.release.clear()
    chain = TierChain(FakeInstantTier(max_entry_bytes=0), [disk], metrics)
    taken = [chain.store(CacheKey(f"k{number}"), VARIANT).stored for number in range(5)]
    assert taken == [True, True, True, False, False]
    assert metrics.counts["disk dropped"] == 2
    disk.release.set()
    await chain.close(deadline())
    assert len(disk.entries) == 3


async def test_closing_writes_until_the_deadline_and_counts_the_rest() -> None:
    metrics, disk = FakeMetrics(), FakeTier()
    disk.release.clear()
    chain = TierChain(FakeInstantTier(), [disk], metrics)
    chain.store(CacheKey("a"), VARIANT)
    chain.store(CacheKey("b"), VARIANT)
    await settle()
    await chain.close(deadline(0.01))
    assert metrics.counts["disk dropped"] == 2
    assert disk.closed
    assert not chain.store(CacheKey("c"), VARIANT).written.result()


async def test_a_variant_that_no_tier_takes_is_not_stored() -> None:
    chain = TierChain(FakeInstantTier(max_entry_bytes=0), [], FakeMetrics())
    assert not chain.store(KEY, VARIANT).stored
    await chain.close(deadline())


async def test_a_tier_has_as_many_concurrent_writes_as_it_declares() -> None:
    bucket = FakeTier("bucket", writers=3)
    bucket.release.clear()
    started = 0
    real = bucket.store

    async def store(key: str, variant: Variant) -> bool:
        nonlocal started
        started += 1
        return await real(key, variant)

    bucket.store = store  # type: ignore[method-assign]
    chain = TierChain(FakeInstantTier(), [bucket], FakeMetrics())
    for number in range(10):
        chain.store(CacheKey(f"k{number}"), VARIANT)
    await settle()
    assert started == 3
    bucket.release.set()
    await chain.close(deadline())
    assert len(bucket.entries) == 10


async def test_an_unexpected_error_of_a_tier_is_counted_and_writing_goes_on() -> None:
    disk, metrics = FakeTier(), FakeMetrics()
    store = disk.store

    async def fail_once(key: str, variant: Variant) -> bool:
        disk.store = store  # type: ignore[method-assign]
        raise RuntimeError("odd")

    disk.store = fail_once  # type: ignore[method-assign]
    chain = TierChain(FakeInstantTier(), [disk], metrics)
    assert not await chain.store(KEY, VARIANT).durable()
    assert metrics.counts == {"disk internal": 1}
    assert await chain.store(CacheKey("l"), VARIANT).durable()
    assert disk.entries == {CacheKey("l"): VARIANT}
    await chain.close(deadline())


async def test_every_receipt_of_a_key_waits_until_it_is_written() -> None:
    disk = FakeTier()
    disk.release.clear()
    chain = TierChain(FakeInstantTier(), [disk], FakeMetrics())
    receipts = [chain.store(KEY, VARIANT), *(chain.store(KEY, VARIANT, into_memory=False) for _ in range(2))]
    asking = [asyncio.create_task(receipt.durable()) for receipt in receipts]
    await settle()
    assert not any(each.done() for each in asking)
    asking[0].cancel()
    disk.release.set()
    assert await asyncio.gather(*asking[1:]) == [True, True]
    await chain.close(deadline())


async def test_a_peek_finds_queued_variants_without_a_lookup_in_a_slow_tier() -> None:
    memory, disk, bucket = FakeInstantTier(), FakeTier("disk"), FakeTier("bucket")
    disk.release.clear()
    bucket.release.clear()
    chain = TierChain(memory, [disk, bucket], FakeMetrics())
    chain.store(KEY, VARIANT)
    assert chain.peek(KEY) == Lookup(VARIANT, "memory")
    memory.entries.clear()
    assert chain.peek(KEY) == Lookup(VARIANT, "disk")
    disk.release.set()
    await settle()
    assert chain.peek(KEY) == Lookup(VARIANT, "bucket")
    bucket.release.set()
    await settle()
    assert chain.peek(KEY) is None
    assert (disk.lookups, bucket.lookups) == (0, 0)
    await chain.close(deadline())


async def test_remove_returns_the_tiers_that_had_the_variant() -> None:
    memory, disk, bucket = FakeInstantTier(), FakeTier("disk"), FakeTier("bucket")
    chain = TierChain(memory, [disk, bucket], FakeMetrics())
    bucket.entries[KEY] = disk.entries[CacheKey("l")] = memory.entries[CacheKey("l")] = VARIANT
    assert await chain.remove(KEY) == (["bucket"], True)
    assert await chain.remove(CacheKey("l")) == (["memory", "disk"], True)
    assert await chain.remove(CacheKey("l")) == ([], True)
    await chain.close(deadline())


async def test_a_background_store_takes_no_memory() -> None:
    memory, disk = FakeInstantTier(), FakeTier()
    chain = TierChain(memory, [disk], FakeMetrics())
    assert await chain.store(KEY, VARIANT, into_memory=False).durable()
    assert (memory.entries, disk.entries) == ({}, {KEY: VARIANT})
    await chain.close(deadline())
    alone = TierChain(memory, [], FakeMetrics())
    assert await alone.store(KEY, VARIANT, into_memory=False).durable(), "there is no other tier"


async def test_a_variant_that_is_removed_during_its_write_is_not_durable() -> None:
    disk = FakeTier()
    disk.release.clear()
    chain = TierChain(FakeInstantTier(), [disk], FakeMetrics())
    receipt = chain.store(KEY, VARIANT)
    await settle()
    removing = asyncio.create_task(chain.remove(KEY))
    await settle()
    assert not await receipt.durable()
    disk.release.set()
    await removing
    await chain.close(deadline())
    assert disk.entries == {}


async def test_a_variant_that_is_dropped_at_closing_is_not_durable() -> None:
    disk = FakeTier()
    disk.release.clear()
    chain = TierChain(FakeInstantTier(), [disk], FakeMetrics())
    receipt = chain.store(KEY, VARIANT)
    await chain.close(deadline(0.01))
    assert not await receipt.durable()
