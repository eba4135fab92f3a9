"""Texts on a font of squares, whose pixels are known; and in a worker of a pool, which may read fonts and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import pyvips

from proxy.core.errors import BadTransform
from proxy.core.transform.operations import Align, Colour, Text
from proxy.render.pool import Pool
from proxy.render.text_worker import TextWorker
from proxy.render.texts import TextDrawer
from tests.render.conftest import WORKER_LIMITS
from tests.support.fonts import font_folder, write_font
from tests.support.waiting import LONGEST_S, deadline

RED, BLUE, GREEN = Colour(255, 0, 0), Colour(0, 0, 255), Colour(0, 255, 0)
CLEAR = (0, 0, 0, 0)
SQUARE = Text(text="A", family="Squares", size_px=20, colour=RED)


@pytest.fixture(scope="module")
def drawer(tmp_path_factory: pytest.TempPathFactory) -> TextDrawer:
    """The only one of this process: fontconfig reads its folders once."""
    folder = tmp_path_factory.mktemp("fonts")
    write_font(folder)
    (folder / "deeper").mkdir()
    write_font(folder / "deeper", "Liberation Sans")
    (folder / "no.ttf").write_bytes(b"no font")
    return TextDrawer([str(folder), str(folder / "gone")])


def drawn(drawer: TextDrawer, text: Text) -> pyvips.Image:
    return pyvips.Image.new_from_buffer(drawer.draw(text), "")


def pixel(image: pyvips.Image, x: int, y: int) -> tuple[int, ...]:
    return tuple(round(value) for value in image(x, y))


@pytest.mark.parametrize(
    ("text", "size", "filled", "empty"),
    [
        (SQUARE, (20, 20), [(0, 0), (19, 19)], []),
        (replace(SQUARE, text="AB"), (45, 20), [(19, 5), (25, 5)], [(22, 5)]),
        (replace(SQUARE, text="A\nAB"), (45, 40), [(5, 5), (40, 25)], [(40, 5)]),
        (replace(SQUARE, text="A\nAB", align=Align.RIGHT), (45, 40), [(40, 5), (5, 25)], [(5, 5)]),
        (replace(SQUARE, text="A\nAB", align=Align.CENTER), (45, 40), [(22, 5)], [(2, 5), (42, 5)]),
        (replace(SQUARE, text="AB AB", width_px=60), (45, 40), [(5, 5), (5, 25)], []),
        (replace(SQUARE, text="ABABAB", width_px=60), (45, 60), [(5, 5), (5, 55)], []),
        (replace(SQUARE, text="AB", letter_px=10), (55, 20), [(35, 5)], [(30, 5)]),
        (replace(SQUARE, text="A\nA", line_px=8), (20, 48), [(5, 5), (5, 40)], [(5, 23)]),
        (replace(SQUARE, text="A", struck=True), (25, 20), [(5, 5)], []),
    ],
)
def test_lines_are_laid_out(
    drawer: TextDrawer,
    text: Text,
    size: tuple[int, int],
    filled: list[tuple[int, int]],
    empty: list[tuple[int, int]],
) -> None:
    image = drawn(drawer, text)
    assert (image.width, image.height) == size
    assert [pixel(image, *point) for point in filled] == [(255, 0, 0, 255)] * len(filled)
    assert [pixel(image, *point)[3] for point in empty] == [0] * len(empty)


def test_an_outline_surrounds_the_letters(drawer: TextDrawer) -> None:
    image = drawn(drawer, replace(SQUARE, stroke_px=4, stroke=BLUE))
    assert (image.width, image.height) == (28, 28)
    assert pixel(image, 14, 14) == (255, 0, 0, 255)
    assert pixel(image, 1, 14)[:3] == (0, 0, 255)
    assert pixel(image, 1, 14)[3] > 250
    assert pixel(image, 0, 0)[3] < 20, "its corners are round"


def test_a_background_fills_the_padding(drawer: TextDrawer) -> None:
    image = drawn(drawer, replace(SQUARE, background=BLUE, padding_px=3))
    assert (image.width, image.height) == (26, 26)
    assert (pixel(image, 0, 0), pixel(image, 3, 3)) == ((0, 0, 255, 255), (255, 0, 0, 255))


def test_a_colour_may_be_translucent(drawer: TextDrawer) -> None:
    assert pixel(drawn(drawer, replace(SQUARE, colour=Colour(0, 255, 0, 128))), 5, 5) == (0, 255, 0, 128)


def test_markup_is_shown(drawer: TextDrawer) -> None:
    """Each character takes its place, those of tags and of entities too."""
    widths = [drawn(drawer, replace(SQUARE, text=text)).width for text in ("A", "<b>A</b>", "A&amp;")]
    assert widths[0] < widths[2] < widths[1]


def test_hebrew_runs_from_right_to_left(drawer: TextDrawer) -> None:
    """The space before the last letter is on the right of it."""
    image = drawn(drawer, replace(SQUARE, text="אא ב"))
    assert (pixel(image, 5, 5)[3], pixel(image, 35, 5)[3], pixel(image, 55, 5)[3]) == (255, 0, 255)


@pytest.mark.parametrize("family", ["Squares", "SQUARES", "Liberation Sans", "Arial", "sans-serif"])
def test_a_family_is_found_by_any_spelling_and_by_its_widths(drawer: TextDrawer, family: str) -> None:
    assert drawn(drawer, replace(SQUARE, family=family)).width == 20


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ("Square", "the font Square is not installed on this node; is Squares meant?"),
        ("Nowhere", "the font Nowhere is not installed on this node; see render.fonts"),
        ("<b>", "the font of a text is not installed on this node; see render.fonts"),
    ],
)
def test_a_missing_font_is_named(drawer: TextDrawer, family: str, message: str) -> None:
    with pytest.raises(BadTransform) as failure:
        drawer.draw(replace(SQUARE, family=family))
    assert failure.value.detail == message


@pytest.mark.parametrize(
    "text",
    [
        replace(SQUARE, text="A" * 500, size_px=1000),
        replace(SQUARE, text="A\n" * 400, size_px=1000),
        replace(SQUARE, text="A" * 1000, size_px=1000, width_px=8000),
    ],
)
def test_a_text_that_is_too_large_is_not_drawn(drawer: TextDrawer, text: Text) -> None:
    with pytest.raises(BadTransform, match="make its font smaller, or wrap its lines"):
        drawer.draw(text)


def test_without_fonts_the_error_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(BadTransform, match=r"this node has none: see render\.fonts"):
        TextDrawer([str(tmp_path)]).draw(SQUARE)


async def test_a_worker_draws_from_its_folders_and_reads_no_other_file(
    make_pool: Callable[..., Pool],
) -> None:
    with font_folder("Squares") as folder:
        pool = make_pool(worker_limits=replace(WORKER_LIMITS, font_folders=(str(folder),)))
        worker = TextWorker(pool)
        for text in (SQUARE, replace(SQUARE, colour=GREEN)):
            picture = pyvips.Image.new_from_buffer(await worker.draw(text, deadline=deadline(LONGEST_S)), "")
            assert (picture.width, pixel(picture, 5, 5)[3]) == (20, 255)
        with pytest.raises(BadTransform, match="is Squares meant"):
            await worker.draw(replace(SQUARE, family="Squars"), deadline=deadline(LONGEST_S))
        [pid] = [each.process.pid for each in pool._alive]
        assert "Seccomp:\t2" in Path(f"/proc/{pid}/status").read_text()
        await worker.close()
