"""Colour codes are found in a sequence header after any preceding fields (AV1 specification, 5.5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.image.av1 import colour_codes
from tests.support.avif import flat

CODES = 9, 16
SEQUENCE_HEADER, TEMPORAL_DELIMITER, METADATA = 1, 2, 5


def bits(*fields: tuple[int, int]) -> str:
    """Fields of a syntax table, each a value and its bits."""
    return "".join(f"{value:0{count}b}" for value, count in fields if count)


def flags(*values: int) -> str:
    return "".join(map(str, values))


def packed(syntax: str) -> bytes:
    """With the trailing bits of 5.3.4."""
    whole = syntax + "1"
    return bytes(int(whole[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(whole), 8))


def unit(content: bytes, kind: int = SEQUENCE_HEADER, size: bytes | None = None, more: bytes = b"") -> bytes:
    """An OBU (5.3): with its size, as LEB128, unless it is empty; `more` is the extension of its header."""
    size = bytes([len(content)]) if size is None else size
    return bytes([kind << 3 | bool(more) << 2 | bool(size) << 1]) + more + size + content


REDUCED = flags(1, 1) + bits((8, 5))
"""still_picture, reduced_still_picture_header, and a level."""
PLAIN_POINTS = flags(0) + flags(0) + bits((0, 5)) + bits((0, 12), (4, 5))
"""No timing, no display delay, one operating point."""
SIZE = bits((5, 4), (6, 4), (40, 6), (70, 7))
TOOLS = flags(1, 1, 1)
LAST_TOOLS = flags(1, 1, 0)
PLAIN_VIDEO_TOOLS = bits((0, 4)) + flags(0) + flags(1) + flags(1)
"""No order hint, and screen content and its motion are chosen by each frame."""


def colours(profile: int, *, depth: int = 8, codes: tuple[int, int] | None = CODES) -> str:
    """color_config (5.5.2), as far as the codes."""
    syntax = flags(int(depth > 8))
    if profile == 2 and depth > 8:
        syntax += flags(int(depth == 12))
    if profile != 1:
        syntax += flags(0)
    return syntax + (flags(1) + bits((codes[0], 8), (codes[1], 8), (9, 8)) if codes else flags(0))


def still(profile: int = 0, *, depth: int = 8, codes: tuple[int, int] | None = CODES) -> bytes:
    head = bits((profile, 3)) + REDUCED + SIZE + TOOLS + LAST_TOOLS
    return packed(head + colours(profile, depth=depth, codes=codes) + bits((0, 2)))


def film(
    points: str = PLAIN_POINTS, frame_ids: str = flags(0), tools: str = PLAIN_VIDEO_TOOLS, profile: int = 0
) -> bytes:
    """A header that is not reduced."""
    head = bits((profile, 3)) + flags(0, 0) + points + SIZE + frame_ids + TOOLS + tools + LAST_TOOLS
    return packed(head + colours(profile) + bits((0, 2)))


@pytest.mark.parametrize(("profile", "depth"), [(0, 8), (0, 10), (1, 8), (1, 10), (2, 8), (2, 10), (2, 12)])
def test_colours_are_read_for_every_profile_and_depth(profile: int, depth: int) -> None:
    assert colour_codes(unit(still(profile, depth=depth))) == CODES
    assert colour_codes(unit(still(profile, depth=depth, codes=(1, 13)))) == (1, 13)
    assert colour_codes(unit(still(profile, depth=depth, codes=(255, 254)))) == (255, 254)
    assert colour_codes(unit(still(profile, depth=depth, codes=None))) is None


@pytest.mark.parametrize("width_bits", [1, 8, 16])
@pytest.mark.parametrize("height_bits", [1, 8, 16])
def test_dimensions_have_the_declared_number_of_bits(width_bits: int, height_bits: int) -> None:
    size = bits((width_bits - 1, 4), (height_bits - 1, 4), (1, width_bits), (1, height_bits))
    syntax = bits((0, 3)) + REDUCED + size + TOOLS + LAST_TOOLS + colours(0)
    assert colour_codes(unit(packed(syntax))) == CODES


TICKS = bits((1001, 32), (60_000, 32))


def exp_golomb(zeros: int) -> str:
    """uvlc (4.10.3) of so many leading zeros; from 32 on no value follows."""
    return "0" * zeros + "1" + ("01" * 16)[: zeros if zeros < 32 else 0]


@pytest.mark.parametrize("zeros", [0, 1, 7, 31, 32, 40])
def test_timing_info_with_equal_picture_intervals_is_skipped(zeros: int) -> None:
    timing = flags(1) + TICKS + flags(1) + exp_golomb(zeros) + flags(0)
    assert colour_codes(unit(film(timing + flags(0) + bits((0, 5), (0, 12), (4, 5))))) == CODES


def test_timing_info_with_unequal_picture_intervals_is_skipped() -> None:
    timing = flags(1) + TICKS + flags(0) + flags(0)
    assert colour_codes(unit(film(timing + flags(0) + bits((0, 5), (0, 12), (4, 5))))) == CODES


@pytest.mark.parametrize("delay_bits", [1, 20, 32])
def test_the_decoder_model_is_skipped(delay_bits: int) -> None:
    """One operating point with it, one without."""
    model = flags(1) + bits((delay_bits - 1, 5), (90_000, 32), (9, 5), (9, 5))
    with_it = bits((1, 12), (4, 5)) + flags(1) + bits((1, delay_bits), (1, delay_bits), (1, 1))
    without = bits((2, 12), (4, 5)) + flags(0)
    points = flags(1) + TICKS + flags(0) + model + flags(0) + bits((1, 5)) + with_it + without
    assert colour_codes(unit(film(points))) == CODES


def test_operating_points_are_skipped() -> None:
    """Levels above 7 have a tier, and each may have a delay of display."""
    low, high = bits((1, 12), (7, 5)), bits((2, 12), (8, 5), (1, 1))
    delayed, at_once = flags(1) + bits((15, 4)), flags(0)
    each = low + delayed + high + at_once + high + delayed + low + at_once
    assert colour_codes(unit(film(flags(0) + flags(1) + bits((3, 5)) + each))) == CODES
    many = flags(0) + flags(0) + bits((31, 5)) + low * 32
    assert colour_codes(unit(film(many))) == CODES


def test_frame_ids_are_skipped() -> None:
    assert colour_codes(unit(film(frame_ids=flags(1) + bits((13, 4), (6, 3))))) == CODES


ANY_MOTION, NO_MOTION = flags(1), flags(0, 1)


@pytest.mark.parametrize("order_hint", [False, True])
@pytest.mark.parametrize(
    "screen_content",
    [flags(1) + ANY_MOTION, flags(1) + NO_MOTION, flags(0, 1) + ANY_MOTION, flags(0, 1) + NO_MOTION, flags(0, 0)],
    ids=["chosen", "chosen, motion told", "always", "always, motion told", "never"],
)  # fmt: skip
def test_video_tools_are_skipped(order_hint: bool, screen_content: str) -> None:
    before, after = (flags(1) + flags(1, 0), bits((6, 3))) if order_hint else (flags(0), "")
    tools = bits((5, 4)) + before + screen_content + after
    assert colour_codes(unit(film(tools=tools))) == CODES
    assert colour_codes(unit(film(tools=tools, profile=1))) == CODES


@pytest.mark.parametrize("size", [1, 2, 8])
def test_a_size_may_be_coded_in_more_bytes_than_needed(size: int) -> None:
    header = still()
    leb128 = bytes([len(header) | 0x80] + [0x80] * (size - 2) + [0]) if size > 1 else bytes([len(header)])
    assert colour_codes(unit(header, size=leb128)) == CODES


def test_a_large_unit_is_skipped() -> None:
    before = unit(bytes(300), METADATA, size=b"\xac\x02")
    assert colour_codes(before + unit(still())) == CODES
    all_of_it = unit(bytes(3), METADATA, size=b"\xff\x01") + unit(still())
    assert colour_codes(all_of_it) is None, "what it says is its own is not looked at"


def test_a_unit_without_a_size_is_the_last() -> None:
    assert colour_codes(unit(still(), size=b"")) == CODES
    assert colour_codes(unit(b"\0", TEMPORAL_DELIMITER, size=b"") + unit(still())) is None


def test_headers_may_be_extended() -> None:
    assert colour_codes(unit(still(), more=b"\x20")) == CODES
    assert colour_codes(unit(still(), size=b"", more=b"\x20")) == CODES
    assert colour_codes(unit(b"", TEMPORAL_DELIMITER, more=b"\x20") + unit(still())) == CODES


def test_the_first_sequence_header_counts() -> None:
    delimiter = unit(b"", TEMPORAL_DELIMITER)
    later = unit(still(codes=(1, 13)))
    assert colour_codes(delimiter + unit(still()) + later) == CODES
    assert colour_codes(delimiter + unit(still(codes=None)) + later) is None


@pytest.mark.parametrize(
    "stream", [b"", b"\x12", b"\x12\0", b"\x12\0" * 9, b"\x0a", b"\x0a\0", b"\x0e", b"\x12\xff\xff"]
)
def test_a_stream_without_a_sequence_header_has_no_codes(stream: bytes) -> None:
    assert colour_codes(stream) is None


@pytest.mark.parametrize(
    "header", [still(codes=(12, 13)), film(), film(tools=bits((5, 4)) + flags(1, 1, 0, 0, 0) + bits((6, 3)))]
)
def test_a_header_truncated_before_its_colours_has_no_codes(header: bytes) -> None:
    """They are in the last five bytes."""
    for length in range(len(header) - 5):
        assert colour_codes(unit(header)[: 2 + length]) is None
        assert colour_codes(unit(header[:length])) is None


@given(st.binary(max_size=60))
def test_arbitrary_bytes_raise_no_error(stream: bytes) -> None:
    for head in (b"", b"\x0a\x28", b"\x0a\x28\x04", b"\x08"):
        codes = colour_codes(head + stream)
        assert codes is None or all(0 <= code <= 255 for code in codes)


def test_the_codes_of_an_encoded_stream_are_read() -> None:
    stream, _ = flat((200, 80, 80))
    assert colour_codes(stream) == (1, 13)
