"""The table of picture formats: MIME type, suffix, capabilities and signature bytes.

Facts only: `negotiate` decides the output format of a request, `plan` its encoding.
"""

from dataclasses import dataclass
from enum import StrEnum


class Format(StrEnum):
    __hash__ = str.__hash__  # Faster than Enum's, which is Python code; every hit hashes a Format.

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    AVIF = "avif"
    GIF = "gif"
    HEIC = "heic"
    INFO = "json"
    """The description of an original (`/info/`): cached and served like a variant, but not a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """`max_side_px` is the limit of the encoder; `metadata` means that the encoder writes EXIF and XMP; `shown` that the
    node serves pictures in this format."""

    mime: str
    suffix: str
    max_side_px: int
    alpha: bool = True
    animation: bool = False
    metadata: bool = True
    shown: bool = True


TRAITS: dict[Format, Traits] = {
    Format.JPEG: Traits(mime="image/jpeg", suffix="jpg", max_side_px=65_500, alpha=False),
    Format.PNG: Traits(mime="image/png", suffix="png", max_side_px=2**31 - 1),
    Format.WEBP: Traits(mime="image/webp", suffix="webp", max_side_px=16_383, animation=True),
    Format.AVIF: Traits(mime="image/avif", suffix="avif", max_side_px=16_384),
    Format.GIF: Traits(mime="image/gif", suffix="gif", max_side_px=65_535, animation=True, metadata=False),
    Format.HEIC: Traits(mime="image/heic", suffix="heic", max_side_px=16_384, shown=False),
    Format.INFO: Traits(mime="application/json", suffix="json", max_side_px=2**31 - 1, shown=False),
}

OUTPUTS = frozenset(f for f, traits in TRAITS.items() if traits.shown)

SNIFF_BYTES = 64
NO_PICTURE = "the original is not a JPEG, PNG, WebP, GIF or AVIF picture"
"""Does not name HEIC, because the bundled libvips does not decode it."""

_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})


def sniff(head: bytes) -> Format | None:
    """The format that the first `SNIFF_BYTES` bytes show; None if it is not on the allow-list.

    File names and declared types do not count (RFC 9110 8.3): hostile files misstate both.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return Format.JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Format.PNG
    if head.startswith((b"GIF87a", b"GIF89a")):
        return Format.GIF
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Format.WEBP
    if head[4:8] == b"ftyp":
        box = head[8 : max(16, min(int.from_bytes(head[:4], "big"), len(head)))]
        brands = {box[:4], *(box[at : at + 4] for at in range(8, len(box) - 3, 4))}
        if brands & _AVIF_BRANDS:
            return Format.AVIF
        if brands & _HEIF_BRANDS:
            return Format.HEIC
    return None
