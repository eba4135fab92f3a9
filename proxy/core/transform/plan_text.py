"""A Plan as text, as it enters the cache key."""

from dataclasses import fields
from fractions import Fraction
from typing import assert_never
from urllib.parse import quote

from proxy.core.transform.operations import (
    Adjust,
    AsStored,
    Blur,
    Choice,
    CloseUp,
    Colour,
    Crop,
    Extend,
    Fit,
    Flatten,
    FocalPoint,
    Gravity,
    Offset,
    Operation,
    OriginalPoint,
    Overlay,
    Pad,
    Pixelate,
    Remap,
    Resize,
    Rounding,
    Sharpen,
    Shifted,
    Smart,
    Trim,
    Turn,
    TurnToShape,
    Watermark,
    background_text,
)
from proxy.core.transform.plan import Describe, Encode, Output, Plan


def canonical(plan: Plan) -> str:
    """The Plan as text, as it enters the cache key. A changed text empties every cache."""
    pages = [
        f"{name}:{number}"
        for name, number in (("page", plan.page), ("frames", plan.frames))
        if number is not None
    ]
    detector = [f"faces:{plan.face_detector}"] if plan.face_detector else []
    further = [f"original:{quote(ref.source)}:{quote(ref.key)}" for ref in plan.further]
    limit = f"limit:{plan.limit_px}"
    return " ".join([*pages, *map(_text, plan.ops), *detector, *further, limit, _output_text(plan.output)])


def _text(op: Operation) -> str:
    match op:
        case Resize():
            ending = (
                f":{_position_text(op.gravity)}" if op.fit in (Fit.COVER, Fit.CONTAIN, Fit.ADAPTIVE) else ""
            )
            if op.fit is Fit.CONTAIN:
                ending += f":{background_text(op.background)}"
            if op.min_width_px or op.min_height_px:
                ending += f":min{op.min_width_px or ''}x{op.min_height_px or ''}"
                ending += (
                    ""
                    if op.fit in (Fit.COVER, Fit.CONTAIN, Fit.ADAPTIVE)
                    else f":{_position_text(op.gravity)}"
                )
            if op.max_width_px or op.max_height_px:
                ending += f":max{op.max_width_px or ''}x{op.max_height_px or ''}"
            if op.rounding is not Rounding.HALF_UP:
                ending += f":{op.rounding}"
            return f"resize:{_box_text(op)}:{op.fit}:{op.enlarge}{ending}"
        case Crop(at=at):
            return f"crop:{_box_text(op)}:{_position_text(at)}"
        case Extend(ratio=by):
            box = f"{op.width_px or ''}x{op.height_px or ''}" + _ratio_text(by)
            return f"extend:{box}:{_position_text(op.gravity)}:{background_text(op.background)}"
        case Pad():
            sides = f"{op.top_px}:{op.right_px}:{op.bottom_px}:{op.left_px}"
            return f"pad:{sides}:{background_text(op.background)}"
        case Trim(colour=colour):
            alike = f"{'x' if op.equal_x else ''}{'y' if op.equal_y else ''}"
            corner = "lower-right" if op.from_lower_right else "auto"
            border = corner if colour is None else colour.hex if colour.alpha else "transparent"
            return f"trim:{op.threshold:g}:{border}:{alike}"
        case Turn():
            return f"turn:{op}"
        case TurnToShape(turn, is_wide):
            return f"turn:{turn}:{'wide' if is_wide else 'high'}"
        case AsStored():
            return "stored"
        case Pixelate(side_px):
            return f"pixelate:{side_px}"
        case Flatten(colour):
            return f"flatten:{colour.hex}"
        case Blur(sigma_px):
            return f"blur:{sigma_px:g}"
        case Sharpen(sigma_px):
            return f"sharpen:{sigma_px:g}"
        case Adjust(tone, percent):
            return f"{tone}:{percent}"
        case Remap():
            return op.value
        case Overlay():
            box = f"{op.width or ''}x{op.height or ''}:{op.fit}"
            of = op.of.hex if isinstance(op.of, Colour) else op.number
            return f"overlay:{of}:{box}:{_position_text(op.at)}:{op.opacity_percent}:{op.blend}:{op.placing}"
        case Watermark():
            position = f"{_position_text(op.at)}:{op.margin:g}"
            return f"watermark:{op.share:g}:{position}:{op.opacity_percent}:{op.least_width_px}"
        case Choice(condition, then, otherwise):
            branches = (" ".join(map(_text, branch)) for branch in (then, otherwise))
            return f"if:{condition}({')('.join(branches)})"
        case _:
            values = (getattr(op, field.name) for field in fields(op))
            return ":".join([type(op).__name__.lower(), *map(_value_text, values)])


def _value_text(value: float | Colour | tuple[float, ...]) -> str:
    match value:
        case Colour():
            return value.hex
        case tuple():
            return ",".join(map(_value_text, value))
        case _:
            return f"{value:.8g}"


def _box_text(op: Resize | Crop) -> str:
    return f"{op.width or ''}x{op.height or ''}{_ratio_text(op.ratio)}"


def _ratio_text(ratio: Fraction | None) -> str:
    return "" if ratio is None else f"/{ratio.numerator}:{ratio.denominator}"


def _position_text(position: Gravity | Offset) -> str:
    match position:
        case FocalPoint(x, y):
            return f"{x:g},{y:g}"
        case Offset(x, y):
            return f"+{x}+{y}"
        case Shifted(point, x, y):
            return f"{point.x:g},{point.y:g}+{x}+{y}"
        case OriginalPoint(x_px, y_px):
            return f"{x_px},{y_px}px"
        case Smart():
            return position.value
        case CloseUp(of, percent, number):
            return f"{of}:{percent}{'' if number is None else f':{number}'}"
    assert_never(position)


def _output_text(output: Output) -> str:
    match output:
        case Describe(gps=gps):
            return f"describe{':gps' if gps else ''} {output.format}:e0"
        case Encode(format=kind, quality=quality, effort=effort, flatten=flatten, max_bytes=max_bytes):
            scale = "" if quality is None else f":q{quality}"
            most = "" if max_bytes is None else f":most{max_bytes}"
            metadata = ":copyright" if output.keeps_copyright else ""
            metadata += ":other" if output.has_other_quality else ""
            drawing = "" if output.drawing_effort is None else f":drawing{output.drawing_effort}"
            return (
                f"{kind}{scale}:e{effort}{drawing}"
                + ("" if flatten is None else f":on{flatten.hex}")
                + most
                + metadata
            )
    assert_never(output)
