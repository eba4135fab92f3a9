"""The filters on pixels, by their formulas, on ramps and pictures with alpha."""

import pytest
import pyvips

from tests.render.conftest import draw
from tests.support import pictures
from tests.support.pictures import is_near, pixel, size

GREY = pyvips.Image.identity(bands=3).copy(interpretation="srgb").pngsave_buffer()
"""256 greys in a row."""
COLOUR = (pyvips.Image.black(8, 8, bands=3) + [200, 100, 50]).cast("uchar").copy(interpretation="srgb")
ORANGE = COLOUR.pngsave_buffer()


@pytest.mark.parametrize(
    ("effect", "result"),
    [
        ("negate", (55, 155, 205)),
        ("rgb:10:-20:100", (225, 49, 255)),
        ("rgb:-100:0:1", (0, 100, 52)),
        ("colorize:50:0:100:001080", (100, 100, 128)),
        ("gamma:2", (226, 160, 113)),
        ("gamma:0.5", (157, 39, 10)),
        ("threshold:100", (255, 255, 255)),
        ("threshold:200", (0, 0, 0)),
        ("median:3", (200, 100, 50)),
        ("convolve:3:9:1:1:1:1:1:1:1:1:1", (200, 100, 50)),
        ("convolve:1:1:0.5", (100, 50, 25)),
        ("convolve:1:-1:1", (0, 0, 0)),
        ("hue:180", (0, 148, 206)),
        ("equalize", (255, 255, 0)),
        ("exposure:1", (255, 138, 71)),
        ("exposure:-1", (147, 71, 33)),
        ("duotone:000080:ffffff", (129, 129, 192)),
        ("vibrance:100", (234, 93, 22)),
        ("vibrance:-100", (166, 107, 78)),
        ("vignette:1", (200, 100, 50)),
        ("unsharp:1:500:0", (200, 100, 50)),
        ("normalize", (200, 100, 50)),
    ],
)
def test_the_result_of_a_filter_on_one_colour(effect: str, result: tuple[int, int, int]) -> None:
    assert is_near(pixel(draw(ORANGE, f"e_{effect},f_png"), 4, 4), result, 1)


@pytest.mark.parametrize("level", [0, 40, 128, 255])
def test_a_tint_has_the_lightness_of_the_picture(level: int) -> None:
    drawn = pixel(draw(GREY, "e_tint:ff0000,f_png"), level, 0)
    if level in (0, 255):
        assert is_near(drawn, (level,) * 3, 1)
    else:
        assert drawn[0] > drawn[1] + 20


def test_the_values_of_an_equalized_picture_are_spread() -> None:
    dark = (pyvips.Image.xyz(64, 4)[0] * 0.5 + 20).cast("uchar")
    drawn = draw(dark.bandjoin([dark, dark]).copy(interpretation="srgb").pngsave_buffer(), "e_equalize,f_png")
    assert [pixel(drawn, x, 0)[0] for x in (0, 32, 63)] == [0, 131, 255]


def test_a_normalized_picture_has_the_whole_range() -> None:
    dim = (pyvips.Image.identity(bands=3) * 0.4 + 50).cast("uchar").copy(interpretation="srgb")
    drawn = draw(dim.pngsave_buffer(), "e_normalize,f_png")
    assert pixel(drawn, 0, 0)[0] <= 4
    assert pixel(drawn, 255, 0)[0] >= 251


def test_noise_is_the_same_each_time_and_within_its_levels() -> None:
    grey = (
        (pyvips.Image.black(600, 600, bands=3) + 100)
        .cast("uchar")
        .copy(interpretation="srgb")
        .pngsave_buffer()
    )
    first, second = (draw(grey, "e_noise:20,f_png") for _ in range(2))
    assert first == second
    noisy = pyvips.Image.new_from_buffer(first, "")
    assert (noisy.min(), noisy.max()) == (90, 109)
    assert abs(noisy.avg() - 99.5) < 0.2
    assert (noisy[0] - noisy[2]).abs().max() == 0, "all channels move alike"
    assert noisy.deviate() > 5


SMALL = (
    "median:15",
    "convolve:3:9:1:1:1:1:1:1:1:1:1",
    "equalize",
    "normalize",
    "noise:9",
    "negate_alpha",
    "tint:f80",
)


@pytest.mark.parametrize("side", [1, 2])
@pytest.mark.parametrize("effect", [*SMALL, "blur:5", "sharpen", "pixelate:9"])
def test_the_smallest_pictures_have_every_effect(side: int, effect: str) -> None:
    for bands in (3, 4):
        image = (pyvips.Image.black(side, 1, bands=bands) + 200).cast("uchar").copy(interpretation="srgb")
        assert size(draw(image.pngsave_buffer(), f"e_{effect},f_png")) == (side, 1)


def test_a_convolution_goes_beyond_neither_end() -> None:
    edges = pyvips.Image.new_from_buffer(
        draw(pictures.photo_as("png"), "e_convolve:3:1:-9:-9:-9:-9:72:-9:-9:-9:-9"), ""
    )
    assert (edges.min(), edges.max()) == (0, 255)


@pytest.mark.parametrize(
    "effect", ["negate", "equalize", "normalize", "noise:9", "median:3", "convolve:1:1:0.5", "hue:9"]
)
def test_a_filter_leaves_alpha_as_it_is(effect: str) -> None:
    original = pictures.cut_out_as("png")
    alphas = [
        pyvips.Image.new_from_buffer(each, "")[3] for each in (original, draw(original, f"e_{effect},f_png"))
    ]
    assert (alphas[0] - alphas[1]).abs().max() == 0


def test_an_inversion_changes_alpha_too() -> None:
    original = pictures.cut_out_as("png")
    assert pixel(original, 0, 0)[3] == 0
    assert pixel(draw(original, "e_negate_alpha,f_png"), 0, 0)[3] == 255


def test_a_threshold_leaves_no_half_transparent_pixel() -> None:
    drawn = pyvips.Image.new_from_buffer(draw(pictures.cut_out_as("png"), "e_threshold:100,f_png"), "")
    assert drawn.bands == 4
    assert drawn.hist_find().hist_cum()(254, 0) == drawn.hist_find().hist_cum()(0, 0), "0 and 255 alone"


def test_all_pages_are_equalized_by_the_first() -> None:
    pages = [
        (pyvips.Image.identity(bands=3) * part).cast("uchar").copy(interpretation="srgb") for part in (1, 0.5)
    ]
    strip = pyvips.Image.arrayjoin(pages, across=1).copy()
    strip.set_type(pyvips.GValue.gint_type, "page-height", 1)
    drawn = draw(strip.webpsave_buffer(lossless=True), "e_equalize,f_webp")
    assert pixel(drawn, 255, 0, page=1)[0] < 160
