"""The flat record of one component of a transform, for dialects with a fixed order: crop or size, then turn, then effects.

A field is None if the URL does not set it. Components become operations, and operations become components again, so that
every Transform has a native spelling.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from fractions import Fraction
from typing import TypeVar

from proxy.core.image.formats import Format
from proxy.core.transform.operations import (
    CENTER,
    WHITE,
    Auto,
    Colour,
    Crop,
    Effect,
    Enlarge,
    Fit,
    Gravity,
    Offset,
    Operation,
    Resize,
    Transform,
    Turn,
)

_T = TypeVar("_T")

MAX_EFFECTS = 8


class CropFit(StrEnum):
    """The box is cut out of the picture as it is."""

    CROP = "crop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """`ratio` is width to height; `left_px` and `top_px` are the corner of a crop. `preset` names a preset whose fields
    apply where they are not set here."""

    width_px: int | None = None
    height_px: int | None = None
    ratio: Fraction | None = None
    fit: Fit | CropFit | None = None
    enlarge: Enlarge | None = None
    gravity: Gravity | None = None
    left_px: int | None = None
    top_px: int | None = None
    background: Colour | None = None
    turn: Turn | None = None
    effects: tuple[Effect, ...] | None = None
    format: Format | Auto | None = None
    quality: int | None = None
    dpr_percent: int | None = None
    version: str | None = None
    preset: str | None = None

    def ops(self) -> tuple[Operation, ...]:
        """The operations of this component. `preset` is not looked at."""
        turn = () if self.turn is None else (self.turn,)
        return (*self._sizing(), *turn, *(self.effects or ()))

    def _sizing(self) -> tuple[Operation, ...]:
        gravity = self.gravity or CENTER
        has_side = self.width_px is not None or self.height_px is not None
        if self.fit is CropFit.CROP or (self.ratio is not None and not has_side):
            has_corner = self.left_px is not None or self.top_px is not None
            at = Offset(self.left_px or 0, self.top_px or 0) if has_corner else gravity
            return (Crop(width=self.width_px, height=self.height_px, ratio=self.ratio, at=at),)
        if not has_side:
            return ()
        is_box = self.ratio is not None or (self.width_px is not None and self.height_px is not None)
        fit = self.fit if is_box and self.fit is not None else Fit.INSIDE
        return (
            Resize(
                width=self.width_px,
                height=self.height_px,
                ratio=self.ratio,
                fit=fit,
                enlarge=self.enlarge or _default_enlarge(fit),
                gravity=gravity,
                background=self.background or WHITE,
            ),
        )


Presets = Mapping[str, Sequence[Component]]
"""The components of each preset; they name no further preset."""


def overlay(below: Component, above: Component) -> Component:
    """`above`, with the unset fields taken from `below`: the parameters of a URL override its preset."""
    unset = {field: getattr(below, field) for field in _FIELDS if getattr(above, field) is None}
    return replace(above, **unset)


_FIELDS = tuple(field.name for field in fields(Component) if field.name != "preset")


def expanded(components: Iterable[Component], presets: Presets) -> tuple[Component, ...]:
    """`components` with the fields of their presets. A preset of several components stands alone in its component."""
    whole: list[Component] = []
    for component in components:
        below = presets[component.preset] if component.preset is not None else ()
        if len(below) > 1:
            whole += (*below, Component(version=component.version))
        else:
            whole.append(overlay(below[0] if below else Component(), replace(component, preset=None)))
    return tuple(whole)


def transform_of(components: Iterable[Component]) -> Transform:
    """The operations of all components in order; each field of the output is the last one set."""
    output = Component()
    ops: list[Operation] = []
    for component in components:
        output = overlay(output, component)
        ops += component.ops()
    return Transform(
        ops=tuple(ops),
        format=output.format,
        quality=output.quality,
        dpr_percent=output.dpr_percent,
        background=output.background,
        version=output.version,
    )


def components_of(transform: Transform) -> tuple[Component, ...]:
    """The fewest components with these operations and this output; `transform_of` is its inverse."""
    components = [Component()]
    for op in transform.ops:
        if (more := _with(components[-1], op)) is not None:
            components[-1] = more
        else:
            more = _with(Component(), op)
            assert more is not None
            components.append(more)
    set_last = next((each.background for each in reversed(components) if each.background is not None), None)
    if set_last != transform.background:
        if components[-1].fit is Fit.CONTAIN:
            # There `background` is the colour of the padding too.
            components.append(Component())
        components[-1] = replace(components[-1], background=transform.background or WHITE)
    components[-1] = replace(
        components[-1],
        format=transform.format,
        quality=transform.quality,
        dpr_percent=transform.dpr_percent,
        version=transform.version,
    )
    return tuple(components)


def _with(component: Component, op: Operation) -> Component | None:
    """`component` with `op` as its last operation; None if its order does not allow that."""
    match op:
        case Resize() | Crop():
            return None if component != Component() else _sized(op)
        case Turn():
            is_last = component.turn is None and component.effects is None
            return replace(component, turn=op) if is_last else None
        case _:
            effects = (*(component.effects or ()), op)
            return replace(component, effects=effects) if len(effects) <= MAX_EFFECTS else None


def _sized(op: Resize | Crop) -> Component:
    width, height = (side if isinstance(side, int) else None for side in (op.width, op.height))
    sides = Component(width_px=width, height_px=height, ratio=op.ratio)
    match op:
        case Crop(at=Offset(x, y)):
            assert isinstance(x, int)
            assert isinstance(y, int)
            return replace(sides, fit=CropFit.CROP, left_px=x, top_px=y)
        case Crop(at=at):
            assert not isinstance(at, Offset)
            return replace(sides, fit=CropFit.CROP, gravity=_unless(at, CENTER))
        case Resize():
            return replace(
                sides,
                fit=_unless(op.fit, Fit.INSIDE),
                enlarge=_unless(op.enlarge, _default_enlarge(op.fit)),
                gravity=_unless(op.gravity, CENTER),
                background=_unless(op.background, WHITE),
            )


def _default_enlarge(fit: Fit) -> Enlarge:
    return Enlarge.NEVER if fit is Fit.INSIDE else Enlarge.ALLOW


def _unless(value: _T, default: _T) -> _T | None:
    return None if value == default else value
