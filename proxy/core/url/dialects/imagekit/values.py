"""The values of ImageKit's transformations: lengths, crops, focus, colours, formats.

The readers raise what readers of parameters raise.
"""

import re
from collections import defaultdict
from dataclasses import replace
from fractions import Fraction

from proxy.core.errors import BadUrl, SourceNotAllowed, UnsupportedFormat
from proxy.core.image.formats import Format
from proxy.core.transform import lengths
from proxy.core.transform.conditions import Measure
from proxy.core.transform.lengths import Length, is_negative
from proxy.core.transform.operations import (
    CENTER,
    Auto,
    Backdrop,
    Background,
    Blur,
    Colour,
    Ellipse,
    FocalPoint,
    Gravity,
    Pad,
    Rounded,
    Sharpen,
    Smart,
    Trim,
    Turn,
    UnsharpMask,
)
from proxy.core.url.dialects import shared_values
from proxy.core.url.dialects.css_colours import NAMES
from proxy.core.url.dialects.dialect import UnsupportedValue
from proxy.core.url.dialects.native.filters import MAX_UNSHARP
from proxy.core.url.dialects.native.params import MAX_PADDING_PX
from proxy.core.url.dialects.shared_values import (
    BLUR_MAX_PX,
    SHARPEN_MAX_PX,
    choice,
    number,
    one_of,
    radii,
    sharpened,
    sigma,
    whole,
)
from proxy.core.url.target import checked_key

CROPS = ("maintain_ratio", "force", "at_max", "at_max_enlarge", "at_least")
MODES = ("pad_resize", "extract", "pad_extract")
FOCUS: dict[str, Gravity] = {
    "center": CENTER,
    "top": FocalPoint(0.5, 0.0),
    "bottom": FocalPoint(0.5, 1.0),
    "left": FocalPoint(0.0, 0.5),
    "right": FocalPoint(1.0, 0.5),
    "top_left": FocalPoint(0.0, 0.0),
    "top_right": FocalPoint(1.0, 0.0),
    "bottom_left": FocalPoint(0.0, 1.0),
    "bottom_right": FocalPoint(1.0, 1.0),
    "auto": Smart.ATTENTION,
    "face": Smart.FACES,
}
FORMATS: dict[str, Format | Auto | None] = {
    "auto": Auto.AUTO,
    "orig": None,
    **dict.fromkeys(("jpg", "jpeg"), Format.JPEG),
    "png": Format.PNG,
    "webp": Format.WEBP,
    "avif": Format.AVIF,
    "gif": Format.GIF,
}
"""`orig` is the format of the original."""
_OTHER_FORMATS = ("svg", "mp4", "webm", "jxl", "heic", "tiff", "bmp", "pdf")
_FLIPS = {"h": Turn.HFLIP, "v": Turn.VFLIP, "h_v": Turn.R180, "v_h": Turn.R180}
LEAST_DPR = Fraction("0.1")
_TRIM_LEVEL = 10
_LEAST_PART, _MOST_PART = Fraction("0.000001"), 999
_NUMBER = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?", re.ASCII)
_SIDES = {"iw": Measure.WIDTH, "cw": Measure.WIDTH, "ih": Measure.HEIGHT, "ch": Measure.HEIGHT}
_SUM_OPERATOR, _PRODUCT_OPERATOR = re.compile("_(add|sub)_"), re.compile("_(mul|div)_")
_MAX_TERMS = 8
_HEX = re.compile(r"[0-9a-fA-F]{3}|[0-9a-fA-F]{6}(?:[0-9]{2})?", re.ASCII)


def width(text: str) -> Length:
    return _length(text, Measure.WIDTH)


def height(text: str) -> Length:
    return _length(text, Measure.HEIGHT)


def _length(text: str, axis: Measure) -> Length:
    """Pixels, a part of the side, or an expression: a sum of products with at most one side each."""
    if "_" not in text and text not in _SIDES:
        return shared_values.length(text)
    words = ["add", *_SUM_OPERATOR.split(text)]
    if len(words) > 2 * _MAX_TERMS:
        raise ValueError(f"must have at most {_MAX_TERMS} terms")
    pixels, multiples = Fraction(0), defaultdict[Measure, Fraction](Fraction)
    for operator, term in zip(words[::2], words[1::2], strict=True):
        factor, side = _product(term)
        factor = factor if operator == "add" else -factor
        if side is None:
            pixels += factor
        else:
            multiples[side] += factor
    if any(factor and not _LEAST_PART <= abs(factor) <= _MOST_PART for factor in multiples.values()):
        raise ValueError(f"must have parts of the picture up to {_MOST_PART}")
    found = lengths.length(pixels, multiples, axis)
    if found == 0 or is_negative(found):
        raise ValueError("must be above 0")
    return found


def _product(text: str) -> tuple[Fraction, Measure | None]:
    """A product as its number, and the side that is a factor of it, if any."""
    words = ["mul", *_PRODUCT_OPERATOR.split(text)]
    value, side = Fraction(1), None
    for operator, word in zip(words[::2], words[1::2], strict=True):
        is_side = word in _SIDES
        if not (is_side or _NUMBER.fullmatch(word)) or (is_side and (side is not None or operator == "div")):
            raise UnsupportedValue("is not supported with this expression")
        if is_side:
            side = _SIDES[word]
        elif operator == "mul":
            value *= Fraction(word)
        elif not Fraction(word):
            raise ValueError("must not divide by 0")
        else:
            value /= Fraction(word)
    if value > 10**9 or value.denominator > 10**9:
        raise ValueError("must have numbers up to 1000000000, and no finer fractions")
    return value, side


def ratio(text: str) -> Fraction:
    if "_" in text:
        raise UnsupportedValue("is not supported with an expression")
    return shared_values.ratio(text, "-")


def focus(text: str) -> Gravity:
    if text not in FOCUS:
        raise UnsupportedValue(f"is not supported but with {', '.join(FOCUS)}")
    return FOCUS[text]


def zoom(text: str) -> None:
    if number(text) != 1:
        raise UnsupportedValue("is not supported but with 1")


def picture_format(text: str) -> tuple[Format | Auto | None]:
    """A format; None in its place for that of the original."""
    if text in _OTHER_FORMATS:
        raise UnsupportedFormat("parameter f names a format that the node does not write")
    return (one_of(FORMATS)(text),)


def trim(text: str) -> Trim | None:
    if text == "false":
        return None
    return Trim(threshold=_TRIM_LEVEL if text == "true" else whole(text, 1, 99))


def quarters(text: str) -> int:
    """Clockwise rotations by 90 degrees; `auto` follows the EXIF orientation, as without it."""
    if text == "auto":
        return 0
    degrees = -number(text[1:]) if text.startswith("N") else number(text)
    if degrees % 90:
        raise UnsupportedValue("is not supported but in steps of 90 degrees")
    return int(degrees // 90) % 4


def flip(text: str) -> Turn:
    return one_of(_FLIPS)(text)


def colour(text: str) -> Colour:
    """RRGGBB, RGB, a name of CSS, or RRGGBBAA whose AA is the opacity in hundredths."""
    if text.startswith(("blurred", "dominant", "genfill", "gradient")):
        raise UnsupportedValue("is not supported but with a colour, blurred or dominant")
    if _HEX.fullmatch(text):
        opaque = Colour.of_hex(text[:6])
        return opaque if len(text) <= 6 else replace(opaque, alpha=(int(text[6:]) * 255 + 50) // 100)
    if text not in NAMES:
        raise ValueError("must be RRGGBB, RRGGBBAA with AA from 00 to 99, or a colour of CSS")
    return NAMES[text]


def background(text: str) -> Background:
    return Backdrop(text) if text in ("blurred", "dominant") else colour(text)


def blur(text: str) -> Blur:
    """A radius from 1 to 100, which is two sigmas."""
    radius = max(1, min(100, whole(text)))
    return Blur(sigma(Fraction(radius, 2), BLUR_MAX_PX))


def sharpen(text: str) -> Sharpen:
    return sharpened(1 if text in ("", "true") else number(text))


def unsharp_mask(text: str) -> UnsharpMask | None:
    """`radius-sigma-amount-threshold`, the last two as parts; None if it adds nothing."""
    numbers = [number(part) for part in text.split("-")]
    if len(numbers) != 4:
        raise ValueError("must be radius-sigma-amount-threshold")
    _, sigma_px, amount, threshold = numbers
    percent = min(MAX_UNSHARP, round(100 * amount))
    if not percent:
        return None
    return UnsharpMask(sigma(sigma_px, SHARPEN_MAX_PX), percent, min(255, round(255 * threshold)))


def shape(text: str) -> Rounded | Ellipse:
    """Radii in pixels of all corners, or of four from the upper left, separated by `_`; or `max`."""
    if text == "max":
        return Ellipse()
    return radii(text.split("_"), "max, or ")


def border(text: str) -> Pad | None:
    """`WIDTH_COLOUR`; None for 0."""
    if text == "0":
        return None
    width, mark, digits = text.partition("_")
    width_px = whole(width)
    if not mark or width_px > MAX_PADDING_PX:
        raise ValueError(f"must be WIDTH_RRGGBB, with a width up to {MAX_PADDING_PX} pixels")
    return Pad.around(width_px, colour(digits))


def switched_on(text: str) -> bool:
    """Whether an effect without a value, or with true, is requested."""
    return choice("", "true", "false")(text) != "false"


def key(text: str) -> str:
    """The key of an original, with `@@` in place of slashes."""
    try:
        return checked_key(text.replace("@@", "/").lstrip("/"))
    except (BadUrl, SourceNotAllowed):
        raise ValueError("must be the path of a picture, with @@ in place of slashes") from None
