"""The blocks of a GIF (GIF89a appendix A): its frames, where they lie on the canvas, and what becomes of them.

No pixel is decoded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

TRAILER = b"\x3b"
TO_BACKGROUND, TO_PREVIOUS = 2, 3
"""Ways of disposal of a frame before the next is drawn; all others leave it."""
_EXTENSION, _IMAGE, _CONTROL = 0x21, 0x2C, 0xF9


class Frame(NamedTuple):
    """A frame: the bytes of its blocks, from its graphic control at `start` by its image descriptor at `image` to `end`; its
    place on the canvas in pixels; and what its graphic control says of disposal and transparency."""

    start: int
    image: int
    end: int
    left: int
    top: int
    width: int
    height: int
    disposal: int
    has_transparency: bool


@dataclass(frozen=True, slots=True)
class Stream:
    """A GIF whose blocks lie from `head` to `end`; `ends_early` says that its trailer is not there, but the end of the file or
    something that is no block. Zeros are none either: what was cut is often filled up with them."""

    width: int
    height: int
    head: int
    end: int
    frames: Sequence[Frame]
    ends_early: bool

    @property
    def shows_through(self) -> bool:
        """Whether what is behind the picture is seen where no frame says that it is transparent: where none has been
        drawn yet, or one was disposed of. So browsers have it; by the letter of GIF89a it were the background colour."""
        first = self.frames[0]
        covers = not (first.left or first.top) and first.width >= self.width and first.height >= self.height
        return not (covers or any(frame.has_transparency for frame in self.frames)) or any(
            frame.disposal == TO_BACKGROUND and not frame.has_transparency for frame in self.frames[:-1]
        )

    def alone(self, content: bytes, frame: Frame) -> bytes:
        """`frame` as a GIF of its own size."""
        size = frame.width.to_bytes(2, "little") + frame.height.to_bytes(2, "little")
        head = content[:6] + size + content[10 : self.head]
        return (
            head
            + content[frame.start : frame.image + 1]
            + bytes(4)
            + content[frame.image + 5 : frame.end]
            + TRAILER
        )


def read(content: bytes) -> Stream | None:
    """The blocks of a GIF, or None when they break off."""
    if len(content) < 13:
        return None
    head = at = 13 + _colour_table_bytes(content[10])
    frames: list[Frame] = []
    control: tuple[int, int] | None = None
    while at < len(content):
        start, introducer = at, content[at]
        if introducer == TRAILER[0]:
            return _stream(content, head, at, frames, ends_early=False)
        if introducer == _EXTENSION and at + 2 < len(content):
            if content[at + 1] == _CONTROL and at + 4 <= len(content):
                control = at, content[at + 3]
            at += 2
        elif introducer == _IMAGE and at + 10 <= len(content):
            at += 11 + _colour_table_bytes(content[at + 9])
        elif introducer and introducer not in (_EXTENSION, _IMAGE):
            break
        else:
            return None
        while at < len(content) and content[at] != 0:
            at += 1 + content[at]
        at += 1
        if at > len(content):
            return None
        if introducer == _IMAGE:
            left, top, width, height = (_number(content, start + part) for part in (1, 3, 5, 7))
            since, flags = control or (start, 0)
            frames.append(Frame(since, start, at, left, top, width, height, flags >> 2 & 7, bool(flags & 1)))
            control = None
    # A graphic control announces a frame that is not there.
    return None if control is not None else _stream(content, head, at, frames, ends_early=True)


def _stream(content: bytes, head: int, end: int, frames: Sequence[Frame], *, ends_early: bool) -> Stream:
    return Stream(_number(content, 6), _number(content, 8), head, end, frames, ends_early)


def _number(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 2], "little")


def _colour_table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
