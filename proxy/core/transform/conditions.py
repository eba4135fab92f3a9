"""Conditions on the size of a picture, by which a Choice selects its operations."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

from proxy.core.image.size import Size

MAX_COMPARISONS = 8
"""How many comparisons a condition of a URL may have."""


class Measure(StrEnum):
    """A number of the canvas, or of the upright original: a side in pixels, or width to height."""

    WIDTH = "w"
    HEIGHT = "h"
    ASPECT = "ar"
    ORIGINAL_WIDTH = "iw"
    ORIGINAL_HEIGHT = "ih"
    ORIGINAL_ASPECT = "iar"

    def of(self, canvas: Size, original: Size) -> Fraction:
        size = original if self.value.startswith("i") else canvas
        match self:
            case Measure.WIDTH | Measure.ORIGINAL_WIDTH:
                return Fraction(size.width)
            case Measure.HEIGHT | Measure.ORIGINAL_HEIGHT:
                return Fraction(size.height)
            case _:
                return Fraction(*size)


class Relation(StrEnum):
    LESS = "lt"
    AT_MOST = "lte"
    MORE = "gt"
    AT_LEAST = "gte"
    EQUAL = "eq"
    DIFFERENT = "ne"

    def holds(self, left: Fraction, right: Fraction) -> bool:
        return _COMPARE[self](left, right)

    @property
    def mirrored(self) -> "Relation":
        """The relation of the right side to the left one."""
        return _MIRRORED.get(self, self)


_COMPARE: dict[Relation, Callable[[Any, Any], bool]] = {
    Relation.LESS: operator.lt,
    Relation.AT_MOST: operator.le,
    Relation.MORE: operator.gt,
    Relation.AT_LEAST: operator.ge,
    Relation.EQUAL: operator.eq,
    Relation.DIFFERENT: operator.ne,
}
_MIRRORED = {
    Relation.LESS: Relation.MORE,
    Relation.AT_MOST: Relation.AT_LEAST,
    Relation.MORE: Relation.LESS,
    Relation.AT_LEAST: Relation.AT_MOST,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Compares a measure with a number, which is not negative."""

    measure: Measure
    relation: Relation
    number: Fraction

    def __str__(self) -> str:
        below = self.number.denominator
        number = f"{self.number.numerator}" + (f":{below}" if below > 1 else "")
        return f"{self.measure}_{self.relation}_{number}"


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds if all comparisons of one of `alternatives` hold."""

    alternatives: tuple[tuple[Comparison, ...], ...]

    def holds(self, canvas: Size, original: Size) -> bool:
        return any(
            all(each.relation.holds(each.measure.of(canvas, original), each.number) for each in comparisons)
            for comparisons in self.alternatives
        )

    def __str__(self) -> str:
        """The condition in words: `and` binds tighter than `or`."""
        return "_or_".join("_and_".join(map(str, comparisons)) for comparisons in self.alternatives)
