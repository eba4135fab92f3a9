"""The table of picture formats: MIME type, suffix, what each can hold, and how its first bytes look.

Facts only; which format answers a request is decided in `negotiate`, how it is encoded in `plan`.
"""

from dataclasses import dataclass
from enum import StrEnum


class Format(StrEnum):
    __hash__ = str.__hash__  # Enum's own is written in Python, and this is a key on the path of every hit.

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    AVIF = "avif"
    GIF = "gif"
    HEIC = "heic"
    INFO = "json"
    """What is told of an original: kept and served like a picture of it, and none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """`max_side_px` is the encoder's own bound; `shown` says that every browser of the class shows it."""

    mime: str
    suffix: str
    alpha: bool
    animation: bool
    lossless: bool
    shown: bool
    max_side_px: int


TRAITS: dict[Format, Traits] = {
    Format.JPEG: Traits(
        mime="image/jpeg",
        suffix="jpg",
        alpha=False,
        animation=False,
        lossless=False,
        shown=True,
        max_side_px=65_500,
    ),
    Format.PNG: Traits(
        mime="image/png",
        suffix="png",
        alpha=True,
        animation=False,
        lossless=True,
        shown=True,
        max_side_px=2**31 - 1,
    ),
    Format.WEBP: Traits(
        mime="image/webp",
        suffix="webp",
        alpha=True,
        animation=True,
        lossless=False,
        shown=True,
        max_side_px=16_383,
    ),
    Format.AVIF: Traits(
        mime="image/avif",
        suffix="avif",
        alpha=True,
        animation=False,
        lossless=False,
        shown=True,
        max_side_px=16_384,
    ),
    Format.GIF: Traits(
        mime="image/gif",
        suffix="gif",
        alpha=True,
        animation=True,
        lossless=True,
        shown=True,
        max_side_px=65_535,
    ),
    Format.HEIC: Traits(
        mime="image/heic",
        suffix="heic",
        alpha=True,
        animation=False,
        lossless=False,
        shown=False,
        max_side_px=16_384,
    ),
    Format.INFO: Traits(
        mime="application/json",
        suffix="json",
        alpha=True,
        animation=False,
        lossless=True,
        shown=False,
        max_side_px=2**31 - 1,
    ),
}

OUTPUTS = frozenset(f for f, traits in TRAITS.items() if traits.shown)

SNIFF_BYTES = 64
NO_PICTURE = "the original is not a JPEG, PNG, WebP, GIF or AVIF picture"
"""HEIC is not named: the bundled libvips does not decode it."""

_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})


def sniff(head: bytes) -> Format | None:
    """The format the first `SNIFF_BYTES` bytes announce, or None for all that is not on the allow-list.

    Names and declared types are never asked (RFC 9110 8.3 warns of them; hostile files lie in both).
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
