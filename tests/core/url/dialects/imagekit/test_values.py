"""The values of ImageKit's transformations."""

from fractions import Fraction

import pytest

from proxy.core.errors import UnsupportedFormat
from proxy.core.image.formats import Format
from proxy.core.transform.operations import WHITE, WHOLE, Auto, Colour, Length, Part
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
    ],
)
def test_widths(text: str, expected: Length) -> None:
    assert width(text) == expected


@pytest.mark.parametrize("text", ["ih", "iw_add_10", "bw_div_2", "iw_div_2_mul_3", "ih_div_2"])
def test_other_expressions_are_not_done(text: str) -> None:
    with pytest.raises(UnsupportedValue):
        width(text)
    assert height("ih_div_2") == Part(Fraction(1, 2))


@pytest.mark.parametrize("text", ["iw_div_0", "iw_mul_1000", "iw_mul_0", "x", "", "-1"])
def test_invalid_widths(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
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
