"""A picture file rebuilt from the parts that draw: without metadata, and without anything behind its end.

The pixels are the same as those of the file where it is upright and in sRGB. No pixel is decoded.
"""

import re
from collections.abc import Callable, Iterator

from proxy.core.image import gif, jpeg, png
from proxy.core.image.formats import Format

_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
"""A JFIF segment without a resolution and a preview: its presence tells how colours are stored."""
_ADOBE = 0xEE
_APPS, _COMMENT = range(0xE0, 0xF0), 0xFE
_DRAWING = {*range(0xC0, 0xD0), 0xDA, 0xDB, 0xDC, 0xDD}
_PNG_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_LOOP = re.compile(rb"\x21\xff\x0bNETSCAPE2\.0\x03\x01..\x00", re.DOTALL)
_CONTROL = b"\x21\xf9"
_CONTROL_BYTES = 8
_WEBP_CHUNKS = (b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L")
_WEBP_METADATA = 0x20 | 0x08 | 0x04
"""The flags of an ICC profile, EXIF and XMP (RFC 9649 2.7.1)."""


def picture_data(kind: Format, content: bytes) -> bytes | None:
    """`content`, a complete file of `kind`, without what does not draw; None if it has parts that are not known here."""
    rebuilt = _REBUILT.get(kind)
    return None if rebuilt is None else rebuilt(content)


def _jpeg(content: bytes) -> bytes | None:
    parts, coded_from = [content[:2]], 0
    for marker, start, end in jpeg.segments(content):
        if coded_from:
            parts.append(content[coded_from:start])
        coded_from = end if marker == jpeg.SOS else 0
        if marker == jpeg.EOI:
            return b"".join([*parts, content[start:end]])
        if marker in _APPS:
            data = content[start + 4 : end]
            if data.startswith(b"JFIF\0"):
                parts.append(_JFIF)
            elif marker == _ADOBE and data.startswith(b"Adobe"):
                parts.append(content[start:end])
        elif marker in _DRAWING:
            parts.append(content[start:end])
        elif marker != _COMMENT:
            return None
    return None


def _png(content: bytes) -> bytes | None:
    parts = [content[:8]]
    for chunk in png.chunks(content):
        if chunk.name in _PNG_CHUNKS:
            parts.append(content[chunk.at : chunk.end])
        if chunk.name == b"IEND":
            return b"".join(parts)
    return None


def _gif(content: bytes) -> bytes | None:
    stream = gif.read(content)
    if stream is None or not stream.frames:
        return None
    loop = _LOOP.search(content, stream.head, stream.frames[0].image)
    parts = [content[: stream.head], loop[0] if loop else b""]
    for frame in stream.frames:
        if content.startswith(_CONTROL, frame.start):
            parts.append(content[frame.start : frame.start + _CONTROL_BYTES])
        parts.append(content[frame.image : frame.end])
    return b"".join([*parts, gif.TRAILER])


def _webp(content: bytes) -> bytes | None:
    chunks = b"".join(_webp_chunks(content))
    return b"RIFF" + (4 + len(chunks)).to_bytes(4, "little") + b"WEBP" + chunks if chunks else None


def _webp_chunks(content: bytes) -> Iterator[bytes]:
    at, end = 12, 8 + int.from_bytes(content[4:8], "little")
    while at + 8 <= min(end, len(content)):
        name, after = content[at : at + 4], at + 8 + int.from_bytes(content[at + 4 : at + 8], "little")
        after += after % 2
        chunk = content[at:after]
        if name == b"VP8X":
            yield chunk[:8] + bytes([chunk[8] & ~_WEBP_METADATA]) + chunk[9:]
        elif name in _WEBP_CHUNKS:
            yield chunk
        at = after


_REBUILT: dict[Format, Callable[[bytes], bytes | None]] = {
    Format.JPEG: _jpeg,
    Format.PNG: _png,
    Format.GIF: _gif,
    Format.WEBP: _webp,
}
