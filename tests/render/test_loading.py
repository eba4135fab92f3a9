"""Reductions: one that an earlier job left gives the same bytes as a decode, and every one the same picture."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
import pyvips

from proxy.core.errors import Undecodable
from proxy.core.image.size import Box, Size
from proxy.render import loading
from proxy.render.checked_original import CheckedOriginal, Reduction, StaleReduction
from proxy.render.loading import LoadInput, loaded
from proxy.render.pipeline import render
from tests.render.conftest import LIMITS, draw, plan_for
from tests.render.test_worker import turned
from tests.support import pictures


def profiled() -> bytes:
    photo = pictures.photo(703, 551).icc_export(output_profile="p3")
    return bytes(photo.jpegsave_buffer(Q=90))


REDUCED: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: pictures.photo_as("jpeg", 803, 601),
    "turned": lambda: turned(1001, 667),
    "grey": lambda: pictures.encoded(pictures.photo(803, 600).colourspace("b-w"), "jpeg"),
    "cmyk": lambda: pictures.encoded(pictures.photo(500, 403).colourspace("cmyk"), "jpeg"),
    "profile": profiled,
    "png": lambda: pictures.photo_as("png", 801, 1203),
    "webp": lambda: pictures.photo_as("webp", 641, 483),
    "avif": lambda: pictures.photo_as("avif", 641, 483),
}
NOT_REDUCED: dict[str, Callable[[], bytes]] = {
    "alpha": lambda: pictures.cut_out_as("png"),
    "deep": lambda: pictures.encoded(pictures.photo(300, 200).colourspace("rgb16"), "png"),
    "film": lambda: pictures.film_as("gif"),
}
TOKENS = (
    *("w_50,f_png", "w_90,f_webp", "w_61,h_70,c_fill,f_png", "w_90,h_20,c_scale,f_jpg"),
    *("c_crop,w_400,h_300,x_17,y_31~w_60,f_png", "w_50,a_90,f_png", "w_70,orient_stored,f_png"),
)


def no_file() -> bytes:
    raise AssertionError("the file is read")


def left_by(content: bytes, tokens: str) -> tuple[Reduction, Callable[[], bytes]]:
    """The reduction that a render leaves, as another worker receives it."""
    opened = CheckedOriginal.of(content, LIMITS)
    render(opened, plan_for(tokens, content), LIMITS)
    made = opened.new_reduction()
    assert made is not None
    reduction, buffer = made
    pixels = bytes(buffer)
    assert len(pixels) == reduction.size_bytes
    return msgspec.json.decode(msgspec.json.encode(reduction), type=Reduction), lambda: pixels


@pytest.mark.parametrize("kind", REDUCED)
def test_a_reduction_of_an_earlier_job_gives_the_same_bytes(kind: str) -> None:
    content = REDUCED[kind]()
    left = [left_by(content, "w_60,f_png"), left_by(content, "w_120,f_png")]
    assert [reduction.factor for reduction, _ in left] == [4, 2]
    for tokens in TOKENS:
        opened = CheckedOriginal(no_file, len(content), LIMITS, left)
        assert render(opened, plan_for(tokens, content), LIMITS) == draw(content, tokens), tokens
        assert opened.new_reduction() is None


@pytest.mark.parametrize("kind", NOT_REDUCED)
def test_an_original_that_cannot_be_reduced_leaves_nothing(kind: str) -> None:
    content = NOT_REDUCED[kind]()
    opened = CheckedOriginal.of(content, LIMITS)
    render(opened, plan_for("w_20,f_png", content), LIMITS)
    assert opened.new_reduction() is None


def test_a_size_that_needs_more_is_decoded_from_the_file() -> None:
    content = REDUCED["jpeg"]()
    opened = CheckedOriginal(lambda: content, len(content), LIMITS, [left_by(content, "w_100,f_png")])
    for tokens in ("w_700,f_png", "w_300,f_png", "w_80,f_png"):
        assert render(opened, plan_for(tokens, content), LIMITS) == draw(content, tokens)


def test_pixels_that_are_missing_are_decoded_from_the_file() -> None:
    content = REDUCED["jpeg"]()
    reduction, _ = left_by(content, "w_100,f_png")
    opened = CheckedOriginal(lambda: content, len(content), LIMITS, [(reduction, lambda: b"short")])
    assert render(opened, plan_for("w_80,f_png", content), LIMITS) == draw(content, "w_80,f_png")
    gone = CheckedOriginal(lambda: content[:900], len(content), LIMITS, [(reduction, lambda: b"short")])
    with pytest.raises(Undecodable):
        render(gone, plan_for("w_80,f_png", content), LIMITS)


def test_reductions_leave_twice_the_size_to_the_resampling_filter() -> None:
    content = pictures.photo_as("jpeg", 800, 600)
    opened = CheckedOriginal.of(content, LIMITS)
    original = LoadInput(opened, opened.facts.format, Size(800, 600), range(1), opened.colours)
    sizes = {
        width: loading._factor(original, Box(0, 0, 800, 600), Size(width, width * 3 // 4))
        for width in (50, 100, 104, 200, 204, 800)
    }
    assert sizes == {50: 4, 100: 4, 104: 2, 200: 2, 204: 1, 800: 1}


@pytest.mark.parametrize("suffix", [".jpg[Q=100,subsample_mode=off]", ".png", ".webp[lossless]"])
@pytest.mark.parametrize("side", [(1001, 803), (1002, 806), (1003, 809), (1000, 800)])
def test_a_reduction_covers_the_whole_picture(suffix: str, side: tuple[int, int]) -> None:
    """Red tells x and green tells y, so the corners show by how much the picture is shifted."""
    xy = pyvips.Image.xyz(*side)
    ramp = (xy[0] * 255 / (side[0] - 1)).bandjoin([xy[1] * 255 / (side[1] - 1), xy[0] * 0])
    content = ramp.cast("uchar").copy(interpretation="srgb").write_to_buffer(suffix)
    opened = CheckedOriginal.of(content, LIMITS)
    original = LoadInput(opened, opened.facts.format, Size(*side), range(1), opened.colours)
    size = Size(100, 80)
    [image] = loaded(original, Box(0, 0, *side), size)
    whole = pyvips.Image.new_from_buffer(content, "").thumbnail_image(100, height=80, size="force")
    assert (image.width, image.height) == size
    assert (image - whole).abs().crop(2, 2, 96, 76).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("side", [(1201, 805), (1203, 803), (1207, 809)])
def test_a_reduction_of_a_turned_picture_is_not_shifted(orientation: int, side: tuple[int, int]) -> None:
    """The column or row that the decoder cuts off is at the beginning of a mirrored side."""
    xy = pyvips.Image.xyz(*side)
    ramp = (xy[0] * 255 / (side[0] - 1)).bandjoin([xy[1] * 255 / (side[1] - 1), xy[0] * 0])
    lying = ramp.cast("uchar").copy(interpretation="srgb")
    lying.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    content = bytes(lying.jpegsave_buffer(Q=100, subsample_mode="off"))
    opened = CheckedOriginal.of(content, LIMITS)
    whole = Size(opened.facts.width_px, opened.facts.height_px)
    original = LoadInput(opened, opened.facts.format, whole, range(1), opened.colours)
    size = Size(40, 30)
    assert loading._factor(original, Box(0, 0, *whole), size) == 4
    [image] = loaded(original, Box(0, 0, *whole), size)
    upright = pyvips.Image.new_from_buffer(content, "").autorot()
    expected = upright.thumbnail_image(size.width, height=size.height, size="force")
    apart = (image - expected)[:2].crop(1, 1, 38, 28)
    assert abs(apart.avg()) < 0.9, "a quarter of a pixel is 1.6"
    assert apart.abs().max() <= 3


def test_a_file_that_was_replaced_is_not_taken_for_its_reductions() -> None:
    old, new = pictures.photo_as("jpeg", 1600, 1200), pictures.photo_as("jpeg", 1200, 1600)
    left = [left_by(old, "w_200,f_png")]
    opened = CheckedOriginal(lambda: new, len(new), LIMITS, left)
    with pytest.raises(StaleReduction):
        render(opened, plan_for("w_900,f_png", new), LIMITS)
    later = CheckedOriginal(no_file, len(new), LIMITS, left)
    later.reopen(lambda: new, ())
    with pytest.raises(StaleReduction):
        render(later, plan_for("w_900,f_png", new), LIMITS)


def test_reductions_of_an_earlier_job_are_forgotten() -> None:
    """Their files are closed."""
    content = REDUCED["jpeg"]()
    opened = CheckedOriginal(
        lambda: content,
        len(content),
        LIMITS,
        [left_by(content, "w_60,f_png"), left_by(content, "w_120,f_png")],
    )
    render(opened, plan_for("w_60,f_png", content), LIMITS)
    opened.reopen(lambda: content, ())
    assert render(opened, plan_for("w_120,f_png", content), LIMITS) == draw(content, "w_120,f_png")


@pytest.mark.parametrize(
    "changes",
    [
        {"factor": 0},
        {"width": 2**40},
        {"bands": 0},
        {"bands": 9},
        {"height": -1},
        {"orientation": 9},
        {"width_px": 0},
    ],
)
def test_a_reduction_that_cannot_be_one_is_not_used(changes: dict[str, int]) -> None:
    reduction, read = left_by(REDUCED["jpeg"](), "w_60,f_png")
    size_bytes = len(read())
    assert reduction.is_plausible(size_bytes)
    assert not reduction.is_plausible(size_bytes - 1)
    header = reduction.header
    if "orientation" in changes:
        header = header._replace(**changes)
    elif "width_px" in changes:
        header = header._replace(facts=replace(header.facts, **changes))
    else:
        reduction = reduction._replace(**changes)
    assert not reduction._replace(header=header).is_plausible(size_bytes)
