"""The miss path: resolve, render, store, and prepare, called through Deliver as in a node of one process."""

import asyncio
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.core.cache.delivery import Outcome, Variant
from proxy.core.cache.http_caching import etag
from proxy.core.cache.keys import original_key
from proxy.core.cache.variant_request import VariantRequest
from proxy.core.errors import (
    BadTransform,
    Internal,
    OriginalNotFound,
    Overloaded,
    SourceUnavailable,
    WorkerDied,
)
from proxy.core.image.faces import Faces
from proxy.core.image.formats import Format
from proxy.core.image.original import Identity
from proxy.core.transform.operations import Transform
from proxy.service.request.tier_chain import Leased, TierChain
from proxy.service.request.version_checks import NOT_CHECKED
from tests.service.composition import RENDER_DEFAULTS
from tests.support.fakes import FakeRedirects
from tests.support.waiting import deadline, settle


async def test_a_started_render_is_stored_though_no_client_waits(node: SimpleNamespace) -> None:
    node.renderer.release.clear()
    alone = asyncio.create_task(node.variant(node.request(), deadline=deadline()))
    await settle()
    alone.cancel()
    await settle()
    node.renderer.release.set()
    await settle()
    assert (await node.variant(node.request(), deadline=deadline())).outcome is Outcome.HIT
    assert node.renderer.renders == 1


async def test_a_queued_render_without_waiters_does_not_start(node: SimpleNamespace) -> None:
    node.renderer.slots = asyncio.Semaphore(0)
    alone = asyncio.create_task(node.variant(node.request(), deadline=deadline()))
    await settle()
    alone.cancel()
    await settle()
    node.renderer.slots.release()
    await settle()
    assert node.renderer.renders == 0
    assert len(node.flights) == 0


async def test_auto_probes_once_and_stores_one_entry_per_format(node: SimpleNamespace) -> None:
    classes: list[tuple[Format, ...]] = [(), (Format.WEBP,), (Format.AVIF,), (Format.AVIF, Format.WEBP)]
    formats = [
        (await node.variant(node.request("f_auto", *accepted), deadline=deadline())).format
        for accepted in classes
    ]
    assert formats == [Format.JPEG, Format.WEBP, Format.AVIF, Format.AVIF]
    assert node.renderer.probes == 1
    assert node.renderer.renders == 3


async def test_a_failure_is_not_cached(node: SimpleNamespace) -> None:
    node.renderer.failures = [Overloaded("busy")]
    with pytest.raises(Overloaded):
        await node.variant(node.request(), deadline=deadline())
    assert node.memory.entries == {}
    assert (await node.variant(node.request(), deadline=deadline())).outcome is Outcome.MISS


async def test_a_missing_original_is_an_error(node: SimpleNamespace) -> None:
    del node.source.originals["a"]
    with pytest.raises(OriginalNotFound):
        await node.variant(node.request(), deadline=deadline())


async def test_a_file_replaced_between_identification_and_fetch_is_identified_again(
    node: SimpleNamespace,
) -> None:
    variant_request = node.request()
    await node.produce.resolve(variant_request, deadline=deadline())
    node.source.put("a", b"22", "2")
    delivery = await node.variant(variant_request, deadline=deadline())
    assert delivery.variant.body.startswith(b"22")


async def test_a_file_that_changes_during_the_render_is_rendered_again(node: SimpleNamespace) -> None:
    def overwrite(original: object) -> None:
        original.changed = True  # type: ignore[attr-defined]
        node.renderer.during = lambda _: None

    node.renderer.during = overwrite
    delivery = await node.variant(node.request(), deadline=deadline())
    assert delivery.outcome is Outcome.MISS
    assert node.renderer.renders == 2


async def test_a_file_that_keeps_changing_is_an_error(node: SimpleNamespace) -> None:
    node.renderer.during = lambda original: setattr(original, "changed", True)
    with pytest.raises(SourceUnavailable, match="keeps changing"):
        await node.variant(node.request(), deadline=deadline())
    assert node.memory.entries == {}


async def test_a_variant_that_no_tier_stores_is_shared_and_reported_as_not_stored(
    node: SimpleNamespace,
) -> None:
    node.memory.max_entry_bytes = 0
    chain = TierChain(node.memory, [], node.metrics)
    node.produce._chain, node.produce._leased = chain, Leased(chain)
    node.renderer.release.clear()
    tasks = [asyncio.create_task(node.variant(node.request(), deadline=deadline())) for _ in range(10)]
    await settle()
    node.renderer.release.set()
    deliveries = await asyncio.gather(*tasks)
    assert not any(delivery.stored for delivery in deliveries)
    assert node.renderer.renders == 1


async def test_a_rendered_variant_has_timings(node: SimpleNamespace) -> None:
    delivery = await node.variant(node.request(), deadline=deadline())
    assert min(delivery.timings.fetch_s, delivery.timings.queue_s, delivery.timings.render_s) >= 0


async def test_a_variant_in_the_bucket_is_answered_with_its_location(node: SimpleNamespace) -> None:
    node.produce._redirects = redirects = FakeRedirects()
    variant_request = node.request()
    key = (await node.produce.resolve_key(variant_request, deadline=deadline())).key
    redirects.known[key] = "https://cdn.example/x"
    sent = await node.deliver.variant(variant_request, deadline=deadline(), redirect_until_s=math.inf)
    assert (sent.delivery.outcome, sent.delivery.tier, sent.delivery.location, sent.variant) == (
        Outcome.HIT, "bucket", "https://cdn.example/x", None,
    )  # fmt: skip
    assert node.renderer.renders == 0
    proxied = await node.deliver.variant(variant_request, deadline=deadline())
    assert proxied.variant is not None
    hit = await node.deliver.variant(variant_request, deadline=deadline(), redirect_until_s=math.inf)
    assert (hit.delivery.tier, hit.delivery.location) == ("memory", ""), (
        "a memory hit comes before a redirect"
    )


async def test_a_variant_that_is_not_in_the_bucket_is_proxied(node: SimpleNamespace) -> None:
    node.produce._redirects = FakeRedirects()
    sent = await node.deliver.variant(node.request(), deadline=deadline(), redirect_until_s=math.inf)
    assert (sent.delivery.outcome, sent.delivery.location) == (Outcome.MISS, "")


async def test_without_version_checks_no_version_is_checked(node: SimpleNamespace) -> None:
    assert await node.produce.check_version([node.ref], "1", deadline=deadline()) == NOT_CHECKED


async def test_information_has_the_entity_tag_of_its_original(node: SimpleNamespace) -> None:
    async def render(*job: Any) -> Variant:
        job[-1].on_start()
        return Variant(body=b'{"width": 3}')

    node.renderer.render = render
    variant_request = VariantRequest(node.ref, Transform(format=Format.INFO), frozenset(), 4000)
    delivered = await node.deliver.variant(variant_request, deadline=deadline())
    identity = Identity(node.ref, "1")
    assert delivered.variant is not None
    information = json.loads(delivered.variant.body)
    assert (information["width"], information["etag"]) == (3, etag(original_key(identity)))


async def test_a_variant_that_no_tier_stores_cannot_be_prepared(node: SimpleNamespace) -> None:
    async def full(*_: object) -> bool:
        return False

    node.disk.store = full
    with pytest.raises(Internal, match="no tier could store it"):
        await node.produce.prepare(node.request(), deadline=deadline())
    assert node.renderer.renders == 1


async def test_a_stored_variant_is_not_prepared_again(node: SimpleNamespace) -> None:
    assert await node.produce.prepare(node.request(), deadline=deadline())
    assert not await node.produce.prepare(node.request(), deadline=deadline())
    assert node.renderer.renders == 1
    assert not node.memory.entries, "it takes no memory from the variants of clients"


FACE = "w_40,h_30,c_fill,g_face,f_jpg"
NO_FACE = "gravity;asked=face;made=auto"


@pytest.fixture
def detecting(node: SimpleNamespace) -> SimpleNamespace:
    """The node with a face detector."""
    node.produce.reload(replace(RENDER_DEFAULTS, face_detector=node.renderer.version))
    return node


async def notice_of(node: SimpleNamespace, tokens: str = FACE) -> tuple[str, str]:
    """The tier and the notice of a delivery."""
    delivery, variant = await node.deliver.variant(node.request(tokens), deadline=deadline())
    assert variant.notice == delivery.notice
    return delivery.tier, delivery.notice


async def test_faces_are_found_for_the_first_size_only(detecting: SimpleNamespace) -> None:
    found = detecting.renderer.faces
    sizes = [FACE, "w_80,h_30,c_fill,g_faces,f_jpg", "c_crop,w_9,g_face,f_png"]
    for tokens in (*sizes, "w_40,h_30,c_fill,g_auto,f_jpg"):
        assert await notice_of(detecting, tokens) == ("", "")
    assert detecting.renderer.rendered_faces == [found, found, found, None]
    assert (detecting.renderer.searches, len(detecting.source.fetched)) == (1, 3 + 1)


async def test_a_variant_without_a_face_says_so_from_every_tier(detecting: SimpleNamespace) -> None:
    detecting.renderer.faces = Faces()
    assert [await notice_of(detecting) for _ in range(2)] == [("", NO_FACE), ("memory", NO_FACE)]
    current = await detecting.deliver.variant(
        detecting.request(FACE), deadline=deadline(), needs_no_body=lambda _: True
    )
    assert (current.variant, current.delivery.notice) == (None, NO_FACE)
    await settle()
    detecting.memory.entries.clear()
    assert [await notice_of(detecting) for _ in range(2)] == [("disk", NO_FACE), ("memory", NO_FACE)]
    both = await notice_of(detecting, "c_crop,w_90,g_faces~" + FACE)
    assert both == ("", "gravity;asked=faces;made=auto, " + NO_FACE)
    assert (detecting.renderer.searches, detecting.renderer.renders) == (1, 2)


@pytest.mark.parametrize("failure", [WorkerDied("gone"), Internal("a bug")])
async def test_an_original_that_the_detector_fails_on_has_no_faces(
    detecting: SimpleNamespace, failure: Exception
) -> None:
    detecting.renderer.failures = [failure]
    for tokens in (FACE, "w_80,h_30,c_fill,g_face,f_jpg"):
        assert await notice_of(detecting, tokens) == ("", NO_FACE)
    assert detecting.renderer.searches == 1


HIDDEN = "e_blurfaces:9,f_jpg"


async def test_a_picture_whose_faces_are_to_be_hidden_needs_to_know_them(detecting: SimpleNamespace) -> None:
    assert await notice_of(detecting, HIDDEN) == ("", "")
    assert detecting.renderer.rendered_faces == [detecting.renderer.faces]


async def test_a_picture_without_a_face_has_none_to_hide(detecting: SimpleNamespace) -> None:
    detecting.renderer.faces = Faces()
    assert await notice_of(detecting, HIDDEN) == ("", "")


@pytest.mark.parametrize("earlier", [(), (FACE,)])
async def test_faces_that_may_be_there_are_never_shown_to_whom_they_are_hidden_from(
    detecting: SimpleNamespace, earlier: Sequence[str]
) -> None:
    detecting.renderer.failures = [WorkerDied("gone")]
    for tokens in earlier:
        await notice_of(detecting, tokens)
    for _ in range(2):
        with pytest.raises(Internal, match="cannot be hidden"):
            await notice_of(detecting, HIDDEN)
    assert detecting.renderer.renders == len(earlier)


async def test_a_node_without_a_detector_hides_no_faces(node: SimpleNamespace) -> None:
    with pytest.raises(BadTransform, match="extra faces"):
        await notice_of(node, HIDDEN)
    assert node.renderer.renders == 0


async def test_an_overloaded_detector_fails_one_request(detecting: SimpleNamespace) -> None:
    detecting.renderer.failures = [Overloaded("busy")]
    with pytest.raises(Overloaded):
        await notice_of(detecting)
    assert await notice_of(detecting) == ("", "")
    assert (detecting.renderer.searches, detecting.renderer.renders) == (2, 1)
