"""Leased: a missing variant is made once, also by several nodes that share the last tier."""

import asyncio

import pytest

from proxy.core.cache.delivery import Variant
from proxy.core.cache.keys import CacheKey
from proxy.core.image.formats import Format
from proxy.service.request import tier_chain as chain_module
from proxy.service.request.tier_chain import Leased, Lookup, Made, TierChain
from tests.support.fakes import FakeInstantTier, FakeLeases, FakeMetrics, FakeTier
from tests.support.waiting import deadline, settle

KEY = CacheKey("k", Format.PNG)
VARIANT = Variant(body=b"picture")


async def make() -> Variant:
    return VARIANT


async def never() -> Variant:
    raise AssertionError("nothing is to be made")


async def test_a_missing_variant_is_made_and_stored() -> None:
    memory, disk = FakeInstantTier(), FakeTier()
    chain = TierChain(memory, [disk], FakeMetrics())
    leased = Leased(chain)
    made = await leased.make(KEY, make, deadline=deadline())
    assert (made.variant, made.tier) == (VARIANT, "")
    assert made.receipt is not None
    assert made.receipt.stored
    assert chain.peek(KEY) == Lookup(VARIANT, "memory")
    await chain.close(deadline())
    assert disk.entries == {KEY: VARIANT}


async def test_a_lease_is_held_until_the_variant_is_stored() -> None:
    bucket, leases = FakeTier("bucket"), FakeLeases()
    chain = TierChain(FakeInstantTier(), [FakeTier(), bucket], FakeMetrics())
    leased = Leased(chain, leases)
    bucket.release.clear()
    assert (await leased.make(KEY, make, deadline=deadline())).tier == ""
    assert (leases.held, leases.done) == ({"k"}, ["k"])
    assert leases.released == [], "the bucket ends the lease, once the object is stored"
    bucket.release.set()
    await chain.close(deadline())


async def test_a_variant_that_another_node_has_made_is_found() -> None:
    bucket, leases = FakeTier("bucket"), FakeLeases()
    leases.others["k"] = asyncio.get_running_loop().create_future()
    chain = TierChain(FakeInstantTier(), [bucket], FakeMetrics())
    leased = Leased(chain, leases)
    making = asyncio.create_task(leased.make(KEY, never, deadline=deadline()))
    await settle()
    bucket.entries[KEY] = VARIANT
    leases.others["k"].set_result(False)
    assert await making == Made(VARIANT, "bucket")
    await chain.close(deadline())


async def test_a_variant_that_another_node_has_not_stored_is_made() -> None:
    leases = FakeLeases()
    leases.others["k"] = asyncio.get_running_loop().create_future()
    leases.others["k"].set_result(False)
    chain = TierChain(FakeInstantTier(), [FakeTier("bucket")], FakeMetrics())
    leased = Leased(chain, leases)
    assert (await leased.make(KEY, make, deadline=deadline())).tier == ""
    await chain.close(deadline())


async def test_a_lease_is_released_after_a_failure_or_a_cancellation() -> None:
    leases = FakeLeases()
    chain = TierChain(FakeInstantTier(), [FakeTier("bucket")], FakeMetrics())
    leased = Leased(chain, leases)

    async def fail() -> Variant:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        await leased.make(KEY, fail, deadline=deadline())
    assert (leases.held, leases.released) == (set(), ["k"])

    async def hang() -> Variant:
        await asyncio.sleep(100)
        return VARIANT

    making = asyncio.create_task(leased.make(CacheKey("l", Format.PNG), hang, deadline=deadline()))
    await settle()
    making.cancel()
    await asyncio.gather(making, return_exceptions=True)
    assert leases.released == ["k", "l"]
    await chain.close(deadline())


async def test_a_lease_is_released_when_the_write_queue_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_module, "MAX_QUEUED", 0)
    leases = FakeLeases()
    chain = TierChain(FakeInstantTier(), [FakeTier("bucket")], FakeMetrics())
    leased = Leased(chain, leases)
    made = await leased.make(KEY, make, deadline=deadline())
    assert made.receipt is not None
    assert made.receipt.stored, "it is stored in memory"
    assert leases.released == ["k"]
    await chain.close(deadline())
