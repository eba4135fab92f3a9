"""Effects on faces change the boxes of their heads and nothing else."""

from dataclasses import replace

import pytest
import pyvips

from proxy.core.image.faces import Face, Faces
from proxy.core.image.formats import Format
from proxy.core.transform.plan import resolve
from proxy.core.url.dialects.native.urls import parse_transform
from proxy.render.checked_original import CheckedOriginal
from proxy.render.pipeline import render
from tests.render.conftest import DEFAULTS, LIMITS
from tests.support import pictures

WIDTH, HEIGHT = 200, 100
FACE = Face(5000, 4000, 1000, 3000)
"""Its head is 20 x 40 pixels, at 100, 30."""


def drawn(tokens: str, faces: Faces, kind: str = "png") -> pyvips.Image:
    content = pictures.photo_as(kind, WIDTH, HEIGHT)
    plan = resolve(parse_transform(tokens, {}), Format.PNG, replace(DEFAULTS, face_detector="fake 1"))
    body = render(CheckedOriginal.of(content, LIMITS), replace(plan, faces=faces), LIMITS)
    return pyvips.Image.new_from_buffer(body, "")


@pytest.mark.parametrize("effect", ["blurfaces:9", "pixelatefaces:20"])
@pytest.mark.parametrize("before", ["", "e_opacity:70~"])
def test_what_is_outside_of_the_head_stays(effect: str, before: str) -> None:
    hidden = drawn(f"{before}e_{effect},f_png", Faces((FACE,)))
    shown = drawn(f"{before}e_{effect},f_png", Faces())
    changed = (hidden != shown).bandor()
    left, top, width, height = changed.find_trim(background=[0], threshold=1, line_art=True)
    assert (left >= 100, top >= 30, left + width <= 120, top + height <= 70) == (True,) * 4
    assert changed.crop(100, 30, 20, 40).avg() > 200, "nearly every pixel of the head is another"


def test_a_head_in_squares_shows_no_more_than_their_colours() -> None:
    hidden = drawn("e_pixelatefaces:20,f_png", Faces((FACE,)))
    for top in (30, 50):
        square = hidden.crop(100, top, 20, 20)
        assert all(band.max() == band.min() for band in square)


def test_all_heads_are_hidden_in_every_frame() -> None:
    frames = [pyvips.Image.gaussnoise(80, 40, seed=seed, mean=128, sigma=60).cast("uchar") for seed in (1, 2)]
    strip = pyvips.Image.arrayjoin(frames, across=1).bandjoin([128, 128]).copy(interpretation="srgb")
    strip.set_type(pyvips.GValue.gint_type, "page-height", 40)
    strip.set_type(pyvips.GValue.array_int_type, "delay", [100, 100])
    content = strip.webpsave_buffer(lossless=True)
    faces = Faces((Face(0, 3000, 2500, 3000), Face(5000, 3000, 2500, 3000)))
    plan = resolve(
        parse_transform("e_pixelatefaces:40", {}), Format.WEBP, replace(DEFAULTS, face_detector="fake 1")
    )
    opened = CheckedOriginal.of(content, LIMITS)
    moving = pyvips.Image.new_from_buffer(render(opened, replace(plan, faces=faces), LIMITS), "[n=-1]")
    for top in (0, 40):
        for left in (0, 40):
            assert moving.crop(left + 2, top + 14, 16, 8)[0].deviate() < 6
            assert moving.crop(left + 22, top + 14, 16, 8)[0].deviate() > 15
