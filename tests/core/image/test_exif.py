"""EXIF entries have the values that the block stores (TIFF 6.0, section 2; Exif 3.0, 4.6)."""

import struct

import pytest

from proxy.core.image.exif import CAMERA, GPS, INTEROPERABILITY, MAIN, Exif

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7
Entry = tuple[int, int, int, bytes]
"""A tag, a type, how many, and the value."""
DATA_AT = 1000
ORDERS = pytest.mark.parametrize("order", ["<", ">"])


def block(order: str, *directories: tuple[int, list[Entry]]) -> bytes:
    """Directories, each with where it starts and its entries; what is longer than four bytes lies behind them all."""
    made = bytearray(
        struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8).ljust(DATA_AT, b"\0")
    )
    for start, entries in directories:
        made[start : start + 2] = struct.pack(f"{order}H", len(entries))
        for index, (tag, kind, count, value) in enumerate(entries):
            if len(value) > 4:
                value, data = struct.pack(f"{order}I", len(made)), value
                made += data
            at = start + 2 + 12 * index
            made[at : at + 12] = struct.pack(f"{order}HHI4s", tag, kind, count, value)
    return bytes(made)


def leads(order: str, tag: int, start: int) -> Entry:
    return tag, LONG, 1, struct.pack(f"{order}I", start)


@ORDERS
@pytest.mark.parametrize("start", [b"", b"Exif\0\0"])
def test_directories_are_followed(order: str, start: bytes) -> None:
    at = {CAMERA: 200, GPS: 300, INTEROPERABILITY: 400}
    exif = Exif(
        start
        + block(
            order,
            (
                8,
                [
                    leads(order, 0x8769, at[CAMERA]),
                    leads(order, 0x8825, at[GPS]),
                    (0x10F, ASCII, 4, b"Cam\0"),
                ],
            ),
            (at[CAMERA], [(0x9000, UNDEFINED, 4, b"0230"), leads(order, 0xA005, at[INTEROPERABILITY])]),
            (at[GPS], [(1, ASCII, 2, b"N\0"), leads(order, 0xA005, 500)]),
            (at[INTEROPERABILITY], [(1, ASCII, 4, b"R98\0")]),
            (500, [(0x7777, ASCII, 2, b"x\0")]),
        )
    )
    there = [
        (MAIN, 0x10F),
        (CAMERA, 0x9000),
        (GPS, 1),
        (INTEROPERABILITY, 1),
        (MAIN, 0x8769),
        (GPS, 0xA005),
    ]
    assert all(field in exif for field in there)
    assert exif.text((MAIN, 0x10F)) == "Cam"
    assert exif.text((GPS, 1)) == "N"
    assert exif.text((INTEROPERABILITY, 1)) == "R98"
    for lacking in ((MAIN, 0x9000), (CAMERA, 1), (INTEROPERABILITY, 0x7777), (MAIN, 0x110)):
        assert lacking not in exif
        assert exif.text(lacking) is None


def text_of(order: str, kind: int, count: int, value: bytes) -> str | None:
    return Exif(block(order, (8, [(0x10F, kind, count, value)]))).text((MAIN, 0x10F))


@ORDERS
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"Cam\0", "Cam"),
        (b"Camera\0", "Camera"),
        (b"Camera", "Camera"),
        (b"  a b \0\0", "a b"),
        (b"John\0Editor\0", "John, Editor"),
        (b"\0\0\0", ""),
        ("Jörg".encode() + b"\0", "Jörg"),
        (b"J\xf6rg!\0", "Jörg!"),
        (b"x" * 4095 + b"\0", "x" * 4095),
        (b"x" * 9000, "x" * 4096),
    ],
)
def test_ascii_values_end_at_the_first_nul(order: str, value: bytes, text: str) -> None:
    assert text_of(order, ASCII, len(value), value) == text


@ORDERS
@pytest.mark.parametrize("value", [0, 1, 258, 65_535])
def test_short_values_show_their_first_number(order: str, value: int) -> None:
    assert text_of(order, SHORT, 1, struct.pack(f"{order}H", value)) == str(value)
    assert text_of(order, SHORT, 3, struct.pack(f"{order}3H", value, 7, 8)) == str(value)


@ORDERS
@pytest.mark.parametrize(
    ("above", "below", "text"),
    [(300, 1, "300"), (720_000, 10_000, "72"), (1, 3, "0.333333"), (0, 5, "0"), (5, 0, None), (0, 0, None)],
)
def test_rational_values_are_decimal_numbers(order: str, above: int, below: int, text: str | None) -> None:
    assert text_of(order, RATIONAL, 1, struct.pack(f"{order}II", above, below)) == text


@pytest.mark.parametrize(
    ("order", "value", "text"),
    [
        ("<", b"ASCII\0\0\0seen\0", "seen"),
        (">", b"ASCII\0\0\0 seen ", "seen"),
        ("<", bytes(8) + b"seen", "seen"),
        ("<", b"        seen", "seen"),
        ("<", b"ASCII\0\0\0J\xf6rg", "Jörg"),
        ("<", b"UNICODE\0" + "ö€".encode("utf-16-le"), "ö€"),
        (">", b"UNICODE\0" + "ö€".encode("utf-16-be"), "ö€"),
        (">", b"UNICODE\0" + "\ufeffö ".encode("utf-16-be"), "ö"),
        ("<", b"UNICODE\0\0\xd8x\0", "\ufffdx"),
        ("<", b"JIS\0\0\0\0\0abcd", None),
        ("<", b"anything", None),
        ("<", b"ASCII\0\0\0", ""),
    ],
)
def test_user_comments_are_decoded_by_their_character_code(
    order: str, value: bytes, text: str | None
) -> None:
    assert text_of(order, UNDEFINED, len(value), value) == text


@ORDERS
@pytest.mark.parametrize("kind", [0, BYTE, LONG, 6, 8, 9, 10, 13, 65_535])
def test_other_types_have_no_text(order: str, kind: int) -> None:
    assert text_of(order, kind, 1, bytes(8)) is None


@ORDERS
def test_truncated_values_are_ignored(order: str) -> None:
    """None, one that ends behind the block, and one that begins there."""
    assert text_of(order, ASCII, 0, b"") is None
    whole = block(order, (8, [(0x10F, ASCII, 9, b"Camera 1\0")]))
    assert Exif(whole).text((MAIN, 0x10F)) == "Camera 1"
    assert Exif(whole[:-1]).text((MAIN, 0x10F)) is None
    assert Exif(whole[:-9]).text((MAIN, 0x10F)) is None
    assert text_of(order, ASCII, 2**32 - 1, b"Camera 1\0") is None


@ORDERS
def test_truncated_entries_are_ignored(order: str) -> None:
    whole = block(order, (8, [(0x10F, ASCII, 4, b"Cam\0"), (0x110, ASCII, 4, b"One\0")]))
    for length, entries in ((34, 2), (33, 1), (22, 1), (21, 0), (10, 0), (8, 0), (3, 0), (0, 0)):
        exif = Exif(whole[:length])
        assert [field in exif for field in ((MAIN, 0x10F), (MAIN, 0x110))] == [entries > 0, entries > 1]


@ORDERS
def test_the_first_of_equal_entries_counts(order: str) -> None:
    exif = Exif(block(order, (8, [(0x10F, ASCII, 4, b"Cam\0"), (0x10F, ASCII, 4, b"One\0")])))
    assert exif.text((MAIN, 0x10F)) == "Cam"


@ORDERS
def test_cyclic_directories_are_read_once(order: str) -> None:
    around = [
        leads(order, 0x8769, 8),
        leads(order, 0x8825, 8),
        leads(order, 0xA005, 8),
        (0x10F, ASCII, 4, b"Cam\0"),
    ]
    exif = Exif(block(order, (8, around)))
    assert [exif.text((directory, 0x10F)) for directory in (MAIN, CAMERA, GPS, INTEROPERABILITY)] == [
        "Cam"
    ] * 4
