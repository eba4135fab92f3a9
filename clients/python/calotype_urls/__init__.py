"""URLs of pictures that a Calotype node serves. Needs the standard library only.

>>> url("shoes/red.jpg", width=400, height=300, fit="fill", format="auto")
'/w_400,h_300,c_fill,f_auto/shoes/red.jpg'

Parameters have the names of `PARAMETERS`, and the values that docs/urls.md gives; a list or tuple gives a parameter several
times, as `effect` and `layer` allow. None leaves a parameter out.
"""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from html import escape, unescape
from math import isfinite
from urllib.parse import quote

from calotype_urls._parameters import PARAMETERS

__all__ = ["PARAMETERS", "Signer", "picture", "srcset", "url"]
__version__ = "0.1.0"

Value = str | int | float
Parameters = Mapping[str, Value | Sequence[Value] | None]

WIDTHS = (320, 640, 960, 1280, 1920)
"""The widths of a srcset, in pixels; the default configuration of a node allows them."""

_VALUE = re.compile(r"[A-Za-z0-9_.:+-]+", re.ASCII)
_REPEATED = ("effect", "layer")
_FILE_NAMES = ("download", "file_name")
_OWN_NAME = "*"  # The file name of the original.
_SEPARATOR = re.compile("[%,~]")
"""What separates values in URLs; in a file name it is encoded twice."""
_NO_KEY = re.compile(r"(?:^|/)(?:\.|/|$)|[\x00-\x1f\x7f\\]")
_NO_FILE_NAME = re.compile(r"^$|[\x00-\x1f\x7f/\\]")
_ABSOLUTE = re.compile(r"https?://", re.IGNORECASE)


class Signer:
    """Signs URLs with `secret`, a key of the node's [signing.keys]. `key_id` names the key, and is needed while several are
    live. With `lifetime_s` a URL is valid for that many seconds from now on."""

    def __init__(self, secret: str, *, key_id: str = "", lifetime_s: float | None = None) -> None:
        if len(secret.encode()) < 32:
            raise ValueError("secret: must have 32 bytes or more, as in [signing.keys] of the node")
        if lifetime_s is not None and not lifetime_s >= 1:
            raise ValueError("lifetime_s: must be at least one second")
        self._secret = secret.encode()
        self._key_id = key_id
        self._lifetime_s = lifetime_s

    def sign(self, target: str) -> str:
        """`target`, the path and query of a URL, with its signature."""
        if self._lifetime_s is not None:
            target = _with(target, "exp", str(int(time.time() + self._lifetime_s)))
        if self._key_id:
            target = _with(target, "kid", self._key_id)
        mac = hmac.digest(self._secret, target.encode(), hashlib.sha256)
        return _with(target, "sig", base64.urlsafe_b64encode(mac).rstrip(b"=").decode())


def url(
    key: str,
    *steps: Parameters,
    base: str = "",
    signer: Signer | None = None,
    **parameters: Value | Sequence[Value] | None,
) -> str:
    """The URL of the variant of `key`, the name of an original in the node's source or an absolute URL.

    `steps` are applied one after the other, then `parameters`. `base` is the address of the node, with the prefix of the mount if
    it has one; without it the URL begins with a slash. Raises TypeError for an unknown parameter, ValueError for a value
    that a URL cannot have.
    """
    chain = "~".join(filter(None, (_step(each) for each in (*steps, parameters))))
    if not chain:
        raise ValueError("give at least one parameter; format='auto' alone re-encodes the original")
    origin, path = _origin_and_path(base)
    target = f"{path}/{chain}/{_key(key)}"
    return origin + (signer.sign(target) if signer else target)


def srcset(
    key: str,
    *steps: Parameters,
    widths: Iterable[int] = WIDTHS,
    base: str = "",
    signer: Signer | None = None,
    **parameters: Value | Sequence[Value] | None,
) -> str:
    """The value of a `srcset` attribute: a URL for each of `widths` in pixels. With `width` and `height` the height
    follows each width, so that the shape stays."""
    width, height = parameters.get("width"), parameters.get("height")
    candidates = []
    for each in widths:
        sized = {**parameters, "width": each}
        if (one := _pixels(width)) and (other := _pixels(height)):
            sized["height"] = max(1, int(each * other / one + 0.5))
        candidates.append(f"{url(key, *steps, base=base, signer=signer, **sized)} {each}w")
    return ", ".join(candidates)


def picture(
    key: str,
    *steps: Parameters,
    alt: str,
    sizes: str = "100vw",
    widths: Iterable[int] = WIDTHS,
    base: str = "",
    signer: Signer | None = None,
    attributes: Mapping[str, object] | None = None,
    **parameters: Value | Sequence[Value] | None,
) -> str:
    """The HTML of an `<img>` with `srcset` and `sizes`, loaded lazily; `format` is auto unless it is given. `width` and
    `height`, if both are given, are its attributes too, so that the page does not move while the picture loads."""
    parameters = {"format": "auto", **parameters}
    widths = tuple(widths)
    if not widths:
        raise ValueError("widths: must have at least one")
    smallest = {**parameters, "width": parameters.get("width") or widths[len(widths) // 2]}
    written: dict[str, object] = {
        "src": url(key, *steps, base=base, signer=signer, **smallest),
        "srcset": srcset(key, *steps, widths=widths, base=base, signer=signer, **parameters),
        "sizes": sizes,
        "alt": alt,
        "loading": "lazy",
        "decoding": "async",
    }
    if parameters.get("width") and parameters.get("height"):
        written |= {side: str(parameters[side]) for side in ("width", "height")}
    written |= attributes or {}
    return "<img " + " ".join(f'{name}="{escape(_plain(value))}"' for name, value in written.items()) + ">"


def _pixels(side: object) -> float:
    """A side as a number, 0 if it is none above 0."""
    try:
        number = float(side)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return 0
    return number if isfinite(number) and number > 0 else 0


def _plain(value: object) -> str:
    """`value` as plain text: template engines pass text that is escaped already as a class of their own."""
    text = "".join(str(value))
    return unescape(text) if hasattr(value, "__html__") else text


def _step(parameters: Parameters) -> str:
    if unknown := next((name for name in parameters if name not in PARAMETERS), None):
        near = get_close_matches(unknown, PARAMETERS, 1)
        raise TypeError(f"{unknown}: unknown parameter" + (f"; is {near[0]} meant?" if near else ""))
    tokens = []
    for name, token in PARAMETERS.items():
        value = parameters.get(name)
        values = [] if value is None else value if isinstance(value, list | tuple) else [value]
        if len(values) > 1 and name not in _REPEATED:
            raise ValueError(f"{name}: takes one value")
        tokens += [f"{token}_{_value(name, each)}" for each in values]
    return ",".join(tokens)


def _value(name: str, value: Value) -> str:
    if (
        isinstance(value, bool)
        or not isinstance(value, Value)
        or (isinstance(value, float) and not isfinite(value))
    ):
        raise ValueError(f"{name}: must be a number or a text")
    text = f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else _plain(value)
    if name in _FILE_NAMES:
        if text == _OWN_NAME:
            return text
        if _NO_FILE_NAME.search(text):
            raise ValueError(f"{name}: must be a file name")
        return quote(_SEPARATOR.sub(lambda found: f"%{ord(found[0]):02X}", text), safe="")
    if not _VALUE.fullmatch(text):
        raise ValueError(f"{name}: must consist of letters, digits and _ . : + -")
    return text


def _key(key: str) -> str:
    if _ABSOLUTE.match(key):
        return quote(key, safe="-._~")
    if _NO_KEY.search(key):
        raise ValueError(
            "key: must be the name of an original, without an empty segment or one that begins with a dot"
        )
    return quote(key, safe="/-._~")


def _origin_and_path(base: str) -> tuple[str, str]:
    base = base.rstrip("/")
    if "?" in base or "#" in base:
        raise ValueError("base: must be an address without a query")
    found = re.match(r"(?:https?:)?//[^/]+", base, re.IGNORECASE)
    return (found[0], base[found.end() :]) if found else ("", base)


def _with(target: str, name: str, value: str) -> str:
    return f"{target}{'&' if '?' in target else '?'}{name}={value}"
