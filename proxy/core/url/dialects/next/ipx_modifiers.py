"""The modifiers of ipx: how the arguments of each are read, and how far the node does it.

The file is long because it is one table with its readers.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

from proxy.core.errors import NotSupported
from proxy.core.image.formats import Format
from proxy.core.transform.operations import (
    CENTER,
    Auto,
    Blur,
    Colour,
    Convolve,
    Crop,
    Fit,
    FocalPoint,
    Gamma,
    Gravity,
    Median,
    Offset,
    Pad,
    Sharpen,
    Smart,
    Threshold,
    Tint,
)
from proxy.core.url.dialects.css_colours import NAMES as CSS_COLOURS
from proxy.core.url.dialects.dialect import DocumentedOption, Support, UnsupportedValue
from proxy.core.url.dialects.native.filters import MEDIAN_MAX_PX
from proxy.core.url.dialects.native.params import MAX_PADDING_PX

_MAX_PX = 100_000_000
"""The longest side of a libvips image."""


class Gammas(NamedTuple):
    """The gammas before and after the size; None for none."""

    before: Gamma | None
    after: Gamma | None


class Sizing(NamedTuple):
    """The sides of a size in pixels. `follows_rotation` says whether a rotation is done before it."""

    width_px: int | None
    height_px: int | None
    follows_rotation: bool


# The readers of arguments raise ValueError with a reason that repeats no byte of the request.

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,15})(?:\.[0-9]{1,17})?(?:[Ee][+-]?[0-9]{1,3})?", re.ASCII)
_SIDE = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{0,15})?", re.ASCII)
_HEX = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})|#([0-9a-fA-F]{8}|[0-9a-fA-F]{4})", re.ASCII)

_PIXELS = f"must be a whole number of pixels from 1 to {_MAX_PX}"


def _number(text: str, minimum: float, maximum: float, reason: str) -> float:
    number = float(text) if _NUMBER.fullmatch(text) else maximum + 1
    if not minimum <= number <= maximum:
        raise ValueError(reason)
    return number


def _integer(text: str, minimum: int, maximum: int, reason: str) -> int:
    number = _number(text, minimum, maximum, reason)
    if not number.is_integer():
        raise ValueError(reason)
    return int(number)


def _first(argument: str) -> str:
    return argument.partition("_")[0]


def _width(argument: str) -> Sizing:
    return Sizing(_integer(_first(argument), 1, _MAX_PX, _PIXELS), None, True)


def _height(argument: str) -> Sizing:
    return Sizing(None, _integer(_first(argument), 1, _MAX_PX, _PIXELS), False)


def _sides(argument: str) -> tuple[int, int] | None:
    """Width and height; None without a width. Without a height the box is a square."""
    width, _, rest = _first(argument).partition("x")
    sides = [float(side) if _SIDE.fullmatch(side) else 0.0 for side in (width, rest.partition("x")[0])]
    if not sides[0]:
        return None
    width_px, height_px = sides[0], sides[1] or sides[0]
    if not (width_px.is_integer() and height_px.is_integer()) or not (
        1 <= width_px <= _MAX_PX and 1 <= height_px <= _MAX_PX
    ):
        raise ValueError(f"must be WIDTHxHEIGHT, whole numbers of pixels from 1 to {_MAX_PX}")
    return int(width_px), int(height_px)


def _size(argument: str) -> Sizing | None:
    return None if (sides := _sides(argument)) is None else Sizing(*sides, True)


def _size_before_rotation(argument: str) -> Sizing | None:
    return None if (sides := _sides(argument)) is None else Sizing(*sides, False)


def _region(argument: str) -> Crop:
    reason = f"must be LEFT_TOP_WIDTH_HEIGHT, whole numbers of pixels to {_MAX_PX}, and neither side 0"
    parts = argument.split("_", 4)[:4]
    if len(parts) < 4:
        raise ValueError(reason)
    left, top = (_integer(part, 0, _MAX_PX, reason) for part in parts[:2])
    width, height = (_integer(part, 1, _MAX_PX, reason) for part in parts[2:])
    return Crop(width=width, height=height, at=Offset(left, top))


def _extend(argument: str) -> Pad:
    reason = f"must be TOP_RIGHT_BOTTOM_LEFT, whole numbers of pixels from 0 to {MAX_PADDING_PX}"
    top, right, bottom, left, *_ = (
        *(_integer(part, 0, MAX_PADDING_PX, reason) for part in argument.split("_", 4)[:4]),
        *(0, 0, 0),
    )
    return Pad(top_px=top, right_px=right, bottom_px=bottom, left_px=left)


def _quarters(argument: str) -> int:
    reason = "must be a multiple of 90 degrees: other angles are not supported"
    degrees = _integer(_first(argument), -_MAX_PX, _MAX_PX, reason)
    if degrees % 90:
        raise UnsupportedValue(reason)
    return degrees // 90 % 4


def _fit(argument: str) -> Fit:
    try:
        return Fit(_first(argument))
    except ValueError:
        raise ValueError(f"must be one of {', '.join(Fit)}") from None


POSITIONS: dict[str, Gravity] = {
    **dict.fromkeys(("center", "centre"), CENTER),
    **dict.fromkeys(("top", "north"), FocalPoint(0.5, 0.0)),
    **dict.fromkeys(("right top", "northeast"), FocalPoint(1.0, 0.0)),
    **dict.fromkeys(("right", "east"), FocalPoint(1.0, 0.5)),
    **dict.fromkeys(("right bottom", "southeast"), FocalPoint(1.0, 1.0)),
    **dict.fromkeys(("bottom", "south"), FocalPoint(0.5, 1.0)),
    **dict.fromkeys(("left bottom", "southwest"), FocalPoint(0.0, 1.0)),
    **dict.fromkeys(("left", "west"), FocalPoint(0.0, 0.5)),
    **dict.fromkeys(("left top", "northwest"), FocalPoint(0.0, 0.0)),
    "entropy": Smart.ENTROPY,
    "attention": Smart.ATTENTION,
}


def _position(argument: str) -> Gravity:
    if (gravity := POSITIONS.get(_first(argument))) is None:
        raise ValueError(f"must be one of {', '.join(POSITIONS)}")
    return gravity


def _colour(argument: str) -> Colour:
    text = _first(argument)
    if (match := _HEX.fullmatch(text)) is not None:
        return Colour.of_hex(match[1] or match[2])
    if (colour := CSS_COLOURS.get(text.lower())) is None:
        raise ValueError("must be rgb or rrggbb in hexadecimal, or a colour name of CSS")
    return colour


def _sigma(argument: str, maximum: int) -> float:
    reason = f"must have a sigma from 0.3 to {maximum}"
    return round(_number(_first(argument), 0.3, maximum, reason), 2)


def _gamma(argument: str) -> Gammas | None:
    """The gammas before and after the size; None if the second reverses the first."""
    reason = "must be one or two numbers from 1 to 3"
    numbers = [_number(part, 1, 3, reason) for part in argument.split("_", 2)[:2] if argument]
    if len(set(numbers)) < 2:
        return None
    darkening, brightening = numbers
    return Gammas(_gamma_of(1 / darkening), _gamma_of(brightening))


def _gamma_of(number: float) -> Gamma | None:
    return None if number == 1 else Gamma(round(number, 4))


_SOFT = Convolve(3, 9, (1,) * 9)
_CRISP = Convolve(3, 24, (*(-1,) * 4, 32, *(-1,) * 4))
"""What sharp does for `true`."""


def _blur(argument: str) -> Blur | Convolve | None:
    if _first(argument) in _WORDS:
        return _SOFT if _WORDS[_first(argument)] else None
    return Blur(_sigma(argument, 100))


def _sharpen(argument: str) -> Sharpen | Convolve:
    return _CRISP if _first(argument) == "true" else Sharpen(_sigma(argument, 10))


_WORDS = {"true": True, "false": False}


def _median(argument: str) -> Median | None:
    reason = f"must be a whole number from 1 to {MEDIAN_MAX_PX}: others are not supported"
    side_px = _integer(_first(argument), 1, MEDIAN_MAX_PX, reason)
    return Median(side_px) if side_px > 1 else None


def _threshold(argument: str) -> Threshold | None:
    text = {"true": "128", "false": "0"}.get(_first(argument), _first(argument))
    level = _integer(text, 0, 255, "must be a whole number from 0 to 255")
    return Threshold(level) if level else None


def _tint(argument: str) -> Tint:
    return Tint(replace(_colour(argument), alpha=255))


_KERNELS = ("nearest", "linear", "cubic", "mitchell", "lanczos2", "lanczos3", "mks2013", "mks2021")


def _kernel(argument: str) -> None:
    if _first(argument) not in _KERNELS:
        raise ValueError(f"must be one of {', '.join(_KERNELS)}")


_FORMATS: dict[str, Format | Auto] = {
    "auto": Auto.AUTO,
    **dict.fromkeys(("jpeg", "jpg"), Format.JPEG),
    "png": Format.PNG,
    "webp": Format.WEBP,
    "avif": Format.AVIF,
    "gif": Format.GIF,
}


def output_format(name: str) -> Format | Auto | None:
    """The output format; None for a name that ipx ignores. Raises BadTransform."""
    if name in ("tiff", "heif", "heic"):
        raise NotSupported(f"modifier f must be one of {', '.join(_FORMATS)}")
    return _FORMATS.get(name)


def _nothing(_: str) -> None:
    return None


def _unsupported(_: str) -> None:
    raise UnsupportedValue("is not supported")


@dataclass(frozen=True, slots=True, kw_only=True)
class Modifier:
    """`read` gives the value of the field of Modifiers from the arguments, joined by `_`; None leaves the field unset,
    and `reason` then says why. Without one of the modifiers that it `needs`, it has no effect and is not read."""

    names: tuple[str, ...]
    field: str = ""
    read: Callable[[str], object] = _nothing
    needs: tuple[str, ...] = ()
    support: Support = Support.DONE
    note: str = ""
    reason: str = ""


def _on(_: str) -> bool:
    return True


_EVERY_KIND = "Of several sizes the last one by name applies: h, height, resize, s, w, width."

_TABLE = (
    Modifier(
        names=("w", "width"),
        field="box",
        read=_width,
        note=f"Width in pixels; never enlarges without `enlarge`. {_EVERY_KIND}",
    ),
    Modifier(names=("h", "height"), field="box", read=_height, note="Height in pixels, like `w`."),
    Modifier(
        names=("s",),
        field="box",
        read=_size,
        reason="it has no width",
        note="`WxH`; one number is a square. Without `enlarge` the box is first reduced to the original, at its own "
        "aspect.",
    ),
    Modifier(
        names=("resize",),
        field="box",
        read=_size_before_rotation,
        reason="it has no width",
        support=Support.APPROXIMATED,
        note="Like `s`, but before a rotation; a cover is then cut to the box that was asked for, not the reduced one.",
    ),
    Modifier(names=("enlarge",), field="enlarge", read=_on, note="Any argument enlarges, also `false`."),
    Modifier(
        names=("fit",),
        field="fit",
        read=_fit,
        needs=("s", "resize"),
        note="cover, contain, inside, outside or fill; applies to `s`.",
    ),
    Modifier(
        names=("position", "pos"),
        field="gravity",
        read=_position,
        needs=("s", "resize"),
        note="A side, two sides separated by a blank (`left%20top`), a compass point, center, entropy or attention.",
    ),
    Modifier(
        names=("kernel",),
        read=_kernel,
        needs=("s", "resize"),
        support=Support.APPROXIMATED,
        note="Pictures are always resized with Lanczos3.",
        reason="pictures are always resized with lanczos3",
    ),
    Modifier(
        names=("crop", "extract"),
        field="region",
        read=_region,
        support=Support.APPROXIMATED,
        note="`LEFT_TOP_WIDTH_HEIGHT` of the upright original, before any size. A region that reaches out of the "
        "picture is cut back to it; ipx fails.",
    ),
    Modifier(
        names=("background", "b"),
        field="background",
        read=_colour,
        needs=("s", "resize", "extend", "flatten"),
        support=Support.APPROXIMATED,
        note="Hexadecimal or a name of CSS, for contain, `extend` and `flatten`; black without it. Transparency that "
        "a format does not have is flattened on white, as in native URLs; ipx flattens on black.",
    ),
    Modifier(
        names=("extend",),
        field="extend",
        read=_extend,
        note="`TOP_RIGHT_BOTTOM_LEFT` in pixels; missing ones are 0.",
    ),
    Modifier(
        names=("rotate",),
        field="quarters",
        read=_quarters,
        support=Support.APPROXIMATED,
        note="Multiples of 90 degrees clockwise, before `s` and `w`, after `h` and `resize`. Other angles are refused.",
    ),
    Modifier(names=("flip",), field="flip", read=_on, note="Mirrors vertically."),
    Modifier(names=("flop",), field="flop", read=_on, note="Mirrors horizontally."),
    Modifier(names=("flatten",), field="flatten", read=_on, note="Composites transparency on `background`."),
    Modifier(
        names=("grayscale",),
        field="grayscale",
        read=_on,
        support=Support.APPROXIMATED,
        note="After the size; ipx does it before.",
    ),
    Modifier(
        names=("blur",),
        field="blur",
        read=_blur,
        note="Sigma in pixels, 0.3 to 100; rounded to two decimals. `true` is the mean of 3 by 3 pixels.",
        reason="it is false",
    ),
    Modifier(
        names=("sharpen",),
        field="sharpen",
        read=_sharpen,
        support=Support.APPROXIMATED,
        note="Sigma in pixels, 0.3 to 10. The strengths for flat and jagged areas are always the node's own.",
    ),
    Modifier(
        names=("gamma",),
        field="gammas",
        read=_gamma,
        support=Support.APPROXIMATED,
        note="Two numbers, 1 to 3: the first darkens before the size, the second brightens after it. One number, which ipx "
        "applies before and inversely after the size, changes nothing here.",
        reason="a gamma that is reversed after the size has no effect",
    ),
    Modifier(
        names=("quality", "q"),
        field="quality",
        read=lambda argument: _integer(_first(argument), 1, 100, "must be a whole number from 1 to 100"),
        support=Support.APPROXIMATED,
        note="On the scale of JPEG in every format. A PNG is never reduced to a palette.",
    ),
    Modifier(
        names=("format", "f"),
        support=Support.APPROXIMATED,
        note="jpeg, jpg, png, webp, avif, gif, or auto, which negotiates among the formats of the node. tiff, heif and "
        "heic are refused; an unknown one is ignored. Without it the format is that of the original.",
    ),
    Modifier(
        names=("animated", "a"),
        support=Support.APPROXIMATED,
        note="All frames are retained wherever the output format has frames, also without it.",
        reason="frames are retained wherever the format has them",
    ),
    Modifier(
        names=("median",),
        field="median",
        read=_median,
        note=f"A side of 1 to {MEDIAN_MAX_PX} pixels. Others are refused.",
        reason="it is 1",
    ),
    Modifier(
        names=("threshold",),
        field="threshold",
        read=_threshold,
        note="1 to 255, or true for 128; alpha too, as in ipx.",
        reason="it is 0",
    ),
    Modifier(names=("normalize",), field="normalize", read=_on),
    Modifier(
        names=("tint",),
        field="tint",
        read=_tint,
        note="Hexadecimal or a name of CSS; without effect with grayscale.",
    ),
    Modifier(names=("negate",), field="negate", read=_on, note="Alpha too, as in ipx."),
    *(
        Modifier(names=(name,), read=_unsupported, support=Support.REFUSED, note="Fails in ipx too.")
        for name in ("trim", "modulate")
    ),
)

MODIFIERS: Mapping[str, Modifier] = MappingProxyType(
    {name: modifier for modifier in _TABLE for name in modifier.names}
)
OPTIONS = tuple(
    DocumentedOption(names=each.names, support=each.support, note=f"`/_ipx/`: {each.note}".removesuffix(": "))
    for each in _TABLE
)
