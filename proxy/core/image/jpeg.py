"""The segments of a JPEG (ITU-T T.81, B): its number of scans, and whether all scans that its header announces are
present."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from proxy.core.image.completed import FILLING, Completed

_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd8-\xfe])")
"""Markers that begin a segment, SOI and EOI; no restart marker, stuffed byte or fill byte."""
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
EOI, SOS = 0xD9, 0xDA
_SOI, _DRI = 0xD8, 0xDD
_NO_FRAMES = (0xC4, 0xC8, 0xCC)
_HUFFMAN_FRAMES = (0xC0, 0xC1, 0xC2)
_PROGRESSIVE = 0xC2
_MOST_SEGMENTS = 10_000
"""A limit on work; a picture has some tens."""
_COEFFICIENTS = 64
_ENDS = (b"\xff\xd9", b"\xaa" * 64 + b"\xff\xd9")


class Segment(NamedTuple):
    """A marker at `start` with its segment, up to `end`."""

    marker: int
    start: int
    end: int


class Structure(NamedTuple):
    """What the segments of a JPEG tell: the complete picture, or None, and its number of scans. Each scan costs as much as a
    whole decode (T.81 G.1.1); those after the end of the picture, perhaps of an embedded film, do not count."""

    completed: Completed | None
    scans: int


def read(content: bytes) -> Structure:
    """Without an end marker, all scans that the header announces must be present. Only the pixels show whether the
    last scan is complete. Too many segments count as as many scans."""
    progress, end, scans = _ScanProgress(), len(content), 0
    for number, (marker, start, after) in enumerate(segments(content)):
        if marker == EOI:
            return Structure(Completed(content), scans)
        if after > len(content) or (marker == _SOI and progress.missing_bits):
            end = start
            break
        if number >= _MOST_SEGMENTS:
            has_end = content.find(b"\xff\xd9", start) != -1
            return Structure(Completed(content) if has_end else None, _MOST_SEGMENTS)
        progress.read(marker, content[start + 4 : after], after)
        scans += marker == SOS
    if not progress.is_complete(content[:end]):
        return Structure(None, scans)
    picture = content[:end].rstrip(b"\xff")
    if picture.endswith(FILLING):
        picture = picture.rstrip(b"\0")
    doubts = tuple(picture + ending for ending in _ENDS)
    return Structure(Completed(doubts[0], doubts), scans)


def completed(content: bytes) -> Completed | None:
    """The complete picture, or None."""
    return read(content).completed


def segments(content: bytes) -> Iterator[Segment]:
    """The segments after the first marker (T.81 B.1.1.4). Like decoders, skips coded data and junk between them."""
    at = 2
    while (found := _MARKER.search(content, at)) is not None:
        marker, end = found[1][0], found.end()
        if marker not in (_SOI, EOI):
            # A length below two is invalid; the decoder rejects it.
            end += max(2, _number(content, end))
        yield Segment(marker, found.start(), end)
        at = end


@dataclass(slots=True)
class _ScanProgress:
    """The scans that the headers of a JPEG announce. `missing_bits` counts the bits not sent yet, by component and
    coefficient (T.81 G.1.1.1)."""

    frame: int = 0
    header: bytes = b""
    interval: int = 0
    missing_bits: dict[int, dict[int, int]] = field(default_factory=dict)
    scan: bytes = b""
    scan_start: int = 0

    def read(self, marker: int, content: bytes, end: int) -> None:
        """Takes the segment of `marker` with its `content`, which ends at `end`."""
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAMES:
            self.frame, self.header = marker, content
            # Initially more than any scan has.
            self.missing_bits = {part: dict.fromkeys(range(_COEFFICIENTS), 16) for part in content[6::3]}
        elif marker == _DRI:
            self.interval = _number(content, 0)
        elif marker == SOS and content:
            self.scan, self.scan_start = content[1 : 1 + 2 * content[0] : 2], end
            first, last, bits = (content[-3:] + b"\0\0\0")[:3]
            span, left = range(first, last + 1), bits & 15
            if self.frame != _PROGRESSIVE:
                span, left = range(_COEFFICIENTS), 0
            for part in self.scan:
                if part in self.missing_bits:
                    self.missing_bits[part].update((at, left) for at in span if at < _COEFFICIENTS)

    def is_complete(self, content: bytes) -> bool:
        """Whether every coefficient has all its bits, and the last scan has all its restart markers (T.81 B.2.4.4)."""
        if self.frame not in _HUFFMAN_FRAMES or any(
            left for bits in self.missing_bits.values() for left in bits.values()
        ):
            return False
        if not self.interval or not self.missing_bits:
            return bool(self.missing_bits)
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
