"""The document of format=json has the size of the picture and the facts of the original."""

import json

import pytest

from proxy.core.url.dialects.cloudflare.documents import sizes_document
from proxy.core.url.dialects.native.urls import parse_transform

DESCRIBED = json.dumps({"bytes": 1234, "width": 640, "height": 480, "format": "png", "alpha": True}).encode()


@pytest.mark.parametrize(
    ("tokens", "size"),
    [
        ("w_80", (80, 60)),
        ("w_80,dpr_2", (160, 120)),
        ("w_80,h_80,c_fill", (80, 80)),
        ("w_80,h_80,c_fill,g_auto", (80, 80)),
        ("w_100,h_300,c_pad~a_90", (300, 100)),
        ("trim_10", (640, 480)),
        ("e_sepia", (640, 480)),
    ],
)
def test_sizes(tokens: str, size: tuple[int, int]) -> None:
    document = sizes_document(parse_transform(tokens, {}))
    made = json.loads(document.make(DESCRIBED))
    original = {"file_size": 1234, "width": 640, "height": 480, "format": "image/png"}
    assert made == {"width": size[0], "height": size[1], "original": original}
    assert document.mime == "application/json"


def test_documents_of_different_pictures_have_different_names() -> None:
    names = {sizes_document(parse_transform(tokens, {})).name for tokens in ("w_80", "w_81", "w_80,dpr_2")}
    assert len(names) == 3
