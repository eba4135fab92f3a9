"""Operations: colours, the group of turns, and what has no effect."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given

from proxy.core.transform.conditions import Comparison, Condition, Measure, Relation
from proxy.core.transform.lengths import Part
from proxy.core.transform.operations import (
    Choice,
    Colour,
    Operation,
    Pixelate,
    Turn,
    effective,
    without_no_ops,
)
from proxy.core.url.dialects.component import Component, transform_of
from tests.support.strategies import chains


def test_colours_are_written_in_hexadecimal() -> None:
    assert Colour(1, 2, 255).hex == "0102ff"
    assert Colour(1, 2, 255, 16).hex == "0102ff10"


def test_a_colour_is_composited_on_white() -> None:
    assert Colour(0, 255, 0, 128).on_white == Colour(127, 255, 127)
    assert Colour(9, 9, 9, 0).on_white == Colour(255, 255, 255)


CORNERS = ("ab", "cd")
"""A picture of four pixels, by rows."""


def turned(picture: tuple[str, ...], turn: Turn | None) -> tuple[str, ...]:
    match turn:
        case None:
            return picture
        case Turn.R90:
            return tuple("".join(column) for column in zip(*reversed(picture), strict=True))
        case Turn.R180:
            return turned(turned(picture, Turn.R90), Turn.R90)
        case Turn.R270:
            return turned(turned(picture, Turn.R180), Turn.R90)
        case Turn.HFLIP:
            return tuple(row[::-1] for row in picture)
        case Turn.VFLIP:
            return tuple(reversed(picture))
        case Turn.TRANSPOSE:
            return tuple("".join(column) for column in zip(*picture, strict=True))
        case Turn.TRANSVERSE:
            return turned(turned(picture, Turn.HFLIP), Turn.R90)


@pytest.mark.parametrize(("first", "second"), list(itertools.product(Turn, Turn)))
def test_two_turns_are_one(first: Turn, second: Turn) -> None:
    assert turned(CORNERS, first.then(second)) == turned(turned(CORNERS, first), second)


@given(chains)
def test_removing_no_ops_is_idempotent(chain: tuple[Component, ...]) -> None:
    once = without_no_ops(transform_of(chain))
    assert without_no_ops(once) == once


def test_nested_conditions_take_no_longer_than_their_operations() -> None:
    """Each branch is read once: depth is no exponent."""
    op: Operation = Pixelate(2)
    for depth in range(30):
        op = Choice(Condition(((Comparison(Measure.WIDTH, Relation.MORE, Fraction(depth)),),)), (op,))
    assert effective([op]) == (op,)


@pytest.mark.parametrize(
    ("part", "rounded"),
    [
        ("1/2", "1/2"),
        ("2/3", "666667/1000000"),
        ("-1/3", "-333333/1000000"),
        ("1/9999999", "1/1000000"),
        ("0", "0"),
    ],
)
def test_parts_are_rounded_to_millionths(part: str, rounded: str) -> None:
    assert Part(Fraction(part)).fraction == Fraction(rounded)
