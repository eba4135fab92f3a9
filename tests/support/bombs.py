"""Hostile pictures: small files that need many resources, or are not pictures.

`forged` takes a second to make; `giants`, which are sound but as large as limits allow, half a minute.
"""

import functools
import re
import struct
import zlib
from collections.abc import Iterator

import pyvips

from tests.support import pictures
from tests.support.png import png_chunk

SHARES = (0.01, 0.25, 0.5, 0.75, 0.99)
SIDE_PX = 10_000
PROFILE_SEGMENTS = 255

NO_PICTURES = [
    b"",
    b"\xff",
    b"<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'/>",
    b"%PDF-1.7 ...",
    b"II*\0\x08\0\0\0" + b"\0" * 100,
    b"P6 2 2 255\n" + b"\0" * 12,
    b"1,2,3\n4,5,6\n",
    b"<html>404</html>",
    b"\x1f\x8b\x08\0" * 10,
    b"BM" + b"\0" * 60,
    b"#?RADIANCE\n" + b"\0" * 60,
    b"SIMPLE  =                    T" + b" " * 100,
]

COMPRESSED_CHUNKS = {b"iCCP": b"x\0\0", b"zTXt": b"x\0\0", b"iTXt": b"x\0\1\0\0\0"}


def jpeg_segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def metadata_bomb(name: bytes) -> bytes:
    """A PNG of 40x30 pixels whose chunk `name` inflates to 30 MB."""
    png = pictures.quarters_as("png", 40, 30)
    return png[:33] + png_chunk(name, COMPRESSED_CHUNKS[name] + _zeros(30_000_000)) + png[33:]


@functools.cache
def _zeros(count: int) -> bytes:
    return zlib.compress(bytes(count), 9)


def polyglot() -> bytes:
    """A JPEG with a script in a comment, and the head of a ZIP behind its end."""
    jpeg = pictures.quarters_as("jpeg")
    comment = jpeg_segment(0xFE, b"<script>alert(1)</script>".ljust(38))
    return jpeg[:2] + comment + jpeg[2:] + b"PK\x03\x04<script>alert(2)</script>"


def with_profile(profile: bytes) -> bytes:
    """A JPEG with these bytes as its ICC profile, in as many segments as it takes, 255 at most."""
    jpeg = pictures.quarters_as("jpeg")
    size = max(1, -(-len(profile) // PROFILE_SEGMENTS))
    parts = [profile[at : at + size] for at in range(0, len(profile), size)]
    head = b"".join(
        jpeg_segment(0xE2, b"ICC_PROFILE\0" + bytes([number, len(parts)]) + part)
        for number, part in enumerate(parts, 1)
    )
    return jpeg[:2] + head + jpeg[2:]


def profile_of(tags: int, size_bytes: int) -> bytes:
    """The header of a display profile that claims so many tags, and rubbish up to its size."""
    head = struct.pack(">I4sI4s4s4s", size_bytes, b"lcms", 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    head = (head.ljust(36, b"\0") + b"acsp").ljust(128, b"\0")
    return (head + struct.pack(">I", tags) + b"rXYZ\0\0\0\x80\xff\xff\xff\xf0").ljust(size_bytes, b"\1")


def with_last_scan_again(progressive: bytes, times: int) -> bytes:
    """A progressive JPEG whose decoder has to go over the whole picture `times` times more."""
    last = max(found.start() for found in re.finditer(rb"\xff\xda\x00", progressive))
    return progressive[:-2] + progressive[last:-2] * times + progressive[-2:]


def with_comments() -> bytes:
    """A JPEG behind two megabytes of comments."""
    jpeg = pictures.quarters_as("jpeg")
    return jpeg[:2] + jpeg_segment(0xFE, b"c" * 65_000) * 32 + jpeg[2:]


def cut(kind: str, share: float) -> bytes:
    """The first part of a sound picture, and enough of it to be known as one."""
    content = pictures.photo_as(kind)
    return content[: max(20, int(len(content) * share))]


def forged() -> Iterator[tuple[str, bytes]]:
    """Name and bytes of everything that is cheap to make."""
    for number, content in enumerate(NO_PICTURES):
        yield f"no-picture-{number}.jpg", content
    for kind in pictures.SAVE:
        for share in SHARES:
            yield f"cut-{share}.{kind}", cut(kind, share)
    for kind in ("gif", "webp"):
        film = pictures.film_as(kind)
        for share in SHARES:
            yield f"cut-film-{share}.{kind}", film[: max(20, int(len(film) * share))]
    for width, height in ((10_001, 1), (1, 2_000_000), (10_000, 10_000), (2**31 - 1, 2**31 - 1)):
        yield f"claims-{width}x{height}.png", pictures.png_of(width, height)
    yield "claims-interlaced.png", pictures.png_of(50_000, 50_000, interlaced=True)
    for side, frames in ((2, 0), (2, 129), (2, 20_000), (2_000, 100), (65_535, 1), (880, 128)):
        yield f"frames-{frames}-of-{side}.gif", pictures.gif_of(side, side, frames)
    for name in COMPRESSED_CHUNKS:
        yield f"inflates-{name.decode()}.png", metadata_bomb(name)
    png = pictures.quarters_as("png", 40, 30)
    yield "texts.png", png[:33] + png_chunk(b"tEXt", b"k\0v") * 40_000 + png[33:]
    yield "polyglot.jpg", polyglot()
    yield "polyglot.png", png + b"<script>alert(1)</script>"
    yield "polyglot.gif", b"GIF89a/*" + pictures.film_as("gif")[8:] + b"*/=1;alert(1)"
    yield "wrong-name.jpg", png
    yield "profile-nonsense.jpg", with_profile(b"this is no profile" * 10)
    yield "profile-many-tags.jpg", with_profile(profile_of(0xFFFFFFFF, 4_000))
    yield "profile-16mb.jpg", with_profile(profile_of(100, PROFILE_SEGMENTS * 65_000))
    yield "comments.jpg", with_comments()


def giants() -> Iterator[tuple[str, bytes]]:
    """Sound pictures of as many pixels as limits allow, in the forms that cost a decoder most."""
    plain = (pyvips.Image.black(SIDE_PX, SIDE_PX, bands=3) + [10, 120, 230]).cast("uchar")
    plain = plain.copy(interpretation="srgb")
    yield "giant.png", plain.pngsave_buffer(compression=1, filter="none")
    yield "giant-interlaced.png", plain.pngsave_buffer(compression=1, filter="none", interlace=True)
    deep = plain.bandjoin(255).cast("ushort").copy(interpretation="rgb16")
    yield "giant-deep-interlaced.png", deep.pngsave_buffer(compression=1, filter="none", interlace=True)
    yield "giant.jpg", plain.jpegsave_buffer(subsample_mode="off")
    progressive = bytes(plain.jpegsave_buffer(subsample_mode="off", interlace=True))
    yield "giant-progressive.jpg", progressive
    yield "giant-scans.jpg", with_last_scan_again(progressive, 85)
    yield "giant.webp", plain.webpsave_buffer(lossless=True, effort=0)
    yield "giant.gif", plain.gifsave_buffer(effort=1)
    yield "giant.avif", plain.crop(0, 0, 5000, 5000).heifsave_buffer(compression="av1", effort=0)
    yield "giant-film.gif", pictures.encoded(pictures.film(880, 880, 128), "gif")
