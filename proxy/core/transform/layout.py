"""Layout: a Plan and the size of an original become commands on pixels, with every size and position decided.

Pure: `commands` is a generator. The renderer executes each command, and answers a Find or FindBorders with the box that it
found. The first command is always Load, so that the renderer decodes no more pixels than the first sizes need.
Longer than other files, because every operation is laid out by the same few steps on the canvas.
"""

from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from math import cos, radians, sin
from typing import TypeVar, assert_never

from proxy.core.image.faces import PARTS, Face, Faces, around, faces_of, largest_face, most_faces
from proxy.core.image.size import Box, Size, pixels
from proxy.core.transform.geometry import crop_box, inside, outside, pad_offset, ratio, scaled_into
from proxy.core.transform.lengths import Length, Part, Relative, Sum
from proxy.core.transform.operations import (
    CENTER,
    FACE_GRAVITIES,
    AsStored,
    Background,
    Blur,
    BlurFaces,
    Choice,
    CloseUp,
    Colour,
    Crop,
    Effect,
    Enlarge,
    Extend,
    Fit,
    FocalPoint,
    Gravity,
    Offset,
    Operation,
    OriginalPoint,
    Outline,
    Overlay,
    Pad,
    Pixelate,
    PixelateFaces,
    Resize,
    Rotate,
    Rounding,
    Shadow,
    Shifted,
    Smart,
    Trim,
    Turn,
    TurnToShape,
    Watermark,
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
    """Embeds the canvas in a larger one of `size`, `left` and `top` pixels from its corner; `background` fills the rest."""

    size: Size
    left: int
    top: int
    background: Background


@dataclass(frozen=True, slots=True)
class Find:
    """Asks for the box of this size that shows most of what `smart` looks for."""

    size: Size
    smart: Smart


@dataclass(frozen=True, slots=True)
class FindBorders:
    """Asks for the box within the borders that `trim` describes, on a canvas of `size`; the whole canvas if it has
    none, or consists of one."""

    trim: Trim
    size: Size


@dataclass(frozen=True, slots=True)
class Rotation:
    """Rotates the canvas clockwise about its middle, which becomes that of a canvas of `size`; `background` fills the rest."""

    degrees: float
    size: Size
    background: Colour


@dataclass(frozen=True, slots=True)
class InBoxes:
    """Applies `effect` to each of `boxes` of the canvas alone."""

    effect: Blur | Pixelate
    boxes: tuple[Box, ...]


Command = (
    Load | Cut | Scale | Embed | Rotation | Find | FindBorders | Turn | Effect | InBoxes | Overlay | Watermark
)
Commands = Generator[Command, Box | None, None]


def commands(
    ops: tuple[Operation, ...],
    limit_px: int,
    original: Size,
    faces: Faces | None = None,
    stored: Turn | None = None,
) -> Commands:
    """The commands for `ops` on an upright original of size `original` with these faces. No side of the result exceeds
    `limit_px`. Without a face, attention takes the place of faces. `stored` is the turn to the picture as it is stored."""
    following = _following(ops, limit_px, _Canvas(original, faces or Faces()), stored)
    region, size = Box(0, 0, *original), original
    turn: Turn | None = None
    command = next(following, None)
    while isinstance(command, Cut | Turn):
        if isinstance(command, Turn):
            turn, size = command if turn is None else turn.then(command), _turned(size, command)
        else:
            cut = command.box
            left, top, *rest = cut if turn is None else _before(turn, cut, Size(*region[2:]))
            region, size = Box(region.left + left, region.top + top, *rest), Size(cut.width, cut.height)
        command = next(following, None)
    if isinstance(command, Scale):
        size, command = command.size, next(following, None)
    if turn is None:
        yield Load(region, size)
    else:
        yield Load(region, _turned(size, turn))
        yield turn
    try:
        while command is not None:
            command = following.send((yield command))
    except StopIteration:
        return


def _rotated(size: Size, degrees: float) -> Size:
    """The box around a canvas that is rotated, in whole pixels."""
    cosine, sine = abs(cos(radians(degrees))), abs(sin(radians(degrees)))
    return Size(
        max(1, int(size.width * cosine + size.height * sine + 0.5)),
        max(1, int(size.width * sine + size.height * cosine + 0.5)),
    )


def outline(
    ops: tuple[Operation, ...], limit_px: int, original: Size, faces: Faces | None = None
) -> Iterator[Command]:
    """The commands without a renderer: what is to be found is at the upper left."""
    following = commands(ops, limit_px, original, faces)
    answer: Box | None = None
    with suppress(StopIteration):
        while True:
            command = following.send(answer)
            yield command
            answer = Box(0, 0, *command.size) if isinstance(command, Find | FindBorders) else None


def size_after(ops: tuple[Operation, ...], limit_px: int, original: Size) -> Size:
    """The size of the result; of a trim, that without borders to cut off."""
    size = original
    for command in outline(ops, limit_px, original):
        match command:
            case Load() | Scale() | Embed() | Rotation():
                size = command.size
            case Cut(box):
                size = Size(box.width, box.height)
            case Turn():
                size = _turned(size, command)
    return size


class _Canvas:
    """The size of the canvas, and where points of the original lie on it. Each method gives the commands of a change."""

    def __init__(self, size: Size, faces: Faces) -> None:
        self.size = self.original = size
        self._faces = faces
        self._rows = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
        """x and y on the canvas, each as the factors of x and y of the original, and a constant."""

    def cut(self, box: Box) -> Iterator[Command]:
        if box != Box(0, 0, *self.size):
            yield Cut(box)
        self._move(-box.left, -box.top)
        self.size = Size(box.width, box.height)

    def scale(self, size: Size) -> Iterator[Command]:
        if size != self.size:
            yield Scale(size)
        factors = (size.width / self.size.width, size.height / self.size.height)
        (ax, bx, cx), (ay, by, cy) = self._rows
        self._rows = (
            (ax * factors[0], bx * factors[0], cx * factors[0]),
            (ay * factors[1], by * factors[1], cy * factors[1]),
        )
        self.size = size

    def turn(self, turn: Turn) -> Iterator[Command]:
        yield turn
        mirrored, quarters = turn.parts
        if mirrored:
            (ax, bx, cx), row = self._rows
            self._rows = (-ax, -bx, self.size.width - cx), row
        for _ in range(quarters):
            row, (ay, by, cy) = self._rows
            self._rows = (-ay, -by, self.size.height - cy), row
            self.size = Size(self.size.height, self.size.width)

    def rotate(self, degrees: float, background: Colour, limit_px: int) -> Iterator[Command]:
        """The box around the rotated canvas, which is scaled down before if a side of that exceeds `limit_px`."""
        whole = _rotated(self.size, degrees)
        into = scaled_into(whole, limit_px)
        if into != whole:
            yield from self.scale(
                Size(
                    ratio(self.size.width, into.width, whole.width),
                    ratio(self.size.height, into.height, whole.height),
                )
            )
            into = Size(*map(min, _rotated(self.size, degrees), into))
        yield Rotation(degrees, into, background)
        cosine, sine = cos(radians(degrees)), sin(radians(degrees))
        self._move(-self.size.width / 2, -self.size.height / 2)
        (ax, bx, cx), (ay, by, cy) = self._rows
        self._rows = (
            (cosine * ax - sine * ay, cosine * bx - sine * by, cosine * cx - sine * cy),
            (sine * ax + cosine * ay, sine * bx + cosine * by, sine * cx + cosine * cy),
        )
        self._move(into.width / 2, into.height / 2)
        self.size = into

    def embed(
        self, canvas: Size, left: int, top: int, background: Background, limit_px: int
    ) -> Iterator[Command]:
        """The canvas on a larger one; both scaled down together if a side exceeds `limit_px`."""
        if canvas == self.size:
            return
        into = scaled_into(canvas, limit_px)
        if into != canvas:
            yield from self.scale(
                Size(
                    min(into.width, ratio(self.size.width, into.width, canvas.width)),
                    min(into.height, ratio(self.size.height, into.height, canvas.height)),
                )
            )
            left = min(left * into.width // canvas.width, into.width - self.size.width)
            top = min(top * into.height // canvas.height, into.height - self.size.height)
        yield Embed(into, left, top, background)
        self._move(left, top)
        self.size = into

    def point(self, original: OriginalPoint) -> FocalPoint:
        """The point of the canvas, or of its edge, where this point of the original lies."""
        x, y = self._at(original.x_px, original.y_px)
        return FocalPoint(max(0.0, min(1.0, x)), max(0.0, min(1.0, y)))

    def middle_of_faces(self, smart: Smart, window: Size) -> FocalPoint | None:
        """The middle of what a window shows: of the head of the largest face, or for FACES of the heads that it holds. A
        face that is not on the canvas counts if none is; the middle is then on the edge. None without a face, and for
        other gravities."""
        on_canvas = self._on_canvas()
        faces = on_canvas if on_canvas.boxes else self._faces
        largest = largest_face(faces)
        if largest is None or smart not in FACE_GRAVITIES:
            return None
        if smart is Smart.FACES:
            heads = faces_of([self._parts(face.head) for face in faces.boxes], Size(PARTS, PARTS))
            if (most := most_faces(heads, window, self.size)) is not None:
                return FocalPoint(*most.centre)
        x, y = largest.head.centre
        return self.point(OriginalPoint(round(x * self.original.width), round(y * self.original.height)))

    def close_up(self, gravity: CloseUp, shape: Size | None) -> Box | None:
        """The smallest box in the aspect of `shape`, if that is given, in which the heads take no more than their part. None
        without a face on the canvas."""
        faces = self._on_canvas()
        if gravity.number is not None:
            boxes = faces.boxes[: gravity.number][-1:]
        elif gravity.of is Smart.FACES:
            boxes = faces.boxes
        else:
            largest = largest_face(faces)
            boxes = () if largest is None else (largest,)
        if not boxes:
            return None
        heads = self._pixels(around([self._parts(face.head) for face in boxes]))
        size = Size(*(-(-100 * side // gravity.percent) for side in heads[2:]))
        if shape is not None:
            size = outside(shape, size, None)
        if size.width > self.size.width or size.height > self.size.height:
            least = Size(min(size.width, self.size.width), min(size.height, self.size.height))
            size = least if shape is None else inside(shape, self.size, enlarge=True)
        x, y = heads.left + heads.width / 2, heads.top + heads.height / 2
        return crop_box(self.size, size, FocalPoint(x / self.size.width, y / self.size.height))

    def heads(self) -> tuple[Box, ...]:
        """The pixels of the canvas that each head touches."""
        boxes = (self._pixels(self._parts(face.head)) for face in self._faces.boxes)
        return tuple(box for box in boxes if box.width > 0 and box.height > 0)

    def _pixels(self, parts: Face) -> Box:
        """The pixels that a box in parts of the canvas touches; without width or height if it is outside."""
        left, top = (max(0, at * side // PARTS) for at, side in zip(parts[:2], self.size, strict=True))
        right = min(self.size.width, -(-(parts.left + parts.width) * self.size.width // PARTS))
        bottom = min(self.size.height, -(-(parts.top + parts.height) * self.size.height // PARTS))
        return Box(left, top, right - left, bottom - top)

    def _on_canvas(self) -> Faces:
        return Faces(tuple(face for face in self._faces.boxes if self._shows(face)))

    def _shows(self, face: Face) -> bool:
        x, y = face.centre
        return all(0 <= each <= 1 for each in self._at(x * self.original.width, y * self.original.height))

    def _parts(self, face: Face) -> Face:
        """The box around `face`, which a rotation may have tilted, in parts of the canvas; partly outside of a canvas that cuts
        it."""
        width, height = self.original.width / PARTS, self.original.height / PARTS
        corners = product((face.left, face.left + face.width), (face.top, face.top + face.height))
        across, down = zip(*(self._at(x * width, y * height) for x, y in corners), strict=True)
        left, top = round(min(across) * PARTS), round(min(down) * PARTS)
        return Face(left, top, round(max(across) * PARTS) - left, round(max(down) * PARTS) - top)

    def _at(self, x_px: float, y_px: float) -> tuple[float, float]:
        """A point of the original in fractions of the canvas, below 0 or above 1 outside of it."""
        x, y = (ax * x_px + bx * y_px + c for ax, bx, c in self._rows)
        return x / self.size.width, y / self.size.height

    def _move(self, x_px: float, y_px: float) -> None:
        (ax, bx, cx), (ay, by, cy) = self._rows
        self._rows = (ax, bx, cx + x_px), (ay, by, cy + y_px)


def _following(ops: tuple[Operation, ...], limit_px: int, canvas: _Canvas, stored: Turn | None) -> Commands:
    """The commands on the whole original at its own size."""
    yield from _applied(ops, limit_px, canvas, stored)
    yield from canvas.scale(scaled_into(canvas.size, limit_px))


def _applied(ops: tuple[Operation, ...], limit_px: int, canvas: _Canvas, stored: Turn | None) -> Commands:
    for op in ops:
        match op:
            case Resize():
                yield from _resize(op, limit_px, canvas)
            case Crop():
                yield from _crop(op, canvas)
            case Extend():
                yield from _extend(op, limit_px, canvas)
            case Pad():
                yield from _pad(op, limit_px, canvas)
            case Trim():
                box = yield FindBorders(op, canvas.size)
                assert box is not None
                yield from canvas.cut(box)
            case Turn():
                yield from canvas.turn(op)
            case TurnToShape(turn, is_wide):
                if (canvas.size.width >= canvas.size.height) is not is_wide:
                    yield from canvas.turn(turn)
            case AsStored():
                if stored is not None:
                    yield from canvas.turn(stored)
            case Rotate(degrees, background):
                yield from canvas.scale(scaled_into(canvas.size, limit_px))
                yield from canvas.rotate(degrees, background, limit_px)
            case Outline() | Shadow():
                yield from canvas.scale(scaled_into(canvas.size, limit_px))
                yield from _pad(op.room, limit_px, canvas)
                yield op
            case BlurFaces() | PixelateFaces():
                yield from canvas.scale(scaled_into(canvas.size, limit_px))
                if boxes := canvas.heads():
                    by = Blur(op.sigma_px) if isinstance(op, BlurFaces) else Pixelate(op.side_px)
                    yield InBoxes(by, boxes)
            case Overlay():
                yield from canvas.scale(scaled_into(canvas.size, limit_px))
                yield _in_pixels(op, limit_px, canvas)
            case Choice(condition, then, otherwise):
                branch = then if condition.holds(canvas.size, canvas.original) else otherwise
                yield from _applied(branch, limit_px, canvas, stored)
            case _:
                # Effects have strengths in output pixels, and their cost depends on the size.
                yield from canvas.scale(scaled_into(canvas.size, limit_px))
                yield op


def _pad(op: Pad, limit_px: int, canvas: _Canvas) -> Iterator[Command]:
    own = canvas.size
    padded = Size(own.width + op.left_px + op.right_px, own.height + op.top_px + op.bottom_px)
    yield from canvas.embed(padded, op.left_px, op.top_px, op.background, limit_px)


def boxed(op: Resize, dpr_percent: int, limit_px: int) -> Resize:
    """`op` with its pixels times a device pixel ratio in per cent. A box that does not depend on the canvas is scaled
    down to `limit_px`; a side that follows the aspect is `limit_px`."""
    gravity = op.gravity
    if isinstance(gravity, Shifted):
        gravity = Shifted(gravity.point, _times(gravity.x, dpr_percent), _times(gravity.y, dpr_percent))
    width, height, by = op.width, op.height, op.ratio
    if isinstance(width, Relative) or isinstance(height, Relative):
        width, height = _times(width, dpr_percent), _times(height, dpr_percent)
    else:
        width, height = _by_ratio(by, width, height)
        limited = _limited(_times(width, dpr_percent), _times(height, dpr_percent), limit_px)
        if op.enlarge.by_original:
            # The box is compared with the original, and its other side follows the aspect of the canvas.
            width, height = width and limited.width, height and limited.height
        else:
            width, height = limited
        by = None
    return replace(
        op,
        width=width,
        height=height,
        ratio=by,
        gravity=gravity,
        min_width_px=_times(op.min_width_px, dpr_percent),
        min_height_px=_times(op.min_height_px, dpr_percent),
        max_width_px=_times(op.max_width_px, dpr_percent),
        max_height_px=_times(op.max_height_px, dpr_percent),
    )


def enlarged(op: Extend | Pad, dpr_percent: int) -> Extend | Pad:
    """`op` with its pixels times a device pixel ratio in per cent."""
    match op:
        case Extend():
            return replace(
                op, width_px=_times(op.width_px, dpr_percent), height_px=_times(op.height_px, dpr_percent)
            )
        case Pad():
            sides = (op.top_px, op.right_px, op.bottom_px, op.left_px)
            top, right, bottom, left = ((side * dpr_percent + 50) // 100 for side in sides)
            return replace(op, top_px=top, right_px=right, bottom_px=bottom, left_px=left)
    assert_never(op)


def _times(length: _L, dpr_percent: int) -> _L:
    if not isinstance(length, int):
        return length
    above = (2 * abs(length) * dpr_percent + 100) // 200
    return above if length >= 0 else -above


def layered(op: Overlay, dpr_percent: int) -> Overlay:
    """`op` with its pixels times a device pixel ratio in per cent."""
    at = op.at
    if isinstance(at, Shifted):
        at = Shifted(at.point, _times(at.x, dpr_percent), _times(at.y, dpr_percent))
    return replace(op, width=_times(op.width, dpr_percent), height=_times(op.height, dpr_percent), at=at)


def _in_pixels(op: Overlay, limit_px: int, canvas: _Canvas) -> Overlay:
    """`op` with all lengths in pixels of the canvas, and no side above `limit_px`."""
    width_px, height_px = (
        None if length is None else max(1, min(limit_px, _offset(length, side_px, canvas)))
        for length, side_px in zip((op.width, op.height), canvas.size, strict=True)
    )
    at = op.at
    if isinstance(at, Shifted):
        x_px, y_px = _offset(at.x, canvas.size.width, canvas), _offset(at.y, canvas.size.height, canvas)
        at = Shifted(at.point, x_px, y_px)
    return replace(op, width=width_px, height=height_px, at=at)


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


def _side(
    length: Length | None, side_px: int, canvas: _Canvas, rounding: Rounding = Rounding.HALF_UP
) -> int | None:
    match length:
        case Part(fraction):
            return ratio(side_px, fraction.numerator, fraction.denominator, rounding)
        case Sum():
            return max(1, length.px(canvas.size, canvas.original))
    return length


def _capped(length: Length | None, side_px: int) -> Length | None:
    return min(length, side_px) if isinstance(length, int) else length


def _resize(op: Resize, limit_px: int, canvas: _Canvas) -> Commands:
    own, (wide_px, high_px) = canvas.size, canvas.original
    if op.enlarge is Enlarge.CAPPED:
        op = replace(op, width=_capped(op.width, wide_px), height=_capped(op.height, high_px))
    sides = (
        _side(op.width, own.width, canvas, op.rounding),
        _side(op.height, own.height, canvas, op.rounding),
    )
    if op.enlarge is Enlarge.ORIGINAL:
        box = _limited(*_by_ratio(op.ratio or Fraction(*own), *sides), limit_px)
        box = inside(box, canvas.original, enlarge=False)
    else:
        box = _limited(*_by_ratio(op.ratio, *sides), limit_px)
    if op.fit in (Fit.COVER, Fit.CONTAIN):
        box = _at_most(op, box, box)
    if (
        op.fit is Fit.COVER
        and isinstance(op.gravity, CloseUp)
        and (window := canvas.close_up(op.gravity, box))
    ):
        yield from canvas.cut(window)
        own = canvas.size
    match op.fit:
        case Fit.INSIDE | Fit.CONTAIN:
            size = _enlarged(op, own, inside(own, box, enlarge=True, rounding=op.rounding))
        case Fit.OUTSIDE:
            size = _enlarged(op, own, outside(own, box, limit_px))
        case Fit.COVER:
            size = _enlarged(op, own, outside(own, box, None))
        case Fit.FILL:
            never = op.enlarge in (Enlarge.NEVER, Enlarge.RATIO)
            size = inside(box, own, enlarge=False) if never else _enlarged(op, own, box)
        case Fit.ADAPTIVE:
            is_alike = (own.width >= own.height) is (box.width >= box.height)
            yield from _resize(replace(op, fit=Fit.COVER if is_alike else Fit.INSIDE), limit_px, canvas)
            return
        case _:
            assert_never(op.fit)
    shape = size if op.fit is Fit.FILL else own
    if op.fit is not Fit.COVER:
        size = _at_most(op, size, shape)
    least = _at_least(op, size, shape)
    if op.fit is Fit.COVER:
        yield from _cut_after(_covered(op, box, least), least, op.gravity, canvas)
    elif least != size:
        most = _at_most(op, least, least)
        rest = Size(min(box.width, most.width), min(box.height, most.height))
        yield from _cut_after(rest, least, op.gravity, canvas)
    else:
        yield from canvas.scale(size)
    if op.fit is Fit.CONTAIN:
        yield from _within(box, op.gravity, op.background, limit_px, canvas)


def _enlarged(op: Resize, own: Size, size: Size) -> Size:
    """`size`, or `own` where `op` does not enlarge or reduce so."""
    is_larger = size.width > own.width or size.height > own.height
    by_box = op.enlarge is Enlarge.ALLOW or op.enlarge.by_original
    applies = by_box or (op.enlarge is Enlarge.ONLY) is is_larger
    return size if applies else own


def _at_least(op: Resize, size: Size, shape: Size) -> Size:
    """`size` enlarged to the least sides of `op`, in the aspect of `shape`."""
    if op.min_width_px is not None and op.min_width_px > size.width:
        size = Size(op.min_width_px, ratio(shape.height, op.min_width_px, shape.width))
    if op.min_height_px is not None and op.min_height_px > size.height:
        size = Size(ratio(shape.width, op.min_height_px, shape.height), op.min_height_px)
    return size


def _at_most(op: Resize, size: Size, shape: Size) -> Size:
    """`size` reduced to the greatest sides of `op`, in the aspect of `shape`."""
    most = Size(op.max_width_px or size.width, op.max_height_px or size.height)
    is_larger = size.width > most.width or size.height > most.height
    return inside(shape, most, enlarge=True) if is_larger else size


def _covered(op: Resize, box: Size, size: Size) -> Size:
    """The part of `box` that a picture of `size` covers."""
    if op.enlarge is Enlarge.RATIO and (box.width > size.width or box.height > size.height):
        return inside(box, size, enlarge=True)
    return Size(min(box.width, size.width), min(box.height, size.height))


def _cut_after(box: Size, size: Size, at: Gravity, canvas: _Canvas) -> Commands:
    """Scales the canvas to `size`, then cuts `box` out of it."""
    own = canvas.size
    is_larger = size.width > own.width or size.height > own.height
    if is_larger and pixels(size) > 4 * pixels(box):
        # A long thin canvas enlarged to cover a box: cut first, because the enlarged area has no limit.
        window = Size(
            min(own.width, ratio(box.width, own.width, size.width)),
            min(own.height, ratio(box.height, own.height, size.height)),
        )
        yield from _cut(window, at, canvas)
        yield from canvas.scale(box)
    else:
        yield from canvas.scale(size)
        yield from _cut(box, at, canvas)


def _crop(op: Crop, canvas: _Canvas) -> Commands:
    own = canvas.size
    if isinstance(op.at, CloseUp) and op.width is None and op.height is None:
        shape = None if op.ratio is None else Size(op.ratio.numerator, op.ratio.denominator)
        if window := canvas.close_up(op.at, shape):
            yield from canvas.cut(window)
            return
    left_px = top_px = 0
    if isinstance(op.at, Offset):
        left_px = max(0, _offset(op.at.x, own.width, canvas))
        top_px = max(0, _offset(op.at.y, own.height, canvas))
    room = Size(own.width - left_px, own.height - top_px)
    if min(room) < 1:
        return
    width_px, height_px = _side(op.width, own.width, canvas), _side(op.height, own.height, canvas)
    box = Size(min(width_px or room.width, room.width), min(height_px or room.height, room.height))
    if op.ratio is not None:
        box = inside(Size(op.ratio.numerator, op.ratio.denominator), box, enlarge=True)
    if isinstance(op.at, Offset):
        yield from canvas.cut(Box(left_px, top_px, *box))
    else:
        yield from _cut(box, op.at, canvas)


def _extend(op: Extend, limit_px: int, canvas: _Canvas) -> Commands:
    own = canvas.size
    size = Size(max(op.width_px or 0, own.width), max(op.height_px or 0, own.height))
    if op.ratio is not None:
        size = outside(Size(op.ratio.numerator, op.ratio.denominator), size, None)
    yield from _within(size, op.gravity, op.background, limit_px, canvas)


def _within(
    size: Size, gravity: Gravity, background: Background, limit_px: int, canvas: _Canvas
) -> Iterator[Command]:
    """The canvas within one of `size`, if that is not smaller; `gravity` divides the free space."""
    size = Size(max(size.width, canvas.size.width), max(size.height, canvas.size.height))
    point = gravity.point if isinstance(gravity, Shifted) else gravity
    left, top = pad_offset(canvas.size, size, point if isinstance(point, FocalPoint) else CENTER)
    if isinstance(gravity, Shifted):
        left += _offset(gravity.x, size.width, canvas)
        top += _offset(gravity.y, size.height, canvas)
    left = max(0, min(left, size.width - canvas.size.width))
    top = max(0, min(top, size.height - canvas.size.height))
    yield from canvas.embed(size, left, top, background, limit_px)


def _offset(length: Length, side_px: int, canvas: _Canvas) -> int:
    """A length, half a pixel up; 0 or less too."""
    match length:
        case Part(part):
            return (2 * side_px * part.numerator + part.denominator) // (2 * part.denominator)
        case Sum():
            return length.px(canvas.size, canvas.original)
    return length


def _cut(box: Size, at: Gravity, canvas: _Canvas) -> Commands:
    if box == canvas.size:
        return
    if isinstance(at, CloseUp):
        at = at.of
    match at:
        case Smart():
            middle = canvas.middle_of_faces(at, box)
            if middle is None:
                answer = yield Find(box, at if at is Smart.ENTROPY else Smart.ATTENTION)
                assert answer is not None
                found = answer
            else:
                found = crop_box(canvas.size, box, middle)
        case FocalPoint():
            found = crop_box(canvas.size, box, at)
        case OriginalPoint():
            found = crop_box(canvas.size, box, canvas.point(at))
        case Shifted(point, x, y):
            left, top, *_ = crop_box(canvas.size, box, point)
            left += _offset(x, canvas.size.width, canvas)
            top += _offset(y, canvas.size.height, canvas)
            room = Size(canvas.size.width - box.width, canvas.size.height - box.height)
            found = Box(max(0, min(left, room.width)), max(0, min(top, room.height)), *box)
        case _:
            assert_never(at)
    yield from canvas.cut(found)


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
