"""Writes Cloudinary's URLs: a component for each operation."""

from collections.abc import Iterator

from proxy.core.transform.lengths import Part
from proxy.core.transform.operations import (
    CENTER,
    TRANSPARENT,
    Adjust,
    Blend,
    Blur,
    Crop,
    Ellipse,
    Fit,
    Flatten,
    Hue,
    Offset,
    Opacity,
    Operation,
    Overlay,
    Pixelate,
    Placing,
    Remap,
    Resize,
    Rotate,
    Rounded,
    Sharpen,
    Shifted,
    Tone,
    Transform,
    Turn,
    Vignette,
)
from proxy.core.transform.quality_level import QualityLevel
from proxy.core.url.dialects.cloudinary.operations import MODES
from proxy.core.url.dialects.native.params import GRAVITIES
from proxy.core.url.dialects.writing import NotWritable, pixels, plain, suffix, word
from proxy.core.url.target import encoded

_MODES = {name: (mode.fit, mode.enlarge) for name, mode in MODES.items()}


def write(transform: Transform, key: str) -> str:
    """The target below a mount. Raises NotWritable."""
    components = [",".join(_component(op)) for op in transform.ops]
    components.append(",".join(_output(transform)))
    return "/".join(("/image/upload", *filter(None, components), encoded(key)))


def _output(of: Transform) -> Iterator[str]:
    if kind := suffix(of.format, "auto"):
        yield f"f_{kind}"
    if isinstance(of.quality, QualityLevel):
        yield f"q_auto:{of.quality}"
    elif of.quality is not None:
        yield f"q_{of.quality}"
    if of.dpr_percent is not None:
        yield f"dpr_{of.dpr_percent / 100:.2f}"


def _component(op: Operation) -> Iterator[str]:
    match op:
        case Resize():
            yield f"c_{word(_MODES, (op.fit, op.enlarge))}"
            if op.width is not None:
                yield f"w_{pixels(op.width)}"
            if op.height is not None:
                yield f"h_{pixels(op.height)}"
            if op.ratio is not None:
                yield f"ar_{op.ratio.numerator}:{op.ratio.denominator}"
            if op.gravity != CENTER:
                yield f"g_{word(GRAVITIES, op.gravity)}"
            if op.fit is Fit.CONTAIN:
                yield f"b_rgb:{plain(op.background).hex}"
        case Crop(width=width, height=height, ratio=None, at=at):
            yield f"c_crop,w_{pixels(width)},h_{pixels(height)}"
            if isinstance(at, Offset):
                yield f"x_{pixels(at.x)},y_{pixels(at.y)}"
            else:
                yield f"g_{word(GRAVITIES, at)}"
        case Overlay():
            yield from _layer(op)
        case Turn():
            yield f"a_{op}"
        case Rotate(degrees, background):
            yield f"a_{degrees:g}"
            if background != TRANSPARENT:
                yield f"b_rgb:{background.hex}"
        case Opacity(percent):
            yield f"o_{percent}"
        case Rounded(radii_px):
            yield f"r_{':'.join(map(str, radii_px))}"
        case Ellipse():
            yield "r_max"
        case Vignette(percent):
            yield f"e_vignette:{percent}"
        case Flatten(colour):
            yield f"b_rgb:{colour.hex}"
        case Blur(sigma_px):
            yield f"e_blur:{round(20 * sigma_px)}"
        case Sharpen(sigma_px):
            yield f"e_sharpen:{round(100 * sigma_px)}"
        case Pixelate(side_px):
            yield f"e_pixelate:{side_px}"
        case Hue(degrees):
            yield f"e_hue:{round(degrees / 1.8)}"
        case Remap.NEGATE:
            yield "e_negate"
        case Adjust(Tone.GRAYSCALE):
            yield "e_grayscale"
        case Adjust(
            (Tone.SEPIA | Tone.BRIGHTNESS | Tone.CONTRAST | Tone.SATURATION | Tone.VIBRANCE) as tone, percent
        ):
            yield f"e_{tone}:{percent}"
        case _:
            raise NotWritable


def _layer(op: Overlay) -> Iterator[str]:
    if not isinstance(op.of, str):
        raise NotWritable
    yield f"{'u' if op.placing is Placing.UNDER else 'l'}_{op.of.replace('/', ':')}"
    is_relative = isinstance(op.width, Part) or isinstance(op.height, Part)
    for name, length in (("w", op.width), ("h", op.height)):
        if length is not None:
            yield (
                f"{name}_{float(length.fraction):g}"
                if isinstance(length, Part)
                else f"{name}_{pixels(length)}"
            )
    if op.width is not None and op.height is not None:
        yield "c_scale" if op.fit is Fit.FILL else "c_fit"
    point = op.at.point if isinstance(op.at, Shifted) else op.at
    if point != CENTER:
        yield f"g_{word(GRAVITIES, point)}"
    if isinstance(op.at, Shifted) and isinstance(op.at.x, int) and isinstance(op.at.y, int):
        # Offsets are measured from the named edges inwards.
        yield f"x_{-op.at.x if point.x == 1 else op.at.x},y_{-op.at.y if point.y == 1 else op.at.y}"
    if op.opacity_percent < 100:
        yield f"o_{op.opacity_percent}"
    if op.blend is not Blend.NORMAL:
        yield f"e_{op.blend}"
    flags = [*(["relative"] if is_relative else []), *(["tiled"] if op.placing is Placing.TILE else [])]
    if flags:
        yield f"fl_{'.'.join(flags)}"
