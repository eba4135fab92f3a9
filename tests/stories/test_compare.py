"""`calotype compare` between a node and a vendor's server, its saved responses, a stop in the middle, and its report in a
real browser."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest
from playwright.async_api import Page

from tests.stories.fleet import Node, running
from tests.support import commands, pictures
from tests.support.browser import browsing, patient
from tests.support.fakes import temporary_file
from tests.support.servers import ROOT
from tests.support.waiting import LONGEST_S, eventually_sync

HOST = "img.example"
SAME, OTHER, SMALLER, GONE, TEXT = (
    "/w_80,f_png/0.jpg",
    "/w_80,f_png/1.jpg",
    "/w_80,f_webp/2.jpg",
    "/w_80,f_png/gone.jpg",
    "/w_80,f_png/0.jpg?utm_source=%3Cscript%3Ealert(1)%3C/script%3E<b>",
)
SIGNED = "/w_80,f_png/3.jpg?sig=0123456789abcdef0123456789abcdef"


@dataclass
class Vendor:
    """A server with these bodies by target; it answers 404 to others, and waits before those in `held`."""

    bodies: dict[str, bytes]
    requests: list[str] = field(default_factory=list)
    held: dict[str, Event] = field(default_factory=dict)
    url: str = ""

    @contextmanager
    def running(self) -> Iterator["Vendor"]:
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                vendor.requests.append(self.path)
                if (event := vendor.held.get(self.path)) is not None:
                    event.wait(LONGEST_S)
                body = vendor.bodies.get(self.path, b"")
                self.send_response(200 if body else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.url = f"http://127.0.0.1:{server.server_port}"
            Thread(target=server.serve_forever, daemon=True).start()
            yield self
            server.shutdown()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("compare")
    for number in range(4):
        temporary_file(folder / "in", f"{number}.jpg", pictures.photo_as("jpeg", 200, 150, number))
    mount = {"source": "photos", "dimensions": "any"}
    node = Node(
        folder / "node",
        sources={"photos": {"path": str(folder / "in")}},
        mounts={"all": mount, "named": mount | {"host": HOST, "prefix": "/img/"}},
        render={"workers": 1},
    )
    with running(node):
        yield node


@pytest.fixture
def vendor(node: Node) -> Iterator[Vendor]:
    def ours(target: str) -> bytes:
        with urllib.request.urlopen(node.url + target) as response:
            return bytes(response.read())

    bodies = {
        SAME: ours(SAME),
        TEXT: ours(SAME),
        OTHER: ours("/w_80,f_png/2.jpg"),
        SMALLER: ours("/w_79,f_webp/2.jpg"),
        GONE: ours(SAME),
        SIGNED: b"<svg/>",
    }
    with Vendor(bodies).running() as started:
        yield started


def compare(node: Node, *words: str, mount: str = "all") -> subprocess.CompletedProcess[str]:
    return commands.calotype_text("compare", *words, "--mount", mount, env=node.environment)


def test_differences_are_reported_and_counted(node: Node, vendor: Vendor) -> None:
    done = compare(node, *vendor.bodies, "--vendor", vendor.url)
    *lines, last = done.stderr.splitlines()
    assert done.returncode == 1
    assert last == "4 of 6 URLs differ (status 2, size 1, picture 1)"
    assert sorted(line.partition(": ")[0] for line in lines) == sorted(
        [OTHER, SMALLER, GONE, "/w_80,f_png/3.jpg?..."]
    )
    assert f"{SMALLER}: size 80x60 instead of 79x59" in lines
    missing = "there is no original 'gone.jpg' in source photos"
    assert f"{GONE}: status 404 instead of 200: {missing}" in lines
    assert "0123456789abcdef" not in done.stderr
    ignoring = compare(
        node, SAME, SMALLER, OTHER, "--vendor", vendor.url, "--ignore", "size", "--threshold", "100"
    )
    assert (ignoring.returncode, ignoring.stderr) == (0, "0 of 3 URLs differ\n")
    document = json.loads(compare(node, SAME, GONE, "--vendor", vendor.url, "--json").stdout)
    assert (document["urls"], document["differ"], document["kinds"]["status"]) == (2, 1, 1)
    [differing] = document["differing"]
    assert (differing["target"], differing["differences"]) == (
        GONE,
        [f"status 404 instead of 200: {missing}"],
    )
    assert differing["ours"]["status"] == 404


def test_saved_responses_replace_the_vendor(node: Node, vendor: Vendor, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    line = '192.0.2.1 - - [21/Nov/2026:10:00:00 +0000] "GET {} HTTP/1.1" 200 9 "-" "-"\n'
    log.write_text("".join(map(line.format, [*vendor.bodies, SAME, "/w_80/3.jpg?sig=..."])))
    words = ("--access-log", str(log), "--json")
    first = compare(node, *words, "--vendor", vendor.url, "--save", str(tmp_path / "saved"))
    assert sorted(vendor.requests) == ["/", *sorted(vendor.bodies)]
    assert "1 URLs of the log were left out, because their signatures are masked" in first.stderr
    saved = compare(node, *words, "--vendor", str(tmp_path / "saved"))
    assert saved.stdout == first.stdout
    assert len(vendor.requests) == 1 + len(vendor.bodies)
    limited = compare(node, *words, "--vendor", str(tmp_path / "saved"), "--limit", "1")
    assert json.loads(limited.stdout)["urls"] == 1


def test_the_host_and_the_path_of_a_mount_are_requested(node: Node, vendor: Vendor) -> None:
    done = compare(node, f"https://{HOST}/img{SAME}", "--vendor", vendor.url, mount="named")
    assert (done.returncode, done.stderr) == (0, "0 of 1 URLs differ\n")
    assert vendor.requests == ["/", SAME]
    words = ("compare", SAME, "--vendor", vendor.url)
    unnamed = commands.calotype_text(*words, env=node.environment)
    assert unnamed.returncode == 1
    assert "--mount: must be given; the mounts are all, named" in unnamed.stderr
    elsewhere = commands.calotype_text(*words, "--node", node.url, env={})
    assert (elsewhere.returncode, elsewhere.stderr) == (0, "0 of 1 URLs differ\n")


def test_a_stopped_command_reports_and_continues(node: Node, vendor: Vendor, tmp_path: Path) -> None:
    vendor.held[GONE] = Event()
    report = tmp_path / "out.html"
    words = [SAME, OTHER, GONE, "--jobs", "1", "--vendor", vendor.url, "--report", str(report)]
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy", "compare", "--mount", "all", *words],
        stderr=subprocess.PIPE, cwd=ROOT, env=node.environment, text=True,
    )  # fmt: skip
    eventually_sync(lambda: GONE in vendor.requests)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 130
    assert "interrupted: 2 of 3 URLs were compared\nthe same command continues from here" in stderr
    assert "interrupted: 2 of 3 URLs were compared" in report.read_text()
    vendor.held[GONE].set()
    other = compare(node, SAME, "--vendor", vendor.url, "--report", str(report), "--accept", "*/*")
    assert other.returncode == 1
    assert "belongs to another comparison; remove it, or name another report" in other.stderr
    vendor.requests.clear()
    done = compare(node, *words)
    assert done.stderr.splitlines()[-1] == "2 of 3 URLs differ (status 1, picture 1)"
    assert vendor.requests == ["/", GONE]
    assert report.read_text().count("<img ") == 5
    assert os.listdir(tmp_path) == ["out.html"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 2, "Missing option '--vendor'"),
        (("--vendor", "http://127.0.0.1:9"), 2, "give one of URL..., --file and --access-log"),
        (("/a", "--vendor", "/nowhere"), 2, "--vendor must be a URL or an existing folder"),
        (("/a", "--vendor", ".", "--save", "x"), 2, "--save requires a --vendor that is a URL"),
        (("/a", "--vendor", ".", "--ignore", "colour"), 2, "Invalid value for '--ignore'"),
        (("a", "--vendor", "."), 1, "bad-url: URL number 1: the URL must be an http or https URL"),
        (("/a", "--vendor", "http://127.0.0.1:9"), 1, "--vendor: http://127.0.0.1:9: it refuses connections"),
        (("/a", "--vendor", "ftp://h"), 1, "--vendor: must be an http or https URL without user"),
        (("/a", "--vendor", ".", "--node", "http://u:p@h"), 1, "--node: must be an http or https URL"),
        (
            ("/a", "--vendor", ".", "--node", "http://127.0.0.1:9"),
            1,
            "--node: http://127.0.0.1:9: it refuses",
        ),
    ],
)
def test_wrong_command_lines(node: Node, words: tuple[str, ...], code: int, says: str) -> None:
    done = compare(node, *words)
    assert done.returncode == code
    assert says in done.stderr


@pytest.mark.parametrize(("width_px", "scheme"), [(1280, "light"), (390, "dark")])
async def test_the_report_opens_in_a_browser(
    node: Node, vendor: Vendor, tmp_path: Path, chromium: str, width_px: int, scheme: str
) -> None:
    report = tmp_path / "out.html"
    words = [*vendor.bodies, "--vendor", vendor.url, "--report", str(report)]
    assert (await asyncio.to_thread(compare, node, *words)).returncode == 1
    requested: list[str] = []
    complaints: list[str] = []
    async with browsing(chromium) as browser:
        page = patient(
            await browser.new_page(viewport={"width": width_px, "height": 900}, color_scheme=scheme)
        )  # type: ignore[arg-type]
        page.on("request", lambda request: requested.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append("a script in a URL ran"))
        await page.goto(report.as_uri())
        await _examine(page)
        await page.screenshot(path=tmp_path / "report.png", full_page=True)
    assert complaints == []
    assert requested == [report.as_uri()]


async def _examine(page: Page) -> None:
    """The order of the URLs, their text and pictures, the filters, and that nothing is wider than the window."""
    shown = page.locator("article:visible")
    titles = [await each.inner_text() for each in await page.locator("h3").all()]
    assert set(titles[:2]) == {GONE, SIGNED}
    assert titles[2] == OTHER
    assert set(titles[4:]) == {SAME, TEXT}
    assert await page.evaluate(
        "[...document.images].every(image => image.complete && image.naturalWidth > 0)"
    )
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.click("label[for=kind-size]")
    assert [await each.get_attribute("class") for each in await shown.all()] == ["differ size"]
    await page.click("label[for=kind-differ]")
    assert await shown.count() == 4
    first, second = await page.locator("article.size img").all()
    await page.click("label[for=overlay]")
    ours, theirs = await second.bounding_box(), await first.bounding_box()
    assert ours is not None
    assert theirs is not None
    assert abs(ours["x"] - theirs["x"]) < 1
