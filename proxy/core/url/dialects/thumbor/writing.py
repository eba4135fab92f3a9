"""Writes thumbor's URLs, unsigned."""

from collections.abc import Iterator
from urllib.parse import quote

from proxy.core.transform.lengths import Length, Part
from proxy.core.transform.operations import (
    Adjust,
    Crop,
    Enlarge,
    Fit,
    FocalPoint,
    Gravity,
    Offset,
    Operation,
    Overlay,
    Pixelate,
    Remap,
    Resize,
    Rgb,
    Shifted,
    Smart,
    Tone,
    Transform,
    Turn,
)
from proxy.core.url.dialects.writing import COLUMNS, ROWS, NotWritable, pixels, plain, suffix
from proxy.core.url.target import encoded

_ROTATIONS = {Turn.R90: 270, Turn.R180: 180, Turn.R270: 90}


def write(transform: Transform, key: str) -> str:
    """The target below a mount. Raises NotWritable."""
    parts: list[str] = []
    filters: list[str] = []
    for op in transform.ops:
        match op:
            case Crop(width=int(width), height=int(height), ratio=None, at=Offset(int(x), int(y))):
                parts.append(f"{x}x{y}:{x + width}x{y + height}")
            case Resize(ratio=None):
                parts += _size(op)
                filters += _of_size(op)
            case _:
                filters.append(_filter(op))
    filters += _output(transform)
    if filters:
        parts.append(f"filters:{':'.join(filters)}")
    return "/".join(("/unsafe", *parts, encoded(key)))


def _size(op: Resize) -> Iterator[str]:
    if op.fit in (Fit.INSIDE, Fit.CONTAIN) and op.is_box:
        yield "fit-in"
    elif op.fit is Fit.OUTSIDE:
        yield "full-fit-in"
    elif op.fit is Fit.FILL:
        yield "stretch"
    yield f"{pixels(op.width)}x{pixels(op.height)}"
    if op.fit is Fit.COVER:
        yield from _position(op.gravity)


def _position(gravity: Gravity) -> Iterator[str]:
    match gravity:
        case Smart.ATTENTION:
            yield "smart"
        case FocalPoint(x, y) if x in COLUMNS and y in ROWS:
            yield from filter(None, (COLUMNS[x], ROWS[y]))
        case _:
            raise NotWritable


def _of_size(op: Resize) -> Iterator[str]:
    enlarges = op.enlarge is Enlarge.ALLOW
    if op.fit in (Fit.INSIDE, Fit.CONTAIN) and op.is_box:
        yield from ["upscale()"] if enlarges else []
    elif not enlarges:
        yield "no_upscale()"
    if op.fit is Fit.CONTAIN:
        yield f"fill({plain(op.background).hex})"


def _filter(op: Operation) -> str:
    match op:
        case Turn() if op in _ROTATIONS:
            return f"rotate({_ROTATIONS[op]})"
        case Pixelate(side_px):
            return f"pixelate({side_px})"
        case Rgb(red, green, blue):
            return f"rgb({red},{green},{blue})"
        case Remap.EQUALIZE:
            return "equalize()"
        case Overlay(of=str() as key, at=Shifted(FocalPoint(0 | 1, 0 | 1), int(x), int(y))):
            sides = ["none" if side is None else _percent(side) for side in (op.width, op.height)]
            return f"watermark({quote(key, safe='')},{x},{y},{100 - op.opacity_percent},{','.join(sides)})"
        case Adjust(Tone.GRAYSCALE_601):
            return "grayscale()"
        case Adjust(Tone.SATURATION_HSP, percent):
            return f"saturation({1 + percent / 100:g})"
    raise NotWritable


def _percent(side: Length) -> str:
    if not isinstance(side, Part):
        raise NotWritable
    return f"{round(100 * side.fraction)}"


def _output(of: Transform) -> Iterator[str]:
    if kind := suffix(of.format):
        yield f"format({'jpeg' if kind == 'jpg' else kind})"
    if isinstance(quality := dict(of.encoder_qualities).get(None, of.quality), int):
        yield f"quality({quality})"
    if of.max_bytes is not None:
        yield f"max_bytes({of.max_bytes})"
