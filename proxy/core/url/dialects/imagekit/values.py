"""The values of ImageKit's transformations: lengths, crops, focus, colours, formats.

The readers raise what readers of parameters raise.
"""

import re
from dataclasses import replace
from fractions import Fraction

from proxy.core.errors import BadUrl, SourceNotAllowed, UnsupportedFormat
from proxy.core.image.formats import Format
from proxy.core.transform.operations import (
    CENTER,
    WHOLE,
    Auto,
    Blur,
    Colour,
    FocalPoint,
    Gravity,
    Length,
    Part,
    Sharpen,
    Smart,
    Trim,
    Turn,
)
from proxy.core.url.dialects import shared_values
from proxy.core.url.dialects.css_colours import NAMES
from proxy.core.url.dialects.dialect import UnsupportedValue
from proxy.core.url.dialects.shared_values import BLUR_MAX_PX, choice, number, one_of, sharpened, sigma, whole
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
_EXPRESSION = re.compile(r"(iw|ih|cw|ch)(?:_(mul|div)_([0-9]{1,6}(?:\.[0-9]{1,6})?))?", re.ASCII)
_HEX = re.compile(r"[0-9a-fA-F]{3}|[0-9a-fA-F]{6}(?:[0-9]{2})?", re.ASCII)


def width(text: str) -> Length:
    return _length(text, "w")


def height(text: str) -> Length:
    return _length(text, "h")


def _length(text: str, axis: str) -> Length:
    """Pixels, a part of the side, or an expression of the same side of the picture."""
    if (match := _EXPRESSION.fullmatch(text)) is None:
        if "_" in text:
            raise UnsupportedValue("is not supported with this expression")
        return shared_values.length(text)
    if match[1][1] != axis:
        raise UnsupportedValue("is not supported with an expression of the other side")
    value = Fraction(match[3] or 1)
    part = value if match[2] != "div" else 1 / value if value else Fraction(0)
    if not _LEAST_PART <= part <= _MOST_PART:
        raise ValueError(f"must be a part of the picture up to {_MOST_PART}")
    return WHOLE if part == 1 else Part(part)


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
        raise UnsupportedValue("is not supported but with a colour")
    if _HEX.fullmatch(text):
        opaque = Colour.of_hex(text[:6])
        return opaque if len(text) <= 6 else replace(opaque, alpha=(int(text[6:]) * 255 + 50) // 100)
    if text not in NAMES:
        raise ValueError("must be RRGGBB, RRGGBBAA with AA from 00 to 99, or a colour of CSS")
    return NAMES[text]


def blur(text: str) -> Blur:
    """A radius from 1 to 100, which is two sigmas."""
    radius = max(1, min(100, whole(text)))
    return Blur(sigma(Fraction(radius, 2), BLUR_MAX_PX))


def sharpen(text: str) -> Sharpen:
    return sharpened(1 if text in ("", "true") else number(text))


def unsharp_mask(text: str) -> Sharpen:
    """`radius-sigma-amount-threshold`."""
    numbers = [number(part) for part in text.split("-")]
    if len(numbers) != 4:
        raise ValueError("must be radius-sigma-amount-threshold")
    return sharpened(numbers[1])


def switched_on(text: str) -> bool:
    """Whether an effect without a value, or with true, is requested."""
    return choice("", "true", "false")(text) != "false"


def key(text: str) -> str:
    """The key of an original, with `@@` in place of slashes."""
    try:
        return checked_key(text.replace("@@", "/").lstrip("/"))
    except (BadUrl, SourceNotAllowed):
        raise ValueError("must be the path of a picture, with @@ in place of slashes") from None
