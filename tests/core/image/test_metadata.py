"""The EXIF fields and the profile name that `/info/` may show."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.image.metadata import FIELDS, InfoDocument, exif, info_key, profile_name, selection, with_etag

FIELD = "exif-ifd0-Make"


def test_fields_have_their_readable_text_if_there_is_one() -> None:
    assert exif(
        {
            FIELD: "Canon (EOS) (Canon (EOS), ASCII, 12 components, 12 bytes)",
            "exif-ifd2-ExposureTime": "1/350 (1/350 sec., Rational, 1 components, 8 bytes)",
            "exif-ifd2-ApertureValue": "262144/65536 (4.00 EV (f/4.0), Rational, 1 components, 8 bytes)",
            "exif-ifd0-Orientation": "1 (Internal error (unknown value 1), Short, 1 components, 2 bytes)",
            "exif-ifd0-Odd": "as it is\x00\x1b[31m",
            "exif-ifd1-Compression": "6 (6, Short, 1 components, 2 bytes)",
            "exif-ifd2-MakerNote": "x (x, Undefined, 1 components, 1 bytes)",
            "exif-ifd2-UserComment": " (, Undefined, 136 components, 136 bytes)",
            "width": "3",
        },
        b"",
        gps=False,
    ) == {
        "Make": "Canon (EOS)",
        "ExposureTime": "1/350 sec.",
        "ApertureValue": "4.00 EV (f/4.0)",
        "Orientation": "1",
        "Odd": "as it is[31m",
    }


def test_gps_fields_are_included_only_if_allowed() -> None:
    taken = {
        "exif-ifd3-GPSLatitude": "50 (50, Rational, 3 components, 24 bytes)",
        "exif-ifd0-GPSInfo": "1 (1, Long, 1 components, 4 bytes)",
    }
    assert exif(taken, b"", gps=False) == {}
    assert exif(taken, b"", gps=True)["GPSLatitude"] == "50"


def tiff(order: str, *directories: tuple[int, list[tuple[int, int]]]) -> bytes:
    """An EXIF block of directories, each with where it starts and its entries as (tag, value)."""
    block = bytearray(struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8).ljust(400, b"\0"))
    for start, entries in directories:
        packed = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in entries)
        block[start : start + 2 + len(packed)] = struct.pack(f"{order}H", len(entries)) + packed
    return b"Exif\0\0" + bytes(block)


MADE_UP = {
    "exif-ifd0-Orientation": "6",
    "exif-ifd0-XResolution": "72",
    "exif-ifd0-ResolutionUnit": "2",
    "exif-ifd2-ExifVersion": "Exif Version 2.1",
    "exif-ifd2-ColorSpace": "65535",
    "exif-ifd2-FNumber": "59/10",
    "exif-ifd4-InteroperabilityIndex": "R98",
}


@pytest.mark.parametrize("order", ["<", ">"])
def test_default_values_are_included_only_if_the_file_has_them(order: str) -> None:
    lacking = tiff(order, (8, [(0x0112, 6), (0x8769, 100)]), (100, [(0x829D, 0)]))
    assert exif(MADE_UP, lacking, gps=False) == {"Orientation": "6", "FNumber": "59/10"}
    everything = tiff(
        order,
        (8, [(0x0112, 6), (0x8769, 100)]),
        (100, [(0x9000, 0), (0xA001, 1), (0xA005, 200)]),
        (200, [(0x0001, 0)]),
    )
    assert len(exif(MADE_UP, everything, gps=False)) == len(MADE_UP) - 2


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("directory", "name", "tag", "kind", "value", "expected"),
    [
        ("0", "XResolution", 0x011A, 5, (300, 1), "300"),
        ("0", "YResolution", 0x011B, 5, (720_000, 10_000), "72"),
        ("0", "XResolution", 0x011A, 5, (0, 0), None),
        ("0", "ResolutionUnit", 0x0128, 3, (3,), "3"),
        ("0", "Copyright", 0x8298, 2, b"John\0Editor\0", "John, Editor"),
        ("0", "Copyright", 0x8298, 2, b" \0Editor\0", "Editor"),
        ("0", "Copyright", 0x8298, 2, "Jörg".encode() + b"\0", "Jörg"),
        ("0", "Copyright", 0x8298, 2, b"J\xf6rg\0", "Jörg"),
        ("2", "UserComment", 0x9286, 7, b"ASCII\0\0\0seen", "seen"),
        ("2", "UserComment", 0x9286, 7, b"UNICODE\0\xf6\0", "ö"),
        ("2", "UserComment", 0x9286, 7, b"JIS\0\0\0\0\0abcd", None),
    ],
)
def test_fields_have_the_value_of_the_file_and_not_of_the_library(
    order: str,
    directory: str,
    name: str,
    tag: int,
    kind: int,
    value: tuple[int, ...] | bytes,
    expected: str | None,
) -> None:
    if isinstance(value, bytes):
        data, count = value, len(value)
        if b"UNICODE" in value and order == ">":
            data = value[:8] + value[8:][::-1]
    else:
        data, count = struct.pack(f"{order}{len(value)}{'H' if kind == 3 else 'I'}", *value), 1
    block = bytearray(tiff(order, (8, [(0x8769, 100)])))
    start = 6 + (8 if directory == "0" else 100)
    entry = struct.pack(f"{order}HHI", tag, kind, count) + (
        data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(f"{order}I", 300)
    )
    if directory == "0":
        entry += struct.pack(f"{order}HHII", 0x8769, 4, 1, 100)
    block[start : start + 2 + len(entry)] = struct.pack(f"{order}H", len(entry) // 12) + entry
    block[306 : 306 + len(data)] = data
    notes = exif({f"exif-ifd{directory}-{name}": "something else"}, bytes(block), gps=False)
    assert notes == ({name: expected} if expected else {})


@given(st.binary(max_size=300), st.integers(0, 300))
def test_arbitrary_exif_raises_no_error(block: bytes, at: int) -> None:
    loop = tiff("<", (8, [(0x8769, 8), (0x8825, 8), (0x8769, 8)]))
    for each in (block, loop, loop[:at], b"Exif\0\0II*\0" + block):
        assert exif({"exif-ifd0-XResolution": "72"}, each, gps=False) in ({}, {"XResolution": "72"})


def test_number_and_length_of_fields_are_limited() -> None:
    many = {f"exif-ifd0-T{number}": "x" * 1000 for number in range(1000)}
    fields = exif(many, b"", gps=False)
    assert len(fields) == 64
    assert max(map(len, fields.values())) == 200


def profile(tag: bytes) -> bytes:
    return (
        bytes(128)
        + (1).to_bytes(4, "big")
        + b"desc"
        + (144).to_bytes(4, "big")
        + len(tag).to_bytes(4, "big")
        + tag
    )


def test_the_name_of_a_profile_is_its_description() -> None:
    old = b"desc" + bytes(4) + (5).to_bytes(4, "big") + b"sRGB\x00" + bytes(78)
    assert profile_name(profile(old)) == "sRGB"
    text = "Display P3".encode("utf-16-be")
    new = b"mluc" + bytes(4) + (1).to_bytes(4, "big") + (12).to_bytes(4, "big") + b"enUS"
    new += len(text).to_bytes(4, "big") + (28).to_bytes(4, "big") + text
    assert profile_name(profile(new)) == "Display P3"
    assert profile_name(profile(b"text" + bytes(20))) == ""
    assert profile_name(b"") == profile_name(bytes(200)) == profile_name(bytes(128) + b"\xff" * 60) == ""


def test_selected_fields_have_their_own_cache_key() -> None:
    info = with_etag(json.dumps({"width": 3, "height": 4}).encode(), '"x"')
    assert list(json.loads(info)) == list(FIELDS)
    width, height = selection(("width", "etag")), selection(("height",))
    assert json.loads(width.make(info)) == {"width": 3, "etag": '"x"'}
    assert info_key("k", None) == "k"
    assert len({info_key("k", width), info_key("k", height), info_key("l", width)}) == 3
    assert selection(("width", "etag")) == width == InfoDocument("width,etag", lambda body: body)
