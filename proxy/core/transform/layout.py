"""Layout: a Plan and the size of an original become commands on pixels, with every size and position decided.

Pure: `commands` is a generator. The renderer executes each command, and answers a Find with the box that it found. The
first command is always Load, so that the renderer decodes no more pixels than the first sizes need.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeVar, assert_never

from proxy.core.image.size import Box, Size, pixels
from proxy.core.transform.geometry import crop_box, inside, outside, pad_offset, ratio, scaled_into
from proxy.core.transform.operations import (
    Colour,
    Crop,
    Effect,
    Enlarge,
    Fit,
    Gravity,
    Length,
    Offset,
    Operation,
    Part,
    Resize,
    Smart,
    Turn,
)

_L = TypeVar("_L", Length, Length | None, int | None)


@dataclass(frozen=True, slots=True)
class Load:
    """Loads `region` of the upright original at exactly `size`."""

    region: Box
    size: Size


@dataclass(frozen=True, slots=True)
class Cut:
    """Cuts `box` out of the canvas."""

    box: Box


@dataclass(frozen=True, slots=True)
class Scale:
    """Resizes the canvas to exactly `size`."""

    size: Size


@dataclass(frozen=True, slots=True)
class Embed:
    """Embeds the canvas in a larger one of `size` and colour `background`, `left` and `top` pixels from its corner."""

    size: Size
    left: int
    top: int
    background: Colour


@dataclass(frozen=True, slots=True)
class Find:
    """Asks for the box of this size that shows most of what `smart` looks for."""

    size: Size
    smart: Smart


Command = Load | Cut | Scale | Embed | Find | Turn | Effect
Commands = Generator[Command, Box | None, None]
_Part = Generator[Command, Box | None, Size]
"""The commands of one operation; returns the size of the canvas after it."""


def commands(ops: tuple[Operation, ...], limit_px: int, original: Size) -> Commands:
    """The commands for `ops` on an upright original of size `original`. No side of the result exceeds `limit_px`."""
    following = _following(ops, limit_px, original)
    turn, size, region = None, original, Box(0, 0, *original)
    command = next(following, None)
    if isinstance(command, Turn):
        turn, command = command, next(following, None)
        size = _turned(original, turn)
        region = Box(0, 0, *size)
    while isinstance(command, Cut):
        left, top, *size_ = command.box
        region, size = Box(region.left + left, region.top + top, *size_), Size(*size_)
        command = next(following, None)
    if isinstance(command, Scale):
        size, command = command.size, next(following, None)
    if turn is None:
        yield Load(region, size)
    else:
        yield Load(_before(turn, region, original), _turned(size, turn))
        yield turn
    try:
        while command is not None:
            command = following.send((yield command))
    except StopIteration:
        return


def _following(ops: tuple[Operation, ...], limit_px: int, canvas: Size) -> Commands:
    """The commands on the whole original at its own size."""
    for op in ops:
        match op:
            case Resize():
                canvas = yield from _resize(op, limit_px, canvas)
            case Crop():
                canvas = yield from _crop(op, canvas)
            case Turn():
                yield op
                canvas = _turned(canvas, op)
            case _:
                # Effects have strengths in output pixels, and their cost depends on the size.
                canvas = yield from _scale(scaled_into(canvas, limit_px), canvas)
                yield op
    yield from _scale(scaled_into(canvas, limit_px), canvas)


def boxed(op: Resize, dpr_percent: int, limit_px: int) -> Resize:
    """`op` with its pixels times a device pixel ratio in per cent. A box that does not depend on the canvas is scaled
    down to `limit_px`; a side that follows the aspect is `limit_px`."""
    width, height = op.width, op.height
    if isinstance(width, Part) or isinstance(height, Part):
        return replace(op, width=_times(width, dpr_percent), height=_times(height, dpr_percent))
    width, height = _by_ratio(op.ratio, width, height)
    box = _limited(_times(width, dpr_percent), _times(height, dpr_percent), limit_px)
    return replace(op, width=box.width, height=box.height, ratio=None)


def _times(length: _L, dpr_percent: int) -> _L:
    return ratio(length, dpr_percent, 100) if isinstance(length, int) else length


def _by_ratio(
    by: Fraction | None, width_px: int | None, height_px: int | None
) -> tuple[int | None, int | None]:
    """Both sides, if one of them follows the other by a ratio."""
    if by is not None and width_px is None and height_px is not None:
        return ratio(height_px, by.numerator, by.denominator), height_px
    if by is not None and width_px is not None and height_px is None:
        return width_px, ratio(width_px, by.denominator, by.numerator)
    return width_px, height_px


def _limited(width_px: int | None, height_px: int | None, limit_px: int) -> Size:
    if width_px is None or height_px is None:
        return Size(min(width_px or limit_px, limit_px), min(height_px or limit_px, limit_px))
    return scaled_into(Size(width_px, height_px), limit_px)


def _side(length: Length | None, side_px: int) -> int | None:
    if isinstance(length, Part):
        return ratio(side_px, length.fraction.numerator, length.fraction.denominator)
    return length


def _resize(op: Resize, limit_px: int, canvas: Size) -> _Part:
    sides = _side(op.width, canvas.width), _side(op.height, canvas.height)
    box = _limited(*_by_ratio(op.ratio, *sides), limit_px)
    match op.fit:
        case Fit.INSIDE:
            return (yield from _scale(_enlarged(op, canvas, inside(canvas, box, enlarge=True)), canvas))
        case Fit.OUTSIDE:
            return (yield from _scale(_enlarged(op, canvas, outside(canvas, box, limit_px)), canvas))
        case Fit.FILL:
            return (yield from _scale(_enlarged(op, canvas, box), canvas))
        case Fit.CONTAIN:
            size = yield from _scale(_enlarged(op, canvas, inside(canvas, box, enlarge=True)), canvas)
            return (yield from _embed(size, box, op))
        case Fit.COVER:
            return (yield from _cover(op, box, canvas))
    assert_never(op.fit)


def _enlarged(op: Resize, canvas: Size, size: Size) -> Size:
    """`size`, or `canvas` where `op` does not enlarge or reduce so."""
    is_larger = size.width > canvas.width or size.height > canvas.height
    applies = op.enlarge is Enlarge.ALLOW or (op.enlarge is Enlarge.ONLY) is is_larger
    return size if applies else canvas


def _cover(op: Resize, box: Size, canvas: Size) -> _Part:
    size = _enlarged(op, canvas, outside(canvas, box, None))
    box = Size(min(box.width, size.width), min(box.height, size.height))
    if size.width > canvas.width and pixels(size) > 4 * pixels(box):
        # A long thin canvas enlarged to cover a box: cut first, because the enlarged area has no limit.
        window = Size(
            min(canvas.width, ratio(box.width, canvas.width, size.width)),
            min(canvas.height, ratio(box.height, canvas.height, size.height)),
        )
        canvas = yield from _cut(window, op.gravity, canvas)
        return (yield from _scale(box, canvas))
    size = yield from _scale(size, canvas)
    return (yield from _cut(box, op.gravity, size))


def _crop(op: Crop, canvas: Size) -> _Part:
    left_px = top_px = 0
    if isinstance(op.at, Offset):
        left_px, top_px = _offset(op.at.x, canvas.width), _offset(op.at.y, canvas.height)
    room = Size(canvas.width - left_px, canvas.height - top_px)
    if min(room) < 1:
        return canvas
    width_px, height_px = _side(op.width, canvas.width), _side(op.height, canvas.height)
    box = Size(min(width_px or room.width, room.width), min(height_px or room.height, room.height))
    if op.ratio is not None:
        box = inside(Size(op.ratio.numerator, op.ratio.denominator), box, enlarge=True)
    if not isinstance(op.at, Offset):
        return (yield from _cut(box, op.at, canvas))
    if box != canvas:
        yield Cut(Box(left_px, top_px, *box))
    return box


def _offset(length: Length, side_px: int) -> int:
    if isinstance(length, Part):
        return (2 * side_px * length.fraction.numerator + length.fraction.denominator) // (
            2 * length.fraction.denominator
        )
    return length


def _cut(box: Size, at: Gravity, canvas: Size) -> _Part:
    if box != canvas:
        if isinstance(at, Smart):
            found = yield Find(box, at)
            assert found is not None
        else:
            found = crop_box(canvas, box, at)
        yield Cut(found)
    return box


def _scale(size: Size, canvas: Size) -> _Part:
    if size != canvas:
        yield Scale(size)
    return size


def _embed(size: Size, box: Size, op: Resize) -> _Part:
    if size != box:
        assert not isinstance(op.gravity, Smart)
        yield Embed(box, *pad_offset(size, box, op.gravity), op.background)
    return box


def _turned(size: Size, turn: Turn) -> Size:
    return Size(size.height, size.width) if turn.swaps_sides else size


def _before(turn: Turn, box: Box, original: Size) -> Box:
    """The box of the original that becomes `box` by `turn`."""
    size = _turned(original, turn)
    right, bottom = size.width - box.left - box.width, size.height - box.top - box.height
    match turn:
        case Turn.R90:
            return Box(box.top, right, box.height, box.width)
        case Turn.R180:
            return Box(right, bottom, box.width, box.height)
        case Turn.R270:
            return Box(bottom, box.left, box.height, box.width)
        case Turn.HFLIP:
            return Box(right, box.top, box.width, box.height)
        case Turn.VFLIP:
            return Box(box.left, bottom, box.width, box.height)
        case Turn.TRANSPOSE:
            return Box(box.top, box.left, box.height, box.width)
        case Turn.TRANSVERSE:
            return Box(bottom, right, box.height, box.width)
    assert_never(turn)
