"""The blocks of a GIF: frames, canvas and transparent areas (GIF89a)."""

import struct

import pytest

from proxy.core.image.completed import Completed
from proxy.core.image.gif import Frame, Stream, completed, read
from tests.support import pictures

SIDES = 24, 18
SCREEN = b"GIF89a" + struct.pack("<HHBBB", *SIDES, 0, 0, 0)
DATA = b"\2\2\x44\1\0"
"""A picture of one pixel: the size of its codes, a block of two bytes, and the end."""


def control(disposal: int, *, transparent: bool = False) -> bytes:
    return b"\x21\xf9\4" + bytes([disposal << 2 | transparent, 10, 0, 7]) + b"\0"


def image(left: int, top: int, width: int, height: int, flags: int = 0, table: bytes = b"") -> bytes:
    return b"\x2c" + struct.pack("<HHHHB", left, top, width, height, flags) + table + DATA


def test_frames_have_their_declared_position_and_size() -> None:
    first = control(2, transparent=True) + image(1, 2, 3, 4)
    note = b"\x21\xfe\4note\0"
    second = control(4) + note + image(258, 0, 700, 1, 0x40)
    third = image(0, 0, 24, 18)
    content = SCREEN + first + second + third + b"\x3b"
    ends = [13 + len(first), 13 + len(first + second), 13 + len(first + second + third)]
    assert read(content) == Stream(
        *SIDES,
        head=13,
        end=ends[2],
        frames=[
            Frame(13, 13 + 8, ends[0], 1, 2, 3, 4, False, 2, True),
            Frame(ends[0], ends[0] + 8 + len(note), ends[1], 258, 0, 700, 1, True, 4, False),
            Frame(ends[1], ends[1], ends[2], 0, 0, 24, 18, False, 0, False),
        ],
        ends_early=False,
    )


@pytest.mark.parametrize(("flags", "colours"), [(0x80, 2), (0x81, 4), (0x87, 256), (0x07, 0)])
def test_colour_tables_are_skipped(flags: int, colours: int) -> None:
    """That of the screen, and those of frames."""
    screen = SCREEN[:10] + bytes([flags, 0, 0]) + b"\x3b" * 3 * colours
    content = screen + image(0, 0, 1, 1, flags, b"\x3b" * 3 * colours) + b"\x3b"
    stream = read(content)
    assert stream is not None
    assert (stream.head, stream.end) == (13 + 3 * colours, len(content) - 1)
    assert stream.frames == [
        Frame(stream.head, stream.head, stream.end, 0, 0, 1, 1, False, 0, False),
    ]


def test_a_separated_frame_has_its_own_size() -> None:
    content = (
        SCREEN + control(2) + image(3, 4, 5, 6) + control(1, transparent=True) + image(7, 8, 9, 10) + b"\x3b"
    )
    stream = read(content)
    assert stream is not None
    first, second = (stream.alone(content, frame) for frame in stream.frames)
    size = SCREEN[:6], SCREEN[10:]
    assert first == size[0] + struct.pack("<HH", 5, 6) + size[1] + control(2) + image(0, 0, 5, 6) + b"\x3b"
    assert second == (
        size[0]
        + struct.pack("<HH", 9, 10)
        + size[1]
        + control(1, transparent=True)
        + image(0, 0, 9, 10)
        + b"\x3b"
    )


def frame(
    box: tuple[int, int, int, int] = (0, 0, *SIDES),
    disposal: int = 0,
    *,
    transparent: bool = False,
    interlaced: bool = False,
) -> Frame:
    return Frame(0, 0, 0, *box, interlaced, disposal, transparent)


def stream(*frames: Frame) -> Stream:
    return Stream(*SIDES, head=13, end=0, frames=frames, ends_early=False)


PART = (0, 0, 24, 17)
LARGER = (0, 0, 25, 18)


@pytest.mark.parametrize(
    ("frames", "through"),
    [
        ([], False),
        ([frame()], False),
        ([frame(LARGER)], False),
        ([frame(PART)], True),
        ([frame((1, 0, 24, 18))], True),
        ([frame((0, 1, 24, 18))], True),
        ([frame((0, 0, 23, 18))], True),
        ([frame(), frame(PART)], False),
        ([frame(PART), frame()], True),
        # What was disposed of is seen where the next does not cover it.
        ([frame(disposal=1), frame(PART)], False),
        ([frame(disposal=2), frame(PART)], True),
        ([frame(disposal=2), frame()], False),
        ([frame(disposal=2)], False),
        ([frame(), frame(PART, disposal=2), frame(PART)], True),
        ([frame(), frame(PART, disposal=2), frame()], False),
        # After a frame that is taken back all is as before it.
        ([frame(disposal=3), frame(PART)], True),
        ([frame(disposal=4), frame(PART)], True),
        ([frame(), frame(disposal=3), frame(PART)], False),
        ([frame(), frame(PART, disposal=4), frame(PART)], False),
        ([frame(disposal=2), frame(disposal=3), frame(PART)], True),
        # With transparency libvips has alpha anyway: what counts are frames disposed of that have none.
        ([frame(transparent=True)], False),
        ([frame(PART, transparent=True)], False),
        ([frame(PART), frame(transparent=True)], False),
        ([frame(disposal=2), frame(transparent=True)], True),
        ([frame(disposal=2, transparent=True), frame(transparent=True)], False),
        ([frame(transparent=True), frame(disposal=2)], False),
        ([frame(disposal=3), frame(transparent=True)], False),
    ],
)
def test_a_canvas_that_the_frames_do_not_cover_shows_through(frames: list[Frame], through: bool) -> None:
    assert stream(*frames).shows_through is through
    assert stream(*frames).needs_canvas is through


@pytest.mark.parametrize(
    ("box", "interlaced", "needs"),
    [
        ((0, 0, 24, 18), True, False),
        ((0, 0, 24, 19), True, True),
        ((0, 0, 24, 19), False, False),
        ((0, 5, 24, 13), True, False),
        ((0, 5, 24, 14), True, True),
        ((5, 0, 24, 18), True, False),
    ],
)
def test_an_interlaced_frame_over_the_edge_needs_a_canvas(
    box: tuple[int, int, int, int], interlaced: bool, needs: bool
) -> None:
    assert stream(frame(), frame(box, interlaced=interlaced)).needs_canvas is needs


FRAME = control(0) + image(0, 0, *SIDES)


def test_a_gif_with_its_trailer_is_complete() -> None:
    for content in (SCREEN + b"\x3b", SCREEN + FRAME + b"\x3b", SCREEN + FRAME + b"\x3bmore"):
        assert completed(content) == Completed(content)


@pytest.mark.parametrize("content", [b"", SCREEN[:12], SCREEN, SCREEN + control(0), SCREEN + b"\0"])
def test_content_without_frame_and_trailer_is_not_complete(content: bytes) -> None:
    assert completed(content) is None


def test_a_missing_trailer_is_added() -> None:
    """The pixels tell whether the last frame is whole."""
    whole = SCREEN + FRAME + b"\x3b"
    longer = SCREEN + FRAME[:-1] + b"\2\xaa\xaa\0" + b"\x3b"
    for cut in (whole[:-1], whole[:-2], whole[:-1] + b"\n", whole[:-1] + b"\x21\xfe\4no"):
        assert completed(cut) == Completed(whole, (whole, longer))


@pytest.mark.parametrize("lost", range(3, 15))
def test_an_incomplete_frame_is_refused(lost: int) -> None:
    """All of it but the end of its data is needed."""
    assert completed((SCREEN + FRAME + b"\x3b")[:-lost]) is None


def test_trailing_zeros_may_be_padding() -> None:
    """As many bytes of another kind take their place."""
    picture = SCREEN + FRAME[:-5] + b"\2\4\x44\1\0\0\0"
    decoded_longer = SCREEN + FRAME[:-5] + b"\2\4\x44\1\xaa\xaa\2\xaa\xaa\0"
    assert completed(picture) == Completed(picture + b"\x3b", (picture + b"\x3b", decoded_longer + b"\x3b"))


def test_a_block_after_the_last_frame_shows_that_the_frame_is_complete() -> None:
    content = SCREEN + FRAME + b"\x21\xfe\4note\0"
    assert completed(content) == Completed(content + b"\x3b")
    for tail in (b"\0", b"\x21", b"\x21\xfe\4no", b"x"):
        assert completed(content + tail) == Completed(content + b"\x3b")


def test_frames_of_an_encoded_animation() -> None:
    stream = read(pictures.film_as("gif"))
    assert stream is not None
    assert (stream.width, stream.height, len(stream.frames), stream.ends_early) == (60, 40, 5, False)
