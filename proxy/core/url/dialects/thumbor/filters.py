"""The filters of the dialect `thumbor`, with those of imagor.

Each row reads its arguments onto ThumborOptions. A reader raises ValueError for arguments that thumbor does not take:
it ignores the filter then, and so does the node. It raises BadTransform where the picture would be another one. Readers
and table are one file, because each reader belongs to one row.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from urllib.parse import unquote

from proxy.core.errors import BadTransform, NotSupported
from proxy.core.image.formats import Format
from proxy.core.transform.lengths import Length, Part
from proxy.core.transform.operations import (
    TRANSPARENT,
    Adjust,
    Backdrop,
    Background,
    Blur,
    Colorize,
    Colour,
    Convolve,
    Crop,
    Fit,
    Flatten,
    FocalPoint,
    Hue,
    Noise,
    Offset,
    Overlay,
    Pad,
    Pixelate,
    Placing,
    Remap,
    Resize,
    Rgb,
    Rounded,
    Rounding,
    Sharpen,
    Shifted,
    Tone,
    Trim,
    Turn,
)
from proxy.core.url.dialects.adjustments import MAX_FACTOR, scaled
from proxy.core.url.dialects.css_colours import css_colour
from proxy.core.url.dialects.dialect import Support
from proxy.core.url.dialects.native.filters import (
    CONVOLVE_MAX_SIDE,
    MAX_NOISE,
    MAX_RADIUS_PX,
    MAX_SQUARE_PX,
    MAX_WEIGHT,
    is_matrix,
)
from proxy.core.url.dialects.native.params import BLUR_MAX_PX, SHARPEN_MAX_PX, SIGMA_MIN_PX
from proxy.core.url.dialects.thumbor.options import (
    MAX_INTEGER,
    POINT,
    REGION,
    Fill,
    ThumborOptions,
    decimal,
    padding_px,
    whole,
)
from proxy.core.url.disposition import Disposition


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """`read` takes the arguments; it is None for a filter that the node refuses or ignores. `polishes` says that the
    picture shows the same without it."""

    names: tuple[str, ...]
    read: Callable[[ThumborOptions, Sequence[str]], None] | None = None
    support: Support = Support.DONE
    polishes: bool = False
    note: str = ""


_INTEGER = re.compile(r"(-)?([0-9]+)", re.ASCII)
_DECIMAL = re.compile(r"(-)?([0-9]+(?:\.[0-9]*)?|\.[0-9]+)", re.ASCII)
_TRUE = frozenset({"true", "1"})
_MAX_BLUR_RADIUS = 150

FORMATS = {
    "jpeg": Format.JPEG,
    "jpg": Format.JPEG,
    "png": Format.PNG,
    "webp": Format.WEBP,
    "avif": Format.AVIF,
    "gif": Format.GIF,
}


def _integer(text: str, low: int, high: int) -> int:
    """A whole number, moved into the range."""
    if not (match := _INTEGER.fullmatch(text)):
        raise ValueError("it takes whole numbers")
    return max(low, min(high, -whole(match[2]) if match[1] else whole(match[2])))


def _real(text: str) -> Fraction:
    if not (match := _DECIMAL.fullmatch(text)):
        raise ValueError("it takes numbers")
    return -decimal(match[2]) if match[1] else decimal(match[2])


def _count(arguments: Sequence[str], *counts: int) -> None:
    if len(arguments) not in counts:
        raise ValueError(f"it takes {' or '.join(map(str, counts))} arguments")


def _colour(text: str, name: str) -> Colour:
    if text.lower() == "none":
        return TRANSPARENT
    found = css_colour(text.removeprefix("#"))
    if found is None:
        raise BadTransform(
            f"filter {name} takes a name of CSS, transparent, or 3, 4, 6 or 8 hexadecimal digits"
        )
    return found


def _nothing(_: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 0)


def _quality(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 1)
    requested = _integer(arguments[0], 0, MAX_INTEGER)
    options.quality = max(1, min(100, requested))
    if options.quality != requested:
        options.clamped.append(("quality", str(requested)))


def _format(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 1)
    if (found := FORMATS.get(arguments[0].lower())) is None:
        raise ValueError(f"it takes {', '.join(FORMATS)}")
    options.format = found


def _max_bytes(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 1)
    options.max_bytes = _integer(arguments[0], 0, MAX_INTEGER) or None


def _counts(name: str) -> Callable[[ThumborOptions, Sequence[str]], None]:
    def read(options: ThumborOptions, arguments: Sequence[str]) -> None:
        _count(arguments, 1)
        if (number := _integer(arguments[0], 0, MAX_INTEGER)) < 1:
            raise ValueError("it takes a whole number from 1")
        setattr(options, name, number)

    return read


def _max_age(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 1)
    options.max_age_s = _integer(arguments[0], 0, 2**31 - 1)


def _expire(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 1)
    options.until_s = _integer(arguments[0], 0, 10**15) // 1000


def _attachment(options: ThumborOptions, arguments: Sequence[str]) -> None:
    options.disposition = str(Disposition(True, ",".join(arguments)))


def _set(name: str) -> Callable[[ThumborOptions, Sequence[str]], None]:
    def read(options: ThumborOptions, arguments: Sequence[str]) -> None:
        _count(arguments, 0)
        setattr(options, name, True)

    return read


def _upscale(options: ThumborOptions, arguments: Sequence[str]) -> None:
    """A picture that is filled already has the size of its box."""
    _count(arguments, 0)
    options.upscale |= not any(isinstance(step, Fill) for step in options.steps)


def _focal(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 1, 2)
    written = "x".join(arguments)
    if match := REGION.fullmatch(written):
        left, top, right, bottom = map(decimal, match.groups())
        if "." in written:
            x, y = (left + right) / 2, (top + bottom) / 2
        else:
            x, y = left + (right - left) // 2, top + (bottom - top) // 2
        weight = max(0, int((right - left) * (bottom - top)))
    elif match := POINT.fullmatch(written):
        (x, y), weight = map(decimal, match.groups()), 1
    else:
        raise ValueError("it takes LEFTxTOP:RIGHTxBOTTOM or X,Y")
    if "." in written and x <= 1 and y <= 1:
        options.focal_point = FocalPoint(round(float(x), 4), round(float(y), 4))
    elif weight:
        options.focal.append((int(x), int(y), weight))


def _proportion(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 1)
    part = _real(arguments[0])
    if not 0 < part <= 100:
        raise ValueError("it takes a number above 0, up to 1, or per cents up to 100")
    if part > 1:
        part = round(part / 100, 6)
    if part < 1:
        options.steps.append(
            Resize(width=Part(part), height=Part(part), fit=Fit.FILL, rounding=Rounding.DOWN)
        )


def _rotate(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 1)
    degrees = _integer(arguments[0], -(10**9), 10**9)
    if degrees % 90:
        raise NotSupported("filter rotate takes multiples of 90; other angles are not supported")
    if turn := {90: Turn.R270, 180: Turn.R180, 270: Turn.R90}.get(degrees % 360):
        options.steps.append(turn)


def _orient(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 1)
    if (degrees := _integer(arguments[0], 0, MAX_INTEGER)) not in (0, 90, 180, 270):
        raise ValueError("it takes 0, 90, 180 or 270")
    options.orient = Turn(str(degrees)) if degrees else None


def _round_corner(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 1, 4, 5)
    across, _, down = arguments[0].partition("|")
    radius_px = _integer(across, 0, MAX_RADIUS_PX)
    if down and _integer(down, 0, MAX_RADIUS_PX) != radius_px:
        raise NotSupported("filter round_corner takes one radius; an ellipse is not supported")
    red, green, blue = (_integer(text, 0, 255) for text in arguments[1:4] or ("255",) * 3)
    is_transparent = len(arguments) == 5 and arguments[4].lower() in _TRUE
    options.steps.append(Rounded((radius_px, radius_px, radius_px, radius_px)))
    if not is_transparent:
        options.steps.append(Flatten(Colour(red, green, blue)))


def _watermark(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 4, 5, 6)
    key = unquote(arguments[0])
    transparency = _integer(arguments[3], 0, 100)
    width, height = (_ratio_of(text) for text in (*arguments[4:], "none", "none")[:2])
    if arguments[1] == arguments[2] == "repeat":
        placing, at = Placing.TILE, Shifted(FocalPoint(0.0, 0.0), 0, 0)
    else:
        placing = Placing.OVER
        (x, across), (y, down) = _along(arguments[1]), _along(arguments[2])
        at = Shifted(FocalPoint(x, y), across, down)
    options.steps.append(
        Overlay(
            of=key, width=width, height=height, at=at, opacity_percent=100 - transparency, placing=placing
        )
    )


def _ratio_of(text: str) -> Part | None:
    """Per cents of a side of the picture; None without."""
    return None if text.lower() == "none" else Part(Fraction(_integer(text, 1, 1000), 100))


def _along(text: str) -> tuple[float, Length]:
    """Where an edge lies along an axis, from 0 to 1, and the distance from it; negative ones are from the far edge."""
    if text == "center":
        return 0.5, 0
    if text.endswith("p"):
        percent = _integer(text[:-1], -100, 100)
        return float(percent < 0), Part(Fraction(percent, 100)) if percent else 0
    pixels = _integer(text, -MAX_INTEGER, MAX_INTEGER)
    return float(pixels < 0), pixels


def _autojpg(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 0, 1)
    options.auto_jpg = not arguments or arguments[0].lower() in _TRUE


def _to_colorspace(_: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 0, 1)
    if arguments and arguments[0].lower() not in ("", "srgb"):
        raise NotSupported("filter to_colorspace takes srgb; others are not supported")


def _pixelate(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 0, 1)
    side_px = _integer(arguments[0], 0, MAX_SQUARE_PX) if arguments else 10
    if side_px > 1:
        options.steps.append(Pixelate(side_px))


def _rgb(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 3)
    red, green, blue = (_integer(text, -100, 100) for text in arguments)
    if red or green or blue:
        options.steps.append(Rgb(red, green, blue))


def _colorize(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 4)
    red, green, blue = (_integer(text, 0, 100) for text in arguments[:3])
    colour = replace(_colour(arguments[3], "colorize"), alpha=255)
    if red or green or blue:
        options.steps.append(Colorize(red, green, blue, colour))


def _equalize(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 0)
    options.steps.append(Remap.EQUALIZE)


def _noise(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 1, 2)
    if (levels := _integer(arguments[0], 0, MAX_NOISE)) > 1:
        options.steps.append(Noise(levels))


def _hue(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 1)
    if degrees := round(_real(arguments[0])) % 360:
        options.steps.append(Hue(degrees))


def _convolution(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 2, 3)
    exact = [_real(text) for text in arguments[0].split(";")]
    columns = _integer(arguments[1], 0, MAX_INTEGER)
    if not columns or not exact or len(exact) % columns:
        raise ValueError("it takes a matrix of whole rows")
    weights = [round(float(number), 2) for number in exact]
    if not is_matrix(columns, len(weights)) or max(map(abs, weights)) > MAX_WEIGHT:
        most = f"{CONVOLVE_MAX_SIDE} rows and columns, and weights up to {MAX_WEIGHT}"
        raise BadTransform(
            f"filter convolution takes an odd number of rows and of columns, and at most {most}"
        )
    is_normalized = len(arguments) < 3 or arguments[2].lower() in _TRUE
    divisor = round(sum(weights), 2) if is_normalized else 1
    options.steps.append(Convolve(columns, divisor or 1, tuple(weights)))


_BACKDROPS: dict[str, Background] = {"auto": Backdrop.DOMINANT, "blur": Backdrop.BLURRED}


def _fill(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 1, 2)
    colour = _BACKDROPS.get(arguments[0].lower()) or _colour(arguments[0], "fill")
    if isinstance(colour, Colour):
        options.background = colour
    options.steps.append(Fill(colour, len(arguments) == 2 and arguments[1].lower() in _TRUE))


def _background_color(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 1)
    options.steps.append(Flatten(_colour(arguments[0], "background_color")))


def _pad(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 2, 3, 5)
    sides = [padding_px(str(_integer(text, 0, MAX_INTEGER))) for text in arguments[1:]]
    left, top, right, bottom = sides * (4 // len(sides))
    colour = _colour(arguments[0], "padding")
    options.steps.append(Pad(top_px=top, right_px=right, bottom_px=bottom, left_px=left, background=colour))


def _cut(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 4)
    left, top, width, height = map(_real, arguments)
    if min(left, top) < 0 or min(width, height) <= 0:
        raise ValueError("it takes left, top, width and height")
    x, y, across, down = (_length(number) for number in (left, top, width, height))
    options.steps.append(Crop(width=across, height=down, at=Offset(x, y)))


def _length(number: Fraction) -> Length:
    """A fraction of the side below 1, else pixels."""
    return Part(number) if 0 < number < 1 else int(number)


def _trim_filter(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 0, 1, 2)
    from_lower_right = arguments[1:] == ["bottom-right"]
    options.trim = Trim(
        threshold=_integer(arguments[0], 0, 255) if arguments else 0, from_lower_right=from_lower_right
    )


def _blur(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 1, 2)
    if "." in arguments[0]:
        sigma_px = min(BLUR_MAX_PX, float(_real(arguments[-1])) / 2)
    else:
        radius = _integer(arguments[0], 0, _MAX_BLUR_RADIUS)
        sigma_px = _deviation(radius, min(1000.0, float(abs(_real(arguments[-1])))) or float(radius))
    if sigma_px >= SIGMA_MIN_PX:
        options.steps.append(Blur(round(sigma_px, 2)))


@lru_cache(maxsize=1024)
def _deviation(radius: int, sigma: float) -> float:
    """The standard deviation of a Gaussian kernel of `sigma` that ends at `radius`."""
    weights = (
        [(k, math.exp(-k * k / (2 * sigma * sigma))) for k in range(1, radius + 1)] if sigma > 1e-3 else []
    )
    return math.sqrt(
        sum(2 * k * k * weight for k, weight in weights) / (1 + sum(2 * weight for _, weight in weights))
    )


def _sharpen(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 1, 2, 3)
    numbers = [max(-100.0, min(100.0, float(_real(text)))) for text in arguments[:2]]
    sigma_px = 1 + 2 * numbers[-1] if len(arguments) < 3 else _of_wavelets(*numbers)
    if sigma_px > 0:
        options.steps.append(Sharpen(round(max(SIGMA_MIN_PX, min(SHARPEN_MAX_PX, sigma_px)), 2)))


def _of_wavelets(amount: float, radius: float) -> float:
    """The sigma of the unsharp mask that is nearest to thumbor's wavelets, found by comparing both on a photograph."""
    return amount * math.pow(2, min(radius, 10)) / 1.2


def _brightness(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 1)
    if percent := _integer(arguments[0], -100, 100):
        options.steps.append(Rgb(percent, percent, percent))


def _contrast(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 1)
    options.steps += scaled(Tone.CONTRAST, (_integer(arguments[0], -500, 300) + 100) ** 2 // 100)


def _saturation(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 1)
    factor = _real(arguments[0])
    if factor < 0:
        raise BadTransform("filter saturation takes a factor from 0; 1 changes nothing")
    options.steps += scaled(Tone.SATURATION_HSP, 100 * min(factor, Fraction(MAX_FACTOR)))


def _grayscale(options: ThumborOptions, arguments: Sequence[str]) -> None:
    _count(arguments, 0)
    options.steps.append(Adjust(Tone.GRAYSCALE_601, 100))


_FILTERS = (
    Filter(
        names=("quality",),
        read=_quality,
        note="on the scale of the encoder, as in thumbor; moved into 1 to 100; a WebP of 100 is not lossless",
    ),
    Filter(
        names=("format",),
        read=_format,
        note="jpeg, jpg, png, webp, avif, gif in any case; ignored for others, as in thumbor without their encoders",
    ),
    Filter(names=("max_bytes",), read=_max_bytes),
    Filter(
        names=("page",), read=_counts("page"), note="of imagor: one frame of an animation, from 1, as a still"
    ),
    Filter(names=("max_frames",), read=_counts("frames"), note="of imagor: the first frames of an animation"),
    Filter(names=("max_age",), read=_max_age),
    Filter(
        names=("expire",),
        read=_expire,
        note="of imagor, a Unix time in milliseconds; refused with raw and meta",
    ),
    Filter(names=("attachment",), read=_attachment, note="of imagor; the name is sent as it is written"),
    Filter(names=("raw",), read=_set("raw"), note="of imagor; follows the rules of /original/"),
    Filter(
        names=("no_upscale",),
        read=_set("no_upscale"),
        note="bounds the box by the sides of the original, also with fill, where imagor pads the whole box",
    ),
    Filter(
        names=("upscale",),
        read=_upscale,
        note="with fit-in and both sides, before fill; without effect elsewhere, as in thumbor",
    ),
    Filter(names=("stretch",), read=_set("stretch")),
    Filter(
        names=("focal",),
        read=_focal,
        note="a region, or imagor's point X,Y; several regions count by their areas; those outside a crop do not; with"
        " imagor's fractions the point is of the picture after a crop",
    ),
    Filter(
        names=("proportion",),
        read=_proportion,
        note="from 0 to 1, or imagor's per cents above 1, which thumbor ignores",
    ),
    Filter(
        names=("rotate",),
        read=_rotate,
        note="multiples of 90, counter-clockwise as in thumbor, where imagor rotates clockwise; refused for others",
    ),
    Filter(names=("orient",), read=_orient, note="of imagor: clockwise, before all else"),
    Filter(
        names=("fill",),
        read=_fill,
        note="a colour pads the box of fit-in, and is what transparency is composited on where the format has none; auto"
        " pads with the most common colour, where thumbor takes the mean, and blur with the picture itself",
    ),
    Filter(names=("background_color",), read=_background_color),
    Filter(names=("padding",), read=_pad, note="of imagor"),
    Filter(names=("crop",), read=_cut, note="of imagor: left, top, width and height, in fractions below 1"),
    Filter(
        names=("trim",),
        read=_trim_filter,
        support=Support.APPROXIMATED,
        note="of imagor; as trim in the path",
    ),
    Filter(
        names=("blur",),
        read=_blur,
        support=Support.APPROXIMATED,
        note="thumbor's kernel ends at the radius; a Gaussian of the same deviation takes its place; a first number with"
        " a decimal point is imagor's, of half a pixel each",
    ),
    Filter(
        names=("sharpen",),
        read=_sharpen,
        support=Support.APPROXIMATED,
        note="thumbor's wavelets by an unsharp mask of about the same effect; with one or two numbers, as in imagor",
    ),
    Filter(
        names=("brightness",),
        read=_brightness,
        note="from -100 to 100",
    ),
    Filter(
        names=("contrast",),
        read=_contrast,
        support=Support.APPROXIMATED,
        note="the slope of thumbor around 127.5 instead of 128, up to 16",
    ),
    Filter(
        names=("saturation",),
        read=_saturation,
        support=Support.APPROXIMATED,
        note="a factor as in thumbor, where imagor has per cents; rounded to hundredths; refused below 0, up to 16",
    ),
    Filter(
        names=("grayscale",),
        read=_grayscale,
    ),
    Filter(
        names=("strip_exif", "strip_icc", "strip_metadata"),
        read=_nothing,
        note="always so: no metadata goes out, and colours are converted to sRGB",
    ),
    Filter(
        names=("autojpg",),
        read=_autojpg,
        note="a PNG becomes a JPEG if the variant has no alpha channel, where thumbor looks for transparent pixels",
    ),
    Filter(
        names=("to_colorspace",),
        read=_to_colorspace,
        note="of imagor; srgb, which it always is; else refused",
    ),
    Filter(
        names=("rgb",),
        read=_rgb,
        note="from -100 to 100",
    ),
    Filter(
        names=("equalize",),
        read=_equalize,
        support=Support.APPROXIMATED,
        note="as in thumbor; it makes the differences of the steps before it larger",
    ),
    Filter(names=("colorize",), read=_colorize, note="per cents up to 100"),
    Filter(
        names=("convolution",),
        read=_convolution,
        support=Support.APPROXIMATED,
        note="weights are rounded to two decimals, up to 7 rows and columns; alpha stays as it is, where thumbor sums it too",
    ),
    Filter(
        names=("noise",),
        read=_noise,
        support=Support.APPROXIMATED,
        note="as strong as in thumbor, up to 255; the seed has no effect: every picture gets the same noise",
    ),
    Filter(
        names=("watermark",),
        read=_watermark,
        support=Support.APPROXIMATED,
        note="of an original of the mount; x and y in pixels, per cents with p, center or both repeat; the first frame of an"
        " animation; always at its own size without a ratio",
    ),
    Filter(
        names=("round_corner",),
        read=_round_corner,
        support=Support.APPROXIMATED,
        note="of one radius; what is cut off has the colour, or is transparent",
    ),
    Filter(
        names=("hue",),
        read=_hue,
        support=Support.APPROXIMATED,
        note="of imagor; rounded to whole degrees",
    ),
    Filter(
        names=("pixelate",),
        read=_pixelate,
        support=Support.APPROXIMATED,
        note="of imagor; the mean of each square, of 1000 pixels at most, 10 without a number",
    ),
    Filter(
        names=("cover", "preview"),
        support=Support.IGNORED,
        note="of imagor; they do not change the picture",
    ),
    Filter(
        names=("avgcolor", "blurhash", "thumbhash"),
        support=Support.IGNORED,
        note="of imagor; they add to its meta",
    ),
    Filter(names=("dpi", "lossless"), support=Support.REFUSED, polishes=True),
    Filter(
        names=(
            *("curve", "modulate", "red_eye", "draw_detections", "redact", "redact_oval"),
            *("distributed_collage", "extract_focal", "frame", "image", "label", "text"),
        ),
        support=Support.REFUSED,
    ),
)

FILTERS = {name: row for row in _FILTERS for name in row.names}
