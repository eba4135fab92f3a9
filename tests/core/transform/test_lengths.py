"""Lengths that depend on sizes: their simplest form, and their pixels."""

from fractions import Fraction

import pytest

from proxy.core.image.size import Size
from proxy.core.transform.conditions import Measure
from proxy.core.transform.lengths import WHOLE, Length, Part, Sum, is_negative, length

W, H, IW = Measure.WIDTH, Measure.HEIGHT, Measure.ORIGINAL_WIDTH
HALF = Fraction(1, 2)


@pytest.mark.parametrize(
    ("pixels", "multiples", "expected"),
    [
        (Fraction(5, 2), {}, 3),
        (Fraction(-5, 2), {}, -2),
        (Fraction(0), {W: Fraction(1)}, WHOLE),
        (Fraction(0), {W: Fraction(0)}, 0),
        (Fraction(0), {W: Fraction(1, 3)}, Part(Fraction(333_333, 10**6))),
        (Fraction(0), {H: HALF}, Sum(Fraction(0), ((H, HALF),))),
        (Fraction(4), {W: HALF}, Sum(Fraction(4), ((W, HALF),))),
        (Fraction(4), {IW: HALF, W: HALF}, Sum(Fraction(4), ((W, HALF), (IW, HALF)))),
        (Fraction(4), {H: Fraction(1, 10**9)}, Sum(Fraction(4), ((H, Fraction(1, 10**6)),))),
    ],
)
def test_a_length_has_its_simplest_form(
    pixels: Fraction, multiples: dict[Measure, Fraction], expected: Length
) -> None:
    assert length(pixels, multiples, W) == expected


def test_a_sum_is_of_the_canvas_and_of_the_original_half_a_pixel_up() -> None:
    canvas, original = Size(101, 50), Size(1000, 700)
    assert Sum(Fraction(-2), ((W, HALF), (H, Fraction(2)), (IW, Fraction(1)))).px(canvas, original) == 1149
    assert Sum(Fraction(0), ((W, -HALF),)).px(canvas, original) == -50


def test_a_multiple_of_a_length() -> None:
    assert Part(HALF).times(-2) == Part(Fraction(-1))
    assert Sum(Fraction(3), ((H, HALF),)).times(2) == Sum(Fraction(6), ((H, Fraction(1)),))


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (0, False),
        (-1, True),
        (Part(-HALF), True),
        (Sum(Fraction(0), ((H, -HALF),)), True),
        (Sum(Fraction(1), ((H, -HALF),)), False),
        (Sum(Fraction(-9), ((H, HALF),)), False),
    ],
)
def test_a_length_below_0_on_every_picture(of: Length, expected: bool) -> None:
    assert is_negative(of) is expected
