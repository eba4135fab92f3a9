"""The frames of an animation are oriented, resized and disposed of as in browsers."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby

import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.errors import CalotypeError, OriginalTooLarge
from proxy.core.image import gif as gif_blocks
from proxy.render.checked_original import CheckedOriginal
from proxy.render.pipeline import render
from tests.render.conftest import LIMITS, draw, plan_for, probe
from tests.support.pictures import BLUE, GREEN, RED, YELLOW, is_near

FRAMES = (RED, GREEN, BLUE, YELLOW)
DELAYS = [100, 200, 300, 400]
MARK = (255, 255, 255)


def film(kind: str, width: int = 40, height: int = 30, orientation: int = 1) -> bytes:
    """Four frames of one colour each, with a white mark in the upper left of what is stored."""
    pages = [
        (pyvips.Image.black(width, height, bands=3) + list(colour))
        .cast("uchar")
        .copy(interpretation="srgb")
        .draw_rect(list(MARK), 0, 0, width // 3, height // 3, fill=True)
        for colour in FRAMES
    ]
    strip = pyvips.Image.arrayjoin(pages, across=1).copy()
    strip.set_type(pyvips.GValue.gint_type, "page-height", height)
    strip.set_type(pyvips.GValue.array_int_type, "delay", DELAYS)
    strip.set_type(pyvips.GValue.gint_type, "loop", 3)
    if orientation > 1:
        strip.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    options: dict[str, object] = {"webp": {"lossless": True}, "gif": {}}[kind]
    return bytes(strip.write_to_buffer(f".{kind}", **options))


def pages_of(content: bytes) -> list[pyvips.Image]:
    strip = pyvips.Image.new_from_buffer(content, "[n=-1]")
    height = strip.get_page_height()
    return [strip.crop(0, top, strip.width, height) for top in range(0, strip.height, height)]


def delays_and_loop(content: bytes) -> tuple[list[int], int]:
    strip = pyvips.Image.new_from_buffer(content, "[n=-1]")
    return strip.get("delay"), strip.get("loop")


MARKS = {
    1: (0.1, 0.1), 2: (0.9, 0.1), 3: (0.9, 0.9), 4: (0.1, 0.9), 5: (0.1, 0.1), 6: (0.9, 0.1), 7: (0.9, 0.9), 8: (0.1, 0.9),
}  # fmt: skip
"""Where the mark is when the picture stands upright."""


@pytest.mark.parametrize("orientation", list(MARKS))
@pytest.mark.parametrize(("width", "height"), [(40, 30), (60, 30), (30, 60), (40, 40)])
@pytest.mark.parametrize(
    "tokens", ["", "w_20,", "w_18,h_18,c_fill,", "w_50,h_50,c_pad,", "w_30,h_20,c_scale,"]
)
def test_each_frame_is_oriented_separately(orientation: int, width: int, height: int, tokens: str) -> None:
    content = film("webp", width, height, orientation)
    upright = (height, width) if orientation > 4 else (width, height)
    facts = probe(content, LIMITS)
    assert (facts.width_px, facts.height_px, facts.pages) == (*upright, 4)
    for kind in ("webp", "gif"):
        drawn = draw(content, f"{tokens}f_{kind}")
        assert delays_and_loop(drawn) == (DELAYS, 3)
        pages = pages_of(drawn)
        if not tokens:
            assert (pages[0].width, pages[0].height) == upright
        for page, colour in zip(pages, FRAMES, strict=True):
            centre = [round(band) for band in page(page.width // 2, page.height // 2)]
            assert is_near(centre, colour, 40)
            if tokens in ("", "w_20,", "w_30,h_20,c_scale,"):
                x, y = MARKS[orientation]
                assert is_near(
                    [round(band) for band in page(int(x * page.width), int(y * page.height))], MARK, 60
                )


@pytest.mark.parametrize(
    "tokens",
    ["a_90", "a_180", "a_hflip", "e_blur:2", "e_sharpen:1", "e_grayscale", "w_20,h_20,c_fill,g_auto"],
)
def test_frames_do_not_affect_one_another(tokens: str) -> None:
    """A picture alone is drawn as it is within the animation."""
    for kind in ("webp", "gif"):
        content = film(kind)
        for page, colour in zip(pages_of(draw(content, f"{tokens},f_webp,q_100")), FRAMES, strict=True):
            alone = (
                (pyvips.Image.black(40, 30, bands=3) + list(colour)).cast("uchar").copy(interpretation="srgb")
            )
            alone = alone.draw_rect(list(MARK), 0, 0, 13, 10, fill=True)
            if "g_auto" in tokens:
                continue
            still = pyvips.Image.new_from_buffer(
                draw(bytes(alone.pngsave_buffer()), f"{tokens},f_webp,q_100"), ""
            )
            assert (page.width, page.height) == (still.width, still.height)
            assert (page.extract_band(0, n=3) - still.extract_band(0, n=3)).abs().max() <= 40


PALETTE = [
    (230, 30, 30),
    (30, 200, 30),
    (30, 30, 230),
    (230, 220, 30),
    (0, 0, 0),
    (255, 255, 255),
    (120,) * 3,
    (1, 2, 3),
]
CANVAS = 24, 18
Pixels = list[list[int | None]]


def coded(count: int, index: int) -> bytes:
    """`count` pixels of one of eight colours, with a clear code before each four."""
    codes = [code for position in range(count) for code in ([8] if position % 4 == 0 else []) + [index]] + [9]
    number = sum(code << 4 * at for at, code in enumerate(codes))
    data = number.to_bytes((len(codes) + 1) // 2, "little")
    blocks = (data[at : at + 255] for at in range(0, len(data), 255))
    return b"\3" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


class Frame:
    """A rectangle of one colour, its disposal, and its transparent colour."""

    def __init__(
        self,
        left: int,
        top: int,
        width: int,
        height: int,
        index: int,
        disposal: int,
        clear: int | None = None,
    ) -> None:
        self.box, self.index, self.disposal, self.clear = (left, top, width, height), index, disposal, clear

    def __repr__(self) -> str:
        return f"Frame{(*self.box, self.index, self.disposal, self.clear)}"

    @property
    def content(self) -> bytes:
        flags = self.disposal << 2 | (self.clear is not None)
        control = b"\x21\xf9\x04" + struct.pack("<BHBB", flags, 2, self.clear or 0, 0)
        return (
            control
            + b"\x2c"
            + struct.pack("<4HB", *self.box, 0)
            + coded(self.box[2] * self.box[3], self.index)
        )


def gif(*frames: Frame, background: int = 2) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", *CANVAS, 0xF2, background, 0)
    return head + b"".join(map(bytes, PALETTE)) + b"".join(frame.content for frame in frames) + b"\x3b"


def canvases(frames: list[Frame]) -> Iterator[Pixels]:
    """What browsers show after each frame; None is seen through."""
    canvas: Pixels = [[None] * CANVAS[0] for _ in range(CANVAS[1])]
    for frame in frames:
        before = [row.copy() for row in canvas]
        left, top, width, height = frame.box
        positions = [(x, y) for y in range(top, top + height) for x in range(left, left + width)]
        for x, y in positions:
            if frame.index != frame.clear:
                canvas[y][x] = frame.index
        yield [row.copy() for row in canvas]
        if frame.disposal == 2:
            for x, y in positions:
                canvas[y][x] = None
        elif frame.disposal in (3, 4):
            canvas = before


def seen(page: pyvips.Image) -> Pixels:
    """The nearest colours of the palette: WebP shifts them by a few."""
    page = page if page.hasalpha() else page.bandjoin(255)
    values = bytes(page.cast("uchar").write_to_memory())

    def at(start: int) -> int | None:
        near = [
            sum(abs(a - b) for a, b in zip(colour, values[start : start + 3], strict=True))
            for colour in PALETTE
        ]
        return near.index(min(near)) if values[start + 3] else None

    return [[at(4 * (page.width * y + x)) for x in range(page.width)] for y in range(page.height)]


@st.composite
def rectangles(draw_: st.DrawFn) -> Frame:
    left, top = draw_(st.integers(0, CANVAS[0] - 1)), draw_(st.integers(0, CANVAS[1] - 1))
    width, height = draw_(st.integers(1, CANVAS[0] - left)), draw_(st.integers(1, CANVAS[1] - top))
    box = draw_(st.sampled_from([(left, top, width, height), (0, 0, *CANVAS)]))
    index = draw_(st.sampled_from([0, 1, 3, 5]))
    return Frame(*box, index, draw_(st.integers(0, 5)), draw_(st.sampled_from([None, 7, index])))


def through(page: Pixels) -> list[list[bool]]:
    return [[pixel is None for pixel in row] for row in page]


def changes(pages: Iterable[object]) -> list[object]:
    """Without what is the same as before: encoders join such frames."""
    return [page for page, _ in groupby(pages)]


@settings(deadline=None, max_examples=60)
@given(st.lists(rectangles(), min_size=1, max_size=5))
def test_canvas_and_disposal_are_those_of_browsers(frames: list[Frame]) -> None:
    content = gif(*frames)
    expected = list(canvases(frames))
    first = pyvips.Image.new_from_buffer(draw(content, "f_png"), "")
    assert seen(first) == expected[0]
    if len(frames) > 1:
        drawn = [seen(page) for page in pages_of(draw(content, "f_gif"))]
        assert changes(drawn) == changes(expected)
        drawn = [seen(page) for page in pages_of(draw(content, "f_webp,q_100"))]
        assert changes(map(through, drawn)) == changes(map(through, expected))
    if any(None in row for page in expected for row in page):
        assert probe(content, LIMITS).alpha


def test_pixels_that_no_frame_covers_are_transparent() -> None:
    content = gif(Frame(10, 10, 10, 5, 0, 1))
    assert probe(content, LIMITS).alpha
    image = pyvips.Image.new_from_buffer(draw(content, "f_png"), "")
    assert [image(5, 5), image(15, 12)] == [[0, 0, 0, 0], [230, 30, 30, 255]]
    assert is_near(
        [round(band) for band in pyvips.Image.new_from_buffer(draw(content, "f_jpg"), "")(3, 3)], MARK, 6
    )
    assert not probe(gif(Frame(0, 0, *CANVAS, 0, 1)), LIMITS).alpha


@pytest.mark.parametrize("kind", ["webp", "gif"])
@pytest.mark.parametrize("number", [1, 2, 3, 4, 9])
def test_one_page_is_drawn_as_a_still(kind: str, number: int) -> None:
    for target in ("png", "gif", "webp"):
        drawn = draw(film(kind), f"pg_{number},w_20,f_{target}")
        assert probe(drawn, LIMITS).pages == 1
        page = pyvips.Image.new_from_buffer(drawn, "")
        assert page.width == 20
        centre = [round(band) for band in page(page.width // 2, page.height // 2)]
        assert is_near(centre, FRAMES[min(number, 4) - 1], 40)


def test_a_page_of_a_still_is_the_whole_picture() -> None:
    still = draw(film("gif"), "pg_2,f_png")
    assert draw(still, "pg_3,f_png") == draw(still, "f_png")


@pytest.mark.parametrize("kind", ["webp", "gif"])
def test_the_first_frames_are_drawn_with_their_delays(kind: str) -> None:
    for target in ("gif", "webp"):
        drawn = draw(film(kind), f"frames_2,f_{target}")
        assert len(pages_of(drawn)) == 2
        assert delays_and_loop(drawn) == (DELAYS[:2], 3)
        assert draw(film(kind), f"frames_9,f_{target}") == draw(film(kind), f"f_{target}")


@given(frames=st.lists(rectangles(), min_size=2, max_size=5), number=st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_a_page_is_the_composed_canvas(frames: list[Frame], number: int) -> None:
    expected = list(canvases(frames))
    still = pyvips.Image.new_from_buffer(draw(gif(*frames), f"pg_{number},f_png"), "")
    assert seen(still) == expected[min(number, len(frames)) - 1]


def test_only_the_frames_to_compose_count_against_the_limits() -> None:
    content = film("gif")
    limits = replace(LIMITS, max_frames=2)
    opened = CheckedOriginal.of(content, limits)
    for tokens in ("pg_2,f_png", "frames_2,f_gif", "f_png", "pg_1,f_gif"):
        render(opened, plan_for(tokens, content), limits)
    for tokens in ("pg_3,f_png", "frames_3,f_gif", "f_gif"):
        with pytest.raises(OriginalTooLarge, match="more than 2 frames"):
            render(opened, plan_for(tokens, content), limits)


def test_a_frame_may_exceed_the_canvas_or_lie_outside() -> None:
    for box in ((20, 10, 30, 30), (0, 0, 1, 1), (23, 17, 5, 5), (24, 18, 2, 2)):
        content = gif(Frame(0, 0, 10, 10, 1, 2), Frame(*box, 0, 2), Frame(2, 2, 3, 3, 3, 1))
        pages = pages_of(draw(content, "f_gif"))
        assert [(page.width, page.height) for page in pages] == [CANVAS] * 3


def test_every_damaged_gif_is_rendered_or_refused() -> None:
    content = gif(Frame(1, 1, 5, 5, 0, 2), Frame(2, 2, 3, 3, 3, 1))
    for at in range(len(content)):
        for value in (0xFF, content[at] ^ 1):
            damaged = content[:at] + bytes([value]) + content[at + 1 :]
            gif_blocks.read(damaged)
            try:
                CheckedOriginal.of(damaged, LIMITS)
                draw(damaged, "w_10,f_webp")
            except CalotypeError:
                continue
