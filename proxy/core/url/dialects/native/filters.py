"""The filters among the effects of the native dialect: the words of an `e_` value, one row each.

`read` takes what follows the word and raises ValueError with a reason that repeats no byte of the request.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from proxy.core.transform.operations import (
    TRANSPARENT,
    BlurFaces,
    Colorize,
    Colour,
    Convolve,
    Duotone,
    Ellipse,
    Exposure,
    Filter,
    Gamma,
    Hue,
    Median,
    Noise,
    Opacity,
    Outline,
    PixelateFaces,
    Remap,
    Rgb,
    Rotate,
    Rounded,
    Shadow,
    Threshold,
    Tint,
    UnsharpMask,
    Vignette,
)

MAX_NOISE, MEDIAN_MAX_PX, CONVOLVE_MAX_SIDE, MAX_WEIGHT = 255, 15, 7, 1000
GAMMA_MIN, GAMMA_MAX = 0.1, 10
MAX_STOPS, MAX_UNSHARP, MAX_RADIUS_PX = 5, 500, 9999
MAX_SQUARE_PX = 1000
MAX_OFFSET_PX, MAX_OUTLINE_PX = 999, 50
"""The cost of an outline grows with the square of its width."""

_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,3}", re.ASCII)
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,4})(?:\.[0-9]{1,4})?", re.ASCII)
_RGBA = re.compile(r"[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8}", re.ASCII)
_RGB = re.compile(r"[0-9a-fA-F]{3}|[0-9a-fA-F]{6}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterWord:
    """`form` is the word with its argument; `write` gives the argument of a filter of `kind`, empty if it has none."""

    form: str
    kind: type[Filter] | Remap
    read: Callable[[str], Filter]
    write: Callable[[Any], str] = lambda _: ""


def _whole(text: str, low: int, high: int, what: str) -> int:
    if not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
        raise ValueError(f"must have {what} from {low} to {high} in whole numbers")
    return int(text)


def _opaque(text: str) -> Colour:
    if not _RGB.fullmatch(text):
        raise ValueError("must have a colour of rgb or rrggbb in hexadecimal")
    return Colour.of_hex(text)


def _rgb(argument: str) -> Rgb:
    parts = argument.split(":")
    if len(parts) != 3:
        raise ValueError("must have three per cents, as in rgb:10:0:-5")
    red, green, blue = (_whole(part, -100, 100, "per cents") for part in parts)
    return Rgb(red, green, blue)


def _colorize(argument: str) -> Colorize:
    *parts, colour = argument.split(":")
    if len(parts) != 3:
        raise ValueError("must have three per cents and a colour, as in colorize:50:50:50:ff8800")
    red, green, blue = (_whole(part, 0, 100, "per cents") for part in parts)
    return Colorize(red, green, blue, _opaque(colour))


def _gamma(argument: str) -> Gamma:
    if not _DECIMAL.fullmatch(argument) or not GAMMA_MIN <= float(argument) <= GAMMA_MAX:
        raise ValueError(f"must have a number from {GAMMA_MIN:g} to {GAMMA_MAX:g} with at most 4 decimals")
    return Gamma(float(argument))


def is_matrix(columns: int, weights: int) -> bool:
    """Whether this many weights in this many columns are a matrix of odd sides, each within the limit."""
    rows, rest = divmod(weights, columns)
    return not rest and all(side % 2 and 0 < side <= CONVOLVE_MAX_SIDE for side in (columns, rows))


def _convolve(argument: str) -> Convolve:
    columns, *numbers = argument.split(":")
    across = _whole(columns, 1, CONVOLVE_MAX_SIDE, "columns")
    if not is_matrix(across, len(numbers) - 1):
        raise ValueError(
            f"must be COLUMNS:DIVISOR:WEIGHT:..., with an odd number of rows and columns up to {CONVOLVE_MAX_SIDE}"
        )
    divisor = _weight(numbers[0], MAX_WEIGHT * CONVOLVE_MAX_SIDE**2)
    weights = tuple(_weight(number, MAX_WEIGHT) for number in numbers[1:])
    if not divisor:
        raise ValueError("must have a divisor that is not 0")
    return Convolve(across, divisor, weights)


def _weight(text: str, most: int) -> float:
    number = float(text) if _DECIMAL.fullmatch(text) else most + 1
    if abs(number) > most or round(number, 2) != number:
        raise ValueError(f"must have numbers from -{most} to {most} with at most two decimals")
    return number


def _convolve_text(convolve: Convolve) -> str:
    return ":".join(
        [str(convolve.columns), *(f"{each:.8g}" for each in (convolve.divisor, *convolve.weights))]
    )


def _plain(remap: Remap) -> FilterWord:
    def read(argument: str) -> Remap:
        if argument:
            raise ValueError(f"must be {remap} without an argument")
        return remap

    return FilterWord(form=remap.value, kind=remap, read=read)


def _exposure(argument: str) -> Exposure:
    if not _DECIMAL.fullmatch(argument) or abs(float(argument)) > MAX_STOPS:
        raise ValueError(f"must have stops from -{MAX_STOPS} to {MAX_STOPS}")
    return Exposure(round(float(argument), 2))


def _duotone(argument: str) -> Duotone:
    dark, colon, light = argument.partition(":")
    if not colon:
        raise ValueError("must have a dark and a light colour, as in duotone:1b1464:f7e9c8")
    return Duotone(_opaque(dark), _opaque(light))


def _unsharp(argument: str) -> UnsharpMask:
    sigma, *numbers = argument.split(":")
    if not _DECIMAL.fullmatch(sigma) or not 0.3 <= float(sigma) <= 10 or len(numbers) != 2:
        raise ValueError(
            "must be SIGMA:PERCENT:THRESHOLD with a sigma from 0.3 to 10, as in unsharp:1.5:80:3"
        )
    percent, threshold = _whole(numbers[0], 1, MAX_UNSHARP, "per cents"), _whole(numbers[1], 0, 255, "levels")
    return UnsharpMask(round(float(sigma), 2), percent, threshold)


def _rounded(argument: str) -> Rounded:
    radii = argument.split(":")
    if len(radii) not in (1, 4):
        raise ValueError(
            "must have one radius in pixels, or those of the four corners clockwise from the upper left"
        )
    one, two, three, four = (
        _whole(radius, 0, MAX_RADIUS_PX, "radii") for radius in (radii if len(radii) == 4 else radii * 4)
    )
    return Rounded((one, two, three, four))


def _rounded_text(of: Rounded) -> str:
    radii = of.radii_px[:1] if len({*of.radii_px}) == 1 else of.radii_px
    return ":".join(map(str, radii))


def _rotate(argument: str) -> Rotate:
    degrees, colon, colour = argument.partition(":")
    if not _DECIMAL.fullmatch(degrees) or not -360 < float(degrees) < 360 or not float(degrees):
        raise ValueError("must have degrees between -360 and 360, clockwise, as in rotate:-7.5")
    turned = round(float(degrees) % 360, 2)
    return Rotate(turned, _translucent(colour)) if colon else Rotate(turned)


def _rotate_text(of: Rotate) -> str:
    return f"{of.degrees:g}" if of.background == TRANSPARENT else f"{of.degrees:g}:{of.background.hex}"


def _ellipse(argument: str) -> Ellipse:
    if argument:
        raise ValueError("must be ellipse without an argument")
    return Ellipse()


def _translucent(text: str) -> Colour:
    if not _RGBA.fullmatch(text):
        raise ValueError("must have a colour of rgb, rrggbb or rrggbbaa in hexadecimal")
    return Colour.of_hex(text)


def _outline(argument: str) -> Outline:
    width, _, colour = argument.partition(":")
    return Outline(_whole(width, 1, MAX_OUTLINE_PX, "a width in pixels"), _translucent(colour))


def _sigma(text: str) -> float:
    if not _DECIMAL.fullmatch(text) or not 0.3 <= float(text) <= 100:
        raise ValueError("must have a sigma from 0.3 to 100")
    return round(float(text), 2)


def _shadow(argument: str) -> Shadow:
    parts = argument.split(":")
    if len(parts) != 4:
        raise ValueError("must be X:Y:SIGMA:COLOUR, as in shadow:4:8:6:00000080")
    x_px, y_px = (_whole(part, -MAX_OFFSET_PX, MAX_OFFSET_PX, "offsets in pixels") for part in parts[:2])
    return Shadow(x_px, y_px, _sigma(parts[2]), _translucent(parts[3]))


_TABLE = (
    *map(_plain, Remap),
    FilterWord(form="rgb:R:G:B", kind=Rgb, read=_rgb, write=lambda of: f"{of.red}:{of.green}:{of.blue}"),
    FilterWord(
        form="colorize:R:G:B:COLOUR",
        kind=Colorize,
        read=_colorize,
        write=lambda of: f"{of.red}:{of.green}:{of.blue}:{of.colour.hex}",
    ),
    FilterWord(
        form="tint:COLOUR",
        kind=Tint,
        read=lambda argument: Tint(_opaque(argument)),
        write=lambda of: of.colour.hex,
    ),
    FilterWord(
        form="hue:DEGREES",
        kind=Hue,
        read=lambda argument: Hue(_whole(argument, 1, 359, "degrees")),
        write=lambda of: str(of.degrees),
    ),
    FilterWord(form="gamma:N", kind=Gamma, read=_gamma, write=lambda of: f"{of.gamma:g}"),
    FilterWord(
        form="threshold:LEVEL",
        kind=Threshold,
        read=lambda argument: Threshold(_whole(argument, 1, 255, "a level")),
        write=lambda of: str(of.level),
    ),
    FilterWord(
        form="noise:LEVELS",
        kind=Noise,
        read=lambda argument: Noise(_whole(argument, 2, MAX_NOISE, "levels")),
        write=lambda of: str(of.levels),
    ),
    FilterWord(
        form="median:SIDE",
        kind=Median,
        read=lambda argument: Median(_whole(argument, 2, MEDIAN_MAX_PX, "a side")),
        write=lambda of: str(of.side_px),
    ),
    FilterWord(form="exposure:STOPS", kind=Exposure, read=_exposure, write=lambda of: f"{of.stops:g}"),
    FilterWord(
        form="duotone:DARK:LIGHT",
        kind=Duotone,
        read=_duotone,
        write=lambda of: f"{of.dark.hex}:{of.light.hex}",
    ),
    FilterWord(
        form="unsharp:SIGMA:PERCENT:THRESHOLD",
        kind=UnsharpMask,
        read=_unsharp,
        write=lambda of: f"{of.sigma_px:g}:{of.percent}:{of.threshold}",
    ),
    FilterWord(
        form="vignette:PERCENT",
        kind=Vignette,
        read=lambda argument: Vignette(_whole(argument, 1, 100, "per cents")),
        write=lambda of: str(of.percent),
    ),
    FilterWord(
        form="opacity:PERCENT",
        kind=Opacity,
        read=lambda argument: Opacity(_whole(argument, 0, 99, "per cents")),
        write=lambda of: str(of.percent),
    ),
    FilterWord(
        form="corners:RADIUS[:RADIUS:RADIUS:RADIUS]", kind=Rounded, read=_rounded, write=_rounded_text
    ),
    FilterWord(form="ellipse", kind=Ellipse, read=_ellipse),
    FilterWord(
        form="blurfaces:SIGMA",
        kind=BlurFaces,
        read=lambda argument: BlurFaces(_sigma(argument)),
        write=lambda of: f"{of.sigma_px:g}",
    ),
    FilterWord(
        form="pixelatefaces:PIXELS",
        kind=PixelateFaces,
        read=lambda argument: PixelateFaces(_whole(argument, 2, MAX_SQUARE_PX, "the pixels of a square")),
        write=lambda of: str(of.side_px),
    ),
    FilterWord(
        form="outline:WIDTH:COLOUR",
        kind=Outline,
        read=_outline,
        write=lambda of: f"{of.width_px}:{of.colour.hex}",
    ),
    FilterWord(
        form="shadow:X:Y:SIGMA:COLOUR",
        kind=Shadow,
        read=_shadow,
        write=lambda of: f"{of.x_px}:{of.y_px}:{of.sigma_px:g}:{of.colour.hex}",
    ),
    FilterWord(form="rotate:DEGREES[:COLOUR]", kind=Rotate, read=_rotate, write=_rotate_text),
    FilterWord(
        form="convolve:COLUMNS:DIVISOR:WEIGHT:...", kind=Convolve, read=_convolve, write=_convolve_text
    ),
)

FILTER_WORDS = {row.form.partition(":")[0]: row for row in _TABLE}
FILTER_FORMS = tuple(row.form for row in _TABLE)


def filter_text(effect: Filter) -> str:
    """The value of `e_` for a filter."""
    kind = effect if isinstance(effect, Remap) else type(effect)
    name, row = next((name, row) for name, row in FILTER_WORDS.items() if row.kind == kind)
    argument = row.write(effect)
    return f"{name}:{argument}" if argument else name
