"""The value of `l_`: an original that is drawn over the picture, as in `l_logos:shop.png;w:0.2;g:south_east:-10:-10;o:60`.

First the key, with colons in place of its slashes; then options, separated by semicolons, each with its value behind a
colon. A percent sign, colon, semicolon, comma or tilde of the key is percent-encoded twice.
"""

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from urllib.parse import quote

from proxy.core.errors import BadUrl, SourceNotAllowed
from proxy.core.transform.lengths import Length, Part
from proxy.core.transform.operations import CENTER, Blend, Fit, FocalPoint, Gravity, Overlay, Placing, Shifted
from proxy.core.url.target import checked_key, decoded

MAX_LAYERS = 8
_PIXELS = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_PART = re.compile(r"[0-9]\.[0-9]{1,4}", re.ASCII)
_PERCENT = re.compile(r"100|[1-9]?[0-9]", re.ASCII)
_OPTIONS = "w, h, c, g, o, b and p"


def read_layer(value: str, gravity: Callable[[str], Gravity]) -> Overlay:
    """Reads a value; `gravity` reads that of `g`. Raises ValueError."""
    key, *options = value.split(";")
    readers = {**_READERS, "g": ("at", lambda text: _point(gravity(text)))}
    found: dict[str, object] = {}
    for option in options:
        name, colon, text = option.partition(":")
        if not colon or name not in readers:
            raise ValueError(f"must have options of {_OPTIONS} with a value, as in l_logo.png;w:0.2")
        field, read = readers[name]
        if field in found:
            raise ValueError(f"has the option {name} twice")
        found[field] = read(text)
    if found.get("fit") is Fit.FILL and not {"width", "height"} <= found.keys():
        raise ValueError("must have w and h with c:scale")
    try:
        plain = checked_key(decoded(key.replace(":", "/"), "the key"))
    except (BadUrl, SourceNotAllowed):
        raise ValueError("must begin with the key of an original, with colons in place of slashes") from None
    return Overlay(key=plain, **found)  # type: ignore[arg-type] # Each reader gives what its field takes.


def layer_text(layer: Overlay, gravity: Callable[[Gravity], str]) -> str:
    """The value that is read as `layer`, percent-encoded for a path."""
    options = {
        "w": _length_text(layer.width),
        "h": _length_text(layer.height),
        "c": "" if layer.fit is Fit.INSIDE else "scale",
        "g": "" if layer.at == CENTER else gravity(layer.at),
        "o": "" if layer.opacity_percent == 100 else f"{layer.opacity_percent}",
        "b": "" if layer.blend is Blend.NORMAL else layer.blend.value,
        "p": "" if layer.placing is Placing.OVER else layer.placing.value,
    }
    key = quote(layer.key, safe="/").replace("/", ":").replace("~", "%7E")
    return ";".join([quote(key, safe=":"), *(f"{name}:{text}" for name, text in options.items() if text)])


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


def _one_of(words: Mapping[str, object], name: str) -> Callable[[str], object]:
    def read(text: str) -> object:
        if text not in words:
            raise ValueError(f"must have one of {', '.join(words)} for {name}")
        return words[text]

    return read


_READERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "w": ("width", _length),
    "h": ("height", _length),
    "c": ("fit", _one_of({"fit": Fit.INSIDE, "scale": Fit.FILL}, "c")),
    "o": ("opacity_percent", _percent),
    "b": ("blend", _one_of({each.value: each for each in Blend}, "b")),
    "p": ("placing", _one_of({each.value: each for each in Placing}, "p")),
}
"""The field and the reader of each option but `g`."""
