"""The content of originals: shared fetches and open files, stored originals, and facts."""

import asyncio
from types import SimpleNamespace

import pytest

from proxy.core.cache.generations import Purge, PurgeScope, ScopeKind
from proxy.core.cache.keys import faces_key, facts_key, original_key
from proxy.core.errors import SourceUnavailable, Undecodable, UnsupportedFormat, WorkerDied
from proxy.core.image.faces import Face, Faces
from proxy.core.image.facts import Facts
from proxy.core.image.formats import Format
from proxy.core.image.original import Identity
from proxy.service.request.original_content import OriginalFact
from proxy.service.request.originals import OriginalChanged
from proxy.service.request.quarantine import UNDECODABLE_S, Quarantine
from proxy.service.request.singleflight import Flights
from proxy.service.request.tier_chain import Leased, TierChain
from tests.service.composition import originals_of
from tests.support.fakes import FakeInstantTier, FakeOriginalStore, FakeTier
from tests.support.waiting import deadline, settle


async def test_facts_are_probed_once_and_stored_in_the_tiers(parts: SimpleNamespace) -> None:
    identity = await parts.originals.identify(parts.source.put("a", b"1"), deadline=deadline())
    found = await asyncio.gather(*(parts.facts.of(identity, deadline=deadline()) for _ in range(20)))
    assert set(found) == {parts.renderer.facts}
    assert parts.renderer.probes == 1
    assert len(parts.source.fetched) == 1
    assert await parts.facts.of(identity, deadline=deadline()) == parts.renderer.facts
    assert parts.renderer.probes == 1


async def test_facts_in_a_slower_tier_need_no_original(parts: SimpleNamespace) -> None:
    identity = await parts.originals.identify(parts.source.put("a", b"1"), deadline=deadline())
    await parts.facts.of(identity, deadline=deadline())
    disk = FakeTier()
    disk.entries[facts_key(identity)] = parts.chain.peek(facts_key(identity)).variant
    _, _, facts = originals_of(
        {"photos": parts.source},
        TierChain(FakeInstantTier(), [disk], parts.metrics),
        parts.renderer,
        Flights(),
        parts.clock,
        parts.metrics,
    )
    assert await facts.of(identity, deadline=deadline()) == parts.renderer.facts
    assert parts.renderer.probes == 1


async def test_a_failed_probe_is_not_stored(parts: SimpleNamespace) -> None:
    identity = await parts.originals.identify(parts.source.put("a", b"1"), deadline=deadline())
    parts.renderer.failures = [Undecodable("broken")]
    with pytest.raises(Undecodable):
        await parts.facts.of(identity, deadline=deadline())
    assert await parts.facts.of(identity, deadline=deadline()) == parts.renderer.facts


async def test_a_file_that_changes_during_a_probe_is_an_error(parts: SimpleNamespace) -> None:
    identity = await parts.originals.identify(parts.source.put("a", b"1"), deadline=deadline())
    parts.renderer.during = lambda original: setattr(original, "changed", True)
    with pytest.raises(OriginalChanged):
        await parts.facts.of(identity, deadline=deadline())


def faces_fact(
    parts: SimpleNamespace, chain: TierChain | None = None, version: str = "fake 1"
) -> OriginalFact[Faces]:
    chain = chain or parts.chain
    return OriginalFact(
        Faces,
        lambda identity: faces_key(identity, version),
        parts.renderer.find_faces,
        parts.opened,
        chain,
        Leased(chain),
        parts.flights,
        parts.index,
    )


async def test_concurrent_requests_share_one_search_for_faces(parts: SimpleNamespace) -> None:
    identity = await parts.originals.identify(parts.source.put("a", b"1"), deadline=deadline())
    faces = faces_fact(parts)
    found = await asyncio.gather(*(faces.of(identity, deadline=deadline()) for _ in range(20)))
    assert set(found) == {parts.renderer.faces}
    assert (parts.renderer.searches, parts.renderer.probes, len(parts.source.fetched)) == (1, 0, 1)
    assert (identity.ref, faces_key(identity, "fake 1")) in [
        (ref, entry.key) for ref, entry, _ in parts.index.notes
    ]


async def test_an_original_without_a_face_is_searched_once(parts: SimpleNamespace) -> None:
    identity = await parts.originals.identify(parts.source.put("a", b"1"), deadline=deadline())
    parts.renderer.faces = Faces()
    for _ in range(3):
        assert await faces_fact(parts).of(identity, deadline=deadline()) == Faces()
    assert parts.renderer.searches == 1


async def test_faces_in_a_slower_tier_need_no_original(parts: SimpleNamespace) -> None:
    identity = await parts.originals.identify(parts.source.put("a", b"1"), deadline=deadline())
    key = faces_key(identity, "fake 1")
    await faces_fact(parts).of(identity, deadline=deadline())
    bucket = FakeTier()
    bucket.entries[key] = parts.chain.peek(key).variant
    fresh_node = TierChain(FakeInstantTier(), [bucket], parts.metrics)
    assert await faces_fact(parts, fresh_node).of(identity, deadline=deadline()) == parts.renderer.faces
    assert (parts.renderer.searches, len(parts.source.fetched)) == (1, 1)
    await fresh_node.close(deadline())


async def test_faces_are_searched_again_by_another_detector_and_after_a_purge(parts: SimpleNamespace) -> None:
    ref = parts.source.put("a", b"1")
    identity = await parts.originals.identify(ref, deadline=deadline())
    await faces_fact(parts).of(identity, deadline=deadline())
    await faces_fact(parts, version="fake 2").of(identity, deadline=deadline())
    assert parts.renderer.searches == 2
    parts.generations.apply(
        Purge(PurgeScope("photos", ScopeKind.ORIGINAL, "a"), parts.generations.next_token(1, ""))
    )
    purged = await parts.originals.identify(ref, deadline=deadline())
    parts.renderer.faces = Faces((Face(1, 2, 3, 4),))
    assert purged != identity
    assert await faces_fact(parts).of(purged, deadline=deadline()) == parts.renderer.faces
    assert parts.renderer.searches == 3


async def test_a_failed_search_for_faces_is_not_stored(parts: SimpleNamespace) -> None:
    identity = await parts.originals.identify(parts.source.put("a", b"1"), deadline=deadline())
    parts.renderer.failures = [WorkerDied("gone")]
    with pytest.raises(WorkerDied):
        await faces_fact(parts).of(identity, deadline=deadline())
    parts.renderer.during = lambda original: setattr(original, "changed", True)
    with pytest.raises(OriginalChanged):
        await faces_fact(parts).of(identity, deadline=deadline())
    parts.renderer.during = lambda original: None
    assert await faces_fact(parts).of(identity, deadline=deadline()) == parts.renderer.faces


async def test_concurrent_users_of_an_original_share_one_fetch(parts: SimpleNamespace) -> None:
    identity = await parts.originals.identify(parts.source.put("a", b"1"), deadline=deadline())

    async def use() -> None:
        async with parts.opened.open(identity, deadline=deadline()) as original:
            await settle()
            assert not original.file.closed

    await asyncio.gather(*(use() for _ in range(30)))
    assert len(parts.source.fetched) == 1
    assert parts.source.fetched[0].closed
    await use()
    assert len(parts.source.fetched) == 2
    assert parts.metrics.counts == {"fetched photos ok": 2}


async def test_a_user_who_is_cancelled_during_the_fetch_leaves_no_open_file(parts: SimpleNamespace) -> None:
    identity = await parts.originals.identify(parts.source.put("a", b"1"), deadline=deadline())
    parts.source.release.clear()

    async def use() -> None:
        async with parts.opened.open(identity, deadline=deadline()):
            raise AssertionError("never reached")

    leaving = asyncio.create_task(use())
    await settle()
    leaving.cancel()
    await asyncio.sleep(0)
    parts.source.release.set()
    await settle()
    assert [original.closed for original in parts.source.fetched] == [True]


async def test_another_version_than_the_requested_one_is_an_error(parts: SimpleNamespace) -> None:
    ref = parts.source.put("a", b"1")
    identity = await parts.originals.identify(ref, deadline=deadline())
    parts.source.put("a", b"22", "2")
    with pytest.raises(OriginalChanged):
        async with parts.opened.open(identity, deadline=deadline()):
            pass
    async with parts.opened.open_current(ref, deadline=deadline()) as original:
        assert original.name == original_key(Identity(ref, "2"))


async def test_an_original_that_is_no_picture_is_fetched_again_after_its_quarantine(
    parts: SimpleNamespace,
) -> None:
    quarantine = Quarantine(parts.renderer, parts.renderer, parts.clock)
    _, opened, _ = originals_of(
        {"photos": parts.source}, parts.chain, quarantine, parts.flights, parts.clock, parts.metrics, refusals=quarantine
    )  # fmt: skip
    parts.source.freshness_lifetime_s = 10_000.0
    ref = parts.source.put("a", b"<html>back soon</html>")
    for seconds in (0, 1, 150, UNDECODABLE_S - 1):
        parts.clock.ahead_s = seconds
        with pytest.raises(UnsupportedFormat):
            async with opened.open_current(ref, deadline=deadline()):
                pass
    assert parts.source.identified == 1
    parts.clock.ahead_s = UNDECODABLE_S
    parts.source.put("a", b"GIF89a" + bytes(60), "2")
    async with opened.open_current(ref, deadline=deadline()) as original:
        assert original.name == original_key(Identity(ref, "2"))


async def test_a_user_who_arrives_as_the_last_one_leaves_gets_an_open_original(
    parts: SimpleNamespace,
) -> None:
    """The fetch has ended, its only user is cancelled in the same turn of the loop, and another user opens the original."""
    identity = await parts.originals.identify(parts.source.put("a", b"1"), deadline=deadline())
    parts.source.release.clear()

    async def use() -> bool:
        async with parts.opened.open(identity, deadline=deadline()) as original:
            await asyncio.sleep(0)
            return bool(original.file.closed)

    for turns in range(6):
        parts.source.release.clear()
        leaving = asyncio.create_task(use())
        await settle()
        parts.source.release.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        leaving.cancel()
        assert await use() is False


async def test_an_original_that_keeps_changing_is_an_error(parts: SimpleNamespace) -> None:
    ref = parts.source.put("a", b"1")
    fetch = parts.source.fetch

    async def moving(key: str) -> object:
        parts.source.put("a", b"1", str(len(parts.source.fetched) + 100))
        return await fetch(key)

    parts.source.fetch = moving
    with pytest.raises(SourceUnavailable, match="keeps changing"):
        async with parts.opened.open_current(ref, deadline=deadline()):
            pass


async def test_a_stored_original_is_not_fetched(parts: SimpleNamespace) -> None:
    ref = parts.source.put("a", b"1")
    identity = await parts.originals.identify(ref, deadline=deadline())
    parts.opened._store = store = FakeOriginalStore()
    store.stored[identity] = b"stored"
    async with parts.opened.open(identity, deadline=deadline()) as original:
        assert original.file.content == b"stored"
    assert parts.source.fetched == []
    assert parts.metrics.counts == {}
    assert store.opened[0].closed


async def test_an_original_that_is_not_stored_is_fetched(parts: SimpleNamespace) -> None:
    ref = parts.source.put("a", b"1")
    identity = await parts.originals.identify(ref, deadline=deadline())
    parts.opened._store = FakeOriginalStore()
    async with parts.opened.open(identity, deadline=deadline()):
        pass
    assert len(parts.source.fetched) == 1


async def test_stored_facts_are_not_probed_again(parts: SimpleNamespace) -> None:
    ref = parts.source.put("a", b"1")
    facts = Facts(format=Format.PNG, width_px=7, height_px=5, pages=1, alpha=True)
    parts.facts.store(await parts.originals.identify(ref, deadline=deadline()), facts)
    identity = await parts.originals.identify(ref, deadline=deadline())
    assert await parts.facts.of(identity, deadline=deadline()) == facts
    assert parts.renderer.probes == 0


async def test_an_original_that_changes_before_it_is_sent_is_opened_again(parts: SimpleNamespace) -> None:
    ref = parts.source.put("a", b"1")
    fetch = parts.source.fetch

    async def changed_once(key: str) -> object:
        original = await fetch(key)
        original.file.changed = len(parts.source.fetched) == 1
        parts.source.put("a", b"2", "2")
        return original

    parts.source.fetch = changed_once
    async with parts.opened.open_current(ref, deadline=deadline()) as original:
        assert original.file is parts.source.fetched[1]
    assert len(parts.source.fetched) == 2
    assert all(each.closed for each in parts.source.fetched)
