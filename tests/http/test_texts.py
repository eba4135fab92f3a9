"""Texts of URLs over HTTP: drawn once, stored as originals, in pixels of the variant."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pyvips

from proxy.core.transform.layers import TEXTS
from tests.http.conftest import running
from tests.http.test_watermark import RED, add_originals, colour
from tests.support.fonts import font_folder, write_font

ANY: dict[str, Any] = {"source": "photos", "dimensions": "any"}
TEXT = "l_;t:A;f:Squares;s:40;co:f00"


@pytest.fixture(scope="module")
def fonts() -> Iterator[dict[str, Any]]:
    with font_folder("Squares") as folder:
        yield {"fonts": [str(folder)]}


def red_box(content: bytes) -> list[int]:
    """Left, top, width and height of what is red."""
    image = pyvips.Image.new_from_buffer(content, "")
    red = ((image[0] > 200) & (image[1] < 60)).copy(interpretation="b-w")
    return [round(side) for side in red.find_trim(threshold=1, background=0, line_art=True)]


@pytest.mark.parametrize(
    ("dialect", "target"),
    [
        ("native", f"/w_80,f_png,{TEXT}/photo.jpg"),
        ("native", f"/w_40,dpr_2.0,f_png,{TEXT.replace('s:40', 's:20')}/photo.jpg"),
        ("cloudinary", "/image/upload/w_80/l_text:Squares_40:A,co_red/f_png/photo.jpg"),
        ("cloudinary", "/image/upload/$word_!A!/w_80/l_text:Squares_40:$(word),co_rgb:f00/fl_layer_apply/f_png/photo.jpg"),
    ],
)  # fmt: skip
async def test_a_text_is_drawn_in_the_middle(
    tmp_path: Path, fonts: dict[str, Any], dialect: str, target: str
) -> None:
    async with running(tmp_path, mounts={"all": {**ANY, "dialect": dialect}}, render=fonts) as node:
        add_originals(node)
        answers = [await node.get(target) for _ in range(2)]
        assert [(answer.status, colour(answer.body)) for answer in answers] == [(200, RED)] * 2, answers[
            0
        ].body
        assert red_box(answers[0].body)[2:] == [40, 40]
        assert "hit" in answers[1].headers["Cache-Status"]


async def test_a_text_is_drawn_once_for_all_variants(tmp_path: Path, fonts: dict[str, Any]) -> None:
    async with running(tmp_path, mounts={"all": ANY}, render=fonts) as node:
        add_originals(node)
        for width in (70, 80, 90):
            assert (await node.get(f"/w_{width},f_png,{TEXT}/photo.jpg")).status == 200
        assert await node.metric("calotype_source_fetches_total", source=TEXTS, outcome="ok") == 1


async def test_texts_are_drawn_anew_after_a_restart_with_other_fonts(tmp_path: Path) -> None:
    with font_folder("Squares") as folder:
        keys = []
        for _ in range(2):
            render = {"fonts": [str(folder)]}
            async with running(tmp_path, mounts={"all": ANY}, render=render) as node:
                add_originals(node)
                answer = await node.get(f"/w_80,f_png,{TEXT}/photo.jpg")
                assert answer.status == 200, answer.body
                keys.append(answer.headers["ETag"])
            write_font(folder, "Squares", "AB")
        assert len(set(keys)) == 2


@pytest.mark.parametrize(
    ("layer", "detail"),
    [
        ("l_;t:A;f:Squars", "the font Squars is not installed on this node; is Squares meant?"),
        ("l_;t:" + "A" * 900 + ";f:Squares;s:1000", "a text is about"),
    ],
)
async def test_a_text_that_cannot_be_drawn_is_an_error_of_the_url(
    tmp_path: Path, fonts: dict[str, Any], layer: str, detail: str
) -> None:
    async with running(tmp_path, mounts={"all": ANY}, render=fonts) as node:
        add_originals(node)
        answer = await node.get(f"/w_80,f_png,{layer}/photo.jpg")
        assert answer.status == 400
        assert json.loads(answer.body)["detail"].startswith(detail)


async def test_a_text_needs_a_signature_or_a_preset_where_sizes_are_listed(
    tmp_path: Path, fonts: dict[str, Any]
) -> None:
    presets = {"sale": f"w_80,f_png,{TEXT}"}
    async with running(tmp_path, mounts={"all": {"source": "photos"}}, presets=presets, render=fonts) as node:
        add_originals(node)
        assert (await node.get(f"/w_100,f_png,{TEXT}/photo.jpg")).status == 400
        assert colour((await node.get("/t_sale/photo.jpg")).body) == RED


async def test_a_colour_is_drawn_without_an_original(tmp_path: Path) -> None:
    async with running(tmp_path, mounts={"all": ANY}) as node:
        add_originals(node)
        answer = await node.get("/w_80,f_png,l_;co:f00;w:20;h:0.5;g:north_west/photo.jpg")
        image = pyvips.Image.new_from_buffer(answer.body, "")
        assert red_box(answer.body) == [0, 0, 20, image.height // 2]
