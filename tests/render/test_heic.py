"""HEIC originals, by the decoder of the extra `heic`."""

from collections.abc import Callable

import pytest
import pyvips

from proxy.core.errors import CalotypeError, Undecodable, UnsupportedFormat
from proxy.core.image.formats import Format
from proxy.render import heic
from proxy.render.pool import Pool
from tests.render.conftest import LIMITS, draw, plan_for, probe
from tests.render.test_pool import render
from tests.support import pictures
from tests.support.heic import CUT_OUT, QUARTERS


def pixel(content: bytes, x: int, y: int) -> tuple[int, ...]:
    return tuple(round(value) for value in pyvips.Image.new_from_buffer(content, "")(x, y))


def distance(content: bytes, expected: bytes) -> float:
    """The mean difference of a channel."""
    one, other = (pyvips.Image.new_from_buffer(each, "") for each in (content, expected))
    return float((one - other).abs().avg())


def test_facts_are_those_of_its_boxes() -> None:
    facts = probe(QUARTERS, LIMITS)
    assert (facts.format, facts.width_px, facts.height_px, facts.pages, facts.alpha) == (
        Format.HEIC,
        64,
        48,
        1,
        False,
    )
    assert probe(CUT_OUT, LIMITS).alpha


@pytest.mark.parametrize("tokens", ["f_png", "w_32,f_png", "w_20,h_20,c_fill,g_east,f_png", "a_90,f_png"])
def test_it_is_drawn_as_its_source(tokens: str) -> None:
    source = draw(pictures.quarters_as("png"), "w_64,f_png")
    assert distance(draw(QUARTERS, tokens), draw(source, tokens)) < 6


def test_alpha_is_decoded() -> None:
    source = draw(pictures.cut_out_as("png"), "w_64,f_png")
    drawn = draw(CUT_OUT, "f_png")
    assert distance(drawn, source) < 6
    assert (pixel(drawn, 0, 0)[3], pixel(drawn, 32, 25)[3]) == (0, 255)


# The last bytes are an empty EXIF block; the picture data end at 684.
@pytest.mark.parametrize("length", [300, 530, 683])
def test_one_without_all_of_its_picture_data_is_refused(length: int) -> None:
    with pytest.raises(Undecodable):
        draw(QUARTERS[:length], "f_png")


def test_one_without_its_last_metadata_is_drawn() -> None:
    assert draw(QUARTERS[:684], "f_png") == draw(QUARTERS, "f_png")


@pytest.mark.parametrize("at", range(8, len(QUARTERS), 37))
def test_flipped_bytes_give_a_picture_or_an_error(at: int) -> None:
    damaged = bytearray(QUARTERS)
    damaged[at] ^= 0xFF
    try:
        draw(bytes(damaged), "w_20,f_png")
    except CalotypeError as failure:
        assert failure.slug in ("undecodable", "unsupported-format", "original-too-large")


async def test_it_is_decoded_in_the_sandbox(make_pool: Callable[..., Pool]) -> None:
    pool = make_pool()
    await pool.start()
    drawn = await render(pool, QUARTERS, plan_for("w_32,f_png", QUARTERS))
    assert distance(drawn, draw(QUARTERS, "w_32,f_png")) == 0


def test_without_the_extra_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heic, "_pi_heif", None)
    with pytest.raises(UnsupportedFormat, match="a format this node does not decode"):
        draw(QUARTERS, "f_png")
