"""The documents that imgix makes of an original."""

import json

import pytest

from proxy.core.image.metadata import FIELDS
from proxy.core.url.dialects.imgix.documents import document_of
from proxy.core.url.dialects.imgix.parameter_values import ParameterValues

INFO = {
    **dict.fromkeys(FIELDS),
    **{"width": 600, "height": 400, "format": "jpeg", "bytes": 1234, "orientation": 6, "alpha": False},
    **{"profile": "sRGB", "exif": {"Make": "Canon"}, "blurhash": "LEHV6nWB2yk8", "palette": ["#ff0000", "#000000"]},
}  # fmt: skip
BODY = json.dumps(INFO).encode()


def made(described: str = "", body: bytes = BODY, **parameters: object) -> tuple[str, bytes]:
    document = document_of(ParameterValues(**parameters), described)  # type: ignore[arg-type]
    return document.mime, document.make(body)


def test_facts() -> None:
    mime, body = made("json")
    assert mime == "application/json"
    assert json.loads(body) == {
        "Content-Type": "image/jpeg",
        "Content-Length": "1234",
        "PixelWidth": 600,
        "PixelHeight": 400,
        "Orientation": 6,
        "ColorModel": "RGB",
        "Depth": 8,
        "HasAlpha": False,
        "ProfileName": "sRGB",
        "Exif": {"Make": "Canon"},
    }
    bare = json.dumps({**INFO, "profile": None, "exif": {}}).encode()
    assert not {"ProfileName", "Exif"} & json.loads(made("json", bare)[1]).keys()


def test_blurhash() -> None:
    assert made("blurhash") == ("text/plain", b"LEHV6nWB2yk8")


def test_palette_as_json() -> None:
    mime, body = made(palette="json")
    assert mime == "application/json"
    assert json.loads(body) == {
        "colors": [
            {"red": 1.0, "hex": "#ff0000", "blue": 0.0, "green": 0.0},
            {"red": 0.0, "hex": "#000000", "blue": 0.0, "green": 0.0},
        ],
        "average_luminance": 0.1063,
        "dominant_colors": {},
    }
    transparent = json.dumps({**INFO, "palette": []}).encode()
    assert json.loads(made(body=transparent, palette="json")[1])["average_luminance"] == 0


def test_palette_as_style_sheet() -> None:
    mime, body = made(palette="css", prefix="shop", colours=1)
    assert mime == "text/css"
    assert body.decode().splitlines() == [
        ".shop-fg-1 { color:#ff0000 !important; }",
        ".shop-bg-1 { background-color:#ff0000 !important; }",
    ]


def test_palette_takes_precedence_over_a_format() -> None:
    assert made("json", palette="css")[0] == "text/css"


@pytest.mark.parametrize("parameters", [{"colours": 2}, {"prefix": "a"}, {"palette": "json"}])
def test_different_documents_have_different_names(parameters: dict[str, object]) -> None:
    first = document_of(ParameterValues(palette="css"), "")
    assert document_of(ParameterValues(**{"palette": "css", **parameters}), "").name != first.name  # type: ignore[arg-type]
