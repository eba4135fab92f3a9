"""The gallery: a page of pictures that shows what URLs can do. The fits and operations come from the tables of the parser,
so that a new one appears by itself."""

from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from string import Template
from typing import NamedTuple

from proxy.core.url.dialects.native.examples import EFFECTS
from proxy.core.url.dialects.native.params import FITS, TURN_WORDS

_PAGES = Path(__file__).parent / "pages"
_LAKE, _BOTTLE = "lake.jpg", "bottle.png"
_CROPPED = ("astronaut.png", "cat.png", "garage.png", "coffee.png", _LAKE)
_COMPARED = ("coffee.png", "astronaut.png", "rocket.jpg", _LAKE)
_WIDE = "ar_16:9,c_fill"
"""The shape of the picture with a srcset. It is that of no other picture: browsers prefer a candidate that they have."""
_WIDTHS_PX = (160, 240, 320, 480, 640, 960, 1280)
_MORE = (
    "c_pad,w_180,h_120,b_f4e8cc",
    "w_180,ar_1,c_fill",
    "trim_10~w_180",
    "w_140,pad_10,b_8a5a2b",
    "w_180,q_10",
    "w_180,q_auto:low",
)
_OF_ALPHA = frozenset({"flatten", "negate_alpha"})


class File(NamedTuple):
    """A part of the gallery: its text and media type."""

    text: str
    media_type: str


def gallery(*, admin_url: str, folder: str) -> dict[str, File]:
    """The files by path. `admin_url` is that of the admin listener, empty if it is unknown; `folder` has the originals."""
    page = Template((_PAGES / "gallery.html").read_text()).substitute(
        links=_links(admin_url),
        crops="\n".join(map(_crops, _CROPPED)),
        formats="\n".join(map(_format, _COMPARED)),
        smallest=f"/w_{_WIDTHS_PX[0]},{_WIDE},f_auto/{_LAKE}",
        srcset=", ".join(f"/w_{width},{_WIDE},f_auto/{_LAKE} {width}w" for width in _WIDTHS_PX),
        fits=_figures((f"c_{fit},w_180,h_120", _present(folder, "garage.png")) for fit in FITS),
        operations=_figures(_operations(_present(folder, "cat.png"))),
        folder=escape(folder),
        node=escape(f" --node {admin_url}") if admin_url else "",
    )
    return {
        "/": File(page, "text/html"),
        "/gallery.css": File((_PAGES / "gallery.css").read_text(), "text/css"),
        "/gallery.js": File((_PAGES / "gallery.js").read_text(), "text/javascript"),
    }


def _present(folder: str, key: str) -> str:
    """`key`, or a painted original if the photograph is missing."""
    return key if Path(folder, key).exists() else _LAKE


def _links(admin_url: str) -> str:
    pages = {"Status": "/", "Playground": "/playground", "Admin API": "/v1/openapi.json"}
    return " ".join(
        f'<a href="{escape(admin_url + path)}">{title}</a>' for title, path in pages.items() if admin_url
    )


def _crops(key: str) -> str:
    squares = "".join(
        _figure(f"w_240,h_240,c_fill,g_{gravity},f_auto", key, caption)
        for gravity, caption in (("face", "by face"), ("auto", "by attention"), ("center", "by the centre"))
    )
    return f'<div class="three">{squares}</div>'


def _format(key: str) -> str:
    variant = f"/w_640,f_auto/{key}"
    return (
        f'<figure data-original="/original/{key}" data-variant="{variant}"><img src="{variant}" alt="{key}" loading="lazy">'
        f'<figcaption><code>{variant}</code><br><span class="facts"></span></figcaption></figure>'
    )


def _operations(picture: str) -> Iterator[tuple[str, str]]:
    for effect in EFFECTS:
        yield f"w_180,e_{effect},f_auto", _BOTTLE if effect.partition(":")[0] in _OF_ALPHA else picture
    for turn in TURN_WORDS:
        yield f"w_180,a_{turn},f_auto", picture
    for tokens in _MORE:
        yield f"{tokens},f_auto", _BOTTLE if tokens.startswith(("c_pad", "trim")) else picture


def _figures(variants: Iterable[tuple[str, str]]) -> str:
    return "\n".join(_figure(tokens, key, tokens.removesuffix(",f_auto")) for tokens, key in variants)


def _figure(tokens: str, key: str, caption: str) -> str:
    url = escape(f"/{tokens}/{key}")
    return (
        f'<figure><img src="{url}" alt="{escape(caption)}" loading="lazy"><figcaption><code>{escape(caption)}</code><br>'
        f'<button type="button" data-url="{url}" aria-label="Copy the URL of {escape(caption)}">Copy URL</button></figcaption></figure>'
    )
