"""The gallery and the playground in a real browser: what people can see, reach and copy."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from tests.stories.fleet import Node, running
from tests.support import pictures
from tests.support.browser import browsing, patient

NARROW = {"width": 390, "height": 844}
WIDE = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "in").mkdir()
    (folder / "in/lake.jpg").write_bytes(pictures.photo_as("jpeg", 300, 200))
    (folder / "in/bottle.png").write_bytes(pictures.cut_out_as("png"))
    (folder / "in/<b>.jpg").write_bytes(pictures.photo_as("jpeg", 90, 60))
    made = Node(folder / "node", sources={"photos": {"path": str(folder / "in")}})
    made.override("server", gallery=True)
    with running(made):
        yield made


@pytest.fixture
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with browsing(chromium) as opened:
        yield opened


class Watched:
    """A page, the errors of its console, and the hosts it has requested."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        self.hosts: set[str | None] = set()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on(
            "console", lambda message: self.errors.append(message.text) if message.type == "error" else None
        )
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname))

    async def fits(self) -> bool:
        """Whether the page is not wider than the window."""
        return bool(await self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


async def opened(browser: Browser, url: str, size: dict[str, int], scheme: str = "light") -> Watched:
    context = await browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    watched = Watched(patient(await context.new_page()))
    await watched.page.goto(url)
    return watched


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (NARROW, "dark")])
async def test_the_gallery_shows_pictures_of_the_node_only(
    node: Node, browser: Browser, size: dict[str, int], scheme: str
) -> None:
    watched = await opened(browser, node.url, size, scheme)
    page = watched.page
    await expect(page.locator("figure[data-original] .facts").last).to_contain_text(" % of it")
    await page.get_by_label("Copy the URL of w_180,e_sepia").click()
    assert (
        await page.evaluate("navigator.clipboard.readText()") == f"{node.url}/w_180,e_sepia,f_auto/lake.jpg"
    )
    await expect(page.locator("#chosen")).to_contain_text("f_auto/lake.jpg")
    assert await watched.fits()
    assert watched.hosts == {"127.0.0.1"}
    # Photographs that this demo has not got are left out.
    assert {error for error in watched.errors if "404" not in error} == set()
    await expect(page.locator('img[src*="astronaut"]')).to_have_count(0)


async def test_the_candidate_follows_the_width(node: Node, browser: Browser) -> None:
    page = (await opened(browser, node.url, WIDE)).page
    await expect(page.locator("#chosen")).to_contain_text("/w_240,ar_16:9,c_fill,f_auto/lake.jpg")
    await page.evaluate("document.querySelector('.resizable').style.width = '38rem'")
    await expect(page.locator("#chosen")).to_contain_text("/w_640,ar_16:9,c_fill,f_auto/lake.jpg")


def playground(node: Node, fragment: str = "") -> str:
    return f"http://127.0.0.1:{node.admin_port}/playground{fragment}"


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (NARROW, "dark")])
async def test_a_control_changes_the_picture_and_the_texts(
    node: Node, browser: Browser, size: dict[str, int], scheme: str
) -> None:
    watched = await opened(
        browser, playground(node, "#original=lake.jpg&transform=w_200,f_auto"), size, scheme
    )
    page = watched.page
    await expect(page.locator("#facts")).to_contain_text("200 × 133, image/avif")
    await page.locator('input[name="w"]').fill("120")
    await page.locator('input[name="h"]').fill("120")
    await page.locator('input[name="c"]').fill("fill")
    await page.locator('input[name="e"]').fill("blur:3 sepia")
    await expect(page.locator("#facts")).to_contain_text("120 × 120")
    await expect(page.locator("#formats tbody tr")).to_have_count(4)
    tokens = "w_120,h_120,c_fill,f_auto,e_blur:3,e_sepia"
    url = f"http://127.0.0.1:{node.port}/{tokens}/lake.jpg"
    await expect(page.locator("textarea").first).to_have_value(url)
    await page.get_by_label("Copy: URL").click()
    assert await page.evaluate("navigator.clipboard.readText()") == url
    vendors = page.locator("#vendors")
    written = "/image/upload/c_fill,w_120,h_120/e_blur:60/e_sepia:80/f_auto/lake.jpg"
    await expect(vendors.get_by_label("cloudinary", exact=False).first).to_have_value(written)
    await expect(page.locator("#without")).to_contain_text("thumbor")
    assert (
        await page.evaluate("decodeURIComponent(location.hash)")
        == f"#mount=all&original=lake.jpg&transform={tokens}"
    )
    assert await watched.fits()
    assert watched.errors == []
    assert watched.hosts == {"127.0.0.1", None}, "this node, and the blobs of the page"


async def test_every_parameter_of_the_parser_has_a_control_that_a_keyboard_reaches(
    node: Node, browser: Browser
) -> None:
    page = (await opened(browser, playground(node), WIDE)).page
    await page.locator('input[name="fn"]').wait_for()
    names = await page.evaluate(
        "[...document.querySelectorAll('#controls input')].map((input) => input.name)"
    )
    await page.locator("#original").focus()
    reached = set()
    for _ in range(len(names) + 5):
        await page.keyboard.press("Tab")
        reached.add(await page.evaluate("document.activeElement.name || document.activeElement.id"))
    assert {*names, "mount", "reset"} <= reached
    labels = await page.evaluate(
        "[...document.querySelectorAll('input, select')].every((each) => each.labels.length === 1)"
    )
    assert labels


async def test_a_click_is_a_focal_point_and_a_drag_a_crop(node: Node, browser: Browser) -> None:
    page = (await opened(browser, playground(node, "#original=lake.jpg&transform=w_100"), WIDE)).page
    await expect(page.locator("#facts")).to_contain_text("100 × 67")
    box = await page.locator("#source").bounding_box()
    assert box is not None
    await page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.5)
    await expect(page.locator('input[name="g"]')).to_have_value("0.25:0.50")
    await expect(page.locator('input[name="c"]')).to_have_value("fill")
    await page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    await page.mouse.down()
    await page.mouse.move(box["x"] + box["width"] - 1, box["y"] + box["height"] - 1)
    await page.mouse.up()
    await expect(page.locator('input[name="x"]')).to_have_value("150")
    await expect(page.locator('input[name="y"]')).to_have_value("100")
    await expect(page.locator("#facts")).to_contain_text("149 × 99")


async def test_an_error_is_shown_with_its_cure_and_names_are_text(node: Node, browser: Browser) -> None:
    watched = await opened(browser, playground(node, "#original=<b>.jpg&transform=w_x"), WIDE)
    await expect(watched.page.locator("#problem")).to_contain_text("parameter w must be a whole number")
    await watched.page.locator('input[name="w"]').fill("30")
    await expect(watched.page.locator("#facts")).to_contain_text("30 × 20")
    await expect(watched.page.locator("#problem")).to_be_empty()
    assert await watched.page.locator("b", has_text=".jpg").count() == 0


async def test_the_playground_needs_the_token(tmp_path: Path, browser: Browser) -> None:
    (tmp_path / "in").mkdir()
    node = Node(tmp_path / "node", sources={"photos": {"path": str(tmp_path / "in")}})
    node.override("admin", token="t" * 32)
    with running(node):
        page = (await opened(browser, playground(node), WIDE)).page
        await expect(page.get_by_role("button")).to_be_visible()
        assert page.url.endswith("/login")


async def test_the_playground_signs_and_uploads_with_the_rights_of_its_session(
    tmp_path: Path, browser: Browser
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/lake.jpg").write_bytes(pictures.photo_as("jpeg", 300, 200))
    reader = {"token": "r" * 32, "scopes": ["read"]}
    node = Node(
        tmp_path / "node",
        sources={"photos": {"path": str(tmp_path / "in")}},
        mounts={
            "all": {"source": "photos", "signing": "required", "keys": ["k"]},
            "old": {
                "source": "photos",
                "prefix": "/old/",
                "dialect": "imgix",
                "signing": "required",
                "keys": ["i"],
            },
        },
        signing={"keys": {"k": "k" * 32, "i": "i" * 32}},
    )
    node.override("admin", token="t" * 32, tokens={"reader": reader})
    with running(node):
        watched = await opened(browser, playground(node), WIDE)
        page = watched.page
        await log_in(page, "t" * 32)
        await page.goto(playground(node, "#original=lake.jpg&transform=w_123,f_auto"))
        await expect(page.locator("#facts")).to_contain_text("123 × 82")
        signed = await page.get_by_label("URL", exact=True).input_value()
        assert (await page.context.request.get(signed)).status == 200
        vendors = await page.get_by_label("imgix", exact=True).input_value()
        assert "/old/lake.jpg?w=123&fit=max&auto=format&s=" in vendors
        assert (await page.context.request.get(vendors)).status == 200
        await page.set_input_files(
            "#file", {"name": "new.png", "mimeType": "image/png", "buffer": pictures.cut_out_as("png")}
        )
        await expect(page.locator("#original")).to_have_value(re.compile(r".+/new\.png"))
        await expect(page.locator("#facts")).to_contain_text("image/")
        other = (await opened(browser, playground(node), WIDE)).page
        await log_in(other, "r" * 32)
        await other.goto(playground(node, "#original=lake.jpg&transform=w_123,f_auto"))
        await expect(other.locator("#problem")).to_contain_text("signed URLs only")
        assert not await other.is_visible("#upload")
        assert await other.is_disabled("#sign")


async def log_in(page: Page, token: str) -> None:
    await page.fill("input[name=token]", token)
    await page.click("button")
    await page.wait_for_url(re.compile(r"/$"))


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (NARROW, "dark")])
async def test_gallery_and_playground_are_accessible(
    node: Node, browser: Browser, size: dict[str, int], scheme: str
) -> None:
    for url, ready in (
        (node.url, "figure[data-original] .facts"),
        (f"http://127.0.0.1:{node.admin_port}/gallery", "figure[data-original] .facts"),
        (playground(node), "#formats td"),
    ):
        page = (await opened(browser, url, size, scheme)).page
        await page.locator(ready).last.wait_for()
        found = await Axe().run(page)
        assert [(each["id"], each["nodes"][0]["html"]) for each in found.response["violations"]] == []
