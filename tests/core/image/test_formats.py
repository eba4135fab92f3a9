"""Formats are recognised by the first bytes of the content."""

import pytest

from proxy.core.image.formats import SNIFF_BYTES, Format, sniff
from tests.support import pictures


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "avif", "gif"])
def test_encoded_pictures_are_recognised(kind: str) -> None:
    assert sniff(pictures.quarters_as(kind)[:SNIFF_BYTES]) is Format(kind)


def _ftyp(major: bytes, *compatible: bytes) -> bytes:
    body = major + b"\0\0\0\0" + b"".join(compatible)
    return (len(body) + 8).to_bytes(4, "big") + b"ftyp" + body


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (_ftyp(b"avif"), Format.AVIF),
        (_ftyp(b"avis", b"msf1"), Format.AVIF),
        (_ftyp(b"mif1", b"miaf", b"avif"), Format.AVIF),
        (_ftyp(b"heic", b"mif1"), Format.HEIC),
        (_ftyp(b"mif1", b"heic"), Format.HEIC),
        (_ftyp(b"isom", b"mp42"), None),
        (b"\0\0\0\0ftypavif", Format.AVIF),
        (b"\0\0\0\x08ftyp", None),
    ],
)
def test_heif_brands_select_avif_or_heic(head: bytes, kind: Format | None) -> None:
    assert sniff(head) is kind


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xff",
        b"\xff\xd8",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7",
        b"II*\0",
        b"MM\0*",
        b"BM",
        b"RIFF\0\0\0\0WAVE",
        b"GIF90a",
        b"P6 1 1 255",
        b"\x1f\x8b",
    ],
)
def test_other_content_is_not_recognised(head: bytes) -> None:
    assert sniff(head) is None
