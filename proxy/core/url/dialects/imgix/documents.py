"""The documents of imgix about an original, made from the JSON of `/info/`: `fm=json`, `fm=blurhash` and `palette`."""

import json
from typing import Any

from proxy.core.image.formats import TRAITS, Format
from proxy.core.image.metadata import InfoDocument
from proxy.core.url.dialects.imgix.parameter_values import ParameterValues

_COLOURS = 6
"""The default of the parameter colors."""
_LUMINANCE = (0.2126, 0.7152, 0.0722)
"""The weights of red, green and blue (ITU-R BT.709)."""


def document_of(requested: ParameterValues, described: str) -> InfoDocument:
    """The document that a URL asks for; `described` is its `fm`."""
    most = _COLOURS if requested.colours is None else requested.colours
    match requested.palette:
        case "json":
            return InfoDocument(f"imgix palette {most}", lambda body: _palette(body, most))
        case "css":
            prefix = requested.prefix
            name = f"imgix palette {most} {prefix}"
            return InfoDocument(name, lambda body: _style_sheet(body, most, prefix), "text/css")
    if described == "blurhash":
        return InfoDocument("imgix blurhash", _blurhash, "text/plain")
    return InfoDocument("imgix", _facts)


def _facts(body: bytes) -> bytes:
    """The facts by imgix's names, without those of `/info/` that imgix does not have."""
    info = json.loads(body)
    facts: dict[str, Any] = {
        "Content-Type": TRAITS[Format(info["format"])].mime,
        "Content-Length": str(info["bytes"]),
        "PixelWidth": info["width"],
        "PixelHeight": info["height"],
        "Orientation": info["orientation"],
        "ColorModel": "RGB",
        "Depth": 8,
        "HasAlpha": info["alpha"],
    }
    if info["profile"]:
        facts["ProfileName"] = info["profile"]
    if info["exif"]:
        facts["Exif"] = info["exif"]
    return json.dumps(facts).encode()


def _blurhash(body: bytes) -> bytes:
    text: str = json.loads(body)["blurhash"]
    return text.encode()


def _hex_colours(body: bytes, most: int) -> list[str]:
    found: list[str] = json.loads(body)["palette"]
    return found[:most]


def _palette(body: bytes, most: int) -> bytes:
    colours = [(text, _shares(text)) for text in _hex_colours(body, most)]
    light = [
        sum(weight * share for weight, share in zip(_LUMINANCE, shares, strict=True)) for _, shares in colours
    ]
    document: dict[str, Any] = {
        "colors": [
            {"red": red, "hex": text, "blue": blue, "green": green} for text, (red, green, blue) in colours
        ],
        "average_luminance": round(sum(light) / len(light), 6) if light else 0,
        "dominant_colors": {},
    }
    return json.dumps(document).encode()


def _shares(text: str) -> tuple[float, float, float]:
    red, green, blue = (round(value / 255, 6) for value in bytes.fromhex(text.removeprefix("#")))
    return red, green, blue


def _style_sheet(body: bytes, most: int, prefix: str) -> bytes:
    lines = [
        f".{prefix}-{kind}-{number} {{ {rule}:{text} !important; }}"
        for number, text in enumerate(_hex_colours(body, most), start=1)
        for kind, rule in (("fg", "color"), ("bg", "background-color"))
    ]
    return "\n".join([*lines, ""]).encode()
