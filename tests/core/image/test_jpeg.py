"""Segments alone tell whether a JPEG has all the scans that its headers declare (ITU-T T.81)."""

import struct
from itertools import count

import pytest

from proxy.core.image.completed import Completed
from proxy.core.image.jpeg import completed, read
from tests.support import pictures
from tests.support.bombs import jpeg_segment

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
DATA = b"coded"
BASELINE, EXTENDED, PROGRESSIVE, ARITHMETIC = 0xC0, 0xC1, 0xC2, 0xC9
DCT = 0, 63


def frame(*sampling: tuple[int, int], kind: int = BASELINE, width: int = 32, height: int = 16) -> bytes:
    """A frame header (B.2.2) of components 1, 2 and so on, each with its sampling across and down."""
    parts = b"".join(
        bytes([part, across << 4 | down, 0]) for part, (across, down) in zip(count(1), sampling, strict=False)
    )
    return jpeg_segment(kind, struct.pack(">BHHB", 8, height, width, len(sampling)) + parts)


def scan(*parts: int, span: tuple[int, int] = DCT, low: int = 0, data: bytes = DATA) -> bytes:
    """A scan (B.2.3) of these components: coefficients from and to, down to bit `low`."""
    of = b"".join(bytes([part, 0]) for part in parts)
    return jpeg_segment(0xDA, bytes([len(parts)]) + of + bytes([*span, low])) + data


def interval(units: int) -> bytes:
    return jpeg_segment(0xDD, struct.pack(">H", units))


def restarts(number: int) -> bytes:
    """Coded data with so many restart markers in it."""
    return DATA + b"".join(bytes([0xFF, 0xD0 + index % 8]) + DATA for index in range(number))


def scans(content: bytes, most: int) -> int:
    """The number of scans up to one more than `most`."""
    return min(read(content).scans, most + 1)


def doubtful(picture: bytes) -> Completed:
    """Whole as far as headers tell; whether the last scan is, its pixels do."""
    return Completed(picture + EOI, (picture + EOI, picture + b"\xaa" * 64 + EOI))


GREY = SOI + frame((1, 1)) + scan(1)


@pytest.mark.parametrize(
    "content",
    [
        SOI + EOI,
        GREY + EOI,
        GREY + EOI + b"a film",
        SOI + frame((1, 1), kind=PROGRESSIVE) + EOI,
        GREY + b"\xff\xff\xff" + EOI,
        GREY + b"\xff\x00\xff\x01" + EOI,
    ],
)
def test_a_jpeg_with_its_end_marker_is_complete(content: bytes) -> None:
    """What its scans are worth is for the decoder."""
    assert completed(content) == Completed(content)


@pytest.mark.parametrize("kind", [BASELINE, EXTENDED])
@pytest.mark.parametrize(
    ("parts", "scans_of_it"),
    [
        (1, [scan(1)]),
        (3, [scan(1, 2, 3)]),
        (3, [scan(1), scan(2), scan(3)]),
        (3, [scan(3), scan(1, 2)]),
        (2, [scan(1, 2, 9)]),
    ],
)
def test_a_sequential_picture_without_its_end_marker_is_completed(
    kind: int, parts: int, scans_of_it: list[bytes]
) -> None:
    head = SOI + frame(*[(1, 1)] * parts, kind=kind)
    assert completed(head + b"".join(scans_of_it)) == doubtful(head + b"".join(scans_of_it))
    assert completed(head + b"".join(scans_of_it[:-1])) is None


def test_a_progressive_picture_needs_every_bit_of_every_coefficient() -> None:
    """G.1.1.1: bands of coefficients, each refined bit by bit."""
    head = SOI + frame((1, 1), (1, 1), kind=PROGRESSIVE)
    parts = [
        scan(1, 2, span=(0, 0), low=0x01),
        scan(1, span=(1, 5), low=0x02),
        scan(1, span=(6, 63), low=0x02),
        scan(2, span=(1, 63), low=0x00),
        scan(1, span=(1, 63), low=0x21),
        scan(1, 2, span=(0, 0), low=0x10),
        scan(1, span=(1, 63), low=0x10),
    ]
    assert completed(head + b"".join(parts)) == doubtful(head + b"".join(parts))
    for number in range(len(parts)):
        assert completed(head + b"".join(parts[:number])) is None
        without = head + b"".join(parts[:number] + parts[number + 1 :])
        ends_a_band = number in (3, 5, 6)
        assert completed(without) == (None if ends_a_band else doubtful(without))


@pytest.mark.parametrize("kind", [ARITHMETIC, 0xC3, 0xCA, 0xC5])
def test_other_encodings_need_their_end_marker(kind: int) -> None:
    content = SOI + frame((1, 1), kind=kind) + scan(1)
    assert completed(content) is None
    assert completed(content + EOI) == Completed(content + EOI)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        SOI,
        SOI + scan(1),
        SOI + frame((1, 1)),
        SOI + frame(),
        SOI + frame() + interval(2) + scan(1),
        SOI + jpeg_segment(BASELINE, b"") + scan(1),
        SOI + frame((1, 1)) + jpeg_segment(0xDA, b""),
        SOI + frame((1, 1), kind=PROGRESSIVE) + jpeg_segment(0xDA, b"\1\1\0"),
        SOI + jpeg_segment(0xC4, bytes(8)) + jpeg_segment(0xC8, bytes(8)) + jpeg_segment(0xCC, bytes(8)),
        # A header that is cut itself.
        (SOI + frame((1, 1)) + scan(1, data=b""))[:-1],
    ],
)
def test_an_incomplete_picture_is_refused(content: bytes) -> None:
    assert completed(content) is None


@pytest.mark.parametrize("padding", [b"\xff", b"\xff\xff\xff", bytes(4), bytes(900), bytes(8) + b"\xff"])
def test_padding_after_the_picture_is_removed(padding: bytes) -> None:
    assert completed(GREY + padding) == doubtful(GREY)


def test_up_to_three_trailing_zeros_are_preserved() -> None:
    assert completed(GREY + bytes(3)) == doubtful(GREY + bytes(3))


def test_a_truncated_comment_after_the_scans_is_removed() -> None:
    comment = jpeg_segment(0xFE, b"a comment")
    assert completed(GREY + comment) == doubtful(GREY + comment)
    for length in range(4, len(comment)):
        assert completed(GREY + comment[:length]) == doubtful(GREY)


def test_a_second_picture_does_not_complete_the_first() -> None:
    assert completed(GREY + GREY + EOI) == doubtful(GREY)
    half = SOI + frame((1, 1), (1, 1)) + scan(1)
    assert completed(half + GREY + EOI) is None


def test_a_second_start_marker_is_skipped() -> None:
    content = SOI + SOI + GREY[2:]
    assert completed(content) == doubtful(content)


@pytest.mark.parametrize(
    ("sampling", "parts", "units"),
    [
        # 32x16 pixels are 4x2 blocks of 8.
        ([(1, 1)], [1], 8),
        # A scan of one component has its own blocks, whatever it says of sampling.
        ([(2, 2)], [1], 8),
        ([(1, 1)] * 3, [1, 2, 3], 8),
        ([(2, 1), (1, 1), (1, 1)], [1, 2, 3], 4),
        ([(2, 2), (1, 1), (1, 1)], [1, 2, 3], 2),
        ([(4, 1), (1, 1)], [1, 2], 2),
        # The last scan alone counts.
        ([(2, 2), (1, 1)], [2], 2),
        ([(2, 1), (1, 1)], [2], 4),
    ],
)
@pytest.mark.parametrize("every", [1, 2, 3, 7, 8, 30])
def test_all_restart_markers_are_required(
    sampling: list[tuple[int, int]], parts: list[int], units: int, every: int
) -> None:
    """One between each two intervals (B.2.4.4)."""
    head = SOI + frame(*sampling) + interval(every)
    for part in range(1, len(sampling) + 1):
        if part not in parts:
            head += scan(part, data=restarts(0))
    needed = (units - 1) // every
    whole = head + scan(*parts, data=restarts(needed))
    assert completed(whole) == doubtful(whole)
    if needed:
        assert completed(head + scan(*parts, data=restarts(needed - 1))) is None


@pytest.mark.parametrize(
    ("width", "height", "units"), [(1, 1, 1), (8, 8, 1), (9, 8, 2), (9, 9, 4), (17, 33, 15)]
)
def test_partial_blocks_at_the_edges_are_counted(width: int, height: int, units: int) -> None:
    head = SOI + frame((1, 1), width=width, height=height) + interval(1)
    whole = head + scan(1, data=restarts(units - 1))
    assert completed(whole) == doubtful(whole)
    if units > 1:
        assert completed(head + scan(1, data=restarts(units - 2))) is None


def test_an_interval_of_zero_disables_restarts() -> None:
    content = SOI + frame((1, 1)) + interval(1) + interval(0) + scan(1)
    assert completed(content) == doubtful(content)


def test_the_number_of_segments_is_limited() -> None:
    comments = jpeg_segment(0xFE, b"") * 10_001
    assert completed(SOI + frame((1, 1)) + scan(1) + comments) is None
    with_end = SOI + frame((1, 1)) + scan(1) + comments + EOI
    assert completed(with_end) == Completed(with_end)


@pytest.mark.parametrize("number", [0, 1, 10, 100])
def test_scans_are_counted_up_to_one_more_than_the_limit(number: int) -> None:
    content = SOI + frame((1, 1)) + scan(1) * number + EOI
    assert scans(content, 100) == number
    assert scans(content, 9) == min(number, 10)
    assert scans(content[:-2], 100) == number
    assert scans(content + scan(1), 100) == number


def test_too_many_segments_count_as_too_many_scans() -> None:
    assert scans(SOI + jpeg_segment(0xFE, b"") * 10_001 + EOI, 100) == 101
    assert scans(SOI + jpeg_segment(0xFE, b"") * 9_999 + scan(1) + EOI, 100) == 1


@pytest.mark.parametrize("more", [10, 100, 101, 900])
def test_scans_added_to_an_encoded_picture_are_counted(more: int) -> None:
    content = pictures.photo_as("jpeg")
    assert scans(content[:-2] + b"\xff\xda\x00\x02" * (more - 1) + content[-2:], 100) == min(more, 101)


FILM = bytes(range(256)) * 200 + b"\xff\xda" * 5000


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"\xff\xe1" + (10_002).to_bytes(2, "big") + b"\xff\xda" * 5000, b""),
        (b"", FILM),
        (b"\xff\x00\xff\xff", b""),
        (b"\xff\x00\x27\x12" + b"\xff\xfe\x00\x02" * 2500, b""),
    ],
    ids=["preview", "film behind", "junk", "junk that claims a length"],
)
def test_only_scans_of_the_picture_itself_are_counted(before: bytes, after: bytes) -> None:
    content = pictures.photo_as("jpeg")
    assert scans(content[:2] + before + content[2:] + after, 100) == 1


def test_scans_after_invalid_markers_are_counted() -> None:
    content = pictures.photo_as("jpeg")
    many = content[:-2] + b"\xff\xda\x00\x02" * 200 + content[-2:]
    for before in (b"\xff\x00\x7f\xff", b"\xff\x01\x7f\xff", b"\xff\xd0\x7f\xff"):
        assert scans(content[:2] + before + many[2:], 100) == 101
    within = content[:-2] + b"\xff\xfe\x00\x04\xff\xd9" + many[len(content) - 2 :]
    assert scans(within, 100) == 101, "the end of the picture is no comment's"


@pytest.mark.parametrize(
    "between",
    [
        b"\xff" * 5_000_000,
        b"\xff\x00" * 2_500_000,
        b"\xff\xfe\x00\x02" * 1_200_000,
        b"\xff\xda\x00\x02" * 1_200_000,
        b"\xff\xd0" * 2_500_000,
    ],
    ids=["fill", "stuffed", "comments", "scans", "restarts"],
)
@pytest.mark.parametrize("at", ["before", "within"])
def test_the_search_for_segments_is_limited(between: bytes, at: str) -> None:
    content = pictures.photo_as("jpeg")
    many = b"\xff\xda\x00\x02" * 200
    if at == "before":
        hostile = content[:2] + between + content[2:-2] + many + content[-2:]
    else:
        hostile = content[:-2] + between + many + content[-2:]
    assert scans(hostile, 100) == 101
    completed(hostile)
