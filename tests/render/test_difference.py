"""The visual difference: encoders pass, changes that people see do not."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import pyvips

from proxy.core.errors import OriginalTooLarge, Undecodable, UnsupportedFormat
from proxy.core.image.limits import InputLimits
from proxy.render.checked_original import CheckedOriginal
from proxy.render.difference import difference
from proxy.render.pool import Pool
from tests.render.conftest import LIMITS, opened
from tests.support import pictures
from tests.support.waiting import LONGEST_S, deadline

SMALL_CHANGE = 5.0
"""The default of `calotype compare --threshold`."""


def scene(width: int = 640, height: int = 480) -> pyvips.Image:
    image = pictures.photo(width, height)
    return image.draw_rect([240, 30, 30], width // 8, height // 6, width // 4, height // 5, fill=True)


def apart(one: bytes, other: bytes, limits: InputLimits = LIMITS) -> float:
    return difference(CheckedOriginal.of(one, LIMITS), CheckedOriginal.of(other, LIMITS), limits)


def png(image: pyvips.Image) -> bytes:
    return bytes(image.cast("uchar").copy(interpretation="srgb").pngsave_buffer())


def test_equal_pictures_have_no_difference_and_black_and_white_the_whole() -> None:
    assert apart(png(scene()), png(scene())) == 0
    black = pyvips.Image.black(30, 20, bands=3)
    assert apart(png(black), png(black + 255)) == 100


@pytest.mark.parametrize(
    ("kind", "quality"), [("jpg", 80), ("jpg", 60), ("webp", 75), ("avif", 50), ("gif", None)]
)
def test_encoders_differ_little(kind: str, quality: int | None) -> None:
    content = scene().write_to_buffer(f".{kind}", **({"Q": quality} if quality else {}))
    assert 0 < apart(bytes(content), png(scene())) < SMALL_CHANGE


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.fliphor(),
        lambda image: image.crop(20, 20, 600, 440).thumbnail_image(640, height=480, size="force"),
        lambda image: image.colourspace("b-w").colourspace("srgb"),
        lambda image: image + 20,
        lambda image: image.draw_rect([255, 255, 255], 500, 420, 100, 40, fill=True),
        lambda image: image.bandjoin(128),
    ],
    ids=["mirrored", "cropped", "grey", "brighter", "a mark in a corner", "half transparent"],
)
def test_changes_that_people_see_differ_much(change: Callable[[pyvips.Image], pyvips.Image]) -> None:
    assert apart(png(change(scene())), png(scene())) > SMALL_CHANGE


def test_colours_of_what_is_transparent_do_not_count() -> None:
    def nothing(colour: int) -> bytes:
        return png((pyvips.Image.black(40, 40, bands=3) + colour).bandjoin(0))

    assert apart(nothing(0), nothing(255)) == 0


@pytest.mark.parametrize("size", [(1, 1), (3, 700), (2000, 1500)])
def test_pictures_of_any_size(size: tuple[int, int]) -> None:
    white = pyvips.Image.black(*size, bands=3) + 255
    assert apart(png(white), png(white)) == 0
    assert apart(png(white * 0), png(white)) == 100


def test_a_picture_of_another_size_is_scaled_and_turned_upright() -> None:
    assert apart(png(scene().resize(0.5)), png(scene())) < SMALL_CHANGE
    turned = scene().rot90().copy()
    turned.set_type(pyvips.GValue.gint_type, "orientation", 8)
    assert apart(bytes(turned.jpegsave_buffer(Q=90)), png(scene())) < SMALL_CHANGE


def test_the_first_frames_of_animations_are_compared() -> None:
    assert apart(pictures.film_as("gif", 5), pictures.film_as("webp", 2)) < SMALL_CHANGE


def test_a_picture_that_cannot_be_decoded_is_named_by_its_position() -> None:
    whole, damaged = png(scene()), bytearray(pictures.photo_as("avif"))
    damaged[-2000:] = bytes(2000)
    for position, pair in enumerate([(damaged, whole), (whole, damaged)]):
        with pytest.raises(Undecodable) as failure:
            apart(*map(bytes, pair))
        assert failure.value.original == position


def test_a_picture_beyond_the_limits_is_not_decoded() -> None:
    few_pixels = replace(LIMITS, max_pixels=10_000)
    small = png(scene(100, 100))
    for position, pair in enumerate([(png(scene()), small), (small, png(scene()))]):
        with pytest.raises(OriginalTooLarge) as failure:
            apart(*pair, few_pixels)
        assert failure.value.original == position


async def test_workers_compare(make_pool: Callable[..., Pool]) -> None:
    pool = make_pool()
    await pool.start()
    one, other, text = opened(png(scene())), opened(png(scene() + 51)), opened(b"<svg/>")
    assert await pool.compare(one, one, deadline=deadline(LONGEST_S)) == 0
    assert 15 < await pool.compare(one, other, deadline=deadline(LONGEST_S)) <= 20
    with pytest.raises(UnsupportedFormat) as failure:
        await pool.compare(one, text, deadline=deadline(LONGEST_S))
    assert failure.value.original == 1
    for each in (one, other, text):
        each.file.close()
