"""Faces: where faces are in an original, stored by identity like its facts, and which of them a crop centres on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from proxy.core.image.size import Size

PARTS = 10_000
"""A face is measured in parts of the picture, so that its place is the same at every size."""
MAX_FACES = 32
"""Only the largest faces of an original are stored."""


class Face(NamedTuple):
    """A rectangle in ten-thousandths of the upright original's width and height; within it, at least 1 wide and high."""

    left: int
    top: int
    width: int
    height: int

    @property
    def area(self) -> int:
        return self.width * self.height

    @property
    def centre(self) -> tuple[float, float]:
        """Its middle in fractions of the picture from the left and the top, as a focal point."""
        return (2 * self.left + self.width) / (2 * PARTS), (2 * self.top + self.height) / (2 * PARTS)

    @property
    def head(self) -> "Face":
        """The face, and forehead and hair above it: a third of its height, within the picture."""
        above = min(self.top, self.height // 3)
        return Face(self.left, self.top - above, self.width, self.height + above)


@dataclass(frozen=True, slots=True)
class Faces:
    """The faces of an original, in reading order: from the top, then from the left. May be empty. Not `found`: the detector
    has failed, so that there may be others."""

    boxes: tuple[Face, ...] = ()
    found: bool = True

    @property
    def is_valid(self) -> bool:
        """Whether they are at most MAX_FACES, each within the picture: they come from a process that decodes pictures."""
        return len(self.boxes) <= MAX_FACES and all(
            min(left, top) >= 0 < min(width, height) and max(left + width, top + height) <= PARTS
            for left, top, width, height in self.boxes
        )


def faces_of(boxes: list[tuple[int, int, int, int]], size: Size) -> Faces:
    """Faces from boxes (left, top, width, height) in pixels of a picture of `size`; what lies outside of it is cut off."""
    found = []
    for left, top, width, height in boxes:
        right, bottom = min(left + width, size.width), min(top + height, size.height)
        left, top = max(0, left), max(0, top)
        if left < right and top < bottom:
            x, y = left * PARTS // size.width, top * PARTS // size.height
            width, height = right * PARTS // size.width - x, bottom * PARTS // size.height - y
            found.append(Face(x, y, width, height))
    found.sort(key=lambda face: face.area, reverse=True)
    return Faces(tuple(sorted(found[:MAX_FACES], key=lambda face: (face.top, face.left))))


def largest_face(faces: Faces) -> Face | None:
    """The face that gravity `face` centres on; the first of several equal ones. None without a face."""
    return max(faces.boxes, key=lambda face: face.area, default=None)


def most_faces(faces: Faces, window: Size, canvas: Size) -> Face | None:
    """The box that gravity `faces` centres on, if `window` is cut out of the picture at the size `canvas`: around all
    faces, or around those with the largest area in total that the window holds. None without a face.
    """
    width = max(1, min(PARTS, window.width * PARTS // canvas.width))
    height = max(1, min(PARTS, window.height * PARTS // canvas.height))
    boxes = [(_shrunk(face, width, height), face.area) for face in faces.boxes]
    # A best window can be moved right and down until a face touches its left and its upper edge.
    held = (
        [
            (box, area)
            for box, area in boxes
            if left <= box.left and box.left + box.width <= left + width
            if top <= box.top and box.top + box.height <= top + height
        ]
        for left in sorted({box.left for box, _ in boxes})
        for top in sorted({box.top for box, _ in boxes})
    )
    most = max(held, key=lambda group: sum(area for _, area in group), default=[])
    return around([box for box, _ in most]) if most else None


def _shrunk(face: Face, width: int, height: int) -> Face:
    """A face, or the middle of one that is larger than the window."""
    w, h = min(face.width, width), min(face.height, height)
    return Face(face.left + (face.width - w) // 2, face.top + (face.height - h) // 2, w, h)


def around(boxes: Sequence[Face]) -> Face:
    """The smallest box that holds all of `boxes`, of which there is one at least."""
    left, top = min(box.left for box in boxes), min(box.top for box in boxes)
    right = max(box.left + box.width for box in boxes)
    bottom = max(box.top + box.height for box in boxes)
    return Face(left, top, right - left, bottom - top)
