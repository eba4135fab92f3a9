"""The layers of ImageKit: `l-image,i-KEY,...,l-end` and `l-text,i-TEXT,...,l-end`, drawn after the rest of their step."""

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeVar

from proxy.core.errors import BadTransform, BadUrl, NotSupported, SourceNotAllowed
from proxy.core.nearest import named
from proxy.core.transform.lengths import Length, Part
from proxy.core.transform.operations import CENTER, Align, Colour, Fit, FocalPoint, Overlay, Shifted, Text
from proxy.core.url.dialects.dialect import UnsupportedValue, refusal
from proxy.core.url.dialects.imagekit.values import FOCUS, colour
from proxy.core.url.dialects.shared_values import choice, whole
from proxy.core.url.dialects.texts import (
    GENERIC_FONT,
    MAX_FONT_PX,
    MAX_PADDING_PX,
    MAX_WIDTH_PX,
    STYLES,
    checked_text,
)
from proxy.core.url.target import checked_key, of_base64

_T = TypeVar("_T")

_END = "l-end"
_CANVAS = "ik_canvas"
_DEFAULT_FONT_PX = 14
_MOST_PX = 9999
_PART = re.compile(r"0\.[0-9]{1,4}", re.ASCII)
_OFFSET = re.compile(r"(N?)([0-9]{1,5})", re.ASCII)
_STYLES: Mapping[str, tuple[str, object]] = {
    "b": STYLES["bold"],
    "i": STYLES["italic"],
    "strikethrough": ("struck", True),
}


def without_layers(parts: Sequence[str]) -> tuple[list[str], list[Overlay]]:
    """The parts of a step that belong to no layer, and its layers. Raises BadTransform or NotSupported."""
    rest: list[str] = []
    layers: list[Overlay] = []
    open_layer: list[str] | None = None
    for part in parts:
        if open_layer is None and part.startswith("l-"):
            open_layer = [part]
        elif open_layer is None:
            rest.append(part)
        elif part == _END:
            layers.append(_layer(open_layer))
            open_layer = None
        elif part.startswith("l-"):
            raise NotSupported("parameter l is not supported within another layer")
        else:
            open_layer.append(part)
    if open_layer is not None:
        raise NotSupported("parameter l is supported with an l-end in its own step")
    return rest, layers


def _layer(parts: Sequence[str]) -> Overlay:
    kind, *options = parts
    readers = {"l-image": _IMAGE, "l-text": _TEXT}.get(kind)
    if readers is None:
        raise NotSupported("parameter l is supported as l-image and l-text")
    found: dict[str, Any] = {}
    for position, option in enumerate(options, start=1):
        name, _, value = option.partition("-")
        if name not in readers:
            raise NotSupported(f"parameter {named(name, position)} is not supported in a layer")
        field, read = readers[name]
        found[field] = _read(name, read, value)
    if "of" not in found:
        raise BadTransform("parameter l must have i or ie")
    position_at: dict[str, Any] = {
        "at": _position(found),
        "opacity_percent": found.get("opacity_percent", 100),
    }
    if readers is _TEXT:
        return Overlay(of=_text(found), **position_at)
    sides: dict[str, Any] = {"width": found.get("width"), "height": found.get("height")}
    if found["of"] == _CANVAS:
        return Overlay(of=found.get("background", Colour(0, 0, 0)), fit=Fit.FILL, **sides, **position_at)
    if "background" in found:
        raise NotSupported("parameter bg is not supported in a layer, but for ik_canvas and a text")
    is_box = None not in sides.values()
    return Overlay(
        of=_read("i", _key, found["of"]), fit=Fit.FILL if is_box else Fit.INSIDE, **sides, **position_at
    )


def _read(name: str, read: Callable[[str], _T], text: str) -> _T:
    try:
        return read(text)
    except ValueError as reason:
        raise refusal(reason, f"parameter {name} {reason}") from None


def _key(text: str) -> str:
    try:
        return checked_key(text.replace("@@", "/").removeprefix("/"))
    except (BadUrl, SourceNotAllowed):
        raise ValueError("must be the path of a picture, with @@ in place of slashes") from None


def _text(found: Mapping[str, Any]) -> Text:
    fields: dict[str, Any] = {"family": GENERIC_FONT, "size_px": _DEFAULT_FONT_PX} | {
        name: value for name, value in found.items() if name in Text.__dataclass_fields__
    }
    return Text(text=_read("i", checked_text, found["of"]), **fields | dict(found.get("style", ())))


def _styles(text: str) -> list[tuple[str, object]]:
    words = text.split("_")
    if not _STYLES.keys() >= set(words):
        raise UnsupportedValue(f"is not supported but with {', '.join(_STYLES)}")
    return [_STYLES[word] for word in words]


def _length(text: str) -> Length:
    if _PART.fullmatch(text) and Fraction(text):
        return Part(Fraction(text))
    return whole(text, 1, _MOST_PX)


def _offset(text: str) -> tuple[bool, int]:
    """Whether it is measured from the far edge, and pixels."""
    match = _OFFSET.fullmatch(text)
    if match is None:
        raise UnsupportedValue("is not supported but with pixels, with N before those from the far edge")
    return bool(match[1]), int(match[2])


def _focus(text: str) -> FocalPoint:
    found = FOCUS.get(text)
    if not isinstance(found, FocalPoint):
        raise UnsupportedValue("is not supported but with a side, a corner or center")
    return found


def _position(found: Mapping[str, Any]) -> FocalPoint | Shifted:
    """Of a layer whose offsets are not given, the middle; otherwise the edge that each is measured from."""
    if "x" not in found and "y" not in found:
        return found.get("focus", CENTER)  # type: ignore[no-any-return]
    if "focus" in found:
        raise NotSupported("parameter lfo is not supported beside lx and ly")
    (is_right, x_px), (is_below, y_px) = (found.get(name, (False, 0)) for name in ("x", "y"))
    point = FocalPoint(1.0 if is_right else 0.0, 1.0 if is_below else 0.0)
    return Shifted(point, -x_px if is_right else x_px, -y_px if is_below else y_px)


_Readers = dict[str, tuple[str, Callable[[str], object]]]
_POSITION: _Readers = {
    "lx": ("x", _offset),
    "ly": ("y", _offset),
    "lfo": ("focus", _focus),
    "o": ("opacity_percent", lambda text: whole(text, 0, 100)),
}
_SOURCE: _Readers = {"i": ("of", str), "ie": ("of", of_base64), "bg": ("background", colour)}
_IMAGE: _Readers = _SOURCE | _POSITION | {"w": ("width", _length), "h": ("height", _length)}
_TEXT: _Readers = (
    _SOURCE
    | _POSITION
    | {
        "ff": ("family", checked_text),
        "fs": ("size_px", lambda text: whole(text, 1, MAX_FONT_PX)),
        "co": ("colour", colour),
        "w": ("width_px", lambda text: whole(text, 1, MAX_WIDTH_PX)),
        "pa": ("padding_px", lambda text: whole(text, 0, MAX_PADDING_PX)),
        "ia": ("align", lambda text: Align(choice(*Align)(text))),
        "tg": ("style", _styles),
    }
)
