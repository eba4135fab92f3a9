"""Uploads: the key of a stored original, the purge of an overwritten one, and the job that renders its variants."""

import asyncio
from dataclasses import replace

import pytest

from proxy.core.admin.commands import JobStatus
from proxy.core.cache.generations import Purge, PurgeScope, ScopeKind
from proxy.core.errors import (
    BadRequest,
    CalotypeError,
    Conflict,
    PurgeIncomplete,
    SourceUnavailable,
    Undecodable,
)
from proxy.core.url.mounts import Signing
from proxy.core.url.signing import verify
from tests.service.admin.conftest import counts, ended, upload
from tests.service.composition import SECRET, Composition, rules
from tests.support.fakes import FakeSharedPurgeLog
from tests.support.waiting import eventually


async def test_an_upload_is_stored_and_its_variants_are_rendered(composition: Composition) -> None:
    answer = await upload(composition)
    key = str(answer["key"])
    assert composition.source.originals[key] == b"picture"
    assert key.endswith("/x.jpg")
    assert answer["urls"] == {"card": f"/t_card/{key}", "small": f"/t_small/{key}"}
    assert (answer["width"], answer["height"], answer["format"], answer["bytes"]) == (40, 30, "jpeg", 7)
    assert counts(await ended(composition, str(answer["warm"]))) == (4, 4, 0, 0)
    assert (await upload(composition))["key"] != key
    assert composition.renderer.probes == 2


async def test_repeated_uploads_with_one_once_token_are_stored_once(composition: Composition) -> None:
    answers = await asyncio.gather(*(upload(composition, once="order 66") for _ in range(5)))
    assert len({str(answer["key"]) for answer in answers}) == 1
    assert len(composition.source.originals) == 4
    with pytest.raises(Conflict):
        await upload(composition, b"another", once="order 66")


async def test_an_upload_does_not_replace_an_existing_key(composition: Composition) -> None:
    answer = await upload(composition, key="shoes/groß.jpg")
    assert answer["key"] == "shoes/groß.jpg"
    assert answer["urls"] == {"card": "/t_card/shoes/gro%C3%9F.jpg", "small": "/t_small/shoes/gro%C3%9F.jpg"}
    for content, once in ((b"picture", ""), (b"another", ""), (b"another", "1")):
        with pytest.raises(Conflict):
            await upload(composition, content, once, key="shoes/groß.jpg")
        assert composition.source.originals["shoes/groß.jpg"] == b"picture"
    again = await upload(composition, b"picture", "1", key="shoes/groß.jpg")
    assert again["key"] == "shoes/groß.jpg"
    for key in ("../a.jpg", "a//b.jpg", "/a.jpg", "https://x.example/a.jpg"):
        with pytest.raises(CalotypeError):
            await upload(composition, key=key)


async def test_an_overwritten_original_is_purged(composition: Composition) -> None:
    ref = composition.source.put("a.jpg", b"old")
    await upload(composition, b"new", key="a.jpg", overwrite=True)
    intended, purged = composition.journal.purges
    assert intended.scope == purged.scope == PurgeScope.of_original(ref)
    assert intended.token < purged.token == composition.generations.original_generation(ref)
    assert composition.source.originals["a.jpg"] == b"new"
    answer = await upload(composition, b"newer", key="a.jpg", overwrite=True)
    assert answer["urls"]["card"] == f"/t_card,v_{composition.generations.original_generation(ref)}/a.jpg"  # type: ignore[index]
    assert composition.generations.original_generation(ref) > purged.token
    fresh = await upload(composition, b"first", key="b.jpg", overwrite=True)
    assert fresh["key"] == "b.jpg"


async def test_nothing_is_overwritten_where_the_purge_cannot_be_written(composition: Composition) -> None:
    composition.source.put("a.jpg", b"old")
    composition.journal.fault = OSError(28, "No space left on device")
    with pytest.raises(PurgeIncomplete, match="nothing was changed: No space left on device"):
        await upload(composition, b"new", key="a.jpg", overwrite=True)
    assert composition.source.originals["a.jpg"] == b"old"


async def test_an_original_that_may_have_been_overwritten_is_purged(composition: Composition) -> None:
    ref = composition.source.put("a.jpg", b"old")
    composition.source.failure = SourceUnavailable("it broke off, perhaps after the last byte")
    with pytest.raises(SourceUnavailable):
        await upload(composition, b"new", key="a.jpg", overwrite=True)
    assert composition.generations.original_generation(ref)


async def test_an_incomplete_purge_of_an_overwritten_original_is_reported(composition: Composition) -> None:
    composition.source.put("a.jpg", b"old")
    composition.purges.fleet = FakeSharedPurgeLog()
    composition.purges.fleet.unconfirmed = ["node b: has not confirmed"]
    with pytest.raises(PurgeIncomplete) as caught:
        await upload(composition, b"new", key="a.jpg", overwrite=True)
    assert caught.value.open == ("node b: has not confirmed",)


async def test_an_upload_ends_the_negative_entry_on_all_nodes(composition: Composition) -> None:
    composition.purges.fleet = fleet = FakeSharedPurgeLog()
    await upload(composition, key="new.jpg")
    assert fleet.published == [Purge(PurgeScope("photos", ScopeKind.ORIGINAL, "new.jpg"), "")]


async def test_an_upload_that_is_no_picture_is_not_stored(composition: Composition) -> None:
    composition.renderer.failures = [Undecodable("no")]
    with pytest.raises(Undecodable):
        await upload(composition)
    assert len(composition.source.originals) == 3


async def test_a_cancelled_upload_leaves_no_original(composition: Composition) -> None:
    composition.source.release.clear()

    async def store_late(key: str, content: object, **_: object) -> None:
        composition.source.originals[key] = b"stored all the same"
        await composition.source.release.wait()

    composition.source.store = store_late
    uploading = asyncio.create_task(upload(composition))
    await eventually(lambda: len(composition.source.originals) == 4)
    uploading.cancel()
    await asyncio.gather(uploading, return_exceptions=True)
    assert len(composition.source.originals) == 3


async def test_urls_of_an_upload_are_signed_where_the_mount_requires_it(composition: Composition) -> None:
    composition.rules = rules(signing=Signing.REQUIRED)
    host = replace(
        composition.rules.mounts[0],
        name="host",
        host="img.example",
        prefix="/p/",
        signing=Signing.OFF,
        keys={},
    )
    composition.rules = composition.rules._replace(mounts=[*composition.rules.mounts, host])
    signed = await upload(composition, mount="shop")
    urls = signed["urls"]
    assert isinstance(urls, dict)
    assert verify(urls["card"], {"k": SECRET}) is not None
    there = await upload(composition, mount="host")
    urls = there["urls"]
    assert isinstance(urls, dict)
    assert urls["card"] == f"https://img.example/p/t_card/{there['key']}"
    with pytest.raises(BadRequest, match="mount"):
        await upload(composition)


async def test_an_upload_without_eager_presets_starts_no_job(composition: Composition) -> None:
    composition.uploads.eager = ()
    answer = await upload(composition)
    assert (answer["warm"], answer["urls"]) == ("", {})
    assert await composition.dispatch.execute(JobStatus()) == []
