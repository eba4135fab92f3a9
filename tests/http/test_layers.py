"""Layers of URLs over HTTP: variants of several originals, in the dialects that have them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.http.conftest import Running, running
from tests.http.test_watermark import GREEN, RED, add_originals, colour
from tests.support import pictures
from tests.support.fakes import temporary_file

ANY: dict[str, Any] = {"source": "photos", "dimensions": "any"}


@pytest.mark.parametrize(
    ("dialect", "target"),
    [
        ("native", "/w_80,f_png,l_logo.png;w:1.0/photo.jpg"),
        ("native", "/w_80,f_png~l_logo.png;w:80/photo.jpg"),
        ("thumbor", "/unsafe/80x60/filters:watermark(logo.png,center,center,0,100)/photo.jpg"),
        ("cloudinary", "/image/upload/w_80/l_logo,w_40,fl_layer_apply/f_png/photo.jpg"),
    ],
)
async def test_a_layer_is_drawn_and_stored_with_the_variant(
    tmp_path: Path, dialect: str, target: str
) -> None:
    async with running(tmp_path, mounts={"all": {**ANY, "dialect": dialect}}) as node:
        add_originals(node)
        answers = [await node.get(target) for _ in range(2)]
        assert [(answer.status, colour(answer.body)) for answer in answers] == [(200, RED)] * 2
        assert "hit" in answers[1].headers["Cache-Status"]


async def test_it_needs_a_signature_or_a_preset_where_sizes_are_listed(tmp_path: Path) -> None:
    presets = {"marked": "w_80,f_png,l_logo.png"}
    async with running(tmp_path, mounts={"all": {"source": "photos"}}, presets=presets) as node:
        add_originals(node)
        refused = await node.get("/w_100,f_png,l_logo.png/photo.jpg")
        assert (refused.status, "the operation overlay" in json.loads(refused.body)["detail"]) == (400, True)
        assert colour((await node.get("/t_marked/photo.jpg")).body) == RED


async def test_a_purge_of_the_layer_removes_the_variant(tmp_path: Path) -> None:
    target = "/w_80,f_png,l_logo.png/photo.jpg"
    async with running(tmp_path, mounts={"all": ANY}) as node:
        add_originals(node)
        assert colour((await node.get(target)).body) == RED
        temporary_file(node.originals, "new.png", pictures.plain_as("png", 40, 30, GREEN)).replace(
            node.originals / "logo.png"
        )
        assert (await purged(node, {"original": "logo.png"}))["removed"] > 0
        assert colour((await node.get(target)).body) == GREEN
        assert (await purged(node, {"url": target}))["removed"] > 0
        assert "fwd=miss" in (await node.get(target)).headers["Cache-Status"]


async def purged(node: Running, scope: object) -> Any:
    async with node.client.post(node.node.admin_url + "/v1/purge", json=scope) as response:
        assert response.status == 200
        return await response.json()


@pytest.mark.parametrize(
    ("key", "status"), [("gone.png", 404), ("..:..:etc:passwd", 400), ("notes.txt", 415)]
)
async def test_a_layer_that_cannot_be_drawn_is_an_error(tmp_path: Path, key: str, status: int) -> None:
    async with running(tmp_path, mounts={"all": ANY}) as node:
        add_originals(node)
        temporary_file(node.originals, "notes.txt", b"no picture")
        answer = await node.get(f"/w_80,f_png,l_{key}/photo.jpg")
        assert answer.status == status, answer.body


@pytest.mark.parametrize(
    ("dialect", "target"),
    [
        ("imagekit", "/tr:" + "l-image,i-logo.png,l-end," * 9 + "w-80/photo.jpg"),
        ("cloudinary", "/image/upload/" + "l_logo/fl_layer_apply/" * 9 + "photo.jpg"),
        ("native", "/" + "~".join(["l_logo.png"] * 9) + "/photo.jpg"),
    ],
)
async def test_a_url_has_not_too_many_layers_in_any_dialect(
    tmp_path: Path, dialect: str, target: str
) -> None:
    async with running(tmp_path, mounts={"all": {**ANY, "dialect": dialect}}) as node:
        add_originals(node)
        answer = await node.get(target)
        assert (answer.status, b"8" in answer.body) == (400, True)


async def test_explain_names_the_layer(tmp_path: Path) -> None:
    async with running(tmp_path, mounts={"all": ANY}) as node:
        add_originals(node)
        url = "/w_80,f_png,l_logo.png;w:0.5/photo.jpg"
        found = json.loads((await node.get(f"/v1/explain?url={url.replace(';', '%3B')}", admin=True)).body)
        assert "overlay:1:1/2x:inside" in found["plan"]
        assert "original:photos:logo.png" in found["plan"]
