"""The contract of Tier, for the disk tier and the fake."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from proxy.core.cache.delivery import Variant
from proxy.core.cache.keys import CacheKey
from proxy.core.image.formats import Format
from proxy.ports.tiers import Tier
from proxy.tiers.disk import DiskTier
from tests.support.fakes import FakeMetrics, FakeTier

KEY, OTHER = (CacheKey(digest * 32, Format.WEBP) for digest in ("ab", "cd"))
VARIANT = Variant(body=b"picture" * 1000)

MAKERS: dict[str, Callable[[Path], Tier]] = {
    "fake": lambda folder: FakeTier(),
    "disk": lambda folder: DiskTier(folder / "cache", max_bytes=2**24, metrics=FakeMetrics()),
}


@pytest.fixture(params=MAKERS)
async def tier(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Tier]:
    made = MAKERS[request.param](tmp_path)
    yield made
    await made.close()


async def test_a_missing_entry_is_a_miss(tier: Tier) -> None:
    assert await tier.lookup(KEY) is None


async def test_a_stored_variant_is_found(tier: Tier) -> None:
    await tier.store(KEY, VARIANT)
    assert await tier.lookup(KEY) == VARIANT
    assert await tier.lookup(OTHER) is None
    assert tier.usage()[1] == 1


async def test_facts_are_stored_like_variants(tier: Tier) -> None:
    facts = Variant(body=b"{}")
    key = CacheKey("ab" * 32)
    await tier.store(key, facts)
    assert await tier.lookup(key) == facts


async def test_a_notice_is_stored(tier: Tier) -> None:
    noted = Variant(body=b"picture", notice="gravity;asked=face;made=auto")
    await tier.store(KEY, noted)
    assert await tier.lookup(KEY) == noted


async def test_a_later_store_replaces_an_earlier_one(tier: Tier) -> None:
    await tier.store(KEY, VARIANT)
    later = Variant(body=b"later")
    await tier.store(KEY, later)
    assert await tier.lookup(KEY) == later
    assert tier.usage()[1] == 1


async def test_concurrent_stores_and_lookups_succeed(tier: Tier) -> None:
    variants = {
        CacheKey(f"{number:064x}", Format.JPEG): Variant(body=bytes([number]) * 100) for number in range(50)
    }
    await asyncio.gather(*(tier.store(key, variant) for key, variant in variants.items()))
    found = await asyncio.gather(*(tier.lookup(key) for key in variants))
    assert dict(zip(variants, found, strict=True)) == variants


async def test_an_empty_body_is_a_variant(tier: Tier) -> None:
    empty = Variant(body=b"")
    await tier.store(KEY, empty)
    assert await tier.lookup(KEY) == empty
