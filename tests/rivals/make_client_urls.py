"""Makes client_urls.json: what the vendors' own clients write for tables of options, signed and unsigned. Run by hand:

    python -m venv E; E/bin/pip install libthumbor imgproxy
    npm install --prefix N @imgproxy/imgproxy-node unpic next cloudinary @cloudinary/url-gen @cloudinary-util/url-loader \
        @imgix/js-core imagekit @imagekit/javascript
    NODE_PATH=N/node_modules E/bin/python -m tests.rivals.make_client_urls

Each line of a table has a client's options, the size of the picture that they describe, and its type. Only the pairs of
options and URLs are kept in the repository.
"""

import hmac
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.rivals import cloudinary_urls, photo_service_urls
from tests.rivals.client_keys import (
    CLOUDFLARE_KEY,
    CLOUDINARY_SECRET,
    IMGPROXY_KEY,
    IMGPROXY_SALT,
    THUMBOR_KEY,
)

Row = tuple[dict[str, Any], tuple[int, int], str]

JPEG, PNG, WEBP = "image/jpeg", "image/png", "image/webp"

LAKE, DOOR, LOGO = "lake.jpg", "door.png", "logo.png"
"""1200x800, 333x501, and 400x300 with alpha."""

LIBTHUMBOR: list[Row] = [
    ({"width": 300, "height": 200}, (300, 200), JPEG),
    ({"width": 300}, (300, 200), JPEG),
    ({"height": 200}, (300, 200), JPEG),
    ({"width": 300, "height": 300, "smart": True}, (300, 300), JPEG),
    ({"width": 300, "height": 300, "halign": "left", "valign": "top"}, (300, 300), JPEG),
    ({"width": 300, "height": 300, "fit_in": True}, (300, 200), JPEG),
    ({"width": 300, "height": 300, "full_fit_in": True}, (450, 300), JPEG),
    ({"width": 200, "height": 300, "adaptive_fit_in": True}, (300, 200), JPEG),
    ({"width": 300, "height": 200, "flip": True, "flop": True}, (300, 200), JPEG),
    ({"crop": ((10, 20), (310, 220))}, (300, 200), JPEG),
    ({"crop": ((0, 0), (600, 800)), "width": 300, "height": 400}, (300, 400), JPEG),
    ({"width": 300, "filters": ["quality(60)", "format(webp)"]}, (300, 200), WEBP),
    ({"width": 300, "height": 300, "fit_in": True, "filters": ["fill(white)"]}, (300, 300), JPEG),
    ({"width": 2000, "height": 2000, "filters": ["no_upscale()"]}, (1200, 800), JPEG),
    ({"width": 300, "filters": ["grayscale()", "brightness(10)", "contrast(5)"]}, (300, 200), JPEG),
    ({"width": 300, "filters": ["rotate(90)"]}, (200, 300), JPEG),
    ({"image_url": DOOR, "width": 111}, (111, 167), PNG),
    ({"image_url": LOGO, "width": 200, "filters": ["background_color(ff0000)"]}, (200, 150), PNG),
    ({"trim": True, "width": 300, "height": 200}, (300, 200), JPEG),
    ({"trim": ("bottom-right", 10), "width": 300, "height": 200}, (300, 200), JPEG),
    ({"width": 200, "height": 300, "adaptive_full_fit_in": True}, (300, 200), JPEG),
    ({"width": 300, "height": 300, "halign": "right", "valign": "bottom"}, (300, 300), JPEG),
    ({"height": 200, "flip": True}, (300, 200), JPEG),
    (
        {"crop": ((0, 0), (600, 600)), "width": 300, "smart": True, "filters": ["sharpen(1,0.5,true)"]},
        (300, 300),
        JPEG,
    ),
    ({"width": 300, "filters": ["max_bytes(9000)"]}, (300, 200), JPEG),
    ({"width": 300, "filters": ["max_age(60)", "strip_exif()", "strip_icc()"]}, (300, 200), JPEG),
    ({"width": 300, "height": 300, "filters": ["focal(100x100:300x300)"]}, (300, 300), JPEG),
    ({"width": 300, "height": 200, "filters": ["stretch()", "blur(4)"]}, (300, 200), JPEG),
    ({"width": 300, "filters": ["rgb(20,-20,40)", "equalize()", "noise(10)"]}, (300, 200), JPEG),
    ({"width": 300, "filters": ["colorize(40,40,40,ff8800)", "saturation(0.5)"]}, (300, 200), JPEG),
    ({"width": 300, "filters": ["convolution(1;2;1;2;4;2;1;2;1,3,true)"]}, (300, 200), JPEG),
    ({"width": 300, "filters": ["proportion(0.5)", "format(png)"]}, (150, 100), PNG),
    ({"image_url": DOOR, "width": 111, "filters": ["autojpg()"]}, (111, 167), JPEG),
    ({"image_url": LOGO, "width": 200, "filters": ["autojpg()"]}, (200, 150), PNG),
    (
        {"width": 300, "height": 300, "fit_in": True, "filters": ["upscale()", "fill(ff8800,true)"]},
        (300, 300),
        JPEG,
    ),
]

IMGPROXY_PY: list[Row] = [
    ({"width": 300, "height": 200}, (300, 200), JPEG),
    ({"width": 300, "height": 300, "resizing_type": "fit"}, (300, 200), JPEG),
    ({"width": 300, "height": 300, "resizing_type": "fill", "gravity": "no"}, (300, 300), JPEG),
    ({"width": 1500, "resizing_type": "fit"}, (1200, 800), JPEG),
    ({"width": 1500, "resizing_type": "fit", "enlarge": True}, (1500, 1000), JPEG),
    ({"width": 300, "extension": "webp"}, (300, 200), WEBP),
    ({"width": 300, "resizing_type": "fit", "advanced": ["q:70", "bl:2", "sh:1"]}, (300, 200), JPEG),
    ({"width": 300, "height": 200, "gravity": "fp:0.3:0.7", "resizing_type": "fill"}, (300, 200), JPEG),
    ({"width": 100, "resizing_type": "fit", "extension": "png", "advanced": ["dpr:2"]}, (200, 133), PNG),
    ({"image_url": f"local:///{DOOR}", "width": 111, "resizing_type": "fit"}, (111, 167), PNG),
    ({"width": 300, "height": 200, "resizing_type": "fill", "advanced": ["t:10"]}, (300, 200), JPEG),
    ({"width": 300, "height": 300, "resizing_type": "fit", "advanced": ["exar:1"]}, (300, 300), JPEG),
    (
        {"width": 300, "height": 300, "resizing_type": "fit", "advanced": ["ex:1:no", "bg:ff0000"]},
        (300, 300),
        JPEG,
    ),
    ({"width": 300, "extension": "webp", "advanced": ["fq:webp:50:avif:40"]}, (300, 200), WEBP),
    ({"width": 300, "resizing_type": "fit", "advanced": ["mb:9000"]}, (300, 200), JPEG),
    ({"width": 300, "resizing_type": "fit", "advanced": ["fn:cat", "att:1", "cb:7"]}, (300, 200), JPEG),
    ({"width": 300, "resizing_type": "fit", "advanced": ["exp:99999999999"]}, (300, 200), JPEG),
    ({"width": 300, "height": 300, "gravity": "sm", "resizing_type": "fill"}, (300, 300), JPEG),
    ({"width": 300, "height": 300, "gravity": "no:0:20", "resizing_type": "fill"}, (300, 300), JPEG),
    ({"width": 300, "resizing_type": "fit", "advanced": ["rot:90"]}, (300, 450), JPEG),
    ({"width": 300, "resizing_type": "fit", "advanced": ["pd:10:20", "bg:00ff00"]}, (340, 220), JPEG),
    ({"width": 300, "resizing_type": "fit", "advanced": ["c:600:600:ce"]}, (300, 300), JPEG),
    ({"width": 300, "resizing_type": "fit", "advanced": ["z:0.5"]}, (150, 100), JPEG),
    ({"width": 300, "height": 400, "resizing_type": "auto"}, (300, 200), JPEG),
]

IMGPROXY_NODE: list[Row] = [
    ({"width": 300, "height": 200, "resizing_type": "fill"}, (300, 200), JPEG),
    ({"resize": {"resizing_type": "fit", "width": 300, "height": 300}}, (300, 200), JPEG),
    ({"size": {"width": 300, "height": 300}, "gravity": {"type": "ce"}}, (300, 200), JPEG),
    ({"resizing_type": "fill", "width": 300, "height": 300, "gravity": {"type": "nowe"}}, (300, 300), JPEG),
    ({"width": 300, "height": 300, "extend": {"extend": True}, "format": "png"}, (300, 300), PNG),
    ({"width": 300, "padding": {"top": 10, "right": 20}, "format": "png"}, (340, 220), PNG),
    ({"crop": {"width": 600, "height": 600, "gravity": {"type": "no"}}, "width": 300}, (300, 300), JPEG),
    ({"width": 300, "dpr": 2}, (600, 400), JPEG),
    ({"width": 300, "zoom": 0.5}, (150, 100), JPEG),
    ({"width": 300, "rotate": 90}, (300, 450), JPEG),
    ({"width": 300, "blur": 3, "sharpen": 1, "pixelate": 4}, (300, 200), JPEG),
    ({"width": 300, "quality": 50, "format": "webp"}, (300, 200), WEBP),
    ({"min_width": 300, "width": 100}, (100, 200), JPEG),
    ({"width": 300, "background": "ff0000", "strip_metadata": 1}, (300, 200), JPEG),
    ({"width": 300, "height": 200, "resizing_type": "fill", "trim": {"threshold": 10}}, (300, 200), JPEG),
    ({"width": 300, "height": 300, "extend_aspect_ratio": {"extend": True}}, (300, 300), JPEG),
    ({"width": 300, "height": 300, "extend": {"extend": True, "gravity": {"type": "no"}}}, (300, 300), JPEG),
    (
        {"width": 300, "format_quality": [{"format": "webp", "quality": 50}], "format": "webp"},
        (300, 200),
        WEBP,
    ),
    ({"width": 300, "max_bytes": 9000}, (300, 200), JPEG),
    ({"width": 300, "filename": {"name": "cat"}, "return_attachment": True}, (300, 200), JPEG),
    ({"width": 300, "expires": 99999999999, "cachebuster": "7"}, (300, 200), JPEG),
    ({"width": 300, "height": 300, "resizing_type": "fill", "gravity": {"type": "sm"}}, (300, 300), JPEG),
    (
        {"width": 300, "height": 300, "resizing_type": "fill", "gravity": {"type": "fp", "x": 0.2, "y": 0.8}},
        (300, 300),
        JPEG,
    ),
    ({"width": 300, "height": 300, "resizing_type": "force"}, (300, 300), JPEG),
    ({"width": 2000, "height": 1000, "resizing_type": "fill-down"}, (1200, 600), JPEG),
    ({"width": 1500, "enlarge": 1}, (1500, 1000), JPEG),
    ({"width": 300, "auto_rotate": True, "format": "png"}, (300, 200), PNG),
    ({"resize": {"resizing_type": "fill", "width": 300, "height": 200, "enlarge": 1}}, (300, 200), JPEG),
]

UNPIC: dict[str, list[Row]] = {
    "nextjs": [
        ({"width": 640}, (640, 427), JPEG),
        ({"width": 828, "quality": 75}, (828, 552), JPEG),
        ({"width": 1920}, (1200, 800), JPEG),
    ],
    "vercel": [({"width": 640}, (640, 427), JPEG), ({"width": 256, "quality": 75}, (256, 171), JPEG)],
    "netlify": [
        ({"width": 300, "height": 300}, (300, 300), JPEG),
        ({"width": 300, "format": "webp"}, (300, 200), WEBP),
        (
            {"width": 300, "height": 300, "operations": {"netlify": {"fit": "contain", "fm": "png"}}},
            (300, 200),
            PNG,
        ),
        (
            {"width": 300, "height": 300, "operations": {"netlify": {"fit": "fill", "q": 60}}},
            (300, 300),
            JPEG,
        ),
        ({"width": 300, "height": 300, "operations": {"netlify": {"position": "left"}}}, (300, 300), JPEG),
    ],
    "ipx": [
        ({"width": 300, "format": "jpeg"}, (300, 200), JPEG),
        ({"width": 300, "height": 300, "format": "png"}, (300, 300), PNG),
        ({"width": 300, "format": "webp", "quality": 60}, (300, 200), WEBP),
        ({"width": 300, "operations": {"ipx": {"blur": 2, "rotate": 90, "f": "png"}}}, (300, 450), PNG),
        ({"width": 300, "operations": {"ipx": {"grayscale": True, "sharpen": 1, "q": 70}}}, (300, 200), JPEG),
        (
            {"width": 300, "height": 300, "operations": {"ipx": {"fit": "contain", "b": "ff8800"}}},
            (300, 300),
            JPEG,
        ),
        (
            {"width": 300, "operations": {"ipx": {"negate": True, "median": 3, "tint": "teal"}}},
            (300, 200),
            JPEG,
        ),
        ({"width": 300, "operations": {"ipx": {"threshold": 128, "normalize": True}}}, (300, 200), JPEG),
    ],
}

CLOUDFLARE: list[Row] = [
    ({"options": "w=300,h=300,fit=cover,f=jpeg"}, (300, 300), JPEG),
    ({"options": "w=300", "until_s": 99999999999}, (300, 200), JPEG),
    ({"options": "w=301", "image": LOGO, "until_s": 99999999999}, (301, 226), PNG),
]
"""Hosted images, signed as the vendor documents."""

ACCOUNT_HASH = "cheeW4oKsx5ljh8e8BoL2A"
_HOSTED = f"https://rival/cdn-cgi/imagedelivery/{ACCOUNT_HASH}/{LAKE}/w=1"
UNPIC_CLOUDFLARE: dict[str, list[Row]] = {
    "cloudflare": [
        ({"width": 300}, (300, 200), JPEG),
        ({"width": 300, "height": 300}, (300, 300), JPEG),
        ({"width": 300, "height": 300, "format": "webp", "quality": 60}, (300, 300), WEBP),
        ({"width": 300, "operations": {"cloudflare": {"fit": "scale-down", "dpr": 2}}}, (600, 400), JPEG),
        (
            {"width": 300, "height": 300, "operations": {"cloudflare": {"fit": "pad", "background": "red"}}},
            (300, 300),
            JPEG,
        ),
        ({"width": 300, "operations": {"cloudflare": {"rotate": 90, "sharpen": 1}}}, (300, 450), JPEG),
        (
            {
                "width": 2000,
                "height": 2000,
                "operations": {"cloudflare": {"fit": "crop", "gravity": "0.2x0.8"}},
            },
            (1200, 800),
            JPEG,
        ),
        (
            {"width": 300, "operations": {"cloudflare": {"blur": 9, "brightness": 1.5, "contrast": 0.5}}},
            (300, 200),
            JPEG,
        ),
        (
            {"url": f"/{DOOR}", "width": 111, "operations": {"cloudflare": {"f": "png", "anim": False}}},
            (111, 167),
            PNG,
        ),
        ({"width": 300, "operations": {"cloudflare": {"onerror": "redirect", "gamma": 2}}}, (300, 200), JPEG),
    ],
    "cloudflare_images": [
        ({"url": _HOSTED, "width": 300}, (300, 200), JPEG),
        ({"url": _HOSTED, "width": 300, "height": 300, "quality": 60}, (300, 300), JPEG),
        ({"url": _HOSTED, "width": 300, "format": "webp"}, (300, 200), WEBP),
        (
            {
                "url": _HOSTED,
                "width": 300,
                "operations": {"cloudflare_images": {"fit": "contain", "blur": 4}},
            },
            (300, 200),
            JPEG,
        ),
    ],
}

NEXT: list[Row] = [
    ({"src": f"/{LAKE}", "width": 640}, (640, 427), JPEG),
    ({"src": f"/{LAKE}", "width": 1080, "quality": 75}, (1080, 720), JPEG),
    # next answers PNG; an opaque picture negotiates JPEG here (f_auto), which is smaller.
    ({"src": f"/{DOOR}", "width": 96}, (96, 144), JPEG),
]

NEXT_THUMBOR: list[Row] = [
    ({"src": f"/{LAKE}", "width": 640}, (640, 427), JPEG),
    ({"src": f"/{LAKE}", "width": 256, "quality": 60}, (256, 171), JPEG),
    ({"src": f"/{DOOR}", "width": 111}, (111, 167), PNG),
]
"""With the loader for thumbor that next documents."""

NEXT_CLOUDFLARE: list[Row] = [
    ({"src": f"/{LAKE}", "width": 640}, (640, 427), JPEG),
    ({"src": LAKE, "width": 256, "quality": 60}, (256, 171), JPEG),
    ({"src": f"/{LAKE}", "width": 1920}, (1200, 800), JPEG),
]
"""With the loader for Cloudflare that next documents."""

IN_NODE = """
const requests = JSON.parse(require('node:fs').readFileSync(0, 'utf8'))
const { generateImageUrl } = require('@imgproxy/imgproxy-node')
const { transformUrl } = require('unpic')
const loader = require('next/dist/shared/lib/image-loader').default
const { imageConfigDefault } = require('next/dist/shared/lib/image-config')
const make = {
  imgproxy: (options) => generateImageUrl(options),
  unpic: ({ operations, ...options }) => transformUrl(options, operations),
  nextThumbor: ({ src, width, quality }) => `/unsafe/${width}x0/filters:quality(${quality || 75})${src}`,
  nextCloudflare: ({ src, width, quality }) =>
    `/cdn-cgi/image/width=${width},quality=${quality || 75},format=auto/${src}`,
  next: (options) => loader({ config: imageConfigDefault, ...options }),
}
EXTRA
console.log(JSON.stringify(requests.map(([client, options]) => make[client](options))))
"""


def in_node(requests: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """What each client of npm makes of its options."""
    run = subprocess.run(
        ["node", "-e", IN_NODE.replace("EXTRA", cloudinary_urls.IN_NODE + photo_service_urls.IN_NODE)],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        check=True,
    )
    made: list[str] = json.loads(run.stdout)
    return made


def libthumbor_url(options: dict[str, Any], *, is_signed: bool) -> str:
    from libthumbor import CryptoURL  # type: ignore[import-not-found]

    crypto = CryptoURL(key=THUMBOR_KEY)
    url: str = crypto.generate(**{"image_url": LAKE, **options, "unsafe": not is_signed})
    return "/" + url.lstrip("/")


def imgproxy_url(options: dict[str, Any], *, is_signed: bool) -> str:
    from imgproxy import ImgProxy  # type: ignore[import-not-found]

    keys = {"key": IMGPROXY_KEY, "salt": IMGPROXY_SALT} if is_signed else {}
    return str(ImgProxy(**{"image_url": f"local:///{LAKE}", **keys, **options}))


def cloudflare_url(options: dict[str, Any], *, is_signed: bool) -> str:
    path = f"/{ACCOUNT_HASH}/{options.get('image', LAKE)}/{options['options']}"
    query = f"exp={options['until_s']}" if "until_s" in options else ""
    mac = hmac.new(CLOUDFLARE_KEY.encode(), f"{path}?{query}".encode(), "sha256").hexdigest()
    return f"{path}?{query}{'&' if query else ''}sig={mac}" if is_signed else path


def python_rows() -> Iterator[dict[str, Any]]:
    clients: tuple[tuple[str, str, list[Row], Callable[..., str]], ...] = (
        ("libthumbor", "thumbor", LIBTHUMBOR, libthumbor_url),
        ("imgproxy (PyPI)", "imgproxy", IMGPROXY_PY, imgproxy_url),
        ("Cloudflare's documentation", "cloudflare", CLOUDFLARE, cloudflare_url),
    )
    for client, dialect, rows, make in clients:
        for options, size, kind in rows:
            for is_signed in (True, False):
                url = make(options, is_signed=is_signed)
                yield entry(client, dialect, options, url, size, kind, is_signed=is_signed)


def node_rows() -> Iterator[dict[str, Any]]:
    found: list[tuple[str, str, Row, bool, tuple[str, dict[str, Any]]]] = []
    for row in IMGPROXY_NODE:
        for is_signed in (True, False):
            keys = {"key": IMGPROXY_KEY, "salt": IMGPROXY_SALT} if is_signed else {}
            options = {"endpoint": "http://rival", "url": f"local:///{LAKE}", "options": row[0], **keys}
            found.append(("@imgproxy/imgproxy-node", "imgproxy", row, is_signed, ("imgproxy", options)))
    for dialect, providers in (("next", UNPIC), ("cloudflare", UNPIC_CLOUDFLARE)):
        for provider, rows in providers.items():
            for row in rows:
                options = {"url": f"/{LAKE}", "provider": provider, **row[0]}
                found.append((f"unpic, {provider}", dialect, row, False, ("unpic", options)))
    found += [("next/image", "next", row, False, ("next", row[0])) for row in NEXT]
    found += [("next/image, thumbor", "thumbor", row, False, ("nextThumbor", row[0])) for row in NEXT_THUMBOR]
    found += [
        ("next/image, cloudflare", "cloudflare", row, False, ("nextCloudflare", row[0]))
        for row in NEXT_CLOUDFLARE
    ]
    for client, row, is_signed, request in cloudinary_urls.requests(CLOUDINARY_SECRET):
        found.append((client, "cloudinary", row, is_signed, request))
    found += photo_service_urls.requests()
    urls = in_node([request for *_, request in found])
    for (client, dialect, (options, size, kind), is_signed, _), url in zip(found, urls, strict=True):
        yield entry(client, dialect, options, url, size, kind, is_signed=is_signed)


def entry(
    client: str,
    dialect: str,
    options: dict[str, Any],
    url: str,
    size: tuple[int, int],
    kind: str,
    *,
    is_signed: bool,
) -> dict[str, Any]:
    return {
        "client": client,
        "dialect": dialect,
        "options": options,
        "url": url.removeprefix("http://rival").removeprefix("https://rival"),
        "signed": is_signed,
        "size": size,
        "type": kind,
    }


def main() -> None:
    rows = [json.dumps(row) for row in (*python_rows(), *node_rows())]
    Path(__file__).with_name("client_urls.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")


if __name__ == "__main__":
    main()
