"""The size table of SPEC section 3: rounding half up, sides of at least 1 pixel, no enlargement."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.image.size import Box, Size, pixels
from proxy.core.transform.geometry import (
    crop_box,
    inside,
    outside,
    pad_offset,
    ratio,
    scaled_into,
)
from proxy.core.transform.operations import CENTER, FocalPoint

sides = st.integers(1, 20_000)
sizes = st.builds(Size, sides, sides)
fractions = st.floats(0, 1)


def half_up(exact: Fraction) -> int:
    return max(1, math.floor(exact + Fraction(1, 2)))


@pytest.mark.parametrize(
    ("number", "above", "below", "result"),
    [(1, 1, 2, 1), (3, 1, 2, 2), (5, 1, 2, 3), (1, 1, 100, 1), (7, 10, 4, 18), (451, 300, 451, 300)],
)
def test_halves_are_rounded_up_and_the_result_is_at_least_one(
    number: int, above: int, below: int, result: int
) -> None:
    assert ratio(number, above, below) == result


@given(sides, sides, sides)
def test_ratio_is_exact(number: int, above: int, below: int) -> None:
    assert ratio(number, above, below) == half_up(Fraction(number * above, below))


@pytest.mark.parametrize(
    ("original", "box", "result"),
    [
        ((400, 300), (200, 200), (200, 150)),
        ((300, 400), (200, 200), (150, 200)),
        ((451, 300), (200, 4000), (200, 133)),
        ((100, 50), (400, 400), (100, 50)),
        ((940, 2), (100, 100), (100, 1)),
        ((3, 2), (1, 4000), (1, 1)),
        ((40, 10_000), (400, 4000), (16, 4000)),
    ],
)
def test_inside_fits_the_box(
    original: tuple[int, int], box: tuple[int, int], result: tuple[int, int]
) -> None:
    assert inside(Size(*original), Size(*box), enlarge=False) == Size(*result)


@given(sizes, sizes, st.booleans())
def test_inside_stays_in_the_box_and_touches_it(original: Size, box: Size, enlarge: bool) -> None:
    size = inside(original, box, enlarge=enlarge)
    assert size.width <= box.width
    assert size.height <= box.height
    if enlarge:
        assert size.width == box.width or size.height == box.height
    else:
        assert size.width <= original.width
        assert size.height <= original.height


@given(sizes, sizes)
def test_inside_keeps_the_aspect_to_the_rounded_pixel(original: Size, box: Size) -> None:
    size = inside(original, box, enlarge=True)
    if size.width == box.width and original.width * box.height >= original.height * box.width:
        assert size.height == half_up(Fraction(original.height * box.width, original.width))
    else:
        assert size.width == half_up(Fraction(original.width * box.height, original.height))


@given(sizes, sizes)
def test_outside_covers_the_box_and_touches_it(original: Size, box: Size) -> None:
    size = outside(original, box, None)
    assert size.width >= box.width
    assert size.height >= box.height
    assert size.width == box.width or size.height == box.height


def test_outside_is_scaled_down_to_the_limit() -> None:
    assert outside(Size(40, 10_000), Size(400, 400), 4000) == Size(16, 4000)
    assert outside(Size(400, 300), Size(100, 100), 4000) == Size(133, 100)


@given(sizes, st.integers(1, 5000))
def test_a_box_is_scaled_into_the_limit(size: Size, most: int) -> None:
    into = scaled_into(size, most)
    assert max(into) <= max(most, 1)
    if max(size) <= most:
        assert into == size


def test_huge_numbers_are_exact() -> None:
    assert scaled_into(Size(10**18, 1), 4000) == Size(4000, 1)


@given(sizes, sizes, fractions, fractions)
def test_a_crop_lies_within_the_picture(size: Size, box: Size, x: float, y: float) -> None:
    box = Size(min(box.width, size.width), min(box.height, size.height))
    cut = crop_box(size, box, FocalPoint(x, y))
    assert cut.left >= 0
    assert cut.top >= 0
    assert cut.left + cut.width <= size.width
    assert cut.top + cut.height <= size.height
    assert Size(cut.width, cut.height) == box


@pytest.mark.parametrize(
    ("point", "corner"),
    [
        (CENTER, (50, 0)),
        (FocalPoint(0, 0), (0, 0)),
        (FocalPoint(1, 1), (100, 0)),
        (FocalPoint(0.3, 0.5), (10, 0)),
        (FocalPoint(0.1, 0.5), (0, 0)),
        (FocalPoint(0.9, 0.5), (100, 0)),
    ],
)
def test_a_crop_is_centred_on_its_point_within_the_picture(
    point: FocalPoint, corner: tuple[int, int]
) -> None:
    assert crop_box(Size(200, 100), Size(100, 100), point) == Box(*corner, 100, 100)


def test_half_a_pixel_of_offset_is_rounded_up() -> None:
    assert crop_box(Size(101, 100), Size(100, 100), CENTER).left == 1


@given(sizes, fractions, fractions)
def test_padding_keeps_the_picture_on_the_canvas(canvas: Size, x: float, y: float) -> None:
    size = Size(max(1, canvas.width // 2), max(1, canvas.height // 3))
    left, top = pad_offset(size, canvas, FocalPoint(x, y))
    assert 0 <= left <= canvas.width - size.width
    assert 0 <= top <= canvas.height - size.height


def test_a_size_has_a_text_and_an_area() -> None:
    assert str(Size(3, 4)) == "3x4"
    assert pixels(Size(3, 4)) == 12
