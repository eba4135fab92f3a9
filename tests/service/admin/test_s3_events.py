"""S3 event notifications: what they purge, what they pre-generate, and which of them are ignored."""

import json

import pytest

from proxy.core.admin.commands import S3Notification
from proxy.core.errors import PurgeIncomplete
from tests.service.composition import Composition
from tests.support.waiting import eventually


def message(name: str, key: str, **more: str) -> S3Notification:
    record = {"eventName": name, "s3": {"bucket": {"name": "b"}, "object": {"key": key, **more}}}
    return S3Notification(json.dumps({"Records": [record]}).encode())


async def test_events_purge_and_pregenerate(composition: Composition) -> None:
    async def notify(name: str, key: str, **more: str) -> tuple[int, int, int]:
        answer = await composition.dispatch.execute(message(name, key, **more))
        return answer.created, answer.removed, answer.ignored  # type: ignore[attr-defined]

    created, removed = "ObjectCreated:Put", "ObjectRemoved:Delete"
    assert await notify(created, "p/a", eTag="1", sequencer="1") == (1, 0, 0)
    assert not composition.journal.purges  # No node has an entry of it.
    variant_request = composition.request("a", "w_90,f_webp")
    await eventually(lambda: composition.renderer.renders == 3)
    assert await notify(created, "p/a", eTag="1", sequencer="2") == (1, 0, 0)
    assert not composition.journal.purges  # The entity tag is the same.
    assert await notify(created, "p/a", eTag="2", sequencer="1") == (0, 0, 1)
    assert not composition.journal.purges  # The event is older than the last one.
    old = await composition.get(variant_request)
    composition.source.put("a", b"anew")
    assert await notify(created, "p/a", eTag="2", sequencer="3") == (1, 0, 0)
    assert len(composition.journal.purges) == 1
    assert await composition.get(variant_request) != old
    assert await notify(removed, "p/a", sequencer="4") == (0, 1, 0)
    assert await notify(created, "p/a", eTag="2", sequencer="3") == (0, 0, 1)
    assert len(composition.journal.purges) == 2
    assert await notify(created, "elsewhere/a") == (0, 0, 1)


async def test_an_event_with_an_incomplete_purge_is_not_recorded(fleet: Composition) -> None:
    fleet.fleet.unconfirmed = ["redis: it cannot be reached"]
    event = message("ObjectCreated:Put", "p/a", eTag="1", sequencer="1")
    for _ in range(2):
        with pytest.raises(PurgeIncomplete) as refused:
            await fleet.dispatch.execute(event)
        assert refused.value.open == ("redis: it cannot be reached",)
    fleet.fleet.unconfirmed = []
    await fleet.dispatch.execute(event)
    assert len(fleet.fleet.published) == 3


async def test_an_original_with_the_stored_entity_tag_is_not_purged(fleet: Composition) -> None:
    ref = fleet.source.put("a", b"a")
    created = message("ObjectCreated:Put", "p/a", eTag="1", sequencer="1")
    await fleet.dispatch.execute(created)
    assert len(fleet.journal.purges) == 1, "another node may have variants of an earlier original"
    assert await fleet.originals.stored_tag(ref) == "1"
    # Another node shares the last tier and has received no event.
    fleet.index.events.clear()
    await fleet.dispatch.execute(created)
    assert len(fleet.journal.purges) == 1
    fleet.index.events.clear()
    await fleet.dispatch.execute(message("ObjectCreated:Put", "p/a", eTag="2"))
    assert len(fleet.journal.purges) == 2
