"""TtlCache: it stays within its size in bytes, and removes expired entries by itself."""

import asyncio
import gc
import math
import secrets
import sys
import tracemalloc
from contextlib import suppress

import pytest

from proxy.core.errors import OriginalNotFound
from proxy.core.image.original import OriginalRef
from proxy.ports.originals import Version
from proxy.service.request import originals, ttl_cache
from proxy.service.request.originals import MAX_RECORD_BYTES
from proxy.service.request.singleflight import Flights
from proxy.service.request.tier_chain import TierChain
from proxy.service.request.ttl_cache import ENTRY_BYTES, TtlCache
from tests.service.composition import originals_of
from tests.support.fakes import FakeClock, FakeInstantTier, FakeMetrics, FakeRenderer, FakeSource

EMPTY_BYTES = sys.getsizeof("")
ENTRY = ENTRY_BYTES + 2 * (EMPTY_BYTES + 1)


def new_cache(clock: FakeClock, max_bytes: int = 10 * ENTRY) -> TtlCache[str, str]:
    return TtlCache(max_bytes, clock, lambda key, value: (key, value))


async def test_the_least_recently_used_entry_is_evicted_first() -> None:
    cache = new_cache(FakeClock())
    for name in "abcdefghij":
        cache.store(name, name, math.inf)
    assert cache.get("a") == "a"
    cache.store("k", "k", math.inf)
    assert [name for name in "abcdefghijk" if cache.get(name)] == list("acdefghijk")
    cache.store("b", "long" * ENTRY, math.inf)
    assert cache.size_bytes <= 10 * ENTRY
    cache.store("c", "x" * 20 * ENTRY, math.inf)
    assert (len(cache), cache.size_bytes, cache.get("c")) == (0, 0, None)
    for _ in range(3):
        cache.store("c", "c", math.inf)
    assert (len(cache), cache.size_bytes) == (1, ENTRY)
    cache.remove("c")
    cache.remove("c")
    assert (len(cache), cache.size_bytes) == (0, 0)


async def test_expired_entries_are_removed_without_a_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ttl_cache, "SWEEP_S", 0.01)
    clock = FakeClock()
    cache = new_cache(clock)
    now_s = clock()
    cache.store("short", "", now_s + 60)
    cache.store("long", "", now_s + 3600)
    cache.store("ever", "", math.inf)
    clock.ahead_s = 61
    async with asyncio.timeout(10):
        while len(cache) == 3:
            await asyncio.sleep(0.01)
        assert cache.get("long") is not None
        clock.ahead_s = 3601
        while len(cache) == 2:
            await asyncio.sleep(0.01)
    assert cache.get("ever") is not None
    assert cache.size_bytes == ENTRY_BYTES + EMPTY_BYTES + len("ever") + EMPTY_BYTES
    cache.remove("ever")
    async with asyncio.timeout(10):
        while cache._timer is not None:
            await asyncio.sleep(0.01)


@pytest.mark.no_cover  # It takes four times as long while coverage is measured.
@pytest.mark.parametrize(("length", "share"), [(20, 25), (100, 25), (4000, 4)])
@pytest.mark.parametrize("missing", [True, False])
async def test_records_of_originals_take_at_most_twenty_megabytes(
    monkeypatch: pytest.MonkeyPatch, length: int, share: int, missing: bool
) -> None:
    """With a share of the limit, for a shorter test. Long strings leave the limit 2 % of room; what the process allocates
    besides, 30 kB in a whole run of tests, has to be less."""
    limit = MAX_RECORD_BYTES // share
    monkeypatch.setattr(originals, "MAX_RECORD_BYTES", limit)
    assert MAX_RECORD_BYTES <= 20_000_000
    clock, source, metrics = FakeClock(), FakeSource(), FakeMetrics()

    async def identify(key: str, known: str | None) -> Version:
        if missing:
            raise OriginalNotFound(f"there is no original under this key: it answers {403}")
        return Version(key, f'tag:"{secrets.token_hex(16)}"')

    source.identify, source.freshness_lifetime_s = identify, 3600.0  # type: ignore[method-assign, assignment]
    chain, flights = TierChain(FakeInstantTier(), [], metrics), Flights()
    made, _, _ = originals_of({"photos": source}, chain, FakeRenderer(), flights, clock, metrics)
    deadline = clock() + 600

    async def flood(count: int) -> None:
        for _ in range(count):
            ref = OriginalRef("photos", secrets.token_hex(length // 2))
            with suppress(OriginalNotFound):
                await made.identify(ref, deadline=deadline)

    await flood(10)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        await flood(limit * 5 // 4 // (ENTRY_BYTES + length))
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] - before
        assert taken <= limit
        assert taken <= 1.1 * made._records.size_bytes
        clock.ahead_s = 4000.0
        made._records._sweep()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 100_000
        assert len(made._records) == 0
    finally:
        tracemalloc.stop()
