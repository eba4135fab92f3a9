"""The examples of docs/examples: those in Python and JavaScript run, those in Ruby and PHP where their runtime is installed."""

import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from typing import Any

import django
import jinja2
import pytest
from calotype_urls import Signer
from calotype_urls.jinja import add_to
from django.conf import settings as django_settings
from django.template import Context, Engine
from playwright.async_api import Page

from proxy.core.url.dialects.native.urls import parse_tokens
from tests.support.browser import page_with
from tests.support.servers import ROOT

EXAMPLES = ROOT / "docs" / "examples"
BASE = "https://images.shop.example"
SECRET = "0123456789abcdef0123456789abcdef"
IMPORTS = '{"imports": {"calotype-urls": "/client/index.js", "calotype-urls/next-loader": "/client/next-loader.js"}}'


@pytest.fixture
async def page(chromium: str) -> AsyncIterator[Page]:
    """A page in which the examples find the client."""
    text = f'<!doctype html><script type="importmap">{IMPORTS}</script>'
    async with page_with(
        chromium, {"/client": ROOT / "clients/javascript", "/examples": EXAMPLES}, text
    ) as opened:
        yield opened


CALLS = {
    "next-loader.js": (
        'module.default({ src: "/lake.jpg", width: 640 })',
        f"{BASE}/w_640,c_limit,f_auto,q_auto/lake.jpg",
    ),
    "nuxt-provider.js": (
        f'module.getImage("/lake.jpg", {{ modifiers: {{ width: 300, height: 200, fit: "cover" }}, baseURL: "{BASE}" }}).url',
        f"{BASE}/w_300,h_200,c_fill,f_auto/lake.jpg",
    ),
    "astro-service.js": (
        f'module.default.getURL({{ src: "/lake.jpg", width: 300, height: 200 }}, {{ service: {{ config: {{ base: "{BASE}" }} }} }})',
        f"{BASE}/w_300,h_200,c_fill,f_auto/lake.jpg",
    ),
    "sveltekit-images.js": (
        'module.image("lake.jpg", { alt: "", quality: "auto" }).src',
        f"{BASE}/w_960,f_auto,q_auto/lake.jpg",
    ),
}


@pytest.mark.parametrize("name", CALLS)
async def test_modules_make_urls(page: Page, name: str) -> None:
    call, expected = CALLS[name]
    assert (
        await page.evaluate(
            f'async () => {{ const module = await import("/examples/{name}"); return {call}; }}'
        )
        == expected
    )


async def test_astro_gets_attributes(page: Page) -> None:
    attributes = await page.evaluate(
        f"""async () => (await import("/examples/astro-service.js")).default.getHTMLAttributes(
            {{ src: "/lake.jpg", width: 400, height: 200, widths: [100, 400], alt: "A lake" }},
            {{ service: {{ config: {{ base: "{BASE}" }} }} }})"""
    )
    assert (
        attributes["srcset"]
        == f"{BASE}/w_100,h_50,c_fill,f_auto/lake.jpg 100w, {BASE}/w_400,h_200,c_fill,f_auto/lake.jpg 400w"
    )
    assert (attributes["alt"], attributes["width"]) == ("A lake", 400)


def rendered(name: str) -> str:
    text = (EXAMPLES / name).read_text()
    if name == "jinja.html":
        environment = jinja2.Environment(autoescape=True)
        add_to(environment, base=BASE)
        return environment.from_string(text).render()
    if not django_settings.configured:
        django_settings.configure()
        django.setup()
    engine = Engine(libraries={"calotype": "calotype_urls.templatetags.calotype"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(django_settings, "CALOTYPE_BASE", BASE, raising=False)
        return str(engine.from_string(text).render(Context()))


@pytest.mark.parametrize("name", ["django.html", "jinja.html"])
def test_templates_have_a_picture_and_a_card(name: str) -> None:
    text = rendered(name)
    assert f'src="{BASE}/w_400,h_300,c_fill,f_auto/lake.jpg"' in text
    assert f'content="{BASE}/w_1200,h_630,c_fill,f_jpg/lake.jpg"' in text


def test_every_url_of_the_plain_page_is_one_of_the_node() -> None:
    urls = re.findall(r"http://127\.0\.0\.1:8080/([^/\s]+)/lake\.jpg", (EXAMPLES / "plain.html").read_text())
    assert len(urls) == 5
    for tokens in urls:
        assert parse_tokens(tokens, {}).components


PROGRAMS = {
    "ruby": f'require "./rails_helper"; include CalotypeHelper; puts calotype_url("a b.jpg", w: 400, f: "auto", secret: "{SECRET}")',
    "php": f'require "laravel_helper.php"; echo calotype_url("a b.jpg", ["w" => 400, "f" => "auto"], "{SECRET}");',
}


def test_helpers_sign_as_the_node_does() -> None:
    expected = BASE + Signer(SECRET).sign("/w_400,f_auto/a%20b.jpg")
    for runtime, program in PROGRAMS.items():
        if (found := shutil.which(runtime)) is not None:
            command: list[Any] = [found, "-e" if runtime == "ruby" else "-r", program]
            done = subprocess.run(command, cwd=EXAMPLES, capture_output=True, text=True, check=True)
            assert done.stdout.strip() == expected


def test_every_example_stands_in_the_table() -> None:
    listed = re.findall(r"\(examples/([^)]+)\)", (ROOT / "docs/frameworks.md").read_text())
    assert sorted(name for name in listed if name) == sorted(path.name for path in EXAMPLES.iterdir())
