"""Values that several vendors write alike: words, switches, lengths, ratios, strengths.

A reader raises ValueError, or OnlyPolishes for a value that only polishes.
"""

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TypeVar

from proxy.core.nearest import meant, nearest
from proxy.core.transform.operations import WHOLE, Length, Part, Sharpen
from proxy.core.url.dialects.dialect import OnlyPolishes
from proxy.core.url.dialects.imgproxy.values import SHARPEN_MAX_PX, SIGMA_MIN_PX, Number, number

_T = TypeVar("_T")

_HALF = Fraction(1, 2)
_RATIO = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,4})?", re.ASCII)
_MIN_DPR_PERCENT, _MAX_DPR_PERCENT = 100, 400


def choice(*words: str) -> Callable[[str], str]:
    """Reads one of `words`."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}{meant(nearest(text, words))}")
        return text

    return read


def one_of(table: Mapping[str, _T]) -> Callable[[str], _T]:
    """Reads a key of `table`."""
    word = choice(*table)
    return lambda text: table[word(text)]


def only(*words: str, reason: str) -> Callable[[str], str]:
    """Reads one of `words`; any other value only polishes."""

    def read(text: str) -> str:
        if text not in words:
            raise OnlyPolishes(reason)
        return text

    return read


def true_or_false(text: str) -> bool:
    return choice("true", "1", "false", "0")(text) in ("true", "1")


def length(text: str) -> Length:
    """Pixels, or a part of the canvas up to 1, which is the whole side."""
    value = number(text)
    if value <= 0:
        raise ValueError("must be pixels, or a part of the original from 0 to 1")
    if value > 1:
        return pixels(value)
    return WHOLE if value == 1 else Part(Fraction(value))


def pixels(value: Number) -> int:
    """Half up; not below 0."""
    return value if isinstance(value, int) else int(value + _HALF)


def times(side_px: int, factor: Number) -> int:
    """Half up."""
    return side_px if factor == 1 else pixels(side_px * factor)


def ratio(text: str, mark: str = ":") -> Fraction:
    width, _, height = text.partition(mark)
    sides = (width, height or "1")
    if not all(map(_RATIO.fullmatch, sides)) or not all(map(Fraction, sides)):
        raise ValueError(f"must be width to height as in 16{mark}9 or 1.78")
    return Fraction(sides[0]) / Fraction(sides[1])


def sigma(value: Number, most: Number) -> float:
    """Within the range of the operation, with two decimals."""
    return float(round(max(SIGMA_MIN_PX, min(most, Fraction(value))), 2))


def sharpened(sigma_px: Number) -> Sharpen:
    return Sharpen(sigma(sigma_px, SHARPEN_MAX_PX))


def whole_percent(dpr: Number) -> int | None:
    """The dpr as one of a Transform in per cent; None if it is not one."""
    percent = dpr * 100
    is_one = percent.denominator == 1 and _MIN_DPR_PERCENT <= percent <= _MAX_DPR_PERCENT
    return int(percent) if is_one else None
