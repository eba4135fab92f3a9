"""What Cloudinary's library for Python writes is answered, by size and type, as its settings point it at a node."""

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cloudinary
import pytest
from cloudinary import CloudinaryImage
from cloudinary.utils import cloudinary_url
from playwright.sync_api import sync_playwright

from tests.rivals.client_keys import CLOUDINARY_SECRET
from tests.rivals.cloudinary_urls import JPEG, LAKE, ROWS
from tests.rivals.comparison import Server
from tests.rivals.conftest import SIGNED, StartNode
from tests.rivals.servers import running
from tests.rivals.test_clients import changed, described
from tests.support.browser import patient
from tests.support.servers import free_port

HOST = "images.example"
SIZES = "[...document.images].map((image) => [image.naturalWidth, image.naturalHeight])"
SIGNED_ONLY = [
    ({"long_url_signature": True}, (1200, 800), JPEG),
    ({"type": "authenticated"}, (1200, 800), JPEG),
    ({"type": "private"}, (1200, 800), JPEG),
    ({"type": "authenticated", "width": 300, "crop": "limit"}, (300, 200), JPEG),
    ({"url_suffix": "a-name", "private_cdn": True, "id": "lake", "format": "jpg"}, (1200, 800), JPEG),
    ({"format": "jpg", "id": "lake", "width": 300, "crop": "limit"}, (300, 200), JPEG),
]


@pytest.fixture
def _configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The library as a site that moves to a node configures it."""
    monkeypatch.setenv(
        "CLOUDINARY_URL",
        f"cloudinary://key:{CLOUDINARY_SECRET}@demo?secure_distribution={HOST}&secure=true",
    )
    cloudinary.reset_config()
    yield
    monkeypatch.delenv("CLOUDINARY_URL")
    cloudinary.reset_config()


def target(options: dict[str, Any], *, is_signed: bool) -> str:
    public_id, rest = options.get("id", LAKE), {name: options[name] for name in options if name != "id"}
    url: str = cloudinary_url(public_id, sign_url=is_signed, **rest)[0]
    assert url.startswith(f"https://{HOST}/")
    return url.removeprefix(f"https://{HOST}")


@pytest.mark.usefixtures("_configured")
def test_what_the_library_writes_is_answered(node: StartNode) -> None:
    base = node("cloudinary", CLOUDINARY_SECRET)
    wrong: dict[str, object] = {}
    with closing(Server(base)) as others, closing(Server(base, SIGNED)) as signed:
        for options, size, kind in ROWS:
            url = target(options, is_signed=False)
            if (answer := described(others.ask(url))) != (200, kind, list(size)):
                wrong[url] = answer
        for options, size, kind in ROWS + SIGNED_ONLY:
            url = target(options, is_signed=True)
            if (answer := described(signed.ask(url))) != (200, kind, list(size)):
                wrong[url] = answer
            if (status := signed.ask(changed("cloudinary", url)).status) != 401:
                wrong[changed("cloudinary", url)] = status
            unsigned = target(options, is_signed=False)
            if (status := signed.ask(unsigned).status) != 401:
                wrong[unsigned] = status
    assert wrong == {}


@pytest.mark.usefixtures("_configured")
def test_tokens_of_the_library_are_taken(node: StartNode) -> None:
    key = "00ff" * 8
    base = node("cloudinary", f"token:{key}")
    with closing(Server(base, SIGNED)) as server:
        options = {"type": "authenticated", "width": 300, "crop": "limit"}
        for auth_token, status in (
            ({"key": key, "duration": 300}, 200),
            ({"key": key, "expiration": 1}, 401),
            ({"key": "11" * 16, "duration": 300}, 401),
        ):
            url = target({**options, "auth_token": auth_token}, is_signed=True)
            assert server.ask(url).status == status, url


@pytest.mark.usefixtures("_configured")
def test_the_tags_of_the_library_load_in_a_browser(node: StartNode, chromium: str) -> None:
    """As the template tags of Django write them; only the host is configured."""
    host = node("cloudinary", CLOUDINARY_SECRET).removeprefix("http://")
    cloudinary.config(cloud_name="demo", secure=False, cname=host)
    tags = [
        CloudinaryImage(options.get("id", LAKE)).image(**{k: v for k, v in options.items() if k != "id"})
        for options, _, _ in ROWS
        if "private_cdn" not in options
    ]
    assert all(f'src="http://{host}/demo/' in tag for tag in tags)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = patient(browser.new_page())
        page.set_content("".join(tags), wait_until="load")
        loaded = page.evaluate(SIZES)
        browser.close()
    assert loaded == [list(size) for options, size, _ in ROWS if "private_cdn" not in options]


def test_a_django_site_moves_by_its_configuration_alone(
    node: StartNode, chromium: str, tmp_path: Path
) -> None:
    host = node("cloudinary", CLOUDINARY_SECRET).removeprefix("http://")
    environment = os.environ | {
        "CLOUDINARY_URL": f"cloudinary://key:{CLOUDINARY_SECRET}@demo?cname={host}&secure=",
    }
    port = free_port()
    command = (sys.executable, "-m", "tests.rivals.django_site", str(port))
    with (
        running(*command, port=port, health="/", log=tmp_path / "django.log", env=environment) as site,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = patient(browser.new_page())
        page.goto(site, wait_until="load")
        sources = page.evaluate("[...document.images].map((image) => image.src)")
        loaded = page.evaluate(SIZES)
        browser.close()
    assert all(source.startswith(f"http://{host}/demo/image/upload/") for source in sources), sources
    assert loaded == [[300, 200], [200, 200], [90, 120], [320, 213]]
