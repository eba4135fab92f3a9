"""Transform + format + limits -> Plan: the ordered pixel steps and the encoding, with no "auto" left.

The cache key contains the Plan, and the worker renders it: equal Plans of an original are equal pictures. A Plan has
output pixels, fractions and encoder settings and no URL parameters, so that every dialect resolves to the same steps.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import assert_never

from proxy.core.image.formats import TRAITS, Format
from proxy.core.image.size import Size
from proxy.core.transform.geometry import multiplied, scaled_into
from proxy.core.transform.operations import (
    CENTER,
    WHITE,
    Adjust,
    Blur,
    Colour,
    Effect,
    Fit,
    FocalPoint,
    Gravity,
    Sharpen,
    Smart,
    Transform,
    Turn,
    changes_nothing,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleInside:
    """To the largest size of the same aspect within the box; enlarges only with `enlarge`."""

    box: Size
    enlarge: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleOutside:
    """To the smallest size of the same aspect that covers the box, within `max_side_px` if given."""

    box: Size
    max_side_px: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleTo:
    """To exactly this size, stretched."""

    box: Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """Crops to `box`; the picture covers it."""

    box: Size
    gravity: FocalPoint | Smart


@dataclass(frozen=True, slots=True, kw_only=True)
class Pad:
    """Pads the picture to `box`; `position` is where the picture lies within it."""

    box: Size
    position: FocalPoint
    background: Colour


Scale = ScaleInside | ScaleOutside | ScaleTo
Step = Crop | Pad | Turn | Effect


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
    """Orientation first, then `scale`, then `steps` in order, then `output`."""

    scale: Scale
    steps: tuple[Step, ...]
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
        return Plan(
            scale=ScaleInside(box=Size(_PLACEHOLDER_PX, _PLACEHOLDER_PX), enlarge=False),
            steps=(),
            output=Describe(gps=defaults.gps),
        )
    max_side_px = min(defaults.max_side_px, TRAITS[kind].max_side_px)
    scale, cut = _sizing(transform, max_side_px)
    if isinstance(cut, Pad) and not TRAITS[kind].alpha:
        cut = Pad(box=cut.box, position=cut.position, background=_opaque(cut.background))
    steps: list[Step] = []
    if cut is not None:
        steps.append(cut)
    if transform.turn is not None:
        steps.append(transform.turn)
    steps.extend(effect for effect in transform.effects or () if not changes_nothing(effect))
    return Plan(
        scale=scale,
        steps=tuple(steps),
        output=Encode(
            format=kind,
            quality=encoder_quality(
                kind, defaults.quality if transform.quality is None else transform.quality
            ),
            effort=defaults.effort.get(kind, 0),
            flatten=None if TRAITS[kind].alpha else _opaque(transform.background or WHITE),
        ),
    )


def box_of(transform: Transform, max_side_px: int) -> Size:
    """The requested box times the device pixel ratio, scaled down to `max_side_px`. An unset side is `max_side_px`."""
    width_px = multiplied(transform.width_px, transform.dpr_percent)
    height_px = multiplied(transform.height_px, transform.dpr_percent)
    if width_px is None or height_px is None:
        return Size(min(width_px or max_side_px, max_side_px), min(height_px or max_side_px, max_side_px))
    return scaled_into(Size(width_px, height_px), max_side_px)


def _sizing(transform: Transform, max_side_px: int) -> tuple[Scale, Crop | Pad | None]:
    box = box_of(transform, max_side_px)
    if not transform.has_box:
        return ScaleInside(box=box, enlarge=False), None
    match transform.fit:
        case None | Fit.INSIDE:
            return ScaleInside(box=box, enlarge=False), None
        case Fit.OUTSIDE:
            return ScaleOutside(box=box, max_side_px=max_side_px), None
        case Fit.FILL:
            return ScaleTo(box=box), None
        case Fit.COVER:
            return ScaleOutside(box=box, max_side_px=None), Crop(
                box=box, gravity=_gravity_or_center(transform.gravity)
            )
        case Fit.CONTAIN:
            position = transform.gravity if isinstance(transform.gravity, FocalPoint) else CENTER
            pad = Pad(box=box, position=position, background=transform.background or WHITE)
            return ScaleInside(box=box, enlarge=True), pad
    assert_never(transform.fit)


def _gravity_or_center(gravity: Gravity | None) -> FocalPoint | Smart:
    """Without a face detector, `face` is the same as attention."""
    return Smart.ATTENTION if gravity is Smart.FACE else gravity or CENTER


def _opaque(colour: Colour) -> Colour:
    """`colour` composited on white."""
    red, green, blue = (
        (channel * colour.alpha + 255 * (255 - colour.alpha) + 127) // 255
        for channel in (colour.red, colour.green, colour.blue)
    )
    return Colour(red, green, blue)


def canonical(plan: Plan) -> str:
    """The Plan as text, as it enters the cache key. A changed text empties every cache."""
    return " ".join([_scale_text(plan.scale), *map(_step_text, plan.steps), _output_text(plan.output)])


def _scale_text(scale: Scale) -> str:
    match scale:
        case ScaleInside(box=box, enlarge=enlarge):
            return f"{'within' if enlarge else 'inside'}:{box}"
        case ScaleOutside(box=box, max_side_px=max_side_px):
            return f"outside:{box}" + (f":{max_side_px}" if max_side_px else "")
        case ScaleTo(box=box):
            return f"to:{box}"
    assert_never(scale)


def _step_text(step: Step) -> str:
    match step:
        case Crop(box=box, gravity=gravity):
            return f"crop:{box}:{_gravity_text(gravity)}"
        case Pad(box=box, position=position, background=background):
            return f"pad:{box}:{_gravity_text(position)}:{background.hex}"
        case Turn():
            return f"turn:{step}"
        case Blur(sigma_px):
            return f"blur:{sigma_px:g}"
        case Sharpen(sigma_px):
            return f"sharpen:{sigma_px:g}"
        case Adjust(tone, percent):
            return f"{tone}:{percent}"
    assert_never(step)


def _gravity_text(gravity: FocalPoint | Smart) -> str:
    return str(gravity) if isinstance(gravity, Smart) else f"{gravity.x:g},{gravity.y:g}"


def _output_text(output: Output) -> str:
    match output:
        case Describe(gps=gps):
            return f"describe{':gps' if gps else ''} {output.format}:e0"
        case Encode(format=kind, quality=quality, effort=effort, flatten=flatten):
            scale = "" if quality is None else f":q{quality}"
            return f"{kind}{scale}:e{effort}" + ("" if flatten is None else f":on{flatten.hex}")
    assert_never(output)
