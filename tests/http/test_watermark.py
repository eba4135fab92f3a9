"""The watermark of a mount, in every dialect and in spite of every URL."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.http.conftest import Running, running
from tests.support import pictures
from tests.support.fakes import temporary_file

MARK: dict[str, Any] = {
    "source": "photos", "watermark": "logo.png", "watermark_opacity": 100, "watermark_width": 1.0, "watermark_margin": 0.0,
}  # fmt: skip
RED, GREEN = (255, 0, 0), (0, 255, 0)


def colour(body: bytes) -> tuple[int, ...]:
    """The colour in the middle, rounded to the nearest end of each band."""
    width, height = pictures.size(body)
    return tuple(255 if value > 127 else 0 for value in pictures.pixel(body, width // 2, height // 2)[:3])


def add_originals(node: Running) -> None:
    temporary_file(node.originals, "photo.jpg", pictures.photo_as("jpeg"))
    temporary_file(node.originals, "logo.png", pictures.plain_as("png", 40, 30, RED))


@pytest.mark.parametrize(
    ("dialect", "target"),
    [
        ("native", "/w_80,f_png/photo.jpg"),
        ("native", "/thumbnail?url=photo.jpg&w=80&format=png"),
        ("native", "/t_card/photo.jpg"),
        ("thumbor", "/unsafe/80x60/photo.jpg"),
        ("imgproxy", "/unsafe/rs:fit:80:60/plain/photo.jpg@png"),
        ("cloudinary", "/image/upload/w_80/photo.jpg"),
        ("imgix", "/photo.jpg?w=80"),
    ],
)
async def test_every_variant_of_the_mount_has_it(tmp_path: Path, dialect: str, target: str) -> None:
    mounts = {"all": {**MARK, "dimensions": "any", "dialect": dialect}}
    async with running(tmp_path, mounts=mounts) as node:
        add_originals(node)
        for _ in range(2):
            answer = await node.get(target)
            assert (answer.status, colour(answer.body)) == (200, RED)


async def test_the_original_itself_is_refused_and_facts_are_not(tmp_path: Path) -> None:
    async with running(tmp_path, mounts={"all": {**MARK, "dimensions": "any"}}) as node:
        add_originals(node)
        refused = await node.get("/original/photo.jpg")
        assert refused.status == 404
        assert "this mount has a watermark" in json.loads(refused.body)["detail"]
        assert json.loads((await node.get("/info/photo.jpg")).body)["width"] == 640


async def test_mounts_of_one_source_with_and_without_it_share_no_variant(tmp_path: Path) -> None:
    mounts = {
        "shop": {**MARK, "dimensions": "any"},
        "press": {"source": "photos", "prefix": "/press/", "dimensions": "any"},
    }
    async with running(tmp_path, mounts=mounts) as node:
        add_originals(node)
        for target, is_marked in (("/w_80,f_png/photo.jpg", True), ("/press/w_80,f_png/photo.jpg", False)):
            assert (colour((await node.get(target)).body) == RED) is is_marked
        assert (await node.get("/press/original/photo.jpg")).status == 200


async def test_a_replaced_watermark_is_shown_after_a_purge_of_it(tmp_path: Path) -> None:
    async with running(tmp_path, mounts={"all": {**MARK, "dimensions": "any"}}) as node:
        add_originals(node)
        target = "/w_80,f_png/photo.jpg"
        assert colour((await node.get(target)).body) == RED
        temporary_file(node.originals, "new.png", pictures.plain_as("png", 40, 30, GREEN)).replace(
            node.originals / "logo.png"
        )
        url = node.node.admin_url + "/v1/purge"
        async with node.client.post(url, json={"original": "logo.png"}) as response:
            assert (response.status, (await response.json())["removed"] > 0) == (200, True)
        assert colour((await node.get(target)).body) == GREEN


async def test_explain_purges_and_jobs_know_the_variant_with_it(tmp_path: Path) -> None:
    async with running(tmp_path, mounts={"all": {**MARK, "dimensions": "any"}}) as node:
        add_originals(node)

        async def call(method: str, target: str, body: object = None) -> Any:
            async with node.client.request(method, node.node.admin_url + target, json=body) as response:
                assert response.status < 300
                return await response.json()

        found = await call("GET", "/v1/explain?url=/t_small/photo.jpg")
        assert "watermark:1:1,1:0:100:0" in found["plan"]
        assert found["native"] == "/w_33/photo.jpg"
        job = await call("POST", "/v1/warm", {"keys": ["photo.jpg"], "presets": ["small"]})
        while (await call("GET", f"/v1/warm/{job['id']}"))["state"] != "done":
            pass
        assert (await node.get("/t_small/photo.jpg")).headers["Cache-Status"].startswith("calotype; hit")
        assert (await call("POST", "/v1/purge", {"preset": "small"}))["removed"] > 0
        assert "fwd=miss" in (await node.get("/t_small/photo.jpg")).headers["Cache-Status"]
        assert (await call("POST", "/v1/purge", {"url": "/t_small/photo.jpg"}))["removed"] > 0
        assert "fwd=miss" in (await node.get("/t_small/photo.jpg")).headers["Cache-Status"]


async def test_a_missing_watermark_is_an_error_that_names_it(tmp_path: Path) -> None:
    async with running(tmp_path, mounts={"all": {**MARK, "dimensions": "any"}}) as node:
        temporary_file(node.originals, "photo.jpg", pictures.photo_as("jpeg"))
        answer = await node.get("/w_80,f_png/photo.jpg")
        assert answer.status == 404
        assert "'logo.png'" in json.loads(answer.body)["detail"]
