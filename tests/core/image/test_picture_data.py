"""A rebuilt file has the same pixels, frames and loops as the original, and nothing else."""

import re
from collections.abc import Callable

import pytest
import pyvips

from proxy.core.image.formats import Format
from proxy.core.image.picture_data import picture_data
from tests.support import pictures
from tests.support.bombs import jpeg_segment

SECRET = b"secret 52.3 N 13.4 E"
TRAILING = b"a film behind the end" * 50


def jpeg(**options: object) -> bytes:
    return bytes(pictures.photo(321, 243).jpegsave_buffer(keep="none", **options))


def with_segments(content: bytes) -> bytes:
    secret = (
        jpeg_segment(0xE1, b"Exif\0\0" + SECRET) + jpeg_segment(0xED, SECRET) + jpeg_segment(0xFE, SECRET)
    )
    return content[:2] + secret + content[2:]


def png(**options: object) -> bytes:
    content = bytes(pictures.photo(120, 90).pngsave_buffer(keep="none", **options))
    ended = content.rindex(b"IEND") - 4
    return content[:ended] + len(SECRET).to_bytes(4, "big") + b"tEXt" + SECRET + bytes(4) + content[ended:]


def gif() -> bytes:
    content = pictures.film_as("gif")
    comment = b"\x21\xfe" + bytes([len(SECRET)]) + SECRET + b"\0"
    at = content.index(b"\x21\xf9")
    return content[:at] + comment + content[at:]


def webp(content: bytes) -> bytes:
    image = pyvips.Image.new_from_buffer(content, "", n=-1).copy()
    image.set_type(pyvips.GValue.blob_type, "xmp-data", SECRET + b"!" * (len(SECRET) % 2))
    return bytes(image.webpsave_buffer(lossless=True, keep="xmp"))


FILES: dict[str, tuple[Format, Callable[[], bytes]]] = {
    "baseline": (Format.JPEG, lambda: with_segments(jpeg())),
    "progressive": (Format.JPEG, lambda: with_segments(jpeg(interlace=True))),
    "restarts": (Format.JPEG, lambda: with_segments(jpeg(restart_interval=7))),
    "full chroma": (Format.JPEG, lambda: with_segments(jpeg(Q=95, subsample_mode="off"))),
    "png": (Format.PNG, png),
    "palette": (Format.PNG, lambda: png(palette=True, colours=16)),
    "interlaced": (Format.PNG, lambda: png(interlace=True)),
    "cut-out": (Format.PNG, lambda: pictures.cut_out_as("png")),
    "gif": (Format.GIF, gif),
    "webp": (Format.WEBP, lambda: webp(pictures.photo_as("webp"))),
    "film": (Format.WEBP, lambda: webp(pictures.film_as("webp"))),
}


@pytest.mark.parametrize("name", FILES)
def test_the_rebuilt_file_has_the_same_pixels_and_nothing_else(name: str) -> None:
    kind, make = FILES[name]
    content = make() + TRAILING
    assert SECRET in content or name == "cut-out"
    rebuilt = picture_data(kind, content)
    assert rebuilt is not None
    assert SECRET not in rebuilt
    assert TRAILING[:20] not in rebuilt
    assert len(rebuilt) < len(content)
    before, after = (
        pyvips.Image.new_from_buffer(each, "", n=-1)
        if "page" in _fields(each)
        else pyvips.Image.new_from_buffer(each, "")
        for each in (content, rebuilt)
    )
    assert (before != after).max() == 0
    for field in ("delay", "loop", "n-pages"):
        assert (field in before.get_fields()) is (field in after.get_fields())
        if field in before.get_fields():
            assert before.get(field) == after.get(field)
    assert picture_data(kind, rebuilt) == rebuilt


def _fields(content: bytes) -> str:
    return " ".join(pyvips.Image.new_from_buffer(content, "").get_fields())


def test_the_way_in_which_colours_are_stored_is_preserved() -> None:
    """An Adobe segment says that a JPEG stores RGB; a JFIF segment that it does not, whatever its components are called."""
    adobe = jpeg_segment(0xEE, b"Adobe\0\x64\0\0\0\0\0")
    plain = jpeg()
    jfif = jpeg_segment(0xE0, b"JFIF\0\1\1\1\0\x48\0\x48\2\1" + bytes(6))
    assert b"JFIF" not in plain
    named = plain
    for marker, step in ((b"\xff\xc0", 3), (b"\xff\xda", 2)):
        parts = named.index(marker) + (10 if step == 3 else 5)
        for number, name in enumerate(b"RGB"):
            at = parts + number * step
            named = named[:at] + bytes([name]) + named[at + 1 :]
    assert named != plain
    for content in (plain[:2] + adobe + plain[2:], plain, named, named[:2] + jfif + named[2:]):
        rebuilt = picture_data(Format.JPEG, content)
        assert rebuilt is not None
        both = [pyvips.Image.new_from_buffer(each, "") for each in (content, rebuilt)]
        assert (both[0] != both[1]).max() == 0


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (Format.JPEG, jpeg()[:-2]),
        (Format.JPEG, jpeg()[:2] + jpeg_segment(0xF7, b"lossless") + jpeg()[2:]),
        (Format.JPEG, jpeg()[:-2] + jpeg()),
        (Format.PNG, png()[:200]),
        (Format.JPEG, jpeg()[:2] + jpeg_segment(0xC9, bytes(12)) + jpeg()[2:]),
        (Format.GIF, b"GIF89a"),
        (Format.GIF, gif().replace(b"\x21\xfe", b"\x21\x01", 1)),
        (
            Format.GIF,
            gif().replace(b"\x21\xff\x0bNETSCAPE2.0\x03\x01", b"\x21\xff\x0bNETSCAPE2.0\x01\x09\x01", 1),
        ),
        (Format.GIF, gif()[:-1]),
        (Format.WEBP, webp(pictures.film_as("webp"))[:-30]),
        (Format.WEBP, b"RIFF\x18\0\0\0WEBPODD \4\0\0\0abcdVP8L"),
        (Format.WEBP, b"RIFF\4\0\0\0WEBP"),
        (Format.AVIF, b""),
    ],
)
def test_a_file_with_parts_that_are_not_known_is_not_rebuilt(kind: Format, content: bytes) -> None:
    assert picture_data(kind, content) is None


def test_a_segment_that_decoders_do_not_take_as_jfif_is_dropped() -> None:
    content = jpeg()
    for segment in (jpeg_segment(0xE0, b"JFIF\0\1"), jpeg_segment(0xE1, b"JFIF\0" + bytes(20))):
        assert picture_data(Format.JPEG, content[:2] + segment + content[2:]) == content
    long = jpeg_segment(0xEE, b"Adobe\0\x64\0\0\0\0\1" + SECRET)
    rebuilt = picture_data(Format.JPEG, content[:2] + long + content[2:])
    assert rebuilt is not None
    assert b"Adobe" in rebuilt
    assert SECRET not in rebuilt


def test_a_loop_by_another_name_is_preserved() -> None:
    content = gif().replace(b"NETSCAPE2.0", b"ANIMEXTS1.0")
    rebuilt = picture_data(Format.GIF, content)
    assert rebuilt is not None
    assert b"ANIMEXTS1.0" in rebuilt


def test_flags_of_metadata_are_cleared() -> None:
    rebuilt = picture_data(Format.WEBP, webp(pictures.cut_out_as("webp")))
    assert rebuilt is not None
    assert rebuilt[12:16] == b"VP8X"
    assert not rebuilt[20] & 0x2C
    assert rebuilt[20] & 0x10, "alpha"
    assert not re.search(rb"XMP |EXIF|ICCP", rebuilt)
