"""A picture file rebuilt from the parts that draw: without metadata, and without anything behind its end.

The pixels are the same as those of the file where it is upright and in sRGB. No pixel is decoded.
"""

from collections.abc import Callable

from proxy.core.image import gif, jpeg, png
from proxy.core.image.formats import Format

_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
"""A JFIF segment without a resolution and a preview: its presence tells how colours are stored."""
_JFIF_BYTES, _ADOBE_BYTES = 14, 12
_APPS, _COMMENT = range(0xE0, 0xF0), 0xFE
_JFIF_APP, _ADOBE_APP = 0xE0, 0xEE
_DRAWING = {0xC0, 0xC1, 0xC2, 0xC4, jpeg.SOS, 0xDB, 0xDC, 0xDD}
"""Huffman-coded frames, which every browser decodes, and what they need."""
_PNG_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_EXTENSION, _IMAGE = 0x21, 0x2C
_CONTROL, _APPLICATION, _GIF_COMMENT = 0xF9, 0xFF, 0xFE
_CONTROL_BYTES, _LOOP_BYTES = 8, 19
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_WEBP_DRAWING = (b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L")
_WEBP_METADATA = (b"ICCP", b"EXIF", b"XMP ")
_WEBP_METADATA_FLAGS = 0x20 | 0x08 | 0x04
"""The flags of an ICC profile, EXIF and XMP (RFC 9649 2.7.1)."""
_FRAME_BYTES = 16
"""The fields of an ANMF before its chunks."""


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
            if marker == _JFIF_APP and data.startswith(b"JFIF\0") and len(data) >= _JFIF_BYTES:
                parts.append(_JFIF)
            elif marker == _ADOBE_APP and data.startswith(b"Adobe") and len(data) >= _ADOBE_BYTES:
                parts.append(b"\xff\xee\x00\x0e" + data[:_ADOBE_BYTES])
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
    if stream is None or not stream.frames or stream.ends_early:
        return None
    ends = {frame.image: frame.end for frame in stream.frames}
    parts, at = [content[: stream.head]], stream.head
    while at < stream.end and content[at : at + 1] != gif.TRAILER:
        if content[at] == _IMAGE and at in ends:
            block, is_drawn = content[at : ends[at]], True
        elif content[at] == _EXTENSION:
            block = content[at : _end_of_extension(content, at)]
            known = _draws(block)
            if known is None:
                return None
            is_drawn = known
        else:
            return None
        if is_drawn:
            parts.append(block)
        at += len(block)
    return b"".join([*parts, gif.TRAILER])


def _draws(extension: bytes) -> bool | None:
    """Whether an extension of a GIF has an effect on what is shown; None if that is not known here."""
    label, name = extension[1], extension[3:14]
    if label == _CONTROL:
        return True if len(extension) == _CONTROL_BYTES else None
    if label == _APPLICATION and name in _LOOPS:
        return True if len(extension) == _LOOP_BYTES else None
    return False if label in (_APPLICATION, _GIF_COMMENT) else None


def _end_of_extension(content: bytes, at: int) -> int:
    at += 2
    while at < len(content) and content[at]:
        at += 1 + content[at]
    return at + 1


def _webp(content: bytes) -> bytes | None:
    end = 8 + int.from_bytes(content[4:8], "little")
    chunks = _webp_chunks(content[12:end])
    if not chunks or end > len(content):
        return None
    return b"RIFF" + (4 + len(chunks)).to_bytes(4, "little") + b"WEBP" + chunks


def _webp_chunks(content: bytes) -> bytes | None:
    """The chunks that draw, in a file or in a frame; None if there are others that are not metadata."""
    parts, at = [], 0
    while at < len(content):
        name, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        chunk = content[at : at + 8 + size + size % 2]
        if len(chunk) < 8 + size + size % 2:
            return None
        if name == b"VP8X" and size == 10:
            parts.append(chunk[:8] + bytes([chunk[8] & ~_WEBP_METADATA_FLAGS]) + chunk[9:])
        elif name == b"ANMF":
            within = _webp_chunks(chunk[8 + _FRAME_BYTES :])
            if not within:
                return None
            length = (_FRAME_BYTES + len(within)).to_bytes(4, "little")
            parts.append(b"ANMF" + length + chunk[8 : 8 + _FRAME_BYTES] + within)
        elif name in _WEBP_DRAWING:
            parts.append(chunk)
        elif name not in _WEBP_METADATA:
            return None
        at += len(chunk)
    return b"".join(parts)


_REBUILT: dict[Format, Callable[[bytes], bytes | None]] = {
    Format.JPEG: _jpeg,
    Format.PNG: _png,
    Format.GIF: _gif,
    Format.WEBP: _webp,
}
