"""Lengths of a Transform: pixels, parts of a side, and sums of sizes that are known only with the original."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from proxy.core.image.size import Size
from proxy.core.transform.conditions import Measure

_MILLION = 10**6
_HALF = Fraction(1, 2)


def _rounded(fraction: Fraction) -> Fraction:
    """To a millionth, and not to 0."""
    if not _MILLION % fraction.denominator:
        return fraction
    return Fraction(round(fraction * _MILLION) or (1 if fraction > 0 else -1), _MILLION)


@dataclass(frozen=True, slots=True)
class Part:
    """A length as a fraction of the side of the canvas along the same axis, rounded to a millionth, and not to 0."""

    fraction: Fraction

    def __post_init__(self) -> None:
        object.__setattr__(self, "fraction", _rounded(self.fraction))

    def __str__(self) -> str:
        return f"{self.fraction.numerator}/{self.fraction.denominator}"

    def times(self, factor: Fraction | int) -> "Part":
        return Part(self.fraction * factor)


@dataclass(frozen=True, slots=True)
class Sum:
    """A number of pixels, and multiples of sides of the canvas and of the upright original, none 0 and in the order of
    Measure. `length` makes one."""

    pixels: Fraction
    multiples: tuple[tuple[Measure, Fraction], ...]

    def __str__(self) -> str:
        terms = [*(f"{factor}{measure}" for measure, factor in self.multiples), str(self.pixels)]
        return f"({' '.join(terms)})"

    def times(self, factor: Fraction | int) -> "Sum":
        """`factor` is not 0."""
        return Sum(
            self.pixels * factor,
            tuple((measure, _rounded(each * factor)) for measure, each in self.multiples),
        )

    def px(self, canvas: Size, original: Size) -> int:
        """In whole pixels, half up; negative too."""
        whole = sum(
            (factor * measure.of(canvas, original) for measure, factor in self.multiples), self.pixels
        )
        return (whole + _HALF).__floor__()


WHOLE = Part(Fraction(1))
SIDES = (Measure.WIDTH, Measure.HEIGHT, Measure.ORIGINAL_WIDTH, Measure.ORIGINAL_HEIGHT)
"""The measures that are lengths."""

Relative = Part | Sum
Length = int | Relative
"""A number of pixels, or a length that depends on a size."""


def length(pixels: Fraction, multiples: Mapping[Measure, Fraction], axis: Measure) -> Length:
    """The sum of pixels and of multiples of SIDES, along `axis`, WIDTH or HEIGHT; pixels half up."""
    found = tuple((measure, _rounded(multiples[measure])) for measure in SIDES if multiples.get(measure))
    if not found:
        return (pixels + _HALF).__floor__()
    if not pixels and len(found) == 1 and found[0][0] is axis:
        return Part(found[0][1])
    return Sum(_rounded(pixels) if pixels else pixels, found)


def is_negative(of: Length) -> bool:
    """Whether a length is below 0 on every picture."""
    match of:
        case Part(fraction):
            return fraction < 0
        case Sum(pixels, multiples):
            return pixels <= 0 and all(factor < 0 for _, factor in multiples)
    return of < 0
