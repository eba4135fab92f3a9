"""Writes imgix's URLs. imgix applies parameters in an order of its own."""

from collections.abc import Iterator
from urllib.parse import quote

from proxy.core.transform.operations import (
    CENTER,
    Adjust,
    Blur,
    Crop,
    Duotone,
    Ellipse,
    Enlarge,
    Exposure,
    Fit,
    Flatten,
    FocalPoint,
    Gravity,
    Hue,
    Offset,
    Operation,
    Pixelate,
    Remap,
    Resize,
    Rounded,
    Sharpen,
    Smart,
    Tone,
    Transform,
    Turn,
    UnsharpMask,
)
from proxy.core.url.dialects.writing import COLUMNS, ROWS, NotWritable, pixels, plain, suffix, word
from proxy.core.url.target import encoded

_FITS = {
    "clip": (Fit.INSIDE, Enlarge.ALLOW),
    "max": (Fit.INSIDE, Enlarge.NEVER),
    "crop": (Fit.COVER, Enlarge.ALLOW),
    "min": (Fit.COVER, Enlarge.RATIO),
    "scale": (Fit.FILL, Enlarge.ALLOW),
    "fill": (Fit.CONTAIN, Enlarge.ALLOW),
    "fillmax": (Fit.CONTAIN, Enlarge.NEVER),
}
_TONES = {
    "bri": Tone.BRIGHTNESS,
    "con": Tone.CONTRAST,
    "sat": Tone.SATURATION,
    "sepia": Tone.SEPIA,
    "vib": Tone.VIBRANCE,
    "high": Tone.HIGHLIGHTS,
    "shad": Tone.SHADOWS,
}


def write(transform: Transform, key: str) -> str:
    """The target below a mount. Raises NotWritable."""
    parameters = [parameter for op in transform.ops for parameter in _parameters(op)]
    parameters += _output(transform)
    query = "&".join(f"{name}={quote(value, safe=',:')}" for name, value in parameters)
    return f"/{encoded(key)}?{query}" if query else f"/{encoded(key)}"


def _output(of: Transform) -> Iterator[tuple[str, str]]:
    kind = suffix(of.format, "auto")
    if kind == "auto":
        yield "auto", "format"
    elif kind:
        yield "fm", kind
    if isinstance(of.quality, int):
        yield "q", f"{of.quality}"
    if of.dpr_percent is not None:
        yield "dpr", f"{of.dpr_percent / 100:g}"


def _parameters(op: Operation) -> Iterator[tuple[str, str]]:
    match op:
        case Resize():
            if op.width is not None:
                yield "w", pixels(op.width)
            if op.height is not None:
                yield "h", pixels(op.height)
            if op.ratio is not None:
                yield "ar", f"{op.ratio.numerator}:{op.ratio.denominator}"
            yield "fit", word(_FITS, (op.fit, op.enlarge))
            if op.gravity != CENTER:
                yield from _position(op.gravity)
            if op.fit is Fit.CONTAIN:
                yield "bg", plain(op.background).hex
        case Crop(width=int(width), height=int(height), ratio=None, at=Offset(int(x), int(y))):
            yield "rect", f"{x},{y},{width},{height}"
        case Flatten(colour):
            yield "bg", colour.hex
        case Turn.HFLIP | Turn.VFLIP:
            yield "flip", op.value[0]
        case Blur(sigma_px):
            yield "blur", f"{round(20 * sigma_px)}"
        case Sharpen(sigma_px):
            yield "sharp", f"{round(40 * (sigma_px - 0.5))}"
        case UnsharpMask(sigma_px, percent, 0):
            yield "usm", f"{percent}"
            yield "usmrad", f"{sigma_px:g}"
        case Exposure(stops):
            yield "exp", f"{50 * stops:g}"
        case Duotone(dark, light):
            yield "duotone", f"{dark.hex},{light.hex}"
        case Ellipse():
            yield "mask", "ellipse"
        case Rounded(radii_px):
            yield "mask", "corners"
            yield "corner-radius", ",".join(map(str, radii_px))
        case Pixelate(side_px):
            yield "px", f"{side_px}"
        case Hue(degrees):
            yield "hue", f"{degrees}"
        case Remap.NEGATE:
            yield "invert", "true"
        case Adjust(tone, percent):
            yield word(_TONES, tone), f"{percent}"
        case _:
            raise NotWritable


def _position(gravity: Gravity) -> Iterator[tuple[str, str]]:
    match gravity:
        case Smart.ATTENTION:
            yield "crop", "edges"
        case Smart.ENTROPY:
            yield "crop", "entropy"
        case Smart.FACE | Smart.FACES:
            yield "crop", "faces"
        case FocalPoint(x, y) if x in COLUMNS and y in ROWS:
            yield "crop", ",".join(filter(None, (ROWS[y], COLUMNS[x])))
        case FocalPoint(x, y):
            yield "crop", "focalpoint"
            yield "fp-x", f"{x:g}"
            yield "fp-y", f"{y:g}"
        case _:
            raise NotWritable
