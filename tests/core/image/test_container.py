"""A truncated file is recognised at every position of the cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.image import gif, heif
from proxy.core.image.container import completed
from proxy.core.image.formats import Format
from tests.support import pictures
from tests.support.avif import box


def is_whole(kind: Format, content: bytes) -> bool:
    """Whether the structure alone tells that nothing is lacking."""
    whole = completed(kind, content)
    return whole is not None and not whole.doubts


KINDS = ["jpeg", "png", "webp", "avif", "gif"]
SHARES = [0.01, 0.25, 0.5, 0.75, 0.99]


@pytest.mark.parametrize("kind", KINDS)
def test_encoded_pictures_are_complete(kind: str) -> None:
    assert is_whole(Format(kind), pictures.photo_as(kind))


@pytest.mark.parametrize(
    "tail", [b"\n", b"<!-- appended -->", bytes(3), bytes(200), b"PK\x03\x04 trailing", b"\0\0\0\x08free"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_bytes_after_the_end_are_allowed(kind: str, tail: bytes) -> None:
    assert is_whole(Format(kind), pictures.photo_as(kind) + tail)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_picture_is_not_complete(kind: str, share: float) -> None:
    content = pictures.photo_as(kind)
    assert not is_whole(Format(kind), content[: int(len(content) * share)])


@given(st.sampled_from([kind for kind in Format if kind is not Format.INFO]), st.binary(max_size=200))
def test_arbitrary_bytes_raise_no_error(kind: Format, content: bytes) -> None:
    completed(kind, content)


@given(st.sampled_from(KINDS), st.data())
def test_damaged_pictures_raise_no_error(kind: str, data: st.DataObject) -> None:
    content = bytearray(pictures.photo_as(kind, 64, 48))
    for _ in range(4):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    completed(Format(kind), bytes(content))


def test_the_end_of_an_exif_preview_is_not_the_end_of_the_picture() -> None:
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
    """Where no item is told of, every box must end inside of the file, and one must hold data."""
    head = box(b"ftyp", b"avif\0\0\0\0")
    large = b"\0\0\0\x01mdat" + (24).to_bytes(8, "big") + b"01234567"
    assert is_whole(Format.AVIF, head + large)
    assert not is_whole(Format.AVIF, (head + large)[:-1])
    assert is_whole(Format.AVIF, head + b"\0\0\0\0mdat to the end")
    assert not is_whole(Format.AVIF, head + b"\0\0\0\x04mdat")
    assert not is_whole(Format.AVIF, head)


def avif_of(*extents: tuple[int, int], more: bytes = b"", kind: bytes = b"av01") -> bytes:
    """An AVIF whose item 1 has these extents, (offset in the data, bytes), before 100 bytes of data and `more`."""

    def meta(base: int) -> bytes:
        extent_table = b"".join(
            (base + start).to_bytes(4, "big") + size.to_bytes(4, "big") for start, size in extents
        )
        iloc = box(
            b"iloc", bytes(4) + b"\x44\0\0\1" + b"\0\1\0\0" + len(extents).to_bytes(2, "big") + extent_table
        )
        return box(b"meta", bytes(4) + box(b"pitm", bytes(4) + b"\0\1") + iloc)

    head = box(b"ftyp", b"avif\0\0\0\0")
    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", bytes(100) + more)


def test_all_extents_of_the_picture_are_required() -> None:
    content = avif_of((0, 60), (60, 40), more=b"notes")
    assert is_whole(Format.AVIF, content)
    assert not is_whole(Format.AVIF, content[:-6])
    mended = completed(Format.AVIF, content[:-3])
    assert mended is not None
    assert mended.content == content[:-3] + bytes(3), "what lacks is none of the picture's"
    assert not is_whole(Format.AVIF, avif_of((0, 60), (60, 41)))


def test_a_truncated_sequence_of_tracks_is_not_complete() -> None:
    content = avif_of((0, 60), more=b"frames")
    assert not is_whole(Format.AVIF, box(b"ftyp", b"avis\0\0\0\0") + box(b"moov", b"") + content[16:-1])


@pytest.mark.parametrize("damage", [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\0\x27\x11"])
def test_tables_with_false_counts_take_bounded_time(damage: bytes) -> None:
    content = avif_of((0, 60))
    for name in (b"iloc", b"pitm", b"meta"):
        at = content.index(name)
        for position in (at - 4, at + 4, at + 8, at + 10):
            completed(Format.AVIF, content[:position] + damage + content[position + 4 :])


def frames_of(content: bytes) -> int | None:
    stream = gif.read(content)
    return None if stream is None else len(stream.frames)


def test_gif_frames_are_counted() -> None:
    assert frames_of(pictures.film_as("gif")) == 5
    assert frames_of(pictures.gif_of(1, 1, 20_000)) == 20_000
    assert frames_of(b"GIF89a" + b"\0" * 7 + b"\x3b") == 0
    assert frames_of(b"GIF89a" + b"\0" * 7 + b"\x99") == 0
    assert frames_of(b"GIF89a" + b"\0" * 7 + b"\x2c") is None
    assert frames_of(b"GIF89a") is None


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b"\x21",
        b"\x21\xfe",
        b"\x21\xfe\x03en",
        b"\x21\xf9\x04\0",
        b"\0",
        bytes(9),
        b"\n",
        b"\0\x3b",
        b"x\x3b",
    ],
)
def test_a_gif_without_its_trailer_is_completed(tail: bytes) -> None:
    content = pictures.gif_of(2, 2, 3)
    whole = completed(Format.GIF, content[:-1] + tail)
    assert whole is not None
    assert whole.content == content
    assert len(whole.doubts) == 2


def test_a_gif_without_its_last_block_terminator_is_completed() -> None:
    content = pictures.gif_of(2, 2, 3)
    whole = completed(Format.GIF, content[:-2])
    assert whole is not None
    assert whole.content == content
    assert completed(Format.GIF, content[:-3]) is None
    assert completed(Format.GIF, content[:-1] + b"\x2c\0\0") is None, "an image has begun"
    assert completed(Format.GIF, pictures.gif_of(2, 2, 1)[:-6]) is None, "there are no data"


@pytest.mark.parametrize(
    "blocks",
    [
        b"\x21\xfe\0" * 2_000_000,
        b"\x21\xfe" + b"\1x" * 3_000_000 + b"\0",
        pictures.gif_of(1, 1, 400_000)[19:-1],
    ],
)
def test_the_number_of_gif_blocks_is_limited(blocks: bytes) -> None:
    assert gif.read(pictures.gif_of(1, 1, 1)[:-1] + blocks + b"\x3b") is None


def test_many_item_references_take_linear_time() -> None:
    """Each of many lists names the same items."""
    ends = b"".join(number.to_bytes(2, "big") for number in range(2, 1002))
    lists = b"".join(
        box(kind, b"\0\1\3\xe8" + ends) for kind in (b"auxl", b"prem", b"dimg") for _ in range(40)
    )
    content = avif_of(*[(0, 60)] * 9_000)
    at = content.index(b"iloc") - 4
    meta = content.index(b"meta") - 4
    size = int.from_bytes(content[meta : meta + 4], "big")
    reference = box(b"iref", bytes(4) + lists)
    bomb = (
        content[:meta]
        + (size + len(reference)).to_bytes(4, "big")
        + content[meta + 4 : at]
        + reference
        + content[at:]
    )
    found = heif.items(bomb)
    assert found is not None
    assert len(found.tiles) == 1001
    assert not found.is_premultiplied
    completed(Format.AVIF, bomb)
