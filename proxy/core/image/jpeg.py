"""The segments of a JPEG (ITU-T T.81, B): how many scans it has, and whether all that it promises are there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from proxy.core.image.completed import FILLING, Completed

_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd8-\xfe])")
"""Those that begin a segment, and those of the start and the end; no restart, no stuffed byte, no fill."""
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_SOI, _EOI, _SOS, _DRI = 0xD8, 0xD9, 0xDA, 0xDD
_NO_FRAMES = (0xC4, 0xC8, 0xCC)
_HUFFMAN_FRAMES = (0xC0, 0xC1, 0xC2)
_PROGRESSIVE = 0xC2
_MOST_SEGMENTS = 10_000
"""What is worth walking over; a picture has some tens."""
_COEFFICIENTS = 64
_ENDS = (b"\xff\xd9", b"\xaa" * 64 + b"\xff\xd9")


class _Segment(NamedTuple):
    """A marker at `start`, with what its length says belongs to it, up to `end`."""

    marker: int
    start: int
    end: int


def scans(content: bytes, most: int) -> int:
    """How often a JPEG goes over its picture, counted up to one more than `most`: each scan costs as much as all of it
    (T.81 G.1.1). What follows the end of the picture, a film perhaps, is none of it."""
    count = 0
    for number, segment in enumerate(_segments(content)):
        if segment.marker == _EOI or count > most:
            return count
        if number >= _MOST_SEGMENTS:
            return most + 1
        count += segment.marker == _SOS
    return count


def completed(content: bytes) -> Completed | None:
    """Without an end mark, all scans that the header promises have to be there. Whether the last of them is whole, only
    its pixels tell."""
    promise, end = _Promise(), len(content)
    for number, (marker, start, after) in enumerate(_segments(content)):
        if marker == _EOI:
            return Completed(content)
        if after > len(content) or (marker == _SOI and promise.lacking):
            end = start
            break
        if number >= _MOST_SEGMENTS:
            return Completed(content) if content.find(b"\xff\xd9", start) != -1 else None
        promise.read(marker, content[start + 4 : after], after)
    if not promise.is_kept(content[:end]):
        return None
    picture = content[:end].rstrip(b"\xff")
    if picture.endswith(FILLING):
        picture = picture.rstrip(b"\0")
    doubts = tuple(picture + ending for ending in _ENDS)
    return Completed(doubts[0], doubts)


def _segments(content: bytes) -> Iterator[_Segment]:
    """The segments behind the first marker (T.81 B.1.1.4). Coded data and junk between them are stepped over, as decoders
    do."""
    at = 2
    while (found := _MARKER.search(content, at)) is not None:
        marker, end = found[1][0], found.end()
        if marker not in (_SOI, _EOI):
            # A length below two is broken, and left to the decoder: it still moves on.
            end += max(2, _number(content, end))
        yield _Segment(marker, found.start(), end)
        at = end


@dataclass(slots=True)
class _Promise:
    """What the headers of a JPEG say of its scans. `lacking` are the bits that are still to come, of each component and
    coefficient (T.81 G.1.1.1)."""

    frame: int = 0
    header: bytes = b""
    interval: int = 0
    lacking: dict[int, dict[int, int]] = field(default_factory=dict)
    scan: bytes = b""
    scan_start: int = 0

    def read(self, marker: int, content: bytes, end: int) -> None:
        """A segment, whose content is `told`, up to `end`."""
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAMES:
            self.frame, self.header = marker, content
            # At first more than there can be.
            self.lacking = {part: dict.fromkeys(range(_COEFFICIENTS), 16) for part in content[6::3]}
        elif marker == _DRI:
            self.interval = _number(content, 0)
        elif marker == _SOS and content:
            self.scan, self.scan_start = content[1 : 1 + 2 * content[0] : 2], end
            first, last, bits = (content[-3:] + b"\0\0\0")[:3]
            span, left = range(first, last + 1), bits & 15
            if self.frame != _PROGRESSIVE:
                span, left = range(_COEFFICIENTS), 0
            for part in self.scan:
                if part in self.lacking:
                    self.lacking[part].update((place, left) for place in span if place < _COEFFICIENTS)

    def is_kept(self, content: bytes) -> bool:
        """Whether every coefficient has come to its last bit, and the last scan has all its restart markers, which a
        decoder would wait for (T.81 B.2.4.4)."""
        if self.frame not in _HUFFMAN_FRAMES or any(
            left for places in self.lacking.values() for left in places.values()
        ):
            return False
        if not self.interval or not self.lacking:
            return bool(self.lacking)
        height, width = _number(self.header, 1), _number(self.header, 3)
        sampling = {
            part: (both >> 4, both & 15)
            for part, both in zip(self.header[6::3], self.header[7::3], strict=False)
        }
        across, down = (max(1, *sides) for sides in zip((1, 1), *sampling.values(), strict=True))
        if len(self.scan) == 1:
            of_part = sampling.get(self.scan[0], (1, 1))
            width, height = -(-width * of_part[0] // across), -(-height * of_part[1] // down)
            across = down = 1
        units = -(-width // (8 * across)) * -(-height // (8 * down))
        restarts: int = -(-units // self.interval) - 1
        return len(_RESTART.findall(content, self.scan_start)) >= restarts


def _number(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 2], "big")
