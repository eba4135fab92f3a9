"""What is known at a point of a Cloudinary URL: the values of its variables, and the size of the canvas."""

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import NamedTuple

from proxy.core.transform.conditions import Condition, Measure
from proxy.core.transform.lengths import SIDES, Sum


class Multiple(NamedTuple):
    """A multiple of a measure that is not known when the URL is read."""

    factor: Fraction
    measure: Measure


class Unknown(NamedTuple):
    """A value that depends on the original, so that parsing the URL cannot evaluate it; `name` is how the URL names it."""

    name: str


Value = Fraction | str | bool | Multiple | Sum | Condition | Unknown


def as_sum(value: Value) -> Sum | None:
    """A number or a length as a sum; None for what is neither."""
    match value:
        case Fraction():
            return Sum(value, ())
        case Multiple(factor, measure) if measure in SIDES:
            return Sum(Fraction(0), ((measure, factor),))
        case Sum():
            return value
    return None


@dataclass(slots=True)
class Scope:
    """The variables of a URL by name, and the canvas at a point of it. A side is None if it depends on the original;
    `is_original` says that the canvas has the size of the original."""

    variables: dict[str, Value] = field(default_factory=dict)
    width_px: int | None = None
    height_px: int | None = None
    is_original: bool = True

    def canvas(self, width_px: int | None, height_px: int | None) -> None:
        """Notes the size after an operation that changes it. Variables keep the size that they were made of."""
        if self.variables:
            self.variables = {
                name: _after_change(value, is_original=self.is_original)
                for name, value in self.variables.items()
            }
        self.width_px, self.height_px, self.is_original = width_px, height_px, False

    def merged(self, other: "Scope") -> "Scope":
        """What is known after either of two branches: what both agree on."""
        mine, theirs = self.variables, other.variables
        return Scope(
            {
                name: mine[name] if mine.get(name) == theirs.get(name) else Unknown("a condition")
                for name in mine.keys() | theirs.keys()
            },
            self.width_px if self.width_px == other.width_px else None,
            self.height_px if self.height_px == other.height_px else None,
            self.is_original and other.is_original,
        )


_BOUND = {
    Measure.WIDTH: Measure.ORIGINAL_WIDTH,
    Measure.HEIGHT: Measure.ORIGINAL_HEIGHT,
    Measure.ASPECT: Measure.ORIGINAL_ASPECT,
}


def _after_change(value: Value, *, is_original: bool) -> Value:
    """A value of the canvas once that has changed: one of the original if the canvas was that, else unknown."""
    match value:
        case Multiple(factor, measure) if measure in _BOUND:
            return Multiple(factor, _BOUND[measure]) if is_original else Unknown(measure)
        case Sum(pixels, multiples):
            if not is_original and any(measure in _BOUND for measure, _ in multiples):
                return Unknown("a sum of sizes")
            bound = {_BOUND.get(measure, measure): factor for measure, factor in multiples}
            return Sum(pixels, tuple((measure, bound[measure]) for measure in SIDES if measure in bound))
        case Condition(alternatives):
            compared = [each for comparisons in alternatives for each in comparisons]
            if not is_original and any(each.measure in _BOUND for each in compared):
                return Unknown("a condition")
            return Condition(
                tuple(
                    tuple(
                        replace(each, measure=_BOUND.get(each.measure, each.measure)) for each in comparisons
                    )
                    for comparisons in alternatives
                )
            )
        case _:
            return value
