"""Readers of the options of Cloudflare Images: from the decoded value of an option to what it does.

A reader raises ValueError with a reason that repeats no byte of the request.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeVar

from proxy.core.image.formats import Format
from proxy.core.nearest import meant, nearest
from proxy.core.transform.operations import (
    Adjust,
    Auto,
    Blur,
    Colour,
    Enlarge,
    Fit,
    FocalPoint,
    Gamma,
    Gravity,
    Metadata,
    Sharpen,
    Smart,
    Tone,
    Turn,
)
from proxy.core.url.dialects.adjustments import MAX_FACTOR, scaled
from proxy.core.url.dialects.css_colours import css_colour, css_rgb
from proxy.core.url.dialects.dialect import UnsupportedValue
from proxy.core.url.dialects.native.params import BLUR_MAX_PX, SHARPEN_MAX_PX, SIGMA_MIN_PX
from proxy.core.url.notice import Notice
from proxy.core.url.parsed_url import Unused

_T = TypeVar("_T")

MAX_PX = 100_000_000
MAX_DPR = 4
AUTO_WIDTH_PX = 1200
"""The largest of the four widths of `width=auto`: every other one would be too small for some client."""

_WHOLE = re.compile(r"[0-9]{1,9}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9}", re.ASCII)


@dataclass(slots=True, kw_only=True)
class CloudflareOptions:
    """The options of a URL as they apply. `trim_px` is what is cut off each side, and `trim_size` what remains, in
    pixels that the dpr multiplies."""

    width_px: int | None = None
    height_px: int | None = None
    fit: tuple[Fit, Enlarge] = (Fit.INSIDE, Enlarge.NEVER)
    gravity: Gravity | None = None
    zoom: float = 0
    dpr_percent: int = 100
    trim_px: dict[str, int] = field(default_factory=dict)
    trim_size: dict[str, int] = field(default_factory=dict)
    rotation: Turn | None = None
    flip: Turn | None = None
    adjustments: dict[Tone, list[Adjust]] = field(default_factory=dict)
    gamma: Gamma | None = None
    blur: Blur | None = None
    sharpen: Sharpen | None = None
    background: Colour | None = None
    format: Format | Auto | None = None
    quality: int | None = None
    metadata: Metadata | None = None
    is_still: bool = False
    redirects_errors: bool = False
    unused: list[Unused] = field(default_factory=list)
    reduced: list[Notice] = field(default_factory=list)


Reader = Callable[[CloudflareOptions, str], None]


def sets(field_name: str, value: Callable[[str], object]) -> Reader:
    return lambda to, text: setattr(to, field_name, value(text))


def _whole(text: str, least: int, most: int) -> int:
    if not _WHOLE.fullmatch(text) or not least <= int(text) <= most:
        raise ValueError(f"must be a whole number from {least} to {most}")
    return int(text)


def number(text: str, least: float, most: float) -> float:
    if not _NUMBER.fullmatch(text) or not least <= float(text) <= most:
        raise ValueError(f"must be a number from {least:g} to {most:g}")
    return float(text)


def choice(choices: Mapping[str, _T]) -> Callable[[str], _T]:
    def read(text: str) -> _T:
        if text not in choices:
            raise UnsupportedValue(f"must be one of {', '.join(choices)}{meant(nearest(text, choices))}")
        return choices[text]

    return read


def side(text: str) -> int:
    return _whole(text, 1, MAX_PX)


def read_width(to: CloudflareOptions, text: str) -> None:
    if text != "auto":
        to.width_px = side(text)
        return
    to.width_px = AUTO_WIDTH_PX
    to.reduced.append(Notice("width", text, str(AUTO_WIDTH_PX)))


FITS: dict[str, tuple[Fit, Enlarge]] = {
    "scale-down": (Fit.INSIDE, Enlarge.NEVER),
    "scale-up": (Fit.INSIDE, Enlarge.ONLY),
    "contain": (Fit.INSIDE, Enlarge.ALLOW),
    "cover": (Fit.COVER, Enlarge.ALLOW),
    "crop": (Fit.COVER, Enlarge.NEVER),
    "aspect-crop": (Fit.COVER, Enlarge.RATIO),
    "pad": (Fit.CONTAIN, Enlarge.ALLOW),
    "squeeze": (Fit.FILL, Enlarge.ALLOW),
}
"""Each fit with the treatment of a smaller picture."""

GRAVITIES: dict[str, Gravity] = {
    "auto": Smart.ATTENTION,
    "face": Smart.FACES,
    "left": FocalPoint(0.0, 0.5),
    "right": FocalPoint(1.0, 0.5),
    "top": FocalPoint(0.5, 0.0),
    "bottom": FocalPoint(0.5, 1.0),
}


def gravity(text: str) -> Gravity:
    if text in GRAVITIES:
        return GRAVITIES[text]
    x, by, y = text.partition("x")
    if not by:
        raise ValueError(f"must be one of {', '.join(GRAVITIES)}, or XxY in fractions, as in 0.5x0.33")
    return FocalPoint(round(number(x, 0, 1), 4), round(number(y, 0, 1), 4))


def dpr_percent(text: str) -> int:
    return int(number(text, 0.01, MAX_DPR) * 100 + 0.5)


def read_trim(to: CloudflareOptions, text: str) -> None:
    sides = text.split(";")
    if len(sides) != 4:
        raise ValueError("must be TOP;RIGHT;BOTTOM;LEFT in pixels")
    to.trim_px = {
        side: _whole(px, 0, MAX_PX)
        for side, px in zip(("top", "right", "bottom", "left"), sides, strict=True)
    }


def trims_side(name: str) -> Reader:
    return lambda to, text: to.trim_px.__setitem__(name, _whole(text, 0, MAX_PX))


def trims_to(name: str) -> Reader:
    return lambda to, text: to.trim_size.__setitem__(name, side(text))


ROTATIONS: dict[str, Turn | None] = {
    **dict.fromkeys(("0", "360")),
    "90": Turn.R90,
    "180": Turn.R180,
    "270": Turn.R270,
}
FLIPS: dict[str, Turn] = {"h": Turn.HFLIP, "v": Turn.VFLIP, **dict.fromkeys(("hv", "vh"), Turn.R180)}


def adjusts(tone: Tone, *, ignores_0: bool) -> Reader:
    def read(to: CloudflareOptions, text: str) -> None:
        factor = number(text, 0, MAX_FACTOR)
        is_ignored = ignores_0 and not factor
        to.adjustments[tone] = [] if is_ignored else scaled(tone, Fraction(factor * 100))

    return read


MIN_GAMMA, MAX_GAMMA = 0.1, 10


def gamma(text: str) -> Gamma | None:
    factor = number(text, 0, MAX_GAMMA)
    return Gamma(round(max(MIN_GAMMA, factor), 4)) if factor not in (0, 1) else None


MAX_RADIUS = 250


def read_blur(to: CloudflareOptions, text: str) -> None:
    radius = number(text, 0, MAX_RADIUS)
    if radius > 2 * BLUR_MAX_PX:
        to.reduced.append(Notice("blur", text, f"{2 * BLUR_MAX_PX:g}"))
    sigma_px = min(BLUR_MAX_PX, max(SIGMA_MIN_PX, round(radius / 2, 2)))
    to.blur = Blur(sigma_px) if radius else None


def sharpen(text: str) -> Sharpen | None:
    strength = number(text, 0, SHARPEN_MAX_PX)
    return Sharpen(max(SIGMA_MIN_PX, round(strength, 2))) if strength else None


def background(text: str) -> Colour:
    colour = css_colour(text.removeprefix("#")) or css_rgb(text)
    if colour is None:
        raise ValueError("must be a name of CSS, %23RRGGBB, or rgb() or rgba()")
    return colour


FORMATS: dict[str, Format | Auto] = {
    "auto": Auto.AUTO,
    "avif": Format.AVIF,
    "webp": Format.WEBP,
    **dict.fromkeys(("jpeg", "baseline-jpeg"), Format.JPEG),
    **dict.fromkeys(("png", "png-force"), Format.PNG),
    "json": Format.INFO,
}
QUALITIES = {"high": 90, "medium-high": 80, "medium-low": 65, "low": 50}


def quality(text: str) -> int:
    if text in QUALITIES:
        return QUALITIES[text]
    if not _WHOLE.fullmatch(text) or not 1 <= int(text) <= 100:
        raise ValueError(f"must be a whole number from 1 to 100, or {', '.join(QUALITIES)}")
    return int(text)


def read_metadata(to: CloudflareOptions, text: str) -> None:
    retained = {"copyright": Metadata.COPYRIGHT, "keep": Metadata.COPYRIGHT, "none": None}
    to.metadata = choice(retained)(text)
    if text == "keep":
        to.reduced.append(Notice("metadata", text, Metadata.COPYRIGHT.value))


def checks(value: Callable[[str], object]) -> Reader:
    """For options without an effect, whose values are checked."""

    def read(_: CloudflareOptions, text: str) -> None:
        value(text)

    return read
