"""The arguments of imgproxy's options as values: numbers, switches, colours, gravities, formats.

A function raises ValueError with a reason that repeats no byte of the request.
"""

import re
from collections.abc import Sequence
from fractions import Fraction
from urllib.parse import unquote

from proxy.core.image.formats import Format
from proxy.core.nearest import meant, nearest
from proxy.core.transform.lengths import Length, Part
from proxy.core.transform.operations import (
    CENTER,
    Colour,
    Fit,
    FocalPoint,
    Gravity,
    Shifted,
    Smart,
)
from proxy.core.url.dialects.dialect import UnsupportedValue
from proxy.core.url.dialects.shared_values import Number, number
from proxy.core.url.target import of_base64

_HEX = re.compile(r"[0-9a-fA-F]{3}(?:[0-9a-fA-F]{3})?", re.ASCII)
MAX_ZOOM = 1000
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})

TYPES: dict[str, Fit] = {
    "fit": Fit.INSIDE,
    "fill": Fit.COVER,
    "fill-down": Fit.COVER,
    "force": Fit.FILL,
    "auto": Fit.ADAPTIVE,
}

GRAVITIES: dict[str, tuple[FocalPoint, int, int]] = {
    "ce": (CENTER, 1, 1),
    "no": (FocalPoint(0.5, 0.0), 1, 1),
    "so": (FocalPoint(0.5, 1.0), 1, -1),
    "ea": (FocalPoint(1.0, 0.5), -1, 1),
    "we": (FocalPoint(0.0, 0.5), 1, 1),
    "noea": (FocalPoint(1.0, 0.0), -1, 1),
    "nowe": (FocalPoint(0.0, 0.0), 1, 1),
    "soea": (FocalPoint(1.0, 1.0), -1, -1),
    "sowe": (FocalPoint(0.0, 1.0), 1, -1),
}
"""By name, the point, and the directions of the offsets: they are measured from the named edges inwards."""

WATERMARK_POSITIONS = (*GRAVITIES, "re")

_OBJECTS, _WEIGHTED = "obj", "objw"

FORMATS: dict[str, Format | None] = {
    "jpg": Format.JPEG,
    "jpeg": Format.JPEG,
    "png": Format.PNG,
    "webp": Format.WEBP,
    "avif": Format.AVIF,
    "gif": Format.GIF,
    **dict.fromkeys(("svg", "ico", "heic", "bmp", "tiff", "tif", "jxl", "pdf", "psd", "mp4")),
}
"""The formats that imgproxy knows; None for those that the node does not write."""


def factor(text: str) -> Number:
    value = number(text)
    if not 0 < value <= MAX_ZOOM:
        raise ValueError(f"must be a number above 0, up to {MAX_ZOOM}")
    return value


def is_true(text: str) -> bool:
    """Any word that is not one of the true ones is false, as in imgproxy."""
    return text in _TRUE


def hex_colour(text: str) -> Colour:
    if not _HEX.fullmatch(text):
        raise ValueError("must be a colour of 3 or 6 hexadecimal digits")
    return Colour.of_hex(text)


def picture_format(text: str) -> Format | None:
    if text not in FORMATS:
        near = meant(nearest(text, FORMATS))
        raise UnsupportedValue(f"must be one of {', '.join(FORMATS)}{near}")
    return FORMATS[text]


def _offset(text: str, sign: int) -> Length:
    offset = sign * number(text)
    return Part(offset) if isinstance(offset, Fraction) and abs(offset) < 1 else round(offset)


def gravity(args: Sequence[str]) -> Gravity:
    kind, *offsets = args
    if kind == "sm":
        if offsets:
            raise ValueError("takes no offsets with sm")
        return Smart.ATTENTION
    if kind == "fp":
        point = [number(each) for each in offsets]
        if len(point) != 2 or not all(0 <= each <= 1 for each in point):
            raise ValueError("takes with fp two fractions from 0 to 1")
        return FocalPoint(*(float(round(each, 4)) for each in point))
    if kind in (_OBJECTS, _WEIGHTED):
        _check_objects(offsets, is_weighted=kind == _WEIGHTED)
        return Smart.FACES
    if kind not in GRAVITIES or len(offsets) > 2:
        raise ValueError(
            f"takes one of {', '.join(GRAVITIES)} and two offsets, or sm, or fp and two fractions"
        )
    point_, *signs = GRAVITIES[kind]
    x, y = (_offset(text, sign) for text, sign in zip([*offsets, "0", "0"][:2], signs, strict=True))
    return Shifted(point_, x, y) if x or y else point_


def _check_objects(args: Sequence[str], *, is_weighted: bool) -> None:
    """Raises ValueError unless faces are the only objects."""
    if {*(args[::2] if is_weighted else args)} != {"face"}:
        raise UnsupportedValue("takes with obj and objw no other object than face")
    if is_weighted:
        for weight in args[1::2] or [""]:
            factor(weight)


def extend_gravity(args: Sequence[str]) -> Gravity:
    if not args:
        return CENTER
    if args[0] in ("sm", _OBJECTS, _WEIGHTED):
        raise ValueError("does not take the gravity sm, obj or objw")
    return gravity(args)


def crop_side(text: str) -> Length | None:
    side = number(text)
    if side < 0:
        raise ValueError("takes pixels from 1, fractions below 1, or 0 for the whole side")
    if not side:
        return None
    return Part(side) if isinstance(side, Fraction) and side < 1 else int(side)


def file_name(text: str, *, is_base64: bool) -> str:
    """A file name, percent-decoded or from base64url."""
    return of_base64(text) if is_base64 else unquote(text)
