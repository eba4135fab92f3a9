"""Native spellings of lengths that depend on sizes."""

from fractions import Fraction

import pytest
from hypothesis import given

from proxy.core.transform.conditions import Measure
from proxy.core.transform.lengths import WHOLE, Part, Relative, Sum
from proxy.core.url.dialects.native.lengths import relative, text_of
from tests.support.strategies import parts, sums

W, H, IH = Measure.WIDTH, Measure.HEIGHT, Measure.ORIGINAL_HEIGHT


@pytest.mark.parametrize(
    ("text", "expected", "written"),
    [
        ("0.5", Part(Fraction(1, 2)), "0.5"),
        ("1.0", WHOLE, "1.0"),
        ("w", WHOLE, "1.0"),
        ("0.5w", Part(Fraction(1, 2)), "0.5"),
        ("h", Sum(Fraction(0), ((H, Fraction(1)),)), "h"),
        ("h_sub_10", Sum(Fraction(-10), ((H, Fraction(1)),)), "h_sub_10"),
        ("10_add_h", Sum(Fraction(10), ((H, Fraction(1)),)), "h_add_10"),
        ("10_sub_2h", Sum(Fraction(10), ((H, Fraction(-2)),)), "10_sub_2h"),
        ("0.25ih_add_w_add_ih", Sum(Fraction(0), ((W, Fraction(1)), (IH, Fraction(5, 4)))), "w_add_1.25ih"),
        ("h_sub_h_add_w", WHOLE, "1.0"),
        ("h_add_500000000_add_500000000", Sum(Fraction(10**9), ((H, Fraction(1)),)), "h_add_1000000000"),
    ],
)
def test_lengths(text: str, expected: Relative, written: str) -> None:
    assert relative(W)(text) == expected
    assert text_of(expected) == written


@pytest.mark.parametrize(
    "text",
    [
        *("", "0.0", "5", "5_add_5", "-0.5", "-h", "h_mul_2", "h_add_", "_add_h", "x", "1000.0", "1000h"),
        *("0.1234567", "h+10", "ar", "01h", "_add_".join(["h"] * 9), "h_sub_h"),
        *("w_sub_2w", "0_sub_h", "2h_sub_3h", "w_add_1000000000_add_1", "w_sub_h_sub_9999999999"),
    ],
)
def test_other_lengths_have_a_reason(text: str) -> None:
    with pytest.raises(ValueError, match="must "):
        relative(W)(text)


def test_a_signed_length_may_be_below_0() -> None:
    read = relative(H, signed=True)
    assert read("-0.5") == Part(Fraction(-1, 2))
    assert read("-h_add_w") == Sum(Fraction(0), ((W, Fraction(1)), (H, Fraction(-1))))
    assert read("0.0") == Part(Fraction(0))


@given(parts | sums)
def test_every_length_has_a_spelling(length: Relative) -> None:
    assert relative(W, signed=True)(text_of(length)) == length
