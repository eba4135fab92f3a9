"""Entries of an EXIF block (Exif 3.0, 4.6; TIFF 6.0, section 2), read beside libexif, which adds missing entries and
repairs invalid ones."""

import encodings.latin_1
import encodings.utf_8
import encodings.utf_16_be
import encodings.utf_16_le  # noqa: F401
from typing import Literal

MAIN, CAMERA, GPS, INTEROPERABILITY = "0", "2", "3", "4"
"""The directories, by libvips' numbers."""
_DIRECTORIES = {(MAIN, 0x8769): CAMERA, (MAIN, 0x8825): GPS, (CAMERA, 0xA005): INTEROPERABILITY}
"""Tags of a directory that point to another directory."""
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8}
_MOST_BYTES = 4096
_CHARACTERS = 8


class Exif:
    """The entries of `block`, by directory and tag. No method raises, whatever the block holds."""

    def __init__(self, block: bytes) -> None:
        self._tiff = block.removeprefix(b"Exif\0\0")
        self._order: Literal["little", "big"] = "little" if self._tiff.startswith(b"II") else "big"
        self._entries: dict[tuple[str, int], int] = {}
        pending = {MAIN: self._number(4, 4)}
        while pending:
            directory, start = pending.popitem()
            last = min(start + 2 + 12 * self._number(start, 2), len(self._tiff) - 11)
            for entry in range(start + 2, last, 12):
                tag = directory, self._number(entry, 2)
                if tag in _DIRECTORIES and tag not in self._entries:
                    pending[_DIRECTORIES[tag]] = self._number(entry + 8, 4)
                self._entries.setdefault(tag, entry)

    def __contains__(self, tag: tuple[str, int]) -> bool:
        return tag in self._entries

    def text(self, tag: tuple[str, int]) -> str | None:
        """The value of an entry as text; None if the entry is missing, invalid or of another type."""
        entry = self._entries.get(tag)
        if entry is None:
            return None
        kind, count = self._number(entry + 2, 2), self._number(entry + 4, 4)
        size = _SIZES.get(kind, 0) * count
        start = entry + 8 if size <= 4 else self._number(entry + 8, 4)
        value = self._tiff[start : start + min(size, _MOST_BYTES)]
        if len(value) < min(size, _MOST_BYTES) or not value:
            return None
        match kind:
            case 2:  # ASCII
                return ", ".join(part for each in value.split(b"\0") if (part := decoded(each).strip()))
            case 3:  # SHORT
                return str(int.from_bytes(value[:2], self._order))
            case 5:  # RATIONAL
                above, below = int.from_bytes(value[:4], self._order), int.from_bytes(value[4:8], self._order)
                return f"{above / below:g}" if below else None
            case 7:  # UNDEFINED
                return self._comment(value)
        return None

    def _comment(self, value: bytes) -> str | None:
        """Text after the name of its character code (4.6.6, UserComment)."""
        code, text = value[:_CHARACTERS].rstrip(b"\0 "), value[_CHARACTERS:]
        if code == b"UNICODE":
            name = "utf-16-le" if self._order == "little" else "utf-16-be"
            return text.decode(name, "replace").strip("\0\ufeff ")
        return decoded(text).strip("\0 ") if code in (b"ASCII", b"") else None

    def _number(self, at: int, size: int) -> int:
        return int.from_bytes(self._tiff[at : at + size], self._order)


def decoded(text: bytes) -> str:
    """`text` in UTF-8, or else in Latin 1."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")
