"""Writes ImageKit's URLs: a step for each operation."""

from collections.abc import Iterator

from proxy.core.transform.operations import (
    CENTER,
    Adjust,
    Blur,
    Crop,
    Ellipse,
    Enlarge,
    Fit,
    Flatten,
    Offset,
    Operation,
    Resize,
    Rounded,
    Tone,
    Transform,
    Turn,
)
from proxy.core.url.dialects.imagekit.steps import FITS
from proxy.core.url.dialects.imagekit.values import FOCUS
from proxy.core.url.dialects.writing import NotWritable, pixels, plain, suffix, word
from proxy.core.url.target import encoded

_CROPS = {
    **{f"c-{name}": fit for name, fit in FITS.items()},
    "cm-pad_resize": (Fit.CONTAIN, Enlarge.ALLOW),
}


def write(transform: Transform, key: str) -> str:
    """The target below a mount. Raises NotWritable."""
    steps = [",".join(_step(op)) for op in transform.ops]
    steps.append(",".join(_output(transform)))
    return f"/tr:{':'.join(filter(None, steps))}/{encoded(key)}"


def _output(of: Transform) -> Iterator[str]:
    yield f"f-{suffix(of.format, 'auto') or 'orig'}"
    if isinstance(of.quality, int):
        yield f"q-{of.quality}"


def _step(op: Operation) -> Iterator[str]:
    match op:
        case Resize():
            if op.width is not None:
                yield f"w-{pixels(op.width)}"
            if op.height is not None:
                yield f"h-{pixels(op.height)}"
            if op.ratio is not None:
                yield f"ar-{op.ratio.numerator}-{op.ratio.denominator}"
            yield word(_CROPS, (op.fit, op.enlarge))
            if op.gravity != CENTER:
                yield f"fo-{word(FOCUS, op.gravity)}"
            if op.fit is Fit.CONTAIN:
                yield f"bg-{plain(op.background).hex}"
        case Crop(width=width, height=height, ratio=None, at=at):
            yield f"w-{pixels(width)},h-{pixels(height)},cm-extract"
            if isinstance(at, Offset):
                yield f"x-{pixels(at.x)},y-{pixels(at.y)}"
            elif at != CENTER:
                yield f"fo-{word(FOCUS, at)}"
        case Rounded(radii_px):
            yield f"r-{'_'.join(map(str, radii_px))}"
        case Ellipse():
            yield "r-max"
        case Flatten(colour):
            yield f"bg-{colour.hex}"
        case Turn.HFLIP | Turn.VFLIP:
            yield f"fl-{op.value[0]}"
        case Turn.R90 | Turn.R180 | Turn.R270:
            yield f"rt-{op}"
        case Blur(sigma_px):
            yield f"bl-{round(2 * sigma_px)}"
        case Adjust(Tone.GRAYSCALE):
            yield "e-grayscale"
        case _:
            raise NotWritable
