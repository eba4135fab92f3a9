"""What no tier has is made once: alone, or among nodes that share the last tier."""

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


async def test_what_is_missing_is_made_and_stored() -> None:
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


async def test_a_lease_is_taken_for_what_is_made_and_kept_until_it_is_stored() -> None:
    bucket, leases = FakeTier("bucket"), FakeLeases()
    chain = TierChain(FakeInstantTier(), [FakeTier(), bucket], FakeMetrics())
    leased = Leased(chain, leases)
    bucket.gate.clear()
    assert (await leased.make(KEY, make, deadline=deadline())).tier == ""
    assert (leases.held, leases.done) == ({"k"}, ["k"])
    assert leases.left == [], "the bucket ends it, once the object is there"
    bucket.gate.set()
    await chain.close(deadline())


async def test_what_another_node_made_meanwhile_is_found() -> None:
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


async def test_what_another_node_is_said_to_have_made_and_is_not_there_is_made() -> None:
    leases = FakeLeases()
    leases.others["k"] = asyncio.get_running_loop().create_future()
    leases.others["k"].set_result(False)
    chain = TierChain(FakeInstantTier(), [FakeTier("bucket")], FakeMetrics())
    leased = Leased(chain, leases)
    assert (await leased.make(KEY, make, deadline=deadline())).tier == ""
    await chain.close(deadline())


async def test_a_lease_is_released_where_nothing_comes_of_it() -> None:
    leases = FakeLeases()
    chain = TierChain(FakeInstantTier(), [FakeTier("bucket")], FakeMetrics())
    leased = Leased(chain, leases)

    async def fail() -> Variant:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        await leased.make(KEY, fail, deadline=deadline())
    assert (leases.held, leases.left) == (set(), ["k"])

    async def hang() -> Variant:
        await asyncio.sleep(100)
        return VARIANT

    making = asyncio.create_task(leased.make(CacheKey("l", Format.PNG), hang, deadline=deadline()))
    await settle()
    making.cancel()
    await asyncio.gather(making, return_exceptions=True)
    assert leases.left == ["k", "l"]
    await chain.close(deadline())


async def test_a_lease_is_released_where_the_queue_has_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_module, "MAX_QUEUED", 0)
    leases = FakeLeases()
    chain = TierChain(FakeInstantTier(), [FakeTier("bucket")], FakeMetrics())
    leased = Leased(chain, leases)
    made = await leased.make(KEY, make, deadline=deadline())
    assert made.receipt is not None
    assert made.receipt.stored, "memory took it"
    assert leases.left == ["k"]
    await chain.close(deadline())
