"""The parameters of imgix: one row a parameter, with its aliases, its reader, and how far the node does it.

docs/dialects/imgix.md is made from this table. Names, aliases and ranges are those of imgix-url-params. Longer than
other files because it is one table.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from proxy.core.image.faces import MAX_FACES
from proxy.core.transform.operations import (
    Adjust,
    Blur,
    BlurFaces,
    Colour,
    Duotone,
    Effect,
    Exposure,
    Gamma,
    Hue,
    Pixelate,
    PixelateFaces,
    Remap,
    Sharpen,
    Tint,
    Tone,
)
from proxy.core.url.dialects.dialect import OnlyPolishes, Support, UnsupportedValue
from proxy.core.url.dialects.imgix import others
from proxy.core.url.dialects.imgix.layers import PARAMETERS as LAYERS
from proxy.core.url.dialects.imgix.values import (
    class_prefix,
    colour,
    crops,
    disposition,
    expiry,
    fill,
    fit,
    flip,
    frame,
    metadata,
    orientation,
    picture_format,
    quarters,
    rect,
)
from proxy.core.url.dialects.native.params import MAX_PADDING_PX
from proxy.core.url.dialects.parameter import (
    Parameter,
    belonging,
    changing,
    documented,
    ignored,
    polishing,
    row,
    showing,
)
from proxy.core.url.dialects.shared_values import (
    BLUR_MAX_PX,
    Number,
    choice,
    length,
    number,
    only,
    radii,
    ratio,
    sharpened,
    sigma,
    true_or_false,
    whole,
)

BLUR_UNITS_PER_PX = 20
"""How many of imgix's units of blur are a pixel of sigma."""
MAX_SIDE_PX = 8192
CROP_OF_SIDE = "fit=crop with w or h"


def _ranged(
    names: str,
    least: Number,
    most: Number,
    make: Callable[[Any], Effect | None],
    note: str = "",
    support: Support = Support.APPROXIMATED,
) -> Parameter:
    """A row of an effect, whose field has its name."""
    name = names.split()[0].replace("-", "_")
    return Parameter(
        names=tuple(names.split()), field=name, read=number, least=least, most=most, make=make, note=note, support=support
    )  # fmt: skip


def _percent(tone: Tone) -> Callable[[Number], Adjust]:
    return lambda value: Adjust(tone, round(value))


def _gamma(value: Number) -> Gamma:
    share = abs(float(value)) / 100 + 1
    return Gamma(round(share if value > 0 else 1 / share, 4))


def _blur_px(value: Number) -> float:
    return sigma(Fraction(value) / BLUR_UNITS_PER_PX, BLUR_MAX_PX)


def _sharpen(value: Number) -> Sharpen | None:
    return sharpened(Fraction(1, 2) + Fraction(value) / 40) if value else None


def _monochrome(text: str) -> Tint:
    found = colour(text)
    if found.alpha < 255:
        raise UnsupportedValue("is not supported with a translucent colour")
    return Tint(Colour(found.red, found.green, found.blue))


def _duotone(text: str) -> Duotone:
    parts = [colour(part) for part in text.split(",")]
    if len(parts) != 2:
        raise ValueError("must be two colours, as in 000080,fa8072")
    if any(each.alpha < 255 for each in parts):
        raise UnsupportedValue("is not supported with a translucent colour")
    return Duotone(*parts)


def _mask(text: str) -> str:
    if text not in ("ellipse", "corners"):
        raise UnsupportedValue("is supported as ellipse and corners only")
    return text


def _unsharp(text: str) -> Number:
    value = number(text)
    if value < 0:
        raise OnlyPolishes("is not supported below 0")
    return value


_APPROXIMATED = Support.APPROXIMATED
_CROPPED = ("fit=crop", "fit=min")
_FILLED = ("fit=fill", "fit=fillmax")
_SIZE_NOTE = "Pixels from 2, or a part of the original from 0 to 1. `[limits]` has the largest side."
_NEEDS_DETECTOR = "Refused without the extra `faces`."
_AFTER_SIZE = "After the size; imgix does it before."

PARAMETERS = (
    row("w width", "width", length, _SIZE_NOTE),
    row("h height", "height", length, _SIZE_NOTE),
    row(
        "fit f", "fit", fit,
        "clamp, clip, crop, fill, fillmax, max, min and scale. With one side, the other one follows the picture. "
        "facearea pads the heads, where imgix pads the faces, and is a crop by attention without a face. clamp with parts of the "
        "original is always refused.",
        support=_APPROXIMATED,
    ),
    row(
        "crop", "crops", crops,
        "For `fit=crop` and `fit=min`. edges is attention, as `g_auto`. A list of sides is a corner; after faces, "
        "entropy or edges its words have no effect: without a face attention applies.",
        *_CROPPED, support=_APPROXIMATED,
    ),
    row("ar", "ratio", ratio, "Gives the missing side, or without both cuts the picture to it.", "fit=crop"),
    row("rect", "region", rect,
        "Before a trim and before any size. A part that reaches out of the picture is cut off."),
    row(
        "dpr", "dpr", number, "0.1 to 5, with a side only.", least=Fraction("0.1"), most=5,
    ),
    row("min-w min-width", "min_width_px", whole, "", CROP_OF_SIDE, least=1, most=MAX_SIDE_PX),
    row("min-h min-height", "min_height_px", whole, "", CROP_OF_SIDE, least=1, most=MAX_SIDE_PX),
    row("max-w max-width", "max_width_px", whole, "", CROP_OF_SIDE, least=1, most=MAX_SIDE_PX),
    row("max-h max-height", "max_height_px", whole, "", CROP_OF_SIDE, least=1, most=MAX_SIDE_PX),
    row("fp-x", "focal_x", number, "", "crop=focalpoint", least=0, most=1),
    row("fp-y", "focal_y", number, "", "crop=focalpoint", least=0, most=1),
    row("fp-z", "zoom", number, "1 to 100.", "crop=focalpoint", least=1, most=100),
    row("faceindex", "face_index", whole, "From the top, where imgix does not state an order.", "fit=facearea",
        least=1, most=MAX_FACES, support=_APPROXIMATED),
    row("facepad", "face_padding", number, "1 to 10.", "fit=facearea", least=1, most=10),
    row("orient or", "orientation", orientation),
    row(
        "rot", "quarters", quarters,
        "Steps of 90 degrees, counter-clockwise within the frame, as in imgix. 90 and 270 need both sides, and a fit "
        "with exactly this size: crop or scale. Other angles are always refused.",
        support=_APPROXIMATED,
    ),
    row("flip", "flip", flip),
    row(
        "trim", "trim", choice("auto", "color", "alpha", "colorunlessalpha"),
        "auto and colorunlessalpha cut off the colour of the upper left corner.",
        support=_APPROXIMATED,
    ),
    row("trim-color trimcolor", "trim_colour", colour, "", "trim=color"),
    row(
        "trim-tol trimtol", "trim_tolerance", number, "How far a pixel may differ, 0 to 255.", "trim=color",
        "trim=colorunlessalpha", least=0, most=255, support=_APPROXIMATED,
    ),
    row(
        "trim-md trimmd", "trim_mean_difference", number, "How far a pixel may differ, 0 to 255.", "trim=auto", least=0,
        most=255, support=_APPROXIMATED,
    ),
    row("pad", "pad", whole, "Within the size, as in imgix. Transparent without `bg`.", most=MAX_PADDING_PX),
    row("pad-top", "pad_top", whole, most=MAX_PADDING_PX),
    row("pad-right", "pad_right", whole, most=MAX_PADDING_PX),
    row("pad-bottom", "pad_bottom", whole, most=MAX_PADDING_PX),
    row("pad-left", "pad_left", whole, most=MAX_PADDING_PX),
    row(
        "bg", "background", colour,
        "The colour of padding, and behind transparency. A translucent one colours padding only.",
        support=_APPROXIMATED,
    ),
    row(
        "fill", "fill", fill, "blur fills with the picture itself; gen and gradient are always refused.", *_FILLED, support=_APPROXIMATED,
    ),
    row("fill-color fillcolor", "fill_colour", colour, "", *_FILLED),
    row(
        "fm", "format", picture_format,
        "jpg, pjpg, png, png8, png32, webp, avif and gif; png8 is a PNG with all its colours. json and blurhash "
        "describe the original. Other formats are refused. Without it the format is that of the original.",
        support=_APPROXIMATED,
    ),
    row(
        "auto=format", "negotiates", true_or_false,
        "Negotiates among `formats.auto`, also with `fm`, which imgix then takes for clients without AVIF and WebP.",
        support=_APPROXIMATED,
    ),
    row("auto=compress", "is_compressed", true_or_false, "A quality of 45. A PNG without transparency becomes a JPEG.",
         support=_APPROXIMATED),
    row("q", "quality", whole, "1 to 100, on the scale of JPEG in every format; the node's own default without it.",
         least=1, most=100, support=_APPROXIMATED),
    row("dl", "disposition", disposition),
    row("cs", "colour_space", only("srgb", "strip", "tinysrgb", reason="colours are always converted to sRGB"),
         "Colours are always sRGB, without a profile. origin and adobergb1998 follow the rule `unsupported`."),
    row("iptc", "metadata", metadata, "allow keeps the author and the rights, and nothing else.",
        support=_APPROXIMATED),
    row("lossless", "lossless", only("false", "0", reason="WebP is always lossy"),
         "true follows the rule `unsupported`."),
    row("palette", "palette", choice("css", "json"),
         "Up to five colours of the original, not of the result, and no dominant ones.", support=_APPROXIMATED),
    row("colors", "colours", whole, "", "palette", least=0, most=16),
    row("prefix", "prefix", class_prefix, "", "palette=css"),
    row("expires", "until_s", expiry, "404 from this time on; until then `max-age` ends with it."),
    row("frame", "page", frame, "One frame. A range of frames is always refused."),
    _ranged("bri", -100, 100, _percent(Tone.BRIGHTNESS), _AFTER_SIZE),
    _ranged("con", -100, 100, _percent(Tone.CONTRAST), _AFTER_SIZE),
    _ranged("sat", -100, 100, _percent(Tone.SATURATION), _AFTER_SIZE),
    _ranged("vib", -100, 100, _percent(Tone.VIBRANCE), _AFTER_SIZE),
    _ranged("exp", -100, 100, lambda value: Exposure(round(float(value) / 50, 2)) if value else None, "100 is two stops. " + _AFTER_SIZE),
    _ranged("high", -100, 0, _percent(Tone.HIGHLIGHTS), _AFTER_SIZE),
    _ranged("shad", 0, 100, _percent(Tone.SHADOWS), _AFTER_SIZE),
    _ranged("gam", -100, 100, _gamma, "100 is a gamma of 2. " + _AFTER_SIZE),
    _ranged("hue", 0, 360, lambda value: Hue(round(value) % 360) if round(value) % 360 else None, _AFTER_SIZE),
    row("invert inv", "invert", true_or_false, _AFTER_SIZE, make=lambda value: Remap.NEGATE if value else None),
    _ranged("sharp", 0, 100, _sharpen, "A sigma of 0.5 to 3 pixels, after the size."),
    Parameter(
        names=("usm",), field="usm", read=_unsharp, most=100, support=_APPROXIMATED,
        note="Adds that many per cent, with `usmrad` as the sigma. Below 0 it follows the rule `unsupported`.",
    ),
    row("usmrad", "unsharp_radius", number, "", "usm", least=0, most=500, support=_APPROXIMATED),
    _ranged("sepia", 0, 100, _percent(Tone.SEPIA), _AFTER_SIZE),
    row("monochrome mono", "monochrome", _monochrome, "A translucent colour is always refused.",
        support=_APPROXIMATED),
    row("duotone", "duotone", _duotone, "The luminance between two colours in hexadecimal. Translucent ones are always refused.",
        support=_APPROXIMATED),
    row("duotone-alpha", "duotone_alpha", only("100", "0", reason="the picture is all of the two colours, or none"),
        "Others follow the rule `unsupported`.", "duotone"),
    row("mask", "mask", _mask, "After the effects. The URL of a mask is always refused."),
    row("corner-radius", "corners", lambda text: radii(text.split(",")), "Pixels of all corners, or of four from the upper left.", "mask=corners"),
    _ranged("blur", 0, 2000, lambda value: Blur(_blur_px(value)) if value else None, f"A sigma of one pixel each {BLUR_UNITS_PER_PX}."),
    _ranged("px", 0, 100, lambda value: Pixelate(round(value)) if value >= 2 else None, support=Support.DONE),
    _ranged("face-blur", 0, 2000, lambda value: BlurFaces(_blur_px(value)) if value else None, f"As `blur`, on each head. {_NEEDS_DETECTOR}"),
    _ranged("face-pixel face-pixelate", 0, 100, lambda value: PixelateFaces(round(value)) if value >= 2 else None,
        f"As `px`, on each head. {_NEEDS_DETECTOR}"),
    *LAYERS,
    *polishing(*others.FOLLOWING_THE_RULE),
    *changing(*others.CHANGING),
    *showing(*others.SHOWING),
    *(parameter for note, *names in others.WITHOUT_EFFECT for parameter in ignored(note, *names)),
    *(parameter for needed, names in others.BELONGING.items() for parameter in belonging(needed, *names)),
    *ignored("Rotations stay within the frame.", "rot-type rottype rott"),
)  # fmt: skip

BY_NAME = {name: parameter for parameter in PARAMETERS for name in parameter.names}

SUGGESTED = tuple(name for parameter in PARAMETERS if parameter.read for name in parameter.names)
"""The names that an unknown one may be meant for; comparing it with all of them takes a millisecond."""

QUIET = frozenset({"s", "ixlib", "ixid", "fp-debug"})
"""The signature, and parameters that say how a URL was made: they are never named as ignored."""

DOCUMENTED = documented(PARAMETERS)
