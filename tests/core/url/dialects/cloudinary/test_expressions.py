"""Expressions have the values of arithmetic, bounds, and no value where they depend on the original."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.transform.conditions import Measure
from proxy.core.transform.lengths import Sum
from proxy.core.url.dialects.cloudinary.expressions import MAX_TERMS, evaluate, holds, number
from proxy.core.url.dialects.cloudinary.scope import Multiple, Scope, Unknown, Value

ORIGINAL = Scope(
    variables={
        "$a": Fraction(3),
        "$s": "red",
        "$list": "red:blue",
        "$s2": Sum(Fraction(10), ((Measure.WIDTH, Fraction(1)),)),
    }
)
SIZED = Scope(width_px=300, height_px=200, is_original=False)
LATER = Scope(is_original=False)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("300", Fraction(300)),
        ("-2.5", Fraction(-5, 2)),
        ("16:9", Fraction(16, 9)),
        ("1_add_2_mul_3", Fraction(7)),
        ("2_mul_3_add_1", Fraction(7)),
        ("10_sub_2_sub_3", Fraction(5)),
        ("2_mul_2_pow_3", Fraction(16)),
        ("2_pow_-2", Fraction(1, 4)),
        ("12_div_5", Fraction(12, 5)),
        ("12_mod_5", Fraction(2)),
        ("$a_mul_$a", Fraction(9)),
        ("!a b!", "a b"),
        ("!a_b!", "a_b"),
        ("iw", Multiple(Fraction(1), Measure.WIDTH)),
        ("w_div_2", Multiple(Fraction(1, 2), Measure.WIDTH)),
        ("0.5_mul_ih", Multiple(Fraction(1, 2), Measure.HEIGHT)),
        ("w_add_iw_mul_2", Multiple(Fraction(3), Measure.WIDTH)),
        ("w_add_h", Sum(Fraction(0), ((Measure.WIDTH, Fraction(1)), (Measure.HEIGHT, Fraction(1))))),
        ("w_add_1_mul_5", Sum(Fraction(5), ((Measure.WIDTH, Fraction(1)),))),
        ("w_sub_w_add_3", Fraction(3)),
        ("w_add_h_sub_w", Multiple(Fraction(1), Measure.HEIGHT)),
        ("$s2_div_2", Sum(Fraction(5), ((Measure.WIDTH, Fraction(1, 2)),))),
        ("2_mul_$s2", Sum(Fraction(20), ((Measure.WIDTH, Fraction(2)),))),
        ("$s2_mul_0", Fraction(0)),
        ("$s2_mul_w", Unknown("a sum of sizes")),
        ("1_div_$s2", Unknown("a sum of sizes")),
        ("ar_add_1", Unknown("ar")),
        ("1_div_w", Unknown("w")),
        ("ar", Multiple(Fraction(1), Measure.ASPECT)),
        ("fc_mul_2", Unknown("fc")),
        ("ctx:!key!", Unknown("ctx")),
    ],
)
def test_values(text: str, value: Value) -> None:
    assert evaluate(text, ORIGINAL) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("w", Fraction(300)),
        ("h_mul_2", Fraction(400)),
        ("ar", Fraction(3, 2)),
        ("iw", Multiple(Fraction(1), Measure.ORIGINAL_WIDTH)),
        ("oh_div_2", Multiple(Fraction(1, 2), Measure.ORIGINAL_HEIGHT)),
    ],
)
def test_a_known_canvas_has_numbers_and_the_original_none(text: str, value: Value) -> None:
    assert evaluate(text, SIZED) == value


@pytest.mark.parametrize(
    ("condition", "is_true"),
    [
        ("1_lt_2", True),
        ("2_lte_2", True),
        ("$a_gte_4", False),
        ("$a_gt_2_and_$a_lt_4", True),
        ("$a_gt_5_or_$a_eq_3", True),
        ("1_eq_2_and_1_eq_1_or_1_eq_1", True),
        ("1_eq_1_or_1_eq_1_and_1_eq_2", True),
        ("$s_eq_!red!", True),
        ("$s_ne_!red!", False),
        ("!red!_in_$list", True),
        ("!re!_in_$list", False),
        ("!green!_nin_$list", True),
        ("w_gt_iw_mul_0.5", True),
        ("1_eq_2_and_fc_gt_2", False),
        ("fc_gt_2_and_1_eq_2", False),
        ("1_eq_1_or_!tag!_in_tags", True),
    ],
)
def test_conditions(condition: str, is_true: bool) -> None:
    assert holds(condition, ORIGINAL) is is_true


@pytest.mark.parametrize(
    ("condition", "scope", "name"),
    [
        ("w_sub_h_gt_300", ORIGINAL, "a sum of sizes"),
        ("300_lt_w_sub_h", ORIGINAL, "a sum of sizes"),
        ("w_mod_2_eq_0", ORIGINAL, "w"),
        ("w_gt_300_and_fc_gt_1", ORIGINAL, "fc"),
        ("fc_gte_1", ORIGINAL, "fc"),
        ("!sale!_in_tags", ORIGINAL, "tags"),
        ("iw_gt_w", LATER, "iw"),
        ("md:!key!_eq_!x!", ORIGINAL, "md"),
    ],
)
def test_a_condition_that_no_size_decides_is_refused(condition: str, scope: Scope, name: str) -> None:
    with pytest.raises(ValueError, match=f"depends on {name} of the original"):
        holds(condition, scope)


@pytest.mark.parametrize(
    ("condition", "scope", "sizes"),
    [
        ("iw_gt_300", ORIGINAL, "w_gt_300"),
        ("300_gt_iw", ORIGINAL, "w_lt_300"),
        ("w_add_10_gt_300", ORIGINAL, "w_gt_290"),
        ("300_lte_w_mul_2_sub_10", ORIGINAL, "w_gte_155"),
        ("iw_gt_300", SIZED, "iw_gt_300"),
        ("w_mul_2_lte_h", ORIGINAL, "ar_lte_1:2"),
        ("h_gt_w", ORIGINAL, "ar_lt_1"),
        ("iw_gte_ih", LATER, "iar_gte_1"),
        ("w_div_h_gt_1.5", ORIGINAL, "ar_gt_3:2"),
        ("iw_div_2_gt_300", ORIGINAL, "w_gt_600"),
        ("ar_gt_3:4", LATER, "ar_gt_3:4"),
        ("1_eq_1_and_iar_gt_1", ORIGINAL, "iar_gt_1"),
        ("1_eq_2_or_w_ne_3", ORIGINAL, "w_ne_3"),
        ("w_gt_3_and_h_gt_4_or_ar_eq_1", ORIGINAL, "w_gt_3_and_h_gt_4_or_ar_eq_1"),
        ("w_mul_-1_gt_-300", ORIGINAL, "w_lt_300"),
    ],
)
def test_a_condition_on_a_size_is_decided_later(condition: str, scope: Scope, sizes: str) -> None:
    assert str(holds(condition, scope)) == sizes


@pytest.mark.parametrize(
    ("condition", "is_true"),
    [("w_gt_0", True), ("w_lte_0", False), ("w_gt_-5", True), ("w_mul_0_gt_3", False), ("w_ne_-1", True)],
)
def test_a_side_is_positive(condition: str, is_true: bool) -> None:
    assert holds(condition, ORIGINAL) is is_true


def test_a_condition_has_few_comparisons() -> None:
    many = "_or_".join(f"w_eq_{number}" for number in range(1, 10))
    with pytest.raises(ValueError, match="more than 8 comparisons"):
        holds(many, ORIGINAL)


@pytest.mark.parametrize(
    "text",
    [
        *("", "_", "1_", "_1", "1_add", "add_1", "1_2", "1_plus_2", "1__add_2", "1_add_add_2", "$b", "foo"),
        *("1_div_0", "1_mod_0", "0_pow_-1", "2_pow_0.5", "2_pow_9", "9:0", "!a", "!a!b", "1e9", "\u0663"),
        *("!a!_add_1", "1_eq_!a!", "!a!_lt_!b!", "1_in_2", "1_eq_1_add_1_eq_1", "1_and_2"),
        *(
            "999999999_mul_999999999",
            "1_div_999999999_div_9",
            "1" * 10,
            "_".join(["1"] + ["add_1"] * MAX_TERMS),
        ),
    ],
)
def test_no_expressions(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|uses)"):
        evaluate(text, ORIGINAL)


@pytest.mark.parametrize("text", ["1_eq_1", "!a!", "ar"])
def test_a_number_is_no_text_and_no_comparison(text: str) -> None:
    with pytest.raises(ValueError, match="number|depends"):
        number(text, ORIGINAL)


@pytest.mark.parametrize("text", ["1", "!a!"])
def test_a_condition_compares(text: str) -> None:
    with pytest.raises(ValueError, match="compare"):
        holds(text, ORIGINAL)


WORDS = [
    "_",
    "1",
    "-",
    ".",
    ":",
    "!",
    "$a",
    "$s",
    "w",
    "iw",
    "ar",
    "tags",
    "add",
    "mul",
    "div",
    "pow",
    "and",
    "eq",
    "in",
]


@given(st.one_of(st.text(), st.lists(st.sampled_from(WORDS), max_size=80).map("".join), st.lists(st.sampled_from(WORDS)).map("_".join)))  # fmt: skip
def test_anything_has_a_value_or_a_reason(text: str) -> None:
    try:
        value = evaluate(text, ORIGINAL)
    except ValueError as reason:
        assert str(reason)
    else:
        assert isinstance(value, Value)
