"""A page of a server of the test's own, in a real browser."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Page, async_playwright


@asynccontextmanager
async def page_with(
    chromium: str, folders: Mapping[str, Path], text: str = "<!doctype html>"
) -> AsyncIterator[Page]:
    """A page with this HTML; the server has the files of `folders` below their paths."""

    async def document(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", document)
    for path, folder in folders.items():
        app.router.add_static(path, folder)
    async with TestServer(app) as server, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.goto(str(server.make_url("/")))
        yield page
        await browser.close()
