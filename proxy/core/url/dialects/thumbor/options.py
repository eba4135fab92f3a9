"""The options of the dialect `thumbor`: the record of what one URL requests, and the parts of a path in their order.

The filters are in `thumbor_filters`.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from proxy.core.errors import BadTransform
from proxy.core.image.formats import Format
from proxy.core.transform.lengths import WHOLE, Length, Part
from proxy.core.transform.operations import (
    Background,
    Colour,
    Crop,
    FocalPoint,
    Offset,
    Operation,
    Trim,
    Turn,
)
from proxy.core.url.dialects.dialect import Support
from proxy.core.url.dialects.native.params import MAX_PADDING_PX

MAX_INTEGER = 10**18
_MAX_DIGITS = 18
_FILTERS = "filters:"


@dataclass(frozen=True, slots=True)
class Fill:
    """Embeds the picture in the requested size; `flattens` composites transparency on the colour too."""

    colour: Background
    flattens: bool


@dataclass(slots=True)
class ThumborOptions:
    """What one URL requests; filled in the order in which it is written.

    A side is None if it follows the aspect. `padding_px` is left, top, right, bottom. `focal` has the x, y and weight of
    each focal region, `focal_point` one in fractions. `steps` are the filters that work on pixels.
    """

    debug: bool = False
    meta: bool = False
    orient: Turn | None = None
    trim: Trim | None = None
    crop: Crop | None = None
    adaptive: bool = False
    full: bool = False
    fit_in: bool = False
    stretch: bool = False
    width: Length | None = None
    height: Length | None = None
    hflip: bool = False
    vflip: bool = False
    padding_px: tuple[int, int, int, int] | None = None
    align_x: float = 0.5
    align_y: float = 0.5
    smart: bool = False
    upscale: bool = False
    no_upscale: bool = False
    focal: list[tuple[int, int, int]] = field(default_factory=list)
    focal_point: FocalPoint | None = None
    steps: list[Operation | Fill] = field(default_factory=list)
    format: Format | None = None
    auto_jpg: bool = False
    quality: int | None = None
    clamped: list[tuple[str, str]] = field(default_factory=list)
    max_bytes: int | None = None
    page: int | None = None
    frames: int | None = None
    background: Colour | None = None
    until_s: int | None = None
    max_age_s: int | None = None
    disposition: str = ""
    raw: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PathPart:
    """`read` takes a whole segment and says whether it is this part."""

    names: tuple[str, ...]
    read: Callable[[ThumborOptions, str], bool]
    support: Support = Support.DONE
    note: str = ""


_TRIM = re.compile(r"trim(?::(top-left|bottom-right))?(?::([0-9]+))?", re.ASCII)
_NUMBER = r"([0-9]+|[0-9]*\.[0-9]+)"
REGION = re.compile(rf"{_NUMBER}x{_NUMBER}:{_NUMBER}x{_NUMBER}", re.ASCII)
_FIT_IN = re.compile(r"(adaptive-)?(full-)?fit-in")
_SIZE = re.compile(r"(-)?([0-9]+|orig)?x(-)?([0-9]+|orig)?", re.ASCII)
_PADDING = re.compile(r"([0-9]+)x([0-9]+)(?::([0-9]+)x([0-9]+))?", re.ASCII)
POINT = re.compile(rf"{_NUMBER}x{_NUMBER}", re.ASCII)


def whole(digits: str, most: int = MAX_INTEGER) -> int:
    digits = digits.lstrip("0") or "0"
    return min(most, int(digits)) if len(digits) <= _MAX_DIGITS else most


def padding_px(digits: str) -> int:
    """Raises BadTransform for more than a native URL can have."""
    if (side_px := whole(digits)) > MAX_PADDING_PX:
        raise BadTransform(f"padding must be {MAX_PADDING_PX} pixels a side at most")
    return side_px


def decimal(text: str) -> Fraction:
    """A number without a sign, of at most six decimals, as many as native URLs have."""
    units, _, decimals = text.partition(".")
    decimals = decimals[:6]
    return whole(units) + Fraction(int(decimals or "0"), 10 ** len(decimals))


def _flag(name: str) -> Callable[[ThumborOptions, str], bool]:
    def read(options: ThumborOptions, segment: str) -> bool:
        if segment != name:
            return False
        setattr(options, name, True)
        return True

    return read


def _trim(options: ThumborOptions, segment: str) -> bool:
    if not segment.startswith("trim") or not (match := _TRIM.fullmatch(segment)):
        return False
    options.trim = Trim(threshold=whole(match[2] or "0", 255), from_lower_right=match[1] == "bottom-right")
    return True


def _crop(options: ThumborOptions, segment: str) -> bool:
    if ":" not in segment or not (match := REGION.fullmatch(segment)):
        return False
    options.crop = _region(*match.groups())
    return True


def _region(left: str, top: str, right: str, bottom: str) -> Crop | None:
    """The crop from corner to corner; None for an empty one. With a decimal point, and none above 1, the numbers are
    fractions of the sides; others are rounded to pixels."""
    edges = [decimal(text) for text in (left, top, right, bottom)]
    if edges[0] >= edges[2] or edges[1] >= edges[3]:
        return None
    if max(edges) <= 1 and "." in left + top + right + bottom:
        x, y, x1, y1 = edges
        return Crop(
            width=Part(x1 - x), height=Part(y1 - y), at=Offset(Part(x) if x else 0, Part(y) if y else 0)
        )
    x_px, y_px, x1_px, y1_px = (math.floor(edge + Fraction(1, 2)) for edge in edges)
    if x_px >= x1_px or y_px >= y1_px:
        return None
    return Crop(width=x1_px - x_px, height=y1_px - y_px, at=Offset(x_px, y_px))


def _fit_in(options: ThumborOptions, segment: str) -> bool:
    if not segment.endswith("fit-in") or not (match := _FIT_IN.fullmatch(segment)):
        return False
    options.fit_in, options.adaptive, options.full = True, match[1] is not None, match[2] is not None
    return True


def _size(options: ThumborOptions, segment: str) -> bool:
    if not (match := _SIZE.fullmatch(segment)):
        return False
    options.hflip, options.vflip = match[1] is not None, match[3] is not None
    options.width, options.height = _side(match[2]), _side(match[4])
    return True


def _side(text: str | None) -> Length | None:
    return WHOLE if text == "orig" else whole(text or "0") or None


def _padding(options: ThumborOptions, segment: str) -> bool:
    if not (match := _PADDING.fullmatch(segment)):
        return False
    left, top = padding_px(match[1]), padding_px(match[2])
    right, bottom = (left, top) if match[3] is None else (padding_px(match[3]), padding_px(match[4]))
    options.padding_px = left, top, right, bottom
    return True


_ALIGN_X = {"left": 0.0, "center": 0.5, "right": 1.0}
_ALIGN_Y = {"top": 0.0, "middle": 0.5, "bottom": 1.0}


def _halign(options: ThumborOptions, segment: str) -> bool:
    if segment not in _ALIGN_X:
        return False
    options.align_x = _ALIGN_X[segment]
    return True


def _valign(options: ThumborOptions, segment: str) -> bool:
    if segment not in _ALIGN_Y:
        return False
    options.align_y = _ALIGN_Y[segment]
    return True


PARTS = (
    PathPart(names=("debug",), read=_flag("debug"), support=Support.REFUSED),
    PathPart(
        names=("meta",),
        read=_flag("meta"),
        support=Support.APPROXIMATED,
        note="the description that /info/ of the native dialect has, of the original and not of the variant",
    ),
    PathPart(
        names=("trim", "trim:POSITION", "trim:TOLERANCE", "trim:POSITION:TOLERANCE"),
        read=_trim,
        support=Support.APPROXIMATED,
        note="the tolerance, at most 255, applies to each"
        " channel; the numbers of a crop beside it are of the picture before the trim, which comes after the crop; a"
        " tolerance without a position is a tolerance, as documented, although thumbor 7.8 ignores it",
    ),
    PathPart(
        names=("LEFTxTOP:RIGHTxBOTTOM",),
        read=_crop,
        note="cut back to the picture; ignored if empty; imagor's fractions are those of the sides",
    ),
    PathPart(
        names=("fit-in", "full-fit-in", "adaptive-fit-in", "adaptive-full-fit-in"),
        read=_fit_in,
        support=Support.APPROXIMATED,
        note="an adaptive box that is full is applied in two steps, its long side, then its short side, so that a side may"
        " differ by a pixel; an adaptive one is refused with orig and with fill, and not turned if it is full, with no_upscale",
    ),
    PathPart(names=("stretch",), read=_flag("stretch"), note="of imagor"),
    PathPart(
        names=("WIDTHxHEIGHT", "-WIDTHx-HEIGHT", "origxHEIGHT", "WIDTHxorig"),
        read=_size,
        note="enlarges; a side of 0, or without a number, follows the aspect, halves rounded to even as in thumbor",
    ),
    PathPart(
        names=("LEFTxTOP", "LEFTxTOP:RIGHTxBOTTOM after the size"),
        read=_padding,
        support=Support.APPROXIMATED,
        note="padding of imagor, in the colour of the filter fill, and ignored without it",
    ),
    PathPart(names=("left", "center", "right"), read=_halign),
    PathPart(names=("top", "middle", "bottom"), read=_valign),
    PathPart(
        names=("smart",),
        read=_flag("smart"),
        support=Support.APPROXIMATED,
        note="attracts the crop to what draws attention, as gravity auto; the alignment is then without effect",
    ),
)
"""In the order of the grammar; each part may be missing."""


class ThumborUrl(NamedTuple):
    """What follows the signature: its options, the filters and the image, both as they are written."""

    options: ThumborOptions
    filters: str
    image: str


def written(rest: str) -> ThumborUrl:
    """Reads the part of a target after the slash of its signature."""
    options = ThumborOptions()
    segment, slash, after = rest.partition("/")
    for part in PARTS:
        if slash and part.read(options, segment):
            rest = after
            segment, slash, after = rest.partition("/")
    if rest.startswith(_FILTERS) and (end := rest.find(")/", len(_FILTERS) + 1)) != -1:
        return ThumborUrl(options, rest[len(_FILTERS) : end + 1], rest[end + 2 :])
    return ThumborUrl(options, "", rest)
