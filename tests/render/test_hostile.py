"""Hostile and damaged originals are refused with the matching error, and not rendered."""

import pytest
import pyvips

from proxy.core.errors import CalotypeError, OriginalTooLarge, Undecodable, UnsupportedFormat
from tests.render.conftest import LIMITS, draw, probe
from tests.support import bombs, pictures


@pytest.mark.parametrize("kind", pictures.SAVE)
@pytest.mark.parametrize("share", bombs.SHARES)
def test_a_truncated_original_is_refused(kind: str, share: float) -> None:
    for tokens in ("w_100,f_jpg", "w_100,h_20,c_fill,g_north,f_png"):
        with pytest.raises((Undecodable, UnsupportedFormat)):
            draw(bombs.cut(kind, share), tokens)


@pytest.mark.parametrize("kind", ["gif", "webp"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_animation_is_refused(kind: str, share: float) -> None:
    content = pictures.film_as(kind)
    with pytest.raises(Undecodable):
        draw(content[: int(len(content) * share)], "w_30,f_gif")


def test_damage_in_the_middle_of_a_png_is_refused() -> None:
    """Of a PNG, whose chunks carry checksums; libjpeg draws a damaged scan as well as it can."""
    content = bytearray(pictures.photo_as("png"))
    middle = len(content) // 2
    content[middle : middle + 400] = b"\xff\xd8\xff\xda" * 100
    with pytest.raises(Undecodable):
        draw(bytes(content), "w_600,f_jpg")


@pytest.mark.parametrize("content", bombs.NO_PICTURES)
def test_a_file_of_another_format_is_unsupported(content: bytes) -> None:
    with pytest.raises(UnsupportedFormat):
        draw(content, "w_10,f_jpg")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (pictures.png_of(10_001, 1), "a side"),
        (pictures.png_of(1, 2_000_000), "a side"),
        (pictures.png_of(10_000, 10_000 + 0), None),
        (pictures.png_of(2**31 - 1, 2**31 - 1), None),
        (pictures.png_of(50_000, 50_000, interlaced=True), "a side"),
    ],
)
def test_headers_beyond_the_limits_are_refused_before_decoding(content: bytes, says: str | None) -> None:
    with pytest.raises(CalotypeError, match=says) as caught:
        draw(content, "w_10,f_jpg")
    assert isinstance(caught.value, OriginalTooLarge | Undecodable)


def test_pixels_beyond_the_limit_are_refused() -> None:
    tight = type(LIMITS)(
        max_bytes=1, max_side_px=1000, max_pixels=10_000, max_pixels_heif=5_000, max_frames=4
    )
    with pytest.raises(OriginalTooLarge, match="10000 pixels"):
        probe(pictures.quarters_as("png", 200, 100), tight)
    with pytest.raises(OriginalTooLarge, match="5000 pixels"):
        probe(pictures.quarters_as("avif", 100, 60), tight)


@pytest.mark.parametrize(("frames", "target"), [(129, "gif"), (129, "webp"), (20_000, "gif")])
def test_too_many_frames_are_refused_only_for_animated_output(frames: int, target: str) -> None:
    bomb = pictures.gif_of(2, 2, frames)
    with pytest.raises(OriginalTooLarge, match="more than 128 frames"):
        draw(bomb, f"w_2,f_{target}")
    assert pictures.size(draw(bomb, "w_2,f_png")) == (2, 2)
    assert probe(bomb, LIMITS).pages == frames


def test_the_pixel_limit_covers_all_frames() -> None:
    with pytest.raises(OriginalTooLarge, match="pixels"):
        draw(pictures.gif_of(2000, 2000, 100), "w_20,f_gif")


def test_a_gif_without_frames_is_refused() -> None:
    with pytest.raises(Undecodable, match="no frame"):
        draw(pictures.gif_of(2, 2, 0), "w_2,f_gif")


@pytest.mark.parametrize("name", bombs.COMPRESSED_CHUNKS)
def test_metadata_bombs_are_rendered_without_their_metadata(name: bytes) -> None:
    assert pictures.size(draw(bombs.metadata_bomb(name), "w_20,f_png")) == (20, 15)


def test_the_script_of_a_polyglot_is_removed() -> None:
    drawn = draw(bombs.polyglot(), "w_100,f_jpg")
    assert b"<script" not in drawn
    assert b"PK\x03\x04" not in drawn


def test_the_format_is_detected_from_the_content() -> None:
    assert probe(pictures.quarters_as("png"), LIMITS).format == "png"


def test_an_invalid_profile_is_ignored() -> None:
    broken = bombs.with_profile(b"this is no profile" * 10)
    assert pictures.is_near(pictures.pixel(draw(broken, "w_100,f_png"), 5, 5), pictures.RED)


def test_a_profile_that_cannot_be_applied_is_ignored() -> None:
    content = pictures.with_broken_profile()
    with pytest.raises(pyvips.Error, match=r"(?i)profile"):
        pyvips.Image.new_from_buffer(content, "").thumbnail_image(60, output_profile="srgb").avg()
    for tokens in ("w_60,f_png", "w_60,h_60,c_fill,g_auto,f_png", "f_png"):
        plain = draw(pictures.with_exif(), tokens)
        drawn = draw(content, tokens)
        assert pictures.size(drawn) == pictures.size(plain)
        assert pictures.is_near(pictures.pixel(drawn, 10, 10), tuple(pictures.pixel(plain, 10, 10)))
    assert pictures.size(draw(pictures.with_broken_profile(orientation=6), "w_60,f_png")) == (60, 80)


@pytest.mark.parametrize(("scans", "is_refused"), [(10, False), (100, False), (101, True), (900, True)])
def test_too_many_scans_are_refused(scans: int, is_refused: bool) -> None:
    content = pictures.photo_as("jpeg")
    more = content[:-2] + b"\xff\xda\x00\x02" * (scans - 1) + content[-2:]
    if is_refused:
        with pytest.raises(OriginalTooLarge, match="scans"):
            probe(more, LIMITS)
    else:
        assert probe(more, LIMITS).width_px == 640
