"""The copyright fields of an original's metadata, in blocks that are made anew and have nothing else.

Kept are Copyright and Artist of EXIF; dc:rights, dc:creator and photoshop:Credit of XMP; copyright notice, byline and
credit of IPTC. Each function takes a block as libvips reads it and returns one as libvips writes it, empty without a
field. No function raises: a damaged block counts as missing.
"""

import struct
from collections.abc import Callable, Iterator
from html import escape
from xml.parsers import expat

from proxy.core.image.exif import MAIN, Exif, decoded
from proxy.core.image.metadata import UNFIT

_MOST_BYTES = 256 * 1024
_MOST_CHARACTERS = 500
_MOST_CREATORS = 8

_ARTIST, _COPYRIGHT = 0x013B, 0x8298
_ASCII = 2

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_DC = "http://purl.org/dc/elements/1.1/"
_PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
_RIGHTS, _CREATOR, _CREDIT = f"{_DC} rights", f"{_DC} creator", f"{_PHOTOSHOP} Credit"
_PROPERTIES = frozenset({_RIGHTS, _CREATOR, _CREDIT})
_DESCRIPTION = [f"{_RDF} RDF", f"{_RDF} Description"]
_ITEM = f"{_RDF} li"

_PHOTOSHOP_HEAD, _RESOURCE, _IPTC_RESOURCE = b"Photoshop 3.0\0", b"8BIM", 0x0404
_DATA_SET, _APPLICATION_RECORD = 0x1C, 2
_IPTC_FIELDS = (80, 110, 116)
"""Byline, credit and copyright notice (IIM 4.2, record 2)."""
_UTF8 = bytes([_DATA_SET, 1, 90, 0, 3]) + b"\x1b%G"
_LONGEST_DATA_SET = 0x7FFF


def exif(block: bytes) -> bytes:
    """An EXIF block (TIFF 6.0, section 2) with Artist and Copyright."""
    file = Exif(block[:_MOST_BYTES])
    texts = [(tag, _clean(file.text((MAIN, tag)) or "")) for tag in (_ARTIST, _COPYRIGHT)]
    entries = [(tag, text.encode() + b"\0") for tag, text in texts if text]
    if not entries:
        return b""
    directory, values = b"", b""
    start = 8 + 2 + 12 * len(entries) + 4
    for tag, value in entries:
        # A value of up to four bytes lies in its entry.
        location = value if len(value) <= 4 else struct.pack("<I", start + len(values))
        directory += struct.pack("<HHI4s", tag, _ASCII, len(value), location)
        values += b"" if len(value) <= 4 else value + bytes(len(value) % 2)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4) + values


def xmp(packet: bytes) -> bytes:
    """An XMP packet (ISO 16684-1) with the first text of rights and credit, and the creators."""
    found = _properties(packet)
    rights, credit = (found.get(name, [])[:1] for name in (_RIGHTS, _CREDIT))
    creators = found.get(_CREATOR, [])[:_MOST_CREATORS]
    if not (rights or creators or credit):
        return b""
    properties = [
        *(
            f'<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">{escape(text)}</rdf:li></rdf:Alt></dc:rights>'
            for text in rights
        ),
        *(f"<photoshop:Credit>{escape(text)}</photoshop:Credit>" for text in credit),
    ]
    if creators:
        items = "".join(f"<rdf:li>{escape(text)}</rdf:li>" for text in creators)
        properties.append(f"<dc:creator><rdf:Seq>{items}</rdf:Seq></dc:creator>")
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}">'
        f'<rdf:Description rdf:about="" xmlns:dc="{_DC}" xmlns:photoshop="{_PHOTOSHOP}">'
        f"{''.join(properties)}</rdf:Description></rdf:RDF></x:xmpmeta>"
        '<?xpacket end="r"?>'
    ).encode()


def iptc(block: bytes) -> bytes:
    """A Photoshop resource with the IPTC fields (IIM 4.2) in UTF-8."""
    fields: dict[int, list[str]] = {}
    for number, value in _data_sets(_iptc_data(block[:_MOST_BYTES])):
        if number in _IPTC_FIELDS and (text := _clean(decoded(value))):
            fields.setdefault(number, []).append(text)
    sets = [(number, text) for number in _IPTC_FIELDS for text in fields.get(number, [])[:_MOST_CREATORS]]
    if not sets:
        return b""
    data = _UTF8 + b"".join(
        struct.pack(">BBBH", _DATA_SET, _APPLICATION_RECORD, number, len(text.encode())) + text.encode()
        for number, text in sets
    )
    head = _PHOTOSHOP_HEAD + _RESOURCE + struct.pack(">HHI", _IPTC_RESOURCE, 0, len(data))
    return head + data + bytes(len(data) % 2)


ONLY_COPYRIGHT: dict[str, Callable[[bytes], bytes]] = {"exif-data": exif, "xmp-data": xmp, "iptc-data": iptc}
"""The function for each block, by libvips' name."""


def _clean(text: str) -> str:
    """`text` on one line, without control characters, at most `_MOST_CHARACTERS` long."""
    return " ".join(UNFIT.sub(" ", text).split())[:_MOST_CHARACTERS].rstrip()


class _RefusedPacket(Exception):
    """The packet declares a document type, which could define entities. XMP has none (ISO 16684-1, 7.3)."""


def _properties(packet: bytes) -> dict[str, list[str]]:
    """The texts of each property of `_PROPERTIES`, as elements or attributes of the description."""
    found: dict[str, list[str]] = {}
    path: list[str] = []
    texts: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        path.append(name)
        texts.clear()
        if path[-2:] == _DESCRIPTION:
            for attribute, value in attributes.items():
                add(attribute, value)

    def end(name: str) -> None:
        owner = path[-3] if name == _ITEM and len(path) > 2 else name
        depth = len(path) - (3 if name == _ITEM else 1)
        if path[max(0, depth - 2) : depth] == _DESCRIPTION:
            add(owner, "".join(texts))
        texts.clear()
        path.pop()

    def add(name: str, text: str) -> None:
        if name in _PROPERTIES and (cleaned := _clean(text)):
            found.setdefault(name, []).append(cleaned)

    def refuse(*_: object) -> None:
        raise _RefusedPacket

    parser = expat.ParserCreate("utf-8", " ")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = texts.append
    parser.StartDoctypeDeclHandler = refuse
    if len(packet) > _MOST_BYTES:
        return {}
    try:
        parser.Parse(packet.rstrip(b"\0 \n"), True)
    except (expat.ExpatError, _RefusedPacket):
        return {}
    return found


def _iptc_data(block: bytes) -> bytes:
    """The data sets in a block of Photoshop resources; `block` itself if it has nothing else."""
    if block.startswith(bytes([_DATA_SET])):
        return block
    at = len(_PHOTOSHOP_HEAD) if block.startswith(_PHOTOSHOP_HEAD) else 0
    while block[at : at + 4] == _RESOURCE and at + 12 <= len(block):
        name_bytes = 1 + block[at + 6]
        size_at = at + 6 + name_bytes + name_bytes % 2
        size, start = int.from_bytes(block[size_at : size_at + 4], "big"), size_at + 4
        if int.from_bytes(block[at + 4 : at + 6], "big") == _IPTC_RESOURCE:
            return block[start : start + size]
        at = start + size + size % 2
    return b""


def _data_sets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The number and value of each data set of the application record, up to an invalid one."""
    at = 0
    while at + 5 <= len(data) and data[at] == _DATA_SET:
        record, number, size = struct.unpack_from(">BBH", data, at + 1)
        value = data[at + 5 : at + 5 + size]
        if size > _LONGEST_DATA_SET or len(value) < size:
            return
        if record == _APPLICATION_RECORD:
            yield number, value
        at += 5 + size
