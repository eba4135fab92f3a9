"""The URLs that imgix's own Python library makes of a table of parameters are answered, signed and unsigned."""

from contextlib import closing
from typing import Any

import pytest
from imgix import UrlBuilder  # type: ignore[import-untyped]

from tests.rivals.client_keys import IMGIX_TOKEN
from tests.rivals.comparison import Server
from tests.rivals.conftest import SIGNED, StartNode
from tests.rivals.make_client_urls import DOOR, JPEG, LAKE, LOGO, PNG, WEBP
from tests.rivals.test_clients import changed, described

AVIF, GIF = "image/avif", "image/gif"

Row = tuple[str, dict[str, Any], tuple[int, int], str]

ROWS: list[Row] = [
    (LAKE, {}, (1200, 800), JPEG),
    (LAKE, {"w": 300}, (300, 200), JPEG),
    (LAKE, {"h": 200}, (300, 200), JPEG),
    (LAKE, {"width": 300, "height": 300}, (300, 200), JPEG),
    (LAKE, {"w": 2400}, (2400, 1600), JPEG),
    (LAKE, {"w": 0.25}, (300, 200), JPEG),
    (LAKE, {"w": 300, "h": 300, "fit": "clip"}, (300, 200), JPEG),
    (LAKE, {"w": 2000, "h": 2000, "fit": "max"}, (1200, 800), JPEG),
    (LAKE, {"w": 2000, "h": 1000, "fit": "min"}, (1200, 600), JPEG),
    (LAKE, {"w": 300, "h": 300, "fit": "scale"}, (300, 300), JPEG),
    (LAKE, {"w": 300, "h": 300, "fit": "fill", "fill": "solid", "fill-color": "ff8800"}, (300, 300), JPEG),
    (LAKE, {"w": 1300, "h": 1300, "fit": "fillmax", "bg": "fff"}, (1300, 1300), JPEG),
    (LAKE, {"w": 300, "h": 300, "fit": "crop"}, (300, 300), JPEG),
    (LAKE, {"w": 300, "h": 300, "f": "crop", "crop": "top,left"}, (300, 300), JPEG),
    (LAKE, {"w": 300, "h": 300, "fit": "crop", "crop": "faces,edges"}, (300, 300), JPEG),
    (LAKE, {"w": 300, "h": 300, "fit": "crop", "crop": "entropy"}, (300, 300), JPEG),
    (
        LAKE,
        {"w": 300, "h": 300, "fit": "crop", "crop": "focalpoint", "fp-x": 0.2, "fp-y": 0.8, "fp-z": 1.5},
        (300, 300),
        JPEG,
    ),
    (LAKE, {"w": 320, "ar": "16:9", "fit": "crop"}, (320, 180), JPEG),
    (LAKE, {"h": 200, "fit": "crop", "max-w": 200}, (200, 200), JPEG),
    (LAKE, {"h": 200, "fit": "crop", "min-w": 500}, (500, 200), JPEG),
    (LAKE, {"w": 300, "dpr": 2}, (600, 400), JPEG),
    (LAKE, {"w": 300, "dpr": 0.75}, (225, 150), JPEG),
    (LAKE, {"rect": "100,100,300,200"}, (300, 200), JPEG),
    (LAKE, {"rect": "center,bottom,300,200", "w": 150}, (150, 100), JPEG),
    (LAKE, {"or": 90, "w": 200}, (200, 300), JPEG),
    (LAKE, {"rot": 180, "flip": "h", "w": 300}, (300, 200), JPEG),
    (LAKE, {"rot": 90, "w": 300, "h": 200, "fit": "crop"}, (300, 200), JPEG),
    (LAKE, {"pad": 20, "w": 300, "h": 300, "fit": "crop", "bg": "black"}, (300, 300), JPEG),
    (LAKE, {"pad": 20, "pad-left": 0, "bg": "80ff0000"}, (1220, 840), JPEG),
    (LAKE, {"w": 300, "fm": "webp", "q": 60}, (300, 200), WEBP),
    (LAKE, {"w": 300, "fm": "avif", "lossless": False}, (300, 200), AVIF),
    (LAKE, {"w": 300, "fm": "png8"}, (300, 200), PNG),
    (LAKE, {"w": 300, "fm": "gif"}, (300, 200), GIF),
    (LAKE, {"w": 300, "auto": "format,compress"}, (300, 200), JPEG),
    (DOOR, {"w": 111, "auto": "compress"}, (111, 167), JPEG),
    (LOGO, {"w": 200, "auto": "compress"}, (200, 150), PNG),
    (LOGO, {"w": 200, "bg": "ff0000", "fm": "pjpg"}, (200, 150), JPEG),
    (LAKE, {"w": 300, "bri": 10, "con": -10, "sat": 30, "gam": 20, "hue": 40}, (300, 200), JPEG),
    (LAKE, {"w": 300, "blur": 40, "px": 6, "sepia": 50, "invert": True}, (300, 200), JPEG),
    (LAKE, {"w": 300, "sharp": 20, "usm": 20, "usmrad": 1, "monochrome": "456"}, (300, 200), JPEG),
    (LAKE, {"w64": "300", "fit64": "crop", "h64": "300", "bg64": "red"}, (300, 300), JPEG),
    (LAKE, {"w": 300, "dl": "my lake.jpg", "expires": 99999999999, "cs": "srgb"}, (300, 200), JPEG),
    (LAKE, {"w": 300, "ch": "Width,DPR", "chromasub": 444, "trim": "auto"}, (300, 200), JPEG),
]


def made(row: Row, token: str | None) -> str:
    path, parameters, *_ = row
    # The library writes a truth value as Python does.
    parameters = {
        name: str(value).lower() if isinstance(value, bool) else value for name, value in parameters.items()
    }
    url: str = UrlBuilder("rival.test", sign_key=token).create_url(path, parameters)
    return url.removeprefix("https://rival.test")


def test_what_the_library_writes_is_answered(node: StartNode) -> None:
    url = node("imgix", IMGIX_TOKEN)
    wrong: dict[str, object] = {}
    with closing(Server(url)) as others, closing(Server(url, SIGNED)) as signed:
        for row in ROWS:
            *_, size, kind = row
            for server, token in ((others, None), (signed, IMGIX_TOKEN)):
                target = made(row, token)
                answer = described(server.ask(target))
                if answer != (200, kind, [*size]):
                    wrong[target] = answer
            if (status := signed.ask(changed("imgix", target)).status) != 403:
                wrong[changed("imgix", target)] = status
    assert wrong == {}


@pytest.mark.parametrize("parameters", [{"w": 300}, {"h": 200}, {"w": 300, "ar": "3:2", "fit": "crop"}])
def test_every_candidate_of_a_source_set_is_answered(node: StartNode, parameters: dict[str, Any]) -> None:
    url = node("imgix", IMGIX_TOKEN)
    sources: str = UrlBuilder("rival.test", sign_key=IMGIX_TOKEN).create_srcset(LAKE, parameters)
    with closing(Server(url, SIGNED)) as signed:
        candidates = [line.split(" ")[0].removeprefix("https://rival.test") for line in sources.split(",\n")]
        assert len(candidates) > 4
        assert {signed.ask(target).status for target in candidates} == {200}
