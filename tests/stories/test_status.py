"""The status page in a real browser, over a node that has something to tell."""

from pathlib import Path

from playwright.async_api import Page, async_playwright, expect

from tests.stories.fleet import Node, client, get, running
from tests.support import pictures
from tests.support.waiting import LONGEST_S

TOKEN = "t" * 32


async def text(page: Page, selector: str) -> str:
    return str(await page.inner_text(selector))


async def test_the_page_shows_what_happens(tmp_path: Path, chromium: str) -> None:
    (tmp_path / "in").mkdir()
    name = "<img src=x onerror=alert(1)>.png"
    (tmp_path / "in" / name).write_bytes(pictures.quarters_as("png"))
    (tmp_path / "in/photo.png").write_bytes(pictures.quarters_as("png"))
    node = Node(
        tmp_path / "node",
        processes=2,
        sources={
            "photos": {"path": str(tmp_path / "in")},
            "shop": {"kind": "s3", "bucket": "x-originals", "endpoint_url": "http://127.0.0.1:9", "access_key": "a", "secret_key": "b"},
        },
        mounts={
            "all": {"source": "photos", "dimensions": "any"},
            "shop": {"source": "shop", "prefix": "/shop/"},
        },
        admin={"token": TOKEN},
    )  # fmt: skip
    node.environment["CALOTYPE_ADMIN"] = f'{{"port": {node.admin_port}, "token": "{TOKEN}"}}'
    with running(node):
        async with client() as session:
            for target in (
                "/w_16/photo.png",
                "/w_17/%3Cimg%20src=x%20onerror=alert(1)%3E.png",
                *["/w_16/photo.png"] * 18,
            ):
                assert (await get(session, node.url + target)).status == 200
            for _ in range(8):
                assert (await get(session, node.url + "/shop/w_16/photo.png")).status == 502
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = await browser.new_page(viewport={"width": 1100, "height": 1000})
            asked: list[str] = []
            said: list[str] = []
            page.on("request", lambda request: asked.append(request.url))
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("dialog", lambda dialog: said.append("a script of somebody else ran"))

            await page.goto(f"http://127.0.0.1:{node.admin_port}/")
            assert page.url.endswith("/login")
            await page.fill("input[name=token]", "wrong")
            await page.click("button")
            assert "not the token" in await text(page, ".wrong")
            said.clear()  # The browser notes the 401.
            await page.fill("input[name=token]", TOKEN)
            await page.click("button")
            await expect(page.locator("#ratio")).to_contain_text("%")

            assert "ready" in await text(page, "#state")
            assert await text(page, "#ratio") == f"{18 / 28 * 100:.1f} %"
            assert await text(page, "#workers") == f"0 of {len(node.workers())}"
            tiers = await text(page, "#tiers")
            for tier in ("memory", "disk", "originals"):
                assert tier in tiers
            parts = await text(page, "#parts")
            assert "left alone" in next(line for line in parts.splitlines() if "sources.shop" in line)
            assert "in use" in next(line for line in parts.splitlines() if "sources.photos" in line)
            slowest = await text(page, "#slowest")
            assert name in slowest, "as text"
            assert "photo.png" in slowest
            before = len([url for url in asked if url.endswith("/v1/status")])
            await expect(page.locator("#rate")).not_to_have_text("–", timeout=1000 * LONGEST_S)
            assert len([url for url in asked if url.endswith("/v1/status")]) > before, "it is live"
            assert {url.split("/")[2] for url in asked} == {f"127.0.0.1:{node.admin_port}"}, (
                "no other place is asked"
            )
            assert said == []
            await page.screenshot(path=tmp_path / "status.png", full_page=True)
            node.kill()
            await expect(page.locator("#state")).to_have_text("the node does not answer")
            await browser.close()
