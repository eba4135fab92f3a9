"""Chunks and compressed rows tell whether a PNG is complete (3rd edition, 5 and 8)."""

import zlib

import pytest

from proxy.core.image.completed import Completed
from proxy.core.image.png import Chunk, chunks, completed
from tests.support.png import header, png_chunk, png_file

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = png_chunk(b"IEND", b"")
TEXT = b"tEXt", b"k\0v"


def rows(width: int, height: int, bits: int = 24) -> bytes:
    """Each with its filter before it."""
    return (b"\0" + bytes(index % 255 + 1 for index in range(-(-width * bits // 8)))) * height


def pixels(content: bytes) -> bytes:
    """What the chunks of a file hold, uncompressed."""
    return zlib.decompress(b"".join(each.data(content) for each in chunks(content) if each.name == b"IDAT"))


ROWS = rows(5, 4)
PACKED = zlib.compress(ROWS, 0)
"""As they are: what is cut off are rows but for a checksum of four bytes."""
HALVES = (b"IDAT", PACKED[:40]), (b"IDAT", PACKED[40:])
HEAD = header(5, 4)
WHOLE = png_file(HEAD, *HALVES, (b"IEND", b""))


def test_chunks_are_listed_with_their_positions() -> None:
    content = png_file(header(1, 1), TEXT)
    assert list(chunks(content)) == [Chunk(b"IHDR", 8, 16, 33), Chunk(b"tEXt", 33, 41, 48)]
    text = list(chunks(content))[1]
    assert text.data(content) == TEXT[1]
    assert text.is_sound(content)
    for at in (37, 41, 43, 47):
        damaged = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        assert not text.is_sound(damaged)
    assert not text.is_sound(content[:-1])


@pytest.mark.parametrize(
    "tail", [b"", b"\0\0\0\0", b"\0\0\0\0IEN", b"\0\0\0\0IE\0D", b"\0\0\0\0IE1D", bytes(40)]
)
def test_the_walk_ends_at_bytes_that_are_not_a_chunk(tail: bytes) -> None:
    assert [each.name for each in chunks(png_file(header(1, 1), TEXT) + tail)] == [b"IHDR", b"tEXt"]


def test_the_number_of_chunks_is_limited() -> None:
    many = SIGNATURE + png_chunk(b"tEXt", b"") * 200_001
    assert len(list(chunks(many))) == 200_000
    assert completed(many + END) is None


@pytest.mark.parametrize("tail", [b"", b"anything", png_chunk(*TEXT)])
def test_a_png_with_its_end_chunk_is_complete(tail: bytes) -> None:
    assert completed(WHOLE + tail) == Completed(WHOLE + tail)
    nothing = png_file(HEAD, (b"IEND", b""))
    assert completed(nothing + tail) == Completed(nothing + tail)


@pytest.mark.parametrize("lost", [1, 2, 3, 4])
def test_a_truncated_end_chunk_is_completed(lost: int) -> None:
    assert completed(WHOLE[:-lost]) == Completed(WHOLE)


@pytest.mark.parametrize("lost", range(5, 13))
def test_without_an_end_chunk_the_pixels_must_be_decoded(lost: int) -> None:
    assert completed(WHOLE[:-lost]) == Completed(WHOLE, (WHOLE,))


@pytest.mark.parametrize("length", [0, 3, 8, 13, 14])
def test_a_truncated_chunk_after_the_picture_is_removed(length: int) -> None:
    cut = WHOLE[: -len(END)] + png_chunk(*TEXT)[:length]
    assert completed(cut) == Completed(WHOLE, (WHOLE,))
    text = WHOLE[: -len(END)] + png_chunk(*TEXT)
    assert completed(text) == Completed(text + END, (text + END,))


@pytest.mark.parametrize("lost", [1, 2, 3, 4])
@pytest.mark.parametrize("filling", [b"", bytes(4), bytes(500)])
def test_a_missing_checksum_of_the_last_chunk_is_added(lost: int, filling: bytes) -> None:
    content = WHOLE[: -len(END) - lost]
    if filling:
        content = _longer(content, len(filling)) + filling
    mended = completed(content)
    assert mended is not None
    assert mended.doubts == ()
    assert mended.content.startswith(SIGNATURE + png_chunk(*HEAD) + b"\0\0")
    assert mended.content.endswith(END)
    assert pixels(mended.content) == ROWS
    assert [each.name for each in chunks(mended.content)] == [b"IHDR", b"IDAT", b"IEND"]
    assert all(each.is_sound(mended.content) for each in chunks(mended.content))


def _longer(content: bytes, by: int) -> bytes:
    """The last chunk claims so many bytes more: what the file was filled up with lies in it."""
    last = list(chunks(content))[-1]
    length = last.end - 4 - last.start + by
    return content[: last.at] + length.to_bytes(4, "big") + content[last.at + 4 :]


def test_a_missing_end_of_the_compressed_data_is_added() -> None:
    for lost in range(5):
        mended = completed(WHOLE[: -len(END) - 4 - lost])
        assert mended is not None
        assert pixels(mended.content) == ROWS
    assert completed(WHOLE[: -len(END) - 4 - 5]) is None


FIRST_END = 33 + 12 + 40


@pytest.mark.parametrize(
    "length", [0, 7, 8, 20, 32, 33, 40, 41, 50, FIRST_END - 1, FIRST_END + 8, FIRST_END + 20, FIRST_END + 38]
)
def test_a_picture_with_missing_rows_is_refused(length: int) -> None:
    assert completed(WHOLE[:length]) is None


@pytest.mark.parametrize("more", range(8))
def test_after_truncation_between_chunks_the_pixels_must_be_decoded(more: int) -> None:
    mended = WHOLE[:FIRST_END] + END
    assert completed(WHOLE[: FIRST_END + more]) == Completed(mended, (mended,))


def test_a_damaged_chunk_before_the_last_is_refused() -> None:
    cut = WHOLE[: -len(END) - 1]
    assert completed(cut) is not None
    damaged = bytearray(cut)
    damaged[33 + 8 + 5] ^= 1
    assert completed(bytes(damaged)) is None


def test_data_that_does_not_decompress_is_refused() -> None:
    content = png_file(HEAD, (b"IDAT", b"no stream of zlib" * 5))
    assert completed(content[:-1]) is None


@pytest.mark.parametrize(
    ("colour", "depth", "bits"),
    [(0, 1, 1), (0, 4, 4), (0, 8, 8), (0, 16, 16), (2, 8, 24), (2, 16, 48), (3, 2, 2), (3, 8, 8), (4, 8, 16), (6, 8, 32),
     (6, 16, 64)],
)  # fmt: skip
@pytest.mark.parametrize("width", [1, 7, 9])
def test_row_length_follows_colour_type_depth_and_width(
    colour: int, depth: int, bits: int, width: int
) -> None:
    """Put together so that nothing but their number tells: one row less is cut."""
    data = rows(width, 6, bits)
    for declared_height, is_whole in ((6, True), (5, True), (7, False)):
        content = png_file(
            header(width, declared_height, depth=depth, colour=colour), (b"IDAT", zlib.compress(data))
        )
        assert (completed(content[:-1]) is not None) is is_whole


def test_an_unknown_colour_type_is_counted_as_the_largest() -> None:
    content = png_file(header(5, 4, colour=9), (b"IDAT", zlib.compress(rows(5, 4, 32))))
    assert completed(content[:-1]) is not None
    content = png_file(header(5, 4, colour=9), (b"IDAT", zlib.compress(rows(5, 4, 24))))
    assert completed(content[:-1]) is None


PASSES_OF_8X8 = [(1, 1), (1, 1), (2, 1), (2, 2), (4, 2), (4, 4), (8, 4)]
"""Width and height of each pass of 8 by 8 pixels (8.1, figure 9)."""
PASSES_OF_2X1 = [(1, 1), (1, 1)]


@pytest.mark.parametrize(
    ("width", "height", "passes"),
    [
        (8, 8, PASSES_OF_8X8),
        (2, 1, PASSES_OF_2X1),
        (1, 1, [(1, 1)]),
        (5, 1, [(1, 1), (1, 1), (1, 1), (2, 1)]),
    ],
)
def test_rows_of_interlaced_pictures_are_counted(
    width: int, height: int, passes: list[tuple[int, int]]
) -> None:
    data = b"".join(rows(*each, bits=8) for each in passes)
    head = header(width, height, colour=0, interlaced=True)
    for held, is_whole in ((data, True), (data[:-1], False)):
        content = png_file(head, (b"IDAT", zlib.compress(held)))
        assert (completed(content[:-1]) is not None) is is_whole


def test_pictures_of_more_than_a_gigabyte_are_not_completed() -> None:
    content = png_file(header(50_000, 50_000), (b"IDAT", zlib.compress(bytes(100_000))))
    assert completed(content[:-1]) is None


def test_rows_of_large_data_are_counted_in_steps() -> None:
    """More than one step of the decompression."""
    data = rows(100, 900)
    cut = png_file(header(100, 900), (b"IDAT", zlib.compress(data, 0)))[:-1]
    mended = completed(cut)
    assert mended is not None
    assert pixels(mended.content) == data
    assert completed(png_file(header(100, 901), (b"IDAT", zlib.compress(data, 0)))[:-1]) is None
