"""The flat record of one component of a transform, for dialects with a fixed order: crop or size, then turn, then effects.

A field is None if the URL does not set it. Components become operations, and operations become components again, so that
every Transform has a native spelling. Longer than other files, because both directions are changed together.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple, TypeVar

from proxy.core.image.formats import Format
from proxy.core.transform.conditions import Condition
from proxy.core.transform.lengths import Length
from proxy.core.transform.operations import (
    CENTER,
    TRANSPARENT,
    WHITE,
    AsStored,
    Auto,
    Backdrop,
    Background,
    Choice,
    Colour,
    Crop,
    Effect,
    Enlarge,
    Extend,
    Fit,
    Gravity,
    Metadata,
    Offset,
    Operation,
    Overlay,
    Pad,
    Resize,
    Rounding,
    SingleOperation,
    Transform,
    Trim,
    Turn,
    TurnToShape,
    Watermark,
    flattening,
)
from proxy.core.transform.quality_level import QualityLevel

_T = TypeVar("_T")

MAX_EFFECTS = 8


class CropFit(StrEnum):
    """The box is cut out of the picture as it is."""

    CROP = "crop"


class Branch(StrEnum):
    """The marks that follow the operations of a condition: ELSE before those of the other case, END after the last."""

    ELSE = "else"
    END = "end"


class Component(NamedTuple):
    """A named tuple, because a frozen dataclass of so many fields takes ten times as long to make; fields are given by name.
    `ratio` is width to height; `left` and `top` are the corner of a crop; `padding_px` is clockwise from the top.
    `background` fills the space of `fit`, `extend` and `padding_px`; an `extend` of the edges has its own. `preset` names a
    preset whose fields apply where they are not set here. A component with a `branch` has no other field: the components up
    to the next mark are applied if the condition holds. `disposition` is the value of Content-Disposition; it is no part of
    a Transform."""

    as_stored: bool | None = None
    trim: Trim | None = None

    width: Length | None = None
    height: Length | None = None
    ratio: Fraction | None = None
    fit: Fit | CropFit | None = None
    enlarge: Enlarge | None = None
    rounding: Rounding | None = None
    gravity: Gravity | None = None
    left: Length | None = None
    top: Length | None = None
    min_width_px: int | None = None
    min_height_px: int | None = None
    max_width_px: int | None = None
    max_height_px: int | None = None
    extend: Extend | None = None
    padding_px: tuple[int, int, int, int] | None = None
    background: Background | None = None
    turn: Turn | TurnToShape | None = None
    effects: tuple[Effect, ...] | None = None
    layers: tuple[Overlay, ...] | None = None
    format: Format | Auto | None = None
    quality: int | QualityLevel | None = None
    qualities: tuple[tuple[Format, int], ...] | None = None
    encoder_qualities: tuple[tuple[Format | None, int], ...] | None = None
    max_bytes: int | None = None
    dpr_percent: int | None = None
    page: int | None = None
    frames: int | None = None
    metadata: Metadata | None = None
    version: str | None = None
    disposition: str | None = None
    preset: str | None = None
    branch: Condition | Branch | None = None

    def ops(self) -> tuple[Operation, ...]:
        """The operations of this component. `preset` is not looked at."""
        background = self.background or WHITE
        found: list[Operation] = [AsStored()] if self.as_stored else []
        found += [self.trim] if self.trim else []
        found += self._sizing()
        if self.extend:
            has_edges = self.extend.background is Backdrop.EDGES
            found.append(self.extend if has_edges else replace(self.extend, background=background))
        if self.padding_px:
            top, right, bottom, left = self.padding_px
            found.append(
                Pad(top_px=top, right_px=right, bottom_px=bottom, left_px=left, background=background)
            )
        if self.turn:
            found.append(self.turn)
        return (*found, *(self.effects or ()), *(self.layers or ()))

    def _sizing(self) -> tuple[Operation, ...]:
        gravity = self.gravity or CENTER
        has_side = self.width is not None or self.height is not None
        if self.fit is CropFit.CROP or (self.ratio is not None and not has_side):
            has_corner = self.left is not None or self.top is not None
            at = Offset(self.left or 0, self.top or 0) if has_corner else gravity
            return (Crop(width=self.width, height=self.height, ratio=self.ratio, at=at),)
        if not has_side and self.max_width_px is None and self.max_height_px is None:
            return ()
        is_box = self.ratio is not None or (self.width is not None and self.height is not None)
        fit = self.fit if is_box and self.fit is not None else Fit.INSIDE
        return (
            Resize(
                width=self.width,
                height=self.height,
                ratio=self.ratio,
                fit=fit,
                enlarge=self.enlarge or _default_enlarge(fit),
                gravity=gravity,
                background=self.background or WHITE,
                min_width_px=self.min_width_px,
                min_height_px=self.min_height_px,
                max_width_px=self.max_width_px,
                max_height_px=self.max_height_px,
                rounding=self.rounding or Rounding.HALF_UP,
            ),
        )


Presets = Mapping[str, Sequence[Component]]
"""The components of each preset; they name no further preset."""


def overlay(below: Component, above: Component) -> Component:
    """`above`, with the unset fields taken from `below`: the parameters of a URL override its preset."""
    unset = {field: getattr(below, field) for field in _FIELDS if getattr(above, field) is None}
    return above._replace(**unset)


_FIELDS = tuple(name for name in Component._fields if name != "preset")


def expanded(components: Iterable[Component], presets: Presets) -> tuple[Component, ...]:
    """`components` with the fields of their presets. A preset of several components stands alone in its component."""
    whole: list[Component] = []
    for component in components:
        below = presets[component.preset] if component.preset is not None else ()
        if len(below) > 1:
            whole += (*below, Component(version=component.version, disposition=component.disposition))
        else:
            whole.append(overlay(below[0] if below else Component(), component._replace(preset=None)))
    return tuple(whole)


OUTPUT_FIELDS = (
    "format",
    "quality",
    "qualities",
    "encoder_qualities",
    "max_bytes",
    "dpr_percent",
    "page",
    "frames",
    "metadata",
    "version",
)
"""The fields of the whole transform."""


def transform_of(components: Iterable[Component]) -> Transform:
    """The operations of all components in order; each field of the output is the last one set."""
    output: dict[str, object] = {}
    ops, _ = _up_to_mark(iter(components), output)
    return Transform(ops=ops, **output)  # type: ignore[arg-type] # The fields have the same names and types.


def _up_to_mark(
    components: Iterator[Component], output: dict[str, object]
) -> tuple[tuple[Operation, ...], Branch | None]:
    """The operations before the next mark that belongs to a condition before them, and that mark."""
    ops: list[Operation] = []
    for component in components:
        match component.branch:
            case Condition() as condition:
                then, mark = _up_to_mark(components, output)
                otherwise = _up_to_mark(components, output)[0] if mark is Branch.ELSE else ()
                ops.append(Choice(condition, then, otherwise))
            case Branch() as mark:
                return tuple(ops), mark
        for name in OUTPUT_FIELDS:
            if (value := getattr(component, name)) is not None:
                output[name] = value
        if isinstance(component.background, Colour):
            output["background"] = component.background
        ops += component.ops()
    return tuple(ops), None


def components_of(transform: Transform) -> tuple[Component, ...]:
    """The fewest components with these operations and this output; `transform_of` is its inverse."""
    components = [Component()]
    _append(components, transform.ops)
    if components[-1].branch is not None:
        components.append(Component())
    backgrounds = [each.background for each in components if isinstance(each.background, Colour)]
    set_last = backgrounds[-1] if backgrounds else None
    if flattening(set_last) != flattening(transform.background):
        if components[-1].ops():
            # There `background` may be the colour of padding too.
            components.append(Component())
        components[-1] = components[-1]._replace(background=transform.background or WHITE)
    elif transform.background is not None and set_last is None:
        if components[-1].background is not None:
            components.append(Component())
        components[-1] = components[-1]._replace(background=transform.background)
    components[-1] = components[-1]._replace(
        format=transform.format,
        quality=transform.quality,
        qualities=transform.qualities or None,
        encoder_qualities=transform.encoder_qualities or None,
        max_bytes=transform.max_bytes,
        dpr_percent=transform.dpr_percent,
        page=transform.page,
        frames=transform.frames,
        metadata=transform.metadata,
        version=transform.version,
    )
    return tuple(components)


def _append(components: list[Component], ops: Iterable[Operation]) -> None:
    """Adds `ops` to the last component, and to more components after it."""

    def start(component: Component) -> None:
        components[-1:] = [component] if components[-1] == Component() else [components[-1], component]

    for op in ops:
        if isinstance(op, Choice):
            start(Component(branch=op.condition))
            _append(components, op.then)
            if op.otherwise:
                start(Component(branch=Branch.ELSE))
                _append(components, op.otherwise)
            start(Component(branch=Branch.END))
        elif (more := _with(components[-1], op)) is not None:
            components[-1] = more
        else:
            more = _with(Component(), op)
            assert more is not None
            components.append(more)


def _with(component: Component, op: SingleOperation) -> Component | None:
    """`component` with `op` as its last operation; None if its order does not allow that."""
    if component.branch is not None:
        return None
    if component.layers is not None and not isinstance(op, Overlay):
        return None
    is_sized = component.turn is None and component.effects is None
    match op:
        case AsStored():
            return component._replace(as_stored=True) if component == Component() else None
        case Trim():
            is_first = component == Component(as_stored=component.as_stored)
            return component._replace(trim=op) if is_first else None
        case Resize() | Crop():
            is_first = component == Component(as_stored=component.as_stored, trim=component.trim)
            return _sized(component, op) if is_first else None
        case Extend():
            if not is_sized or component.extend or component.padding_px or component.background:
                return None
            if _is_padded(component):
                return None
            extended = component._replace(extend=op)
            return extended if op.background is Backdrop.EDGES else _filled(extended, op.background)
        case Pad():
            if not is_sized or component.padding_px or component.background or _is_padded(component):
                return None
            if component.extend and component.extend.background != op.background:
                return None
            sides = (op.top_px, op.right_px, op.bottom_px, op.left_px)
            return _filled(component._replace(padding_px=sides), op.background)
        case Turn() | TurnToShape():
            return component._replace(turn=op) if is_sized else None
        case Overlay():
            return component._replace(layers=(*(component.layers or ()), op))
        case Watermark():
            raise AssertionError("no URL has a watermark: mounts add it")
        case _:
            effects = (*(component.effects or ()), op)
            return component._replace(effects=effects) if len(effects) <= MAX_EFFECTS else None


def _is_padded(component: Component) -> bool:
    return component.fit is Fit.CONTAIN


def _filled(component: Component, background: Background) -> Component:
    extend = component.extend and replace(component.extend, background=TRANSPARENT)
    return component._replace(extend=extend, background=_unless(background, WHITE))


def _sized(component: Component, op: Resize | Crop) -> Component:
    sides = component._replace(width=op.width, height=op.height, ratio=op.ratio)
    match op:
        case Crop(at=Offset(x, y)):
            return sides._replace(fit=CropFit.CROP, left=x, top=y)
        case Crop(at=at):
            assert not isinstance(at, Offset)
            return sides._replace(fit=CropFit.CROP, gravity=_unless(at, CENTER))
        case Resize():
            return sides._replace(
                fit=_unless(op.fit, Fit.INSIDE),
                enlarge=_unless(op.enlarge, _default_enlarge(op.fit)),
                gravity=_unless(op.gravity, CENTER),
                background=_unless(op.background, WHITE),
                min_width_px=op.min_width_px,
                min_height_px=op.min_height_px,
                max_width_px=op.max_width_px,
                max_height_px=op.max_height_px,
                rounding=_unless(op.rounding, Rounding.HALF_UP),
            )


def _default_enlarge(fit: Fit) -> Enlarge:
    return Enlarge.NEVER if fit is Fit.INSIDE else Enlarge.ALLOW


def _unless(value: _T, default: _T) -> _T | None:
    return None if value == default else value
