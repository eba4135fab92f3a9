"""Variants of two originals, a picture and a logo beside it. No URL names a second original yet, so the tests do."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from proxy.core.cache.delivery import Outcome
from proxy.core.cache.generations import PurgeScope
from proxy.core.cache.variant_request import VariantRequest
from proxy.core.errors import CalotypeError, OriginalNotFound, SourceUnavailable, Undecodable
from proxy.core.image.original import OriginalRef
from proxy.service.request.deliver import SLOW_REVALIDATION_S, STALE_WAIT_S
from tests.service.composition import Composition
from tests.support.fakes import FakeOriginalFile, FakeWritableSource
from tests.support.waiting import deadline, settle

PICTURE, LOGO, OTHER = OriginalRef("photos", "a"), OriginalRef("logos", "logo"), OriginalRef("photos", "b")
EITHER = pytest.mark.parametrize("ref", [PICTURE, LOGO], ids=["picture", "logo"])


class Node(Composition):
    """A node with a source of logos, which are fresh for longer than pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.logos = FakeWritableSource("logos")
        self.logos.freshness_lifetime_s = 10.0
        self.originals.sources["logos"] = self.logos
        self.of = {PICTURE: self.source, LOGO: self.logos}
        self.source.put("a", b"picture ")
        self.source.put("b", b"other ")
        self.logos.put("logo", b"logo ")

    def both(self, *further: OriginalRef, key: str = "a", tokens: str = "w_100,f_webp") -> VariantRequest:
        request = self.request(key, tokens)
        transform = replace(request.transform, further=further or (LOGO,))
        return replace(request, transform=transform)


def hold_identify(source: FakeWritableSource) -> asyncio.Event:
    """Has `identify` wait for the event."""
    answers, identify = asyncio.Event(), source.identify

    async def held_identify(*arguments: Any) -> Any:
        await answers.wait()
        return await identify(*arguments)

    source.identify = held_identify  # type: ignore[method-assign]
    return answers


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    made = Node()
    await settle()
    yield made
    await made.close()


async def test_a_worker_gets_both_and_the_variant_is_a_hit(node: Node) -> None:
    request = node.both()
    body = await node.get(request)
    assert body.startswith(b"picture logo ")
    hit = node.deliver.fresh_hit(request)
    assert hit is not None
    assert (hit.delivery.outcome, hit.delivery.tier) == (Outcome.HIT, "memory")
    await settle()
    node.memory.entries.clear()
    assert (await node.get(request), node.renderer.renders) == (body, 1)
    assert all(file.closed for source in node.of.values() for file in source.fetched)


async def test_the_key_depends_on_all_originals_and_their_order(node: Node) -> None:
    requests = [
        node.request(), node.both(), node.both(OTHER), node.both(LOGO, OTHER), node.both(OTHER, LOGO),
        node.both(PICTURE, key="b"), node.both(key="b"),
    ]  # fmt: skip
    resolved = [await node.produce.resolve_key(each, deadline=deadline()) for each in requests]
    assert len({each.key for each in resolved}) == len(requests)


@EITHER
async def test_a_purge_of_either_original_purges_the_variant(node: Node, ref: OriginalRef) -> None:
    for source in node.of.values():
        source.freshness_lifetime_s = float("inf")
    request = node.both()
    old = await node.get(request)
    await settle()
    node.of[ref].put(ref.key, b"new ")
    assert await node.get(request) == old
    purged = await node.purges.purge([PurgeScope.of_original(ref)])
    assert purged.tiers == {"memory": 1, "disk": 1}
    assert node.deliver.fresh_hit(request) is None
    assert b"new " in await node.get(request)
    assert node.renderer.renders == 2


@EITHER
async def test_a_purge_of_either_original_ends_the_hits_of_a_front(node: Node, ref: OriginalRef) -> None:
    request = node.both()
    await node.get(request)
    assert node.deliver.fresh_hit(request) is not None
    await node.deliver.invalidate([PurgeScope.of_original(ref)], [])
    assert node.deliver.fresh_hit(request) is None


@EITHER
async def test_a_purge_of_either_original_during_the_render_leaves_no_entry(
    node: Node, ref: OriginalRef
) -> None:
    node.renderer.release.clear()
    before = asyncio.create_task(node.get(node.both()))
    while not node.renderer.renders:
        await asyncio.sleep(0)
    await node.purges.purge([PurgeScope.of_original(ref)])
    node.renderer.release.set()
    await before
    await settle()
    assert not any(key.format for key in (*node.disk.entries, *node.memory.entries))


@EITHER
async def test_a_new_version_of_either_original_is_a_new_variant(node: Node, ref: OriginalRef) -> None:
    request = node.both()
    await node.get(request)
    node.of[ref].put(ref.key, b"new ", "2")
    node.clock.ahead_s += node.of[ref].freshness_lifetime_s
    assert node.deliver.fresh_hit(request) is None
    assert b"new " in await node.get(request)
    assert node.deliver.fresh_hit(request) is not None


async def test_a_variant_is_fresh_while_all_originals_are(node: Node) -> None:
    request, alone = node.both(), replace(node.request(), ref=LOGO)
    await node.get(request)
    await node.get(alone)
    assert node.deliver.fresh_hit(request) is not None
    node.clock.ahead_s += node.source.freshness_lifetime_s
    assert node.deliver.fresh_hit(request) is None
    assert node.deliver.fresh_hit(alone) is not None
    await node.get(request)
    assert (node.source.identified, node.logos.identified, node.renderer.renders) == (2, 1, 2)
    assert node.deliver.fresh_hit(request) is not None


async def test_the_stale_variant_is_served_while_the_source_of_one_is_slow(node: Node) -> None:
    request = node.both()
    old = await node.get(request)
    node.clock.ahead_s += node.logos.freshness_lifetime_s
    answers = hold_identify(node.logos)
    node.logos.put("logo", b"new ", "2")
    began_s = node.clock()
    assert await node.get(request) == old
    assert node.clock() == pytest.approx(began_s + STALE_WAIT_S)
    answers.set()
    await settle()
    assert b"new " in await node.get(request)


async def test_a_slow_source_does_not_keep_the_other_original_from_its_revalidation(node: Node) -> None:
    request, alone = node.both(), replace(node.request(), ref=LOGO)
    old = await node.get(request)
    await node.get(alone)
    node.clock.ahead_s += node.logos.freshness_lifetime_s
    answers = hold_identify(node.logos)
    await node.get(alone)
    node.clock.ahead_s += SLOW_REVALIDATION_S
    assert await node.get(request) == old
    assert node.source.identified == 2
    answers.set()


async def test_a_version_in_the_url_revalidates_both(node: Node) -> None:
    for ref, source in node.of.items():
        source.freshness_lifetime_s = float("inf")
        source.tags[ref.key] = "t1"
    assert (await node.get(node.both())).startswith(b"picture logo ")
    await settle()
    node.logos.put("logo", b"new ")
    node.logos.tags["logo"] = "t2"
    assert (await node.get(node.both(tokens="w_100,f_webp,v_2"))).startswith(b"picture new ")
    assert (node.source.tag_requests, node.logos.tag_requests) == (1, 1)
    del node.logos.originals["logo"]
    node.clock.ahead_s += 60
    late = node.both(tokens="w_100,f_webp,v_3")
    assert (await node.deliver.variant(late, deadline=deadline())).delivery.provisional


async def test_a_purge_of_a_url_revalidates_both(node: Node) -> None:
    for ref, source in node.of.items():
        source.tags[ref.key] = "t1"
    request = node.both()
    await node.get(request)
    await settle()
    node.logos.put("logo", b"new ")
    node.logos.tags["logo"] = "t2"
    await node.purges.purge_and_revalidate(request.refs, [PurgeScope.of_original(OTHER)])
    assert [purge.scope for purge in node.journal.purges] == [PurgeScope.of_original(LOGO)]
    assert (await node.get(request)).startswith(b"picture new ")
    await node.purges.purge_and_revalidate(request.refs, [PurgeScope.of_original(OTHER)])
    assert node.journal.purges[-1].scope == PurgeScope.of_original(OTHER)


async def test_originals_are_identified_and_fetched_at_the_same_time(node: Node) -> None:
    both = asyncio.Barrier(2)

    def waiting(work: Any) -> Any:
        async def wait(*arguments: Any) -> Any:
            await both.wait()
            return await work(*arguments)

        return wait

    for source in node.of.values():
        source.identify, source.fetch = waiting(source.identify), waiting(source.fetch)  # type: ignore[method-assign]
    assert (await node.get(node.both())).startswith(b"picture logo ")


async def test_a_missing_second_original_is_a_negative_entry_of_its_own(node: Node) -> None:
    alone = node.request()
    await node.get(alone)
    del node.logos.originals["logo"]
    for _ in range(2):
        with pytest.raises(OriginalNotFound) as missing:
            await node.get(node.both())
        assert missing.value.lasts_s == pytest.approx(node.logos.negative_ttl_s, abs=0.1)
        assert missing.value.original == 1
    assert node.logos.identified == 1
    assert node.deliver.fresh_hit(alone) is not None, "the picture is not missing"
    node.logos.put("logo", b"logo ")
    node.clock.ahead_s += node.logos.negative_ttl_s
    assert (await node.get(node.both())).startswith(b"picture logo ")


async def test_a_second_original_that_went_missing_keeps_the_record_of_the_first(node: Node) -> None:
    request, alone = node.both(), node.request()
    await node.get(request)
    node.clock.ahead_s += node.logos.freshness_lifetime_s
    await node.get(alone)
    del node.logos.originals["logo"]
    with pytest.raises(OriginalNotFound):
        await node.get(request)
    assert node.deliver.fresh_hit(alone) is not None
    assert {*node.deliver._originals} == {PICTURE}


@pytest.mark.parametrize("step", ["identify", "fetch"])
async def test_an_error_names_the_second_original(node: Node, step: str) -> None:
    async def fail(*_: Any) -> Any:
        raise SourceUnavailable("the source is down", retry_after_s=3)

    setattr(node.logos, step, fail)
    with pytest.raises(SourceUnavailable) as failure:
        await node.get(node.both())
    assert failure.value.detail == "the source is down: 'logo' in source logos"
    assert (failure.value.original, failure.value.retry_after_s) == (1, 3)
    assert all(file.closed for file in node.source.fetched)
    setattr(node.source, step, fail)
    with pytest.raises(SourceUnavailable) as failure:
        await node.get(node.both(key="b"))
    assert failure.value.detail == "the source is down", "the URL names the first"


async def test_an_error_of_the_worker_names_the_original_at_fault(node: Node) -> None:
    for position, detail in enumerate(["it is damaged", "it is damaged: 'logo' in source logos"]):
        node.renderer.failures = [Undecodable("it is damaged").at(position)]
        with pytest.raises(CalotypeError) as failure:
            await node.get(node.both())
        assert failure.value.detail == detail


async def test_a_second_original_that_changes_during_the_render_is_rendered_again(node: Node) -> None:
    def overwrite(file: FakeOriginalFile) -> None:
        if file.content == b"logo ":
            file.changed = True
            node.logos.put("logo", b"new ", "2")

    node.renderer.during = overwrite
    assert (await node.get(node.both())).startswith(b"picture new ")
    assert (node.renderer.renders, len(node.logos.fetched)) == (2, 2)


async def test_a_variant_of_both_is_prepared_once(node: Node) -> None:
    assert await node.produce.prepare(node.both(), deadline=deadline())
    assert not await node.produce.prepare(node.both(), deadline=deadline())
    assert {ref for ref, entry, _ in node.index.notes if entry.key.format} == {PICTURE, LOGO}


async def test_one_original_may_be_both(node: Node) -> None:
    request = node.both(PICTURE)
    assert (await node.get(request)).startswith(b"picture picture ")
    node.source.put("a", b"new ", "2")
    node.clock.ahead_s += 1
    assert (await node.get(request)).startswith(b"new new ")
    assert node.deliver.fresh_hit(request) is not None
