"""The fallback of a mount: what is shown in place of an original that does not exist."""

from pathlib import Path
from typing import Any

import pytest

from tests.http.conftest import running
from tests.http.test_watermark import GREEN, RED, add_originals, colour
from tests.support import pictures
from tests.support.fakes import temporary_file

MOUNT: dict[str, Any] = {"source": "photos", "dimensions": "any", "fallback": "missing.png"}


@pytest.mark.parametrize(
    ("changes", "status", "max_age_s"),
    [
        ({}, 200, 60),
        ({"fallback_status": 404}, 404, 60),
        ({"fallback_max_age": "5s"}, 200, 5),
        ({"dialect": "cloudinary"}, 200, 60),
    ],
)
async def test_it_is_shown_with_its_status_and_lifetime(
    tmp_path: Path, changes: dict[str, Any], status: int, max_age_s: int
) -> None:
    target = "/image/upload/w_30/f_png/gone.jpg" if "dialect" in changes else "/w_30,f_png/gone.jpg"
    async with running(tmp_path, mounts={"all": MOUNT | changes}) as node:
        add_originals(node)
        temporary_file(node.originals, "missing.png", pictures.plain_as("png", 60, 60, GREEN))
        for _ in range(2):
            answer = await node.get(target)
            assert (answer.status, colour(answer.body)) == (status, GREEN)
            assert answer.headers["Cache-Control"] == f"public, max-age={max_age_s}"
        repeated = await node.get(target, If_None_Match=answer.headers["ETag"])
        assert repeated.status == 304
        part = await node.get(target, Range="bytes=0-9")
        assert part.status == (206 if status == 200 else status)


async def test_an_original_that_appears_is_shown(tmp_path: Path) -> None:
    async with running(tmp_path, mounts={"all": MOUNT}) as node:
        add_originals(node)
        temporary_file(node.originals, "missing.png", pictures.plain_as("png", 60, 60, GREEN))
        assert colour((await node.get("/w_30,f_png/late.png")).body) == GREEN
        temporary_file(node.originals, "late.png", pictures.plain_as("png", 60, 60, RED))
        async with node.client.post(
            node.node.admin_url + "/v1/purge", json={"original": "late.png"}
        ) as reply:
            assert reply.status == 200
        assert colour((await node.get("/w_30,f_png/late.png")).body) == RED


async def test_a_default_of_the_url_comes_first_and_keeps_its_status(tmp_path: Path) -> None:
    mount = MOUNT | {"dialect": "cloudinary", "fallback_status": 404}
    async with running(tmp_path, mounts={"all": mount}) as node:
        add_originals(node)
        temporary_file(node.originals, "missing.png", pictures.plain_as("png", 60, 60, GREEN))
        of_url = await node.get("/image/upload/w_30,d_logo.png/f_png/gone.jpg")
        assert (of_url.status, colour(of_url.body)) == (200, RED)
        of_mount = await node.get("/image/upload/w_30,d_nowhere.png/f_png/gone.jpg")
        assert (of_mount.status, colour(of_mount.body)) == (404, GREEN)


async def test_other_answers_have_none(tmp_path: Path) -> None:
    """The original's own bytes, its description, and every answer of a mount whose fallback does not exist."""
    async with running(tmp_path, mounts={"all": MOUNT}) as node:
        add_originals(node)
        assert (await node.get("/w_30,f_png/gone.jpg")).status == 404
        temporary_file(node.originals, "missing.png", pictures.plain_as("png", 60, 60, GREEN))
        for target in ("/original/gone.jpg", "/info/gone.jpg"):
            assert (await node.get(target)).status == 404
