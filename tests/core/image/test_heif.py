"""The boxes of an AVIF or HEIC picture: items, their extents and properties (ISO/IEC 14496-12, 23008-12)."""

import struct

import pytest

from proxy.core.image.completed import Completed
from proxy.core.image.heif import FileBox, Items, Property, boxes, completed, items
from tests.support.avif import ALPHA, avif, box, full_box

FTYP = box(b"ftyp", b"avif\0\0\0\0")
HEVC_ALPHA = b"urn:mpeg:hevc:2015:auxid:1\0"


def test_boxes_with_each_form_of_size() -> None:
    plain, large = box(b"abcd", b"xyz"), b"\0\0\0\x01efgh" + (18).to_bytes(8, "big") + b"xy"
    rest = b"\0\0\0\0ijkl to the end"
    content = plain + large + rest
    assert list(boxes(content, 0, len(content))) == [
        FileBox(b"abcd", 0, 8, 11),
        FileBox(b"efgh", 11, 27, 29),
        FileBox(b"ijkl", 29, 37, len(content)),
    ]
    assert list(boxes(content, 11, 29)) == [FileBox(b"efgh", 11, 27, 29)]


@pytest.mark.parametrize(
    "tail",
    [
        b"", b"\0\0\0\x08abc", b"\0\0\0\x07abcd", b"\0\0\0\x01abcd" + (15).to_bytes(8, "big"), b"\0\0\0\x08ab\x80d",
        b"\0\0\0\x08ab\nd", b"\0\0\0\x08ab\0d",
    ],
)  # fmt: skip
def test_the_walk_ends_at_bytes_that_are_not_a_box(tail: bytes) -> None:
    content = box(b"abcd") + tail
    assert list(boxes(content, 0, len(content))) == [FileBox(b"abcd", 0, 8, 8)]


def test_a_box_may_declare_a_larger_size_than_the_file() -> None:
    assert list(boxes(b"\0\0\0\x63abcd", 0, 8)) == [FileBox(b"abcd", 0, 8, 99)]


def test_the_number_of_boxes_is_limited() -> None:
    content = box(b"abcd") * 10_001
    assert len(list(boxes(content, 0, len(content)))) == 10_000


def pitm(item: int, version: int = 0) -> bytes:
    return full_box(b"pitm", struct.pack(">I" if version else ">H", item), version=version)


def iloc(*of: tuple[int, list[tuple[int, int]]]) -> bytes:
    """Items, each with its extents as (offset, bytes)."""
    entries = b"".join(
        struct.pack(">HHH", item, 0, len(extents)) + b"".join(struct.pack(">II", *each) for each in extents)
        for item, extents in of
    )
    return full_box(b"iloc", b"\x44\0", struct.pack(">H", len(of)), entries)


def iref(*of: tuple[bytes, int, list[int]], version: int = 0) -> bytes:
    number = "I" if version else "H"
    lists = [
        box(kind, struct.pack(f">{number}H{len(ends)}{number}", start, len(ends), *ends))
        for kind, start, ends in of
    ]
    return full_box(b"iref", *lists, version=version)


def iprp(*properties: bytes, of: dict[int, list[int]], version: int = 0, wide: bool = False) -> bytes:
    """Properties, counted from 1, and which item has which; the highest bit of each says that it is essential."""
    number, index, essential = "I" if version else "H", "H" if wide else "B", 0x8000 if wide else 0x80
    entries = b"".join(
        struct.pack(f">{number}B{len(mine)}{index}", item, len(mine), *(essential | each for each in mine))
        for item, mine in of.items()
    )
    ipma = full_box(b"ipma", struct.pack(">I", len(of)), entries, version=version, flags=int(wide))
    return box(b"iprp", box(b"ipco", *properties), ipma)


def meta(*parts: bytes) -> bytes:
    return FTYP + full_box(b"meta", *parts)


def found(*parts: bytes) -> Items:
    read = items(meta(*parts))
    assert read is not None
    return read


@pytest.mark.parametrize("version", [0, 1])
def test_the_primary_item(version: int) -> None:
    assert found(pitm(300, version)).primary == 300
    assert found(pitm(2, version)).tiles == [2]


def test_a_missing_table_has_no_entries() -> None:
    assert found() == Items()
    assert found(box(b"free", b"x")) == Items()


def located(entries: bytes, *, version: int, sizes: int) -> dict[int, list[tuple[int, int]]]:
    return found(full_box(b"iloc", struct.pack(">H", sizes), entries, version=version)).extents


def test_extents_of_every_number_size() -> None:
    entries = struct.pack(">H", 1) + struct.pack(">HHHIIII", 7, 0, 2, 100, 20, 200, 5)
    assert located(entries, version=0, sizes=0x4400) == {7: [(100, 120), (200, 205)]}
    with_base = struct.pack(">H", 1) + struct.pack(">HHQHQQ", 7, 0, 1000, 1, 100, 20)
    assert located(with_base, version=0, sizes=0x8880) == {7: [(1100, 1120)]}
    only_base = struct.pack(">H", 1) + struct.pack(">HHIHI", 7, 0, 1000, 1, 20)
    assert located(only_base, version=0, sizes=0x0440) == {7: [(1000, 1020)]}


def test_extents_with_an_index_and_many_items() -> None:
    indexed = struct.pack(">H", 1) + struct.pack(">HHHHIII", 7, 0, 0, 1, 99, 100, 20)
    assert located(indexed, version=1, sizes=0x4404) == {7: [(100, 120)]}
    wide = struct.pack(">I", 1) + struct.pack(">IHHHII", 70_000, 0, 0, 1, 100, 20)
    assert located(wide, version=2, sizes=0x4400) == {70_000: [(100, 120)]}


def test_extents_within_the_box_of_data() -> None:
    """Construction method 1; those of method 0 are places in the file."""
    table = struct.pack(">H", 2)
    table += struct.pack(">HHHHII", 1, 1, 0, 1, 3, 4) + struct.pack(">HHHHII", 2, 0, 0, 1, 3, 4)
    iloc_box = full_box(b"iloc", struct.pack(">H", 0x4400), table, version=1)
    content = meta(iloc_box, box(b"idat", b"0123456789"))
    read = items(content)
    assert read is not None
    assert read.head_of(content, 1, 99) == b"3456"
    assert read.extents[2] == [(3, 7)]


def test_an_extent_of_length_zero_reaches_the_end_of_the_file() -> None:
    content = meta(iloc((1, [(20, 0)])))
    read = items(content)
    assert read is not None
    assert read.extents == {1: [(20, len(content))]}


@pytest.mark.parametrize("version", [0, 1])
def test_references(version: int) -> None:
    read = found(
        pitm(1),
        iref((b"dimg", 1, [2, 3]), (b"dimg", 1, [3, 4]), (b"thmb", 5, [1]), version=version),
    )
    assert read.referred(b"dimg", 1) == [2, 3, 4]
    assert read.referred(b"dimg", 2) == read.referred(b"auxl", 1) == []
    assert read.tiles == [1, 2, 3, 4]
    assert read.alphas == []


@pytest.mark.parametrize("urn", [ALPHA, HEVC_ALPHA])
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("version", [0, 1])
def test_alpha_is_an_auxiliary_item_of_type_alpha(urn: bytes, wide: bool, version: int) -> None:
    """A map of depth is auxiliary, too."""
    depth = full_box(b"auxC", b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth\0")
    parts = (
        pitm(1),
        iloc((1, [(0, 5)]), (2, [(10, 5)]), (3, [(20, 5)]), (4, [(30, 5), (40, 5)]), (9, [(90, 5)])),
        iref((b"auxl", 2, [1]), (b"auxl", 3, [1]), (b"auxl", 5, [9]), (b"dimg", 3, [4])),
        iprp(depth, full_box(b"auxC", urn), of={2: [1], 3: [2], 5: [2]}, wide=wide, version=version),
    )
    read = found(*parts)
    assert read.alphas == [3]
    assert read.extents_of_picture == [(0, 5), (20, 25), (30, 35), (40, 45)]
    assert not read.is_premultiplied


@pytest.mark.parametrize(
    ("prem", "is_premultiplied"),
    [((b"prem", 1, [2]), True), ((b"prem", 1, [3]), False), ((b"prem", 2, [1]), False), ((b"prem", 1, [3, 2]), True)],
)  # fmt: skip
def test_premultiplied_by_its_own_alpha(prem: tuple[bytes, int, list[int]], is_premultiplied: bool) -> None:
    read = found(pitm(1), iref((b"auxl", 2, [1]), prem), iprp(full_box(b"auxC", ALPHA), of={2: [1]}))
    assert read.is_premultiplied is is_premultiplied


def test_properties_of_the_picture_or_of_its_first_tile() -> None:
    first, second, other = box(b"colr", b"1"), box(b"colr", b"2"), box(b"ispe", b"3")
    tiles = pitm(1), iref((b"dimg", 1, [2, 3]))
    own = found(*tiles, iprp(first, second, other, of={1: [2, 1, 3], 2: [1]}))
    assert own.property_of_picture(b"colr") == [b"2", b"1"]
    assert own.properties[1] == [Property(b"colr", b"2"), Property(b"colr", b"1"), Property(b"ispe", b"3")]
    of_tile = found(*tiles, iprp(first, second, other, of={1: [3], 2: [2], 3: [1]}))
    assert of_tile.property_of_picture(b"colr") == [b"2"]
    assert of_tile.property_of_picture(b"none") == []


def test_indexes_without_a_property_are_ignored() -> None:
    read = found(pitm(1), iprp(box(b"colr", b"1"), box(b"ispe", b"2"), of={1: [0, 3, 2, 127]}))
    assert read.properties == {1: [Property(b"ispe", b"2")]}


@pytest.mark.parametrize(
    ("codec", "is_monochrome"),
    [(b"\x81\0\x1c\0", True), (b"\x81\0\x0c\0", False), (b"\x81\0", False), (b"", False)],
)
def test_monochrome_streams_are_recognised(codec: bytes, is_monochrome: bool) -> None:
    read = found(pitm(1), iprp(box(b"av1C", codec), of={1: [1]}))
    assert read.is_monochrome is is_monochrome


@pytest.mark.parametrize(
    ("most", "head"), [(0, b""), (2, b"ab"), (3, b"abc"), (5, b"abcde"), (6, b"abcdef"), (99, b"abcdef")]
)
def test_the_head_of_an_item_is_put_together_from_its_extents(most: int, head: bytes) -> None:
    content = b"..abc..de..f"
    read = Items(extents={1: [(2, 5), (7, 9), (11, 12)]})
    assert read.head_of(content, 1, most) == head
    assert read.head_of(content, 2, most) == b""


@pytest.mark.parametrize(
    "part",
    [
        full_box(b"pitm"),
        full_box(b"pitm", b"\0\1", version=1),
        box(b"pitm", b"\0\0"),
        full_box(b"iloc", b"\x44\0" + struct.pack(">H", 2) + struct.pack(">HHH", 1, 0, 0)),
        full_box(b"iloc", b"\x44\0" + struct.pack(">H", 10_001)),
        full_box(b"iloc", b"\0\0" + struct.pack(">H", 2) + struct.pack(">HHH", 1, 0, 6_000) * 2),
        full_box(b"iref", box(b"dimg", struct.pack(">HHH", 1, 2, 2))),
        full_box(b"iref", box(b"dimg", b"\0")),
        full_box(b"iref", box(b"dimg", bytes(2**18))),
        box(b"iprp", full_box(b"ipma", struct.pack(">I", 1))),
        box(b"iprp", full_box(b"ipma", struct.pack(">IHB", 1, 1, 2), b"\1")),
        box(b"iprp", full_box(b"ipma", struct.pack(">I", 2**32 - 1))),
        box(b"iprp", full_box(b"ipma", bytes(2**18))),
    ],
)
def test_truncated_tables_are_refused(part: bytes) -> None:
    assert items(meta(part)) is None
    assert items(meta(pitm(1), part)) is None


def test_unknown_boxes_beside_properties_are_skipped() -> None:
    table = iprp(box(b"colr", b"1"), of={1: [1]})
    with_more = box(b"iprp", box(b"free", b"x"), table[8:])
    assert found(with_more).properties == {1: [Property(b"colr", b"1")]}


def test_content_without_a_meta_box_has_no_items() -> None:
    assert items(b"") is None
    assert items(FTYP + box(b"mdat", b"x")) is None
    assert items(meta(pitm(1))[:-1]) is None


STREAM = b"0123456789"
PICTURE = avif((STREAM, b""))


def test_a_file_with_all_its_data_is_complete() -> None:
    assert completed(PICTURE) == Completed(PICTURE)
    assert completed(PICTURE + box(b"free", b"note")) == Completed(PICTURE + box(b"free", b"note"))
    assert completed(PICTURE + b"\n" * 9) == Completed(PICTURE + b"\n" * 9)


@pytest.mark.parametrize("lost", [1, 5, 10, 11, 18, 40])
def test_a_file_without_all_data_of_its_picture_is_not_complete(lost: int) -> None:
    assert completed(PICTURE[:-lost]) is None


@pytest.mark.parametrize("content", [b"", FTYP, FTYP + box(b"free", b"x"), b"no box"])
def test_content_without_data_and_items_is_not_complete(content: bytes) -> None:
    assert completed(content) is None


@pytest.mark.parametrize("length", [8, 9, 11])
def test_a_truncated_box_after_the_picture_is_removed(length: int) -> None:
    assert completed(PICTURE + box(b"free", b"note")[:length]) == Completed(PICTURE)


@pytest.mark.parametrize(("more", "is_mended"), [(1, True), (2**20, True), (2**20 + 1, False)])
def test_data_of_other_items_may_be_missing(more: int, is_mended: bool) -> None:
    """Up to a megabyte of zeros takes their place, for decoders that go by the sizes of boxes."""
    at = PICTURE.index(b"mdat") - 4
    longer = PICTURE[:at] + struct.pack(">I", 18 + more) + PICTURE[at + 4 :]
    assert completed(longer) == (Completed(longer + bytes(more)) if is_mended else None)


def test_a_file_with_tracks_needs_all_its_data() -> None:
    before, after = box(b"moov", b"x") + PICTURE, PICTURE + box(b"moov", b"x")
    for content in (before, after):
        assert completed(content) == Completed(content)
        assert completed(content[:-1]) is None
