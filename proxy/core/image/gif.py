"""The blocks of a GIF (GIF89a appendix A): its frames, their position on the canvas, and their disposal.

No pixel is decoded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from proxy.core.image.completed import Completed

TRAILER = b"\x3b"
TO_BACKGROUND = 2
TO_PREVIOUS = (3, 4)
"""Disposal methods of a frame before the next is drawn (old encoders wrote 4 for 3); all others leave the frame."""
_EXTENSION, _IMAGE, _CONTROL = 0x21, 0x2C, 0xF9
_INTERLACED = 0x40
_MOST_BLOCKS = 400_000
"""A limit on work; a file of fifty megabytes has about two hundred thousand blocks."""


class Frame(NamedTuple):
    """A frame: the bytes of its blocks, from its graphic control at `start` by its image descriptor at `image` to
    `end`; its position on the canvas in pixels; its disposal method and its transparency flag."""

    start: int
    image: int
    end: int
    left: int
    top: int
    width: int
    height: int
    is_interlaced: bool
    disposal: int
    has_transparency: bool


@dataclass(frozen=True, slots=True)
class Stream:
    """A GIF whose blocks lie from `head` to `end`. `ends_early` means that the trailer is missing: the file ends
    before it, or has other bytes in its place."""

    width: int
    height: int
    head: int
    end: int
    frames: Sequence[Frame]
    ends_early: bool

    @property
    def shows_through(self) -> bool:
        """Whether a part is transparent without a frame that has transparency: no frame covers it yet, or the frame
        was disposed of. Browsers draw it so; GIF89a would use the background colour."""
        if any(frame.has_transparency for frame in self.frames):
            return any(
                frame.disposal == TO_BACKGROUND and not frame.has_transparency for frame in self.frames[:-1]
            )
        is_covered = False
        for frame in self.frames:
            was_covered = is_covered
            is_covered |= (
                not (frame.left or frame.top) and frame.width >= self.width and frame.height >= self.height
            )
            if not is_covered:
                return True
            if frame.disposal in (TO_BACKGROUND, *TO_PREVIOUS):
                is_covered = frame.disposal != TO_BACKGROUND and was_covered
        return False

    @property
    def needs_canvas(self) -> bool:
        """Whether libvips renders the file differently from browsers: the transparency of `shows_through`, or an
        interlaced frame that exceeds the canvas, whose rows libvips confuses."""
        return self.shows_through or any(
            frame.is_interlaced and frame.top + frame.height > self.height for frame in self.frames
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


def completed(content: bytes) -> Completed | None:
    """The trailer may be missing (GIF89a appendix A) if every image that begins is complete. The last image is
    complete if its decoder takes no data beyond its end, and no filling."""
    stream = read(content)
    if stream is None:
        return None
    if not stream.ends_early:
        return Completed(content)
    if not stream.frames:
        return None
    picture = content[: stream.end]
    doubts: tuple[bytes, ...] = ()
    if stream.frames[-1].end == stream.end:
        picture += b"" if picture.endswith(b"\0") else b"\0"
        data = picture.rstrip(b"\0")
        filling = b"\xaa" * (len(picture) - len(data) - 1)
        doubts = (picture + TRAILER, data + filling + b"\2\xaa\xaa\0" + TRAILER)
    return Completed(picture + TRAILER, doubts)


def read(content: bytes) -> Stream | None:
    """The blocks of a GIF, or None if an image is truncated or there are too many blocks. An image may lack the
    terminator after its last data block."""
    if len(content) < 13:
        return None
    head = at = end = 13 + _colour_table_bytes(content[10])
    frames: list[Frame] = []
    control: tuple[int, int] | None = None
    walked, ends_early = 0, True
    while at < len(content):
        start, introducer = at, content[at]
        if introducer == TRAILER[0]:
            end, ends_early = at, False
            break
        if introducer == _EXTENSION and at + 2 < len(content):
            if content[at + 1] == _CONTROL and at + 4 <= len(content):
                control = at, content[at + 3]
            at += 2
        elif introducer == _IMAGE and at + 11 < len(content):
            at += 11 + _colour_table_bytes(content[at + 9])
        elif introducer == _IMAGE:
            return None
        else:
            break
        data = at
        while at < len(content) and content[at] != 0 and walked < _MOST_BLOCKS:
            at += 1 + content[at]
            walked += 1
        at += 1
        walked += 1
        if walked >= _MOST_BLOCKS:
            return None
        if introducer == _IMAGE:
            if at > len(content) + (at - 1 > data):
                return None
            at = min(at, len(content))
            left, top, width, height = (_number(content, start + part) for part in (1, 3, 5, 7))
            since, flags = control or (start, 0)
            is_interlaced = bool(content[start + 9] & _INTERLACED)
            frames.append(
                Frame(
                    since, start, at, left, top, width, height, is_interlaced, flags >> 2 & 7, bool(flags & 1)
                )
            )
            control = None
        if at <= len(content):
            end = at
    return Stream(_number(content, 6), _number(content, 8), head, end, frames, ends_early)


def _number(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 2], "little")


def _colour_table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
