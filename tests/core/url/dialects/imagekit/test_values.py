"""The values of ImageKit's transformations."""

from fractions import Fraction

import pytest

from proxy.core.errors import UnsupportedFormat
from proxy.core.image.formats import Format
from proxy.core.transform.conditions import Measure
from proxy.core.transform.lengths import WHOLE, Length, Part, Sum
from proxy.core.transform.operations import WHITE, Auto, Colour
from proxy.core.url.dialects.dialect import UnsupportedValue
from proxy.core.url.dialects.imagekit.values import colour, height, picture_format, quarters, ratio, width


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("300", 300),
        ("0.4", Part(Fraction(2, 5))),
        ("1", WHOLE),
        ("iw", WHOLE),
        ("iw_div_2", Part(Fraction(1, 2))),
        ("cw_mul_0.8", Part(Fraction(4, 5))),
        ("iw_mul_3", Part(Fraction(3))),
        ("iw_div_2_mul_3", Part(Fraction(3, 2))),
        ("2_mul_iw", Part(Fraction(2))),
        ("100_add_20", 120),
        ("ih", Sum(Fraction(0), ((Measure.HEIGHT, Fraction(1)),))),
        ("iw_add_10", Sum(Fraction(10), ((Measure.WIDTH, Fraction(1)),))),
        ("ch_mul_2_sub_iw", Sum(Fraction(0), ((Measure.WIDTH, Fraction(-1)), (Measure.HEIGHT, Fraction(2))))),
        ("iw_sub_cw_add_5", 5),
    ],
)
def test_widths(text: str, expected: Length) -> None:
    assert width(text) == expected


@pytest.mark.parametrize(
    "text", ["bw_div_2", "iw_mul_ih", "2_div_iw", "iw_mod_2", "iw_add", "iw_add_x", "-5_add_iw"]
)
def test_other_expressions_are_not_done(text: str) -> None:
    with pytest.raises(UnsupportedValue):
        width(text)
    assert height("ih_div_2") == Part(Fraction(1, 2))


@pytest.mark.parametrize(
    "text",
    [
        *("iw_div_0", "iw_mul_1000", "iw_mul_0", "iw_sub_cw", "10_sub_iw_sub_ih_sub_20", "x", "", "-1"),
        *("_add_".join(["iw"] * 9), "iw_mul_999999_mul_999999", "iw_div_999999_div_999999"),
    ],
)
def test_invalid_widths(text: str) -> None:
    with pytest.raises(ValueError, match="must (be|have|not divide)"):
        width(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FFF", WHITE),
        ("ff0000", Colour(255, 0, 0)),
        ("AAFF0040", Colour(0xAA, 0xFF, 0, 102)),
        ("AAFF0000", Colour(0xAA, 0xFF, 0, 0)),
        ("lightgreen", Colour(144, 238, 144)),
    ],
)
def test_colours(text: str, expected: Colour) -> None:
    assert colour(text) == expected


@pytest.mark.parametrize("text", ["AAFF00FF", "F000", "#fff", "Red", "", "nocolour"])
def test_other_colours(text: str) -> None:
    with pytest.raises(ValueError, match="must be RRGGBB"):
        colour(text)


@pytest.mark.parametrize("text", ["blurred", "blurred_25_N15", "dominant", "genfill", "gradient_dominant"])
def test_backgrounds_of_the_picture_are_not_done(text: str) -> None:
    with pytest.raises(UnsupportedValue):
        colour(text)


def test_formats() -> None:
    assert [picture_format(text) for text in ("auto", "jpeg", "orig")] == [
        (Auto.AUTO,),
        (Format.JPEG,),
        (None,),
    ]
    with pytest.raises(UnsupportedFormat):
        picture_format("svg")


def test_ratios_and_quarters() -> None:
    assert (ratio("4-3"), ratio("1.5")) == (Fraction(4, 3), Fraction(3, 2))
    with pytest.raises(UnsupportedValue):
        ratio("iar_div_2")
    assert [quarters(text) for text in ("0", "90", "N90", "auto", "450")] == [0, 1, 3, 0, 1]
    with pytest.raises(UnsupportedValue):
        quarters("N40")
