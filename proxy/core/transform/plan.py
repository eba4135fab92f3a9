"""Transform + format + limits -> Plan: the operations in order and the encoding, with no "auto" left.

The cache key contains the Plan, and the worker renders it: equal Plans of an original are equal pictures. A Plan has
pixels, fractions and encoder settings and no URL parameters, so that every dialect resolves to the same operations.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from proxy.core.errors import BadTransform
from proxy.core.image.faces import Faces
from proxy.core.image.formats import TRAITS, Format
from proxy.core.image.original import OriginalRef
from proxy.core.transform.layout import boxed, enlarged, layered
from proxy.core.transform.lengths import Relative
from proxy.core.transform.operations import (
    WHITE,
    Choice,
    Colour,
    Crop,
    Extend,
    Fit,
    Flatten,
    Metadata,
    Operation,
    Overlay,
    Pad,
    Resize,
    Smart,
    Transform,
    Turn,
    effective,
    face_gravity,
    hides_faces,
    with_branches,
)
from proxy.core.transform.quality import LOSSY, avif_effort, drawing_effort, encoder_quality
from proxy.core.transform.quality_level import QualityLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class Encode:
    """`quality` is on the encoder's own scale, or a level, for which the picture decides it; None if the format is lossless. It is reduced until the variant has at most
    `max_bytes`, as far as that is possible. Transparency is flattened on `flatten`. With `keeps_copyright` the copyright
    fields of the original's metadata are written too. `has_other_quality`: it is not the default quality. `drawing_effort` is the effort for a
    drawing, if it is another."""

    format: Format
    quality: int | QualityLevel | None
    effort: int
    flatten: Colour | None
    max_bytes: int | None = None
    keeps_copyright: bool = False
    has_other_quality: bool = False
    drawing_effort: int | None = None

    @property
    def may_be_original(self) -> bool:
        """Whether the picture data of an original that is shown as it is may be sent instead, if they are smaller."""
        return not self.has_other_quality and self.max_bytes is None and not self.keeps_copyright


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
    """Orientation first, then `ops` in order, then `output`. No side of the result exceeds `limit_px`.

    `page`, from 1, is the one page of an animation to draw, or the last one beyond its end; without it an output that
    animates has all pages, at most `frames` of them, and any other output has the first.
    `face_detector` is the version of the face detector; empty if `ops` look for no faces. `faces`, for the worker, are
    what it has found in the original; they are no part of the key, because original and version decide them. `further`
    are the originals that `ops` use beside the one that is rendered.
    """

    ops: tuple[Operation, ...]
    limit_px: int
    output: Output
    further: tuple[OriginalRef, ...] = ()
    face_detector: str = ""
    faces: Faces | None = None
    page: int | None = None
    frames: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderDefaults:
    """Defaults of the configuration: JPEG-scale quality 1 to 100, effort per format (if AVIF has none, it
    depends on the size), the largest output side in pixels, and whether `/info/` includes the GPS location; and the version of
    the face detector, empty without one."""

    quality: int
    effort: dict[Format, int]
    max_side_px: int
    gps: bool = False
    face_detector: str = ""


_PLACEHOLDER_PX = 48
"""The longest side of the thumbnail that placeholders and colours are computed from."""


def resolve(transform: Transform, kind: Format, defaults: RenderDefaults) -> Plan:
    """The Plan for `transform` in format `kind`. Parameters without an effect do not appear in it. Raises BadTransform if it
    hides faces and the node cannot find any."""
    if kind is Format.INFO:
        small = Resize(width=_PLACEHOLDER_PX, height=_PLACEHOLDER_PX)
        return Plan(ops=(small,), limit_px=_PLACEHOLDER_PX, output=Describe(gps=defaults.gps))
    limit_px = min(defaults.max_side_px, TRAITS[kind].max_side_px)
    has_alpha, animates = TRAITS[kind].alpha, TRAITS[kind].animation
    ops = tuple(_resolved(op, transform, limit_px, has_alpha) for op in effective(transform.ops))
    page = transform.still_page
    side_px = requested_side_px(ops, limit_px)
    quality = _quality(transform, kind, defaults, side_px)
    effort, of_drawing = _efforts(kind, defaults, side_px)
    hiding = hides_faces(ops)
    if hiding and not defaults.face_detector:
        raise BadTransform(
            "this node cannot hide faces: it has no face detector, which the extra faces installs"
        )
    seeks_faces = hiding or any(map(face_gravity, with_branches(ops)))
    if seeks_faces and not defaults.face_detector:
        ops = tuple(map(_without_faces, ops))
    ops, flatten = _padded_as_one(ops), None
    if not has_alpha:
        ops, flatten = _flattened_last(ops, (transform.background or WHITE).on_white)
    return Plan(
        ops=ops,
        limit_px=limit_px,
        further=transform.further,
        face_detector=defaults.face_detector if seeks_faces else "",
        page=page if animates or page != 1 else None,
        frames=transform.frames if animates and page is None else None,
        output=Encode(
            format=kind,
            quality=quality,
            effort=effort,
            drawing_effort=of_drawing if of_drawing != effort else None,
            flatten=flatten,
            max_bytes=transform.max_bytes if kind in LOSSY else None,
            keeps_copyright=TRAITS[kind].metadata and transform.metadata is Metadata.COPYRIGHT,
            has_other_quality=quality != encoder_quality(kind, defaults.quality, side_px),
        ),
    )


def _padded_as_one(ops: tuple[Operation, ...]) -> tuple[Operation, ...]:
    """`ops` with a resize into a box and an extension to that box as one operation."""
    found: list[Operation] = []
    for op in ops:
        match found[-1:], op:
            case (
                [Resize(fit=Fit.INSIDE, ratio=None) as resize],
                Extend(width_px=int(), height_px=int(), ratio=None),
            ) if (resize.width, resize.height) == (op.width_px, op.height_px) and _is_extendable(resize):
                found[-1] = replace(resize, fit=Fit.CONTAIN, gravity=op.gravity, background=op.background)
            case _:
                found.append(op)
    return tuple(found)


def _is_extendable(op: Resize) -> bool:
    """Whether padding to the box of `op` is extending its result to that box."""
    return not op.enlarge.by_original and not op.is_bounded


def _flattened_last(ops: tuple[Operation, ...], flatten: Colour) -> tuple[tuple[Operation, ...], Colour]:
    """`ops` without a flattening that only turns follow, and the colour that the output is flattened on instead of
    `flatten`."""
    last = len(ops)
    while last and isinstance(ops[last - 1], Turn):
        last -= 1
    match ops[:last]:
        case (*before, Flatten(colour)):
            return (*before, *ops[last:]), colour
    # A flattened canvas remains opaque.
    return ops, WHITE if any(isinstance(op, Flatten) for op in ops) else flatten


def _quality(
    transform: Transform, kind: Format, defaults: RenderDefaults, side_px: int
) -> int | QualityLevel | None:
    """The quality on the scale of the encoder, or a level: the most specific one of `transform`."""
    if kind not in LOSSY:
        return None
    of_encoder, of_format = dict(transform.encoder_qualities), dict(transform.qualities)
    if kind in of_encoder:
        return of_encoder[kind]
    if kind in of_format:
        return encoder_quality(kind, of_format[kind], side_px)
    if None in of_encoder:
        return of_encoder[None]
    quality = defaults.quality if transform.quality is None else transform.quality
    if isinstance(quality, QualityLevel):
        return quality
    return encoder_quality(kind, quality, side_px)


def _efforts(kind: Format, defaults: RenderDefaults, side_px: int) -> tuple[int, int]:
    """The efforts for photographs and for drawings."""
    if kind is Format.AVIF and kind not in defaults.effort:
        return avif_effort(side_px), drawing_effort(side_px)
    effort = defaults.effort.get(kind, 0)
    return effort, effort


def requested_side_px(ops: Sequence[Operation], limit_px: int) -> int:
    """About how large the result is: the side of a square as large as the last box that is filled, the shorter side of one
    that the picture is fitted into; `limit_px` where the size depends on the original alone."""
    least_px = 0
    for op in reversed(ops):
        match op:
            case Resize(width=width, height=height):
                if isinstance(width, Relative) or isinstance(height, Relative):
                    return limit_px
                sides = (width or limit_px, height or limit_px)
                side_px = min(sides) if op.fit is Fit.INSIDE else math.isqrt(math.prod(sides))
                return min(max(side_px, least_px, op.min_width_px or 0, op.min_height_px or 0), limit_px)
            case Crop(width=int() as width, height=int() as height):
                return min(max(math.isqrt(width * height), least_px), limit_px)
            case Extend(width_px=width_px, height_px=height_px):
                least_px = max(least_px, width_px or 0, height_px or 0)
            case Pad():
                least_px = max(least_px, op.left_px + op.right_px, op.top_px + op.bottom_px)
            case Choice():
                return limit_px
    return limit_px


def _resolved(op: Operation, transform: Transform, limit_px: int, has_alpha: bool) -> Operation:
    match op:
        case Resize():
            op = boxed(op, transform.dpr_percent or 100, limit_px)
            return op if has_alpha or op.background == WHITE else _on_white(op)
        case Extend() | Pad():
            larger = enlarged(op, transform.dpr_percent or 100)
            return larger if has_alpha else _on_white(larger)
        case Overlay():
            return layered(op, transform.dpr_percent or 100)
        case Flatten(colour):
            return Flatten(colour.on_white)
        case Choice(condition, then, otherwise):
            return Choice(
                condition,
                tuple(_resolved(each, transform, limit_px, has_alpha) for each in then),
                tuple(_resolved(each, transform, limit_px, has_alpha) for each in otherwise),
            )
        case _:
            return op


_Filled = TypeVar("_Filled", bound=Resize | Extend | Pad)


def _on_white(op: _Filled) -> _Filled:
    """`op` with the colour that its background has in a format without alpha."""
    return replace(op, background=op.background.on_white) if isinstance(op.background, Colour) else op


def _without_faces(op: Operation) -> Operation:
    """Without a face detector, attention takes the place of faces."""
    match op:
        case Resize() if face_gravity(op):
            return replace(op, gravity=Smart.ATTENTION)
        case Crop() if face_gravity(op):
            return replace(op, at=Smart.ATTENTION)
        case Choice(condition, then, otherwise):
            return Choice(condition, tuple(map(_without_faces, then)), tuple(map(_without_faces, otherwise)))
        case _:
            return op
