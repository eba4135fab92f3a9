"""A real browser, and a page of a server of the test's own in it. The browser is one process for all tests, because a start takes
two seconds of processor time; each page has a context of its own, as in a private window."""

import atexit
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import TypeVar

from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright import sync_api
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.support.servers import ROOT
from tests.support.waiting import LONGEST_S

P = TypeVar("P", Page, sync_api.Page)

_START = """
import os, sys
from proxy.local.parent import end_with_parent
end_with_parent()
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Starts a program that ends with the tests, also if these are killed."""


def patient(page: P) -> P:
    """The page, with deadlines that a busy machine keeps: those of Playwright are half a minute."""
    page.set_default_timeout(LONGEST_S * 1000)
    expect.set_options(timeout=LONGEST_S * 1000)
    return page


@cache
def _endpoint(chromium: str) -> str:
    """The address by which the browser is controlled."""
    profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    process = subprocess.Popen(
        [sys.executable, "-c", _START, chromium, *options, "--remote-debugging-port=0", f"--user-data-dir={profile.name}", "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stderr is not None

    def stop() -> None:
        process.kill()
        process.wait()
        profile.cleanup()

    atexit.register(stop)
    found = next(match for line in process.stderr if (match := re.search(r"ws://\S+", line)))
    return found[0]


@asynccontextmanager
async def browsing(chromium: str) -> AsyncIterator[Browser]:
    """The browser, without the pages of other tests."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(_endpoint(chromium))
        yield browser
        for context in browser.contexts[1:]:
            await context.close()
        await browser.close()


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
    async with TestServer(app) as server, browsing(chromium) as browser:
        page = patient(await browser.new_page())
        await page.goto(str(server.make_url("/")))
        yield page
