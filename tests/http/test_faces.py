"""Crops around faces over HTTP, by the detector of the extra `faces`."""

from pathlib import Path

import pytest

from proxy.render.libfacedetection import version
from tests.http.conftest import Running, running
from tests.support import pictures
from tests.support.answers import Answer
from tests.support.fakes import temporary_file
from tests.support.pictures import SKIN, is_near, pixel

pytestmark = pytest.mark.skipif(not version(), reason="the extra faces is not installed")
NO_FACE = "gravity;asked=face;made=auto"


def notice(answer: Answer) -> str:
    assert answer.status in (200, 304)
    return str(answer.headers.get("Calotype-Notice", ""))


async def test_a_crop_is_around_the_face(node: Running) -> None:
    people = pictures.people(640, 480, (480, 150, 90, 120))
    temporary_file(node.originals, "people.jpg", pictures.encoded(people, "jpeg"))
    for tokens, forehead in (
        ("w_150,h_300,c_fill,g_face", (75, 109)),
        ("w_120,h_240,c_fill,g_faces", (60, 87)),
        ("a_90~w_300,h_150,c_fill,g_face", (190, 75)),
    ):
        answer = await node.get(f"/{tokens},f_png/people.jpg")
        assert notice(answer) == ""
        assert is_near(pixel(answer.body, *forehead), SKIN)


async def test_a_picture_without_a_face_says_so_from_every_tier(tmp_path: Path) -> None:
    target = "/w_50,h_50,c_fill,g_face/photo.jpg"
    async with running(tmp_path) as node:
        temporary_file(node.originals, "photo.jpg", pictures.photo_as("jpeg"))
        for cache in ("fwd=miss", "hit; detail=memory", "hit; detail=memory"):
            answer = await node.get(target)
            assert cache in answer.cache
            assert notice(answer) == NO_FACE
        current = await node.get(target, If_None_Match=answer.headers["ETag"])
        assert (current.status, notice(current)) == (304, NO_FACE)
        both = await node.get("/w_50,h_50,c_fill,g_face,q_101/photo.jpg")
        assert notice(both) == f"q;asked=101;made=100, {NO_FACE}"
    async with running(tmp_path) as node:
        for cache in ("hit; detail=disk", "hit; detail=memory"):
            answer = await node.get(target)
            assert cache in answer.cache
            assert notice(answer) == NO_FACE
