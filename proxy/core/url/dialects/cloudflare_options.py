"""The options of Cloudflare Images: one row an option, with its aliases, its reader, and how far the node does it.

docs/dialects/cloudflare.md is made from this table. A reader raises ValueError with a reason that repeats no byte of the
request.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeVar

from proxy.core.errors import BadTransform
from proxy.core.image.formats import Format
from proxy.core.nearest import meant, named, nearest
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
from proxy.core.url.dialects.dialect import DocumentedOption, Support, Unsupported
from proxy.core.url.dialects.native_params import BLUR_MAX_PX, SHARPEN_MAX_PX, SIGMA_MIN_PX
from proxy.core.url.notice import Notice
from proxy.core.url.parsed_url import Unused
from proxy.core.url.target import decoded

_T = TypeVar("_T")

MOST_OPTIONS = 64
MAX_PX = 100_000_000
MAX_DPR = 4
AUTO_WIDTH_PX = 1200
"""The largest of the four widths of `width=auto`: every other one would be too small for some client."""

_WHOLE = re.compile(r"[0-9]{1,9}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9}", re.ASCII)


@dataclass(slots=True, kw_only=True)
class CloudflareOptions:
    """The options of a URL as they apply. `trim_px` is clockwise from the top, and `trim_size` what remains, in pixels
    that the dpr multiplies."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudflareOption:
    """`read` takes the decoded value; None if the option is refused. `reason` says why a value that was read has no effect.
    The values in `polishing` are not supported, and change nothing that the picture shows."""

    names: tuple[str, ...]
    read: Reader | None
    support: Support = Support.DONE
    note: str = ""
    reason: str = ""
    polishing: tuple[str, ...] = ()


def read_options(segment: str, unsupported: Unsupported) -> CloudflareOptions:
    """The options of a path segment. Of equal ones the last one applies. Raises BadTransform or BadUrl."""
    options = CloudflareOptions()
    parts = segment.split(",", MOST_OPTIONS)
    if len(parts) > MOST_OPTIONS:
        raise BadTransform(f"a URL may have {MOST_OPTIONS} options at most")
    for position, part in enumerate(parts, start=1):
        plain = decoded(part, "the options") if "%" in part else part
        name, equals, value = plain.partition("=")
        option = BY_NAME.get(name)
        if option is None:
            raise BadTransform(f"option {named(name, position)} is unknown{meant(nearest(name, BY_NAME))}")
        if not equals or not value:
            raise BadTransform(f"option {name} has no value: options are written {name}=VALUE")
        try:
            if option.read is None:
                raise ValueError("is not supported")
            option.read(options, value)
        except ValueError as reason:
            raise BadTransform(f"option {name} {reason}") from None
        if value in option.polishing:
            if unsupported is Unsupported.REFUSE:
                raise BadTransform(f"option {name} does not support {value}")
            options.unused.append(Unused(name, f"{value} is not supported", is_option=True))
        elif option.reason:
            options.unused.append(Unused(name, option.reason, is_option=True))
    return options


def format_name(segment: str) -> str:
    """The output format as it is written; empty without one."""
    values = (part.partition("=") for part in segment.split(","))
    return next((value for name, _, value in reversed(list(values)) if name in ("f", "format")), "")


def _sets(field_name: str, value: Callable[[str], object]) -> Reader:
    return lambda to, text: setattr(to, field_name, value(text))


def _whole(text: str, least: int, most: int) -> int:
    if not _WHOLE.fullmatch(text) or not least <= int(text) <= most:
        raise ValueError(f"must be a whole number from {least} to {most}")
    return int(text)


def _number(text: str, least: float, most: float) -> float:
    if not _NUMBER.fullmatch(text) or not least <= float(text) <= most:
        raise ValueError(f"must be a number from {least:g} to {most:g}")
    return float(text)


def _choice(choices: Mapping[str, _T]) -> Callable[[str], _T]:
    def read(text: str) -> _T:
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}{meant(nearest(text, choices))}")
        return choices[text]

    return read


def _side(text: str) -> int:
    return _whole(text, 1, MAX_PX)


def _width(to: CloudflareOptions, text: str) -> None:
    if text != "auto":
        to.width_px = _side(text)
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

_GRAVITIES: dict[str, Gravity] = {
    "auto": Smart.ATTENTION,
    "face": Smart.FACES,
    "left": FocalPoint(0.0, 0.5),
    "right": FocalPoint(1.0, 0.5),
    "top": FocalPoint(0.5, 0.0),
    "bottom": FocalPoint(0.5, 1.0),
}


def _gravity(text: str) -> Gravity:
    if text in _GRAVITIES:
        return _GRAVITIES[text]
    x, by, y = text.partition("x")
    if not by:
        raise ValueError(f"must be one of {', '.join(_GRAVITIES)}, or XxY in fractions, as in 0.5x0.33")
    return FocalPoint(round(_number(x, 0, 1), 4), round(_number(y, 0, 1), 4))


def _dpr_percent(text: str) -> int:
    return int(_number(text, 0.01, MAX_DPR) * 100 + 0.5)


def _trim(to: CloudflareOptions, text: str) -> None:
    sides = text.split(";")
    if len(sides) != 4:
        raise ValueError("must be TOP;RIGHT;BOTTOM;LEFT in pixels")
    to.trim_px = {
        side: _whole(px, 0, MAX_PX)
        for side, px in zip(("top", "right", "bottom", "left"), sides, strict=True)
    }


def _trims_side(name: str) -> Reader:
    return lambda to, text: to.trim_px.__setitem__(name, _whole(text, 0, MAX_PX))


def _trims_to(name: str) -> Reader:
    return lambda to, text: to.trim_size.__setitem__(name, _side(text))


_ROTATIONS: dict[str, Turn | None] = {
    **dict.fromkeys(("0", "360")),
    "90": Turn.R90,
    "180": Turn.R180,
    "270": Turn.R270,
}
_FLIPS: dict[str, Turn] = {"h": Turn.HFLIP, "v": Turn.VFLIP, **dict.fromkeys(("hv", "vh"), Turn.R180)}


def _adjusts(tone: Tone, *, ignores_0: bool) -> Reader:
    def read(to: CloudflareOptions, text: str) -> None:
        factor = _number(text, 0, MAX_FACTOR)
        is_ignored = ignores_0 and not factor
        to.adjustments[tone] = [] if is_ignored else scaled(tone, Fraction(factor * 100))

    return read


_MIN_GAMMA, _MAX_GAMMA = 0.1, 10


def _gamma(text: str) -> Gamma | None:
    factor = _number(text, 0, _MAX_GAMMA)
    return Gamma(round(max(_MIN_GAMMA, factor), 4)) if factor not in (0, 1) else None


_MAX_RADIUS = 250


def _blur(to: CloudflareOptions, text: str) -> None:
    radius = _number(text, 0, _MAX_RADIUS)
    if radius > 2 * BLUR_MAX_PX:
        to.reduced.append(Notice("blur", text, f"{2 * BLUR_MAX_PX:g}"))
    sigma_px = min(BLUR_MAX_PX, max(SIGMA_MIN_PX, round(radius / 2, 2)))
    to.blur = Blur(sigma_px) if radius else None


def _sharpen(text: str) -> Sharpen | None:
    strength = _number(text, 0, SHARPEN_MAX_PX)
    return Sharpen(max(SIGMA_MIN_PX, round(strength, 2))) if strength else None


def _background(text: str) -> Colour:
    colour = css_colour(text.removeprefix("#")) or css_rgb(text)
    if colour is None:
        raise ValueError("must be a name of CSS, %23RRGGBB, or rgb() or rgba()")
    return colour


_FORMATS: dict[str, Format | Auto] = {
    "auto": Auto.AUTO,
    "avif": Format.AVIF,
    "webp": Format.WEBP,
    **dict.fromkeys(("jpeg", "baseline-jpeg"), Format.JPEG),
    **dict.fromkeys(("png", "png-force"), Format.PNG),
    "json": Format.INFO,
}
_QUALITIES = {"high": 90, "medium-high": 80, "medium-low": 65, "low": 50}


def _quality(text: str) -> int:
    if text in _QUALITIES:
        return _QUALITIES[text]
    if not _WHOLE.fullmatch(text) or not 1 <= int(text) <= 100:
        raise ValueError(f"must be a whole number from 1 to 100, or {', '.join(_QUALITIES)}")
    return int(text)


def _metadata(to: CloudflareOptions, text: str) -> None:
    retained = {"copyright": Metadata.COPYRIGHT, "keep": Metadata.COPYRIGHT, "none": None}
    to.metadata = _choice(retained)(text)
    if text == "keep":
        to.reduced.append(Notice("metadata", text, Metadata.COPYRIGHT.value))


def _checks(value: Callable[[str], object]) -> Reader:
    """For options without an effect, whose values are checked."""

    def read(_: CloudflareOptions, text: str) -> None:
        value(text)

    return read


_CLIENT_HINTS = "client hints change no answer"
_IN_PX = "in pixels of the original times `dpr`"

OPTIONS = (
    CloudflareOption(
        names=("width", "w"),
        read=_width,
        support=Support.APPROXIMATED,
        note=f"In pixels. `auto` is {AUTO_WIDTH_PX} for every client, and `Calotype-Notice` says so: neither client hints nor "
        "the User-Agent change an answer.",
    ),
    CloudflareOption(names=("height", "h"), read=_sets("height_px", _side), note="In pixels."),
    CloudflareOption(
        names=("fit",),
        read=_sets("fit", _choice(FITS)),
        note=f"{', '.join(FITS)}. With one side only, the other one follows the picture; contain, cover, pad and squeeze "
        "then enlarge.",
    ),
    CloudflareOption(
        names=("gravity", "g"),
        read=_sets("gravity", _gravity),
        support=Support.APPROXIMATED,
        note="For cover, crop and aspect-crop. auto is attention. face centres on all faces; without a face, attention "
        "takes their place. `XxY` is rounded to four decimals.",
    ),
    CloudflareOption(
        names=("zoom", "face-zoom"),
        read=_sets("zoom", lambda text: _number(text, 0, 1)),
        support=Support.REFUSED,
        note="0 is taken, and any value where `gravity=face` does not apply.",
    ),
    CloudflareOption(
        names=("format", "f"),
        read=_sets("format", _choice(_FORMATS)),
        support=Support.APPROXIMATED,
        note="Without it, that of the original if browsers show it; in a hosted URL with options, auto. avif is AVIF for "
        "every client. jpeg and baseline-jpeg are one format. json is the document of `/info/<key>`, which describes "
        "the original.",
    ),
    CloudflareOption(
        names=("quality", "q"),
        read=_sets("quality", _quality),
        support=Support.APPROXIMATED,
        note="On the scale of JPEG in every format; "
        + ", ".join(f"{word} is {number}" for word, number in _QUALITIES.items())
        + ". A WebP of 100 is not lossless, and a PNG is not reduced to a palette. Without it the node has a default of "
        "its own, so that equal pictures are one cache entry.",
    ),
    CloudflareOption(
        names=("slow-connection-quality", "scq"),
        read=_checks(_quality),
        support=Support.IGNORED,
        note="Client hints change no answer.",
        reason=_CLIENT_HINTS,
    ),
    CloudflareOption(
        names=("dpr",),
        read=_sets("dpr_percent", _dpr_percent),
        support=Support.APPROXIMATED,
        note=f"0.01 to {MAX_DPR}, rounded to two decimals. Multiplies sides and `trim`.",
    ),
    CloudflareOption(
        names=("trim",),
        read=_trim,
        support=Support.APPROXIMATED,
        note=f"`TOP;RIGHT;BOTTOM;LEFT` {_IN_PX}, before any turn and size. A trim of the whole picture has no effect.",
    ),
    *(
        CloudflareOption(
            names=(f"trim.{name}",), read=_trims_side(name), note=f"{_IN_PX[0].upper()}{_IN_PX[1:]}."
        )
        for name in ("top", "right", "bottom", "left")
    ),
    *(
        CloudflareOption(
            names=(f"trim.{name}",),
            read=_trims_to(name),
            note=f"What remains from the {start} on, {_IN_PX}; `trim.{end}` then has no effect.",
        )
        for name, start, end in (("width", "left", "right"), ("height", "top", "bottom"))
    ),
    CloudflareOption(
        names=("flip",),
        read=_sets("flip", _choice(_FLIPS)),
        note="h, v or hv, before a rotation and the size.",
    ),
    CloudflareOption(
        names=("rotate",),
        read=_sets("rotation", _choice(_ROTATIONS)),
        note="90, 180 or 270, before the size.",
    ),
    CloudflareOption(
        names=("background",),
        read=_sets("background", _background),
        support=Support.APPROXIMATED,
        note="A name of CSS, `%23` and 3, 4, 6 or 8 hexadecimal digits, rgb() or rgba(). The colour of pad, and beneath "
        "transparency if it is opaque; one that is not is beneath transparency only in formats without alpha.",
    ),
    *(
        CloudflareOption(
            names=(tone.value,),
            read=_adjusts(tone, ignores_0=tone is not Tone.SATURATION),
            support=Support.APPROXIMATED,
            note=f"A factor up to {MAX_FACTOR}, by CSS Filter Effects. {zero}",
        )
        for tone, zero in (
            (Tone.BRIGHTNESS, "0 is ignored."),
            (Tone.CONTRAST, "0 is ignored."),
            (Tone.SATURATION, "0 is grey."),
        )
    ),
    CloudflareOption(
        names=("gamma",),
        read=_sets("gamma", _gamma),
        support=Support.APPROXIMATED,
        note=f"Up to {_MAX_GAMMA}; 0 is ignored, and lower ones are {_MIN_GAMMA} at least.",
    ),
    CloudflareOption(
        names=("blur",),
        read=_blur,
        support=Support.APPROXIMATED,
        note=f"A radius up to {_MAX_RADIUS}: twice the sigma in output pixels, which is {BLUR_MAX_PX:g} at most.",
    ),
    CloudflareOption(
        names=("sharpen",),
        read=_sets("sharpen", _sharpen),
        support=Support.APPROXIMATED,
        note=f"0 to {SHARPEN_MAX_PX:g}, taken as the sigma of an unsharp mask in output pixels.",
    ),
    CloudflareOption(
        names=("anim",),
        read=_sets("is_still", _choice({"true": False, "false": True})),
        note='false draws the first frame. An unsigned URL needs `dimensions = "any"` or its place among `transforms` for '
        "it.",
    ),
    CloudflareOption(
        names=("metadata",),
        read=_metadata,
        support=Support.APPROXIMATED,
        note="copyright keeps the author and the rights, in WebP and PNG too; keep is the same, and `Calotype-Notice` says "
        "so. Without it all metadata is removed, where the vendor keeps the copyright in JPEG.",
    ),
    CloudflareOption(
        names=("compression",),
        read=_checks(_choice({"fast": None})),
        support=Support.IGNORED,
        note="The effort of encoders is that of `[formats]`.",
        reason="encoders have the effort of the configuration",
    ),
    CloudflareOption(
        names=("onerror",),
        read=_sets("redirects_errors", _choice({"redirect": True})),
        note="redirect: if the original cannot be fetched or transformed, 302 to its path on the host of the request. "
        "Without effect for originals of other hosts and ports, for hosted images, and for URLs that the node refuses.",
    ),
    CloudflareOption(
        names=("upscale",),
        read=_checks(_choice(dict.fromkeys(("interpolate", "generate")))),
        support=Support.APPROXIMATED,
        note="interpolate is what the node does; generate follows the rule `unsupported`.",
        polishing=("generate",),
    ),
    CloudflareOption(names=("segment",), read=None, support=Support.REFUSED, note="Cuts the subject out."),
    CloudflareOption(
        names=("border", "draw"),
        read=None,
        support=Support.REFUSED,
        note="Of Workers; they have no form in URLs.",
    ),
)
"""Every option of the URL interface."""

BY_NAME = {name: option for option in OPTIONS for name in option.names}

DOCUMENTED = tuple(
    DocumentedOption(names=option.names, support=option.support, note=option.note) for option in OPTIONS
)
