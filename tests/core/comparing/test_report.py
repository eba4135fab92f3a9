"""The report shows hostile text as text, and pictures of known formats only. A browser opens it in tests/stories."""

import base64
import hashlib
import re

import pytest

from proxy.core.comparing.comparison import Compared, Side, Tolerance, differences, summary
from proxy.core.comparing.report import Heading, Row, page
from tests.support import pictures

SCRIPT = "</h3><script>alert(1)</script>\"'&"
STYLE = "body { color: red }"
PICTURE = pictures.quarters_as("png", 20, 10)
HEADING = Heading("n", "v", "*/*", "today")
OK = Side(status=200, format="png", size_bytes=1234, width_px=20, height_px=10, frames=1)


def row(target: str = "/a", difference: float = 0.0, **sides: Side) -> Row:
    compared = Compared(target=target, ours=sides.get("ours", OK), theirs=OK, difference=difference)
    return Row(compared, differences(compared, Tolerance()), PICTURE, PICTURE)


def made(*rows: Row, heading: Heading = HEADING, urls: int | None = None) -> str:
    summed = summary([each.compared for each in rows] * (urls or 1), Tolerance())
    return page(heading, summed, rows, STYLE)


def test_text_is_escaped() -> None:
    hostile = row(SCRIPT, ours=Side(fault=SCRIPT))
    shown = made(hostile, heading=Heading(SCRIPT, SCRIPT, SCRIPT, "today", SCRIPT))
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") == 7


def test_the_policy_allows_only_its_style_and_data() -> None:
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', made(row()))
    assert policy.split("; ") == [
        "default-src 'none'",
        "img-src data:",
        f"style-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert f"<style>{STYLE}</style>" in made(row())
    assert not re.search(r"(src|href)=(?!\"data:image/png;base64,)", made(row()))


@pytest.mark.parametrize("content", [b"", b"<svg onload='alert(1)'/>", b"\0\0\0\x18ftypheic" + bytes(40)])
def test_only_pictures_of_known_formats_are_shown(content: bytes) -> None:
    assert "<img" not in made(row()._replace(ours=content, theirs=content))


def test_rows_have_the_classes_that_filters_choose_by() -> None:
    shown = made(row(), row("/b", 60.0), row("/c", ours=Side(status=404)))
    assert re.findall(r"<article class=\"([^\"]*)\"", shown) == ["same", "differ picture", "differ status"]
    assert re.findall(r"id=\"kind-(\w+)\"", shown) == ["all", "differ", "status", "picture"]
    assert "pictures differ by 60.0 %" in shown
    assert shown.count("visual difference 0.0 %") == 2
    assert '<img alt="picture of the node" src="data:image/png;base64,' in shown
    assert "200 · 20x10 · png · 1,234 bytes" in shown


def test_the_page_says_how_many_urls_it_does_not_list() -> None:
    assert "more URLs" not in made(row())
    assert "2 more URLs differ less" in made(row(), urls=3)
