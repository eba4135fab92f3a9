"""The copyright fields of EXIF, XMP and IPTC blocks are written anew, and nothing else is."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.image.copyright import ONLY_COPYRIGHT, exif, iptc, xmp
from proxy.core.image.exif import MAIN, Exif

NAMESPACES = (
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    ' xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:e="http://ns.adobe.com/exif/1.0/"'
)
ARTIST, COPYRIGHT = 0x013B, 0x8298
"""Tags of a TIFF directory (TIFF 6.0, section 8)."""


def exif_block(*entries: tuple[int, bytes], order: str = "<") -> bytes:
    """A main directory of ASCII entries."""
    directory, values = b"", b""
    start = 14 + 12 * len(entries)
    for tag, value in entries:
        inline = len(value) <= 4
        at = value.ljust(4, b"\0") if inline else struct.pack(f"{order}I", start + len(values))
        directory += struct.pack(f"{order}HHI", tag, 2, len(value)) + at
        values += b"" if inline else value
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return b"Exif\0\0" + mark + struct.pack(f"{order}IH", 8, len(entries)) + directory + bytes(4) + values


def packet(properties: str, attributes: str = "", before: str = "") -> bytes:
    return (
        f'{before}<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {NAMESPACES}><rdf:Description {attributes}>'
        f"{properties}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def data_set(record: int, number: int, value: bytes) -> bytes:
    return struct.pack(">BBBH", 0x1C, record, number, len(value)) + value


def resources(data: bytes) -> bytes:
    other = b"8BIM" + struct.pack(">H", 0x0425) + b"\x03abc" + struct.pack(">I", 3) + b"xyz\0"
    own = b"8BIM" + struct.pack(">HHI", 0x0404, 0, len(data)) + data + bytes(len(data) % 2)
    return b"Photoshop 3.0\0" + other + own


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_has_artist_and_copyright_only(order: str) -> None:
    block = exif_block(
        (0x010F, b"CAMERA\0"), (ARTIST, "Zoë\0".encode()), (COPYRIGHT, b"(c) Zo\0editor\0"), order=order
    )
    made = exif(block)
    file = Exif(made)
    assert (file.text((MAIN, ARTIST)), file.text((MAIN, COPYRIGHT))) == ("Zoë", "(c) Zo, editor")
    assert (MAIN, 0x010F) not in file
    assert b"CAMERA" not in made
    assert exif(made) == made
    short = Exif(exif(exif_block((COPYRIGHT, b"me\0"))))
    assert short.text((MAIN, COPYRIGHT)) == "me"


def test_xmp_has_rights_creators_and_credit_only() -> None:
    rights = (
        '<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">Me &amp; you</rdf:li>'
        '<rdf:li xml:lang="de">Ich</rdf:li></rdf:Alt></dc:rights>'
    )
    creators = "<dc:creator><rdf:Seq><rdf:li>A</rdf:li>\n<rdf:li>B</rdf:li></rdf:Seq></dc:creator>"
    other = "<e:GPSLatitude>SECRET</e:GPSLatitude><dc:title>SECRET</dc:title>"
    made = xmp(packet(other + rights + creators, 'photoshop:Credit="C&lt;" e:GPSLongitude="SECRET"'))
    assert "Me &amp; you" in made.decode()
    assert "<rdf:li>A</rdf:li><rdf:li>B</rdf:li>" in made.decode()
    assert "<photoshop:Credit>C&lt;</photoshop:Credit>" in made.decode()
    assert b"SECRET" not in made
    assert b"Ich" not in made
    assert xmp(made) == made
    assert b"<dc:rights>" not in xmp(packet("<dc:creator>A</dc:creator>"))


@pytest.mark.parametrize(
    "hostile",
    [
        packet("<dc:rights>&a;</dc:rights>", before='<!DOCTYPE x [<!ENTITY a "aaaa">]>'),
        packet("<dc:rights>x</dc:rights>", before='<!DOCTYPE x SYSTEM "file:///etc/passwd">'),
        packet("<dc:rights>x"),
        packet("<dc:rights>x</dc:rights>").decode().encode("utf-16"),
        packet("<e:Ingredient><dc:rights>x</dc:rights></e:Ingredient>"),
        packet("<dc:rights>x</dc:rights>" + " " * 300_000),
        b"<rdf:li>" * 10_000,
        b"<a>" * 10_000,
    ],
)
def test_a_damaged_or_hostile_packet_counts_as_missing(hostile: bytes) -> None:
    assert xmp(hostile) == b""


def test_iptc_has_byline_credit_and_notice_only() -> None:
    fields = (
        data_set(2, 80, b"Zo\xeb")
        + data_set(2, 90, b"SECRET")
        + data_set(2, 116, "© Zoë".encode())
        + data_set(2, 110, b"Agency")
    )
    for block in (resources(fields), fields, resources(fields).removeprefix(b"Photoshop 3.0\0")):
        made = iptc(block)
        assert data_set(2, 80, "Zoë".encode()) in made
        assert data_set(2, 116, "© Zoë".encode()) in made
        assert data_set(2, 110, b"Agency") in made
        assert data_set(1, 90, b"\x1b%G") in made
        assert b"SECRET" not in made
        assert iptc(made) == made


def test_texts_are_bounded_and_have_no_control_characters() -> None:
    long = Exif(exif(exif_block((COPYRIGHT, b"a\nb\x1b" + b"x" * 4000 + b"\0")))).text((MAIN, COPYRIGHT))
    assert long is not None
    assert long.startswith("a b xxx")
    assert len(long) == 500
    assert len(xmp(packet("<dc:creator>" + "<rdf:li>x</rdf:li>" * 99 + "</dc:creator>"))) < 1000
    many = xmp(packet("<dc:creator><rdf:Seq>" + "<rdf:li>x</rdf:li>" * 99 + "</rdf:Seq></dc:creator>"))
    assert many.count(b"<rdf:li>x") == 8
    assert iptc(resources(data_set(2, 80, b"x") * 99)).count(data_set(2, 80, b"x")) == 8


WHOLE = {
    "exif-data": exif_block((ARTIST, b"somebody\0"), (COPYRIGHT, b"me\0")),
    "xmp-data": packet("<dc:rights><rdf:Alt><rdf:li>x</rdf:li></rdf:Alt></dc:rights>"),
    "iptc-data": resources(data_set(2, 80, b"x")),
}


@pytest.mark.parametrize("name", list(ONLY_COPYRIGHT))
@given(data=st.data())
@settings(max_examples=200)
def test_no_block_raises(name: str, data: st.DataObject) -> None:
    only, whole = ONLY_COPYRIGHT[name], WHOLE[name]
    assert only(whole)
    only(data.draw(st.binary(max_size=200)))
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:at] + data.draw(st.binary(max_size=4)) + whole[at + data.draw(st.integers(0, 4)) :]
    made = only(changed)
    assert len(made) < 10_000
    assert not made or only(made) == made
