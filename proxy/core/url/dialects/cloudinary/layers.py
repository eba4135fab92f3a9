"""The layers of Cloudinary: `l_<id>` or `u_<id>` with their size and position, in one component or in those up to the one with
`fl_layer_apply`."""

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TypeVar

from proxy.core.errors import BadUrl, NotSupported, SourceNotAllowed
from proxy.core.nearest import named
from proxy.core.transform.lengths import Length, Part
from proxy.core.transform.operations import CENTER, Blend, Fit, FocalPoint, Overlay, Placing, Shifted, Text
from proxy.core.url.dialects.cloudinary.scope import Scope
from proxy.core.url.dialects.cloudinary.texts import OWN, TEXT, read_text
from proxy.core.url.dialects.cloudinary.values import gravity, whole
from proxy.core.url.dialects.dialect import UnsupportedValue, refusal
from proxy.core.url.target import checked_key

_T = TypeVar("_T")
Pairs = Sequence[tuple[str, str]]

LAYERS = ("l", "u")
_APPLY = "layer_apply"
_OTHER_KINDS = ("subtitles", "video", "audio", "fetch", "lut")
_DECIMAL = re.compile(r"[0-9]\.[0-9]{1,6}", re.ASCII)
_MOST_PX = 9999
_FITS = {"scale": Fit.FILL, **dict.fromkeys(("fit", "limit", "mfit"), Fit.INSIDE)}
_BLENDS = {each.value: each for each in (Blend.MULTIPLY, Blend.SCREEN, Blend.OVERLAY)}


def component_count(following: Sequence[Pairs]) -> int:
    """How many of the components, of which the first opens a layer, belong to it."""
    for count, pairs in enumerate(following, start=1):
        if count > 1 and pairs[0][0] in LAYERS:
            break
        if any(name == "fl" and _APPLY in value.split(".") for name, value in pairs):
            return count
    return 1


def layer(components: Sequence[Pairs], scope: Scope) -> Overlay:
    """The operation of the components of a layer. Raises BadTransform or NotSupported."""
    (kind, public_id), *pairs = [pair for component in components for pair in component]
    values: dict[str, str] = {}
    blend, flags = Blend.NORMAL, set[str]()
    for name, value in pairs:
        match name:
            case "fl":
                flags |= _read(name, _flags, value)
            case "e":
                blend = _read(name, _blend, value)
            case _:
                _read(name, _add, values, name, value)
    of: str | Text
    width = height = None
    if public_id.startswith(TEXT):
        of = _read(kind, read_text, public_id, values, scope)
    else:
        of = _read(kind, _key, public_id)
        if other := OWN & values.keys():
            raise NotSupported(f"parameter {min(other)} is not supported in a layer, but for a text")
        width, height = (
            _read(name, _length, values.get(name), scope, "relative" in flags) for name in ("w", "h")
        )
    fit = _read("c", _fit, values.get("c", "scale"))
    return Overlay(
        of=of,
        width=width,
        height=height,
        fit=fit if width is not None and height is not None else Fit.INSIDE,
        at=_read("g", _position, values, scope),
        opacity_percent=_read("o", whole, values.get("o", "100"), scope, 0, 100),
        blend=blend,
        placing=Placing.UNDER if kind == "u" else Placing.TILE if "tiled" in flags else Placing.OVER,
    )


def _read(name: str, read: Callable[..., _T], *arguments: object) -> _T:
    """What `read` makes of the arguments. Raises BadTransform or NotSupported with the name of the parameter."""
    try:
        return read(*arguments)
    except ValueError as reason:
        raise refusal(reason, f"parameter {name} {reason}") from None


def _add(values: dict[str, str], name: str, value: str) -> None:
    if name not in ("w", "h", "c", "g", "x", "y", "o", *OWN):
        raise UnsupportedValue("is not supported in a layer")
    if values.setdefault(name, value) != value:
        raise UnsupportedValue("is not supported twice in a layer")


def _key(public_id: str) -> str:
    """The key of a public id, whose folders are separated by colons; `.png` if it names no format."""
    if public_id.partition(":")[0] in _OTHER_KINDS:
        raise UnsupportedValue(f"is not supported as {', '.join(_OTHER_KINDS)}")
    key = public_id.replace(":", "/")
    try:
        return checked_key(key if "." in key.rpartition("/")[2] else f"{key}.png")
    except (BadUrl, SourceNotAllowed):
        raise ValueError("must be a public id, with colons in place of slashes") from None


def _flags(value: str) -> set[str]:
    flags = set(value.split("."))
    if other := sorted(flags - {_APPLY, "relative", "no_overflow", "tiled"}):
        raise UnsupportedValue(f"{named(other[0], 1)} is not supported in a layer")
    return flags


def _blend(value: str) -> Blend:
    if value not in _BLENDS:
        raise UnsupportedValue(f"is supported as {', '.join(_BLENDS)} in a layer only")
    return _BLENDS[value]


def _fit(value: str) -> Fit:
    if value not in _FITS:
        raise UnsupportedValue(f"is supported as {', '.join(_FITS)} in a layer only")
    return _FITS[value]


def _length(text: str | None, scope: Scope, is_relative: bool) -> Length | None:
    """Pixels, or with `fl_relative` a part of the picture below."""
    if text is None:
        return None
    if is_relative and (_DECIMAL.fullmatch(text) or text == "1") and Fraction(text):
        return Part(Fraction(text))
    if "." in text:
        raise UnsupportedValue("is supported as a fraction in a layer with fl_relative only")
    return whole(text, scope, 1, _MOST_PX)


def _position(values: dict[str, str], scope: Scope) -> FocalPoint | Shifted:
    point = gravity(values["g"]) if "g" in values else CENTER
    if not isinstance(point, FocalPoint):
        raise UnsupportedValue("is supported as a direction in a layer only")
    x, y = (whole(values.get(name, "0"), scope, -_MOST_PX, _MOST_PX) for name in ("x", "y"))
    if not x and not y:
        return point
    # Offsets are measured from the named edges inwards.
    return Shifted(point, -x if point.x == 1 else x, -y if point.y == 1 else y)
