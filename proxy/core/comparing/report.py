"""The report of a comparison: one HTML page without scripts, which asks no server for anything.

Everything that it shows may be hostile: URLs of an access log, reasons, pictures of another server. All text is escaped,
pictures are data URLs of formats that the node knows, and a Content-Security-Policy allows only these and the style.
Radio buttons filter the list, and a check box lays each pair of pictures on top of each other, by CSS alone.
"""

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from proxy.core.comparing.comparison import Compared, Differing, Kind, Side, Summary
from proxy.core.image.formats import SNIFF_BYTES, TRAITS, sniff

_NONE = "\N{EN DASH}"


class Row(NamedTuple):
    """One URL; `ours` and `theirs` are the pictures to show, empty for none."""

    compared: Compared
    differences: Sequence[Differing]
    ours: bytes = b""
    theirs: bytes = b""


class Heading(NamedTuple):
    """What was compared: the URL of the node, the URL or folder of the vendor, the Accept header, the time, and a sentence
    about URLs that are missing, empty for none."""

    node: str
    vendor: str
    accept: str
    when: str
    missing: str = ""


def page(heading: Heading, summary: Summary, rows: Sequence[Row], style: str) -> str:
    """The page; `rows` are in order, and may be fewer than those of `summary`. `style` is the style sheet."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    unlisted = summary.urls - len(rows)
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="referrer" content="no-referrer">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<title>Calotype: comparison</title>",
        f"<style>{style}</style>",
        "<header><h1>Comparison</h1>",
        f"<p>Node <b>{escape(heading.node)}</b>, vendor <b>{escape(heading.vendor)}</b></p>",
        f"<p>Accept: {escape(heading.accept) or 'none'} · {escape(heading.when)}</p>",
        f"<p class=bad>{escape(heading.missing)}</p>" if heading.missing else "",
        "</header>",
        _figures(summary),
        *_filters(summary),
        "<main>",
        *map(_article, rows),
        f"<p>{unlisted:,} more URLs differ less and are not listed.</p>" if unlisted else "",
        "</main>",
        "</html>",
        "",
    ]
    return "\n".join(part for part in parts if part)


def _figures(summary: Summary) -> str:
    bytes_ = _NONE
    if summary.their_bytes:
        bytes_ = f"{round((summary.our_bytes / summary.their_bytes - 1) * 100):+d} %"
    figures = [
        ("URLs", f"{summary.urls:,}"),
        ("differ", f"{summary.differ:,}"),
        ("bytes of the node's pictures", bytes_),
        ("visual difference: median", _percent(summary.median)),
        ("95 % are below", _percent(summary.percentile_95)),
        ("largest", _percent(summary.largest)),
    ]
    shown = "".join(f"<div><h2>{name}</h2><p>{value}</p></div>" for name, value in figures)
    return f"<section class=figures>{shown}</section>"


def _percent(value: float | None) -> str:
    return _NONE if value is None else f"{value:.1f} %"


def _filters(summary: Summary) -> list[str]:
    """Inputs before the list, as its siblings: the style sheet pairs them with the classes of the rows."""
    counts = [
        ("all", "all", summary.urls),
        ("differ", "differing", summary.differ),
        *((kind.value, kind.value, summary.kinds.get(kind.value, 0)) for kind in Kind),
    ]
    inputs = [
        f'<input type=radio name=kind id="kind-{name}"{" checked" if name == "all" else ""}>'
        f'<label for="kind-{name}">{title} <small>{count:,}</small></label>'
        for name, title, count in counts
        if count or name == "all"
    ]
    overlay = '<input type=checkbox id="overlay"><label for="overlay">show the difference</label>'
    return [*inputs, overlay]


def _article(row: Row) -> str:
    compared = row.compared
    kinds = {each.kind for each in row.differences}
    classes = " ".join(["differ", *sorted(kinds)]) if kinds else "same"
    texts = "".join(f'<li class="bad">{escape(each.text)}</li>' for each in row.differences)
    measured = ""
    if compared.difference is not None and Kind.PICTURE not in kinds:
        measured = f"<li>visual difference {compared.difference:.1f} %</li>"
    sides = _side("vendor", compared.theirs, row.theirs) + _side("node", compared.ours, row.ours)
    return (
        f'<article class="{classes}"><h3>{escape(compared.target)}</h3><ul>{texts}{measured}</ul>'
        f"<div class=pair>{sides}</div></article>"
    )


def _side(name: str, side: Side, picture: bytes) -> str:
    facts = [str(side.status), side.sides, side.format, f"{side.size_bytes:,} bytes", side.message]
    text = side.fault or " · ".join(fact for fact in facts if fact)
    shown = ""
    if picture and (kind := sniff(picture[:SNIFF_BYTES])) is not None and TRAITS[kind].shown:
        url = f"data:{TRAITS[kind].mime};base64,{base64.b64encode(picture).decode()}"
        shown = f'<img alt="picture of the {name}" src="{url}">'
    return f"<figure>{shown}<figcaption><b>{name}</b> {escape(text)}</figcaption></figure>"
