"""Values that several vendors write alike: numbers, words, switches, lengths, ratios, strengths, versions.

A reader raises ValueError, or OnlyPolishes for a value that only polishes.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import TypeVar

from proxy.core.nearest import meant, nearest
from proxy.core.transform.lengths import WHOLE, Length, Part
from proxy.core.transform.operations import Rounded, Sharpen
from proxy.core.url.dialects.dialect import OnlyPolishes
from proxy.core.url.dialects.native.filters import MAX_RADIUS_PX

_T = TypeVar("_T")

Number = Fraction | int

SIGMA_MIN_PX, BLUR_MAX_PX, SHARPEN_MAX_PX = Fraction("0.3"), Fraction(100), Fraction(10)

_WHOLE = re.compile(r"[+-]?[0-9]+", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_MAX_DIGITS = 18
_MAX_NUMBER = 32
_VERSION = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_HALF = Fraction(1, 2)
_RATIO = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,4})?", re.ASCII)
_MIN_DPR_PERCENT, _MAX_DPR_PERCENT = 100, 400


def whole(text: str, least: int = 0, most: int | None = None) -> int:
    value = least - 1
    if _WHOLE.fullmatch(text):
        value = int(text) if len(text) <= _MAX_DIGITS else 10**_MAX_DIGITS * (-1 if text[0] == "-" else 1)
    if value < least or (most is not None and value > most):
        raise ValueError(f"must be a whole number from {least}" + (f" to {most}" if most is not None else ""))
    return value


def number(text: str) -> Number:
    if len(text) > _MAX_NUMBER or not _NUMBER.fullmatch(text):
        raise ValueError(f"must be a decimal number of at most {_MAX_NUMBER} characters")
    return int(text) if text.isdigit() else Fraction(text)


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


def radii(parts: Sequence[str], others: str = "") -> Rounded:
    """The radius in pixels of all corners, or those of four clockwise from the upper left. `others` begins the reason of a
    refusal with what else is taken."""
    values = [whole(part) for part in parts]
    if len(values) not in (1, 4) or max(values) > MAX_RADIUS_PX:
        raise ValueError(f"must be {others}one or four radii up to {MAX_RADIUS_PX} pixels")
    one, two, three, four = values if len(values) == 4 else values * 4
    return Rounded((one, two, three, four))


def sharpened(sigma_px: Number) -> Sharpen:
    return Sharpen(sigma(sigma_px, SHARPEN_MAX_PX))


def whole_percent(dpr: Number) -> int | None:
    """The dpr as one of a Transform in per cent; None if it is not one."""
    percent = dpr * 100
    is_one = percent.denominator == 1 and _MIN_DPR_PERCENT <= percent <= _MAX_DPR_PERCENT
    return int(percent) if is_one else None


def split_dpr(dpr: Number) -> tuple[Number, int | None]:
    """The dpr as a factor that the dialect applies, and as a dpr of the Transform in per cent, which applies the rest."""
    if dpr == 1:
        return 1, None
    percent = whole_percent(dpr)
    return (dpr, None) if percent is None else (1, percent)


def version(text: str) -> str | None:
    """The text if it is a version, else a digest of it; both tell replaced originals apart."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return (text if _VERSION.fullmatch(text) else digest) if text else None
