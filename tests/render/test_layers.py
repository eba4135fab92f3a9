"""An original over the pages of another, on small pictures."""

from dataclasses import replace

import pytest
import pyvips

from proxy.core.errors import Undecodable
from proxy.core.image.formats import Format
from proxy.core.image.original import OriginalRef
from proxy.core.transform.layers import with_originals
from proxy.core.transform.operations import CENTER, Blend, FocalPoint, Watermark
from proxy.core.transform.plan import resolve
from proxy.core.url.dialects.native.urls import parse_transform
from proxy.render.checked_original import CheckedOriginal
from proxy.render.pipeline import render
from tests.render.conftest import DEFAULTS, LIMITS, draw
from tests.support import pictures

SOUTH_EAST = FocalPoint(1.0, 1.0)
BLACK, RED = (0, 0, 0), (255, 0, 0)


def plain(width: int, height: int, colour: tuple[int, ...] = BLACK) -> bytes:
    return pictures.plain_as("png", width, height, colour)


def drawn(
    picture: bytes, logo: bytes, mark: Watermark, tokens: str = "f_png", kind: Format = Format.PNG
) -> bytes:
    plan = resolve(parse_transform(tokens, {}), kind, DEFAULTS)
    originals = [CheckedOriginal.of(each, LIMITS) for each in (picture, logo)]
    return render(originals[0], replace(plan, ops=(*plan.ops, mark)), LIMITS, originals[1:])


def opened(content: bytes) -> pyvips.Image:
    return pyvips.Image.new_from_buffer(content, "")


def red_box(content: bytes) -> tuple[int, int, int, int]:
    """Left, top, width and height of what is red."""
    red = (opened(content).extract_band(0) == 255).copy(interpretation="b-w")
    left, top, width, height = red.find_trim(threshold=1, background=0, line_art=True)
    return left, top, width, height


def test_it_has_its_share_of_the_width_and_its_margin() -> None:
    made = drawn(plain(200, 100), plain(50, 25, RED), Watermark(0.2, SOUTH_EAST, 0.05, 100, 0))
    assert pictures.size(made) == (200, 100)
    assert opened(made).bands == 3, "an opaque picture stays opaque"
    assert red_box(made) == (150, 70, 40, 20)


@pytest.mark.parametrize(("opacity", "value"), [(100, 200), (50, 100), (1, 2)])
def test_opacity_mixes_with_the_picture(opacity: int, value: int) -> None:
    made = opened(
        drawn(plain(60, 60), plain(10, 10, (200, 200, 200)), Watermark(1.0, CENTER, 0.0, opacity, 0))
    )
    assert (made - value).abs().max() <= 1


def test_alpha_of_both_is_composited() -> None:
    """As W3C Compositing 1, 9.1.4, source-over."""
    backdrop, source = (0, 0, 255, 128), (255, 0, 0, 64)
    made = drawn(plain(20, 20, backdrop), plain(20, 20, source), Watermark(1.0, CENTER, 0.0, 100, 0))
    of_source, of_backdrop = 64 / 255, 128 / 255 * (1 - 64 / 255)
    alpha = of_source + of_backdrop
    expected = [255 * of_source / alpha, 0, 255 * of_backdrop / alpha, 255 * alpha]
    assert pictures.pixel(made, 10, 10) == pytest.approx(expected, abs=1.5)


def test_it_is_never_higher_than_the_picture() -> None:
    made = drawn(plain(300, 40), plain(100, 100, RED), Watermark(1.0, CENTER, 0.01, 100, 0))
    assert red_box(made) == (133, 3, 34, 34)


@pytest.mark.parametrize(("least", "is_drawn"), [(100, True), (101, False)])
def test_a_narrow_picture_has_none(least: int, is_drawn: bool) -> None:
    mark = Watermark(0.3, CENTER, 0, 100, least)
    made = opened(drawn(plain(200, 80), plain(9, 9, RED), mark, "w_100,f_png"))
    assert (made.max() == 255) is is_drawn


@pytest.mark.parametrize("side", [1, 2, 3])
def test_the_smallest_pictures_and_flattest_logos_are_drawn(side: int) -> None:
    made = drawn(plain(side, side), plain(300, 1, RED), Watermark(1.0, SOUTH_EAST, 0.5, 100, 0))
    assert pictures.size(made) == (side, side)


def test_every_frame_has_it() -> None:
    film, purple = pictures.film_as("gif"), (255, 0, 255)
    made = drawn(film, plain(9, 9, purple), Watermark(1.0, CENTER, 0, 100, 0), "f_gif", Format.GIF)
    for page in range(5):
        assert pictures.pixel(made, 30, 20, page)[:3] == list(purple)


def test_a_logo_that_lies_on_its_side_is_upright() -> None:
    logo = pictures.with_exif(orientation=6)
    alone = draw(logo, "f_png")
    made = drawn(plain(*pictures.size(alone)), logo, Watermark(1.0, CENTER, 0, 100, 0))
    assert (opened(made) - opened(alone)).abs().max() <= 1


def test_an_animated_logo_is_its_first_frame() -> None:
    film = pictures.film_as("gif")
    made = drawn(plain(60, 40), film, Watermark(1.0, CENTER, 0, 100, 0))
    assert (opened(made) - opened(draw(film, "pg_1,f_png")).extract_band(0, n=3)).abs().max() <= 1


def test_a_damaged_logo_is_known_as_the_second_original() -> None:
    logo = bytearray(pictures.photo_as("png", 300, 200))
    logo[len(logo) // 2] ^= 255
    with pytest.raises(Undecodable) as caught:
        drawn(plain(100, 100), bytes(logo), Watermark(1.0, CENTER, 0, 100, 0))
    assert caught.value.original == 1


def laid(picture: bytes, logo: bytes, options: str, tokens: str = "f_png") -> bytes:
    """`picture` with `logo` as a layer with these options."""
    transform = with_originals(
        parse_transform(f"{tokens},l_logo.png{options}", {}), lambda key: OriginalRef("a", key)
    )
    plan = resolve(transform, Format.PNG, DEFAULTS)
    originals = [CheckedOriginal.of(each, LIMITS) for each in (picture, logo)]
    return render(originals[0], plan, LIMITS, originals[1:])


@pytest.mark.parametrize(
    ("options", "box"),
    [
        ("", (80, 40, 40, 20)),
        (";g:north_west", (0, 0, 40, 20)),
        (";g:south_east:-10:-5", (150, 75, 40, 20)),
        (";w:20", (90, 45, 20, 10)),
        (";h:0.5", (50, 25, 100, 50)),
        (";w:0.5;h:0.5", (50, 25, 100, 50)),
        (";w:0.5;h:0.1", (90, 45, 20, 10)),
        (";w:10;h:50;c:scale", (95, 25, 10, 50)),
        (";g:south_east:30:10", (190, 90, 10, 10)),
        (";g:north_west:-30:0", (0, 0, 10, 20)),
        (";w:2.0", (0, 0, 200, 100)),
        (";g:0.25:0.0:0.1:0.0", (60, 0, 40, 20)),
    ],
)
def test_a_layer_has_its_size_and_position(options: str, box: tuple[int, int, int, int]) -> None:
    made = laid(plain(200, 100), plain(40, 20, RED), options)
    assert opened(made).bands == 3, "an opaque picture stays opaque"
    assert red_box(made) == box


@pytest.mark.parametrize(
    "options", [";w:9.0", ";h:9.0", ";w:99999;h:1;c:scale", ";w:1;h:1;p:tile", ";w:9.0;p:tile;g:0:0:7:-9"]
)
@pytest.mark.parametrize("size", [(1, 3000), (3000, 1), (1, 1)])
def test_the_flattest_layers_are_drawn(size: tuple[int, int], options: str) -> None:
    assert pictures.size(laid(plain(60, 40), plain(*size, RED), options)) == (60, 40)
    assert pictures.size(laid(plain(1, 1), plain(*size, (255, 0, 0, 9)), options)) == (1, 1)


def test_a_layer_outside_of_the_picture_is_not_drawn() -> None:
    made = laid(plain(20, 20), plain(9, 9, RED), ";g:south_east:100:0")
    assert opened(made).max() == 0


def blended(mode: str, backdrop: float, source: float) -> float:
    """The blend functions of W3C Compositing and Blending 1, section 9."""
    hard = 2 * backdrop * source if source <= 0.5 else 1 - 2 * (1 - backdrop) * (1 - source)
    overlay = 2 * backdrop * source if backdrop <= 0.5 else 1 - 2 * (1 - backdrop) * (1 - source)
    root = ((16 * backdrop - 12) * backdrop + 4) * backdrop if backdrop <= 0.25 else backdrop**0.5
    soft = (
        backdrop - (1 - 2 * source) * backdrop * (1 - backdrop)
        if source <= 0.5
        else backdrop + (2 * source - 1) * (root - backdrop)
    )
    return {
        "normal": source,
        "multiply": backdrop * source,
        "screen": backdrop + source - backdrop * source,
        "overlay": overlay,
        "darken": min(backdrop, source),
        "lighten": max(backdrop, source),
        "color-dodge": min(1, backdrop / (1 - source)) if source < 1 else 1.0,
        "color-burn": 1 - min(1, (1 - backdrop) / source) if source else 0.0,
        "hard-light": hard,
        "soft-light": soft,
        "difference": abs(backdrop - source),
        "exclusion": backdrop + source - 2 * backdrop * source,
    }[mode]


@pytest.mark.parametrize("mode", Blend)
def test_colours_mix_as_w3c_says(mode: Blend) -> None:
    below, above = (30, 128, 220), (200, 90, 40)
    made = laid(plain(9, 9, below), plain(9, 9, above), f";b:{mode}")
    expected = [
        255 * blended(mode.value, one / 255, other / 255) for one, other in zip(below, above, strict=True)
    ]
    assert pictures.pixel(made, 4, 4) == pytest.approx(expected, abs=1.5)


def test_opacity_of_a_layer_mixes_it() -> None:
    made = laid(plain(9, 9), plain(9, 9, (200, 200, 200)), ";o:50")
    assert pictures.pixel(made, 4, 4) == pytest.approx([100, 100, 100], abs=1.5)


def test_tiles_cover_the_picture_from_their_position_on() -> None:
    tile = (
        pyvips.Image.black(10, 10, bands=3)
        .copy(interpretation="srgb")
        .draw_rect([255, 0, 0], 0, 0, 1, 10, fill=True)
    )
    made = opened(laid(plain(35, 25), tile.pngsave_buffer(), ";g:north_west:3:0;p:tile"))
    assert [x for x in range(35) if made(x, 24)[0] == 255] == [3, 13, 23, 33]


def test_an_underlay_shows_through_transparency_only() -> None:
    made = laid(plain(20, 20, (0, 0, 255, 0)), plain(20, 20, RED), ";p:under")
    assert pictures.pixel(made, 5, 5)[:3] == list(RED)
    assert opened(laid(plain(20, 20), plain(20, 20, RED), ";p:under")).max() == 0


def test_every_frame_has_the_layer() -> None:
    transform = with_originals(parse_transform("f_gif,l_a.png", {}), lambda key: OriginalRef("a", key))
    plan = resolve(transform, Format.GIF, DEFAULTS)
    originals = [
        CheckedOriginal.of(each, LIMITS) for each in (pictures.film_as("gif"), plain(9, 9, (255, 0, 255)))
    ]
    made = render(originals[0], plan, LIMITS, originals[1:])
    for page in range(5):
        assert pictures.pixel(made, 30, 20, page)[:3] == [255, 0, 255]
