"""The parameters of Cloudinary's transformations: one row a parameter, with its reader, and how far the node does it.

docs/dialects/cloudinary.md is made from this table and those of crop modes, effects and flags. Longer than other files,
because it is one table with its readers.
"""

from collections.abc import Callable

from proxy.core.errors import BadUrl, NotSupported, SourceNotAllowed
from proxy.core.nearest import meant, named, nearest
from proxy.core.transform.operations import Backdrop, Turn
from proxy.core.transform.quality_level import LEVELS, QualityLevel
from proxy.core.url.dialects.cloudinary import effects as cloudinary_effects
from proxy.core.url.dialects.cloudinary import flags as cloudinary_flags
from proxy.core.url.dialects.cloudinary.operations import MODES
from proxy.core.url.dialects.cloudinary.requested import CloudinaryOption, CloudinaryRequested
from proxy.core.url.dialects.cloudinary.values import (
    border,
    colour,
    gravity,
    length,
    output_format,
    plain_number,
    ratio,
    rotation,
    shape,
    side,
    whole,
)
from proxy.core.url.dialects.component import OUTPUT_FIELDS, transform_of
from proxy.core.url.dialects.dialect import DocumentedOption, OnlyPolishes, Support, UnsupportedValue
from proxy.core.url.dialects.native.urls import no_preset
from proxy.core.url.target import checked_key

_MOST_DPR = 10
_AUTO_QUALITIES = LEVELS | {"sensitive": QualityLevel.BEST}
_CHROMA = ("420", "444")

Reader = Callable[[CloudinaryRequested, str], None]


def _side(axis: str) -> Reader:
    def read(requested: CloudinaryRequested, text: str) -> None:
        value: object = None
        if text.startswith("auto"):
            fallback = text.rpartition(":")[2]
            if fallback == text or not fallback.isascii() or not fallback.isdigit() or text.count(":") < 2:
                requested.ignore(axis, "there are no client hints")
                return
            text = fallback
        value = side(text, requested.scope, axis)
        setattr(requested.here, "width" if axis == "w" else "height", value)

    return read


def _offset(name: str) -> Reader:
    axis = "w" if name == "x" else "h"
    return lambda requested, text: setattr(requested.here, name, length(text, requested.scope, axis))


def _mode(requested: CloudinaryRequested, text: str) -> None:
    if text not in MODES:
        raise UnsupportedValue(f"must be one of {', '.join(MODES)}{meant(nearest(text, MODES))}")
    requested.here.mode = text


def _ratio(requested: CloudinaryRequested, text: str) -> None:
    requested.here.ratio = ratio(text, requested.scope)


def _gravity(requested: CloudinaryRequested, text: str) -> None:
    requested.here.gravity = gravity(text)


def _zoom(requested: CloudinaryRequested, text: str) -> None:
    zoom = plain_number(text, requested.scope)
    if not 0 < zoom <= 100:
        raise ValueError("must be a factor above 0, up to 100")
    requested.here.zoom = zoom


def _quality(requested: CloudinaryRequested, text: str) -> None:
    kind, *rest = text.split(":")
    if kind == "auto":
        words = [word for word in rest if word not in _CHROMA]
        level = words[0] if words else "good"
        if level not in _AUTO_QUALITIES or len(words) > 1:
            raise UnsupportedValue(f"must have one of {', '.join(_AUTO_QUALITIES)} after auto")
        requested.output["quality"] = _AUTO_QUALITIES[level]
    elif kind == "jpegmini":
        raise OnlyPolishes("jpegmini is not supported")
    else:
        requested.output["quality"] = whole(kind, requested.scope, 1, 100)
        if rest and rest[0] not in _CHROMA:
            raise UnsupportedValue("must be 1 to 100, auto or auto:LEVEL, with 420 or 444 behind it")
    if len(rest) > 2:
        raise UnsupportedValue("has too many parts")
    if any(word in _CHROMA for word in rest):
        raise OnlyPolishes("has a chroma subsampling, which the encoder decides")


def _format(requested: CloudinaryRequested, text: str) -> None:
    requested.output["format"] = output_format(text)


def _dpr(requested: CloudinaryRequested, text: str) -> None:
    if text == "auto":
        requested.ignore("dpr", "there are no client hints")
        return
    percent = plain_number(text, requested.scope) * 100
    if not 0 < percent <= _MOST_DPR * 100:
        raise ValueError(f"must be a number above 0, up to {_MOST_DPR}, or auto")
    requested.dpr_percent = int(percent) if percent.denominator == 1 else percent


def _angle(requested: CloudinaryRequested, text: str) -> None:
    here = requested.here
    for part in text.split("."):
        match part:
            case "hflip" | "vflip":
                here.turns += (Turn(part),)
            case "auto_right" | "auto_left":
                here.auto_turn = Turn.R90 if part == "auto_right" else Turn.R270
            case "ignore":
                here.as_stored = True
            case "exif":
                pass
            case _:
                if (turn := rotation(part, requested.scope)) is not None:
                    here.turns += (turn,)


def _opacity(requested: CloudinaryRequested, text: str) -> None:
    requested.here.opacity_percent = whole(text, requested.scope, 0, 100)


def _radius(requested: CloudinaryRequested, text: str) -> None:
    requested.here.shape = shape(text, requested.scope)


def _border(requested: CloudinaryRequested, text: str) -> None:
    requested.here.border = border(text)


_BACKDROPS = {
    "blurred": Backdrop.BLURRED,
    **dict.fromkeys(("auto", "auto:border", "auto:predominant"), Backdrop.DOMINANT),
}


def _background(requested: CloudinaryRequested, text: str) -> None:
    if text in _BACKDROPS:
        requested.here.backdrop = _BACKDROPS[text]
    else:
        requested.here.background = colour(text)


def _colour(requested: CloudinaryRequested, text: str) -> None:
    requested.here.colour = colour(text)


def _effect(requested: CloudinaryRequested, text: str) -> None:
    name, _, strength = text.partition(":")
    if (effect := cloudinary_effects.BY_NAME.get(name)) is None:
        near = meant(nearest(name, cloudinary_effects.BY_NAME))
        raise UnsupportedValue(f"has an unknown effect: {named(name, 1)}{near}")
    effect.apply(requested, "effect", name, strength)


def _flags(requested: CloudinaryRequested, text: str) -> None:
    is_preset = requested.is_preset
    for position, part in enumerate(text.split("."), start=1):
        name, _, argument = part.partition(":")
        if (flag := cloudinary_flags.BY_NAME.get(name)) is None:
            near = meant(nearest(name, cloudinary_flags.BY_NAME))
            raise UnsupportedValue(f"has an unknown flag: {named(name, position)}{near}")
        flag.apply(requested, "flag", name, argument)
        is_preset &= flag.is_delivery
    requested.is_preset = is_preset


def _named(requested: CloudinaryRequested, text: str) -> None:
    for position, name in enumerate(text.split("."), start=1):
        if name not in requested.presets:
            raise NotSupported(no_preset("t", name, position, requested.presets).detail)
        preset = transform_of(requested.presets[name])
        requested.named.append(name)
        requested.here.first += preset.ops
        for field in (*OUTPUT_FIELDS, "background"):
            if value := getattr(preset, field):
                requested.output[field] = value


def _page(requested: CloudinaryRequested, text: str) -> None:
    try:
        requested.output["page"] = whole(text, requested.scope, 1, 10**6)
    except ValueError as reason:
        raise UnsupportedValue(f"{reason}: ranges and names are not supported") from None


def _colour_space(_: CloudinaryRequested, text: str) -> None:
    if text in ("cmyk", "keep_cmyk"):
        raise OnlyPolishes("must be srgb: colours are always converted to it")
    if text not in ("srgb", "tinysrgb", "srgb:truecolor", "no_cmyk"):
        raise UnsupportedValue("must be srgb, tinysrgb or no_cmyk")


def _default(requested: CloudinaryRequested, text: str) -> None:
    """A public id, with colons in place of slashes."""
    try:
        requested.default = checked_key(text.replace(":", "/"))
    except (BadUrl, SourceNotAllowed):
        raise ValueError("must be the public id of a picture") from None


def _density(requested: CloudinaryRequested, _: str) -> None:
    requested.ignore("dn", "the originals are no vector graphics")


PARAMS = (
    CloudinaryOption(
        names=("w",),
        forms=("w_PIXELS", "w_FRACTION", "w_EXPRESSION", "w_auto"),
        read=_side("w"),
        support=Support.APPROXIMATED,
        note="with a decimal point a part of the width that the component gets; `auto` is the fallback that it names,"
        " or no width, because there are no client hints",
    ),
    CloudinaryOption(names=("h",), forms=("h_PIXELS", "h_FRACTION", "h_EXPRESSION"), read=_side("h")),
    CloudinaryOption(
        names=("c",),
        forms=("c_MODE",),
        read=_mode,
        note="see the modes below; `scale` without it; without effect without a size",
    ),
    CloudinaryOption(
        names=("ar",),
        forms=("ar_16:9", "ar_1.78"),
        read=_ratio,
        note="the side that is not named; with neither, the picture is cut, padded or stretched to it; with both, no"
        " effect",
    ),
    CloudinaryOption(
        names=("g",),
        forms=("g_DIRECTION", "g_auto", "g_face", "g_faces", "g_xy_center"),
        read=_gravity,
        support=Support.APPROXIMATED,
        note="a direction is exact; `auto` with any preference is attention, `auto:face` is faces; `adv_face`,"
        " `adv_eyes` and `body` are `face`; without a face, attention takes its place, for `face:center` too;"
        " `xy_center` takes pixels of the original, or fractions; `custom`, `liquid`, `ocr_text` and objects are"
        " refused",
    ),
    CloudinaryOption(
        names=("x",),
        forms=("x_PIXELS", "x_FRACTION", "x_EXPRESSION"),
        read=_offset("x"),
        note="the left edge of `c_crop`; with a direction the offset from its edges inwards; no effect with faces and"
        " `auto`",
    ),
    CloudinaryOption(
        names=("y",), forms=("y_PIXELS", "y_FRACTION", "y_EXPRESSION"), read=_offset("y"), note="as `x`"
    ),
    CloudinaryOption(
        names=("z",),
        forms=("z_FACTOR",),
        read=_zoom,
        support=Support.APPROXIMATED,
        note="with `c_thumb` and faces how near they are; with other gravities, or `c_crop` with `ar` alone, above 1 a part of the"
        " largest window, and below 1 that window",
    ),
    CloudinaryOption(
        names=("q",),
        forms=("q_1-100", "q_auto", "q_auto:LEVEL", "q_80:420"),
        read=_quality,
        support=Support.APPROXIMATED,
        note="on the scale of JPEG in every format; `auto` is `auto:good`, and the levels are those of native URLs, `auto:sensitive`"
        " is `auto:best`; a chroma subsampling and `jpegmini` follow the rule `unsupported`",
    ),
    CloudinaryOption(
        names=("f",),
        forms=("f_auto", "f_FORMAT"),
        read=_format,
        support=Support.APPROXIMATED,
        note="`auto`, `auto:image` and `auto:animated` negotiate among the formats of the node; jpg, png, webp, avif,"
        " gif; others are refused; without it the extension of the URL, else the format of the original",
    ),
    CloudinaryOption(
        names=("dpr",),
        forms=("dpr_FACTOR", "dpr_auto"),
        read=_dpr,
        support=Support.APPROXIMATED,
        note="of the whole URL, up to 10; does not multiply `c_crop`; `auto` is 1",
    ),
    CloudinaryOption(
        names=("a",),
        forms=("a_DEGREES", "a_hflip", "a_vflip", "a_auto_right", "a_auto_left", "a_ignore"),
        read=_angle,
        support=Support.APPROXIMATED,
        note="degrees and flips, dot-joined, after the size; what an angle leaves free has the colour of `b`, or is transparent;"
        " `auto_right` and `auto_left` before the size, with w and h or ar",
    ),
    CloudinaryOption(
        names=("b",),
        forms=("b_COLOUR", "b_rgb:RRGGBBAA", "b_blurred", "b_auto"),
        read=_background,
        support=Support.APPROXIMATED,
        note="colours padding and, if opaque, transparency; padding is white without it; `blurred` is the picture"
        " itself, blurred, and `auto` its most common colour, also for `auto:border`; strengths, gradients and `gen_fill` are refused",
    ),
    CloudinaryOption(names=("co",), forms=("co_COLOUR",), read=_colour, note="of `e_colorize`"),
    CloudinaryOption(
        names=("e",), forms=("e_EFFECT",), read=_effect, note="see the effects below; after the size"
    ),
    CloudinaryOption(
        names=("fl",), forms=("fl_FLAG",), read=_flags, is_delivery=True, note="see the flags below"
    ),
    CloudinaryOption(
        names=("t",),
        forms=("t_NAME",),
        read=_named,
        is_delivery=True,
        note="a preset of `[presets]`, or several, dot-joined",
    ),
    CloudinaryOption(
        names=("pg",),
        forms=("pg_NUMBER",),
        read=_page,
        support=Support.APPROXIMATED,
        note="one frame of an animation; ranges and names are refused",
    ),
    CloudinaryOption(
        names=("cs",),
        forms=("cs_SPACE",),
        read=_colour_space,
        note="srgb, which it always is; cmyk follows the rule `unsupported`",
    ),
    CloudinaryOption(
        names=("dn",), forms=("dn_DPI",), read=_density, support=Support.IGNORED, note="of vector graphics"
    ),
    CloudinaryOption(
        names=("o",),
        forms=("o_PERCENT",),
        read=_opacity,
        note="after the effects",
    ),
    CloudinaryOption(
        names=("r",),
        forms=("r_RADIUS", "r_max", "r_RADIUS:RADIUS:RADIUS:RADIUS"),
        read=_radius,
        note="after the effects; one to four radii in pixels as in CSS; `max` is the largest ellipse",
    ),
    CloudinaryOption(
        names=("bo",),
        forms=("bo_WIDTHpx_solid_COLOUR",),
        read=_border,
        support=Support.APPROXIMATED,
        note="around the picture, which it enlarges; it follows the corners of `r`, and then fills transparency",
    ),
    CloudinaryOption(
        names=("d",),
        forms=("d_PUBLIC_ID",),
        read=_default,
        is_delivery=True,
        note="the picture that is shown, with status 200, where there is no original",
    ),
    CloudinaryOption(
        names=("l", "u"),
        forms=("l_PUBLIC_ID", "u_PUBLIC_ID", "l_text:FONT_SIZE_STYLES:TEXT"),
        read=None,
        support=Support.APPROXIMATED,
        note="the first parameter of its component, which may have w, h, c_scale, c_fit, g, x, y, o, `e_multiply`, `e_screen`,"
        " `e_overlay`, `fl_relative` and `fl_tiled`, or the components up to `fl_layer_apply` have them; `.png` is added to a public id"
        " without an extension; a text has `co`, `b`, with the style `stroke` `bo`, and `w` with `c_fit`, which wraps it, and variables as"
        " in `$(name)`; its font must be one of the node's; fetched and other layers are refused",
    ),
    CloudinaryOption(
        names=("dl", "bl", "fn", "p"),
        read=None,
        support=Support.REFUSED,
        note="animation, baseline, functions, prefix",
    ),
    CloudinaryOption(
        names=("ac", "af", "br", "du", "eo", "fps", "ki", "so", "sp", "vc", "vs"),
        read=None,
        support=Support.REFUSED,
        note="video",
    ),
)

BY_NAME = {name: param for param in PARAMS for name in param.names}
IF = "if"
NAMES = frozenset({*BY_NAME, IF})
OF_OUTPUT = frozenset({"d", "f", "q", "dpr", "pg", "cs", "dn"})
"""Parameters of the whole URL: a component of nothing else has no operations."""

_OF_URLS = (
    DocumentedOption(
        names=("$NAME_VALUE",),
        support=Support.APPROXIMATED,
        note="variables, and arithmetic in every number: `add sub mul div mod pow`, `w h iw ih`; what"
        " depends on the original otherwise is refused",
    ),
    DocumentedOption(
        names=("if_CONDITION", "if_else", "if_end"),
        support=Support.APPROXIMATED,
        note="`eq ne lt gt lte gte in nin and or` of variables, numbers, texts and sizes (`w h ar iw ih iar`); a"
        " condition on a size decides operations only, and one on `fc`, `tags` and the like is refused",
    ),
)


def _documented(options: tuple[CloudinaryOption, ...], prefix: str) -> tuple[DocumentedOption, ...]:
    return tuple(
        DocumentedOption(
            names=tuple(f"{prefix}{name}" for name in option.forms or option.names),
            support=option.support,
            note=option.note,
        )
        for option in options
    )


DOCUMENTED = (
    *_documented(PARAMS, ""),
    *_OF_URLS,
    *(
        DocumentedOption(names=tuple(f"c_{name}" for name in names), support=support, note=note)
        for names, support, note in (
            (tuple(each for each in MODES if MODES[each] is mode), mode.support, mode.note)
            for mode in dict.fromkeys(MODES.values())
        )
    ),
    *_documented(cloudinary_effects.EFFECTS, "e_"),
    *_documented(cloudinary_flags.FLAGS, "fl_"),
)
