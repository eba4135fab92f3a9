"""The blocks of a GIF (GIF89a appendix A): its frames, where they lie on the canvas, and what becomes of them.

No pixel is decoded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from proxy.core.image.completed import Completed

TRAILER = b"\x3b"
TO_BACKGROUND = 2
TO_PREVIOUS = (3, 4)
"""Ways of disposal of a frame before the next is drawn (4 is what old encoders wrote for 3); all others leave it."""
_EXTENSION, _IMAGE, _CONTROL = 0x21, 0x2C, 0xF9
_INTERLACED = 0x40
_MOST_BLOCKS = 400_000
"""What is worth walking over; fifty megabytes have some two hundred thousand."""


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
    is_interlaced: bool
    disposal: int
    has_transparency: bool


@dataclass(frozen=True, slots=True)
class Stream:
    """A GIF whose blocks lie from `head` to `end`; `ends_early` says that its trailer is not there, but the end of the file or
    something that is no block."""

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
        """Whether libvips shows it otherwise than browsers: its rows of an interlaced frame that reaches over the edge
        are wrong, too."""
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
    """The trailer may be lacking (GIF89a appendix A), if all images that have begun are there. Whether the last one is,
    shows whether its decoder would take more data than there are, or what a file was filled up with."""
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
    """The blocks of a GIF, or None when an image that has begun breaks off, or there are too many blocks. An image may lack
    the mark behind its last block of data."""
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
