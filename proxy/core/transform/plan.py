"""Transform + format + limits -> Plan: the operations in order and the encoding, with no "auto" left.

The cache key contains the Plan, and the worker renders it: equal Plans of an original are equal pictures. A Plan has
pixels, fractions and encoder settings and no URL parameters, so that every dialect resolves to the same operations.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import assert_never

from proxy.core.image.formats import TRAITS, Format
from proxy.core.transform.layout import boxed
from proxy.core.transform.operations import (
    WHITE,
    Adjust,
    Blur,
    Colour,
    Crop,
    Fit,
    FocalPoint,
    Gravity,
    Offset,
    Operation,
    Resize,
    Sharpen,
    Smart,
    Transform,
    Turn,
    without_no_ops,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Encode:
    """`quality` is on the encoder's own scale, None if the format is lossless; transparency is flattened on
    `flatten`."""

    format: Format
    quality: int | None
    effort: int
    flatten: Colour | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Describe:
    """Describes the original as JSON instead of rendering it; includes the location only with `gps`."""

    gps: bool

    @property
    def format(self) -> Format:
        return Format.INFO


Output = Encode | Describe


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Orientation first, then `ops` in order, then `output`. No side of the result exceeds `limit_px`."""

    ops: tuple[Operation, ...]
    limit_px: int
    output: Output


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderDefaults:
    """Defaults of the configuration: JPEG-scale quality 1 to 100, effort per format, the largest output side in
    pixels, and whether `/info/` includes the GPS location."""

    quality: int
    effort: dict[Format, int]
    max_side_px: int
    gps: bool = False


_PLACEHOLDER_PX = 48
"""The longest side of the thumbnail that placeholders and colours are computed from."""

# One perceptual scale: anchors of equal SSIMULACRA2 score (60 and 75) against JPEG, on six Kodak photographs.
_ANCHORS: dict[Format, tuple[tuple[int, int], ...]] = {
    Format.JPEG: ((1, 1), (100, 100)),
    Format.WEBP: ((1, 1), (49, 54), (77, 80), (100, 100)),
    Format.AVIF: ((1, 1), (49, 52), (77, 66), (100, 100)),
}


def encoder_quality(kind: Format, quality: int) -> int | None:
    """JPEG-scale `quality`, 1 to 100, on the scale of the encoder of `kind`; None if that is lossless."""
    anchors = _ANCHORS.get(kind)
    if anchors is None:
        return None
    (x0, y0), (x1, y1) = next(pair for pair in pairwise(anchors) if quality <= pair[1][0])
    span = x1 - x0
    return (2 * (y0 * span + (quality - x0) * (y1 - y0)) + span) // (2 * span)


def resolve(transform: Transform, kind: Format, defaults: RenderDefaults) -> Plan:
    """The Plan for `transform` in format `kind`. Parameters without an effect do not appear in it."""
    if kind is Format.INFO:
        small = Resize(width=_PLACEHOLDER_PX, height=_PLACEHOLDER_PX)
        return Plan(ops=(small,), limit_px=_PLACEHOLDER_PX, output=Describe(gps=defaults.gps))
    limit_px = min(defaults.max_side_px, TRAITS[kind].max_side_px)
    has_alpha = TRAITS[kind].alpha
    return Plan(
        ops=tuple(_resolved(op, transform, limit_px, has_alpha) for op in without_no_ops(transform).ops),
        limit_px=limit_px,
        output=Encode(
            format=kind,
            quality=encoder_quality(
                kind, defaults.quality if transform.quality is None else transform.quality
            ),
            effort=defaults.effort.get(kind, 0),
            flatten=None if has_alpha else (transform.background or WHITE).on_white,
        ),
    )


def _resolved(op: Operation, transform: Transform, limit_px: int, has_alpha: bool) -> Operation:
    match op:
        case Resize():
            return replace(
                boxed(op, transform.dpr_percent or 100, limit_px),
                gravity=_without_faces(op.gravity),
                background=op.background if has_alpha else op.background.on_white,
            )
        case Crop(at=Smart() as smart):
            return replace(op, at=_without_faces(smart))
        case _:
            return op


def _without_faces(gravity: Gravity) -> Gravity:
    """Without a face detector, `face` is the same as attention."""
    return Smart.ATTENTION if gravity is Smart.FACE else gravity


def canonical(plan: Plan) -> str:
    """The Plan as text, as it enters the cache key. A changed text empties every cache."""
    return " ".join([*map(_text, plan.ops), f"limit:{plan.limit_px}", _output_text(plan.output)])


def _text(op: Operation) -> str:
    match op:
        case Resize():
            ending = f":{_position_text(op.gravity)}" if op.fit in (Fit.COVER, Fit.CONTAIN) else ""
            if op.fit is Fit.CONTAIN:
                ending += f":{op.background.hex}"
            return f"resize:{_box_text(op)}:{op.fit}:{op.enlarge}{ending}"
        case Crop(at=at):
            return f"crop:{_box_text(op)}:{_position_text(at)}"
        case Turn():
            return f"turn:{op}"
        case Blur(sigma_px):
            return f"blur:{sigma_px:g}"
        case Sharpen(sigma_px):
            return f"sharpen:{sigma_px:g}"
        case Adjust(tone, percent):
            return f"{tone}:{percent}"
    assert_never(op)


def _box_text(op: Resize | Crop) -> str:
    ratio = "" if op.ratio is None else f"/{op.ratio.numerator}:{op.ratio.denominator}"
    return f"{op.width or ''}x{op.height or ''}{ratio}"


def _position_text(position: Gravity | Offset) -> str:
    match position:
        case FocalPoint(x, y):
            return f"{x:g},{y:g}"
        case Offset(x, y):
            return f"+{x}+{y}"
        case Smart():
            return position.value
    assert_never(position)


def _output_text(output: Output) -> str:
    match output:
        case Describe(gps=gps):
            return f"describe{':gps' if gps else ''} {output.format}:e0"
        case Encode(format=kind, quality=quality, effort=effort, flatten=flatten):
            scale = "" if quality is None else f":q{quality}"
            return f"{kind}{scale}:e{effort}" + ("" if flatten is None else f":on{flatten.hex}")
    assert_never(output)
