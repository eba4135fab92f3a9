"""Lengths in native URLs that depend on a size: `0.5`, a part of the side, or a sum such as `0.5h_sub_10`."""

import re
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction

from proxy.core.transform.conditions import Measure
from proxy.core.transform.lengths import SIDES, Length, Part, Relative, is_negative, length

_PART = re.compile(r"(?:0|[1-9][0-9]{0,2})\.[0-9]{1,6}", re.ASCII)
_NUMBER = r"(?:0|[1-9][0-9]{0,9})(?:\.[0-9]{1,6})?"
_TERM = re.compile(rf"(?P<factor>{_NUMBER})?(?P<measure>iw|ih|w|h)|(?P<pixels>{_NUMBER})", re.ASCII)
_OPERATOR = re.compile(r"_(add|sub)_")
_MAX_TERMS = 8
_MAX_FACTOR = 1000
_MOST_PX = 10**9


def relative(axis: Measure, *, signed: bool = False) -> Callable[[str], Length]:
    """Reads a length along `axis`. One that is `signed` may begin with a minus. Raises ValueError."""

    def read(value: str) -> Length:
        text = value.removeprefix("-") if signed else value
        if _PART.fullmatch(text) and (signed or Fraction(value)):
            return Part(Fraction(value))
        found = _sum(value, text, axis)
        if not isinstance(found, Relative) or (is_negative(found) and not signed):
            raise ValueError(_REASON)
        return found

    return read


def _sum(value: str, text: str, axis: Measure) -> Length:
    pixels, multiples = Fraction(0), defaultdict[Measure, Fraction](Fraction)
    terms = ["add" if text == value else "sub", *_OPERATOR.split(text)]
    if len(terms) > 2 * _MAX_TERMS:
        raise ValueError(f"must have at most {_MAX_TERMS} terms")
    for operator, word in zip(terms[::2], terms[1::2], strict=True):
        if (term := _TERM.fullmatch(word)) is None:
            raise ValueError(_REASON)
        sign = 1 if operator == "add" else -1
        if term["measure"] is None:
            pixels += sign * Fraction(term["pixels"])
            continue
        multiples[Measure(term["measure"])] += sign * Fraction(term["factor"] or 1)
    if any(abs(factor) >= _MAX_FACTOR for factor in multiples.values()):
        raise ValueError(f"must have less than {_MAX_FACTOR} times a side")
    if abs(pixels) > _MOST_PX:
        raise ValueError(f"must have at most {_MOST_PX} pixels")
    return length(pixels, multiples, axis)


def text_of(value: Relative) -> str:
    """How a native URL spells `value`: in a sum, what is added comes before what is subtracted."""
    if isinstance(value, Part):
        digits = _digits(value.fraction)
        return digits if "." in digits else f"{digits}.0"
    terms = [(factor, str(measure)) for measure, factor in value.multiples]
    if value.pixels:
        terms.append((value.pixels, ""))
    first, *further = sorted(terms, key=lambda term: term[0] < 0)
    begin = "-" if first[0] < 0 else ""
    rest = (f"_{'add' if term[0] > 0 else 'sub'}_{_term(*term)}" for term in further)
    return "".join([begin, _term(*first), *rest])


def _term(factor: Fraction, measure: str) -> str:
    """A term without its sign."""
    return measure if measure and abs(factor) == 1 else f"{_digits(abs(factor))}{measure}"


def _digits(fraction: Fraction) -> str:
    text = f"{float(fraction):.6f}".rstrip("0")
    return text.removesuffix(".")


_SIDES = ", ".join(SIDES[:-1])
_REASON = (
    "must be a part of the picture such as 0.5, above 0, with at most 6 decimals, or a sum of sizes such as 0.5h_sub_10 of"
    f" {_SIDES} and {SIDES[-1]}"
)
