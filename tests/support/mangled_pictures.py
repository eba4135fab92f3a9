"""Small sound pictures of every format, damaged at random: pieces moved, bytes changed, ends truncated.

A mutant follows from its seed and number alone, so one that shows a fault is made again without the others.
"""

import functools
import random
import re
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

from proxy.core.image.formats import SNIFF_BYTES, Format, sniff
from tests.support import pictures

EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
MAGIC_BYTES, HEADER_BYTES = 12, 96
MOST_TWINS = 200
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class Mutant(NamedTuple):
    """`name` tells its number, what was mutated and how."""

    name: str
    content: bytes


@functools.cache
def good() -> dict[str, bytes]:
    """The pictures that mutants are made of: a few kilobytes each."""
    photo, alpha, film = pictures.photo(96, 72), pictures.cut_out(80, 60), pictures.film(40, 30, frames=4)
    made = {
        "baseline.jpg": photo.jpegsave_buffer(Q=80),
        "progressive.jpg": photo.jpegsave_buffer(Q=80, interlace=True),
        "profile.jpg": photo.jpegsave_buffer(Q=80, profile="p3"),
        "exif.jpg": pictures.with_exif(6),
        "grey.jpg": photo.colourspace("b-w").jpegsave_buffer(Q=80),
        "plain.png": photo.pngsave_buffer(),
        "interlaced.png": photo.pngsave_buffer(interlace=True),
        "palette.png": alpha.pngsave_buffer(palette=True),
        "deep.png": photo.colourspace("rgb16").pngsave_buffer(),
        "alpha.png": alpha.pngsave_buffer(),
        "lossy.webp": photo.webpsave_buffer(Q=80),
        "alpha.webp": alpha.webpsave_buffer(Q=80),
        "lossless.webp": photo.webpsave_buffer(lossless=True),
        "film.webp": film.webpsave_buffer(Q=80),
        "film.gif": film.gifsave_buffer(),
        "still.gif": photo.gifsave_buffer(),
        "plain.avif": photo.heifsave_buffer(compression="av1", effort=0, keep="none"),
        "alpha.avif": alpha.heifsave_buffer(compression="av1", effort=0, keep="none"),
    }
    return {name: bytes(content) for name, content in made.items()}


def mutant(seed: int, number: int) -> Mutant:
    """The mutant of that number; those of one seed take the good pictures in turn."""
    chance = random.Random(f"{seed}/{number}")
    names = list(good())
    name = names[number % len(names)]
    other = good()[chance.choice(names)]
    parts = pieces(good()[name])
    done = []
    for _ in range(chance.choice((0, 1, 1, 2))):
        move = chance.choice(MOVES)
        done.append(move.__name__)
        move(chance, parts)
    content = b"".join(parts)
    for _ in range(chance.choice((1, 2, 3) if not done else (0, 0, 1))):
        change = chance.choice(CHANGES)
        done.append(change.__name__)
        content = change(chance, content, other)
    if chance.random() < 0.75:
        done.append("mended")
        content = mended(content)
    stem, _, suffix = name.partition(".")
    return Mutant(f"{number:05}-{stem}-{'-'.join(done)}.{suffix}", content)


def is_cut(content: bytes) -> bool:
    """Whether it is a good picture without a part of its data; an end mark is none, and a GIF may end with any frame."""
    return any(
        len(content) < len(whole) and whole.startswith(content) and not _has_its_data(content, whole)
        for whole in good().values()
    )


_DATA = {Format.JPEG: slice(0, 2), Format.PNG: slice(4, 8), Format.GIF: slice(0, 1)}
_NAMES = (b"\xff\xda", b"IDAT", b"\x2c")


def _has_its_data(content: bytes, whole: bytes) -> bool:
    kind = sniff(whole[:SNIFF_BYTES])
    if kind not in _DATA:
        return False
    ends, at = [], 0
    for piece in pieces(whole):
        at += len(piece)
        if piece[_DATA[kind]] in _NAMES:
            ends.append(at)
        if kind is Format.GIF and at == len(content):
            return bool(ends) and not piece.startswith(b"\x21\xf9")
    return kind is not Format.GIF and len(content) >= ends[-1] - 4 * (kind is Format.PNG)


def pieces(content: bytes) -> list[bytes]:
    """The segments, chunks, blocks or boxes of a sound picture; joined they are the picture again."""
    kind = sniff(content[:SNIFF_BYTES])
    assert kind is not None
    ends = [*_ENDS[kind](content), len(content)]
    return [content[start:end] for start, end in zip([0, *ends], ends, strict=False) if end > start]


def _jpeg_ends(content: bytes) -> list[int]:
    ends = [2]
    while (at := ends[-1]) + 4 <= len(content):
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if content[at + 1] == 0xDA and (after := _AFTER_SCAN.search(content, end)):
            end = after.start()
        ends.append(end)
    return ends


def _png_ends(content: bytes) -> list[int]:
    ends = [8]
    while (at := ends[-1]) + 8 <= len(content):
        ends.append(at + 12 + int.from_bytes(content[at : at + 4], "big"))
    return ends


def _webp_ends(content: bytes) -> list[int]:
    ends = [12]
    while (at := ends[-1]) + 8 <= len(content):
        length = int.from_bytes(content[at + 4 : at + 8], "little")
        ends.append(at + 8 + length + length % 2)
    return ends


def _gif_ends(content: bytes) -> list[int]:
    ends = [13 + _table_bytes(content[10])]
    while (at := ends[-1]) < len(content) - 1:
        at += 2 if content[at] == 0x21 else 11 + _table_bytes(content[at + 9])
        while content[at]:
            at += 1 + content[at]
        ends.append(at + 1)
    return ends


def _table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _avif_ends(content: bytes) -> list[int]:
    """Of the top-level boxes, and of those in `meta`, whose own head is a piece."""
    ends = [0]
    while (at := ends[-1]) + 8 <= len(content):
        is_meta = content[at + 4 : at + 8] == b"meta"
        ends.append(at + (12 if is_meta else int.from_bytes(content[at : at + 4], "big")))
    return ends[1:]


_ENDS: dict[Format, Callable[[bytes], list[int]]] = {
    Format.JPEG: _jpeg_ends,
    Format.PNG: _png_ends,
    Format.WEBP: _webp_ends,
    Format.GIF: _gif_ends,
    Format.AVIF: _avif_ends,
}


def _part(chance: random.Random, parts: list[bytes]) -> int:
    """Seldom the first, without which few would be taken for pictures."""
    return chance.randrange(chance.random() < 0.95, len(parts))


def without(chance: random.Random, parts: list[bytes]) -> None:
    del parts[_part(chance, parts)]


def twins(chance: random.Random, parts: list[bytes]) -> None:
    at = _part(chance, parts)
    parts[at:at] = [parts[at]] * chance.choice((1, 1, 2, MOST_TWINS))


def swapped(chance: random.Random, parts: list[bytes]) -> None:
    one, other = _part(chance, parts), _part(chance, parts)
    parts[one], parts[other] = parts[other], parts[one]


MOVES = (without, twins, swapped)


def _spot(chance: random.Random, content: bytearray) -> int:
    """Half of all changes hit the header, where they have most effect, but seldom what tells the format."""
    end = min(len(content), chance.choice((HEADER_BYTES, len(content))))
    return chance.randrange(MAGIC_BYTES if end > MAGIC_BYTES and chance.random() < 0.95 else 0, end)


def flipped(chance: random.Random, content: bytes, other: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(1 << chance.randrange(6)):
        changed[_spot(chance, changed)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def overwritten(chance: random.Random, content: bytes, other: bytes) -> bytes:
    changed = bytearray(content)
    at, length = _spot(chance, changed), 1 << chance.randrange(9)
    changed[at : at + length] = chance.choice((bytes(length), b"\xff" * length, chance.randbytes(length)))
    return bytes(changed)


def extreme(chance: random.Random, content: bytes, other: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 3))):
        at, width = _spot(chance, changed), chance.choice((1, 2, 4))
        value = chance.choice(EXTREMES) % (1 << 8 * width)
        changed[at : at + width] = value.to_bytes(width, chance.choice(("big", "little")))
    return bytes(changed)


def truncated(chance: random.Random, content: bytes, other: bytes) -> bytes:
    return content[: chance.randint(1, len(content))]


def spliced(chance: random.Random, content: bytes, other: bytes) -> bytes:
    """The head of one and the tail of another, or one in the midst of another."""
    here, there = chance.randint(1, len(content)), chance.randrange(len(other))
    return content[:here] + other[there:] + (content[here:] if chance.random() < 0.5 else b"")


CHANGES = (flipped, overwritten, extreme, truncated, spliced)


def mended(content: bytes) -> bytes:
    """With the checksums of a PNG, the length of a RIFF and that of a `meta` box right again, so that a decoder looks
    further than there."""
    changed = bytearray(content)
    match sniff(content[:SNIFF_BYTES]):
        case Format.PNG:
            at = 8
            while (end := at + 8 + int.from_bytes(changed[at : at + 4], "big")) + 4 <= len(changed):
                changed[end : end + 4] = struct.pack(">I", zlib.crc32(changed[at + 4 : end]))
                at = end + 4
        case Format.WEBP:
            changed[4:8] = struct.pack("<I", len(changed) - 8)
        case Format.AVIF:
            meta, data = changed.find(b"meta"), changed.find(b"mdat")
            if 4 <= meta < data:
                changed[meta - 4 : meta] = struct.pack(">I", data - meta)
                changed[data - 4 : data] = struct.pack(">I", len(changed) - data + 4)
        case _:
            pass
    return bytes(changed)
