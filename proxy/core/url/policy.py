"""The policy for unsigned URLs, which gives an original a finite number of variants.

The policy restricts the effect of a Transform, whatever its spelling. Presets are not restricted.
"""

from bisect import bisect_left
from dataclasses import replace
from enum import StrEnum
from fractions import Fraction

from proxy.core.errors import ColourNotAllowed, DimensionNotAllowed, OperationNotAllowed
from proxy.core.transform.geometry import ratio
from proxy.core.transform.operations import (
    BLACK,
    CENTER,
    TRANSPARENT,
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
    changes_nothing,
)

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
    signable: bool = True,
) -> Transform:
    """The transform that an unsigned URL is granted.

    `allowed_px` is sorted and not empty; `colours` are the backgrounds allowed beside white, black and transparent.
    `signable` says whether the mount accepts signed URLs; only then do refusals suggest one. Raises
    DimensionNotAllowed under `listed`, ColourNotAllowed and OperationNotAllowed under `listed` and `snap`.
    """
    if policy is Dimensions.ANY:
        return transform
    if transform.background is not None and transform.background not in _ALWAYS | colours:
        allowed = ", ".join([_COLOUR_NAMES, *sorted(colour.hex for colour in colours)])
        others = "; any other needs a signed URL" if signable else ""
        raise ColourNotAllowed(f"the background (b or bg) must be one of {allowed}{others}")
    effects = tuple(map(_coarse_effect, transform.effects or ()))
    if sum(not changes_nothing(effect) for effect in effects) > 1:
        others = "a signed URL or a preset" if signable else "a preset"
        raise OperationNotAllowed(f"a URL may have one effect (e); more effects need {others}")
    width_px, height_px = transform.width_px, transform.height_px
    if policy is Dimensions.SNAP:
        width_px, height_px = _snapped(width_px, height_px, allowed_px)
    for name, side_px in (("w", transform.width_px), ("h", transform.height_px)):
        if policy is Dimensions.LISTED and side_px is not None and side_px not in allowed_px:
            listed = ", ".join(map(str, allowed_px))
            others = "; any other size needs a signed URL" if signable else ""
            raise DimensionNotAllowed(f"parameter {name} must be one of {listed}{others}")
    return replace(
        transform,
        width_px=width_px,
        height_px=height_px,
        quality=None if transform.quality is None else max(5, _nearest(transform.quality, 5)),
        dpr_percent=None if transform.dpr_percent is None else _up(transform.dpr_percent, DPR_GRAIN_PERCENT),
        gravity=_coarse_gravity(transform.gravity),
        effects=None if transform.effects is None else effects,
    )


def without_no_ops(transform: Transform) -> Transform:
    """`transform` without its version and everything that changes no picture: equivalent transforms become equal."""
    has_side = transform.width_px is not None or transform.height_px is not None
    fit = transform.fit if transform.has_box and transform.fit is not Fit.INSIDE else None
    gravity = transform.gravity if fit in (Fit.COVER, Fit.CONTAIN) else None
    if gravity == CENTER or (fit is Fit.CONTAIN and isinstance(gravity, Smart)):
        gravity = None
    effects = tuple(effect for effect in transform.effects or () if not changes_nothing(effect))
    return replace(
        transform,
        fit=fit,
        gravity=gravity,
        dpr_percent=transform.dpr_percent if has_side and transform.dpr_percent != 100 else None,
        background=None if transform.background == WHITE else transform.background,
        effects=effects or None,
        version=None,
    )


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


def _coarse_gravity(gravity: Gravity | None) -> Gravity | None:
    if isinstance(gravity, FocalPoint):
        return FocalPoint(_coarse(gravity.x, 10), _coarse(gravity.y, 10))
    return gravity


def _coarse_effect(effect: Effect) -> Effect:
    match effect:
        case Adjust(tone, percent):
            return Adjust(tone, _nearest(percent, 5))
        case Blur(sigma_px):
            return Blur(max(0.5, _coarse(sigma_px, 2)))
        case Sharpen(sigma_px):
            return Sharpen(max(0.5, _coarse(sigma_px, 2)))


def _coarse(number: float, grains: int) -> float:
    return int(number * grains + 0.5) / grains
