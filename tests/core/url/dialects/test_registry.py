"""Each dialect recognises its URLs by their form, and declines those of the others where forms differ."""

import json
from pathlib import Path

import pytest

from proxy.core.url.dialects.registry import DIALECTS

CLIENT_URLS = json.loads((Path(__file__).parents[3] / "rivals" / "client_urls.json").read_text())

SOURCE = "aHR0cHM6Ly9leGFtcGxlLmNvbS9hLmpwZw"
"""https://example.com/a.jpg"""


@pytest.mark.parametrize("dialect", sorted({row["dialect"] for row in CLIENT_URLS}))
def test_what_clients_write_is_recognised(dialect: str) -> None:
    urls = [row["url"] for row in CLIENT_URLS if row["dialect"] == dialect]
    assert [url for url in urls if not DIALECTS[dialect].recognises(url)] == []


@pytest.mark.parametrize(
    ("target", "dialects"),
    [
        ("/w_300/a.jpg", {"native"}),
        ("/w_300,zz_1/a.jpg", {"native"}),
        ("/c_crop,w_9%7Eh_9/a.jpg?sig=x", {"native"}),
        ("/thumbnail?url=a.jpg&w=9", {"native"}),
        ("/original/a.jpg", {"native"}),
        ("/info/a.jpg", {"native"}),
        ("/original", set()),
        ("/a.jpg", set()),
        ("/", set()),
        ("/unsafe/300x200/a.jpg", {"thumbor"}),
        ("/unsafe/a.jpg", {"thumbor"}),
        ("/unsafe", set()),
        ("/AQf-_aaaaaaaaaaaaaaaaaaaaaaa=/300x200/smart/a.jpg", {"thumbor"}),
        ("/_next/image?url=%2Fa.jpg&w=640&q=75", {"next"}),
        ("/_next/image/?url=%2Fa.jpg", {"next"}),
        ("/_ipx/w_300/a.jpg", {"next"}),
        ("/.netlify/images?url=/a.jpg", {"next"}),
        ("/_/rs:fit:300:200/plain/a.jpg", {"imgproxy"}),
        ("/_/w%3A300/plain/a.jpg@webp", {"imgproxy"}),
        ("/_/sharp:bad/plain/a.jpg", {"imgproxy"}),
        ("/_/plain/a.jpg", {"imgproxy"}),
        ("/_/w:300/" + SOURCE, {"imgproxy"}),
        ("/_/w,300/" + SOURCE, {"imgproxy"}),
        (f"/_/{SOURCE}.webp", {"imgproxy"}),
        (f"/_/{SOURCE[:12]}/{SOURCE[12:]}", {"imgproxy"}),
        ("/_/dGV4dA", set()),
        ("/_/300x200/a.jpg", set()),
        ("/_/width/a.jpg", set()),
        ("/AQf-_aaaaaaaaaa/300x200/a.jpg", set()),
    ],
)
def test_the_form_of_a_url_tells_its_dialect(target: str, dialects: set[str]) -> None:
    known = ("native", "imgproxy", "thumbor", "next")
    assert {name for name in known if DIALECTS[name].recognises(target)} == dialects


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("target", ["/", "//", "/?", "/%", "/%ff/%ff", "/\x00/", "/:/:", "/a/" + "b/" * 2000])
def test_any_target_has_an_answer(name: str, target: str) -> None:
    assert DIALECTS[name].recognises(target) in (True, False)


def test_servers_that_operators_run_themselves_have_a_health_path() -> None:
    health = {name: dialect.health for name, dialect in DIALECTS.items() if dialect.health}
    assert health == {"imgproxy": "/health", "thumbor": "/healthcheck"}
