"""The options of a text in the value of `l_`: `t` is the text, `f` its font as in `DejaVu Sans:bold:italic`, `s` its size, `co` its
colour, `w` where lines wrap, `a` their alignment, `ls` and `lh` what is added between letters and lines, `st` an outline as in
`000000:2`, `bg` a background and its margin as in `ffffff80:8`.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from proxy.core.errors import BadUrl
from proxy.core.transform.operations import Align, Colour, Text
from proxy.core.url.dialects.native.filters import MAX_OUTLINE_PX
from proxy.core.url.dialects.texts import (
    GENERIC_FONT,
    MAX_FONT_PX,
    MAX_PADDING_PX,
    MAX_WIDTH_PX,
    STYLES,
    checked_text,
)
from proxy.core.url.target import decoded

DEFAULT_FONT_PX = 16
_PIXELS = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)
_WIDTH = re.compile(r"0|-?[1-9][0-9]{0,2}", re.ASCII)
_WEIGHT = re.compile(r"[1-9][0-9]{2}|1000", re.ASCII)
_STYLES = STYLES | {"underline": ("underlined", True), "strike": ("struck", True)}

ReadColour = Callable[[str], Colour]
OptionReaders = dict[str, tuple[str, Callable[[str], object]]]
"""The field and the reader of each option."""


def one_of(words: Mapping[str, object], name: str) -> Callable[[str], object]:
    def read(text: str) -> object:
        if text not in words:
            raise ValueError(f"must have one of {', '.join(words)} for {name}")
        return words[text]

    return read


def text_readers(colour: ReadColour) -> OptionReaders:
    return {
        "t": ("text", lambda text: checked_text(_decoded(text))),
        "f": ("font", _font),
        "s": ("size_px", partial(_pixels, "s", MAX_FONT_PX)),
        "co": ("colour", colour),
        "w": ("width_px", partial(_pixels, "w", MAX_WIDTH_PX)),
        "a": ("align", one_of({each.value: each for each in Align}, "a")),
        "ls": ("letter_px", partial(_width, "ls")),
        "lh": ("line_px", partial(_width, "lh")),
        "st": ("stroke", partial(_band, "st", MAX_OUTLINE_PX, colour)),
        "bg": ("background", partial(_band, "bg", MAX_PADDING_PX, colour)),
    }


def text_of_options(found: dict[str, Any]) -> Text:
    """The text of these options."""
    fields: dict[str, Any] = {"family": GENERIC_FONT, "size_px": DEFAULT_FONT_PX, **found}
    fields |= fields.pop("font", {})
    if "stroke" in fields:
        fields["stroke"], fields["stroke_px"] = fields["stroke"]
    if "background" in fields:
        fields["background"], fields["padding_px"] = fields["background"]
    return Text(**fields)


def options_of(text: Text) -> dict[str, str]:
    """The options that are read as `text`."""
    default = Text(text="", family="", size_px=0)
    words = [("italic", text.italic), ("underline", text.underlined), ("strike", text.struck)]
    weight = [f"{text.weight}"] if text.weight != default.weight else []
    font = ":".join([_encoded(text.family), *weight, *(word for word, is_set in words if is_set)])
    return {
        "t": _encoded(text.text),
        "f": "" if font == GENERIC_FONT else font,
        "s": f"{text.size_px}",
        "co": "" if text.colour == default.colour else text.colour.hex,
        "w": "" if text.width_px is None else f"{text.width_px}",
        "a": "" if text.align is default.align else text.align.value,
        "ls": f"{text.letter_px}" if text.letter_px else "",
        "lh": f"{text.line_px}" if text.line_px else "",
        "st": f"{text.stroke.hex}:{text.stroke_px}" if text.stroke_px else "",
        "bg": f"{text.background.hex}:{text.padding_px}" if text.background.alpha else "",
    }


def _decoded(text: str) -> str:
    try:
        return decoded(text, "the text")
    except BadUrl:
        raise ValueError("must have a text in UTF-8, percent-encoded twice") from None


def _encoded(text: str) -> str:
    return quote(quote(text, safe=" ").replace("~", "%7E"), safe="")


def _font(text: str) -> dict[str, object]:
    """A family, and words or numbers behind it."""
    family, *words = text.split(":")
    found: dict[str, object] = {"family": checked_text(_decoded(family))}
    for word in words:
        if word in _STYLES:
            name, value = _STYLES[word]
            found[name] = value
        elif _WEIGHT.fullmatch(word):
            found["weight"] = int(word)
        else:
            raise ValueError(
                f"must have a font as in f:DejaVu Sans:bold:italic, with {', '.join(_STYLES)}, or a weight from"
                " 100 to 1000"
            )
    return found


def _pixels(name: str, most_px: int, text: str) -> int:
    if not _PIXELS.fullmatch(text) or int(text) > most_px:
        raise ValueError(f"must have pixels from 1 to {most_px} for {name} of a text")
    return int(text)


def _width(name: str, text: str) -> int:
    if not _WIDTH.fullmatch(text):
        raise ValueError(f"must have pixels from -999 to 999 for {name}")
    return int(text)


def _band(name: str, most_px: int, colour: ReadColour, text: str) -> tuple[Colour, int]:
    """A colour and a width in pixels."""
    word, _, width = text.partition(":")
    if not _WIDTH.fullmatch(width) or not 0 <= int(width) <= most_px:
        raise ValueError(f"must have a colour and pixels up to {most_px} for {name}, as in {name}:ffffff:4")
    return colour(word), int(width)
