"""The boxes of an AVIF or HEIC picture (ISO/IEC 14496-12 4.2, 23008-12 6 and 9): the position of its data, its
colours and its alpha. No pixel is decoded."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from proxy.core.image.completed import Completed

_MOST_PADDED = 1 << 20
_MOST_TABLE_BYTES = 1 << 18
_MOST_ENTRIES = 10_000
"""Of any table; a picture of a hundred megapixels has some hundred tiles."""
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")


class FileBox(NamedTuple):
    """A box of the file: its type, the start of its header, and the start and end of its content. `end` may lie
    beyond the end of the file."""

    kind: bytes
    head: int
    start: int
    end: int


class Property(NamedTuple):
    """A property of items: its type and its content."""

    kind: bytes
    content: bytes


@dataclass(slots=True)
class Items:
    """The items of a file by their numbers. `extents` are (start, end) in the file; `references` lead from one item
    to others, by type."""

    primary: int = 0
    extents: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    references: dict[tuple[bytes, int], dict[int, None]] = field(default_factory=dict)
    properties: dict[int, list[Property]] = field(default_factory=dict)

    def referred(self, kind: bytes, item: int) -> list[int]:
        """The items that `item` refers to."""
        return list(self.references.get((kind, item), ()))

    @property
    def tiles(self) -> list[int]:
        """The items with the pixels of the primary item; the primary item itself if it is coded in one piece."""
        return [self.primary, *self.referred(b"dimg", self.primary)]

    @property
    def alphas(self) -> list[int]:
        """The items with the alpha of the primary item."""
        return [
            start
            for (kind, start), ends in self.references.items()
            if kind == b"auxl" and self.primary in ends and self._is_alpha(start)
        ]

    @property
    def extents_of_picture(self) -> list[tuple[int, int]]:
        """The positions of the data of the primary item's pixels and alpha."""
        alphas = [part for alpha in self.alphas for part in (alpha, *self.referred(b"dimg", alpha))]
        return [extent for item in (*self.tiles, *alphas) for extent in self.extents.get(item, ())]

    @property
    def is_premultiplied(self) -> bool:
        """Whether the colours were multiplied by alpha before they were coded (ISO/IEC 23008-12 6.10.1.2)."""
        return not self.references.get((b"prem", self.primary), {}).keys().isdisjoint(self.alphas)

    @property
    def is_monochrome(self) -> bool:
        """Whether the AV1 stream has one channel only (AV1-ISOBMFF 2.3.3)."""
        return any(len(each) > 2 and each[2] & 0x10 for each in self.property_of_picture(b"av1C"))

    def property_of_picture(self, kind: bytes) -> list[bytes]:
        """The properties of type `kind` of the primary item; of its first tile if it has none."""
        for item in self.tiles:
            found = [each.content for each in self.properties.get(item, ()) if each.kind == kind]
            if found:
                return found
        return []

    def head_of(self, content: bytes, item: int, most: int) -> bytes:
        """The first bytes of an item, at most `most`."""
        head = b""
        for start, end in self.extents.get(item, ()):
            if len(head) >= most:
                break
            head += content[start : min(end, start + most)]
        return head[:most]

    def _is_alpha(self, item: int) -> bool:
        return any(
            each.kind == b"auxC" and each.content[4:].startswith(_ALPHA)
            for each in self.properties.get(item, ())
        )


def boxes(content: bytes, start: int, end: int) -> Iterator[FileBox]:
    """The boxes from `start` up to `end`, or up to an invalid one. Size 0 means to the end."""
    for _ in range(_MOST_ENTRIES):
        if start + 8 > end:
            return
        size, head = int.from_bytes(content[start : start + 4], "big"), 8
        kind = content[start + 4 : start + 8]
        if size == 1:
            size, head = int.from_bytes(content[start + 8 : start + 16], "big"), 16
        elif size == 0:
            size = end - start
        if size < head or not kind.isascii() or not kind.decode("ascii").isprintable():
            return
        yield FileBox(kind, start, start + head, start + size)
        start += size


def items(content: bytes) -> Items | None:
    """The items in a file's `meta` box; None if the box is missing or invalid."""
    for box in boxes(content, 0, len(content)):
        if box.kind == b"meta" and box.end <= len(content):
            try:
                return _items(content, box)
            except (_Broken, RecursionError):
                return None
    return None


def completed(content: bytes) -> Completed | None:
    """All data of the picture's items must lie within the file. Tracks have data that the items do not list: in a
    file with tracks, or without items, every box must end within the file."""
    top = list(boxes(content, 0, len(content)))
    if not any(box.kind in (b"mdat", b"meta") for box in top):
        return None
    found = items(content)
    extents = found.extents_of_picture if found is not None else []
    last = top[-1]
    if last.end <= len(content):
        return Completed(content) if all(end <= len(content) for _, end in extents) else None
    if not extents or (last.kind in (b"mdat", b"moov") and any(box.kind == b"moov" for box in top)):
        return None
    # The truncated part is metadata, or not a box.
    end = len(content) if last.kind == b"mdat" else last.head
    if any(extent_end > end for _, extent_end in extents) or (
        last.kind == b"mdat" and last.end - end > _MOST_PADDED
    ):
        return None
    return Completed(content[:end] + bytes(last.end - end) if last.kind == b"mdat" else content[:end])


class _Broken(Exception):
    """A table claims more entries than it has."""


class _Reader:
    """Reads the big-endian numbers of a box in order."""

    def __init__(self, content: bytes, box: FileBox) -> None:
        if box.end - box.start > _MOST_TABLE_BYTES:
            raise _Broken
        self._content, self.at, self._end = content, box.start, min(box.end, len(content))

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def take(self, size: int) -> bytes:
        if self.at + size > self._end:
            raise _Broken
        self.at += size
        return self._content[self.at - size : self.at]

    def count(self, size: int) -> range:
        count = self.number(size)
        if count > _MOST_ENTRIES:
            raise _Broken
        return range(count)


def _items(content: bytes, meta: FileBox) -> Items:
    found = Items()
    within = {box.kind: box for box in boxes(content, meta.start + 4, meta.end)}
    idat = within[b"idat"].start if b"idat" in within else 0
    for kind, read in ((b"pitm", _read_primary), (b"iref", _read_references), (b"iprp", _read_properties)):
        if kind in within:
            read(content, within[kind], found)
    if b"iloc" in within:
        _read_extents(content, within[b"iloc"], found, idat)
    return found


def _read_primary(content: bytes, box: FileBox, found: Items) -> None:
    reader = _Reader(content, box)
    version = reader.number(4) >> 24
    found.primary = reader.number(4 if version else 2)


def _read_extents(content: bytes, box: FileBox, found: Items, idat: int) -> None:
    """ISO/IEC 14496-12 8.11.3. Offsets of construction method 1 count from the content of `idat`."""
    reader = _Reader(content, box)
    version = reader.number(4) >> 24
    sizes = reader.number(2)
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    for _ in reader.count(4 if version == 2 else 2):
        item = reader.number(4 if version == 2 else 2)
        method = reader.number(2) & 15 if version else 0
        reader.number(2)
        base = reader.number(base_size) + (idat if method == 1 else 0)
        extents = found.extents.setdefault(item, [])
        for _ in reader.count(2):
            if version:
                reader.number(index_size)
            start = base + reader.number(offset_size)
            length = reader.number(length_size)
            extents.append((start, start + length if length else len(content)))
            if len(extents) > _MOST_ENTRIES:
                raise _Broken


def _read_references(content: bytes, box: FileBox, found: Items) -> None:
    _Reader(content, box)
    size = 4 if content[box.start] else 2
    for reference in boxes(content, box.start + 4, box.end):
        reader = _Reader(content, reference)
        start = reader.number(size)
        ends = found.references.setdefault((reference.kind, start), {})
        ends.update((reader.number(size), None) for _ in reader.count(2))


def _read_properties(content: bytes, box: FileBox, found: Items) -> None:
    """ISO/IEC 14496-12 8.11.14: the properties, and their association with items."""
    properties: list[Property] = []
    for part in boxes(content, box.start, box.end):
        if part.kind == b"ipco":
            properties = [
                Property(each.kind, content[each.start : each.end])
                for each in boxes(content, part.start, part.end)
            ]
        elif part.kind == b"ipma":
            reader = _Reader(content, part)
            head = reader.number(4)
            is_wide = head & 1
            for _ in reader.count(4):
                associated = found.properties.setdefault(reader.number(4 if head >> 24 else 2), [])
                for _ in reader.count(1):
                    index = reader.number(2) & 0x7FFF if is_wide else reader.number(1) & 0x7F
                    if 0 < index <= len(properties):
                        associated.append(properties[index - 1])
