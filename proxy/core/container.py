"""What a picture's container says without decoding a pixel: whether the picture is all there, and how many scans or frames
it has.

A decoder stops reading where the crop ends and some accept a cut file, so that something is lacking is decided here, on
the structure of the bytes; whether the pixels between are sound is the decoder's business.
"""

import re
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from proxy.core import gif, heif
from proxy.core.formats import Format

_JPEG_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd8-\xfe])")
"""Those that begin a segment, and those of the start and the end; no restart, no stuffed byte, no fill."""
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_HUFFMAN_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_PROGRESSIVE = 0xC2
_MOST_SEGMENTS = 10_000
"""What is worth walking over; a picture has some tens."""
_JPEG_ENDS = (b"\xff\xd9", b"\xaa" * 64 + b"\xff\xd9")
_FILLING = bytes(4)
"""A file that was to be longer is filled up with zeros, which decode to some picture or other."""
_PNG_END = b"\0\0\0\0IEND" + zlib.crc32(b"IEND").to_bytes(4, "big")
_MOST_PADDED = 1 << 20


class Completed(NamedTuple):
    """A picture that lacks nothing that is drawn. `content` is what a decoder takes: the file itself, with an end mark
    where that was lost, without a part of its notes that is cut.

    Where the structure cannot tell whether all of the picture is there, `doubts` has it with several ends, `content`
    first: it is, if all of them decode, and to the same pixels.
    """

    content: bytes
    doubts: tuple[bytes, ...] = ()


def completed(kind: Format, content: bytes) -> Completed | None:
    """`content` as a decoder takes it, or None when data of the picture are lacking. Bytes behind the end are allowed."""
    return _COMPLETED[kind](content)


def jpeg_scans(content: bytes, most: int) -> int:
    """How often a JPEG goes over its picture, counted up to one more than `most`: each scan costs as much as all of it
    (T.81 G.1.1). What follows the end of the picture, a film perhaps, is none of it."""
    scans = 0
    for number, segment in enumerate(_jpeg_segments(content)):
        if segment.marker == _EOI or scans > most:
            return scans
        if number >= _MOST_SEGMENTS:
            return most + 1
        scans += segment.marker == _SOS
    return scans


class _Segment(NamedTuple):
    """A marker at `start`, with what its length says belongs to it, up to `end`."""

    marker: int
    start: int
    end: int


def _jpeg_segments(content: bytes) -> Iterator[_Segment]:
    """The segments of a JPEG behind its first marker (T.81 B.1.1.4). Coded data and junk between them are stepped over,
    as decoders do."""
    at = 2
    while (found := _JPEG_MARKER.search(content, at)) is not None:
        marker, end = found[1][0], found.end()
        if marker not in (_SOI, _EOI):
            # A length below two is broken, and left to the decoder: it still moves on.
            end += max(2, int.from_bytes(content[end : end + 2], "big"))
        yield _Segment(marker, found.start(), end)
        at = end


def _jpeg(content: bytes) -> Completed | None:
    """Without an end mark, all scans that the header promises have to be there: of every component all coefficients, to
    their last bit (T.81 G.1.1.1). Whether the last of them is whole, only its pixels tell."""
    frame, lacking, end = 0, dict[int, dict[int, int]](), len(content)
    for number, (marker, start, after) in enumerate(_jpeg_segments(content)):
        if marker == _EOI:
            return Completed(content)
        if after > len(content) or (marker == _SOI and lacking):
            end = start
            break
        if number >= _MOST_SEGMENTS:
            return Completed(content) if content.find(b"\xff\xd9", start) != -1 else None
        told = content[start + 4 : after]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame = marker
            # Bits that are still to come, of each component and coefficient; at first more than there can be.
            lacking = {part: dict.fromkeys(range(64), 16) for part in told[6::3]}
        elif marker == _SOS and told:
            parts, (first, last, bits) = told[1 : 1 + 2 * told[0] : 2], (told[-3:] + b"\0\0\0")[:3]
            span, left = (range(first, last + 1), bits & 15) if frame == _PROGRESSIVE else (range(64), 0)
            for part in parts:
                if part in lacking:
                    lacking[part].update((place, left) for place in span if place in lacking[part])
    if frame not in _HUFFMAN_FRAMES or any(left for places in lacking.values() for left in places.values()):
        return None
    picture = content[:end].rstrip(b"\xff")
    if picture.endswith(_FILLING):
        picture = picture.rstrip(b"\0")
    doubts = tuple(picture + ending for ending in _JPEG_ENDS)
    return Completed(doubts[0], doubts)


def _png(content: bytes) -> Completed | None:
    """The picture is in the IDAT chunks (PNG 3rd edition, 11.2.3); what follows them may be cut."""
    at, has_data = 8, False
    while at + 8 <= len(content):
        length, name = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        end = at + 12 + length
        if not name.isalpha():
            break
        if name == b"IEND":
            return Completed(content if end <= len(content) else content[:at] + _PNG_END)
        if end > len(content):
            break
        has_data |= name == b"IDAT"
        at = end
    picture = content[:at]
    if content[at + 4 : at + 8] == b"IDAT":
        if len(content) < end - 4:
            return None
        picture = content[: end - 4] + zlib.crc32(content[at + 4 : end - 4]).to_bytes(4, "big")
    elif not has_data:
        return None
    return Completed(picture + _PNG_END, (picture + _PNG_END,))


def _webp(content: bytes) -> Completed | None:
    """The size in the head counts (RFC 9649 2.4): no decoder takes a file that is shorter, whatever it lacks."""
    return Completed(content) if len(content) >= 8 + int.from_bytes(content[4:8], "little") else None


def _heif(content: bytes) -> Completed | None:
    """All data of the picture's items must lie inside of the file. Tracks have data of their own: with them, and where
    no item is found, every box must end there."""
    boxes = list(heif.boxes(content, 0, len(content)))
    if not any(box.kind in (b"mdat", b"meta") for box in boxes):
        return None
    items = heif.items(content)
    extents = items.extents_of_picture if items is not None else []
    last = boxes[-1]
    if last.end <= len(content):
        return Completed(content) if all(end <= len(content) for _, end in extents) else None
    if not extents or (last.kind in (b"mdat", b"moov") and any(box.kind == b"moov" for box in boxes)):
        return None
    # What is cut are notes, or it is no box at all.
    end = len(content) if last.kind == b"mdat" else last.head
    if any(extent_end > end for _, extent_end in extents) or (
        last.kind == b"mdat" and last.end - end > _MOST_PADDED
    ):
        return None
    return Completed(content[:end] + bytes(last.end - end) if last.kind == b"mdat" else content[:end])


def _gif(content: bytes) -> Completed | None:
    """The trailer may be lacking, if the blocks end where a frame or an extension does (GIF89a appendix A)."""
    stream = gif.read(content)
    if stream is None:
        return None
    if stream.ends_early and (not stream.frames or content.endswith(_FILLING, 0, stream.end)):
        return None
    return Completed(content[: stream.end] + gif.TRAILER if stream.ends_early else content)


_COMPLETED: dict[Format, Callable[[bytes], Completed | None]] = {
    Format.JPEG: _jpeg,
    Format.PNG: _png,
    Format.WEBP: _webp,
    Format.AVIF: _heif,
    Format.HEIC: _heif,
    Format.GIF: _gif,
}
