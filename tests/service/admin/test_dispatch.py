"""What an admin may have a node do: uploads, pre-generation, events, purges by URL. Jobs are real ones, on disk."""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.core.admin.commands import (
    CancelJob,
    Explain,
    JobStatus,
    ListOriginals,
    PurgeCommand,
    RecordUsage,
    RetryJob,
    S3Notification,
    Upload,
    Warm,
)
from proxy.core.admin.jobs import JobProgress
from proxy.core.cache.generations import Purge, PurgeScope, ScopeKind
from proxy.core.errors import (
    BadRequest,
    BadTransform,
    CalotypeError,
    Conflict,
    Draining,
    Overloaded,
    PurgeIncomplete,
    SourceNotAllowed,
    SourceUnavailable,
    Undecodable,
    UnknownRoute,
)
from proxy.core.image.original import OriginalRef
from proxy.core.url.mounts import Mount, Signing
from proxy.core.url.policy import Dimensions
from proxy.core.url.signing import verify
from proxy.service.admin import pregeneration
from proxy.state.database import Database
from proxy.state.job_store import SCHEMA, SqliteJobStore
from tests.service.composition import SECRET, Composition, rules
from tests.support.fakes import FakeMetrics, FakePurgeLog
from tests.support.waiting import LONGEST_S, eventually, settled


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Composition]:
    database = Database(tmp_path / "jobs.db", SCHEMA, FakeMetrics())
    made = Composition().with_jobs(SqliteJobStore(database))
    for key in ("a", "b", "deep/c"):
        made.source.put(key, key.encode())

    async def at_once() -> None: ...

    made.pregeneration.start(at_once)
    yield made
    await made.pregeneration.close()
    await made.close()
    await database.close()


async def ended(house: Composition, job: str) -> JobProgress:
    deadline = time.monotonic() + LONGEST_S
    while time.monotonic() < deadline:
        progress = await house.dispatch.execute(JobStatus(job))
        assert isinstance(progress, JobProgress)
        if progress.state == "done":
            return progress
        await asyncio.sleep(0.01)
    raise AssertionError("the job never ended")


async def warmed(house: Composition, **asked: object) -> JobProgress:
    told = await house.dispatch.execute(Warm(mount="", **asked))  # type: ignore[arg-type]
    assert isinstance(told, dict)
    return await ended(house, told["id"])


def counts(progress: JobProgress) -> tuple[int, int, int, int]:
    return progress.total, progress.done, progress.skipped, progress.failed


async def upload(
    house: Composition, content: bytes = b"picture", once: str = "", mount: str = "", **more: Any
) -> dict[str, object]:
    descriptor = os.memfd_create("upload")
    try:
        os.write(descriptor, content)
        asked = Upload(mount=mount, name="x.jpg", once=once, **more)
        told = await house.dispatch.execute(asked, content=descriptor, size_bytes=len(content))
    finally:
        os.close(descriptor)
    return {name: getattr(told, name) for name in told.__dataclass_fields__}  # type: ignore[attr-defined]


async def test_a_job_makes_every_format_once_and_skips_what_is_there(house: Composition) -> None:
    progress = await warmed(house, keys=("a", "b"), presets=("card",), transforms=("w_200,f_png",))
    assert counts(progress) == (8, 8, 0, 0)
    assert house.renderer.renders == 8
    assert len(house.disk.entries) == 8 + 2  # and facts
    assert not [
        key for key in house.disk.entries if house.memory.lookup(key) and house.disk.entries[key].kind
    ]
    again = await warmed(house, prefix="", presets=("card",))
    assert counts(again) == (9, 3, 6, 0)
    told = await house.dispatch.execute(JobStatus())
    assert isinstance(told, list)
    assert [each.id for each in told] == [again.id, progress.id]


async def test_what_failed_is_told_and_can_be_run_again(house: Composition) -> None:
    await warmed(house, keys=("a",), transforms=("w_9,f_auto",))  # Its facts are known.
    house.renderer.failures = [Undecodable("the original is damaged")]
    progress = await warmed(house, keys=("a", "gone"), transforms=("w_1,f_webp", "w_2,f_auto"))
    assert counts(progress) == (8, 3, 0, 5)
    assert Counter((failure.key, failure.slug) for failure in progress.failures) == {
        ("a", "undecodable"): 1,
        ("gone", "original-not-found"): 4,
    }
    assert {failure.transform for failure in progress.failures if failure.key == "gone"} == {
        "w_1,f_webp",
        "w_2,f_auto",
    }
    house.source.put("gone", b"here")
    house.originals.drop_negative(OriginalRef("photos", "gone"))
    assert await house.dispatch.execute(RetryJob(progress.id)) == {"id": progress.id}
    assert counts(await ended(house, progress.id)) == (8, 8, 0, 0)
    for asked in (RetryJob("x"), JobStatus("x")):
        with pytest.raises(UnknownRoute):
            await house.dispatch.execute(asked)


async def test_a_cancelled_job_is_given_up_where_it_is(house: Composition) -> None:
    house.renderer.gate.clear()
    told = await house.dispatch.execute(
        Warm(mount="", keys=("a", "b"), transforms=("w_1,f_webp", "w_2,f_webp"))
    )
    assert isinstance(told, dict)
    while not house.renderer.renders:
        await asyncio.sleep(0.01)
    cancelled = await house.dispatch.execute(CancelJob(told["id"]))
    assert isinstance(cancelled, JobProgress)
    assert (cancelled.state, counts(cancelled)) == ("cancelled", (4, 0, 0, 0))
    begun = house.renderer.renders
    house.renderer.gate.set()
    other = await warmed(house, keys=("b",), transforms=("w_7,f_png",))
    assert counts(other) == (1, 1, 0, 0)
    assert house.renderer.renders <= begun + 1
    assert await house.dispatch.execute(JobStatus(told["id"])) == cancelled
    with pytest.raises(Conflict):
        await house.dispatch.execute(RetryJob(told["id"]))
    with pytest.raises(UnknownRoute):
        await house.dispatch.execute(CancelJob("x"))


async def test_a_job_cancelled_while_its_originals_are_listed_lists_no_more(house: Composition) -> None:
    listing = asyncio.Event()
    go_on = asyncio.Event()

    async def keys(_: str) -> AsyncIterator[list[str]]:
        for _ in range(100):
            listing.set()
            yield ["a"]
            await go_on.wait()

    house.source.keys = keys  # type: ignore[method-assign]
    told = await house.dispatch.execute(Warm(mount="", prefix="", transforms=("w_1,f_webp",)))
    assert isinstance(told, dict)
    await listing.wait()
    cancelled = await house.dispatch.execute(CancelJob(told["id"]))
    go_on.set()
    assert isinstance(cancelled, JobProgress)
    await warmed(house, keys=("b",), transforms=("w_7,f_png",))
    after = await house.dispatch.execute(JobStatus(told["id"]))
    assert isinstance(after, JobProgress)
    assert (after.state, after.total) == ("cancelled", cancelled.total)


async def test_variants_of_one_original_open_it_once(house: Composition) -> None:
    house.renderer.gate.clear()
    told = await house.dispatch.execute(
        Warm(mount="", keys=("a",), transforms=("w_1,f_webp", "w_2,f_webp", "w_3,f_png"))
    )
    assert isinstance(told, dict)
    await eventually(lambda: house.renderer.renders == 3)
    house.renderer.gate.set()
    assert counts(await ended(house, told["id"])) == (3, 3, 0, 0)
    assert len(house.source.fetched) == house.source.identified == 1


async def test_no_more_variants_are_under_way_than_there_are_seats(
    house: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.renderer.gate.clear()
    transforms = tuple(f"w_{width},f_webp" for width in range(1, 40))
    told = await house.dispatch.execute(Warm(mount="", keys=("a", "b"), transforms=transforms))
    assert isinstance(told, dict)
    await eventually(lambda: house.renderer.renders == pregeneration._A_WORKER * 2)
    await settled()
    assert house.renderer.renders == pregeneration._A_WORKER * 2
    house.renderer.gate.set()
    assert counts(await ended(house, told["id"])) == (78, 78, 0, 0)


@pytest.mark.parametrize("scope", [{"original": "a"}, {"url": "/w_1,f_webp/a"}])
async def test_what_is_purged_while_it_is_stored_is_made_anew(
    house: Composition, scope: dict[str, str]
) -> None:
    house.disk.gate.clear()
    told = await house.dispatch.execute(Warm(mount="", keys=("a",), transforms=("w_1,f_webp",)))
    assert isinstance(told, dict)
    await eventually(lambda: house.renderer.renders)
    await settled()
    purging = asyncio.create_task(house.dispatch.execute(PurgeCommand(mount="", **scope)))
    await settled()
    house.disk.gate.set()
    await purging
    assert counts(await ended(house, told["id"])) == (1, 1, 0, 0)
    assert house.renderer.renders == 2


async def test_equal_variants_of_a_job_are_made_once(house: Composition) -> None:
    progress = await warmed(house, keys=("a",), transforms=("w_7,f_webp", "f_webp,w_7,q_80"))
    assert counts(progress) == (2, 1, 1, 0)
    assert house.renderer.renders == 1


async def test_a_source_that_cannot_be_listed_fails_the_job(house: Composition) -> None:
    house.source.failure = SourceUnavailable("the source cannot be read")
    progress = await warmed(house, prefix="", presets=("small",))
    assert counts(progress) == (1, 0, 0, 1)
    house.source.failure = None
    await house.dispatch.execute(RetryJob(progress.id))
    assert counts(await ended(house, progress.id)) == (3, 3, 0, 0)


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (Warm(mount="", keys=("a",)), BadRequest),
        (Warm(mount="", keys=("a",), presets=("nope",)), BadTransform),
        (Warm(mount="", keys=("a",), transforms=("w_x",)), BadTransform),
        (Warm(mount="nope", keys=("a",), transforms=("w_1",)), UnknownRoute),
        (Warm(mount="", keys=("../a",), transforms=("w_1",)), CalotypeError),
        (Warm(mount="", keys=("https://x.example/a",), transforms=("w_1",)), SourceNotAllowed),
        (PurgeCommand(mount="", preset="nope"), BadTransform),
        (PurgeCommand(mount="", url="nope"), CalotypeError),
        (PurgeCommand(mount="nope", all=True), UnknownRoute),
    ],
)
async def test_what_is_wrong_is_refused_at_once(
    house: Composition, asked: Warm | PurgeCommand, kind: type
) -> None:
    with pytest.raises(kind):
        await house.dispatch.execute(asked)
    assert await house.dispatch.execute(JobStatus()) == []


async def test_a_busy_node_is_waited_for(house: Composition, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pregeneration, "PAUSE_S", 0.01)
    house.renderer.failures = [Overloaded("busy")] * 3
    assert counts(await warmed(house, keys=("a",), transforms=("w_1,f_webp",))) == (1, 1, 0, 0)
    monkeypatch.setattr(pregeneration, "TRIES", 2)
    house.renderer.failures = [Overloaded("busy")] * 3 + [RuntimeError("odd")]
    progress = await warmed(house, keys=("b", "deep/c"), transforms=("w_1,f_webp",))
    assert sorted(failure.slug for failure in progress.failures) == ["internal", "overloaded"]


async def test_a_job_goes_on_after_a_restart(house: Composition) -> None:
    house.renderer.gate.clear()
    told = await house.dispatch.execute(Warm(mount="", keys=("a", "b"), transforms=("w_1,f_webp",)))
    assert isinstance(told, dict)
    await eventually(lambda: house.renderer.renders)
    await house.pregeneration.close()
    house.renderer.gate.set()
    await settled()
    assert (await house.dispatch._state(told["id"])).state == "running"
    house.with_jobs(house.pregeneration._jobs)

    async def at_once() -> None: ...

    house.pregeneration.start(at_once)
    progress = await ended(house, told["id"])
    assert (progress.total, progress.failed, progress.done + progress.skipped) == (2, 0, 2)


async def test_a_stop_fails_nothing(house: Composition) -> None:
    house.renderer.failures = [Draining("the node is stopping")]
    told = await house.dispatch.execute(Warm(mount="", keys=("a",), transforms=("w_1,f_webp",)))
    assert isinstance(told, dict)
    await asyncio.sleep(0.1)
    assert (await house.dispatch._state(told["id"])).failed == 0


async def test_an_upload_is_stored_and_prepared(house: Composition) -> None:
    told = await upload(house)
    key = str(told["key"])
    assert house.source.originals[key] == b"picture"
    assert key.endswith("/x.jpg")
    assert told["urls"] == {"card": f"/t_card/{key}", "small": f"/t_small/{key}"}
    assert (told["width"], told["height"], told["format"], told["bytes"]) == (40, 30, "jpeg", 7)
    assert counts(await ended(house, str(told["warm"]))) == (4, 4, 0, 0)
    assert (await upload(house))["key"] != key
    assert house.renderer.probes == 2


async def test_an_upload_of_one_name_is_stored_once(house: Composition) -> None:
    answers = await asyncio.gather(*(upload(house, once="order 66") for _ in range(5)))
    assert len({str(told["key"]) for told in answers}) == 1
    assert len(house.source.originals) == 4
    with pytest.raises(Conflict):
        await upload(house, b"another", once="order 66")


async def test_a_key_of_its_own_is_taken_once(house: Composition) -> None:
    told = await upload(house, key="shoes/groß.jpg")
    assert told["key"] == "shoes/groß.jpg"
    assert told["urls"] == {"card": "/t_card/shoes/gro%C3%9F.jpg", "small": "/t_small/shoes/gro%C3%9F.jpg"}
    for content, once in ((b"picture", ""), (b"another", ""), (b"another", "1")):
        with pytest.raises(Conflict):
            await upload(house, content, once, key="shoes/groß.jpg")
        assert house.source.originals["shoes/groß.jpg"] == b"picture"
    again = await upload(house, b"picture", "1", key="shoes/groß.jpg")
    assert again["key"] == "shoes/groß.jpg"
    for key in ("../a.jpg", "a//b.jpg", "/a.jpg", "https://x.example/a.jpg"):
        with pytest.raises(CalotypeError):
            await upload(house, key=key)


async def test_what_is_overwritten_is_purged(house: Composition) -> None:
    ref = house.source.put("a.jpg", b"old")
    await upload(house, b"new", key="a.jpg", overwrite=True)
    intended, purged = house.journal.purges
    assert intended.scope == purged.scope == PurgeScope.of_original(ref)
    assert intended.token < purged.token == house.generations.original_generation(ref)
    assert house.source.originals["a.jpg"] == b"new"
    told = await upload(house, b"newer", key="a.jpg", overwrite=True)
    assert told["urls"]["card"] == f"/t_card,v_{house.generations.original_generation(ref)}/a.jpg"  # type: ignore[index]
    assert house.generations.original_generation(ref) > purged.token
    fresh = await upload(house, b"first", key="b.jpg", overwrite=True)
    assert fresh["key"] == "b.jpg"


async def test_nothing_is_overwritten_where_the_purge_cannot_be_written(house: Composition) -> None:
    house.source.put("a.jpg", b"old")
    house.journal.fault = OSError(28, "No space left on device")
    with pytest.raises(PurgeIncomplete, match="nothing was changed: No space left on device"):
        await upload(house, b"new", key="a.jpg", overwrite=True)
    assert house.source.originals["a.jpg"] == b"old"


async def test_what_may_have_been_overwritten_is_purged(house: Composition) -> None:
    ref = house.source.put("a.jpg", b"old")
    house.source.failure = SourceUnavailable("it broke off, perhaps behind the last byte")
    with pytest.raises(SourceUnavailable):
        await upload(house, b"new", key="a.jpg", overwrite=True)
    assert house.generations.original_generation(ref)


async def test_a_purge_that_is_not_complete_is_told_of_what_was_overwritten(house: Composition) -> None:
    house.source.put("a.jpg", b"old")
    house.purges._fleet = FakePurgeLog()
    house.purges._fleet.unheard = ["node b: has not confirmed"]
    with pytest.raises(PurgeIncomplete) as told:
        await upload(house, b"new", key="a.jpg", overwrite=True)
    assert told.value.open == ("node b: has not confirmed",)


async def test_an_upload_under_a_key_ends_its_absence_everywhere(house: Composition) -> None:
    house.purges._fleet = fleet = FakePurgeLog()
    await upload(house, key="new.jpg")
    assert fleet.published == [Purge(PurgeScope("photos", ScopeKind.ORIGINAL, "new.jpg"), "")]


async def test_what_is_no_picture_is_not_stored(house: Composition) -> None:
    house.renderer.failures = [Undecodable("no")]
    with pytest.raises(Undecodable):
        await upload(house)
    assert len(house.source.originals) == 3


async def test_who_leaves_leaves_nothing_behind(house: Composition) -> None:
    house.source.gate.clear()

    async def keep_late(key: str, content: object, **_: object) -> None:
        house.source.originals[key] = b"kept all the same"
        await house.source.gate.wait()

    house.source.store = keep_late
    uploading = asyncio.create_task(upload(house))
    await eventually(lambda: len(house.source.originals) == 4)
    uploading.cancel()
    await asyncio.gather(uploading, return_exceptions=True)
    assert len(house.source.originals) == 3


async def test_urls_of_an_upload_are_signed_where_they_have_to_be(house: Composition) -> None:
    house.rules = rules(signing=Signing.REQUIRED)
    host = replace(
        house.rules.mounts[0], name="host", host="img.example", prefix="/p/", signing=Signing.OFF, keys={}
    )
    house.rules = house.rules._replace(mounts=[*house.rules.mounts, host])
    signed = await upload(house, mount="shop")
    urls = signed["urls"]
    assert isinstance(urls, dict)
    assert verify(urls["card"], {"k": SECRET}) is not None
    there = await upload(house, mount="host")
    urls = there["urls"]
    assert isinstance(urls, dict)
    assert urls["card"] == f"https://img.example/p/t_card/{there['key']}"
    with pytest.raises(BadRequest, match="mount"):
        await upload(house)


def message(name: str, key: str, **more: str) -> S3Notification:
    said = {"eventName": name, "s3": {"bucket": {"name": "b"}, "object": {"key": key, **more}}}
    return S3Notification(json.dumps({"Records": [said]}).encode())


async def test_events_purge_and_prepare(house: Composition) -> None:
    async def hear(name: str, key: str, **more: str) -> tuple[int, int, int]:
        told = await house.dispatch.execute(message(name, key, **more))
        return told.created, told.removed, told.ignored  # type: ignore[attr-defined]

    created, removed = "ObjectCreated:Put", "ObjectRemoved:Delete"
    assert await hear(created, "p/a", eTag="1", sequencer="1") == (1, 0, 0)
    assert not house.journal.purges  # Nothing was known of it, here or anywhere.
    wanted = house.request("a", "w_90,f_webp")
    await eventually(lambda: house.renderer.renders == 3)
    assert await hear(created, "p/a", eTag="1", sequencer="2") == (1, 0, 0)
    assert not house.journal.purges  # The very same.
    assert await hear(created, "p/a", eTag="2", sequencer="1") == (0, 0, 1)
    assert not house.journal.purges  # Late.
    old = await house.get(wanted)
    house.source.put("a", b"anew")
    assert await hear(created, "p/a", eTag="2", sequencer="3") == (1, 0, 0)
    assert len(house.journal.purges) == 1
    assert await house.get(wanted) != old
    assert await hear(removed, "p/a", sequencer="4") == (0, 1, 0)
    assert await hear(created, "p/a", eTag="2", sequencer="3") == (0, 0, 1)
    assert len(house.journal.purges) == 2
    assert await hear(created, "elsewhere/a") == (0, 0, 1)


async def test_an_event_whose_purge_is_not_complete_may_come_again(tmp_path: Path) -> None:
    database = Database(tmp_path / "jobs.db", SCHEMA, FakeMetrics())
    fleet = FakePurgeLog()
    house = Composition(fleet=fleet).with_jobs(SqliteJobStore(database))
    fleet.unheard = ["redis: it cannot be reached"]
    event = message("ObjectCreated:Put", "p/a", eTag="1", sequencer="1")
    for _ in range(2):
        with pytest.raises(PurgeIncomplete) as refused:
            await house.dispatch.execute(event)
        assert refused.value.open == ("redis: it cannot be reached",)
    fleet.unheard = []
    await house.dispatch.execute(event)
    assert len(fleet.published) == 3
    await house.close()
    await database.close()


@pytest.mark.parametrize(
    ("asked", "gone"),
    [
        (PurgeCommand(mount="", original="a"), {"a 100", "a 90"}),
        (PurgeCommand(mount="", prefix="a"), {"a 100", "a 90"}),
        (PurgeCommand(mount="", all=True), {"a 100", "a 90", "b 100"}),
        (PurgeCommand(mount="", preset="card"), {"a 90"}),
        (PurgeCommand(mount="shop", url="/w_100,f_webp/a"), {"a 100"}),
        (PurgeCommand(mount="", url="https://any.example/thumbnail?url=a&w=100&format=webp"), {"a 100"}),
        (PurgeCommand(mount="", url="/t_card/a"), {"a 90"}),
        (PurgeCommand(mount="", url="/original/a"), {"a 100", "a 90"}),
        (PurgeCommand(mount="", url="/info/a"), set()),
        (PurgeCommand(mount="", url="/w_123,f_webp/a"), set()),
    ],
)
async def test_a_purge_takes_what_it_names(house: Composition, asked: PurgeCommand, gone: set[str]) -> None:
    all_of_them = {
        "a 100": house.request("a", "w_100,f_webp"),
        "a 90": house.request("a", "t_card", "image/webp"),
        "b 100": house.request("b", "w_100,f_webp"),
    }
    for wanted in all_of_them.values():
        await house.get(wanted)
    await house.dispatch.execute(asked)
    taken = set()
    for name, wanted in all_of_them.items():
        renders = house.renderer.renders
        await house.get(wanted)
        if house.renderer.renders > renders:
            taken.add(name)
    assert taken == gone


def in_a_store(house: Composition, key: str, content: bytes, tag: str) -> OriginalRef:
    """As S3 has it: the source tells that an original is another only where it is asked for its entity tag."""
    house.source.freshness_lifetime_s = float("inf")
    house.source.tags[key] = tag
    return house.source.put(key, content, "")


@pytest.mark.parametrize("url", ["/w_100,f_webp/a", "/t_card/a", "/info/a", "/original/a"])
async def test_a_purge_of_a_url_has_its_original_looked_at(house: Composition, url: str) -> None:
    ref = in_a_store(house, "a", b"old", "t1")
    asked, beside = house.request("a", "w_100,f_webp"), house.request("a", "w_200,f_webp")
    old = {wanted: await house.get(wanted) for wanted in (asked, beside)}
    in_a_store(house, "a", b"new", "t2")
    await house.dispatch.execute(PurgeCommand(mount="", url=url))
    for wanted, before in old.items():
        assert await house.get(wanted) != before
    assert await house.originals.known_tag(ref) == "t2"
    generation = house.generations.original_generation(ref)
    await house.dispatch.execute(PurgeCommand(mount="", url="/w_100,f_webp/a"))
    renders = house.renderer.renders
    await house.get(beside)
    assert (house.renderer.renders, house.generations.original_generation(ref)) == (renders, generation), (
        "it is the same by now"
    )
    await house.get(asked)
    assert house.renderer.renders == renders + 1


async def test_a_purge_of_a_url_ends_what_is_believed_for_long(house: Composition) -> None:
    house.source.freshness_lifetime_s, house.source.serves_stale = 3600.0, True
    wanted = house.request("a", "w_100,f_webp")
    old = await house.get(wanted)
    house.source.put("a", b"new", "2")
    assert await house.get(wanted) == old
    await house.dispatch.execute(PurgeCommand(mount="", url="/w_100,f_webp/a"))
    assert await house.get(wanted) != old


async def test_every_node_looks_anew_at_what_a_purge_of_a_url_names(house: Composition) -> None:
    house.purges._fleet = fleet = FakePurgeLog()
    await house.dispatch.execute(PurgeCommand(mount="", url="/w_100,f_webp/a"))
    assert fleet.published[0] == Purge(PurgeScope("photos", ScopeKind.ORIGINAL, "a"), "")


@pytest.mark.parametrize("failure", [SourceUnavailable("it is down"), None])
async def test_what_cannot_be_looked_at_is_purged_as_a_whole(
    house: Composition, failure: CalotypeError | None
) -> None:
    ref = in_a_store(house, "a", b"old", "t1")
    await house.get(house.request("a", "w_100,f_webp"))
    house.source.failure = failure
    if failure is None:
        del house.source.originals["a"]
    await house.dispatch.execute(PurgeCommand(mount="", url="/w_100,f_webp/a"))
    assert [purge.scope for purge in house.journal.purges] == [PurgeScope.of_original(ref)]


async def test_what_the_fleet_knows_by_its_entity_tag_is_not_purged(tmp_path: Path) -> None:
    database = Database(tmp_path / "jobs.db", SCHEMA, FakeMetrics())
    house = Composition(fleet=FakePurgeLog()).with_jobs(SqliteJobStore(database))
    ref = house.source.put("a", b"a")
    created = message("ObjectCreated:Put", "p/a", eTag="1", sequencer="1")
    await house.dispatch.execute(created)
    assert len(house.journal.purges) == 1, "another node may have made something of what was there before"
    assert await house.originals.known_tag(ref) == "1"
    # Another node, which shares the last tier, and has heard of no event.
    house.index.events.clear()
    await house.dispatch.execute(created)
    assert len(house.journal.purges) == 1
    house.index.events.clear()
    await house.dispatch.execute(message("ObjectCreated:Put", "p/a", eTag="2"))
    assert len(house.journal.purges) == 2
    await house.close()
    await database.close()


async def test_a_url_belongs_to_the_mount_it_is_asked_at(house: Composition) -> None:
    other = Mount(
        name="other", prefix="/o/", source="photos", dimensions=Dimensions.ANY, allowed_px=(), max_age_s=9
    )
    house.rules = rules(other)
    await house.dispatch.execute(PurgeCommand(mount="", url="/o/w_1/a"))
    await house.dispatch.execute(PurgeCommand(mount="other", url="/o/w_1/a"))
    with pytest.raises(BadRequest, match="not of this mount"):
        await house.dispatch.execute(PurgeCommand(mount="other", url="/w_1/a"))


async def test_a_purge_that_is_not_complete_says_what_is_open(tmp_path: Path) -> None:
    database = Database(tmp_path / "jobs.db", SCHEMA, FakeMetrics())
    fleet = FakePurgeLog()
    fleet.unheard = ["node x: has not confirmed"]
    house = Composition(fleet=fleet).with_jobs(SqliteJobStore(database))
    with pytest.raises(PurgeIncomplete) as refused:
        await house.dispatch.execute(PurgeCommand(mount="", all=True))
    assert refused.value.open == ("node x: has not confirmed",)
    await house.close()
    await database.close()


async def test_the_rest_is_passed_on(house: Composition) -> None:
    assert await house.dispatch.execute(Explain("/w_1/a", "x")) == {"url": "/w_1/a", "accept": "x"}
    await house.dispatch.execute(RecordUsage(frozenset({"k"})))
    assert house.used == {"k"}


async def test_a_job_that_cannot_be_written_down_is_refused(
    house: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None: ...

    monkeypatch.setattr(house.pregeneration._jobs, "add", full)
    with pytest.raises(SourceUnavailable):
        await house.dispatch.execute(Warm(mount="", keys=("a",), presets=("card",)))


async def test_some_originals_are_shown(house: Composition) -> None:
    assert await house.dispatch.execute(ListOriginals(9)) == [("shop", "a"), ("shop", "b")]
    assert await house.dispatch.execute(ListOriginals(1)) == [("shop", "a")]


async def test_a_job_that_is_forgotten_meanwhile_is_not_run_again(
    house: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = await warmed(house, keys=("a",), presets=("small",))

    async def forgotten(_: str) -> bool:
        return False

    monkeypatch.setattr(house.pregeneration._jobs, "retry", forgotten)
    with pytest.raises(UnknownRoute, match="no job"):
        await house.dispatch.execute(RetryJob(progress.id))


async def test_an_upload_with_nothing_to_prepare_is_no_job(house: Composition) -> None:
    house.uploads._eager = ()
    told = await upload(house)
    assert (told["warm"], told["urls"]) == ("", {})
    assert await house.dispatch.execute(JobStatus()) == []
