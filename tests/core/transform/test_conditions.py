"""Conditions compare sizes of the canvas and of the original."""

from fractions import Fraction

import pytest

from proxy.core.image.size import Size
from proxy.core.transform.conditions import Comparison, Condition, Measure, Relation
from proxy.core.url.dialects.native.urls import parse_tokens

CANVAS, ORIGINAL = Size(400, 200), Size(3000, 4000)


def condition(text: str) -> Condition:
    found = parse_tokens(f"if_{text}~if_end", {}).components[0].branch
    assert isinstance(found, Condition)
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("w_gt_399", True),
        ("w_gt_400", False),
        ("w_gte_400", True),
        ("w_lt_400", False),
        ("w_lte_400", True),
        ("h_eq_200", True),
        ("h_ne_200", False),
        ("ar_eq_2", True),
        ("ar_eq_2:1", True),
        ("ar_gt_16:9", True),
        ("iw_eq_3000", True),
        ("ih_eq_4000", True),
        ("iar_eq_3:4", True),
        ("iar_gt_1", False),
        ("w_gt_0", True),
        ("w_gt_500_or_h_gt_100", True),
        ("w_gt_500_and_h_gt_100", False),
        ("h_gt_100_or_w_gt_500_and_w_gt_500", True),
        ("w_gt_500_and_w_gt_500_or_h_gt_100", True),
    ],
)
def test_a_condition_holds(text: str, expected: bool) -> None:
    assert condition(text).holds(CANVAS, ORIGINAL) is expected


@pytest.mark.parametrize("text", ["w_gt_1_and_h_lt_2_or_ar_eq_16:9", "iw_ne_3", "iar_gte_1:3"])
def test_a_condition_is_written_as_it_was_read(text: str) -> None:
    assert str(condition(text)) == text


def test_equal_numbers_are_one() -> None:
    assert condition("ar_eq_32:18") == condition("ar_eq_16:9")


@pytest.mark.parametrize("relation", Relation)
def test_a_mirrored_relation_is_that_of_the_other_side(relation: Relation) -> None:
    one, two = Fraction(1), Fraction(2)
    for left, right in ((one, two), (two, one), (one, one)):
        assert relation.holds(left, right) is relation.mirrored.holds(right, left)


def test_a_comparison_names_its_parts() -> None:
    assert (
        Comparison(Measure.WIDTH, Relation.MORE, Fraction(3, 2)) == condition("w_gt_3:2").alternatives[0][0]
    )
