"""The chunks of a PNG (3rd edition, 5), and whether all rows of the picture are present."""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from proxy.core.image.completed import FILLING, Completed

_MOST_CHUNKS = 200_000
"""A limit on work; a file of fifty megabytes has about six thousand chunks."""
_MOST_BYTES = 1 << 30
_PART_BYTES = 1 << 16
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Left, top and steps of the passes of an interlaced picture (8.1)."""


class Chunk(NamedTuple):
    """A chunk with its length field at `at` and its data from `start`. Its checksum ends at `end`, which may lie
    beyond the end of the file."""

    name: bytes
    at: int
    start: int
    end: int

    def data(self, content: bytes) -> bytes:
        return content[self.start : self.end - 4]

    def is_sound(self, content: bytes) -> bool:
        """Whether the chunk is complete and its checksum is right."""
        return (
            zlib.crc32(content[self.start - 4 : self.end - 4]).to_bytes(4, "big")
            == content[self.end - 4 : self.end]
        )


def chunks(content: bytes) -> Iterator[Chunk]:
    """The chunks up to the last or to an invalid one."""
    at = 8
    for _ in range(_MOST_CHUNKS):
        name = content[at + 4 : at + 8]
        if len(name) < 4 or not name.isalpha():
            return
        chunk = Chunk(name, at, at + 8, at + 12 + int.from_bytes(content[at : at + 4], "big"))
        yield chunk
        at = chunk.end


def completed(content: bytes) -> Completed | None:
    """The IDAT chunks hold the picture (11.2.3); the chunks after them may be truncated, and so may the checksum of
    the last one."""
    data: list[Chunk] = []
    end = 8
    for chunk in chunks(content):
        if chunk.name == b"IEND":
            return Completed(content if chunk.end <= len(content) else content[:end] + _packed(b"IEND", b""))
        if chunk.name == b"IDAT":
            data.append(chunk)
        if chunk.end > len(content):
            break
        end = chunk.end
    if not data:
        return None
    if data[-1].end <= end:
        picture = content[:end] + _packed(b"IEND", b"")
        return Completed(picture, (picture,))
    # The padding of a truncated file would count as rows.
    rows = _rows(content.rstrip(b"\0") if content.endswith(FILLING) else content, data)
    if rows is None:
        return None
    return Completed(content[: data[0].at] + _packed(b"IDAT", rows) + _packed(b"IEND", b""))


def _rows(content: bytes, data: list[Chunk]) -> bytes | None:
    """The data of these chunks, compressed again with the missing end; None if a row is missing, or a chunk before
    the last is damaged."""
    if not all(chunk.is_sound(content) for chunk in data[:-1]):
        return None
    expected, got, rows = _row_bytes(content), 0, []
    inflated, deflated = zlib.decompressobj(), zlib.compressobj(1)
    try:
        for chunk in data:
            rest = chunk.data(content)
            while got < expected and (part := inflated.decompress(rest, _PART_BYTES)):
                rest, got = inflated.unconsumed_tail, got + len(part)
                rows.append(deflated.compress(part))
    except zlib.error:
        return None
    return b"".join(rows) + deflated.flush() if got >= expected else None


def _row_bytes(content: bytes) -> int:
    """The size of all rows with their filter bytes (7.2, 8.1); sizes above a gigabyte are not computed."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(
        ">IIBBBBB", content[16:29].ljust(13, b"\0")
    )
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 4)
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    sides = [(-(-(width - x) // across), -(-(height - y) // down)) for x, y, across, down in passes]
    count = sum((1 + -(-wide * bits // 8)) * high for wide, high in sides if wide > 0 and high > 0)
    return count if count <= _MOST_BYTES else 1 << 62


def _packed(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")
