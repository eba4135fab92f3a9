"""The values of imgix's parameters: lengths, colours, lists of words.

The readers raise what readers of parameters raise.
"""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from proxy.core.errors import UnsupportedFormat
from proxy.core.image.formats import Format
from proxy.core.transform.lengths import Length, Part
from proxy.core.transform.operations import Colour, Crop, FocalPoint, Gravity, Metadata, Offset, Shifted, Turn
from proxy.core.url.dialects.css_colours import css_colour
from proxy.core.url.dialects.dialect import UnsupportedValue
from proxy.core.url.dialects.shared_values import choice, number, one_of, pixels, whole
from proxy.core.url.disposition import Disposition

_ALPHA_FIRST = re.compile(r"[0-9a-fA-F]{4}|[0-9a-fA-F]{8}", re.ASCII)
_NO_FILE_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f/\\]")
_PREFIX = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", re.ASCII)

FITS = ("clamp", "clip", "crop", "facearea", "fill", "fillmax", "max", "min", "scale")
CROPS = ("top", "bottom", "left", "right", "faces", "entropy", "edges", "focalpoint")
FORMATS: dict[str, Format | None] = {
    **dict.fromkeys(("jpg", "pjpg"), Format.JPEG),
    **dict.fromkeys(("png", "png8", "png32"), Format.PNG),
    "webp": Format.WEBP,
    "avif": Format.AVIF,
    "gif": Format.GIF,
    **dict.fromkeys(("jp2", "jxr", "mp4", "webm", "spritesheet", "hls", "dash", "mp3")),
}
"""The formats of `fm`; None for those that the node does not write."""
DOCUMENTS = ("json", "blurhash")
"""The values of `fm` that ask for a description."""
_FLIPS = {"h": Turn.HFLIP, "v": Turn.VFLIP, "hv": Turn.R180, "vh": Turn.R180}
_ORIENTATIONS: dict[str, Turn | None] = {
    **dict.fromkeys(("0", "1")),
    "2": Turn.HFLIP,
    **dict.fromkeys(("3", "180"), Turn.R180),
    "4": Turn.VFLIP,
    "5": Turn.TRANSPOSE,
    **dict.fromkeys(("6", "90"), Turn.R90),
    "7": Turn.TRANSVERSE,
    **dict.fromkeys(("8", "270"), Turn.R270),
}
"""The turn that each EXIF orientation asks for."""
COLUMNS, ROWS = {"left": 0.0, "center": 0.5, "right": 1.0}, {"top": 0.0, "middle": 0.5, "bottom": 1.0}


def fit(text: str) -> str:
    return choice(*FITS)(text)


def fill(text: str) -> str:
    if text in ("gen", "generative", "gradient"):
        raise UnsupportedValue("is not supported but with solid and blur")
    return choice("solid", "blur")(text)


def crops(text: str) -> tuple[str, ...]:
    word = choice(*CROPS)
    return tuple(map(word, text.split(",")))


def colour(text: str) -> Colour:
    """A keyword, RGB, ARGB, RRGGBB or AARRGGBB."""
    if _ALPHA_FIRST.fullmatch(text):
        alpha = len(text) // 4
        text = text[alpha:] + text[:alpha]
    if (found := css_colour(text)) is None:
        raise ValueError("must be a colour of CSS, or 3, 4, 6 or 8 hexadecimal digits with alpha first")
    return found


def rect(text: str) -> Crop:
    """`x,y,width,height`: a corner in pixels, parts or words, and whole pixels."""
    parts = text.split(",")
    if len(parts) != 4:
        raise ValueError("must be x,y,width,height")
    width, height = (whole(part, 1) for part in parts[2:])
    (column, x), (row, y) = _edge(parts[0], COLUMNS), _edge(parts[1], ROWS)
    if column is None and row is None:
        return Crop(width=width, height=height, at=Offset(x, y))
    point = FocalPoint(column or 0.0, row or 0.0)
    at: Gravity = Shifted(point, x, y) if x or y else point
    return Crop(width=width, height=height, at=at)


class _Edge(NamedTuple):
    """A position along an axis, from 0 to 1, or an offset."""

    position: float | None
    offset: Length = 0


def _edge(text: str, words: Mapping[str, float]) -> _Edge:
    if text in words:
        return _Edge(words[text])
    value = number(text)
    if value < 0:
        raise ValueError(f"must have a corner in pixels or parts from 0, or one of {', '.join(words)}")
    if isinstance(value, Fraction) and 0 < value <= 1:
        return _Edge(None, Part(value))
    return _Edge(None, pixels(value))


def orientation(text: str) -> tuple[Turn, ...]:
    """The turns from the picture as it is stored."""
    turn = one_of(_ORIENTATIONS)(text)
    return () if turn is None else (turn,)


def flip(text: str) -> Turn:
    return one_of(_FLIPS)(text)


def quarters(text: str) -> int:
    """Counter-clockwise rotations by 90 degrees."""
    degrees = number(text)
    if degrees % 90:
        raise UnsupportedValue("is not supported but in steps of 90 degrees")
    return int(degrees // 90) % 4


def picture_format(text: str) -> Format:
    found = one_of(FORMATS)(text)
    if found is None:
        raise UnsupportedFormat("parameter fm names a format that the node does not write")
    return found


def frame(text: str) -> int:
    if "-" in text:
        raise UnsupportedValue("is not supported with several frames")
    return whole(text, 1)


def metadata(text: str) -> Metadata | None:
    return one_of({"allow": Metadata.COPYRIGHT, "block": None})(text)


def expiry(text: str) -> int:
    """A Unix time in seconds. An invalid one is always refused: without it the URL would never expire."""
    try:
        return whole(text)
    except ValueError as reason:
        raise UnsupportedValue(str(reason)) from None


def disposition(text: str) -> str:
    """The value of Content-Disposition; without a name browsers take that of the URL."""
    if _NO_FILE_NAME.search(text):
        raise ValueError("must be a file name without slashes and control characters")
    return str(Disposition(True, text))


def class_prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text):
        raise ValueError("must be a CSS class of letters, digits, - and _")
    return text
