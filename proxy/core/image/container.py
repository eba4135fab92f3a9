"""Whether a picture is all there, told by its container without decoding a pixel.

A decoder stops reading where the crop ends and some accept a cut file, so that something is lacking is decided here, on
the structure of the bytes; whether the pixels between are sound is the decoder's business.
"""

from collections.abc import Callable

from proxy.core.image import gif, heif, jpeg, png
from proxy.core.image.completed import Completed
from proxy.core.image.formats import Format


def completed(kind: Format, content: bytes) -> Completed | None:
    """`content` as a decoder takes it, or None when data of the picture are lacking. Bytes behind the end are allowed."""
    return _COMPLETED[kind](content)


def _webp(content: bytes) -> Completed | None:
    """The size in the head counts (RFC 9649 2.4): no decoder takes a file that is shorter, whatever it lacks."""
    return Completed(content) if len(content) >= 8 + int.from_bytes(content[4:8], "little") else None


_COMPLETED: dict[Format, Callable[[bytes], Completed | None]] = {
    Format.JPEG: jpeg.completed,
    Format.PNG: png.completed,
    Format.WEBP: _webp,
    Format.AVIF: heif.completed,
    Format.HEIC: heif.completed,
    Format.GIF: gif.completed,
}
