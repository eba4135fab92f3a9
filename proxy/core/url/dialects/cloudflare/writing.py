"""Writes the URLs of Cloudflare Images. Cloudflare applies options in an order of its own."""

from collections.abc import Iterator

from proxy.core.transform.operations import (
    CENTER,
    Adjust,
    Blur,
    Fit,
    Flatten,
    FocalPoint,
    Gamma,
    Gravity,
    Operation,
    Resize,
    Sharpen,
    Tone,
    Transform,
    Turn,
)
from proxy.core.url.dialects.cloudflare.readers import FITS, GRAVITIES
from proxy.core.url.dialects.writing import NotWritable, pixels, plain, suffix, word
from proxy.core.url.target import encoded


def write(transform: Transform, key: str) -> str:
    """The target below a mount. Raises NotWritable."""
    options = [f"{name}={value}" for op in transform.ops for name, value in _options(op)]
    options += [f"{name}={value}" for name, value in _output(transform)]
    if not options:
        raise NotWritable
    return f"/cdn-cgi/image/{','.join(options)}/{encoded(key)}"


def _output(of: Transform) -> Iterator[tuple[str, str]]:
    if kind := suffix(of.format, "auto"):
        yield "format", "jpeg" if kind == "jpg" else kind
    if isinstance(of.quality, int):
        yield "quality", f"{of.quality}"
    if of.dpr_percent is not None:
        yield "dpr", f"{of.dpr_percent / 100:g}"


def _options(op: Operation) -> Iterator[tuple[str, str]]:
    match op:
        case Resize(ratio=None):
            if op.width is not None:
                yield "width", pixels(op.width)
            if op.height is not None:
                yield "height", pixels(op.height)
            yield "fit", word(FITS, (op.fit, op.enlarge))
            if op.gravity != CENTER:
                yield "gravity", _gravity(op.gravity)
            if op.fit is Fit.CONTAIN:
                yield "background", f"%23{plain(op.background).hex}"
        case Flatten(colour):
            yield "background", f"%23{colour.hex}"
        case Turn.HFLIP | Turn.VFLIP:
            yield "flip", op.value[0]
        case Turn.R90 | Turn.R180 | Turn.R270:
            yield "rotate", op.value
        case Blur(sigma_px):
            yield "blur", f"{2 * sigma_px:g}"
        case Sharpen(sigma_px):
            yield "sharpen", f"{sigma_px:g}"
        case Gamma(gamma):
            yield "gamma", f"{gamma:g}"
        case Adjust((Tone.BRIGHTNESS | Tone.CONTRAST | Tone.SATURATION) as tone, percent):
            yield tone.value, f"{1 + percent / 100:g}"
        case _:
            raise NotWritable


def _gravity(gravity: Gravity) -> str:
    match gravity:
        case FocalPoint(x, y) if gravity not in GRAVITIES.values():
            return f"{x:g}x{y:g}"
    return word(GRAVITIES, gravity)
