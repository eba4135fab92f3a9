"""Writes the URLs of ipx, which Nuxt Image uses. ipx applies modifiers in an order of its own."""

from collections.abc import Iterator

from proxy.core.transform.operations import (
    CENTER,
    Adjust,
    Blur,
    Crop,
    Enlarge,
    Fit,
    Flatten,
    Median,
    Offset,
    Operation,
    Remap,
    Resize,
    Sharpen,
    Threshold,
    Tone,
    Transform,
    Turn,
)
from proxy.core.url.dialects.next.ipx_modifiers import POSITIONS
from proxy.core.url.dialects.writing import NotWritable, pixels, plain, suffix, word
from proxy.core.url.target import encoded


def write(transform: Transform, key: str) -> str:
    """The target below a mount. Raises NotWritable."""
    modifiers = [modifier for op in transform.ops for modifier in _modifiers(op)]
    modifiers += _output(transform)
    return f"/_ipx/{','.join(modifiers) or '_'}/{encoded(key)}"


def _output(of: Transform) -> Iterator[str]:
    if kind := suffix(of.format, "auto"):
        yield f"f_{kind}"
    if isinstance(of.quality, int):
        yield f"q_{of.quality}"


def _modifiers(op: Operation) -> Iterator[str]:
    match op:
        case Resize(ratio=None):
            if op.is_box:
                yield f"s_{pixels(op.width)}x{pixels(op.height)},fit_{op.fit}"
            else:
                yield f"w_{pixels(op.width)}" if op.width is not None else f"h_{pixels(op.height)}"
            if op.enlarge is Enlarge.ALLOW:
                yield "enlarge"
            if op.gravity != CENTER:
                yield f"position_{word(POSITIONS, op.gravity).replace(' ', '%20')}"
            if op.fit is Fit.CONTAIN:
                yield f"b_{plain(op.background).hex}"
        case Crop(width=width, height=height, ratio=None, at=Offset(x, y)):
            yield f"extract_{pixels(x)}_{pixels(y)}_{pixels(width)}_{pixels(height)}"
        case Flatten(colour):
            yield f"flatten,b_{colour.hex}"
        case Turn.VFLIP:
            yield "flip"
        case Turn.HFLIP:
            yield "flop"
        case Turn.R90 | Turn.R180 | Turn.R270:
            yield f"rotate_{op}"
        case Blur(sigma_px):
            yield f"blur_{sigma_px:g}"
        case Sharpen(sigma_px):
            yield f"sharpen_{sigma_px:g}"
        case Median(side_px):
            yield f"median_{side_px}"
        case Threshold(level):
            yield f"threshold_{level}"
        case Remap.NEGATE_ALPHA:
            yield "negate"
        case Remap.NORMALIZE:
            yield "normalize"
        case Adjust(Tone.GRAYSCALE):
            yield "grayscale"
        case _:
            raise NotWritable
