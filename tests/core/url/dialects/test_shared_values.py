"""Values that several vendors write alike."""

from fractions import Fraction

import pytest

from proxy.core.transform.lengths import WHOLE, Length, Part
from proxy.core.transform.operations import Sharpen
from proxy.core.url.dialects.dialect import OnlyPolishes
from proxy.core.url.dialects.shared_values import (
    choice,
    length,
    one_of,
    only,
    ratio,
    sharpened,
    sigma,
    times,
    true_or_false,
    whole_percent,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("300", 300),
        ("2", 2),
        ("1", WHOLE),
        ("1.0", WHOLE),
        ("0.5", Part(Fraction(1, 2))),
        (".25", Part(Fraction(1, 4))),
        ("300.5", 301),
        ("1.4", 1),
        ("9000", 9000),
    ],
)
def test_lengths(text: str, expected: Length) -> None:
    assert length(text) == expected


@pytest.mark.parametrize("text", ["0", "-1", "0.0"])
def test_a_length_is_above_0(text: str) -> None:
    with pytest.raises(ValueError, match="must be pixels"):
        length(text)


def test_ratios() -> None:
    assert (ratio("16:9"), ratio("1.5"), ratio("1.85:1")) == (
        Fraction(16, 9),
        Fraction(3, 2),
        Fraction("1.85"),
    )
    assert ratio("4-3", "-") == Fraction(4, 3)
    for text in ("4:0", "0", "a", "4:3:2", ""):
        with pytest.raises(ValueError, match="width to height"):
            ratio(text)


def test_words() -> None:
    assert choice("a", "b")("a") == "a"
    assert one_of({"a": 1})("a") == 1
    assert (true_or_false("true"), true_or_false("1"), true_or_false("0")) == (True, True, False)
    with pytest.raises(ValueError, match=r"must be one of apple, pear; is apple meant\?"):
        choice("apple", "pear")("aple")
    with pytest.raises(OnlyPolishes, match="why"):
        only("a", reason="why")("b")


def test_strengths_are_within_the_range_of_their_operation() -> None:
    assert [sigma(value, 10) for value in (Fraction("0.001"), Fraction("1.234"), 50)] == [0.3, 1.23, 10.0]
    assert sharpened(50) == Sharpen(10.0)


def test_a_dpr_is_a_factor_or_a_whole_percent() -> None:
    assert (times(3, 1), times(3, Fraction("1.5")), times(3, Fraction("1.4"))) == (3, 5, 4)
    found = [whole_percent(dpr) for dpr in (1, 2, Fraction("1.25"), Fraction("0.5"), 5, Fraction("1.333"))]
    assert found == [100, 200, 125, None, None, None]
