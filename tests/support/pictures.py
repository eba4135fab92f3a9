"""Generated pictures for tests: small, each with features that a test can examine."""

import functools
import struct
import zlib

import pyvips

from tests.support.png import header, png_file

RED, GREEN, BLUE, YELLOW = (220, 30, 30), (30, 180, 40), (30, 40, 210), (230, 210, 40)

SAVE: dict[str, dict[str, object]] = {
    "jpeg": {"Q": 92, "subsample_mode": "off"},
    "png": {},
    "webp": {"Q": 92},
    "avif": {"Q": 80, "effort": 0, "compression": "av1"},
    "gif": {},
}


def quarters(width: int = 400, height: int = 300) -> pyvips.Image:
    """Red, green over blue, yellow: every corner tells where it came from."""
    half = [[RED, GREEN], [BLUE, YELLOW]]
    rows = []
    for row in range(2):
        tiles = [
            (pyvips.Image.black(width // 2, height // 2, bands=3) + list(half[row][column])).cast("uchar")
            for column in range(2)
        ]
        rows.append(tiles[0].join(tiles[1], "horizontal"))
    return rows[0].join(rows[1], "vertical").copy(interpretation="srgb")


def photo(width: int = 640, height: int = 480, *, seed: int = 1) -> pyvips.Image:
    """Smooth and noisy, as photographs are."""
    bands = [
        pyvips.Image.perlin(width, height, cell_size=64, seed=seed + band) * 110 + 128 for band in range(3)
    ]
    grain = pyvips.Image.gaussnoise(width, height, mean=0, sigma=4, seed=seed)
    return (bands[0].bandjoin(bands[1:]) + grain).cast("uchar").copy(interpretation="srgb")


SKIN, HAIR, SHIRT, LIPS, SHADE = (224, 176, 144), (59, 42, 31), (51, 51, 68), (163, 63, 63), (180, 130, 100)
_FEATURES = (
    (0.5, 1.45, 1.1, 0.5, SHIRT), (0.5, 0.36, 0.62, 0.58, HAIR), (0.5, 1.0, 0.2, 0.25, SHADE), (0.5, 0.5, 0.5, 0.5, SKIN),
    (0.29, 0.33, 0.14, 0.025, HAIR), (0.71, 0.33, 0.14, 0.025, HAIR),
    (0.29, 0.44, 0.1, 0.045, (255, 255, 255)), (0.71, 0.44, 0.1, 0.045, (255, 255, 255)),
    (0.29, 0.44, 0.045, 0.042, (34, 34, 34)), (0.71, 0.44, 0.045, 0.042, (34, 34, 34)),
    (0.5, 0.6, 0.05, 0.1, SHADE), (0.5, 0.79, 0.19, 0.04, LIPS),
)  # fmt: skip
"""Ellipses in parts of the face: centre, half axes, colour."""


def people(width: int, height: int, *faces: tuple[int, int, int, int]) -> pyvips.Image:
    """Drawn heads whose faces are these boxes (left, top, width, height), from the forehead to the chin."""
    image = (pyvips.Image.black(width, height, bands=3) + [111, 138, 168]).cast("uchar")
    at = pyvips.Image.xyz(width, height)
    for left, top, face_width, face_height in faces:
        for x, y, half_width, half_height, colour in _FEATURES:
            across = (at[0] - left - x * face_width) / (half_width * face_width)
            down = (at[1] - top - y * face_height) / (half_height * face_height)
            image = (across * across + down * down < 1).ifthenelse(list(colour), image)
    return image.gaussblur(1).cast("uchar").copy(interpretation="srgb")


def cut_out(width: int = 200, height: int = 160) -> pyvips.Image:
    """A red disc on nothing."""
    disc = pyvips.Image.black(width, height).draw_circle(255, width // 2, height // 2, height // 3, fill=True)
    colour = (pyvips.Image.black(width, height, bands=3) + list(RED)).cast("uchar")
    return colour.bandjoin(disc).copy(interpretation="srgb")


def film(width: int = 60, height: int = 40, frames: int = 5) -> pyvips.Image:
    """Frames of ever brighter grey with a red left edge, 40 ms then 120 ms in turn, played three times."""
    pages = [
        (pyvips.Image.black(width, height, bands=3) + 40 * (number + 1))
        .cast("uchar")
        .copy(interpretation="srgb")
        .draw_rect(list(RED), 0, 0, 8, height, fill=True)
        for number in range(frames)
    ]
    strip = pyvips.Image.arrayjoin(pages, across=1).copy()
    strip.set_type(pyvips.GValue.gint_type, "page-height", height)
    strip.set_type(pyvips.GValue.array_int_type, "delay", [40, 120] * (frames // 2) + [40] * (frames % 2))
    strip.set_type(pyvips.GValue.gint_type, "loop", 3)
    return strip


def encoded(image: pyvips.Image, kind: str, **options: object) -> bytes:
    return bytes(image.write_to_buffer(f".{'jpg' if kind == 'jpeg' else kind}", **SAVE[kind], **options))


@functools.cache
def quarters_as(kind: str, width: int = 400, height: int = 300) -> bytes:
    return encoded(quarters(width, height), kind)


@functools.cache
def plain_as(kind: str, width: int, height: int, colour: tuple[int, ...]) -> bytes:
    """A picture of one colour, with or without alpha."""
    image = (pyvips.Image.black(width, height, bands=len(colour)) + list(colour)).cast("uchar")
    return encoded(image.copy(interpretation="srgb"), kind)


def photo_as(kind: str, width: int = 640, height: int = 480, seed: int = 1) -> bytes:
    return encoded(photo(width, height, seed=seed), kind, keep="none")


@functools.cache
def film_as(kind: str, frames: int = 5) -> bytes:
    return encoded(film(frames=frames), kind, keep="none")


@functools.cache
def cut_out_as(kind: str) -> bytes:
    return encoded(cut_out(), kind)


def with_exif(orientation: int = 1) -> bytes:
    """A JPEG of the quarters with EXIF, GPS and XMP, lying as `orientation` says."""
    image = quarters().copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    for name, value in (
        ("exif-ifd0-Make", "SECRETCAMERA"),
        ("exif-ifd0-Copyright", "SECRETOWNER"),
        ("exif-ifd3-GPSLatitude", "48/1 12/1 30/1"),
        ("exif-ifd3-GPSLatitudeRef", "N"),
    ):
        image.set_type(pyvips.GValue.gstr_type, name, f"{value} ({value}, ASCII, 12 components, 12 bytes)")
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">SECRETXMP</x:xmpmeta>'
    image.set_type(pyvips.GValue.blob_type, "xmp-data", xmp)
    return bytes(image.jpegsave_buffer(Q=90, keep="all"))


def with_broken_profile(orientation: int = 1, scale: int = 1) -> bytes:
    """A JPEG of the quarters whose profile can be read, but has a tone curve of nonsense."""
    image = quarters(400 * scale, 300 * scale).copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    content = bytearray(image.jpegsave_buffer(Q=90, profile="p3"))
    curve = content.index(b"ICC_PROFILE\0") + 14 + 385
    content[curve : curve + 4] = b"\x7f\xff\xff\xff"
    return bytes(content)


def pixel(content: bytes, x: int, y: int, page: int = 0) -> list[int]:
    """A pixel of an encoded picture; negative coordinates count from the far side."""
    image = pyvips.Image.new_from_buffer(content, "", **({"page": page} if page else {}))
    return [round(band) for band in image(x % image.width, y % image.height)]


def is_near(got: list[int], expected: tuple[int, ...], within: int = 24) -> bool:
    return all(abs(a - b) <= within for a, b in zip(got, expected, strict=False))


def size(content: bytes) -> tuple[int, int]:
    image = pyvips.Image.new_from_buffer(content, "")
    return image.width, image.height


def png_of(width: int, height: int, *, interlaced: bool = False) -> bytes:
    """A PNG header that claims a size, with an empty body: enough to be refused by its header."""
    head = header(width, height, interlaced=interlaced)
    return png_file(head, (b"IDAT", zlib.compress(b"\0")), (b"IEND", b""))


def gif_of(width: int, height: int, frames: int) -> bytes:
    """A GIF of many tiny frames on a canvas of any size."""
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = (
        b"\x21\xf9\x04\0\x0a\0\0\0" + b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    )
    return screen + frame * frames + b"\x3b"
