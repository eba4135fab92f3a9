"""Order, promotion, write-behind, and what is lost when."""

import asyncio

import pytest

from proxy.core.delivery import Variant
from proxy.core.formats import Format
from proxy.service import chain as chain_module
from proxy.service.chain import Brought, Chain
from tests.fakes import FakeInstantTier, FakeMetrics, FakeTier

VARIANT = Variant(kind=Format.PNG, body=b"picture")


def later(seconds: float = 5) -> float:
    return asyncio.get_running_loop().time() + seconds


async def settle() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


async def test_what_is_stored_is_found_everywhere() -> None:
    memory, disk, metrics = FakeInstantTier(), FakeTier(), FakeMetrics()
    chain = Chain(memory, [disk], metrics)
    assert chain.store("k", VARIANT)
    await settle()
    assert memory.entries == disk.entries == {"k": VARIANT}
    assert chain.recall("k") is VARIANT
    assert await chain.lookup("k", Format.PNG) == Brought(VARIANT, "memory")
    assert disk.lookups == 0
    await chain.close(later())
    assert disk.closed


async def test_a_find_is_promoted_to_every_faster_tier() -> None:
    memory, disk, bucket = FakeInstantTier(), FakeTier("disk"), FakeTier("bucket")
    bucket.entries["k"] = VARIANT
    chain = Chain(memory, [disk, bucket], FakeMetrics())
    assert await chain.lookup("k", Format.PNG) == Brought(VARIANT, "bucket")
    await settle()
    assert memory.entries == disk.entries == {"k": VARIANT}
    assert await chain.lookup("nothing", Format.PNG) is None
    await chain.close(later())


async def test_what_waits_to_be_written_is_found_already() -> None:
    memory, disk = FakeInstantTier(max_entry_bytes=0), FakeTier()
    disk.gate.clear()
    chain = Chain(memory, [disk], FakeMetrics())
    assert chain.store("k", VARIANT)
    assert chain.store("k", VARIANT)
    await settle()
    assert chain.recall("k") is None
    assert await chain.lookup("k", Format.PNG) == Brought(VARIANT, "disk")
    assert disk.lookups == 0
    disk.gate.set()
    await chain.close(later())
    assert disk.entries == {"k": VARIANT}


@pytest.mark.parametrize(("entries", "in_bytes"), [(3, 10**9), (10**9, 3 * len(VARIANT.body))])
async def test_the_queue_is_bounded_and_what_falls_off_is_counted(
    monkeypatch: pytest.MonkeyPatch, entries: int, in_bytes: int
) -> None:
    monkeypatch.setattr(chain_module, "MAX_WAITING", entries)
    monkeypatch.setattr(chain_module, "MAX_WAITING_BYTES", in_bytes)
    metrics, disk = FakeMetrics(), FakeTier()
    disk.gate.clear()
    chain = Chain(FakeInstantTier(max_entry_bytes=0), [disk], metrics)
    taken = [chain.store(f"k{number}", VARIANT) for number in range(5)]
    assert taken == [True, True, True, False, False]
    assert metrics.counts["disk dropped"] == 2
    disk.gate.set()
    await chain.close(later())
    assert len(disk.entries) == 3


async def test_closing_drains_until_the_deadline_and_counts_the_rest() -> None:
    metrics, disk = FakeMetrics(), FakeTier()
    disk.gate.clear()
    chain = Chain(FakeInstantTier(), [disk], metrics)
    chain.store("a", VARIANT)
    chain.store("b", VARIANT)
    await settle()
    await chain.close(later(0.01))
    assert metrics.counts["disk dropped"] == 2
    assert disk.closed
    assert not chain.store("c", VARIANT) or chain.recall("c") is VARIANT


async def test_no_tier_took_it() -> None:
    chain = Chain(FakeInstantTier(max_entry_bytes=0), [], FakeMetrics())
    assert not chain.store("k", VARIANT)
    await chain.close(later())
