"""What a picture's container says without decoding a pixel: is its end there, and how many frames has it.

A decoder stops reading where the crop ends and some accept a cut file, so truncation is decided here, on the
structure of the bytes; whether the pixels between are sound is the decoder's business.
"""

import re
from collections.abc import Callable

from proxy.core.formats import Format

_JPEG_DATA = frozenset({0xD9, 0xDA})
_JPEG_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd9-\xfe])")
_JPEG_FILL = re.compile(rb"\xff+")
_MOST_SEGMENTS = 10_000
"""What is worth walking over; a picture has some tens."""
_JPEG_STANDALONE = frozenset({0x00, 0x01, *range(0xD0, 0xD8)})


def is_whole(kind: Format, content: bytes) -> bool:
    """True when `content` reaches the end mark its format demands; bytes after that mark are allowed."""
    return _WHOLE[kind](content)


def jpeg_scans(content: bytes, most: int) -> int:
    """How often a JPEG goes over its picture, counted up to one more than `most`: each scan costs as much as all of it
    (T.81 G.1.1). What follows the end of the picture, a film perhaps, is none of it."""
    at = _jpeg_data(content)
    scans = content.count(b"\xff\xda", at)
    if scans <= most:
        return scans
    scans = 0
    for _ in range(_MOST_SEGMENTS):
        marker = _JPEG_MARKER.search(content, at)
        if marker is None or marker[1] == b"\xd9" or scans > most:
            return scans
        scans += marker[1] == b"\xda"
        at = marker.end() + max(2, int.from_bytes(content[marker.end() : marker.end() + 2], "big"))
    return most + 1


def _jpeg_is_whole(content: bytes) -> bool:
    """Inside entropy-coded data 0xFF is always stuffed, so `FF D9` there is the end; one inside an EXIF preview lies
    in a segment that was stepped over."""
    return content.find(b"\xff\xd9", _jpeg_data(content)) != -1


def _jpeg_data(content: bytes) -> int:
    """Where the first scan or the end of the picture begins, past the segments before it (T.81 B.1.1.4); junk between
    them is for the decoder to judge."""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        if at + 4 > len(content) or content[at] != 0xFF or content[at + 1] in _JPEG_DATA:
            break
        marker = content[at + 1]
        if marker == 0xFF and (fill := _JPEG_FILL.match(content, at)) is not None:
            at = fill.end() - 1
        elif marker in _JPEG_STANDALONE:
            at += 2
        else:
            # A length below two is broken, and left to the decoder: it still moves on.
            at += 2 + max(2, int.from_bytes(content[at + 2 : at + 4], "big"))
    return at


def _png_is_whole(content: bytes) -> bool:
    at = 8
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        if content[at + 4 : at + 8] == b"IEND":
            return True
        at += 12 + length
    return False


def _webp_is_whole(content: bytes) -> bool:
    return len(content) >= 8 + int.from_bytes(content[4:8], "little")


def _heif_is_whole(content: bytes) -> bool:
    """Every top-level box (ISO/IEC 14496-12 4.2) must end inside the file, and one must hold coded data: `mdat`, or
    an `idat` inside `meta`. Size 0 means to the end."""
    at = 0
    has_data = False
    while at + 8 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        name = content[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(content[at + 8 : at + 16], "big")
        if size == 0:
            size = len(content) - at
        if size < 8 or at + size > len(content):
            return False
        has_data |= name == b"mdat" or (name == b"meta" and content.find(b"idat", at, at + size) != -1)
        at += size
    return has_data and at == len(content)


def _gif_is_whole(content: bytes) -> bool:
    return gif_frames(content) is not None


_WHOLE: dict[Format, Callable[[bytes], bool]] = {
    Format.JPEG: _jpeg_is_whole,
    Format.PNG: _png_is_whole,
    Format.WEBP: _webp_is_whole,
    Format.AVIF: _heif_is_whole,
    Format.HEIC: _heif_is_whole,
    Format.GIF: _gif_is_whole,
}


def gif_frames(content: bytes) -> int | None:
    """The number of frames of a GIF, or None when its blocks end before the trailer (GIF89a appendix A)."""
    if len(content) < 13:
        return None
    at = 13 + _colour_table_bytes(content[10])
    frames = 0
    while at < len(content):
        introducer = content[at]
        if introducer == 0x3B:
            return frames
        if introducer == 0x21:
            at += 2
        elif introducer == 0x2C and at + 10 <= len(content):
            frames += 1
            at += 11 + _colour_table_bytes(content[at + 9])
        else:
            return None
        while at < len(content) and content[at] != 0:
            at += 1 + content[at]
        at += 1
    return None


def _colour_table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
