"""An original without all its picture data is refused; one that lacks only its end marker is rendered."""

import functools
import io
import zlib

import pytest

from proxy.core.errors import CalotypeError, Undecodable
from proxy.core.image.formats import Format
from tests.render.conftest import draw
from tests.support import pictures
from tests.support.bombs import jpeg_segment
from tests.support.png import header, png_chunk, png_file

SIDES = 48, 40


def _jpeg(**options: object) -> bytes:
    return bytes(pictures.photo(*SIDES).jpegsave_buffer(keep="none", **options))


def _flat(**options: object) -> bytes:
    return bytes(((pictures.photo(*SIDES) * 0) + 255).cast("uchar").jpegsave_buffer(keep="none", **options))


@functools.cache
def _originals() -> dict[str, bytes]:
    photo = pictures.photo(*SIDES)
    grey = photo.extract_band(0).copy(interpretation="b-w")
    return {
        "jpeg": _jpeg(Q=80),
        "jpeg fine": _jpeg(Q=100, subsample_mode="off"),
        "jpeg restarts": _jpeg(restart_interval=2),
        "jpeg grey": bytes(grey.jpegsave_buffer(keep="none")),
        "jpeg flat": _flat(),
        "jpeg progressive": _jpeg(interlace=True),
        "jpeg progressive flat": _flat(interlace=True),
        "jpeg progressive fine": _jpeg(interlace=True, Q=100, subsample_mode="off"),
        "png": bytes(photo.pngsave_buffer(keep="none")),
        "png interlaced": bytes(photo.pngsave_buffer(keep="none", interlace=True)),
        "png text behind": bytes(photo.pngsave_buffer(keep="none"))[:-12]
        + png_chunk(b"tEXt", b"k\0v")
        + png_chunk(b"IEND", b""),
        "webp": bytes(photo.webpsave_buffer(keep="none")),
        "webp lossless": bytes(photo.webpsave_buffer(keep="none", lossless=True)),
        "webp alpha": bytes(photo.bandjoin(100).webpsave_buffer(keep="none")),
        "avif": pictures.encoded(photo, "avif"),
        "gif": pictures.encoded(photo, "gif"),
    }


MOST_MENDED = {
    "jpeg": 2, "png": 24, "png text behind": 24 + 15, "avif": 250, "gif": 2,
}  # fmt: skip
"""How many bytes at most can be lacking while the picture is there."""


@pytest.mark.parametrize("name", list(_originals()))
def test_a_truncated_original_is_refused_or_decodes_equally(name: str) -> None:
    content = _originals()[name]
    whole = draw(content, "f_png")
    accepted = []
    for lost in [*range(1, min(len(content) - 64, 400)), *range(400, len(content) - 64, 37)]:
        try:
            drawn = draw(content[:-lost], "f_png")
        except Undecodable:
            continue
        assert drawn == whole, f"{lost} bytes are lacking"
        accepted.append(lost)
    assert max(accepted, default=0) <= MOST_MENDED.get(name, MOST_MENDED.get(name.split()[0], 0))
    if not name.startswith("webp"):
        assert 1 in accepted, "the end mark alone is no picture data"


@pytest.mark.parametrize(
    "tail", [b"\n", b"<!-- appended by a proxy -->", bytes(3), bytes(200), b"PK\3\4", b"\xff\xd8\xff"]
)
@pytest.mark.parametrize("name", list(_originals()))
def test_bytes_after_a_picture_are_ignored(name: str, tail: bytes) -> None:
    content = _originals()[name]
    assert draw(content + tail, "w_20,f_png") == draw(content, "w_20,f_png")


@pytest.mark.parametrize("filling", [bytes(8), bytes(5000)])
@pytest.mark.parametrize("name", list(_originals()))
def test_a_truncated_original_with_padding_is_refused_or_decodes_equally(name: str, filling: bytes) -> None:
    """As by a download that was given its length before its bytes. What decodes to the same lacks nothing."""
    content = _originals()[name]
    whole = draw(content, "f_png")
    for lost in [*range(1, 40), *range(40, len(content) - 100, 53)]:
        try:
            drawn = draw(content[:-lost] + filling, "f_png")
        except Undecodable:
            continue
        assert drawn == whole or name.startswith("webp"), f"{lost} bytes are lacking"


def test_a_newline_after_a_gif_without_trailer_is_ignored() -> None:
    content = _originals()["gif"]
    assert draw(content[:-1] + b"\n", "f_png") == draw(content, "f_png")


def test_a_second_picture_does_not_complete_a_truncated_first() -> None:
    """A cut JPEG with a whole one behind it: that end mark is not the first one's."""
    content = _jpeg()
    with pytest.raises(Undecodable):
        draw(content[:-40] + content, "f_png")


def test_all_declared_scans_are_required() -> None:
    """Cut exactly behind a scan: each is whole, and some are lacking."""
    content = _jpeg(interlace=True)
    starts = [at for at in range(len(content)) if content[at : at + 2] in (b"\xff\xda", b"\xff\xc4")]
    for at in starts[2:]:
        with pytest.raises(Undecodable):
            draw(content[:at], "f_png")


def test_a_jpeg_truncated_in_a_final_comment_is_complete() -> None:
    content = _jpeg()
    commented = content[:-2] + jpeg_segment(0xFE, b"a comment of some length") + content[-2:]
    assert draw(commented[:-12], "f_png") == draw(content, "f_png")


def test_limits_are_checked_before_completeness() -> None:
    """The proof decodes all of it: limits come first."""
    content = png_file(header(50_000, 50_000), (b"IDAT", zlib.compress(bytes(100))))
    with pytest.raises(CalotypeError, match="pixels|large|side"):
        draw(content, "f_png")


def test_a_gif_animation_is_complete_after_any_frame() -> None:
    content = pictures.film_as("gif")
    assert draw(content[:-1], "w_30,f_webp") == draw(content, "w_30,f_webp")
    assert draw(content[:-2], "w_30,f_webp") == draw(content, "w_30,f_webp")
    with pytest.raises(Undecodable):
        draw(content[:-3], "w_30,f_webp")


@pytest.mark.parametrize("interval", [1, 2, 3, 5, 6, 30])
@pytest.mark.parametrize("bands", [1, 3])
def test_a_jpeg_without_a_restart_marker_is_refused(bands: int, interval: int) -> None:
    """The decoder waits for the marker, whatever stands behind the end."""
    photo = pictures.photo(*SIDES)
    image = photo if bands == 3 else photo.extract_band(0).copy(interpretation="b-w")
    content = bytes(image.jpegsave_buffer(restart_interval=interval, subsample_mode="off", keep="none"))
    whole = draw(content, "f_png")
    assert draw(content[:-2], "f_png") == whole
    restarts = [at for at in range(len(content)) if content[at] == 0xFF and 0xD0 <= content[at + 1] <= 0xD7]
    for at in restarts:
        for end in (at, at + 1, at + 2):
            with pytest.raises(Undecodable):
                draw(content[:end], "f_png")


@pytest.mark.parametrize("keep", [1, 5, 14, 100, 0.5, 0.99])
def test_an_avif_with_a_truncated_stream_is_refused(keep: float) -> None:
    """The boxes are all right; what the item's extent says is but a part of its AV1 stream."""
    content = pictures.photo_as("avif")
    at = content.index(b"iloc") + 26
    size = int.from_bytes(content[at : at + 4], "big")
    length = int(keep if keep >= 1 else keep * size)
    for cut in (
        content[:at] + length.to_bytes(4, "big") + content[at + 4 :],
        _with_mdat_of(content[: content.index(b"mdat") + 4 + length]),
    ):
        for tokens in ("w_100,f_png", "w_20,h_20,c_fill,f_jpg"):
            with pytest.raises(Undecodable):
                draw(cut, tokens)


def _with_mdat_of(cut: bytes) -> bytes:
    """The last box ends where the file does."""
    at = cut.index(b"mdat") - 4
    stream = io.BytesIO(cut)
    stream.seek(at)
    stream.write((len(cut) - at).to_bytes(4, "big"))
    return stream.getvalue()


def test_the_originals_of_these_tests_cover_every_input_format() -> None:
    assert {name.split()[0] for name in _originals()} == {kind.value for kind in Format} - {"heic", "json"}
