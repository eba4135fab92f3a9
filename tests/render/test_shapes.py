"""Corners, ellipses and opacity, beside the part of each pixel that is inside, counted in 16 by 16 points."""

from collections.abc import Callable
from itertools import product
from math import cos, radians, sin

import pytest
import pyvips

from proxy.core.image.size import Size
from proxy.render.shapes import corners, ellipse
from tests.render.conftest import draw
from tests.support import pictures
from tests.support.pictures import pixel, size

POINTS = [(number + 0.5) / 16 for number in range(16)]
Inside = Callable[[float, float], bool]
WITHIN = 20
"""Levels: the edge is taken for a straight one."""


def part(is_inside: Inside, x: int, y: int) -> int:
    count = sum(is_inside(x + dx, y + dy) for dx, dy in product(POINTS, POINTS))
    return round(255 * count / len(POINTS) ** 2)


def check(mask: pyvips.Image, is_inside: Inside) -> None:
    values = bytes(mask.write_to_memory())
    for x, y in product(range(mask.width), range(mask.height)):
        expected = part(is_inside, x, y)
        assert abs(values[y * mask.width + x] - expected) <= WITHIN, (x, y, expected)


@pytest.mark.parametrize("of", [Size(24, 16), Size(9, 9), Size(1, 1), Size(3, 20)])
def test_an_ellipse_touches_all_sides(of: Size) -> None:
    def is_inside(x: float, y: float) -> bool:
        return (2 * x / of.width - 1) ** 2 + (2 * y / of.height - 1) ** 2 <= 1

    mask = ellipse(of)
    assert (mask.width, mask.height) == of
    if min(of) > 3:
        check(mask, is_inside)


def rounded(of: Size, radii: tuple[float, float, float, float]) -> Inside:
    centres = [
        (radii[0], radii[0], -1, -1),
        (of.width - radii[1], radii[1], 1, -1),
        (of.width - radii[2], of.height - radii[2], 1, 1),
        (radii[3], of.height - radii[3], -1, 1),
    ]

    def is_inside(x: float, y: float) -> bool:
        for (left, top, across, down), radius in zip(centres, radii, strict=True):
            if (x - left) * across > 0 and (y - top) * down > 0:
                return (x - left) ** 2 + (y - top) ** 2 <= radius**2
        return True

    return is_inside


@pytest.mark.parametrize(
    ("of", "radii", "fitting"),
    [
        (Size(30, 20), (5, 5, 5, 5), (5, 5, 5, 5)),
        (Size(30, 20), (0, 4, 8, 12), (0, 4, 8, 12)),
        (Size(30, 20), (15, 15, 15, 15), (10, 10, 10, 10)),
        (Size(30, 20), (40, 0, 0, 0), (20, 0, 0, 0)),
        (Size(20, 20), (9999, 9999, 9999, 9999), (10, 10, 10, 10)),
        (Size(10, 40), (8, 8, 0, 0), (5, 5, 0, 0)),
    ],
)
def test_corners_are_those_of_css(
    of: Size, radii: tuple[int, int, int, int], fitting: tuple[float, float, float, float]
) -> None:
    mask = corners(of, radii)
    assert (mask.width, mask.height) == of
    check(mask, rounded(of, fitting))


def test_a_shape_keeps_what_was_transparent() -> None:
    drawn = draw(pictures.cut_out_as("png"), "w_40,h_40,c_scale,e_corners:10,f_png")
    plain = draw(pictures.cut_out_as("png"), "w_40,h_40,c_scale,f_png")
    assert pixel(drawn, 0, 0)[3] == 0
    assert pixel(drawn, 20, 20) == pixel(plain, 20, 20)


@pytest.mark.parametrize(("percent", "alpha"), [(50, 128), (0, 0), (99, 252)])
def test_opacity_multiplies_alpha(percent: int, alpha: int) -> None:
    drawn = draw(pictures.quarters_as("png"), f"w_20,e_opacity:{percent},f_png")
    assert abs(pixel(drawn, 5, 5)[3] - alpha) <= 1


def test_a_format_without_alpha_shows_the_background() -> None:
    drawn = draw(pictures.quarters_as("png"), "w_40,e_ellipse,b_00ff00,f_jpg")
    assert pixel(drawn, 0, 0)[1] > 240
    assert pixel(drawn, 0, 0)[0] < 20


def test_every_frame_of_an_animation_has_the_shape() -> None:
    drawn = draw(pictures.film_as("gif"), "w_40,h_40,c_fill,e_ellipse,f_webp")
    for page in (0, 1):
        assert pixel(drawn, 0, 0, page)[3] == 0
        assert pixel(drawn, 20, 20, page)[3] == 255


@pytest.mark.parametrize("degrees", ["12", "-30", "100", "181.5"])
def test_a_rotation_turns_clockwise_about_the_middle(degrees: str) -> None:
    source = pyvips.Image.black(80, 40, bands=3).copy(interpretation="srgb")
    source = source.draw_rect([255, 0, 0], 40, 18, 36, 4, fill=True).pngsave_buffer()
    drawn = draw(source, f"e_rotate:{degrees}:0000ff,f_png")
    image = pyvips.Image.new_from_buffer(drawn, "")
    # A point 30 pixels to the right of the middle.
    across, down = 30 * cos(radians(float(degrees))), 30 * sin(radians(float(degrees)))
    red, _, _ = image(round(image.width / 2 + across - 0.5), round(image.height / 2 + down - 0.5))
    assert red > 200
    assert image(0, 0)[2] > 200, "the background"


def test_what_a_rotation_leaves_free_is_transparent() -> None:
    drawn = draw(pictures.quarters_as("png"), "w_40,e_rotate:45,f_png")
    assert pixel(drawn, 0, 0)[3] == 0
    assert pixel(drawn, 28, 20)[3] == 255
    assert size(draw(pictures.quarters_as("png"), "w_40,e_rotate:90,f_png")) == size(
        draw(pictures.quarters_as("png"), "w_40,a_90,f_png")
    )


SQUARE = pyvips.Image.black(20, 20, bands=4).copy(interpretation="srgb")
SQUARE = SQUARE.draw_rect([0, 0, 255, 255], 5, 5, 10, 10, fill=True).pngsave_buffer()
"""A blue square in the middle of a transparent one."""


def test_an_outline_surrounds_what_is_opaque_and_enlarges_the_picture() -> None:
    drawn = draw(SQUARE, "e_outline:4:ff0000,f_png")
    assert size(drawn) == (28, 28)
    assert pixel(drawn, 14, 14) == [0, 0, 255, 255]
    assert pixel(drawn, 14, 6)[:3] == [255, 0, 0]
    assert pixel(drawn, 14, 6)[3] > 250
    assert pixel(drawn, 14, 3)[3] < 10
    assert pixel(drawn, 5, 5)[3] < 60, "its corners are round"


def test_an_opaque_picture_has_an_outline_around_all_of_it() -> None:
    drawn = draw(pictures.plain_as("png", 20, 10, (0, 0, 255)), "e_outline:3:ff0000,f_png")
    assert size(drawn) == (26, 16)
    assert pixel(drawn, 1, 8)[:3] == [255, 0, 0]


def test_a_shadow_is_moved_and_blurred_below_the_picture() -> None:
    drawn = draw(SQUARE, "e_shadow:8:6:1:00ff0080,f_png")
    # It reaches three sigmas, to the right and below by its offset more.
    assert size(drawn) == (20 + 11, 20 + 9)
    assert pixel(drawn, 10, 10) == [0, 0, 255, 255]
    green = pixel(drawn, 20, 18)
    assert green[:3] == [0, 255, 0]
    assert 120 <= green[3] <= 128
    assert pixel(drawn, 2, 2)[3] == 0
    assert size(draw(SQUARE, "e_shadow:-8:0:1:000,f_png")) == (20 + 11, 20 + 6)


def test_what_a_shadow_adds_is_flattened_in_formats_without_alpha() -> None:
    drawn = draw(pictures.plain_as("png", 20, 10, (0, 0, 255)), "e_shadow:20:20:1:000000,f_jpg,q_100")
    pixels = pyvips.Image.new_from_buffer(drawn, "")
    assert pixels(pixels.width - 1, 0) == [255, 255, 255]
    assert max(pixels(30, 25)) < 20
