"""The options of the clients of imgix and ImageKit for client_urls.json, with the size and the type of each picture."""

from collections.abc import Iterator
from typing import Any

from tests.rivals.client_keys import IMAGEKIT_KEY, IMGIX_TOKEN

LAKE = "lake.jpg"
JPEG, PNG, WEBP, AVIF = "image/jpeg", "image/png", "image/webp", "image/avif"

Row = tuple[dict[str, Any], tuple[int, int], str]

IMGIX: list[Row] = [
    ({}, (1200, 800), JPEG),
    ({"w": 300, "h": 300}, (300, 200), JPEG),
    ({"w": 300, "h": 300, "fit": "crop", "crop": "top,left"}, (300, 300), JPEG),
    ({"w": 2000, "h": 1000, "fit": "min"}, (1200, 600), JPEG),
    ({"w": 2000, "fit": "max"}, (1200, 800), JPEG),
    ({"w": 300, "h": 300, "fit": "fill", "fill": "solid", "fill-color": "0f0"}, (300, 300), JPEG),
    ({"w": 320, "ar": "16:9", "fit": "crop", "dpr": 1.5}, (480, 270), JPEG),
    ({"w": 300, "auto": ["format", "compress"]}, (300, 200), JPEG),
    ({"w": 300, "fm": "webp", "q": 50}, (300, 200), WEBP),
    ({"w64": "300", "bg64": "lightgreen", "fm": "png"}, (300, 200), PNG),
    ({"rect": [100, 100, 300, 200]}, (300, 200), JPEG),
    ({"w": 0.25, "sepia": 40, "blur": 20, "flip": "hv"}, (300, 200), JPEG),
    ({"w": 300, "expires": 99999999999, "dl": "a b.jpg"}, (300, 200), JPEG),
]
"""The parameters of ImgixClient.buildURL of @imgix/js-core."""

IMAGEKIT: list[Row] = [
    ({"transformation": [{"width": 300, "height": 200}]}, (300, 200), JPEG),
    ({"transformation": [{"width": 300, "height": 300, "crop": "at_max"}]}, (300, 200), JPEG),
    ({"transformation": [{"width": 300, "height": 300, "crop": "at_least"}]}, (450, 300), JPEG),
    ({"transformation": [{"width": 300, "height": 300, "crop": "force"}]}, (300, 300), JPEG),
    ({"transformation": [{"width": 300, "height": 300, "cropMode": "pad_resize", "background": "F3F3F3"}]}, (300, 300), JPEG),
    ({"transformation": [{"width": 300, "height": 300, "cropMode": "extract", "focus": "top_left"}]}, (300, 300), JPEG),
    ({"transformation": [{"width": 200, "height": 100, "cropMode": "extract", "x": 10, "y": 20}]}, (200, 100), JPEG),
    ({"transformation": [{"width": 400, "aspectRatio": "4-3", "focus": "auto"}]}, (400, 300), JPEG),
    ({"transformation": [{"width": 300, "format": "webp", "quality": 50}]}, (300, 200), WEBP),
    ({"transformation": [{"width": 0.25, "dpr": 2}]}, (600, 400), JPEG),
    ({"transformation": [{"height": 300, "width": 400}, {"rotation": 90}]}, (300, 400), JPEG),
    ({"transformation": [{"width": 300, "blur": 10, "trim": "true", "format": "png"}]}, (300, 200), PNG),
    ({"transformation": [{"width": 300, "lossless": "false", "progressive": "true"}]}, (300, 200), JPEG),
    ({"transformation": [{"original": "true"}]}, (1200, 800), JPEG),
    (
        {"transformation": [{"width": 300, "height": 300}], "transformationPosition": "query", "queryParameters": {"v": "1"}},
        (300, 300),
        JPEG,
    ),
    ({"transformation": [{"width": 300}], "expireSeconds": 9_000_000_000}, (300, 200), JPEG),
]  # fmt: skip
"""The options of ImageKit.url of the npm package imagekit."""

IMAGEKIT_JS: list[Row] = [
    ({"transformation": [{"width": 300, "height": 200}]}, (300, 200), JPEG),
    ({"transformation": [{"width": 300, "aspectRatio": "3-2"}]}, (300, 200), JPEG),
    ({"transformation": [{"width": 300, "sharpen": True, "contrastStretch": True, "grayscale": True}]}, (300, 200), JPEG),
    ({"transformation": [{"width": "iw_div_4", "format": "avif"}]}, (300, 200), AVIF),
    ({"transformation": [{"width": 300, "flip": "h_v"}, {"rotation": "N90"}]}, (200, 300), JPEG),
    ({"transformation": [{"width": 300}], "transformationPosition": "path"}, (300, 200), JPEG),
]  # fmt: skip
"""The options of buildSrc of @imagekit/javascript."""

UNPIC: dict[str, list[Row]] = {
    "imgix": [
        ({"width": 300, "height": 300}, (300, 300), JPEG),
        ({"width": 300, "format": "webp", "quality": 60}, (300, 200), WEBP),
        ({"width": 300, "operations": {"imgix": {"fit": "crop", "ar": "1:1"}}}, (300, 300), JPEG),
    ],
    "imagekit": [
        ({"width": 300, "height": 300}, (300, 300), JPEG),
        ({"width": 300, "format": "webp", "quality": 60}, (300, 200), WEBP),
        ({"width": 300, "operations": {"imagekit": {"fo": "top", "bl": 4}}}, (300, 200), JPEG),
    ],
}

IN_NODE = """
const ImgixClient = require('@imgix/js-core')
const ImageKit = require('imagekit')
const { buildSrc } = require('@imagekit/javascript')
Object.assign(make, {
  imgix: ({ token, parameters }) => new ImgixClient(
    { domain: 'rival.test', secureURLToken: token }).buildURL('lake.jpg', parameters).replace('https://rival.test', ''),
  imagekit: (options) => new ImageKit(
    { publicKey: 'p', privateKey: options.key, urlEndpoint: 'http://rival' }).url({ path: '/lake.jpg', ...options }),
  imagekitJs: (options) => buildSrc({ urlEndpoint: 'http://rival', src: '/lake.jpg', ...options }),
})
"""
"""Adds the clients to those of make_client_urls."""

Request = tuple[str, str, Row, bool, tuple[str, dict[str, Any]]]
"""The client, the dialect, the row, whether it is signed, and what Node makes it of."""


def requests() -> Iterator[Request]:
    for row in IMGIX:
        for token in (IMGIX_TOKEN, None):
            made = ("imgix", {"token": token, "parameters": row[0]})
            yield "@imgix/js-core", "imgix", row, token is not None, made
    for row in IMAGEKIT:
        for is_signed in (True, False):
            if is_signed or "expireSeconds" not in row[0]:
                options = {"key": IMAGEKIT_KEY, "signed": is_signed, **row[0]}
                yield "imagekit (npm)", "imagekit", row, is_signed, ("imagekit", options)
    for row in IMAGEKIT_JS:
        yield "@imagekit/javascript", "imagekit", row, False, ("imagekitJs", row[0])
    for provider, rows in UNPIC.items():
        for row in rows:
            options = {"url": f"http://rival/{LAKE}", "provider": provider, **row[0]}
            yield f"unpic, {provider}", provider, row, False, ("unpic", options)
