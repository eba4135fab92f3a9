"""The parameters of the native dialect: how each value is read and written, and its name in a path and in a query.

`read` takes a decoded value and raises ValueError with a reason that repeats no byte of the request.
Longer than other files because it is one table with the readers and writers of its rows.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeVar, assert_never
from urllib.parse import quote

from proxy.core.errors import BadUrl
from proxy.core.image.faces import MAX_FACES
from proxy.core.image.formats import Format
from proxy.core.nearest import meant, nearest
from proxy.core.transform.conditions import MAX_COMPARISONS, Comparison, Condition, Measure, Relation
from proxy.core.transform.lengths import Length, Relative
from proxy.core.transform.operations import (
    BLACK,
    CENTER,
    FACE_GRAVITIES,
    TRANSPARENT,
    WHITE,
    Adjust,
    Auto,
    Backdrop,
    Background,
    Blur,
    CloseUp,
    Colour,
    Effect,
    Enlarge,
    Extend,
    Fit,
    Flatten,
    FocalPoint,
    Gravity,
    Metadata,
    OriginalPoint,
    Pixelate,
    Rounding,
    Sharpen,
    Shifted,
    Smart,
    Tone,
    Trim,
    Turn,
    TurnToShape,
    background_text,
)
from proxy.core.transform.quality_level import LEVELS, QualityLevel
from proxy.core.url.dialects.component import Branch, Component, CropFit
from proxy.core.url.dialects.native.filters import FILTER_FORMS, FILTER_WORDS, filter_text
from proxy.core.url.dialects.native.layers import layer_text, read_layer
from proxy.core.url.dialects.native.lengths import relative, text_of
from proxy.core.url.disposition import UNFIT_FOR_NAME, Disposition, disposition_of
from proxy.core.url.target import decoded

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """`read` gives the value of the `field` of a Component; `write` the texts of the field, none if unset. A parameter that
    `repeats` has a tuple of values."""

    field: str
    read: Callable[[str], object]
    write: Callable[[Component], tuple[str, ...]]
    repeats: bool = False


_PIXELS = re.compile(r"[1-9][0-9]*", re.ASCII)
_TO_100 = re.compile(r"[1-9][0-9]?|100", re.ASCII)
_INTEGER = re.compile(r"0|[1-9][0-9]*", re.ASCII)
_SIGNED = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)
_DPR = re.compile(r"([1-9])(?:\.([0-9]{1,2}))?", re.ASCII)
_SIGMA = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.[0-9]{1,2})?", re.ASCII)
_RATIO = re.compile(r"(?:0|[1-9][0-9]{0,3})\.[0-9]{1,4}|[1-9][0-9]{0,7}", re.ASCII)
_FRACTION = re.compile(r"0(?:\.[0-9]{1,4})?|1(?:\.0{1,4})?", re.ASCII)
_HEX = re.compile(r"[0-9a-fA-F]{3}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8}", re.ASCII)
_PADDING = re.compile(r"0|[1-9][0-9]{0,3}", re.ASCII)
_THRESHOLD = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.[0-9]{1,2})?", re.ASCII)
_SQUARE = re.compile(r"[2-9]|[1-9][0-9]{1,2}|1000", re.ASCII)
_COMPARISON = re.compile(
    rf"({'|'.join(Measure)})_({'|'.join(Relation)})_([0-9]{{1,10}})(?::([0-9]{{1,10}}))?", re.ASCII
)
_VERSION = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_NO_NAME = "*"
_EDGES = ":edges"
_SEPARATORS = re.compile(r"[%,~]")
_MAX_DIGITS = 18

FITS: dict[str, Fit | CropFit] = {
    "fill": Fit.COVER,
    "pad": Fit.CONTAIN,
    "fit": Fit.INSIDE,
    "outside": Fit.OUTSIDE,
    "scale": Fit.FILL,
    "limit": Fit.INSIDE,
    "crop": CropFit.CROP,
    "adaptive": Fit.ADAPTIVE,
}
"""Cloudinary's words; `limit` equals `fit`, because neither enlarges here."""

_QUERY_FITS: dict[str, Fit | CropFit] = {fit.value: fit for fit in (*Fit, *CropFit)}

_FOREIGN_FITS: dict[str, Fit | CropFit] = {
    **dict.fromkeys(("lfill", "thumb"), Fit.COVER),
    **dict.fromkeys(("lpad", "mpad"), Fit.CONTAIN),
    **dict.fromkeys(("clip", "max", "mfit", "scale-down"), Fit.INSIDE),
    **dict.fromkeys(("force", "stretch"), Fit.FILL),
}

_FITS_ELSEWHERE = _FOREIGN_FITS | _QUERY_FITS
_QUERY_FITS_ELSEWHERE = _FOREIGN_FITS | FITS

GRAVITIES: dict[str, Gravity] = {
    "center": CENTER,
    "north": FocalPoint(0.5, 0.0),
    "south": FocalPoint(0.5, 1.0),
    "east": FocalPoint(1.0, 0.5),
    "west": FocalPoint(0.0, 0.5),
    "north_east": FocalPoint(1.0, 0.0),
    "north_west": FocalPoint(0.0, 0.0),
    "south_east": FocalPoint(1.0, 1.0),
    "south_west": FocalPoint(0.0, 1.0),
    "auto": Smart.ATTENTION,
    "entropy": Smart.ENTROPY,
    "face": Smart.FACE,
    "faces": Smart.FACES,
}

FORMATS: dict[str, Format | Auto] = {
    "auto": Auto.AUTO,
    "jpg": Format.JPEG,
    "jpeg": Format.JPEG,
    "png": Format.PNG,
    "webp": Format.WEBP,
    "avif": Format.AVIF,
    "gif": Format.GIF,
    "autojpg": Auto.JPEG_FOR_PNG,
}

_ENCODED = {name: kind for name, kind in FORMATS.items() if isinstance(kind, Format)}
_AT = "at"
_LOWER_RIGHT = "south_east"

_FOREIGN_GRAVITIES: dict[str, Gravity] = {
    "centre": CENTER,
    "middle": CENTER,
    "top": FocalPoint(0.5, 0.0),
    "bottom": FocalPoint(0.5, 1.0),
    "right": FocalPoint(1.0, 0.5),
    "left": FocalPoint(0.0, 0.5),
    "attention": Smart.ATTENTION,
    "smart": Smart.ATTENTION,
}

COLOURS: dict[str, Colour] = {"white": WHITE, "black": BLACK, "transparent": TRANSPARENT}

EFFECT_WORDS = ("blur", "sharpen", "pixelate", "flatten", *Tone)
_EFFECTS = (*EFFECT_WORDS, *FILTER_WORDS)
_ADJUSTMENTS = frozenset(Tone) - {Tone.GRAYSCALE, Tone.GRAYSCALE_601, Tone.SEPIA}

SIGMA_MIN_PX, BLUR_MAX_PX, SHARPEN_MAX_PX = 0.3, 100.0, 10.0
SEPIA_PERCENT, SHARPEN_PX = 80, 1.0
MAX_PADDING_PX = 9999


def _whole_number(pattern: re.Pattern[str], value: str, reason: str) -> int:
    if not pattern.fullmatch(value):
        raise ValueError(reason)
    return int(value) if len(value) <= _MAX_DIGITS else 10**_MAX_DIGITS


def _pixels(value: str) -> int:
    return _whole_number(_PIXELS, value, "must be a whole number of pixels from 1, in plain digits")


def _bytes(value: str) -> int:
    return _whole_number(_PIXELS, value, "must be a whole number of bytes from 1, in plain digits")


def _page(value: str) -> int:
    return _whole_number(_PIXELS, value, "must be a whole number from 1, in plain digits")


def _pixels_from_0(value: str) -> int:
    return _whole_number(_INTEGER, value, "must be a whole number of pixels from 0, in plain digits")


def _ratio(value: str) -> Fraction:
    sides = value.split(":") if ":" in value else [value, "1"]
    if len(sides) != 2 or not all(map(_RATIO.fullmatch, sides)) or not all(map(Fraction, sides)):
        raise ValueError("must be width to height as in 16:9 or 1.78, with at most 4 decimals")
    return Fraction(sides[0]) / Fraction(sides[1])


def _branch(value: str) -> Condition | Branch:
    if value in (Branch.ELSE, Branch.END):
        return Branch(value)
    alternatives = [part.split("_and_") for part in value.split("_or_", MAX_COMPARISONS)]
    if sum(map(len, alternatives)) > MAX_COMPARISONS:
        raise ValueError(f"must have at most {MAX_COMPARISONS} comparisons")
    return Condition(tuple(tuple(map(_comparison, comparisons)) for comparisons in alternatives))


def _comparison(text: str) -> Comparison:
    match = _COMPARISON.fullmatch(text)
    if match is None or (match[4] and not int(match[4])):
        raise ValueError(
            "must be else, end, or comparisons with _and_ and _or_ between them, such as w_gt_1000 or iar_lte_16:9:"
            f" one of {', '.join(Measure)}, one of {', '.join(Relation)}, and a number"
        )
    return Comparison(Measure(match[1]), Relation(match[2]), Fraction(int(match[3]), int(match[4] or 1)))


def _ratio_text(value: Fraction) -> str:
    return f"{value.numerator}:{value.denominator}"


def _dpr_percent(value: str) -> int:
    match = _DPR.fullmatch(value)
    percent = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0")) if match else 0
    if not 100 <= percent <= 400:
        raise ValueError("must be a number from 1 to 4 with at most two decimals")
    return percent


def _choice(
    table: dict[str, _T],
    value: str,
    foreign: Mapping[str, _T] = {},
    prefix: str = "",
) -> _T:
    """The entry of `table` for `value`. Raises ValueError, which suggests the word for a `foreign` one."""
    if value not in table:
        synonyms = {word: _name_of(table, known) or "" for word, known in foreign.items()}
        near = meant(nearest(value, table, synonyms))
        raise ValueError(f"must be {prefix}one of {', '.join(table)}{near}")
    return table[value]


def _gravity(value: str) -> Gravity:
    parts = value.split(":")
    if parts[0] == _AT:
        if len(parts) != 3 or not all(map(_INTEGER.fullmatch, parts[1:])):
            raise ValueError("must be a point of the original in pixels, as in at:120:80")
        return OriginalPoint(*(int(part[:_MAX_DIGITS]) for part in parts[1:]))
    if len(parts) == 1:
        return _choice(GRAVITIES, value, _FOREIGN_GRAVITIES, "a focal point such as 0.3:0.7, or ")
    if parts[0] in FACE_GRAVITIES:
        return _close_up(*parts)
    shift: list[str] = []
    if parts[0] in GRAVITIES:
        point, shift = GRAVITIES[parts[0]], parts[1:]
    elif len(parts) in (2, 4) and all(map(_FRACTION.fullmatch, parts[:2])):
        point, shift = FocalPoint(float(parts[0]), float(parts[1])), parts[2:]
    else:
        raise ValueError("must be a focal point of two fractions from 0 to 1, as in 0.3:0.7")
    if not shift:
        return point
    if not isinstance(point, FocalPoint) or len(shift) != 2:
        raise ValueError("must have two offsets after a point or a direction, as in north:0:20")
    return Shifted(point, _offset(shift[0], Measure.WIDTH), _offset(shift[1], Measure.HEIGHT))


def _close_up(word: str, percent: str, number: str | None = None, *more: str) -> CloseUp:
    is_number = number is None or (
        word == Smart.FACE and _PIXELS.fullmatch(number) and len(number) <= _MAX_DIGITS
    )
    if more or not is_number or not _TO_100.fullmatch(percent):
        raise ValueError(
            "must have after face or faces how many per cent of a side the heads take at most, 1 to 100, as in face:60; after"
            " face it may have the number of one from the top, as in face:60:2"
        )
    return CloseUp(Smart(word), int(percent), None if number is None else min(int(number), MAX_FACES))


def _offset(value: str, axis: Measure) -> Length:
    if _SIGNED.fullmatch(value):
        return int(value[:_MAX_DIGITS])
    try:
        return relative(axis, signed=True)(value)
    except ValueError:
        raise ValueError(
            "must have offsets in pixels, as in north:0:-20, in parts of the picture, as in north:0.0:0.1, or as sums of"
            " sizes, as in north:0:0.1h_sub_20"
        ) from None


def _length_text(length: Length) -> str:
    return str(length) if isinstance(length, int) else text_of(length)


def _sides(value: str) -> tuple[int, int, int, int]:
    sides = value.split(":")
    if len(sides) not in (1, 4) or not all(map(_PADDING.fullmatch, sides)):
        raise ValueError("must be pixels for all sides, or top:right:bottom:left, each at most 4 digits")
    top, right, bottom, left = map(int, sides if len(sides) == 4 else sides * 4)
    return top, right, bottom, left


def _extend(value: str) -> Extend:
    if value.endswith(_EDGES):
        return replace(_extend(value.removesuffix(_EDGES)), background=Backdrop.EDGES)
    box, _, gravity = value.partition(":")
    width, mark, height = box.partition("x")
    if mark and (width or height):
        width_px, height_px = (_pixels(side) if side else None for side in (width, height))
        position = _gravity(gravity) if gravity else CENTER
        return Extend(width_px=width_px, height_px=height_px, gravity=_still(position))
    parts = value.split(":", 2)
    if len(parts) < 2:
        raise ValueError(
            "must be a size or a ratio, as in 300x200 or 16:9, and may have a gravity, as in 300x200:north"
        )
    position = _gravity(parts[2]) if len(parts) == 3 else CENTER
    return Extend(ratio=_ratio(":".join(parts[:2])), gravity=_still(position))


def _still(gravity: Gravity) -> Gravity:
    if isinstance(gravity, Smart | CloseUp | OriginalPoint):
        raise ValueError("must have a direction or a focal point as its gravity")
    return gravity


def _extend_text(extend: Extend) -> str:
    size = f"{extend.width_px or ''}x{extend.height_px or ''}"
    box = size if extend.ratio is None else _ratio_text(extend.ratio)
    gravity = "" if extend.gravity == CENTER else f":{_gravity_text(extend.gravity)}"
    return f"{box}{gravity}{_EDGES if extend.background is Backdrop.EDGES else ''}"


def _stored(value: str) -> bool:
    if value != "stored":
        raise ValueError("must be stored; without it the picture is upright")
    return True


def _trim(value: str) -> Trim:
    threshold, *rest = value.split(":")
    if not _THRESHOLD.fullmatch(threshold) or float(threshold) > 255 or len(rest) > 2:
        raise ValueError(
            f"must be THRESHOLD[:COLOUR, auto or {_LOWER_RIGHT}[:x, y or xy]], with a threshold from 0 to 255"
        )
    alike = rest[1] if len(rest) == 2 else ""
    if alike not in ("", "x", "y", "xy"):
        raise ValueError("must have x, y or xy last: the sides that are cut alike")
    return Trim(
        threshold=float(threshold),
        colour=None if not rest or rest[0] in ("auto", _LOWER_RIGHT) else colour(rest[0]),
        from_lower_right=bool(rest) and rest[0] == _LOWER_RIGHT,
        equal_x="x" in alike,
        equal_y="y" in alike,
    )


def _trim_text(trim: Trim) -> str:
    alike = f"{'x' if trim.equal_x else ''}{'y' if trim.equal_y else ''}"
    corner = _LOWER_RIGHT if trim.from_lower_right else "auto"
    border = trim.colour.hex if trim.colour else corner
    is_named = border != "auto" or alike
    parts = [f"{trim.threshold:g}", *([border] if is_named else []), *([alike] if alike else [])]
    return ":".join(parts)


def _quality(value: str) -> int | QualityLevel:
    auto, colon, level = value.partition(":")
    if auto != _AUTO_QUALITY:
        return _whole_number(_INTEGER, value, f"{_QUALITY_REASON}, auto, or auto and a level, as in auto:eco")
    return _choice(LEVELS, level) if colon else QualityLevel.GOOD


def _quality_text(quality: object) -> str:
    return f"{_AUTO_QUALITY}:{quality}" if isinstance(quality, QualityLevel) else f"{quality}"


def _qualities(value: str) -> tuple[tuple[Format | None, int], ...]:
    """A quality, and qualities by format, as in `80:webp:70`."""
    parts = value.split(":")
    found: list[tuple[Format | None, int]] = []
    if len(parts) % 2:
        found.append((None, _bounded_quality(parts.pop(0))))
    for name, quality in zip(parts[::2], parts[1::2], strict=True):
        kind = _choice(_ENCODED, name)
        if kind in dict(found):
            raise ValueError("has a format twice")
        found.append((kind, _bounded_quality(quality)))
    return tuple(found)


def _qualities_by_format(value: str) -> tuple[tuple[Format, int], ...]:
    found = tuple((kind, quality) for kind, quality in _qualities(value) if kind is not None)
    if len(found) < len(_qualities(value)):
        raise ValueError("must be formats with their quality, as in webp:70:avif:50")
    return found


def _bounded_quality(value: str) -> int:
    quality = _whole_number(_PIXELS, value, _QUALITY_REASON)
    if quality > 100:
        raise ValueError(_QUALITY_REASON)
    return quality


def _qualities_text(qualities: Sequence[tuple[Format | None, int]]) -> str:
    return ":".join(f"{quality}" if kind is None else f"{kind}:{quality}" for kind, quality in qualities)


def _background(value: str) -> Background:
    return Backdrop(value) if value in tuple(Backdrop) else colour(value, f", or {', '.join(Backdrop)}")


def colour(value: str, others: str = "") -> Colour:
    """The colour of a value, for which there may be `others`. Raises ValueError."""
    if value in COLOURS:
        return COLOURS[value]
    if not _HEX.fullmatch(value):
        raise ValueError(
            f"must be rgb, rrggbb or rrggbbaa in hexadecimal, white, black or transparent{others}"
        )
    return Colour.of_hex(value)


def _version(value: str) -> str:
    if not _VERSION.fullmatch(value):
        raise ValueError("must be 1 to 64 letters, digits, dots, dashes or underscores")
    return value


def _file_name(*, is_attachment: bool, in_path: bool) -> Param:
    """The parameter for an attachment, or for a picture that is shown. A path is split after it is decoded, so that its
    separators in a name, and the %, are encoded twice."""

    def read(value: str) -> str:
        if value == _NO_NAME and is_attachment:
            return str(Disposition(True))
        try:
            name = decoded(value, "the name") if in_path else value
        except BadUrl:
            raise ValueError(
                "must have a %, a comma or a ~ of the file name percent-encoded twice, as in 50%2525.jpg"
            ) from None
        if not name or UNFIT_FOR_NAME.search(name):
            raise ValueError("must be a file name without slashes, backslashes and control characters")
        return str(Disposition(is_attachment, name))

    def write(of: Component) -> tuple[str, ...]:
        disposition = disposition_of(of.disposition or "")
        if disposition is None or disposition.is_attachment is not is_attachment:
            return ()
        name = UNFIT_FOR_NAME.sub("_", disposition.name)
        inner = _SEPARATORS.sub(lambda match: f"%{ord(match[0]):02X}", name) if in_path else name
        return (quote(inner, safe="") if name else _NO_NAME,)

    return Param(field="disposition", read=read, write=write)


def _sigma(value: str, max_px: float) -> float:
    if not _SIGMA.fullmatch(value) or not SIGMA_MIN_PX <= float(value) <= max_px:
        raise ValueError(f"must have a sigma from {SIGMA_MIN_PX:g} to {max_px:g} with at most two decimals")
    return float(value)


def _percent(value: str, minimum: int) -> int:
    reason = f"must have a strength from {minimum} to 100 in whole numbers"
    percent = _whole_number(_SIGNED, value, reason)
    if not minimum <= percent <= 100:
        raise ValueError(reason)
    return percent


def _effect(value: str) -> Effect:
    name, colon, argument = value.partition(":")
    match name, bool(colon):
        case "blur", True:
            return Blur(_sigma(argument, BLUR_MAX_PX))
        case "sharpen", given:
            return Sharpen(_sigma(argument, SHARPEN_MAX_PX) if given else SHARPEN_PX)
        case ("grayscale" | "grayscale_601") as tone, False:
            return Adjust(Tone(tone), 100)
        case "sepia", given:
            return Adjust(Tone.SEPIA, _percent(argument, 1) if given else SEPIA_PERCENT)
        case "pixelate", True:
            return Pixelate(_whole_number(_SQUARE, argument, "must have a side from 2 to 1000 pixels"))
        case "flatten", True:
            return Flatten(colour(argument))
        case tone, True if tone in _ADJUSTMENTS:
            return Adjust(Tone(tone), _percent(argument, -100))
    if (row := FILTER_WORDS.get(name)) is not None:
        return row.read(argument)
    near = meant(nearest(name, _EFFECTS)) if name not in _EFFECTS else ""
    raise ValueError(
        "must be blur:SIGMA, sharpen[:SIGMA], grayscale, sepia[:PERCENT], brightness:N, contrast:N, saturation:N,"
        " vibrance:N, shadows:N, highlights:N, pixelate:PIXELS, flatten:COLOUR, grayscale_601, saturation_hsp:N,"
        f" {', '.join(FILTER_FORMS[:-1])} or"
        f" {FILTER_FORMS[-1]}{near}"
    )


def _effect_text(effect: Effect) -> str:
    match effect:
        case Blur(sigma_px):
            return f"blur:{sigma_px:g}"
        case Sharpen(sigma_px):
            return f"sharpen:{sigma_px:g}"
        case Pixelate(side_px):
            return f"pixelate:{side_px}"
        case Flatten(background):
            return f"flatten:{background.hex}"
        case Adjust((Tone.GRAYSCALE | Tone.GRAYSCALE_601) as tone):
            return tone.value
        case Adjust(tone, percent):
            return f"{tone}:{percent}"
        case _:
            return filter_text(effect)


def _gravity_text(gravity: Gravity) -> str:
    match gravity:
        case OriginalPoint(x_px, y_px):
            return f"{_AT}:{x_px}:{y_px}"
        case Shifted(point, x, y):
            return f"{_gravity_text(point)}:{_length_text(x)}:{_length_text(y)}"
        case FocalPoint(x, y):
            return _name_of(GRAVITIES, gravity) or f"{x:g}:{y:g}"
        case CloseUp(of, percent, number):
            return f"{of}:{percent}{'' if number is None else f':{number}'}"
        case Smart():
            return _name_of(GRAVITIES, gravity) or ""
    assert_never(gravity)


def _name_of(table: dict[str, _T], value: _T) -> str | None:
    return next((name for name, known in table.items() if known == value), None)


def _if_set(value: _T | None, text: Callable[[_T], str]) -> tuple[str, ...]:
    return () if value is None else (text(value),)


def _if_set_name(table: dict[str, _T], value: _T | None) -> tuple[str, ...]:
    return () if value is None else (_name_of(table, value) or "",)


def _dpr_text(percent: int) -> str:
    return f"{percent / 100:g}"


ENLARGE_WORDS: dict[str, Enlarge] = {enlarge.value: enlarge for enlarge in Enlarge}
ROUNDING_WORDS: dict[str, Rounding] = {rounding.value: rounding for rounding in Rounding}
METADATA_WORDS: dict[str, Metadata] = {metadata.value: metadata for metadata in Metadata}
TURN_WORDS: dict[str, Turn | TurnToShape] = {
    **{turn.value: turn for turn in Turn},
    **{
        f"{turn}.{shape}": TurnToShape(turn, shape == "wide")
        for turn in (Turn.R90, Turn.R270)
        for shape in ("wide", "high")
    },
}

_QUALITY_REASON = "must be a whole number from 1 to 100"
_AUTO_QUALITY = "auto"

PATH: dict[str, Param] = {
    "orient": Param(
        field="as_stored",
        read=_stored,
        write=lambda of: ("stored",) if of.as_stored else (),
    ),
    "trim": Param(
        field="trim",
        read=_trim,
        write=lambda of: _if_set(of.trim, _trim_text),
    ),
    "w": Param(
        field="width",
        read=_pixels,
        write=lambda of: (str(of.width),) if isinstance(of.width, int) else (),
    ),
    "h": Param(
        field="height",
        read=_pixels,
        write=lambda of: (str(of.height),) if isinstance(of.height, int) else (),
    ),
    "rw": Param(
        field="width",
        read=relative(Measure.WIDTH),
        write=lambda of: (text_of(of.width),) if isinstance(of.width, Relative) else (),
    ),
    "rh": Param(
        field="height",
        read=relative(Measure.HEIGHT),
        write=lambda of: (text_of(of.height),) if isinstance(of.height, Relative) else (),
    ),
    "minw": Param(
        field="min_width_px",
        read=_pixels,
        write=lambda of: _if_set(of.min_width_px, str),
    ),
    "minh": Param(
        field="min_height_px",
        read=_pixels,
        write=lambda of: _if_set(of.min_height_px, str),
    ),
    "maxw": Param(
        field="max_width_px",
        read=_pixels,
        write=lambda of: _if_set(of.max_width_px, str),
    ),
    "maxh": Param(
        field="max_height_px",
        read=_pixels,
        write=lambda of: _if_set(of.max_height_px, str),
    ),
    "c": Param(
        field="fit",
        read=lambda value: _choice(FITS, value, _FITS_ELSEWHERE),
        write=lambda of: _if_set_name(FITS, of.fit),
    ),
    "ar": Param(
        field="ratio",
        read=_ratio,
        write=lambda of: _if_set(of.ratio, _ratio_text),
    ),
    "el": Param(
        field="enlarge",
        read=lambda value: _choice(ENLARGE_WORDS, value),
        write=lambda of: _if_set(of.enlarge, str),
    ),
    "round": Param(
        field="rounding",
        read=lambda value: _choice(ROUNDING_WORDS, value),
        write=lambda of: _if_set(of.rounding, str),
    ),
    "g": Param(
        field="gravity",
        read=_gravity,
        write=lambda of: () if of.gravity is None else (_gravity_text(of.gravity),),
    ),
    "x": Param(
        field="left",
        read=_pixels_from_0,
        write=lambda of: (str(of.left),) if isinstance(of.left, int) else (),
    ),
    "y": Param(
        field="top",
        read=_pixels_from_0,
        write=lambda of: (str(of.top),) if isinstance(of.top, int) else (),
    ),
    "rx": Param(
        field="left",
        read=relative(Measure.WIDTH),
        write=lambda of: (text_of(of.left),) if isinstance(of.left, Relative) else (),
    ),
    "ry": Param(
        field="top",
        read=relative(Measure.HEIGHT),
        write=lambda of: (text_of(of.top),) if isinstance(of.top, Relative) else (),
    ),
    "ext": Param(
        field="extend",
        read=_extend,
        write=lambda of: _if_set(of.extend, _extend_text),
    ),
    "pad": Param(
        field="padding_px",
        read=_sides,
        write=lambda of: _if_set(of.padding_px, lambda sides: ":".join(map(str, sides))),
    ),
    "f": Param(
        field="format",
        read=lambda value: _choice(FORMATS, value),
        write=lambda of: _if_set(of.format, str),
    ),
    "q": Param(
        field="quality",
        read=_quality,
        write=lambda of: _if_set(of.quality, _quality_text),
    ),
    "fq": Param(
        field="qualities",
        read=_qualities_by_format,
        write=lambda of: _if_set(of.qualities, _qualities_text),
    ),
    "eq": Param(
        field="encoder_qualities",
        read=_qualities,
        write=lambda of: _if_set(of.encoder_qualities, _qualities_text),
    ),
    "mb": Param(
        field="max_bytes",
        read=_bytes,
        write=lambda of: _if_set(of.max_bytes, str),
    ),
    "dpr": Param(
        field="dpr_percent",
        read=_dpr_percent,
        write=lambda of: _if_set(of.dpr_percent, _dpr_text),
    ),
    "b": Param(
        field="background",
        read=_background,
        write=lambda of: () if of.background is None else (background_text(of.background),),
    ),
    "a": Param(
        field="turn",
        read=lambda value: _choice(TURN_WORDS, value),
        write=lambda of: _if_set_name(TURN_WORDS, of.turn),
    ),
    "e": Param(
        field="effects",
        read=_effect,
        write=lambda of: tuple(map(_effect_text, of.effects or ())),
        repeats=True,
    ),
    "l": Param(
        field="layers",
        read=lambda value: read_layer(value, _gravity, colour),
        write=lambda of: tuple(layer_text(layer, _gravity_text) for layer in of.layers or ()),
        repeats=True,
    ),
    "pg": Param(
        field="page",
        read=_page,
        write=lambda of: _if_set(of.page, str),
    ),
    "frames": Param(
        field="frames",
        read=_page,
        write=lambda of: _if_set(of.frames, str),
    ),
    "meta": Param(
        field="metadata",
        read=lambda value: _choice(METADATA_WORDS, value),
        write=lambda of: _if_set(of.metadata, str),
    ),
    "v": Param(
        field="version",
        read=_version,
        write=lambda of: _if_set(of.version, str),
    ),
    "dl": _file_name(is_attachment=True, in_path=True),
    "fn": _file_name(is_attachment=False, in_path=True),
    "if": Param(
        field="branch",
        read=_branch,
        write=lambda of: _if_set(of.branch, str),
    ),
}
"""Parameter names of a path URL, in the order in which URLs are written."""

_QUERY_NAMES = {
    "c": "fit",
    "el": "enlarge",
    "f": "format",
    "b": "bg",
    "a": "rot",
    "pg": "page",
    "t": "preset",
}
_FIT = Param(
    # `fill` has Cloudinary's meaning in a path and that of CSS in a query.
    field="fit",
    read=lambda value: _choice(_QUERY_FITS, value, _QUERY_FITS_ELSEWHERE),
    write=lambda of: _if_set_name(_QUERY_FITS, of.fit),
)

_OF_QUERY = {
    "c": _FIT,
    "dl": _file_name(is_attachment=True, in_path=False),
    "fn": _file_name(is_attachment=False, in_path=False),
}

QUERY: dict[str, Param] = {
    _QUERY_NAMES.get(name, name): _OF_QUERY.get(name, token) for name, token in PATH.items() if name != "if"
}
"""Parameter names of a query URL, in the order in which URLs are written. It has one component, so no condition."""


_SYNONYMS = {
    **dict.fromkeys(("width",), "w"),
    **dict.fromkeys(("height",), "h"),
    **dict.fromkeys(("fit", "crop", "mode", "resize"), "c"),
    **dict.fromkeys(("aspect", "ratio"), "ar"),
    **dict.fromkeys(("enlarge", "upscale"), "el"),
    **dict.fromkeys(("gravity", "position"), "g"),
    **dict.fromkeys(("format", "fm", "fo", "output"), "f"),
    **dict.fromkeys(("quality",), "q"),
    **dict.fromkeys(("background", "bg"), "b"),
    **dict.fromkeys(("angle", "rot", "rotate"), "a"),
    **dict.fromkeys(("effect",), "e"),
    **dict.fromkeys(("preset", "transformation"), "t"),
    **dict.fromkeys(("page", "frame"), "pg"),
    **dict.fromkeys(("version",), "v"),
    **dict.fromkeys(("download", "attachment"), "dl"),
    **dict.fromkeys(("filename",), "fn"),
}
"""Names that other products use for a path parameter, each with the name here."""

_WRITTEN = re.compile(r"(?!v[0-9])([A-Za-z]+)(?:[_=:-]|(?=[0-9]))([A-Za-z0-9_.:-]{1,32})", re.ASCII)


def nearest_token(written: str) -> str | None:
    """The path token, with its value, that is nearest to an unknown one."""
    match = _WRITTEN.fullmatch(written)
    name = nearest(match[1], (*PATH, "t"), _SYNONYMS) if match else None
    return f"{name}_{match[2]}" if match and name else None


def nearest_name(written: str) -> str | None:
    """The query parameter that is nearest to an unknown one."""
    names = {name: _QUERY_NAMES.get(name, name) for name in (*PATH, "t") if name != "if"}
    synonyms = {word: names[name] for word, name in _SYNONYMS.items()}
    return nearest(written, names.values(), synonyms | names)
