"""A mount whose URLs may name originals without their suffix."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.core.admin.access_log import logged_variants
from tests.http.conftest import Running, running
from tests.http.test_operations import Api, ended
from tests.support import dialects, pictures
from tests.support.fakes import temporary_file
from tests.support.waiting import eventually


@pytest.fixture
async def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    dialects.register(monkeypatch)
    mounts = {
        "shop": {
            "source": "photos",
            "dialect": dialects.NAME,
            "suffixes": ["png", "jpg"],
            "dimensions": "any",
        },
        "native": {"source": "photos", "prefix": "/native/", "dimensions": "any"},
    }
    async with running(tmp_path, log_to=str(tmp_path / "log"), mounts=mounts) as started:
        temporary_file(started.originals, "photo.jpg", pictures.photo_as("jpeg"))
        yield started


async def test_all_names_of_an_original_are_one_entry(node: Running) -> None:
    own = await node.get("/native/w_40,f_webp/photo.jpg")
    for name in ("photo", "photo.webp", "photo.jpg", "photo.tiff"):
        answer = await node.get(f"/w_40,f_webp/{name}")
        assert (answer.status, answer.headers["ETag"]) == (200, own.headers["ETag"]), name
        assert "hit" in answer.cache
        assert "hit; detail=memory" in (await node.get(f"/w_40,f_webp/{name}")).cache
    assert (await node.get("/original/photo")).body == (node.originals / "photo.jpg").read_bytes()
    assert json.loads((await node.get("/info/photo")).body)["format"] == "jpeg"


async def test_a_name_without_an_original_is_a_404(node: Running) -> None:
    for target in ("/w_40/gone", "/original/gone", "/info/gone"):
        answer = await node.get(target)
        problem = json.loads(answer.body)
        assert (answer.status, answer.headers["Cache-Control"]) == (404, "public, max-age=1"), target
        assert problem["detail"] == "there is no original 'gone' in source photos, nor with another suffix"


async def test_the_suffixes_have_an_order(node: Running) -> None:
    old = await node.get("/w_40,f_webp/photo")
    temporary_file(node.originals, "photo.png", pictures.photo_as("png"))

    async def changed() -> bool:
        return (await node.get("/w_40,f_webp/photo")).headers["ETag"] != old.headers["ETag"]

    assert await eventually(changed)
    assert (await node.get("/original/photo")).headers["Content-Type"] == "image/png"


async def test_explain_names_the_original_that_was_found(node: Running) -> None:
    answer = await node.get("/v1/explain?url=/w_40,f_webp/photo", admin=True)
    explained = json.loads(answer.body)
    assert (explained["original"], explained["refused"]) == ("photos:photo.jpg", [])
    assert explained["native"] == "/native/w_40,f_webp/photo.jpg"
    own = json.loads((await node.get("/v1/explain?url=/native/w_40,f_webp/photo.jpg", admin=True)).body)
    assert explained["key"] == own["key"]
    whole = json.loads((await node.get("/v1/explain?url=/original/photo", admin=True)).body)
    assert (whole["original"], whole["native"]) == ("photos:photo.jpg", "/native/original/photo.jpg")
    gone = json.loads((await node.get("/v1/explain?url=/w_40/gone", admin=True)).body)
    assert gone["original"] == "photos:gone"
    assert [refusal.partition(":")[0] for refusal in gone["refused"]] == ["original-not-found"]


@pytest.mark.parametrize(
    "what", [{"original": "photo"}, {"original": "photo.webp"}, {"url": "/w_40,f_webp/photo"}]
)
async def test_a_purge_reaches_the_original(node: Running, what: dict[str, str]) -> None:
    before = await node.get("/w_40,f_webp/photo")
    status, reply = await (await Api.of(node)).call("POST", "/v1/purge?mount=shop", what)
    assert (status, reply["removed"] > 0) == (200, True)
    after = await node.get("/w_40,f_webp/photo")
    assert (after.status, after.cache) == (200, "calotype; fwd=miss; stored")
    assert after.headers["ETag"] != before.headers["ETag"]


async def test_logged_names_can_be_warmed(node: Running) -> None:
    await node.get("/w_40,f_webp/photo")
    log = node.originals.parent / "log"
    await eventually(lambda: "w_40" in log.read_text())
    [rules] = [half._handler._rules for half in node.node.halves if hasattr(half, "_handler")]
    [logged] = logged_variants(log.read_text().splitlines(), rules, rules.mounts[0])
    api = await Api.of(node)
    await api.call("POST", "/v1/purge?mount=shop", {"all": True})
    spec = {"mount": logged.mount, "keys": [logged.key], "transforms": [logged.transform]}
    _, job = await api.call("POST", "/v1/warm", spec)
    assert (await ended(api, job["id"]))["done"] == 1
    assert "hit" in (await node.get("/native/w_40,f_webp/photo.jpg")).cache
