"""Drawing texts, in the worker that does nothing else: Pango opens fonts when it needs them, so this worker may read the folders
of fonts, and never sees an original. A text is data: markup in it is shown.
"""

import os
import re
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from tempfile import NamedTemporaryFile

import pyvips

from proxy.core.errors import BadTransform
from proxy.core.image.size import Size
from proxy.core.nearest import meant, nearest
from proxy.core.transform.operations import OPAQUE, Align, Text
from proxy.render.shapes import masked, on_colour, outlined

CONFIGURATION = "/etc/fonts"
MAX_SIDE_PX = 8192
MAX_PIXELS = 16 * 2**20
_SAMPLE_PX = 8
"""The font size at which a text is measured that may be too large."""
_SUFFIXES = frozenset({".ttf", ".otf", ".ttc", ".otc"})
_QUOTABLE = re.compile(r"[A-Za-z0-9 -]{1,64}", re.ASCII)
"""Names that an error repeats."""
_FAMILY_NAMES = (1, 16)
"""The family of four styles, and the typographic one (OpenType, name table)."""
_ALIGN = {Align.LEFT: "low", Align.CENTER: "centre", Align.RIGHT: "high"}
_GENERIC = ("sans-serif", "serif", "monospace")
_METRIC_ALIASES = {
    "arial": "liberation sans",
    "helvetica": "liberation sans",
    "times": "liberation serif",
    "times new roman": "liberation serif",
    "courier": "liberation mono",
    "courier new": "liberation mono",
    "calibri": "carlito",
    "cambria": "caladea",
}
"""Free fonts whose letters have the widths of the others, as in fontconfig's 30-metric-aliases.conf."""


class TextDrawer:
    """The fonts of `folders`, used once: nothing but their files is opened in the sandbox."""

    def __init__(self, folders: Sequence[str]) -> None:
        self._families: dict[str, str] = {}
        self._cure = "see render.fonts"
        try:
            self._families = {family.lower(): family for family in _families(folders)}
        except ImportError:
            self._cure = "install calotype[text]"
        if self._families:
            with NamedTemporaryFile(suffix=".conf") as file:
                file.write(_configuration(folders).encode())
                file.flush()
                # Read once, when the first text is drawn.
                os.putenv("FONTCONFIG_FILE", file.name)
                self.draw(Text(text="a", family=next(iter(self._families.values())), size_px=_SAMPLE_PX))

    def draw(self, text: Text) -> bytes:
        """A PNG of `text`, as large as its lines, its outline and its padding. Raises BadTransform for a font that is not
        there, and for a text that is too large; pyvips.Error."""
        family = self._family(text.family)
        if text.size_px > _SAMPLE_PX:
            _check_size(text, family)
        image = _lines(text, family, text.size_px, text.width_px)
        # The letters have their colour already, but for its alpha.
        if text.colour.alpha < OPAQUE:
            image = masked(image, text.colour.alpha / OPAQUE)
        if text.stroke_px:
            image = outlined(_padded(image, text.stroke_px), text.stroke_px, text.stroke)
        if text.background.alpha:
            image = on_colour(_padded(image, text.padding_px), text.background)
        return bytes(image.write_to_buffer(".png", compression=1))

    def _family(self, name: str) -> str:
        """The family as its font spells it, or that of a font with the same widths."""
        known = self._families
        lower = name.lower()
        if found := known.get(lower) or known.get(_METRIC_ALIASES.get(lower, "")):
            return found
        if lower in _GENERIC and known:
            return lower
        if not known:
            raise BadTransform(f"a text needs fonts, and this node has none: {self._cure}")
        near = meant(nearest(name, sorted(known.values())))
        font = f"the font {name}" if _QUOTABLE.fullmatch(name) else "the font of a text"
        raise BadTransform(f"{font} is not installed on this node{near or '; see render.fonts'}")


def _configuration(folders: Sequence[str]) -> str:
    """Has fontconfig read these folders, with the rules of this machine, and look for no changes."""
    directories = "".join(f"<dir>{escape(folder)}</dir>" for folder in folders)
    return (
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>'
        f"{directories}<cachedir>/var/cache/fontconfig</cachedir>"
        f'<include ignore_missing="yes">{CONFIGURATION}/conf.d</include><config><rescan><int>0</int></rescan></config>'
        "</fontconfig>"
    )


def _families(folders: Sequence[str]) -> Iterator[str]:
    """The families of all fonts in `folders`. A file that is no font has none."""
    from fontTools.ttLib import TTCollection, TTFont, TTLibError

    for folder in folders:
        for path in sorted(Path(folder).rglob("*")):
            suffix = path.suffix.lower()
            if suffix not in _SUFFIXES:
                continue
            try:
                with path.open("rb") as file:
                    of_several = suffix in (".ttc", ".otc")
                    fonts = TTCollection(file, lazy=True).fonts if of_several else [TTFont(file, lazy=True)]
                    yield from (name for font in fonts for name in _names(font))
            except (TTLibError, OSError, KeyError, AssertionError, ValueError):
                continue


def _names(font: object) -> list[str]:
    records = font["name"].names  # type: ignore[index] # fontTools has no types
    return [str(record.toUnicode(errors="replace")) for record in records if record.nameID in _FAMILY_NAMES]


def _check_size(text: Text, family: str) -> None:
    """Raises BadTransform if the drawn text is larger than allowed, by its size in a small font."""
    width_px = None if text.width_px is None else max(1, text.width_px * _SAMPLE_PX // text.size_px)
    sample = _lines(text, family, _SAMPLE_PX, width_px)
    size = Size(*(side * text.size_px // _SAMPLE_PX for side in (sample.width, sample.height)))
    if max(size) > MAX_SIDE_PX or size.width * size.height > MAX_PIXELS:
        raise BadTransform(
            f"a text is about {size.width} by {size.height} pixels, more than {MAX_SIDE_PX} on a side or {MAX_PIXELS} in all;"
            " make its font smaller, or wrap its lines"
        )


def _lines(text: Text, family: str, size_px: int, width_px: int | None) -> pyvips.Image:
    """The text in black on transparency, emoji in their colours."""
    style = {
        "font_family": family,
        "size": f"{size_px * 1024}",
        "weight": f"{text.weight}",
        "style": "italic" if text.italic else "normal",
        "underline": "single" if text.underlined else "none",
        "strikethrough": "true" if text.struck else "false",
        "letter_spacing": f"{text.letter_px * size_px * 1024 // text.size_px}",
        "foreground": f"#{text.colour.hex[:6]}",
    }
    attributes = " ".join(f'{name}="{escape(value)}"' for name, value in style.items())
    wrapped = {} if width_px is None else {"width": width_px, "wrap": "word-char"}
    return pyvips.Image.text(
        f"<span {attributes}>{escape(text.text)}</span>",
        dpi=72,
        rgba=True,
        align=_ALIGN[text.align],
        spacing=text.line_px * size_px // text.size_px,
        **wrapped,
    )


def _padded(image: pyvips.Image, width_px: int) -> pyvips.Image:
    size = Size(image.width + 2 * width_px, image.height + 2 * width_px)
    return image.embed(width_px, width_px, *size, background=[0, 0, 0, 0])
