"""The commands of operations on an original, and the size of the result."""

from proxy.core.image.faces import Faces
from proxy.core.image.formats import Format
from proxy.core.image.size import Size
from proxy.core.transform.layout import Command, Cut, Embed, Load, Rotation, Scale, outline
from proxy.core.transform.operations import Operation, Transform, Turn
from proxy.core.transform.plan import RenderDefaults, resolve

LIMIT_PX = 4000


def laid(
    ops: tuple[Operation, ...], original: Size, limit_px: int = LIMIT_PX, faces: Faces | None = None
) -> list[Command]:
    """The commands; what is to be found is at the upper left."""
    return list(outline(ops, limit_px, original, faces))


def size_after(commands_: list[Command]) -> Size:
    """The size of the canvas in the end; checks that every box lies within the canvas."""
    size = Size(0, 0)
    for command in commands_:
        match command:
            case Load(size=loaded):
                size = loaded
            case Scale(size=scaled):
                size = scaled
            case Cut(box):
                assert min(box.left, box.top) >= 0
                assert box.left + box.width <= size.width
                assert box.top + box.height <= size.height
                size = Size(box.width, box.height)
            case Embed(size=placed, left=left, top=top):
                assert 0 <= left <= placed.width - size.width
                assert 0 <= top <= placed.height - size.height
                size = placed
            case Rotation(size=turned):
                size = turned
            case Turn():
                size = Size(size.height, size.width) if command.swaps_sides else size
        assert min(size) >= 1
    return size


def size_of(transform: Transform, original: Size) -> Size:
    """The size of the PNG that `transform` makes of an original; what is to be found is at the upper left."""
    defaults = RenderDefaults(quality=80, effort={}, max_side_px=LIMIT_PX)
    return size_after(laid(resolve(transform, Format.PNG, defaults).ops, original))
