"""The parameters of a Cloudinary component as operations, in a fixed order, whatever the order in the URL.

The order is: the named transformation, the picture as stored, trim, automatic turn, size or crop, turns, effects,
background.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from proxy.core.errors import NotSupported
from proxy.core.transform.geometry import ratio as side_by_ratio
from proxy.core.transform.lengths import WHOLE, Length, Part, Relative, is_negative
from proxy.core.transform.operations import (
    CENTER,
    FACE_GRAVITIES,
    WHITE,
    AsStored,
    Choice,
    CloseUp,
    Crop,
    Effect,
    Enlarge,
    Extend,
    Fit,
    Flatten,
    FocalPoint,
    Gravity,
    Offset,
    Opacity,
    Operation,
    OriginalPoint,
    Pad,
    Resize,
    Rotate,
    Shifted,
    Smart,
    Trim,
    Turn,
    TurnToShape,
    with_branches,
)
from proxy.core.url.dialects.cloudinary.corners import shaped
from proxy.core.url.dialects.cloudinary.requested import CloudinaryRequested, OffsetPoint, Parameters
from proxy.core.url.dialects.cloudinary.scope import Scope
from proxy.core.url.dialects.dialect import Support

_NORTH_WEST = FocalPoint(0.0, 0.0)
_POSITIONED = (None, Fit.COVER, Fit.CONTAIN)
"""Fits whose result depends on a gravity; None is a crop."""


_THUMB_PERCENT = 60
"""How much of a side the head takes in `c_thumb`; Cloudinary does not say it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """A crop mode. `fit` is None for one that cuts the picture as it is; `gravity` applies where the URL names none."""

    fit: Fit | None
    enlarge: Enlarge = Enlarge.ALLOW
    gravity: Gravity = CENTER
    zooms: bool = False
    support: Support = Support.DONE
    note: str = ""


_SCALE = Mode(fit=Fit.FILL, note="stretches to both sides; enlarges")
_AUTO = Mode(
    fit=Fit.COVER,
    gravity=Smart.ATTENTION,
    support=Support.APPROXIMATED,
    note="as `c_fill,g_auto`, without padding",
)
_ADD_ON = Mode(fit=None, support=Support.REFUSED, note="an add-on")

MODES: dict[str, Mode] = {
    "scale": _SCALE,
    "fit": Mode(fit=Fit.INSIDE, note="within the box; enlarges"),
    "limit": Mode(fit=Fit.INSIDE, enlarge=Enlarge.NEVER, note="within the box; never enlarges"),
    "mfit": Mode(fit=Fit.INSIDE, enlarge=Enlarge.ONLY, note="only enlarges"),
    "fill": Mode(fit=Fit.COVER, note="covers the box; enlarges"),
    "lfill": Mode(
        fit=Fit.COVER,
        enlarge=Enlarge.NEVER,
        note="never enlarges: a side that is too short stays, a smaller picture is not cut",
    ),
    "fill_pad": _AUTO,
    "auto": _AUTO,
    "pad": Mode(fit=Fit.CONTAIN, note="within the box, padded to it; enlarges"),
    "lpad": Mode(fit=Fit.CONTAIN, enlarge=Enlarge.NEVER, note="as `pad`; never enlarges"),
    "mpad": Mode(
        fit=Fit.CONTAIN, enlarge=Enlarge.ONLY, note="as `pad`; only enlarges, and a larger picture stays"
    ),
    "auto_pad": Mode(fit=Fit.CONTAIN, support=Support.APPROXIMATED, note="as `pad`"),
    "crop": Mode(
        fit=None, zooms=True, note="cuts the box out of the picture as it is, and is cut back to it"
    ),
    "thumb": Mode(
        fit=Fit.COVER,
        zooms=True,
        support=Support.APPROXIMATED,
        note=f"so near to a face that the head takes {_THUMB_PERCENT} per cent of a side, times `z`; at other gravities the"
        " largest window of its ratio",
    ),
    "imagga_crop": _ADD_ON,
    "imagga_scale": _ADD_ON,
}


def operations(requested: CloudinaryRequested) -> list[Operation]:
    """The operations of the component that was read; notes in the scope what is known of the size after each. Raises
    NotSupported."""
    here, found = requested.here, list[Operation]()
    for op in _in_order(requested, here):
        _note(requested, op)
        found.append(op)
    return found


def _in_order(requested: CloudinaryRequested, here: Parameters) -> Iterator[Operation]:
    yield from here.first
    if here.as_stored:
        yield AsStored()
    if here.trim:
        yield here.trim
    if here.auto_turn:
        yield from _turned_to_shape(here.auto_turn, here, requested.scope)
    yield from _sizing(requested, here)
    for turn in here.turns:
        is_coloured = isinstance(turn, Rotate) and here.background is not None
        yield replace(turn, background=here.background) if is_coloured else turn  # type: ignore[type-var]
    for make in here.effects:
        if (effect := make(here)) is not None:
            yield effect
    if here.opacity_percent < 100:
        yield Opacity(here.opacity_percent)
    yield from shaped(here)
    if here.background is not None and here.background.alpha == 255:
        yield Flatten(here.background)


def _turned_to_shape(turn: Turn, here: Parameters, scope: Scope) -> Iterator[Operation]:
    """The turn if the requested size is wide and the picture high, or the other way round. Raises NotSupported."""
    by = here.ratio
    if by is None and isinstance(here.width, int) and isinstance(here.height, int):
        by = Fraction(here.width, here.height)
    if by is None:
        raise NotSupported("parameter a needs w and h in pixels, or ar, beside auto_right and auto_left")
    if scope.width_px is None or scope.height_px is None:
        yield TurnToShape(turn, by >= 1)
    elif (by >= 1) is not (scope.width_px >= scope.height_px):
        yield turn


def _sizing(requested: CloudinaryRequested, here: Parameters) -> tuple[Operation, ...]:
    has_side = here.width is not None or here.height is not None
    mode = MODES[here.mode or "scale"]
    if mode.support is Support.REFUSED:
        raise NotSupported("parameter c names a mode of an add-on, which is not supported")
    if here.ratio is not None and here.width is not None and here.height is not None:
        requested.ignore("ar", "w and h give the ratio")
        here.ratio = None
    if here.zoom is not None and here.zoom != 1:
        _check_zoom(here, mode)
    if here.gravity is not None and not (mode.fit in _POSITIONED and (has_side or here.ratio is not None)):
        requested.ignore("g", "the picture is neither cropped nor padded")
    at = _gravity(requested, here, mode)
    if mode.fit is None:
        return _crop(here, at)
    if has_side:
        return _resize(here, mode, at)
    if here.ratio is not None:
        return _by_ratio(requested, here, mode, at)
    if here.mode == "thumb":
        raise NotSupported("parameter c_thumb needs w, h or ar")
    if here.mode is not None:
        requested.ignore("c", "there is no size")
    return ()


def _check_zoom(here: Parameters, mode: Mode) -> None:
    """Raises NotSupported if nothing says what is zoomed."""
    is_crop = mode.fit is None and here.width is None and here.height is None and here.ratio is not None
    if not is_crop and (mode.fit is None or not mode.zooms or not (_is_box(here) or here.ratio is not None)):
        raise NotSupported("parameter z needs c_thumb with w and h, or c_crop with ar alone")


def _is_box(here: Parameters) -> bool:
    return (here.width is not None and here.height is not None) or (
        here.ratio is not None and (here.width is not None or here.height is not None)
    )


def _crop(here: Parameters, at: Gravity | Offset) -> tuple[Operation, ...]:
    if not here.has_size and not isinstance(at, Offset | CloseUp):
        raise NotSupported("parameter c_crop needs w, h, ar, x or y")
    window = Crop(width=here.width, height=here.height, ratio=here.ratio, at=at)
    return (window, *_zoomed(here, at))


def _zoomed(here: Parameters, at: Gravity | Offset) -> tuple[Operation, ...]:
    """The part of a window that a zoom shows."""
    if here.zoom is None or here.zoom <= 1 or isinstance(at, CloseUp):
        return ()
    return (Crop(width=Part(1 / here.zoom), height=Part(1 / here.zoom), at=at),)


def _resize(here: Parameters, mode: Mode, at: Gravity | Offset) -> tuple[Operation, ...]:
    assert not isinstance(at, Offset)
    fit = mode.fit if _is_box(here) else Fit.INSIDE
    assert fit is not None
    width, height = here.width, here.height
    if here.ignores_ratio and mode is _SCALE and not _is_box(here):
        fit, width, height = Fit.FILL, width or WHOLE, height or WHOLE
    window: tuple[Operation, ...] = ()
    if zoomed := _zoomed(here, at):
        by = here.ratio
        if by is None:
            if not isinstance(width, int) or not isinstance(height, int):
                raise NotSupported("parameter z needs w and h in pixels")
            by = Fraction(width, height)
        window, at = (Crop(ratio=by, at=at), *zoomed), CENTER
    resize = Resize(
        width=width,
        height=height,
        ratio=here.ratio,
        fit=fit,
        enlarge=mode.enlarge,
        gravity=at if fit in _POSITIONED else CENTER,
        background=here.filling if fit is Fit.CONTAIN else WHITE,
    )
    return (*window, resize)


def _by_ratio(
    requested: CloudinaryRequested, here: Parameters, mode: Mode, at: Gravity | Offset
) -> tuple[Operation, ...]:
    """The operation of a ratio alone."""
    match mode.fit:
        case Fit.COVER:
            return _crop(here, at)
        case Fit.CONTAIN:
            assert not isinstance(at, Offset)
            gravity = CENTER if isinstance(at, Smart) else at
            return (Extend(ratio=here.ratio, gravity=gravity, background=here.filling),)
        case Fit.FILL:
            return (Resize(width=WHOLE, ratio=here.ratio, fit=Fit.FILL, enlarge=mode.enlarge),)
    requested.ignore("ar", "the picture keeps its own ratio")
    return ()


def _gravity(requested: CloudinaryRequested, here: Parameters, mode: Mode) -> Gravity | Offset:
    x, y = here.x, here.y
    has_offset = x is not None or y is not None
    match here.gravity:
        case OffsetPoint():
            return _point(x, y, requested.scope)
        case Smart() as smart:
            if has_offset:
                requested.ignore("x", "offsets have no effect with faces and auto")
            if smart in FACE_GRAVITIES and mode.zooms and mode.fit is Fit.COVER:
                percent = round(_THUMB_PERCENT * (here.zoom or 1))
                return CloseUp(smart, max(1, min(percent, 100)))
            if smart in FACE_GRAVITIES and mode.fit is None and not here.has_size:
                return CloseUp(smart, 100)
            return smart
        case None if not has_offset:
            return mode.gravity
        case None if mode.fit is None:
            return _corner(x, y)
        case FocalPoint() as point:
            if not has_offset:
                return point
            if mode.fit is None and point == _NORTH_WEST:
                return _corner(x, y)
            # Offsets are measured from the edges of the gravity inwards.
            return Shifted(point, _times(x, -1 if point.x == 1 else 1), _times(y, -1 if point.y == 1 else 1))
    if mode.gravity == CENTER and (here.width or here.height or here.ratio):
        return Shifted(CENTER, x or 0, y or 0)
    requested.ignore("x", "it needs a gravity or c_crop")
    return mode.gravity


def _corner(x: Length | None, y: Length | None) -> Offset:
    for name, value in (("x", x), ("y", y)):
        if value is not None and is_negative(value):
            raise NotSupported(f"parameter {name} must be 0 or more: the left or upper edge of the crop")
    return Offset(x or 0, y or 0)


def _times(length: Length | None, sign: int) -> Length:
    return length.times(sign) if isinstance(length, Relative) else (length or 0) * sign


def _point(x: Length | None, y: Length | None, scope: Scope) -> Gravity:
    match x, y:
        case int(), int() if scope.is_original and x >= 0 and y >= 0:
            return OriginalPoint(x, y)
        case int(), int() if scope.width_px and scope.height_px:
            left, top = Fraction(x, scope.width_px), Fraction(y, scope.height_px)
        case ((Part() | 0), (Part() | 0)):
            left, top = (each.fraction if isinstance(each, Part) else Fraction(0) for each in (x, y))
        case _:
            raise NotSupported(
                "parameter g_xy_center needs x and y, both in pixels of the original or both as fractions"
            )
    if not (0 <= left <= 1 and 0 <= top <= 1):
        raise NotSupported("parameter g_xy_center needs a point within the picture")
    return FocalPoint(round(float(left), 4), round(float(top), 4))


def _note(requested: CloudinaryRequested, op: Operation) -> None:
    """Notes what is known of the size after an operation."""
    scope = requested.scope
    match op:
        case Resize(width=width, height=height, fit=fit, enlarge=Enlarge.ALLOW) if (
            requested.dpr_percent is None
        ):
            width_px = width if isinstance(width, int) else None
            height_px = height if isinstance(height, int) else None
            if op.is_box and fit not in (Fit.COVER, Fit.FILL, Fit.CONTAIN):
                width_px = height_px = None
            elif op.ratio is not None and width_px is not None:
                height_px = side_by_ratio(width_px, op.ratio.denominator, op.ratio.numerator)
            elif op.ratio is not None and height_px is not None:
                width_px = side_by_ratio(height_px, op.ratio.numerator, op.ratio.denominator)
            scope.canvas(width_px, height_px)
        case Turn():
            if op.swaps_sides:
                scope.canvas(scope.height_px, scope.width_px)
        case Resize() | Crop() | Extend() | Pad() | Trim() | TurnToShape() | AsStored() | Rotate():
            scope.canvas(None, None)
        case Choice():
            if not all(
                isinstance(each, Choice | Effect) and not isinstance(each, Rotate)
                for each in with_branches([op])
            ):
                scope.canvas(None, None)
        case _:
            pass


def multiplied(op: Operation, factor: Fraction) -> Operation:
    """`op` with its pixels times a device pixel ratio that a Transform cannot have."""
    match op:
        case Resize():
            return replace(op, width=_enlarged(op.width, factor), height=_enlarged(op.height, factor))
        case Choice(condition, then, otherwise):
            branches = (tuple(multiplied(each, factor) for each in branch) for branch in (then, otherwise))
            return Choice(condition, *branches)
        case _:
            return op


def _enlarged(length: Length | None, factor: Fraction) -> Length | None:
    if not isinstance(length, int):
        return length
    return max(1, (length * factor + Fraction(1, 2)).__floor__())
