"""The policy for unsigned URLs, which gives an original a finite number of variants.

The policy restricts the effect of a Transform, whatever its spelling. Presets are not restricted.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from fractions import Fraction
from typing import TypeVar

from proxy.core.errors import ColourNotAllowed, DimensionNotAllowed, OperationNotAllowed
from proxy.core.image.formats import Format
from proxy.core.transform.geometry import ratio
from proxy.core.transform.lengths import Length, Relative
from proxy.core.transform.operations import (
    BLACK,
    NOTHING,
    TRANSPARENT,
    WHITE,
    Adjust,
    Background,
    Blur,
    Choice,
    CloseUp,
    Colour,
    Crop,
    Effect,
    Flatten,
    FocalPoint,
    Gravity,
    Offset,
    Operation,
    Pixelate,
    Remap,
    Resize,
    Rounding,
    Sharpen,
    Smart,
    Transform,
    Turn,
    TurnToShape,
    changes_nothing,
    with_most_as_box,
)

_Sized = TypeVar("_Sized", Resize, Crop)

MAX_RATIO = 21
"""The largest number in an aspect ratio that `snap` makes."""
DPR_GRAIN_PERCENT = 25
_RATIOS = sorted(
    {Fraction(high, wide) for high in range(1, MAX_RATIO + 1) for wide in range(1, MAX_RATIO + 1)}
)
_ALWAYS = frozenset({WHITE, BLACK, TRANSPARENT})
_COLOUR_NAMES = "white, black, transparent"


class Dimensions(StrEnum):
    """The sizes that an unsigned URL may have: listed ones, any that are moved to listed ones, or any."""

    LISTED = "listed"
    SNAP = "snap"
    ANY = "any"


def restrict(
    transform: Transform,
    policy: Dimensions,
    allowed_px: tuple[int, ...],
    colours: frozenset[Colour] = frozenset(),
    *,
    of_presets: Transform = NOTHING,
    signable: bool = True,
) -> Transform:
    """The transform that an unsigned URL is granted: a size, an effect and a background, in this order, and a turn
    anywhere.

    `allowed_px` is sorted and not empty; `colours` are the backgrounds allowed beside white, black and transparent.
    Everything of `of_presets` is allowed. `signable` says whether the mount accepts signed URLs; only then do refusals
    suggest one. Raises DimensionNotAllowed under `listed`, ColourNotAllowed and OperationNotAllowed under `listed` and
    `snap`.
    """
    if policy is Dimensions.ANY:
        return transform
    granted = _Policy(policy, allowed_px, colours, of_presets, signable)
    granted.check_colour(transform.background)
    granted.check_pages(transform)
    quality, dpr_percent = transform.quality, transform.dpr_percent
    if isinstance(quality, int) and quality != of_presets.quality:
        quality = max(5, _nearest(quality, 5))
    if dpr_percent is not None and dpr_percent != of_presets.dpr_percent:
        dpr_percent = _up(dpr_percent, DPR_GRAIN_PERCENT)
    return replace(
        transform,
        ops=tuple(granted.ops(transform.ops)),
        quality=quality,
        encoder_qualities=granted.encoder_qualities(transform),
        dpr_percent=dpr_percent,
    )


@dataclass(frozen=True, slots=True)
class _Policy:
    dimensions: Dimensions
    allowed_px: tuple[int, ...]
    colours: frozenset[Colour]
    of_presets: Transform
    signable: bool

    def ops(self, requested: Iterable[Operation]) -> Iterator[Operation]:
        """The operations that are granted for `requested`. Raises NotAllowed."""
        last, has_turn = _Kind.NONE, False
        for op in requested:
            if op in self.of_presets.ops:
                yield op
                continue
            granted = self._granted(op)
            if isinstance(granted, Turn):
                if has_turn:
                    raise self._refusal("a URL may have one turn (a); more")
                has_turn = True
            elif not changes_nothing(granted):
                if (kind := _kind(granted)) <= last:
                    raise self._refusal(f"a URL may have {_ORDER[kind]}; more")
                last = kind
            yield granted

    def check_colour(self, colour: Background | None) -> None:
        """Raises ColourNotAllowed."""
        of_presets = {self.of_presets.background, *(resize.background for resize in self._of_presets())}
        if colour is not None and colour not in _ALWAYS | self.colours | of_presets:
            allowed = ", ".join([_COLOUR_NAMES, *sorted(colour.hex for colour in self.colours)])
            others = "; any other needs a signed URL" if self.signable else ""
            raise ColourNotAllowed(f"the background (b or bg) must be one of {allowed}{others}")

    def check_pages(self, transform: Transform) -> None:
        """Raises OperationNotAllowed."""
        if transform.page not in (None, self.of_presets.page):
            raise self._refusal("a page (pg)")
        if transform.frames not in (None, self.of_presets.frames):
            raise self._refusal("a number of frames (frames)")

    def encoder_qualities(self, transform: Transform) -> tuple[tuple[Format | None, int], ...]:
        """One quality for all encoders, in multiples of 5. Raises OperationNotAllowed for qualities by format, and for a
        number of bytes."""
        preset = self.of_presets
        if transform.qualities not in ((), preset.qualities):
            raise self._refusal("a quality by format (fq)")
        if transform.max_bytes not in (None, preset.max_bytes):
            raise self._refusal("a number of bytes (mb)")
        match transform.encoder_qualities:
            case preset.encoder_qualities:
                return preset.encoder_qualities
            case ():
                return ()
            case ((None, quality),):
                return ((None, max(5, _nearest(quality, 5))),)
            case _:
                raise self._refusal("a quality by format (eq)")

    def _granted(self, op: Operation) -> Operation:
        match op:
            case Resize():
                self.check_colour(op.background)
                is_known = any(op.gravity == resize.gravity for resize in self._of_presets())
                gravity = op.gravity if is_known else self._coarse_gravity(op.gravity)
                if op.min_width_px is not None or op.min_height_px is not None:
                    raise self._refusal("a least size")
                sized = self._sized(self._most(op))
                return replace(sized, gravity=gravity, rounding=Rounding.HALF_UP)
            case Crop(at=Offset()):
                if changes_nothing(op):
                    return op
                raise self._refusal("a crop at x and y")
            case Crop():
                assert not isinstance(op.at, Offset)
                return replace(self._sized(op), at=self._coarse_gravity(op.at))
            case Turn():
                return op
            case TurnToShape():
                raise self._refusal("a turn that depends on the shape of the picture (a)")
            case Choice():
                raise self._refusal("a condition (if)")
            case Flatten(colour):
                self.check_colour(colour)
                return op
            case Blur() | Sharpen() | Adjust() | Pixelate():
                return op if changes_nothing(op) else _coarse_effect(op)
            case _:
                if changes_nothing(op):
                    return op
                name = op.value if isinstance(op, Remap) else type(op).__name__.lower()
                raise self._refusal(f"the operation {name}")

    def _most(self, op: Resize) -> Resize:
        """`op` with its greatest sides granted: they are sizes like others, and part of the box. Raises NotAllowed."""
        if op.max_width_px is None and op.max_height_px is None:
            return op
        self._check_side("maxw", op.max_width_px)
        self._check_side("maxh", op.max_height_px)
        boxed = with_most_as_box(op)
        if boxed == op:
            raise self._refusal("a greatest size (maxw, maxh) with this fit")
        if self.dimensions is Dimensions.LISTED:
            return op
        if op.width is not None and op.height is not None:
            return boxed
        return replace(
            op,
            max_width_px=_listed(op.max_width_px, self.allowed_px),
            max_height_px=_listed(op.max_height_px, self.allowed_px),
        )

    def _allowed(self) -> set[Length | None]:
        allowed: set[Length | None] = {None, *self.allowed_px}
        for resize in self._of_presets():
            allowed |= {resize.width, resize.height, resize.max_width_px, resize.max_height_px}
        return allowed

    def _check_side(self, name: str, side_px: Length | None) -> None:
        """Raises DimensionNotAllowed under `listed`."""
        if self.dimensions is Dimensions.LISTED and side_px not in self._allowed():
            listed = ", ".join(map(str, self.allowed_px))
            others = "; any other size needs a signed URL" if self.signable else ""
            raise DimensionNotAllowed(f"parameter {name} must be one of {listed}{others}")

    def _sized(self, op: _Sized) -> _Sized:
        width, height = op.width, op.height
        if isinstance(width, Relative) or isinstance(height, Relative):
            raise self._refusal("a relative size")
        if self.dimensions is Dimensions.SNAP and not {width, height} <= self._allowed():
            width, height = _snapped(width, height, self.allowed_px)
        self._check_side("w", width)
        self._check_side("h", height)
        ratio_ = None if op.ratio is None else 1 / _nearest_ratio(1 / op.ratio)
        return replace(op, width=width, height=height, ratio=ratio_)

    def _coarse_gravity(self, gravity: Gravity) -> Gravity:
        match gravity:
            case FocalPoint(x, y):
                return FocalPoint(_coarse(x, 10), _coarse(y, 10))
            case Smart():
                return gravity
            case CloseUp():
                raise self._refusal("a gravity that comes close to faces")
            case _:
                raise self._refusal("a gravity with an offset, or in pixels of the original,")

    def _of_presets(self) -> list[Resize]:
        return [op for op in self.of_presets.ops if isinstance(op, Resize)]

    def _refusal(self, subject: str) -> OperationNotAllowed:
        others = "a signed URL or a preset" if self.signable else "a preset"
        return OperationNotAllowed(f"{subject} needs {others}")


class _Kind(IntEnum):
    """The operations of an unsigned URL in their order; a turn has no place in it."""

    NONE = 0
    SIZE = 1
    EFFECT = 2
    BACKGROUND = 3


_ORDER = {
    _Kind.SIZE: "one size or crop (w, h, ar, c), before an effect (e)",
    _Kind.EFFECT: "one effect (e), after a size and before a background (e_flatten)",
    _Kind.BACKGROUND: "one background (e_flatten), after an effect (e)",
}


def _kind(op: Operation) -> _Kind:
    match op:
        case Resize() | Crop():
            return _Kind.SIZE
        case Flatten():
            return _Kind.BACKGROUND
        case _:
            return _Kind.EFFECT


def _snapped(
    width_px: int | None, height_px: int | None, allowed_px: tuple[int, ...]
) -> tuple[int | None, int | None]:
    """Listed sides unchanged; else the width moved up to the list and the height in proportion."""
    if width_px is None or height_px is None:
        return _listed(width_px, allowed_px), _listed(height_px, allowed_px)
    if width_px in allowed_px and height_px in allowed_px:
        return width_px, height_px
    wide_px = _listed(width_px, allowed_px)
    assert wide_px is not None
    near = _nearest_ratio(Fraction(height_px, width_px))
    return wide_px, ratio(wide_px, near.numerator, near.denominator)


def _listed(side_px: int | None, allowed_px: tuple[int, ...]) -> int | None:
    if side_px is None:
        return None
    return next((allowed for allowed in allowed_px if allowed >= side_px), allowed_px[-1])


def _nearest_ratio(requested: Fraction) -> Fraction:
    """The lower of two equally near ratios, so that a snapped size remains the same when it is snapped again."""
    above = bisect_left(_RATIOS, requested)
    return min(_RATIOS[max(0, above - 1) : above + 1], key=lambda near: abs(near - requested))


def _up(number: int, grain: int) -> int:
    return -(-number // grain) * grain


def _nearest(number: int, grain: int) -> int:
    """The nearest multiple of `grain`, halves away from zero, so that -n and n remain symmetrical."""
    nearest = (2 * abs(number) + grain) // (2 * grain) * grain
    return nearest if number >= 0 else -nearest


def _coarse_effect(effect: Blur | Sharpen | Adjust | Pixelate) -> Effect:
    match effect:
        case Adjust(tone, percent):
            return Adjust(tone, _nearest(percent, 5))
        case Blur(sigma_px):
            return Blur(max(0.5, _coarse(sigma_px, 2)))
        case Sharpen(sigma_px):
            return Sharpen(max(0.5, _coarse(sigma_px, 2)))
        case Pixelate(side_px):
            return Pixelate(max(5, _nearest(side_px, 5)))


def _coarse(number: float, grains: int) -> float:
    return int(number * grains + 0.5) / grains
