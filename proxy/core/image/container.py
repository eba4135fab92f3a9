"""Whether a picture is complete, decided by its container without decoding a pixel.

A decoder stops where the crop ends, and some decoders accept a truncated file; so the structure of the bytes decides
whether data are missing. The decoder decides whether the pixel data are valid.
"""

from collections.abc import Callable

from proxy.core.image import gif, heif, jpeg, png
from proxy.core.image.completed import Completed
from proxy.core.image.formats import Format


def completed(kind: Format, content: bytes) -> Completed | None:
    """`content` as a decoder takes it, or None if pixel data are missing. Bytes after the end are allowed."""
    return _COMPLETED[kind](content)


def _webp(content: bytes) -> Completed | None:
    """The size in the header counts (RFC 9649 2.4): no decoder accepts a file that is shorter, whichever chunk is cut."""
    return Completed(content) if len(content) >= 8 + int.from_bytes(content[4:8], "little") else None


_COMPLETED: dict[Format, Callable[[bytes], Completed | None]] = {
    Format.JPEG: jpeg.completed,
    Format.PNG: png.completed,
    Format.WEBP: _webp,
    Format.AVIF: heif.completed,
    Format.HEIC: heif.completed,
    Format.GIF: gif.completed,
}
