"""What the writers of the dialects share. A writer makes the URL of a vendor that requests what a Transform says; `parse`
of the dialect reads it again, and decides whether it does."""

from collections.abc import Mapping
from typing import TypeVar

from proxy.core.image.formats import Format
from proxy.core.transform.operations import Auto, Background, Colour

_T = TypeVar("_T")

COLUMNS = {0.0: "left", 0.5: "", 1.0: "right"}
ROWS = {0.0: "top", 0.5: "", 1.0: "bottom"}
"""The words for the edges by the x and the y of a focal point; empty for the middle."""


class NotWritable(Exception):
    """The vendor has no word for a part of the transform."""


def word(words: Mapping[str, _T], meaning: object) -> str:
    """The first of `words` with this meaning. Raises NotWritable."""
    for name, known in words.items():
        if known == meaning:
            return name
    raise NotWritable


def plain(background: Background) -> Colour:
    """A colour. Raises NotWritable for a background that is made of the picture."""
    if not isinstance(background, Colour):
        raise NotWritable
    return background


def pixels(length: object, none: str = "0") -> str:
    """A side or an offset in pixels, `none` without one. Raises NotWritable for parts of a picture."""
    if length is None:
        return none
    if not isinstance(length, int):
        raise NotWritable
    return f"{length}"


def suffix(kind: Format | Auto | None, auto: str | None = None) -> str:
    """The word for a format that every vendor has, empty for that of the original; `auto` is the vendor's word for a
    negotiated one. Raises NotWritable."""
    if kind is None:
        return ""
    if kind is Auto.AUTO and auto is not None:
        return auto
    if not isinstance(kind, Format):
        raise NotWritable
    return "jpg" if kind is Format.JPEG else kind.value
