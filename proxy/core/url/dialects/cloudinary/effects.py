"""The effects of Cloudinary, `e_<name>:<strength>`: how the strength of each is read, and how far the node does it."""

from collections.abc import Callable
from fractions import Fraction

from proxy.core.transform.operations import (
    BLACK,
    Adjust,
    Blur,
    BlurFaces,
    Colorize,
    Effect,
    Gamma,
    Hue,
    Noise,
    Outline,
    Pixelate,
    PixelateFaces,
    Remap,
    Rgb,
    Sharpen,
    Threshold,
    Tone,
    Trim,
    Vignette,
)
from proxy.core.url.dialects.cloudinary.requested import CloudinaryOption, CloudinaryRequested, Parameters
from proxy.core.url.dialects.cloudinary.values import colour, plain_number, whole
from proxy.core.url.dialects.dialect import Support, UnsupportedValue
from proxy.core.url.dialects.native.filters import MAX_OUTLINE_PX
from proxy.core.url.dialects.native.params import BLUR_MAX_PX, SHARPEN_MAX_PX, SIGMA_MIN_PX

_BLUR_PER_PX, _SHARPEN_PER_PX = 20, 100
_MOST_STRENGTH = 2000
_MAX_SQUARE_PX = 200

Make = Callable[[int, Parameters], Effect | None]


def _strength(least: int, most: int, default: int, make: Make) -> Callable[[CloudinaryRequested, str], None]:
    """The reader of an effect with one number."""

    def read(requested: CloudinaryRequested, text: str) -> None:
        if ":" in text:
            raise UnsupportedValue("takes one number: further arguments are not supported")
        strength = whole(text, requested.scope, least, most) if text else default
        requested.here.effects += (lambda here: make(strength, here),)

    return read


def _plain(effect: Effect) -> Callable[[CloudinaryRequested, str], None]:
    def read(requested: CloudinaryRequested, text: str) -> None:
        if text:
            raise UnsupportedValue("takes no strength")
        requested.here.effects += (lambda _: effect,)

    return read


def _adjust(tone: Tone) -> Make:
    return lambda percent, _: Adjust(tone, percent)


def _sigma(strength: int, per_px: int, most_px: float) -> float:
    return max(SIGMA_MIN_PX, min(most_px, round(strength / per_px, 2)))


def _hue(strength: int, _: Parameters) -> Effect | None:
    degrees = (strength * 18 + 5) // 10 % 360
    return Hue(degrees) if degrees else None


def _threshold(percent: int, _: Parameters) -> Effect:
    return Threshold(max(1, (percent * 255 + 50) // 100))


def _noise(percent: int, _: Parameters) -> Effect | None:
    levels = (percent * 255 + 50) // 100
    return Noise(levels) if levels >= 2 else None


def _colorize(percent: int, here: Parameters) -> Effect:
    return Colorize(percent, percent, percent, here.colour or BLACK)


def _trim(requested: CloudinaryRequested, text: str) -> None:
    tolerance, _, border = text.partition(":")
    percent = plain_number(tolerance, requested.scope) if tolerance else Fraction(10)
    if not 0 <= percent <= 100:
        raise ValueError("must have a tolerance from 0 to 100")
    requested.here.trim = Trim(
        threshold=round(float(percent) * 2.55, 2), colour=colour(border) if border else None
    )


_MOVES = "values are moved as by the native effect"

EFFECTS = (
    CloudinaryOption(
        names=("blur",),
        read=_strength(1, _MOST_STRENGTH, 100, lambda s, _: Blur(_sigma(s, _BLUR_PER_PX, BLUR_MAX_PX))),
        support=Support.APPROXIMATED,
        note="a Gaussian with a sigma of a twentieth of the strength, in output pixels",
    ),
    CloudinaryOption(
        names=("sharpen", "unsharp_mask"),
        read=_strength(
            1, _MOST_STRENGTH, 100, lambda s, _: Sharpen(_sigma(s, _SHARPEN_PER_PX, SHARPEN_MAX_PX))
        ),
        support=Support.APPROXIMATED,
        note="a sigma of a hundredth of the strength, up to 10",
    ),
    CloudinaryOption(
        names=("pixelate",),
        read=_strength(1, _MAX_SQUARE_PX, 5, lambda s, _: Pixelate(s)),
        support=Support.APPROXIMATED,
        note="squares of 5 pixels without a number",
    ),
    CloudinaryOption(
        names=("blur_faces",),
        read=_strength(1, _MOST_STRENGTH, 500, lambda s, _: BlurFaces(_sigma(s, _BLUR_PER_PX, BLUR_MAX_PX))),
        support=Support.APPROXIMATED,
        note="as `blur`, on each head; refused without the extra `faces`",
    ),
    CloudinaryOption(
        names=("pixelate_faces",),
        read=_strength(2, _MAX_SQUARE_PX, 20, lambda s, _: PixelateFaces(s)),
        support=Support.APPROXIMATED,
        note="as `pixelate`, on each head, in squares of 20 pixels without a number; refused without the extra `faces`",
    ),
    CloudinaryOption(names=("grayscale",), read=_plain(Adjust(Tone.GRAYSCALE, 100))),
    CloudinaryOption(names=("negate",), read=_plain(Remap.NEGATE)),
    CloudinaryOption(
        names=("sepia",),
        read=_strength(1, 100, 80, _adjust(Tone.SEPIA)),
        support=Support.APPROXIMATED,
        note=_MOVES,
    ),
    CloudinaryOption(
        names=("brightness", "brightness_hsb"),
        read=_strength(-99, 100, 80, _adjust(Tone.BRIGHTNESS)),
        support=Support.APPROXIMATED,
        note=_MOVES,
    ),
    CloudinaryOption(
        names=("contrast",),
        read=_strength(-100, 100, 0, _adjust(Tone.CONTRAST)),
        support=Support.APPROXIMATED,
        note=f"{_MOVES}; a function after the strength is refused",
    ),
    CloudinaryOption(
        names=("saturation",),
        read=_strength(-100, 100, 80, _adjust(Tone.SATURATION)),
        support=Support.APPROXIMATED,
        note=_MOVES,
    ),
    CloudinaryOption(
        names=("vibrance",),
        read=_strength(-100, 100, 20, _adjust(Tone.VIBRANCE)),
        support=Support.APPROXIMATED,
        note=_MOVES,
    ),
    CloudinaryOption(
        names=("vignette",),
        read=_strength(0, 100, 20, lambda percent, _: Vignette(percent) if percent else None),
        support=Support.APPROXIMATED,
        note="darkens by the square of the distance from the middle",
    ),
    CloudinaryOption(
        names=("outline",),
        read=_strength(1, MAX_OUTLINE_PX, 5, lambda width_px, here: Outline(width_px, here.colour or BLACK)),
        support=Support.APPROXIMATED,
        note="a width in pixels, around what is opaque, in the colour of `co`; modes and a blur are refused",
    ),
    CloudinaryOption(
        names=("hue",),
        read=_strength(-100, 100, 80, _hue),
        support=Support.APPROXIMATED,
        note="100 is half a turn",
    ),
    CloudinaryOption(
        names=("gamma",),
        read=_strength(-50, 150, 0, lambda s, _: Gamma(round(1 + s / 100, 2))),
        support=Support.APPROXIMATED,
        note="a gamma of 1 and a hundredth of the number",
    ),
    CloudinaryOption(names=("red",), read=_strength(-100, 100, 0, lambda s, _: Rgb(s, 0, 0))),
    CloudinaryOption(names=("green",), read=_strength(-100, 100, 0, lambda s, _: Rgb(0, s, 0))),
    CloudinaryOption(names=("blue",), read=_strength(-100, 100, 0, lambda s, _: Rgb(0, 0, s))),
    CloudinaryOption(
        names=("blackwhite",),
        read=_strength(0, 100, 50, _threshold),
        support=Support.APPROXIMATED,
        note="a threshold of the luminance; transparency is black or white likewise",
    ),
    CloudinaryOption(
        names=("colorize",),
        read=_strength(0, 100, 100, _colorize),
        support=Support.APPROXIMATED,
        note="mixed with `co`, or with black",
    ),
    CloudinaryOption(
        names=("noise",),
        read=_strength(0, 100, 0, _noise),
        support=Support.APPROXIMATED,
        note="the same noise in every picture",
    ),
    CloudinaryOption(
        names=("auto_contrast",),
        read=_plain(Remap.NORMALIZE),
        support=Support.APPROXIMATED,
        note="the lightness is stretched to the whole range; a blend is refused",
    ),
    CloudinaryOption(
        names=("trim",),
        read=_trim,
        support=Support.APPROXIMATED,
        note="before the size; the tolerance is a per cent of each channel",
    ),
    CloudinaryOption(
        names=(
            *("improve", "enhance", "auto_brightness", "auto_color", "fill_light", "viesus_correct"),
            *("redeye", "adv_redeye", "upscale", "anti_removal"),
        ),
        read=None,
        support=Support.REFUSED,
        polishes=True,
        note="they only polish: `unsupported` decides",
    ),
    CloudinaryOption(
        names=(
            *("art", "assist_colorblind", "background_removal", "bgremoval", "blur_region"),
            *("bump", "camera", "cartoonify", "cut_out", "deshake", "displace", "distort", "dropshadow"),
            *("extract", "fade", "gen_background_replace", "gen_recolor", "gen_remove", "gen_replace"),
            *("gen_restore", "gradient_fade", "light", "loop", "lightroom", "make_transparent", "mask"),
            *("morphology", "multiply", "oil_paint", "opacity_threshold", "ordered_dither"),
            *("overlay", "pixelate_region", "preview", "recolor", "replace_color"),
            *("reverse", "screen", "shadow", "shear", "simulate_colorblind", "style_transfer", "swap_image"),
            *("theme", "tint", "transition", "vectorize", "volume", "accelerate"),
            *("zoompan", "boomerang", "progressbar", "waveform", "anaglyph"),
        ),
        read=None,
        support=Support.REFUSED,
        note="always refused",
    ),
)

BY_NAME = {name: effect for effect in EFFECTS for name in effect.names}
