"""Sizes, boxes and offsets in integers. All rounding of sizes is done in this file. Half pixels round up, unless an
operation has another rounding.

Every side is at least 1.
"""

from fractions import Fraction

from proxy.core.image.size import Box, Size
from proxy.core.transform.operations import FocalPoint, Rounding

_HALF_UP = Rounding.HALF_UP


def ratio(number: int, above: int, below: int, rounding: Rounding = _HALF_UP) -> int:
    """`number` x `above` / `below`, rounded, at least 1."""
    match rounding:
        case Rounding.HALF_UP:
            return max(1, (2 * number * above + below) // (2 * below))
        case Rounding.HALF_EVEN:
            return max(1, round(Fraction(number * above, below)))
        case Rounding.DOWN:
            return max(1, number * above // below)


def scaled_into(size: Size, max_side_px: int) -> Size:
    """`size`; if a side exceeds `max_side_px`, the same aspect with its longer side that long."""
    longest = max(size)
    if longest <= max_side_px:
        return size
    return Size(ratio(size.width, max_side_px, longest), ratio(size.height, max_side_px, longest))


def inside(original: Size, box: Size, *, enlarge: bool, rounding: Rounding = _HALF_UP) -> Size:
    """The largest size of `original`'s aspect within `box`; `original` itself if it is smaller and `enlarge` is
    False."""
    if not enlarge and original.width <= box.width and original.height <= box.height:
        return original
    if original.width * box.height >= original.height * box.width:
        return Size(box.width, ratio(original.height, box.width, original.width, rounding))
    return Size(ratio(original.width, box.height, original.height, rounding), box.height)


def outside(original: Size, box: Size, max_side_px: int | None) -> Size:
    """The smallest size of `original`'s aspect that covers `box`, scaled down to `max_side_px` if given."""
    if original.width * box.height >= original.height * box.width:
        covering = Size(max(box.width, ratio(original.width, box.height, original.height)), box.height)
    else:
        covering = Size(box.width, max(box.height, ratio(original.height, box.width, original.width)))
    if max_side_px is None or max(covering) <= max_side_px:
        return covering
    return inside(original, Size(max_side_px, max_side_px), enlarge=True)


def crop_box(size: Size, box: Size, point: FocalPoint) -> Box:
    """`box` centred on `point` and moved to lie within `size`, which covers it."""
    return Box(
        _pushed_back(point.x * size.width - box.width / 2, size.width - box.width),
        _pushed_back(point.y * size.height - box.height / 2, size.height - box.height),
        box.width,
        box.height,
    )


def _pushed_back(offset: float, room: int) -> int:
    return max(0, min(room, int(offset + 0.5) if offset > 0 else 0))


def pad_offset(size: Size, canvas: Size, point: FocalPoint) -> tuple[int, int]:
    """The upper left corner of `size` on `canvas`; `point` divides the free space."""
    return (
        int((canvas.width - size.width) * point.x + 0.5),
        int((canvas.height - size.height) * point.y + 0.5),
    )
