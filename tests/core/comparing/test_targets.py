"""The targets to compare: below a mount, each once, and without those whose signatures a log has masked."""

import json

import pytest

from proxy.core.comparing.targets import Targets, given_targets, logged_targets
from proxy.core.errors import BadUrl
from proxy.core.masking import without_secrets
from proxy.core.url.mounts import Mount

ROOT = Mount(name="root", source="s", allowed_px=(), max_age_s=9)
SHOP = Mount(name="shop", host="shop.example", prefix="/img/", source="s", allowed_px=(), max_age_s=9)


def combined(target: str, status: int = 200) -> str:
    return f'192.0.2.1 - - [21/Nov/2026:10:00:00 +0000] "GET {target} HTTP/1.1" {status} 123 "-" "x"'


def test_scheme_and_host_are_left_out_and_the_rest_is_unchanged() -> None:
    given = ["https://old.example/s--AbC--/w_1/%C3%A9.jpg?b=2&a=1", "/w_1/a.jpg", "/w_1/a.jpg", "http://h"]
    expected = ["/s--AbC--/w_1/%C3%A9.jpg?b=2&a=1", "/w_1/a.jpg", "/"]
    assert given_targets(given, None) == Targets(expected)
    assert given_targets(given, ROOT) == Targets(expected)


def test_the_path_of_the_mount_is_left_out() -> None:
    assert given_targets(["/img/w_1/a.jpg", "/w_2/a.jpg"], SHOP).found == ["/w_1/a.jpg", "/w_2/a.jpg"]


@pytest.mark.parametrize(
    "url", ["w_1/a.jpg", "ftp://h/a", "/a b", "/\N{LATIN SMALL LETTER E WITH ACUTE}", "/a#b", ""]
)
def test_an_invalid_url_is_named(url: str) -> None:
    with pytest.raises(BadUrl, match="URL number 2: "):
        given_targets(["/a", url], None)


def test_targets_of_a_log() -> None:
    lines = [
        combined("/w_1/a.jpg"),
        combined("/w_1/a.jpg", 304),
        combined("/w_1/gone.jpg", 404),
        combined("/w_1/a\\x22b.jpg#"),
        json.dumps({"status": 200, "target": "/img/w_2/b.jpg", "host": "shop.example:443"}),
        json.dumps({"status": 200, "target": "/w_3/c.jpg", "host": "other.example"}),
        "rubbish",
    ]
    assert logged_targets(lines, None).found == ["/w_1/a.jpg", "/img/w_2/b.jpg", "/w_3/c.jpg"]
    assert logged_targets(lines, SHOP).found == ["/w_1/a.jpg", "/w_2/b.jpg"]


def test_masked_urls_of_a_log_are_counted() -> None:
    signed = "/w_1/a.jpg?sig=0123456789abcdef0123"
    lines = [combined(without_secrets(signed)), combined(without_secrets(signed)), combined("/w_1/a.jpg")]
    assert logged_targets(lines, None) == Targets(["/w_1/a.jpg"], masked=1)
