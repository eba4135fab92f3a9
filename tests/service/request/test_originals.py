"""Identities of originals: lifetime, revalidation, negative entries, purges, and fetches."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from proxy.core.cache.generations import Purge, PurgeScope, ScopeKind
from proxy.core.cache.keys import original_key
from proxy.core.errors import (
    OriginalNotFound,
    SourceNotAllowed,
    SourceTimeout,
    SourceUnavailable,
    Undecodable,
)
from proxy.core.image.original import Identity, OriginalRef
from proxy.ports.originals import Version
from proxy.service.request.originals import STALE_IF_ERROR_S, OriginalChanged, Originals
from proxy.service.request.quarantine import UNDECODABLE_S, Quarantine
from tests.service.composition import originals_of
from tests.support.fakes import FakeSource
from tests.support.waiting import deadline, settle


async def test_an_original_is_revalidated_once_a_second(parts: SimpleNamespace) -> None:
    ref = parts.source.put("a", b"1")
    for _ in range(5):
        await parts.originals.identify(ref, deadline=deadline())
    assert parts.source.identified == 1
    parts.source.put("a", b"22", "2")
    assert (await parts.originals.identify(ref, deadline=deadline())).version == "1"
    parts.clock.ahead_s = 1.0
    assert (await parts.originals.identify(ref, deadline=deadline())).version == "2"
    assert parts.source.identified == 2


@pytest.mark.parametrize(("recheck_s", "ahead_s"), [(1.0, 0.05), (3600.0, 1.0), (0.0, 0.0)])
async def test_an_identity_is_stale_in_the_last_part_of_its_lifetime(
    parts: SimpleNamespace, recheck_s: float, ahead_s: float
) -> None:
    parts.source.freshness_lifetime_s = recheck_s
    ref = parts.source.put("a", b"1")
    before_s = parts.clock()
    freshness = parts.originals.freshness(await parts.originals.identify(ref, deadline=deadline()))
    assert before_s - 1e-6 <= freshness.stale_until_s - recheck_s <= parts.clock() + 1e-6
    assert freshness.stale_until_s - freshness.fresh_until_s == pytest.approx(ahead_s)
    parts.clock.ahead_s = recheck_s - ahead_s
    await parts.originals.identify(ref, deadline=deadline())
    assert parts.source.identified == 2


async def test_concurrent_identifications_are_one_request(parts: SimpleNamespace) -> None:
    ref = parts.source.put("a", b"1")
    await asyncio.gather(*(parts.originals.identify(ref, deadline=deadline()) for _ in range(100)))
    assert parts.source.identified == 1


async def test_a_negative_entry_lasts_a_minute(parts: SimpleNamespace) -> None:
    ref = OriginalRef("photos", "a")
    for _ in range(3):
        with pytest.raises(OriginalNotFound):
            await parts.originals.identify(ref, deadline=deadline())
    parts.source.put("a", b"1")
    parts.clock.ahead_s = FakeSource.negative_ttl_s - 1
    with pytest.raises(OriginalNotFound):
        await parts.originals.identify(ref, deadline=deadline())
    assert parts.source.identified == 1
    parts.clock.ahead_s = FakeSource.negative_ttl_s
    assert (await parts.originals.identify(ref, deadline=deadline())).version == "1"


async def test_a_source_may_shorten_the_lifetime_of_a_negative_entry(parts: SimpleNamespace) -> None:
    ref = OriginalRef("photos", "a")
    parts.source.negative_ttl_s = 1.0
    with pytest.raises(OriginalNotFound) as caught:
        await parts.originals.identify(ref, deadline=deadline())
    assert 0 < caught.value.lasts_s <= 1
    parts.source.put("a", b"1")
    parts.clock.ahead_s = 1.0
    identity = await parts.originals.identify(ref, deadline=deadline())
    del parts.source.originals["a"]
    for _ in range(2):
        with pytest.raises(OriginalNotFound) as caught:
            async with parts.opened.open(identity, deadline=deadline()):
                pass
        assert 0 < caught.value.lasts_s <= 1


async def test_the_error_of_a_missing_original_expires_with_its_negative_entry(
    parts: SimpleNamespace,
) -> None:
    ref = OriginalRef("photos", "a")
    for passed_s in (0.0, 15.0, 40.0):
        parts.clock.ahead_s = passed_s
        with pytest.raises(OriginalNotFound) as caught:
            await parts.originals.identify(ref, deadline=deadline())
        assert 0 < caught.value.lasts_s <= FakeSource.negative_ttl_s - passed_s
    assert parts.source.identified == 1


async def test_a_dropped_record_is_identified_again(parts: SimpleNamespace) -> None:
    ref = parts.source.put("a", b"1")
    identity = await parts.originals.identify(ref, deadline=deadline())
    assert parts.originals.freshness(identity).fresh_until_s > parts.clock()
    assert parts.originals.freshness(Identity(ref, "other")).fresh_until_s == 0.0
    assert parts.originals.freshness(Identity(OriginalRef("photos", "b"), "1")).fresh_until_s == 0.0
    parts.originals.drop_record(ref)
    await parts.originals.identify(ref, deadline=deadline())
    assert parts.source.identified == 2


async def test_a_fetched_version_is_not_revalidated(parts: SimpleNamespace) -> None:
    """A server may still confirm the validator of the version before."""
    parts.source.serves_stale, parts.source.freshness_lifetime_s = True, 100.0
    ref = parts.source.put("a", b"1")
    identity = await parts.originals.identify(ref, deadline=deadline())
    parts.source.put("a", b"22", "2")
    async with parts.opened.open_current(ref, deadline=deadline()) as original:
        assert original.name == original_key(Identity(ref, "2"))
    assert parts.source.identified == 1
    with pytest.raises(OriginalChanged):
        async with parts.opened.open(identity, deadline=deadline()):
            pass
    again, _, _ = originals_of(
        {"photos": parts.source}, parts.chain, parts.renderer, parts.flights, parts.clock, parts.metrics
    )
    parts.source.failure = SourceUnavailable("down")
    assert (await again.identify(ref, deadline=deadline())).version == "2"


async def test_bytes_in_quarantine_are_not_confirmed_by_their_validator(
    parts: SimpleNamespace,
) -> None:
    quarantine = Quarantine(parts.renderer, parts.renderer, parts.clock)
    originals, _, facts = originals_of(
        {"photos": parts.source}, parts.chain, quarantine, parts.flights, parts.clock, parts.metrics, refusals=quarantine
    )  # fmt: skip
    parts.source.serves_stale, parts.source.freshness_lifetime_s = True, 10_000.0
    ref = parts.source.put("a", b"half")
    identity = await originals.identify(ref, deadline=deadline())
    parts.renderer.failures = [Undecodable("broken")]
    for _ in range(3):
        with pytest.raises(Undecodable):
            await facts.of(identity, deadline=deadline())
        assert await originals.identify(ref, deadline=deadline()) == identity
    assert (parts.source.identified, parts.renderer.probes) == (1, 1)
    parts.clock.ahead_s = UNDECODABLE_S
    parts.source.failure = SourceUnavailable("down")
    assert await originals.identify(ref, deadline=deadline()) == identity
    parts.source.failure = None
    for _ in range(3):
        assert await originals.identify(ref, deadline=deadline()) == identity
    assert (parts.source.identified, parts.source.last_known) == (3, None), (
        "without a validator, once the source is available"
    )
    parts.renderer.failures = [Undecodable("broken")]
    with pytest.raises(Undecodable):
        await facts.of(identity, deadline=deadline())
    parts.clock.ahead_s += UNDECODABLE_S
    parts.source.put("a", b"whole", "2")
    assert (await originals.identify(ref, deadline=deadline())).version == "2"
    assert parts.source.last_known is None
    parts.clock.ahead_s += 10_000.0
    await originals.identify(ref, deadline=deadline())
    assert parts.source.last_known == "2"


async def test_an_identification_ends_at_its_deadline(parts: SimpleNamespace) -> None:
    async def forever(*_: object) -> None:
        await asyncio.sleep(60)

    parts.source.identify = forever
    with pytest.raises(SourceTimeout):
        await parts.originals.identify(
            OriginalRef("photos", "a"), deadline=asyncio.get_running_loop().time() + 0.02
        )


async def test_a_fetch_ends_at_its_deadline(parts: SimpleNamespace) -> None:
    identity = await parts.originals.identify(parts.source.put("a", b"1"), deadline=deadline())
    parts.source.release.clear()
    with pytest.raises((SourceTimeout,)):
        async with parts.opened.open(identity, deadline=asyncio.get_running_loop().time() + 0.02):
            pass
    assert parts.metrics.counts == {"fetched photos timeout": 1}


async def test_a_failed_fetch_is_counted(parts: SimpleNamespace) -> None:
    identity = await parts.originals.identify(parts.source.put("a", b"1"), deadline=deadline())
    parts.source.failure = SourceUnavailable("down")
    with pytest.raises(SourceUnavailable):
        async with parts.opened.open(identity, deadline=deadline()):
            pass
    assert parts.metrics.counts == {"fetched photos source-unavailable": 1}


async def test_an_original_that_is_missing_at_its_fetch_gets_a_negative_entry(parts: SimpleNamespace) -> None:
    ref = parts.source.put("a", b"1")
    identity = await parts.originals.identify(ref, deadline=deadline())
    parts.source.failure = OriginalNotFound("gone")
    with pytest.raises(OriginalNotFound):
        async with parts.opened.open(identity, deadline=deadline()):
            pass
    parts.source.failure = None
    assert await parts.originals.identify(ref, deadline=deadline()) == identity, (
        "its variants are still served"
    )
    parts.clock.ahead_s = 45
    with pytest.raises(OriginalNotFound) as caught:
        async with parts.opened.open(identity, deadline=deadline()):
            pass
    assert 0 < caught.value.lasts_s <= 15
    parts.clock.ahead_s = 60
    async with parts.opened.open(identity, deadline=deadline()) as original:
        assert original.file.content == b"1"


@pytest.fixture
async def stale_serving(parts: SimpleNamespace) -> SimpleNamespace:
    """The parts with a source whose identities are served stale while it is unavailable."""
    parts.source.serves_stale = True
    parts.source.freshness_lifetime_s = 100.0
    parts.ref = parts.source.put("a", b"1")
    return parts


async def test_a_stale_identity_is_served_while_the_source_is_unavailable(
    stale_serving: SimpleNamespace,
) -> None:
    first = await stale_serving.originals.identify(stale_serving.ref, deadline=deadline())
    for failure in (SourceUnavailable("down"), SourceTimeout("slow")):
        stale_serving.clock.ahead_s += 101
        stale_serving.source.failure = failure
        assert await stale_serving.originals.identify(stale_serving.ref, deadline=deadline()) == first
        identified = stale_serving.source.identified
        stale_serving.clock.ahead_s += STALE_IF_ERROR_S - 0.1
        assert await stale_serving.originals.identify(stale_serving.ref, deadline=deadline()) == first
        assert stale_serving.source.identified == identified, "the source is not called for a while"
        stale_serving.clock.ahead_s += 0.2
        await stale_serving.originals.identify(stale_serving.ref, deadline=deadline())
        assert stale_serving.source.identified == identified + 1
    assert stale_serving.metrics.counts["fetched photos stale"] == 4
    stale_serving.source.failure = None
    stale_serving.source.put("a", b"2", "2")
    stale_serving.clock.ahead_s += STALE_IF_ERROR_S + 0.1
    assert (await stale_serving.originals.identify(stale_serving.ref, deadline=deadline())).version == "2"


async def test_an_unknown_original_of_an_unavailable_source_is_an_error(
    stale_serving: SimpleNamespace,
) -> None:
    stale_serving.source.failure = SourceUnavailable("down")
    with pytest.raises(SourceUnavailable):
        await stale_serving.originals.identify(stale_serving.ref, deadline=deadline())


def restarted(parts: SimpleNamespace) -> Originals:
    """Originals without a record in memory, on the same tiers and source."""
    originals, _, _ = originals_of(
        {"photos": parts.source}, parts.chain, parts.renderer, parts.flights, parts.clock, parts.metrics
    )
    return originals


async def test_an_identity_is_served_stale_after_a_restart(stale_serving: SimpleNamespace) -> None:
    first = await stale_serving.originals.identify(stale_serving.ref, deadline=deadline())
    again = restarted(stale_serving)
    stale_serving.source.failure = SourceUnavailable("down")
    assert await again.identify(stale_serving.ref, deadline=deadline()) == first
    assert stale_serving.source.last_known == first.version
    stale_serving.source.failure = None
    stale_serving.clock.ahead_s += STALE_IF_ERROR_S + 1
    assert await again.identify(stale_serving.ref, deadline=deadline()) == first
    assert stale_serving.metrics.counts["fetched photos ok"] == 1, (
        "a revalidation without a change is no fetch"
    )


async def test_a_removed_original_is_not_served_stale(stale_serving: SimpleNamespace) -> None:
    """The source is unavailable after the restart."""
    await stale_serving.originals.identify(stale_serving.ref, deadline=deadline())
    stale_serving.clock.ahead_s += 101
    del stale_serving.source.originals["a"]
    with pytest.raises(OriginalNotFound):
        await stale_serving.originals.identify(stale_serving.ref, deadline=deadline())
    again = restarted(stale_serving)
    stale_serving.source.failure = SourceUnavailable("down")
    with pytest.raises(SourceUnavailable):
        await again.identify(stale_serving.ref, deadline=deadline())


async def test_a_forbidden_redirect_is_an_error_and_not_served_stale(stale_serving: SimpleNamespace) -> None:
    await stale_serving.originals.identify(stale_serving.ref, deadline=deadline())
    stale_serving.clock.ahead_s += 101
    stale_serving.source.failure = SourceNotAllowed("it redirects to somewhere else")
    with pytest.raises(SourceNotAllowed):
        await stale_serving.originals.identify(stale_serving.ref, deadline=deadline())


async def test_a_revalidation_ends_at_its_deadline(parts: SimpleNamespace) -> None:
    ref = parts.source.put("a", b"1")
    parts.source.release.clear()
    with pytest.raises(SourceTimeout, match="in time"):
        await parts.originals.revalidate(ref, deadline=asyncio.get_running_loop().time() + 0.02)


@pytest.mark.parametrize("has_tags", [False, True])
async def test_a_revalidation_of_a_missing_original_is_an_error(
    parts: SimpleNamespace, has_tags: bool
) -> None:
    async def none(_: str) -> str:
        return ""

    if not has_tags:
        parts.source.tag = none
    with pytest.raises(OriginalNotFound):
        await parts.originals.revalidate(OriginalRef("photos", "gone"), deadline=deadline())
    assert parts.source.identified == int(not has_tags)


# A purge and an upload drop records; work that began earlier adds none that is used.


def purge(parts: SimpleNamespace, _: OriginalRef) -> None:
    parts.generations.apply(
        Purge(PurgeScope("photos", ScopeKind.PREFIX, ""), parts.generations.next_token(1, ""))
    )


def upload(parts: SimpleNamespace, ref: OriginalRef) -> None:
    parts.originals.drop_record(ref)


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("drop", [purge, upload])
async def test_an_identification_that_crosses_a_purge_is_not_recorded(
    parts: SimpleNamespace, drop: Callable[[SimpleNamespace, OriginalRef], None], exists: bool
) -> None:
    ref = OriginalRef("photos", "a")
    identify = parts.source.identify

    async def crossing(key: str, known: str | None) -> Version:
        drop(parts, ref)
        return await identify(key, known)

    parts.source.identify = crossing
    if exists:
        parts.source.put("a", b"1")
        first = await parts.originals.identify(ref, deadline=deadline())
        assert (first.version, first.generation) == ("1", "")
        assert parts.originals.freshness(first).fresh_until_s == 0.0
    else:
        with pytest.raises(OriginalNotFound):
            await parts.originals.identify(ref, deadline=deadline())
    parts.source.identify = identify
    parts.source.put("a", b"2", "2")
    second = await parts.originals.identify(ref, deadline=deadline())
    assert (second.version, second.generation) == ("2", parts.generations.latest)
    assert parts.source.identified == 2


@pytest.mark.parametrize("drop", [purge, upload])
async def test_bytes_that_were_missing_before_a_purge_are_fetched_after_it(
    parts: SimpleNamespace, drop: Callable[[SimpleNamespace, OriginalRef], None]
) -> None:
    ref = parts.source.put("a", b"1")
    identity = await parts.originals.identify(ref, deadline=deadline())

    async def use(identity: Identity) -> bytes:
        async with parts.opened.open(identity, deadline=deadline()) as original:
            content: bytes = original.file.content
            return content

    parts.source.failure = OriginalNotFound("gone")
    with pytest.raises(OriginalNotFound):
        await use(identity)
    drop(parts, ref)
    parts.source.release.clear()
    crossing = asyncio.create_task(use(await parts.originals.identify(ref, deadline=deadline())))
    await settle()
    drop(parts, ref)
    parts.source.release.set()
    with pytest.raises(OriginalNotFound):
        await crossing
    parts.source.failure = None
    assert await use(await parts.originals.identify(ref, deadline=deadline())) == b"1"


async def test_an_original_that_is_fetched_after_a_purge_belongs_to_the_new_generation(
    parts: SimpleNamespace,
) -> None:
    ref = parts.source.put("a", b"1")
    identity = await parts.originals.identify(ref, deadline=deadline())
    purge(parts, ref)
    with pytest.raises(OriginalChanged):
        async with parts.opened.open(identity, deadline=deadline()):
            pass
    again = await parts.originals.identify(ref, deadline=deadline())
    assert again == Identity(ref, "1", parts.generations.latest)
    assert parts.source.identified == 1, "the fetch has identified the original"
    async with parts.opened.open(again, deadline=deadline()) as original:
        assert original.name == original_key(again)


async def test_both_normal_forms_of_a_key_have_one_identity(parts: SimpleNamespace) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    there = parts.source.put(composed, b"1")
    requested = OriginalRef("photos", decomposed)
    identity = await parts.originals.identify(requested, deadline=deadline())
    assert identity.ref == there
    assert await parts.originals.identify(there, deadline=deadline()) == identity
    assert parts.source.identified == 1
    assert parts.originals.freshness(identity).fresh_until_s > parts.clock()
    parts.source.put(composed, b"22", "2")
    async with parts.opened.open_current(requested, deadline=deadline()) as original:
        assert original.file.content == b"22"
