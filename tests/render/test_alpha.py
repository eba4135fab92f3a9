"""Hidden colours of transparent pixels never appear in a variant, neither by resizing nor by sharpening."""

import pytest
import pyvips

from tests.render.conftest import draw
from tests.support import pictures

COLOUR = (200, 40, 40)


def disc(hidden: tuple[int, int, int] = (0, 0, 0), bits: int = 8) -> bytes:
    """A disc of one colour, and another colour where nothing is seen."""
    inside = pyvips.Image.black(100, 100).draw_circle(255, 50, 50, 35, fill=True) > 0
    seen = pyvips.Image.black(100, 100, bands=4) + [*COLOUR, 255]
    image = inside.ifthenelse(seen, pyvips.Image.black(100, 100, bands=4) + [*hidden, 0]).cast("uchar")
    if bits == 16:
        return bytes(
            (image.cast("ushort") * 257)
            .cast("ushort")
            .copy(interpretation="rgb16")
            .pngsave_buffer(bitdepth=16)
        )
    return bytes(image.copy(interpretation="srgb").pngsave_buffer())


def furthest(content: bytes, least_alpha: int) -> float:
    """How far any pixel of that alpha or more is from the colour."""
    image = pyvips.Image.new_from_buffer(content, "")
    image = image if image.hasalpha() else image.bandjoin(255)
    far = (image.extract_band(0, n=3) - list(COLOUR)).abs()
    return float((image.extract_band(3) >= least_alpha).ifthenelse(far, 0).max())


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("hidden", [(0, 0, 0), (255, 255, 255), (0, 255, 0)])
@pytest.mark.parametrize(
    "tokens",
    [
        "w_50", "w_33", "w_20", "w_75", "w_99", "w_150,h_150,c_fill", "w_150,h_40,c_scale", "w_60,h_60,c_pad,b_transparent",
        "e_sharpen:0.5", "e_sharpen:2", "e_sharpen:10", "w_50,e_sharpen:1", "a_90,w_33,e_sharpen:2",
        "e_blur:3", "w_90,h_90,c_pad,b_transparent,e_sharpen:3", "w_40,h_90,c_fill,g_auto",
    ],
)  # fmt: skip
def test_colours_hidden_by_alpha_do_not_bleed_when_resizing(
    tokens: str, hidden: tuple[int, int, int], bits: int
) -> None:
    assert furthest(draw(disc(hidden, bits), f"{tokens},f_png"), 32) <= 2


@pytest.mark.parametrize("quality", [50, 80, 95])
@pytest.mark.parametrize("hidden", [(0, 0, 0), (0, 255, 0)])
@pytest.mark.parametrize("kind", ["webp", "avif"])
def test_colours_hidden_by_alpha_do_not_bleed_in_lossy_formats(
    kind: str, hidden: tuple[int, int, int], quality: int
) -> None:
    for tokens in ("", "w_50,", "e_sharpen:2,"):
        assert furthest(draw(disc(hidden), f"{tokens}q_{quality},f_{kind}"), 250) <= 8


@pytest.mark.parametrize("faint", [1, 2, 4])
def test_nearly_transparent_pixels_hardly_change_opaque_pixels(faint: int) -> None:
    """Green of an alpha of 1 to 4 around a disc, as soft brushes leave it."""
    image = pyvips.Image.new_from_buffer(disc((0, 255, 0)), "")
    image = image.extract_band(0, n=3).bandjoin((image.extract_band(3) > 0).ifthenelse(255, faint))
    content = bytes(image.cast("uchar").copy(interpretation="srgb").pngsave_buffer())
    for tokens in ("e_sharpen:2,f_png", "e_sharpen:10,f_png", "q_80,f_webp", "q_80,f_avif"):
        assert furthest(draw(content, tokens), 250) <= 24, tokens


def test_an_enlarged_crop_has_no_hidden_colours() -> None:
    """Cut at its original size, and enlarged then: by the same means."""
    strip = pyvips.Image.new_from_buffer(disc(), "").crop(48, 0, 4, 100)
    drawn = draw(bytes(strip.pngsave_buffer()), "w_400,h_400,c_fill,g_north,f_png")
    assert pictures.size(drawn) == (400, 400)
    assert furthest(drawn, 32) <= 2


def test_sharpening_preserves_flat_colour_under_any_alpha() -> None:
    """Alpha is left alone, and a flat picture has nothing to sharpen, whatever its alpha."""
    ramp = pyvips.Image.xyz(100, 20)[0] * 2.5
    image = (
        (pyvips.Image.black(100, 20, bands=3) + list(COLOUR))
        .bandjoin(ramp)
        .cast("uchar")
        .copy(interpretation="srgb")
    )
    drawn = draw(bytes(image.pngsave_buffer()), "e_sharpen:2,f_png")
    assert furthest(drawn, 1) <= 1
    assert (pyvips.Image.new_from_buffer(drawn, "")[3] - image[3]).abs().max() == 0


def test_pictures_of_a_few_pixels_preserve_their_colour() -> None:
    for side in (1, 2, 3, 5):
        image = (pyvips.Image.black(side, side, bands=3) + list(COLOUR)).bandjoin(255).cast("uchar")
        content = bytes(image.copy(interpretation="srgb").pngsave_buffer())
        for tokens in ("f_avif", "f_webp,w_1", "e_sharpen:1,f_png", "w_40,h_30,c_fill,f_png"):
            assert furthest(draw(content, tokens), 250) <= 8
