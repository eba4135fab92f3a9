"""The gallery: a page of pictures that shows what URLs can do. The fits and operations come from the tables of the parser,
so that a new one appears by itself. The public root of a demo shows that of the demo's originals, the admin listener one of
any mount."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import NamedTuple

from proxy.core.url.dialects.native.examples import EFFECTS_OF_ANY_PICTURE
from proxy.core.url.dialects.native.params import FITS, TURN_WORDS
from proxy.core.url.target import encoded

_PAGES = Path(__file__).parent / "gallery_pages"
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
_CROPPED_COUNT, _COMPARED_COUNT = 5, 4


class File(NamedTuple):
    """A part of the gallery: its text and media type."""

    text: str
    media_type: str


class ShownOriginals(NamedTuple):
    """The originals that the gallery shows, as keys. `cut_out` is of operations that need transparency."""

    cropped: Sequence[str]
    compared: Sequence[str]
    wide: str
    fitted: str
    changed: str
    cut_out: str


def demo_originals(folder: str) -> ShownOriginals:
    """Those of the demo; `folder` has them. A painted one is shown for a photograph that is missing."""
    lake = "lake.jpg"

    def present(key: str) -> str:
        return key if Path(folder, key).exists() else lake

    return ShownOriginals(
        cropped=("astronaut.png", "cat.png", "garage.png", "coffee.png", lake),
        compared=("coffee.png", "astronaut.png", "rocket.jpg", lake),
        wide=lake,
        fitted=present("garage.png"),
        changed=present("cat.png"),
        cut_out="bottle.png",
    )


def listed_originals(keys: Sequence[str]) -> ShownOriginals:
    """Those of a mount that has originals with these `keys`, at least one."""
    picked = [encoded(key) for key in keys[: max(_CROPPED_COUNT, _COMPARED_COUNT)]]
    transparent = next((encoded(key) for key in keys if key.lower().endswith((".png", ".webp"))), picked[0])
    return ShownOriginals(
        cropped=picked[:_CROPPED_COUNT],
        compared=picked[:_COMPARED_COUNT],
        wide=picked[0],
        fitted=picked[min(1, len(picked) - 1)],
        changed=picked[min(2, len(picked) - 1)],
        cut_out=transparent,
    )


class Gallery(NamedTuple):
    """Where the gallery leads. `base` precedes the URLs of its pictures: the origin, if it is another, and the prefix of
    the mount without its slash. `admin_url` precedes those of the pages of the admin listener, None if they are unknown.
    `replacing` are the commands that replace an original; `documents` is the path of the list of documents, if there is one."""

    base: str
    admin_url: str | None
    replacing: str
    documents: str = ""

    def page(self, shown: ShownOriginals) -> str:
        """The page as HTML."""
        wide = f"{self.base}/w_{{}},{_WIDE},f_auto/{shown.wide}"
        return Template((_PAGES / "gallery.html").read_text()).substitute(
            links=self._links(),
            crops="\n".join(map(self._crops, shown.cropped)),
            formats="\n".join(map(self._format, shown.compared)),
            smallest=escape(wide.format(_WIDTHS_PX[0])),
            srcset=escape(", ".join(f"{wide.format(width)} {width}w" for width in _WIDTHS_PX)),
            fits=self._figures((f"c_{fit},w_180,h_120", shown.fitted) for fit in FITS),
            operations=self._figures(_operations(shown)),
            replacing=escape(self.replacing),
        )

    def _links(self) -> str:
        pages: dict[str, str] = {}
        if self.admin_url is not None:
            own = {"Status": "/", "Playground": "/playground", "Admin API": "/v1/openapi.json"}
            pages = {title: f"{self.admin_url}{path}" for title, path in own.items()}
        if self.documents:
            pages["Documents"] = self.documents
        return " ".join(f'<a href="{escape(url)}">{title}</a>' for title, url in pages.items())

    def _crops(self, key: str) -> str:
        squares = "".join(
            self._figure(f"w_240,h_240,c_fill,g_{gravity},f_auto", key, caption)
            for gravity, caption in (
                ("face", "by face"),
                ("auto", "by attention"),
                ("center", "by the centre"),
            )
        )
        return f'<div class="three">{squares}</div>'

    def _format(self, key: str) -> str:
        variant, original = (escape(f"{self.base}/{part}/{key}") for part in ("w_640,f_auto", "original"))
        return (
            f'<figure data-original="{original}" data-variant="{variant}">'
            f'<img src="{variant}" alt="{escape(key)}" loading="lazy">'
            f'<figcaption><code>{variant}</code><br><span class="facts"></span></figcaption></figure>'
        )

    def _figures(self, variants: Iterable[tuple[str, str]]) -> str:
        return "\n".join(
            self._figure(tokens, key, tokens.removesuffix(",f_auto")) for tokens, key in variants
        )

    def _figure(self, tokens: str, key: str, caption: str) -> str:
        url, caption = escape(f"{self.base}/{tokens}/{key}"), escape(caption)
        return (
            f'<figure><img src="{url}" alt="{caption}" loading="lazy"><figcaption><code>{caption}</code><br>'
            f'<button type="button" data-url="{url}" aria-label="Copy the URL of {caption}">Copy URL</button>'
            "</figcaption></figure>"
        )


def parts() -> dict[str, File]:
    """The style and the script of the page, by path."""
    return {
        f"/{name}": File((_PAGES / name).read_text(), media_type)
        for name, media_type in (("gallery.css", "text/css"), ("gallery.js", "text/javascript"))
    }


def documents(folder: Path) -> dict[str, File]:
    """The documents in `folder` as they are written, and the list of them at `/docs/`, by path; empty without any."""
    files = {
        f"/docs/{path.name}": File(path.read_text(), "text/plain") for path in sorted(folder.glob("*.md"))
    }
    if not files:
        return {}
    titles = {path: file.text.splitlines()[0].removeprefix("# ") for path, file in files.items()}
    rows = "\n".join(f'<li><a href="{escape(path)}">{escape(title)}</a>' for path, title in titles.items())
    page = Template((_PAGES / "documents.html").read_text()).substitute(rows=rows)
    return {"/docs/": File(page, "text/html"), **files}


def _operations(shown: ShownOriginals) -> Iterator[tuple[str, str]]:
    for effect in EFFECTS_OF_ANY_PICTURE:
        needs_alpha = effect.partition(":")[0] in _OF_ALPHA
        yield f"w_180,e_{effect},f_auto", shown.cut_out if needs_alpha else shown.changed
    for turn in TURN_WORDS:
        yield f"w_180,a_{turn},f_auto", shown.changed
    for tokens in _MORE:
        needs_alpha = tokens.startswith(("c_pad", "trim"))
        yield f"{tokens},f_auto", shown.cut_out if needs_alpha else shown.changed
