"""The status page in a real browser, on a node with hits, misses and a failing source."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.stories.fleet import Node, client, get, running
from tests.support import pictures
from tests.support.browser import browsing, patient
from tests.support.waiting import LONGEST_S

TOKEN, READER = "t" * 32, "r" * 32
SCRIPT_NAME = "<img src=x onerror=alert(1)>.png"
"""The name of an original that would run a script, were it not shown as text."""


def node_with_token(folder: Path) -> Node:
    (folder / "in").mkdir()
    (folder / "in" / SCRIPT_NAME).write_bytes(pictures.quarters_as("png"))
    (folder / "in/photo.png").write_bytes(pictures.quarters_as("png"))
    node = Node(
        folder / "node",
        processes=2,
        sources={
            "photos": {"path": str(folder / "in")},
            "shop": {"kind": "s3", "bucket": "x-originals", "endpoint_url": "http://127.0.0.1:9", "access_key": "a", "secret_key": "b"},
        },
        mounts={
            "all": {"source": "photos", "dimensions": "any"},
            "shop": {"source": "shop", "prefix": "/shop/"},
        },
        admin={"token": TOKEN},
    )  # fmt: skip
    reader = {"token": READER, "scopes": ["read"]}
    node.override("admin", port=node.admin_port, token=TOKEN, tokens={"reader": reader})
    return node


async def ask(node: Node) -> None:
    """18 hits, 2 misses and 8 failures of a source that cannot be reached."""
    async with client() as session:
        for target in (
            "/w_16/photo.png",
            "/w_17/%3Cimg%20src=x%20onerror=alert(1)%3E.png",
            *["/w_16/photo.png"] * 18,
        ):
            assert (await get(session, node.url + target)).status == 200
        for _ in range(8):
            assert (await get(session, node.url + "/shop/w_16/photo.png")).status == 502


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = node_with_token(tmp_path_factory.mktemp("status"))
    with running(node):
        asyncio.run(ask(node))
        yield node


class Browsing(NamedTuple):
    page: Page
    requested_urls: list[str]
    """The URLs that the browser has asked for."""
    complaints: list[str]
    """Its errors, and the scripts that ran though they are text."""


@asynccontextmanager
async def login_page(node: Node, chromium: str) -> AsyncIterator[Browsing]:
    """Fails where the page asks another server than the node."""
    async with browsing(chromium) as browser:
        page = patient(await browser.new_page(viewport={"width": 1100, "height": 1000}))
        watched = Browsing(page, [], [])
        page.on("request", lambda request: watched.requested_urls.append(request.url))
        page.on("console", lambda message: watched.complaints.append(message.text))
        page.on("pageerror", lambda error: watched.complaints.append(str(error)))
        page.on("dialog", lambda dialog: watched.complaints.append("the script in a name ran"))
        await page.goto(f"http://127.0.0.1:{node.admin_port}/")
        yield watched
        assert {url.split("/")[2] for url in watched.requested_urls} == {f"127.0.0.1:{node.admin_port}"}


@asynccontextmanager
async def status_page(node: Node, chromium: str) -> AsyncIterator[Browsing]:
    """After the login. Fails where the browser has something to complain of."""
    async with login_page(node, chromium) as watched:
        watched.complaints.clear()  # The browser has advice for the login form.
        await log_in(watched.page)
        yield watched
        assert watched.complaints == []


async def log_in(page: Page, token: str = TOKEN) -> None:
    await page.fill("input[name=token]", token)
    await page.click("button")
    await expect(page.locator("#ratio")).to_contain_text("%")


async def text(page: Page, selector: str) -> str:
    return str(await page.inner_text(selector))


async def test_the_page_asks_for_the_token(node: Node, chromium: str) -> None:
    async with login_page(node, chromium) as (page, _, complaints):
        assert page.url.endswith("/login")
        await page.fill("input[name=token]", "wrong")
        await page.click("button")
        assert "Invalid token" in await text(page, ".wrong")
        complaints.clear()  # The browser notes the 401.
        await log_in(page)
        assert complaints == []


async def test_the_page_shows_state_hit_ratio_workers_and_tiers(
    node: Node, chromium: str, tmp_path: Path
) -> None:
    async with status_page(node, chromium) as (page, _, _):
        assert "ready" in await text(page, "#state")
        assert await text(page, "#ratio") == f"{18 / 20 * 100:.1f} %", (
            "as the alerts count it: failures are no misses"
        )
        assert await text(page, "#workers") == f"0 of {len(node.workers())}"
        tiers = await text(page, "#tiers")
        for tier in ("memory", "disk", "originals"):
            assert tier in tiers
        await page.screenshot(path=tmp_path / "status.png", full_page=True)


async def test_the_page_shows_which_circuit_breakers_are_open(node: Node, chromium: str) -> None:
    async with status_page(node, chromium) as (page, _, _):
        parts = await text(page, "#parts")
        assert "circuit breaker open" in next(line for line in parts.splitlines() if "sources.shop" in line)
        assert "in use" in next(line for line in parts.splitlines() if "sources.photos" in line)


async def test_the_page_shows_the_name_of_an_original_as_text(node: Node, chromium: str) -> None:
    async with status_page(node, chromium) as (page, _, _):
        slowest = await text(page, "#slowest")
        assert SCRIPT_NAME in slowest
        assert "photo.png" in slowest


async def test_the_page_updates_itself(node: Node, chromium: str) -> None:
    async with status_page(node, chromium) as (page, requested_urls, _):
        before = len([url for url in requested_urls if url.endswith("/v1/status")])
        await expect(page.locator("#rate")).not_to_have_text("–", timeout=1000 * LONGEST_S)
        assert len([url for url in requested_urls if url.endswith("/v1/status")]) > before


async def test_the_page_says_that_the_node_does_not_answer(tmp_path: Path, chromium: str) -> None:
    mortal = node_with_token(tmp_path)
    with running(mortal):
        await ask(mortal)
        async with login_page(mortal, chromium) as (page, _, _):
            await log_in(page)
            mortal.kill()
            await expect(page.locator("#state")).to_have_text("the node does not answer")


async def test_the_page_shows_mounts_formats_and_the_last_errors(node: Node, chromium: str) -> None:
    async with status_page(node, chromium) as (page, _, _):
        mounts = (await text(page, "#mounts")).splitlines()
        assert next(line for line in mounts if line.startswith("all")).split("\t")[1:3] == ["20", "90.0 %"]
        assert next(line for line in mounts if line.startswith("shop")).split("\t")[-1] == "8"
        assert "png" in await text(page, "#formats")
        failures = await text(page, "#failures")
        assert "502 source-unavailable" in failures
        assert "/shop/w_16/photo.png" in failures
        assert await page.get_attribute("#rate-line polyline", "points"), "the node keeps a history"


async def test_a_url_is_explained(node: Node, chromium: str) -> None:
    async with status_page(node, chromium) as (page, _, _):
        await page.fill("#explain-url", "/w_16,f_auto/photo.png")
        await page.click("#explain button")
        await expect(page.locator("#explained")).to_contain_text("photos:photo.png")


async def test_a_purge_needs_a_confirmation(node: Node, chromium: str) -> None:
    async with status_page(node, chromium) as (page, requested_urls, _):
        await page.fill("#purge-value", "photo.png")
        await page.select_option("#purge-mount", "all")
        await page.click("#purge button")
        await expect(page.locator("#sure-text")).to_contain_text("all variants of photo.png (mount all)")
        await page.keyboard.press("Escape")
        await expect(page.locator("#sure")).not_to_be_visible()
        assert not any(url.endswith("/v1/purge") for url in requested_urls)
        await page.click("#purge button")
        await page.click("#sure button[value=purge]")
        await expect(page.locator("#purged")).to_contain_text("Removed ")


async def test_a_running_job_is_cancelled(node: Node, chromium: str) -> None:
    # A job whose source does not answer stays under way.
    order = {
        "mount": "shop",
        "keys": [f"{number}.png" for number in range(2000)],
        "transforms": ["w_10", "w_20"],
    }
    reply = node.call("POST", "/v1/warm", order, Authorization=f"Bearer {TOKEN}")
    assert reply.status == 202
    async with status_page(node, chromium) as (page, _, _):
        cancel = page.get_by_label(f"Cancel job {reply.body['id']}")
        await cancel.click()
        await expect(page.locator("#jobs tr", has_text=reply.body["id"])).to_contain_text("cancelled")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
async def test_the_pages_are_accessible_and_fit_the_window(
    node: Node, chromium: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    async with login_page(node, chromium) as (page, _, _):
        await page.emulate_media(color_scheme=scheme)
        await page.set_viewport_size({"width": width, "height": 900})
        await is_accessible(page)
        await log_in(page)
        await is_accessible(page)


async def is_accessible(page: Page) -> None:
    found = await Axe().run(page)
    assert [(each["id"], each["nodes"][0]["html"]) for each in found.response["violations"]] == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_session_without_a_scope_is_not_offered_what_needs_it(node: Node, chromium: str) -> None:
    async with login_page(node, chromium) as (page, _, _):
        await log_in(page, READER)
        assert not await page.is_visible("#purge-box")
