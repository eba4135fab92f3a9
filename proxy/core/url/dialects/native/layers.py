"""The value of `l_`: what is drawn over the picture. An original, as in `l_logos:shop.png;w:0.2;g:south_east:-10:-10;o:60`; a
text, as in `l_;t:Sale;f:DejaVu Sans:bold;s:40;co:ffffff`; or a rectangle of one colour, as in `l_;co:00000080;h:0.2`.

First the key of an original, with colons in place of its slashes, or nothing; then options, separated by semicolons, each with
its value behind a colon. A percent sign, colon, semicolon, comma or tilde of a key, a text or a font is percent-encoded twice.
"""

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any
from urllib.parse import quote

from proxy.core.errors import BadUrl, SourceNotAllowed
from proxy.core.transform.lengths import Length, Part
from proxy.core.transform.operations import (
    CENTER,
    Blend,
    Colour,
    Fit,
    FocalPoint,
    Gravity,
    Overlay,
    Placing,
    Shifted,
    Text,
)
from proxy.core.url.dialects.native.texts import (
    OptionReaders,
    ReadColour,
    one_of,
    options_of,
    text_of_options,
    text_readers,
)
from proxy.core.url.target import checked_key, decoded

_PIXELS = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_PART = re.compile(r"[0-9]\.[0-9]{1,4}", re.ASCII)
_PERCENT = re.compile(r"100|[1-9]?[0-9]", re.ASCII)

ReadGravity = Callable[[str], Gravity]


def read_layer(value: str, gravity: ReadGravity, colour: ReadColour) -> Overlay:
    """Reads a value; `gravity` reads that of `g`, `colour` those of colours. Raises ValueError."""
    key, *options = value.split(";")
    position = {**_POSITION, "g": ("at", lambda text: _point(gravity(text)))}
    if key:
        found = _options(options, _SIZE | _FIT | position)
        if found.get("fit") is Fit.FILL and not {"width", "height"} <= found.keys():
            raise ValueError("must have w and h with c:scale")
        return Overlay(of=_key(key), **found)
    if any(option.startswith("t:") for option in options):
        own = text_readers(colour)
        found = _options(options, own | position)
        fields = {field for field, _ in position.values()}
        return Overlay(
            of=text_of_options({name: value for name, value in found.items() if name not in fields}),
            **{name: value for name, value in found.items() if name in fields},
        )
    found = _options(options, {"co": ("of", colour)} | _SIZE | position)
    if "of" not in found:
        raise ValueError(
            "must have a key, or t for a text, or co for a colour, as in l_logo.png, l_;t:Sale and l_;co:f00"
        )
    return Overlay(fit=Fit.FILL, **found)


def layer_text(layer: Overlay, gravity: Callable[[Gravity], str]) -> str:
    """The value that is read as `layer`, percent-encoded for a path."""
    match layer.of:
        case str() as key:
            head = quote(quote(key, safe="/").replace("/", ":").replace("~", "%7E"), safe=":")
            own = _size_texts(layer) | {"c": "" if layer.fit is Fit.INSIDE else "scale"}
        case Text() as text:
            head, own = "", options_of(text)
        case Colour() as colour:
            head, own = "", {"co": colour.hex} | _size_texts(layer)
    position = {
        "g": "" if layer.at == CENTER else gravity(layer.at),
        "o": "" if layer.opacity_percent == 100 else f"{layer.opacity_percent}",
        "b": "" if layer.blend is Blend.NORMAL else layer.blend.value,
        "p": "" if layer.placing is Placing.OVER else layer.placing.value,
    }
    return ";".join([head, *(f"{name}:{text}" for name, text in (own | position).items() if text)])


def _options(options: list[str], readers: OptionReaders) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for option in options:
        name, colon, text = option.partition(":")
        if not colon or name not in readers:
            *names, last = readers
            raise ValueError(
                f"must have options of {', '.join(names)} and {last} with a value, as in l_logo.png;w:0.2"
            )
        field, read = readers[name]
        if field in found:
            raise ValueError(f"has the option {name} twice")
        found[field] = read(text)
    return found


def _key(text: str) -> str:
    try:
        return checked_key(decoded(text.replace(":", "/"), "the key"))
    except (BadUrl, SourceNotAllowed):
        raise ValueError("must begin with the key of an original, with colons in place of slashes") from None


def _size_texts(layer: Overlay) -> dict[str, str]:
    return {"w": _length_text(layer.width), "h": _length_text(layer.height)}


def _length(text: str) -> Length:
    if _PIXELS.fullmatch(text):
        return int(text)
    if _PART.fullmatch(text) and Fraction(text):
        return Part(Fraction(text))
    raise ValueError("must have pixels up to 99999 for w and h, or parts of the picture as in 0.25, below 10")


def _length_text(length: Length | None) -> str:
    match length:
        case None:
            return ""
        case Part(fraction):
            text = f"{float(fraction):.4f}".rstrip("0")
            return f"{text}0" if text.endswith(".") else text
    return f"{length}"


def _point(gravity: Gravity) -> FocalPoint | Shifted:
    if not isinstance(gravity, FocalPoint | Shifted):
        raise ValueError("must have a direction or a focal point for g")
    return gravity


def _percent(text: str) -> int:
    if not _PERCENT.fullmatch(text):
        raise ValueError("must have an opacity from 0 to 100 for o")
    return int(text)


_SIZE: OptionReaders = {"w": ("width", _length), "h": ("height", _length)}
_FIT: OptionReaders = {"c": ("fit", one_of({"fit": Fit.INSIDE, "scale": Fit.FILL}, "c"))}
_POSITION: OptionReaders = {
    "o": ("opacity_percent", _percent),
    "b": ("blend", one_of({each.value: each for each in Blend}, "b")),
    "p": ("placing", one_of({each.value: each for each in Placing}, "p")),
}
