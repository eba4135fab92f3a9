"""AVIF files composed of streams that libvips encoded, with properties that libvips does not write."""

import functools
import struct

import pyvips

from proxy.core.image import heif

ALPHA = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"


def box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def full_box(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def nclx(primaries: int, transfer: int, matrix: int = 6, *, full_range: bool = True) -> bytes:
    """A `colr` property of code points (ITU-T H.273)."""
    return box(b"colr", b"nclx", struct.pack(">HHHB", primaries, transfer, matrix, full_range << 7))


def icc(profile: bytes) -> bytes:
    return box(b"colr", b"prof", profile)


@functools.cache
def flat(colour: tuple[float, ...], side: int = 64, *, depth: int = 8) -> tuple[bytes, bytes]:
    """An AV1 stream of one colour, and the properties it must have. One number is grey; of more than 8 bits they are
    taken as 16."""
    image = pyvips.Image.black(side, side, bands=len(colour)) + list(colour)
    wide = depth > 8
    names = {1: ("b-w", "grey16"), 3: ("srgb", "rgb16")}[len(colour)]
    image = image.cast("ushort" if wide else "uchar").copy(interpretation=names[wide])
    return stream(image, depth=depth)


def stream(image: pyvips.Image, *, depth: int = 8) -> tuple[bytes, bytes]:
    """The AV1 stream of `image`, and the properties it must have."""
    content = bytes(
        image.heifsave_buffer(
            compression="av1", Q=95, effort=0, bitdepth=depth, keep="none", subsample_mode="off"
        )
    )
    items = heif.items(content)
    assert items is not None
    stored = [
        box(each.kind, each.content) for each in items.properties[items.primary] if each.kind != b"colr"
    ]
    return items.head_of(content, items.primary, len(content)), b"".join(stored)


def avif(
    colour: tuple[bytes, bytes],
    *properties: bytes,
    alpha: tuple[bytes, bytes] | None = None,
    is_premultiplied: bool = False,
    brand: bytes = b"avif",
) -> bytes:
    """A file of one picture with these `properties` more, and of another as its alpha."""
    streams = [(colour[0], colour[1] + b"".join(properties))]
    references = b""
    if alpha is not None:
        streams.append((alpha[0], alpha[1] + full_box(b"auxC", ALPHA)))
        references = box(b"auxl", struct.pack(">HHH", 2, 1, 1))
        if is_premultiplied:
            references += box(b"prem", struct.pack(">HHH", 1, 1, 2))
    head = box(b"ftyp", brand, bytes(4), b"mif1avifmiaf")
    meta = _meta(streams, references, 0)
    meta = _meta(streams, references, len(head) + len(meta) + 8)
    return head + meta + box(b"mdat", *(data for data, _ in streams))


def _meta(streams: list[tuple[bytes, bytes]], references: bytes, start: int) -> bytes:
    numbers = range(1, len(streams) + 1)
    locations, associations, stored, at = b"", b"", b"", 0
    for number, (data, properties) in zip(numbers, streams, strict=True):
        locations += struct.pack(">HHHII", number, 0, 1, start, len(data))
        start += len(data)
        count = len(list(heif.boxes(properties, 0, len(properties))))
        associations += struct.pack(">HB", number, count) + bytes(range(at + 1, at + count + 1))
        at += count
        stored += properties
    entries = [
        full_box(b"infe", struct.pack(">HH4s", number, 0, b"av01"), b"\0", version=2) for number in numbers
    ]
    return full_box(
        b"meta",
        full_box(b"hdlr", bytes(4), b"pict", bytes(13)),
        full_box(b"pitm", struct.pack(">H", 1)),
        full_box(b"iloc", b"\x44\0", struct.pack(">H", len(streams)), locations),
        full_box(b"iinf", struct.pack(">H", len(streams)), *entries),
        *([full_box(b"iref", references)] if references else []),
        box(b"iprp", box(b"ipco", stored), full_box(b"ipma", struct.pack(">I", len(streams)), associations)),
    )
