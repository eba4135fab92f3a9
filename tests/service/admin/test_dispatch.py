"""Commands of the operations API: pre-generation jobs, purges, and the commands that are passed on."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from proxy.core.admin.commands import (
    CancelJob,
    Explain,
    JobStatus,
    ListOriginals,
    PurgeCommand,
    RecordUsage,
    RetryJob,
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
from proxy.core.url.mounts import Mount
from proxy.core.url.policy import Dimensions
from proxy.service.admin import pregeneration
from tests.service.admin.conftest import counts, ended, warmed
from tests.service.composition import Composition, rules
from tests.support.fakes import FakeSharedPurgeLog
from tests.support.waiting import eventually, settle


async def test_a_job_makes_every_format_once_and_skips_existing_variants(composition: Composition) -> None:
    progress = await warmed(composition, keys=("a", "b"), presets=("card",), transforms=("w_200,f_png",))
    assert counts(progress) == (8, 8, 0, 0)
    assert composition.renderer.renders == 8
    assert len(composition.disk.entries) == 8 + 2  # The facts of two originals.
    assert not [key for key in composition.disk.entries if composition.memory.lookup(key) and key.format]
    again = await warmed(composition, prefix="", presets=("card",))
    assert counts(again) == (9, 3, 6, 0)
    answer = await composition.dispatch.execute(JobStatus())
    assert isinstance(answer, list)
    assert [each.id for each in answer] == [again.id, progress.id]


async def test_failures_are_listed_and_can_be_retried(composition: Composition) -> None:
    await warmed(composition, keys=("a",), transforms=("w_9,f_auto",))  # Stores its facts.
    composition.renderer.failures = [Undecodable("the original is damaged")]
    progress = await warmed(composition, keys=("a", "gone"), transforms=("w_1,f_webp", "w_2,f_auto"))
    assert counts(progress) == (8, 3, 0, 5)
    assert Counter((failure.key, failure.slug) for failure in progress.failures) == {
        ("a", "undecodable"): 1,
        ("gone", "original-not-found"): 4,
    }
    assert {failure.transform for failure in progress.failures if failure.key == "gone"} == {
        "w_1,f_webp",
        "w_2,f_auto",
    }
    composition.source.put("gone", b"here")
    composition.originals.drop_record(OriginalRef("photos", "gone"))
    assert await composition.dispatch.execute(RetryJob(progress.id)) == {"id": progress.id}
    assert counts(await ended(composition, progress.id)) == (8, 8, 0, 0)
    for command in (RetryJob("x"), JobStatus("x")):
        with pytest.raises(UnknownRoute):
            await composition.dispatch.execute(command)


async def test_a_cancelled_job_renders_no_more_variants(composition: Composition) -> None:
    composition.renderer.release.clear()
    answer = await composition.dispatch.execute(
        Warm(mount="", keys=("a", "b"), transforms=("w_1,f_webp", "w_2,f_webp"))
    )
    assert isinstance(answer, dict)
    await eventually(lambda: composition.renderer.renders)
    cancelled = await composition.dispatch.execute(CancelJob(answer["id"]))
    assert isinstance(cancelled, JobProgress)
    assert (cancelled.state, counts(cancelled)) == ("cancelled", (4, 0, 0, 0))
    begun = composition.renderer.renders
    composition.renderer.release.set()
    other = await warmed(composition, keys=("b",), transforms=("w_7,f_png",))
    assert counts(other) == (1, 1, 0, 0)
    assert composition.renderer.renders <= begun + 1
    assert await composition.dispatch.execute(JobStatus(answer["id"])) == cancelled
    with pytest.raises(Conflict):
        await composition.dispatch.execute(RetryJob(answer["id"]))
    with pytest.raises(UnknownRoute):
        await composition.dispatch.execute(CancelJob("x"))


async def test_a_job_cancelled_while_its_originals_are_listed_lists_no_more(composition: Composition) -> None:
    listing = asyncio.Event()
    go_on = asyncio.Event()

    async def keys(_: str) -> AsyncIterator[list[str]]:
        for _ in range(100):
            listing.set()
            yield ["a"]
            await go_on.wait()

    composition.source.keys = keys  # type: ignore[method-assign]
    answer = await composition.dispatch.execute(Warm(mount="", prefix="", transforms=("w_1,f_webp",)))
    assert isinstance(answer, dict)
    await listing.wait()
    cancelled = await composition.dispatch.execute(CancelJob(answer["id"]))
    go_on.set()
    assert isinstance(cancelled, JobProgress)
    await warmed(composition, keys=("b",), transforms=("w_7,f_png",))
    after = await composition.dispatch.execute(JobStatus(answer["id"]))
    assert isinstance(after, JobProgress)
    assert (after.state, after.total) == ("cancelled", cancelled.total)


async def test_variants_of_one_original_open_it_once(composition: Composition) -> None:
    composition.renderer.release.clear()
    answer = await composition.dispatch.execute(
        Warm(mount="", keys=("a",), transforms=("w_1,f_webp", "w_2,f_webp", "w_3,f_png"))
    )
    assert isinstance(answer, dict)
    await eventually(lambda: composition.renderer.renders == 3)
    composition.renderer.release.set()
    assert counts(await ended(composition, answer["id"])) == (3, 3, 0, 0)
    assert len(composition.source.fetched) == composition.source.identified == 1


async def test_a_job_renders_a_limited_number_of_variants_at_a_time(
    composition: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    composition.renderer.release.clear()
    transforms = tuple(f"w_{width},f_webp" for width in range(1, 40))
    answer = await composition.dispatch.execute(Warm(mount="", keys=("a", "b"), transforms=transforms))
    assert isinstance(answer, dict)
    await eventually(lambda: composition.renderer.renders == pregeneration._VARIANTS_PER_WORKER * 2)
    await settle()
    assert composition.renderer.renders == pregeneration._VARIANTS_PER_WORKER * 2
    composition.renderer.release.set()
    assert counts(await ended(composition, answer["id"])) == (78, 78, 0, 0)


@pytest.mark.parametrize("scope", [{"original": "a"}, {"url": "/w_1,f_webp/a"}])
async def test_a_variant_purged_while_it_is_stored_is_rendered_again(
    composition: Composition, scope: dict[str, str]
) -> None:
    composition.disk.release.clear()
    answer = await composition.dispatch.execute(Warm(mount="", keys=("a",), transforms=("w_1,f_webp",)))
    assert isinstance(answer, dict)
    await eventually(lambda: composition.renderer.renders)
    await settle()
    purging = asyncio.create_task(composition.dispatch.execute(PurgeCommand(mount="", **scope)))
    await settle()
    composition.disk.release.set()
    await purging
    assert counts(await ended(composition, answer["id"])) == (1, 1, 0, 0)
    assert composition.renderer.renders == 2


async def test_equal_variants_of_a_job_are_rendered_once(composition: Composition) -> None:
    progress = await warmed(composition, keys=("a",), transforms=("w_7,f_webp", "f_webp,w_7,q_80"))
    assert counts(progress) == (2, 1, 1, 0)
    assert composition.renderer.renders == 1


async def test_a_source_that_cannot_be_listed_fails_the_job(composition: Composition) -> None:
    composition.source.failure = SourceUnavailable("the source cannot be read")
    progress = await warmed(composition, prefix="", presets=("small",))
    assert counts(progress) == (1, 0, 0, 1)
    composition.source.failure = None
    await composition.dispatch.execute(RetryJob(progress.id))
    assert counts(await ended(composition, progress.id)) == (3, 3, 0, 0)


@pytest.mark.parametrize(
    ("command", "kind"),
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
async def test_a_wrong_command_is_refused_at_once(
    composition: Composition, command: Warm | PurgeCommand, kind: type
) -> None:
    with pytest.raises(kind):
        await composition.dispatch.execute(command)
    assert await composition.dispatch.execute(JobStatus()) == []


async def test_a_job_waits_while_the_node_is_overloaded(
    composition: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    composition.renderer.failures = [Overloaded("busy")] * 3
    assert counts(await warmed(composition, keys=("a",), transforms=("w_1,f_webp",))) == (1, 1, 0, 0)
    monkeypatch.setattr(pregeneration, "MAX_ATTEMPTS", 2)
    composition.renderer.failures = [Overloaded("busy")] * 3 + [RuntimeError("odd")]
    progress = await warmed(composition, keys=("b", "deep/c"), transforms=("w_1,f_webp",))
    assert sorted(failure.slug for failure in progress.failures) == ["internal", "overloaded"]


async def test_a_job_goes_on_after_a_restart(composition: Composition) -> None:
    composition.renderer.release.clear()
    answer = await composition.dispatch.execute(Warm(mount="", keys=("a", "b"), transforms=("w_1,f_webp",)))
    assert isinstance(answer, dict)
    await eventually(lambda: composition.renderer.renders)
    await composition.pregeneration.close()
    composition.renderer.release.set()
    await settle()
    assert (await composition.dispatch._progress(answer["id"])).state == "running"
    composition.with_jobs(composition.pregeneration._jobs)

    async def at_once() -> None: ...

    composition.pregeneration.start(at_once)
    progress = await ended(composition, answer["id"])
    assert (progress.total, progress.failed, progress.done + progress.skipped) == (2, 0, 2)


async def test_variants_that_a_stop_interrupts_are_no_failures(composition: Composition) -> None:
    composition.renderer.failures = [Draining("the node is stopping")]
    answer = await composition.dispatch.execute(Warm(mount="", keys=("a",), transforms=("w_1,f_webp",)))
    assert isinstance(answer, dict)
    await settle()
    assert (await composition.dispatch._progress(answer["id"])).failed == 0


@pytest.mark.parametrize(
    ("command", "gone"),
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
async def test_a_purge_covers_the_variants_of_its_scope(
    composition: Composition, command: PurgeCommand, gone: set[str]
) -> None:
    all_of_them = {
        "a 100": composition.request("a", "w_100,f_webp"),
        "a 90": composition.request("a", "t_card", "image/webp"),
        "b 100": composition.request("b", "w_100,f_webp"),
    }
    for variant_request in all_of_them.values():
        await composition.get(variant_request)
    await composition.dispatch.execute(command)
    taken = set()
    for name, variant_request in all_of_them.items():
        renders = composition.renderer.renders
        await composition.get(variant_request)
        if composition.renderer.renders > renders:
            taken.add(name)
    assert taken == gone


def put_with_tag(composition: Composition, key: str, content: bytes, tag: str) -> OriginalRef:
    """Stores an original as in S3: only a request for its entity tag shows that it was replaced."""
    composition.source.freshness_lifetime_s = float("inf")
    composition.source.tags[key] = tag
    return composition.source.put(key, content, "")


@pytest.mark.parametrize("url", ["/w_100,f_webp/a", "/t_card/a", "/info/a", "/original/a"])
async def test_a_purge_of_a_url_revalidates_its_original(composition: Composition, url: str) -> None:
    ref = put_with_tag(composition, "a", b"old", "t1")
    purged, other = composition.request("a", "w_100,f_webp"), composition.request("a", "w_200,f_webp")
    old = {variant_request: await composition.get(variant_request) for variant_request in (purged, other)}
    put_with_tag(composition, "a", b"new", "t2")
    await composition.dispatch.execute(PurgeCommand(mount="", url=url))
    for variant_request, before in old.items():
        assert await composition.get(variant_request) != before
    assert await composition.originals.stored_tag(ref) == "t2"
    generation = composition.generations.original_generation(ref)
    await composition.dispatch.execute(PurgeCommand(mount="", url="/w_100,f_webp/a"))
    renders = composition.renderer.renders
    await composition.get(other)
    assert (composition.renderer.renders, composition.generations.original_generation(ref)) == (
        renders,
        generation,
    ), "the original has not changed since"
    await composition.get(purged)
    assert composition.renderer.renders == renders + 1


async def test_a_purge_of_a_url_ends_the_freshness_of_its_original(composition: Composition) -> None:
    composition.source.freshness_lifetime_s, composition.source.serves_stale = 3600.0, True
    variant_request = composition.request("a", "w_100,f_webp")
    old = await composition.get(variant_request)
    composition.source.put("a", b"new", "2")
    assert await composition.get(variant_request) == old
    await composition.dispatch.execute(PurgeCommand(mount="", url="/w_100,f_webp/a"))
    assert await composition.get(variant_request) != old


async def test_every_node_revalidates_the_original_of_a_purged_url(composition: Composition) -> None:
    composition.purges.fleet = fleet = FakeSharedPurgeLog()
    await composition.dispatch.execute(PurgeCommand(mount="", url="/w_100,f_webp/a"))
    assert fleet.published[0] == Purge(PurgeScope("photos", ScopeKind.ORIGINAL, "a"), "")


@pytest.mark.parametrize("failure", [SourceUnavailable("it is down"), None])
async def test_an_original_that_cannot_be_revalidated_is_purged_as_a_whole(
    composition: Composition, failure: CalotypeError | None
) -> None:
    ref = put_with_tag(composition, "a", b"old", "t1")
    await composition.get(composition.request("a", "w_100,f_webp"))
    composition.source.failure = failure
    if failure is None:
        del composition.source.originals["a"]
    await composition.dispatch.execute(PurgeCommand(mount="", url="/w_100,f_webp/a"))
    assert [purge.scope for purge in composition.journal.purges] == [PurgeScope.of_original(ref)]


async def test_a_purged_url_belongs_to_the_mount_of_the_command(composition: Composition) -> None:
    other = Mount(
        name="other", prefix="/o/", source="photos", dimensions=Dimensions.ANY, allowed_px=(), max_age_s=9
    )
    composition.rules = rules(other)
    await composition.dispatch.execute(PurgeCommand(mount="", url="/o/w_1/a"))
    await composition.dispatch.execute(PurgeCommand(mount="other", url="/o/w_1/a"))
    with pytest.raises(BadRequest, match="does not belong to this mount"):
        await composition.dispatch.execute(PurgeCommand(mount="other", url="/w_1/a"))


async def test_an_incomplete_purge_names_the_open_parts(fleet: Composition) -> None:
    fleet.fleet.unconfirmed = ["node x: has not confirmed"]
    with pytest.raises(PurgeIncomplete) as refused:
        await fleet.dispatch.execute(PurgeCommand(mount="", all=True))
    assert refused.value.open == ("node x: has not confirmed",)


async def test_explain_and_usage_are_passed_on(composition: Composition) -> None:
    assert await composition.dispatch.execute(Explain("/w_1/a", "x")) == {"url": "/w_1/a", "accept": "x"}
    await composition.dispatch.execute(RecordUsage(frozenset({"k"})))
    assert composition.used == {"k"}


async def test_a_job_that_cannot_be_stored_is_refused(
    composition: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None: ...

    monkeypatch.setattr(composition.pregeneration._jobs, "add", full)
    with pytest.raises(SourceUnavailable):
        await composition.dispatch.execute(Warm(mount="", keys=("a",), presets=("card",)))


async def test_a_sample_of_originals_is_listed(composition: Composition) -> None:
    assert await composition.dispatch.execute(ListOriginals(9)) == [("shop", "a"), ("shop", "b")]
    assert await composition.dispatch.execute(ListOriginals(1)) == [("shop", "a")]


async def test_a_removed_job_is_not_retried(
    composition: Composition, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = await warmed(composition, keys=("a",), presets=("small",))

    async def forgotten(_: str) -> bool:
        return False

    monkeypatch.setattr(composition.pregeneration._jobs, "retry", forgotten)
    with pytest.raises(UnknownRoute, match="no job"):
        await composition.dispatch.execute(RetryJob(progress.id))
