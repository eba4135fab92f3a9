"""Expressions have the values of arithmetic, bounds, and no value where they depend on the original."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.url.dialects.cloudinary.expressions import (
    MAX_TERMS,
    Relative,
    Scope,
    Unknown,
    Value,
    evaluate,
    holds,
    number,
)

ORIGINAL = Scope(variables={"$a": Fraction(3), "$s": "red", "$list": "red:blue"})
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
        ("iw", Relative(Fraction(1), "w")),
        ("w_div_2", Relative(Fraction(1, 2), "w")),
        ("0.5_mul_ih", Relative(Fraction(1, 2), "h")),
        ("w_add_iw_mul_2", Relative(Fraction(3), "w")),
        ("w_add_h", Unknown("w")),
        ("w_add_1", Unknown("w")),
        ("1_div_w", Unknown("w")),
        ("ar", Unknown("ar")),
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
        ("iw", Unknown("iw")),
        ("oh_div_2", Unknown("oh")),
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
        ("iw_gt_300", ORIGINAL, "w"),
        ("w_gt_h", ORIGINAL, "w"),
        ("ar_gt_1", ORIGINAL, "ar"),
        ("fc_gte_1", ORIGINAL, "fc"),
        ("!sale!_in_tags", ORIGINAL, "tags"),
        ("1_eq_1_and_iar_gt_1", ORIGINAL, "iar"),
        ("iw_gt_w", LATER, "iw"),
        ("md:!key!_eq_!x!", ORIGINAL, "md"),
    ],
)
def test_a_condition_on_the_original_is_refused(condition: str, scope: Scope, name: str) -> None:
    with pytest.raises(ValueError, match=f"depends on {name} of the original"):
        holds(condition, scope)


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
