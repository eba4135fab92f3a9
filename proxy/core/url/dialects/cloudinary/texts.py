"""The texts of Cloudinary's layers: `l_text:FONT_SIZE_STYLES:TEXT`."""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from proxy.core.errors import BadUrl
from proxy.core.transform.operations import BLACK, Align, Text
from proxy.core.url.dialects.cloudinary.scope import Scope
from proxy.core.url.dialects.cloudinary.values import border, colour, whole
from proxy.core.url.dialects.dialect import UnsupportedValue
from proxy.core.url.dialects.native.filters import MAX_OUTLINE_PX
from proxy.core.url.dialects.texts import MAX_FONT_PX, MAX_SPACING_PX, MAX_WIDTH_PX, STYLES, checked_text
from proxy.core.url.target import decoded

TEXT = "text:"
OWN = frozenset(("co", "b", "bo"))
"""Parameters that only the layer of a text has."""
_STYLE = re.compile(
    r"(?P<family>[^_:]+(?:_[^_:]+)*?)_(?P<size>[0-9]{1,5})(?P<styles>(?:_[a-z0-9-]+)*)", re.ASCII | re.DOTALL
)
_SPACING = re.compile(r"_(letter|line)_spacing_(-?[0-9]{1,4}(?:\.[0-9]{1,2})?)", re.ASCII)
_NO_EFFECT = re.compile(r"_(?:antialias|hinting)_[a-z]+", re.ASCII)
_VARIABLE = re.compile(r"\$\(([A-Za-z][A-Za-z0-9]*)\)", re.ASCII)
_WORDS = STYLES | {
    "underline": ("underlined", True),
    "strikethrough": ("struck", True),
    **{each.value: ("align", each) for each in Align},
    "start": ("align", Align.LEFT),
    "end": ("align", Align.RIGHT),
}
_STROKE = "stroke"


def read_text(public_id: str, values: Mapping[str, str], scope: Scope) -> Text:
    """The text of a public id that begins with `text:`, with the parameters of its component. Raises ValueError."""
    style, colon, text = public_id.removeprefix(TEXT).partition(":")
    match = _STYLE.fullmatch(style)
    if match is None or not colon:
        raise UnsupportedValue(
            "is supported for a text as l_text:FONT_SIZE:TEXT, with styles behind the size"
        )
    fields: dict[str, Any] = {}
    spacing = {name: round(float(width)) for name, width in _SPACING.findall(match["styles"])}
    if any(abs(width) > MAX_SPACING_PX for width in spacing.values()):
        raise ValueError(f"must have spacings of at most {MAX_SPACING_PX} pixels")
    words = set(_NO_EFFECT.sub("", _SPACING.sub("", match["styles"])).split("_")[1:])
    for word in words - {_STROKE}:
        if word not in _WORDS:
            raise UnsupportedValue(
                f"is supported for a text with {', '.join(_WORDS)}, {_STROKE} and spacings"
            )
        name, value = _WORDS[word]
        fields[name] = value
    size_px = int(match["size"])
    if not 1 <= size_px <= MAX_FONT_PX:
        raise ValueError(f"must have a font size from 1 to {MAX_FONT_PX}")
    if _STROKE in words:
        found = border(values["bo"]) if "bo" in values else None
        fields["stroke_px"], fields["stroke"] = found or (1, BLACK)
        if fields["stroke_px"] > MAX_OUTLINE_PX:
            raise ValueError(f"must have an outline of at most {MAX_OUTLINE_PX} pixels")
    if "co" in values:
        fields["colour"] = colour(values["co"])
    if "b" in values:
        fields["background"] = colour(values["b"])
    return Text(
        text=checked_text(_with_variables(_decoded(text), scope)),
        family=checked_text(_decoded(match["family"])),
        size_px=size_px,
        letter_px=spacing.get("letter", 0),
        line_px=spacing.get("line", 0),
        width_px=_width(values, scope),
        **fields,
    )


def _width(values: Mapping[str, str], scope: Scope) -> int | None:
    """Where lines wrap."""
    if "w" not in values and "h" not in values:
        return None
    if "h" in values or values.get("c") != "fit":
        raise UnsupportedValue("is supported for a text with w and c_fit, which wrap its lines")
    return whole(values["w"], scope, 1, MAX_WIDTH_PX)


def _decoded(text: str) -> str:
    """A component is decoded once before; a comma and a slash are encoded twice."""
    try:
        return decoded(text, "the text")
    except BadUrl:
        raise ValueError("must have a text in UTF-8, with %25 for a percent sign") from None


def _with_variables(text: str, scope: Scope) -> str:
    """`text` with the values of the variables in it, as in $(name)."""

    def value(name: re.Match[str]) -> str:
        found = scope.variables.get(f"${name[1]}")
        match found:
            case str():
                return found
            case Fraction():
                return f"{float(found):g}"
        raise UnsupportedValue("has a variable that is not set, or depends on the original")

    return _VARIABLE.sub(value, text)
