"""The modifiers of ipx, in `/_ipx/<modifiers>/<id>`.

Modifiers are separated by `,` or `&`, and a modifier and its arguments by `_`, `:` or `=`. Their order has no effect: a
rotation before `s` or `w`, then the crop, the size, flips and other rotations, `extend`, the effects. Of several sizes
the last one by name applies. Unlike ipx, the node applies the EXIF orientation first.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from proxy.core.nearest import named
from proxy.core.transform.operations import (
    BLACK,
    CENTER,
    WHITE,
    Adjust,
    Blur,
    Colour,
    Convolve,
    Crop,
    Enlarge,
    Fit,
    Flatten,
    Gravity,
    Median,
    Operation,
    Pad,
    Remap,
    Resize,
    Sharpen,
    Threshold,
    Tint,
    Tone,
    Transform,
    Turn,
)
from proxy.core.url.dialects.dialect import refusal
from proxy.core.url.dialects.next.ipx_modifiers import MODIFIERS, Gammas, Sizing, output_format
from proxy.core.url.parsed_url import Unused


@dataclass(frozen=True, slots=True, kw_only=True)
class Modifiers:
    """The modifiers of a URL, each as it applies; `quarters` are clockwise rotations by 90 degrees."""

    box: Sizing | None = None
    enlarge: bool = False
    fit: Fit = Fit.COVER
    gravity: Gravity = CENTER
    region: Crop | None = None
    background: Colour = BLACK
    extend: Pad | None = None
    quarters: int = 0
    flip: bool = False
    flop: bool = False
    flatten: bool = False
    grayscale: bool = False
    gammas: Gammas | None = None
    median: Median | None = None
    threshold: Threshold | None = None
    blur: Blur | Convolve | None = None
    sharpen: Sharpen | Convolve | None = None
    normalize: bool = False
    tint: Tint | None = None
    negate: bool = False
    quality: int | None = None

    def ops(self) -> Iterator[Operation]:
        """The operations in the order of ipx."""
        turn = _ROTATIONS[self.quarters]
        if turn is not None and self.box is not None and self.box.follows_rotation:
            yield turn
            turn = None
        if self.region is not None:
            yield self.region
        before, after = self.gammas or (None, None)
        if before is not None:
            yield before
        is_turned_after = turn is not None and turn.swaps_sides
        if self.box is not None:
            yield self._resize(self.box, is_turned_after=is_turned_after)
        if turns := _merged(self.flip, self.flop, turn):
            yield turns
        if self.box is not None and is_turned_after and self.fit is Fit.COVER:
            # ipx turns the picture, but not the box that it then cuts it to.
            yield Crop(width=self.box.width_px, height=self.box.height_px, at=self.gravity)
        if self.flatten:
            yield Flatten(self.background)
        if self.extend is not None:
            yield replace(self.extend, background=self.background)
        if self.grayscale:
            # What measures the grey must see that of ipx.
            is_measured = self.normalize or self.tint is not None or self.threshold is not None
            yield _BY_LUMINANCE if is_measured else Adjust(Tone.GRAYSCALE, 100)
        # A tint of what is grey is grey in ipx.
        tint = None if self.grayscale else self.tint
        normalize = Remap.NORMALIZE if self.normalize else None
        negate = Remap.NEGATE_ALPHA if self.negate else None
        for effect in (
            *(self.median, self.threshold, self.blur, self.sharpen),
            *(after, normalize, tint, negate),
        ):
            if effect is not None:
                yield effect

    def _resize(self, box: Sizing, *, is_turned_after: bool) -> Resize:
        if box.width_px is None or box.height_px is None:
            enlarge = Enlarge.ALLOW if self.enlarge else Enlarge.NEVER
            return Resize(width=box.width_px, height=box.height_px, enlarge=enlarge)
        enlarge = Enlarge.ALLOW if self.enlarge else Enlarge.ORIGINAL
        fit = Fit.OUTSIDE if is_turned_after and self.fit is Fit.COVER else self.fit
        return Resize(
            width=box.width_px,
            height=box.height_px,
            fit=fit,
            enlarge=enlarge,
            gravity=self.gravity if fit in (Fit.COVER, Fit.CONTAIN) else CENTER,
            background=self.background if fit is Fit.CONTAIN else WHITE,
        )


_BY_LUMINANCE = Tint(Colour(128, 128, 128))
_ROTATIONS = (None, Turn.R90, Turn.R180, Turn.R270)


def _merged(flip: bool, flop: bool, turn: Turn | None) -> Turn | None:
    merged: Turn | None = None
    for each in (Turn.VFLIP if flip else None, Turn.HFLIP if flop else None, turn):
        if each is not None:
            merged = each if merged is None else merged.then(each)
    return merged


_BEFORE_OTHERS = frozenset({"background", "b", "fit", "position", "pos", "quality", "q"})
"""Modifiers that ipx applies in the order of the URL, before the others, which it applies by name."""

_END = re.compile("[,&]")
_MARK = re.compile("[:=_]")


def given(segment: str) -> dict[str, str]:
    """The arguments of each modifier, decoded and joined by `_`; of equal names the last one applies."""
    arguments: dict[str, str] = {}
    for part in _END.split(segment) if segment != "_" else ():
        name, *values = _MARK.split(part)
        if not name:
            continue
        arguments[name] = "_".join(values) if "%" not in part else "_".join(map(unquote, values))
    return arguments


def format_name(arguments: Mapping[str, str]) -> str:
    """The output format as it is written; empty without one."""
    return arguments.get("f") or arguments.get("format") or ""


def read(segment: str) -> tuple[Transform, tuple[Unused, ...]]:
    """The transform of the modifiers, and those without an effect. Raises BadTransform."""
    arguments = given(segment)
    values: dict[str, Any] = {}
    set_by: dict[str, str] = {}
    unused: list[Unused] = []
    positions = {name: position for position, name in enumerate(arguments, start=1)}
    for name in sorted(arguments, key=lambda name: "" if name in _BEFORE_OTHERS else name):
        modifier = MODIFIERS.get(name)
        if modifier is None:
            unused.append(Unused(named(name, positions[name]), "ipx has no such modifier", is_option=True))
            continue
        if modifier.needs and arguments.keys().isdisjoint(modifier.needs):
            unused.append(Unused(name, f"it needs {' or '.join(modifier.needs)}", is_option=True))
            continue
        try:
            value = modifier.read(arguments[name])
        except ValueError as reason:
            raise refusal(reason, f"modifier {name} {reason}") from None
        if value is None:
            if modifier.reason:
                unused.append(Unused(name, modifier.reason, is_option=True))
            continue
        if modifier.field in set_by:
            unused.append(Unused(set_by[modifier.field], f"{name} takes its place", is_option=True))
        values[modifier.field], set_by[modifier.field] = value, name
    kind = output_format(written) if (written := format_name(arguments)) else None
    if written and kind is None:
        unused.append(Unused("f", "ipx has no such format", is_option=True))
    modifiers = Modifiers(**values)
    if modifiers.grayscale and modifiers.tint is not None:
        unused.append(Unused("tint", "the picture is grey", is_option=True))
    transform = Transform(ops=tuple(modifiers.ops()), format=kind, quality=modifiers.quality)
    return transform, tuple(unused)
