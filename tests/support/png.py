"""PNG files composed chunk by chunk (3rd edition, 5 and 11)."""

import struct
import zlib

P3 = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
SRGB = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
"""What a cHRM chunk holds: x and y of white, red, green and blue."""


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_file(*chunks: tuple[bytes, bytes]) -> bytes:
    """A signature, and these chunks, each a name and its data."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def header(
    width: int, height: int, *, depth: int = 8, colour: int = 2, interlaced: bool = False
) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)


def png(values: tuple[int, ...], *chunks: tuple[bytes, bytes], deep: bool = False) -> bytes:
    """A PNG of one colour: of 1 value grey, 2 with alpha, 3, or 4 with alpha; of 16 bits, if deep."""
    head = header(16, 16, depth=16 if deep else 8, colour={1: 0, 2: 4, 3: 2, 4: 6}[len(values)])
    row = b"\0" + struct.pack(f">{len(values)}{'H' if deep else 'B'}", *values) * 16
    return png_file(head, *chunks, (b"IDAT", zlib.compress(row * 16)), (b"IEND", b""))


def cicp(primaries: int, transfer: int, matrix: int = 0, full: int = 1) -> tuple[bytes, bytes]:
    return b"cICP", bytes([primaries, transfer, matrix, full])


def gamma(number: int) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", number)
