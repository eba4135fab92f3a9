"""Writes imgproxy's URLs, unsigned and with the original in plain text. imgproxy applies options in an order of its own."""

from collections.abc import Iterator

from proxy.core.transform.operations import (
    CENTER,
    Blur,
    Crop,
    Enlarge,
    Fit,
    Flatten,
    FocalPoint,
    Gravity,
    Operation,
    Pad,
    Pixelate,
    Resize,
    Sharpen,
    Shifted,
    Smart,
    Transform,
    Turn,
)
from proxy.core.url.dialects.imgproxy.values import GRAVITIES
from proxy.core.url.dialects.writing import NotWritable, pixels, plain, suffix, word
from proxy.core.url.target import encoded

_TYPES = {
    "fit": (Fit.INSIDE, Enlarge.NEVER),
    "fill": (Fit.COVER, Enlarge.NEVER),
    "fill-down": (Fit.COVER, Enlarge.RATIO),
    "force": (Fit.FILL, Enlarge.RATIO),
    "fit::1": (Fit.INSIDE, Enlarge.ALLOW),
    "fill::1": (Fit.COVER, Enlarge.ALLOW),
    "force::1": (Fit.FILL, Enlarge.ALLOW),
    "fit::0:1": (Fit.CONTAIN, Enlarge.NEVER),
    "fit::1:1": (Fit.CONTAIN, Enlarge.ALLOW),
}
"""The types of `resize`, with the arguments behind the sides: `enlarge` and `extend`."""

_POINTS = {name: point for name, (point, _, _) in GRAVITIES.items()}


def write(transform: Transform, key: str) -> str:
    """The target below a mount. Raises NotWritable."""
    options = [option for op in transform.ops for option in _options(op)]
    options += _output(transform)
    kind = suffix(transform.format)
    return "/".join(("/unsafe", *options, f"plain/{encoded(key)}")) + (f"@{kind}" if kind else "")


def _output(of: Transform) -> Iterator[str]:
    qualities = dict(of.encoder_qualities)
    if isinstance(quality := qualities.get(None, of.quality), int):
        yield f"q:{quality}"
    for name, value in (("dpr", of.dpr_percent and of.dpr_percent / 100), ("mb", of.max_bytes)):
        if value is not None:
            yield f"{name}:{value:g}"


def _options(op: Operation) -> Iterator[str]:
    match op:
        case Resize(ratio=None):
            kind, _, rest = word(_TYPES, (op.fit, op.enlarge)).partition("::")
            sides = f"{pixels(op.width)}:{pixels(op.height)}"
            yield f"rs:{kind}:{sides}{':' if rest else ''}{rest}"
            if op.gravity != CENTER:
                yield f"g:{_gravity(op.gravity)}"
            if op.fit is Fit.CONTAIN:
                yield f"bg:{plain(op.background).hex}"
        case Crop(width=width, height=height, ratio=None, at=(FocalPoint() | Smart() | Shifted()) as at):
            yield f"c:{pixels(width)}:{pixels(height)}:{_gravity(at)}"
        case Pad():
            yield f"pd:{op.top_px}:{op.right_px}:{op.bottom_px}:{op.left_px}"
            if plain(op.background).alpha:
                yield f"bg:{plain(op.background).hex}"
        case Flatten(colour):
            yield f"bg:{colour.hex}"
        case Turn():
            mirrored, quarters = op.parts
            if mirrored:
                yield "fl:1"
            if quarters:
                yield f"rot:{90 * quarters}"
        case Blur(sigma_px):
            yield f"bl:{sigma_px:g}"
        case Sharpen(sigma_px):
            yield f"sh:{sigma_px:g}"
        case Pixelate(side_px):
            yield f"pix:{side_px}"
        case _:
            raise NotWritable


def _gravity(gravity: Gravity) -> str:
    match gravity:
        case Smart.ATTENTION:
            return "sm"
        case FocalPoint(x, y) if gravity not in _POINTS.values():
            return f"fp:{x:g}:{y:g}"
        case Shifted(point, int(x), int(y)):
            name = word(_POINTS, point)
            _, across, down = GRAVITIES[name]
            return f"{name}:{across * x}:{down * y}"
    return word(_POINTS, gravity)
