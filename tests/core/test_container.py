"""A file that was cut is known as such, wherever it was cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.container import gif_frames, is_whole
from proxy.core.formats import Format
from tests import pictures

KINDS = ["jpeg", "png", "webp", "avif", "gif"]
SHARES = [0.01, 0.25, 0.5, 0.75, 0.99]


@pytest.mark.parametrize("kind", KINDS)
def test_whole_pictures_are_whole(kind: str) -> None:
    assert is_whole(Format(kind), pictures.photo_as(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_after_the_end_are_allowed_where_decoders_allow_them(kind: str) -> None:
    trailing = pictures.photo_as(kind) + b"PK\x03\x04 trailing"
    assert is_whole(Format(kind), trailing) is (kind != "avif")


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_picture_is_not_whole(kind: str, share: float) -> None:
    content = pictures.photo_as(kind)
    assert not is_whole(Format(kind), content[: int(len(content) * share)])


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_a_cut_animation_is_not_whole(kind: str) -> None:
    content = pictures.film_as(kind)
    assert not is_whole(Format(kind), content[:-1])


@given(st.sampled_from(KINDS), st.integers(min_value=1))
def test_no_cut_is_missed(kind: str, lost: int) -> None:
    content = pictures.photo_as(kind, 64, 48)
    assert not is_whole(Format(kind), content[: -(1 + lost % (len(content) - 1))])


@given(st.sampled_from([kind for kind in Format if kind is not Format.INFO]), st.binary(max_size=200))
def test_no_bytes_raise(kind: Format, content: bytes) -> None:
    assert is_whole(kind, content) in (True, False)


@given(st.sampled_from(KINDS), st.data())
def test_no_damage_raises(kind: str, data: st.DataObject) -> None:
    content = bytearray(pictures.photo_as(kind, 64, 48))
    for _ in range(4):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    assert is_whole(Format(kind), bytes(content)) in (True, False)


def test_an_exif_preview_does_not_pass_for_the_end() -> None:
    """A JPEG with a whole JPEG in its APP1 segment, cut in its own scan."""
    preview = pictures.photo_as("jpeg", 32, 24)
    picture = pictures.photo_as("jpeg", 64, 48)
    segment = b"\xff\xe1" + (len(preview) + 2).to_bytes(2, "big") + preview
    combined = picture[:2] + segment + picture[2:]
    assert is_whole(Format.JPEG, combined)
    assert not is_whole(Format.JPEG, combined[:-20])


@pytest.mark.parametrize(
    ("content", "whole"),
    [
        (b"\xff\xd8\xff\xd9\0\0", True),
        (b"\xff\xd8\xff\xff\xff\xd9\0\0", True),
        (b"\xff\xd8\xff\x01\xff\xd9\0\0", True),
        (b"\xff\xd8\xff\xe0\0\0\xff\xd9\0\0", True),
        (b"\xff\xd8\0\0junk\xff\xd9", True),
        (b"\xff\xd8\0\0junk", False),
        (b"\xff\xd8\xff\xe0\xff\xff", False),
    ],
)
def test_jpeg_markers(content: bytes, whole: bool) -> None:
    assert is_whole(Format.JPEG, content) is whole


def test_heif_boxes() -> None:
    box = b"\0\0\0\x10ftypavif\0\0\0\0"
    large = b"\0\0\0\x01mdat" + (24).to_bytes(8, "big") + b"01234567"
    assert is_whole(Format.AVIF, box + large)
    assert not is_whole(Format.AVIF, (box + large)[:-1])
    assert is_whole(Format.AVIF, box + b"\0\0\0\0mdat to the end")
    assert not is_whole(Format.AVIF, box + b"\0\0\0\x04mdat")
    assert not is_whole(Format.AVIF, box + b"\0\0")
    assert not is_whole(Format.AVIF, box)
    assert is_whole(Format.AVIF, box + b"\0\0\0\x12meta\0\0idat\0\0\0\0")


def test_gif_frames_are_counted() -> None:
    assert gif_frames(pictures.film_as("gif")) == 5
    assert gif_frames(pictures.gif_of(1, 1, 20_000)) == 20_000
    assert gif_frames(b"GIF89a" + b"\0" * 7 + b"\x3b") == 0
    assert gif_frames(b"GIF89a" + b"\0" * 7 + b"\x99") is None
    assert gif_frames(b"GIF89a") is None
