"""The values of Cloudinary's parameters: lengths, ratios, gravities, colours, angles and formats.

A function raises ValueError with a reason that repeats no byte of the request.
"""

import re
from fractions import Fraction

from proxy.core.image.formats import Format
from proxy.core.nearest import meant, nearest
from proxy.core.transform import lengths
from proxy.core.transform.conditions import Measure
from proxy.core.transform.lengths import Length, Part, is_negative
from proxy.core.transform.operations import Auto, Colour, Ellipse, FocalPoint, Rotate, Rounded, Smart, Turn
from proxy.core.url.alternatives import EXTENSIONS
from proxy.core.url.dialects.cloudinary.expressions import number
from proxy.core.url.dialects.cloudinary.requested import Border, OffsetPoint
from proxy.core.url.dialects.cloudinary.scope import Scope, as_sum
from proxy.core.url.dialects.css_colours import css_colour
from proxy.core.url.dialects.dialect import UnsupportedValue
from proxy.core.url.dialects.native.filters import MAX_RADIUS_PX
from proxy.core.url.dialects.native.params import GRAVITIES, MAX_PADDING_PX

_PIXELS = re.compile(r"0|-?[1-9][0-9]{0,8}", re.ASCII)
_SIDE = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]{1,9}\.[0-9]{1,9}", re.ASCII)
_RATIO = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,4})?):([0-9]{1,6}(?:\.[0-9]{1,4})?)", re.ASCII)
_BORDER = re.compile(r"([0-9]{1,5})px_solid_(.+)", re.ASCII)
_HEX = re.compile(r"(?:rgb:|#)?([0-9a-fA-F]{8}|[0-9a-fA-F]{6}|[0-9a-fA-F]{3,4})", re.ASCII)
_MOST_PARTS = 1000
_MOST_OF_RATIO = 10**8

FORMATS: dict[str, Format | Auto] = {
    **dict.fromkeys(("auto", "auto:image", "auto:animated"), Auto.AUTO),
    **dict.fromkeys(("jpg", "jpeg", "jpe"), Format.JPEG),
    "png": Format.PNG,
    "webp": Format.WEBP,
    "avif": Format.AVIF,
    "gif": Format.GIF,
}
_OF_VIDEO = frozenset(
    (
        *("3g2", "3gp", "avi", "flv", "m2ts", "m3u8", "mkv", "mov", "mp3", "mp4", "mpd", "mpeg", "mts"),
        *("mxf", "ogg", "ogv", "ts", "wav", "webm", "wmv"),
    )
)
OTHER_EXTENSIONS = (EXTENSIONS | _OF_VIDEO) - FORMATS.keys()
"""Extensions of Cloudinary's formats that the node does not write."""


def length(text: str, scope: Scope, axis: str) -> Length:
    """A number of pixels, a part of the canvas along `axis`, `w` or `h`, with a decimal point, or an expression."""
    if _PIXELS.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return _part(Fraction(text))
    value = number(text, scope)
    if isinstance(value, Fraction) and 0 < abs(value) < 1:
        return _part(value)
    total = as_sum(value)
    assert total is not None
    for _, factor in total.multiples:
        _check_factor(factor)
    return lengths.length(total.pixels, dict(total.multiples), Measure(axis))


def _part(factor: Fraction) -> Length:
    _check_factor(factor)
    return Part(factor) if factor else 0


def _check_factor(factor: Fraction) -> None:
    if abs(factor) >= _MOST_PARTS:
        raise ValueError(f"must be less than {_MOST_PARTS} times the side")


def side(text: str, scope: Scope, axis: str) -> Length:
    """A length above 0."""
    if _SIDE.fullmatch(text):
        return int(text)
    value = length(text, scope, axis)
    if not value or is_negative(value):
        raise ValueError("must be above 0: pixels, or with a decimal point a part of the picture, as in 0.5")
    return value


def ratio(text: str, scope: Scope) -> Fraction:
    """Width to height, as 16:9 or 1.78."""
    match = _RATIO.fullmatch(text)
    if match and Fraction(match[2]):
        value = Fraction(match[1]) / Fraction(match[2])
    else:
        value = plain_number(text, scope).limit_denominator(10**4)
    if not value or max(value.numerator, value.denominator) >= _MOST_OF_RATIO or value < 0:
        raise ValueError("must be width to height as in 16:9 or 1.78")
    return value


def plain_number(text: str, scope: Scope) -> Fraction:
    """A number that is not relative to a side."""
    value = Fraction(text) if _DECIMAL.fullmatch(text) else number(text, scope)
    if not isinstance(value, Fraction):
        raise UnsupportedValue("depends on the size of the picture, which is not known when the URL is read")
    return value


def whole(text: str, scope: Scope, least: int, most: int) -> int:
    value = int(text) if _PIXELS.fullmatch(text) else plain_number(text, scope)
    if value.denominator != 1 or not least <= value <= most:
        raise ValueError(f"must be a whole number from {least} to {most}")
    return int(value)


_COMPASS = {name: point for name, point in GRAVITIES.items() if isinstance(point, FocalPoint)}
_FACES = {
    **dict.fromkeys(("face", "adv_face", "adv_eyes", "body"), Smart.FACE),
    **dict.fromkeys(("faces", "adv_faces"), Smart.FACES),
}


def gravity(text: str) -> FocalPoint | Smart | OffsetPoint:
    if (point := _COMPASS.get(text)) is not None:
        return point
    if text == "xy_center":
        return OffsetPoint()
    kind, _, rest = text.partition(":")
    if kind in _FACES and rest in ("", "center", "auto"):
        return _FACES[kind]
    if kind == "auto":
        return next((_FACES[word] for word in rest.split(":") if word in _FACES), Smart.ATTENTION)
    raise UnsupportedValue(
        f"must be one of {', '.join((*_COMPASS, 'xy_center', 'auto', *_FACES))}; other regions and objects are not"
        f" supported{meant(nearest(text, (*_COMPASS, *_FACES)))}"
    )


def colour(text: str) -> Colour:
    """The colour of a name, of `rgb:` and hexadecimal digits, or of digits alone."""
    if match := _HEX.fullmatch(text):
        return Colour.of_hex(match[1])
    if (named := css_colour(text)) is not None:
        return named
    raise UnsupportedValue("must be a colour name, or rgb: and 3, 4, 6 or 8 hexadecimal digits")


ROTATIONS = (None, Turn.R90, Turn.R180, Turn.R270)


def rotation(text: str, scope: Scope) -> Turn | Rotate | None:
    """A rotation clockwise by degrees; None if it changes nothing."""
    degrees = plain_number(text, scope)
    if degrees % 90 == 0:
        return ROTATIONS[int(degrees / 90) % 4]
    rounded = round(float(degrees % 360), 2)
    return Rotate(rounded) if 0 < rounded < 360 else None


def shape(text: str, scope: Scope) -> Rounded | Ellipse:
    """Radii of one to four corners as in CSS, or `max`."""
    if text == "max":
        return Ellipse()
    radii = [whole(radius, scope, 0, MAX_RADIUS_PX) for radius in text.split(":")]
    match radii:
        case [one]:
            return Rounded((one, one, one, one))
        case [one, two]:
            return Rounded((one, two, one, two))
        case [one, two, three]:
            return Rounded((one, two, three, two))
        case [one, two, three, four]:
            return Rounded((one, two, three, four))
    raise ValueError("must be max, or one to four radii in pixels, separated by colons")


def border(text: str) -> Border | None:
    """`<WIDTH>px_solid_<COLOUR>`; None without a width."""
    match = _BORDER.fullmatch(text)
    if match is None:
        raise UnsupportedValue("must be as in 4px_solid_black or 4px_solid_rgb:00390b")
    width_px = int(match[1])
    if width_px > MAX_PADDING_PX:
        raise ValueError(f"must be {MAX_PADDING_PX} pixels wide at most")
    return Border(width_px, colour(match[2])) if width_px else None


def output_format(text: str) -> Format | Auto:
    if (found := FORMATS.get(text.lower())) is None:
        raise UnsupportedValue(f"must be one of {', '.join(FORMATS)}: other formats are not supported")
    return found
