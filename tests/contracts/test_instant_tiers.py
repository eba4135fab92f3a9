"""The contract of InstantTier, and the limits of the memory tier."""

from collections.abc import Callable

import pytest

from proxy.core.cache.delivery import Variant
from proxy.ports.tiers import InstantTier
from proxy.tiers.memory import ENTRY_OVERHEAD_BYTES, MemoryTier
from tests.support.fakes import FakeInstantTier

MAKERS: dict[str, Callable[[], InstantTier]] = {
    "fake": FakeInstantTier,
    "memory": lambda: MemoryTier(max_bytes=2**20, max_entry_bytes=2**16),
}


def picture(in_bytes: int) -> Variant:
    return Variant(body=b"x" * in_bytes)


@pytest.fixture(params=MAKERS)
def tier(request: pytest.FixtureRequest) -> InstantTier:
    return MAKERS[request.param]()


def test_a_stored_variant_is_found(tier: InstantTier) -> None:
    assert tier.lookup("k") is None
    variant = picture(10)
    assert tier.store("k", variant)
    assert tier.lookup("k") is variant
    assert tier.usage()[1] == 1


def test_memory_never_holds_more_than_its_bytes() -> None:
    tier = MemoryTier(max_bytes=100_000, max_entry_bytes=50_000)
    for number in range(200):
        assert tier.store(f"k{number}", picture(number * 20))
        assert tier.usage()[0] <= 100_000
    assert tier.lookup("k199") is not None
    assert tier.lookup("k0") is None


def test_memory_evicts_the_least_recently_used_entry() -> None:
    tier = MemoryTier(max_bytes=16 * (1000 + ENTRY_OVERHEAD_BYTES), max_entry_bytes=1000)
    for number in range(16):
        tier.store(f"k{number}", picture(1000))
    tier.lookup("k0")
    tier.store("new", picture(1000))
    assert tier.lookup("k0") is not None
    assert tier.lookup("k1") is None


def test_large_entries_do_not_evict_small_ones() -> None:
    tier = MemoryTier(max_bytes=2**20, max_entry_bytes=2**20)
    tier.store("small", picture(100))
    for number in range(100):
        assert not tier.store(f"large{number}", picture(2**17))
    assert tier.lookup("small") is not None
    assert tier.usage()[1] == 1


def test_an_entry_that_is_stored_again_is_counted_once() -> None:
    tier = MemoryTier(max_bytes=2**20, max_entry_bytes=2**16)
    for _ in range(3):
        tier.store("k", picture(1000))
    assert tier.usage() == (1000 + ENTRY_OVERHEAD_BYTES, 1)
