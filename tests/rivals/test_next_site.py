"""A page of Next.js with a custom loader shows its pictures from a node that only its environment names."""

import os
import shutil
import subprocess
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.rivals.conftest import StartNode
from tests.rivals.servers import NODE, NODE_MODULES, running
from tests.support.browser import patient
from tests.support.servers import free_port

SITE = Path(__file__).with_name("next_site")
SHOWN = "[...document.images].map((image) => [image.currentSrc, image.naturalWidth > 0])"


def test_a_next_site_moves_by_its_environment_alone(node: StartNode, chromium: str, tmp_path: Path) -> None:
    images = node("cloudinary")
    site = shutil.copytree(SITE, tmp_path / "site")
    (site / "node_modules").symlink_to(NODE_MODULES)
    assert NODE is not None
    program = (NODE, str(NODE_MODULES / "next" / "dist" / "bin" / "next"))
    env = {
        "PATH": os.pathsep.join([str(Path(NODE).parent), os.defpath]),
        "HOME": str(tmp_path),
        "NEXT_PUBLIC_IMAGES": images,
        "NEXT_TELEMETRY_DISABLED": "1",
    }
    subprocess.run([*program, "build", "--webpack"], cwd=site, env=env, check=True, capture_output=True)
    port = free_port()
    command = (*program, "start", str(site), "-p", str(port), "-H", "127.0.0.1")
    with (
        running(*command, port=port, health="/", log=tmp_path / "next.log", env=env) as page_url,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = patient(browser.new_page())
        page.goto(page_url, wait_until="load")
        shown = page.evaluate(SHOWN)
        browser.close()
    expected = ("w_320,q_auto/lake.jpg", "w_64,q_75/lake.jpg", "w_640,q_auto/door.png")
    assert shown == [
        [f"{images}/demo/image/upload/f_auto,c_limit,{parameters}", True] for parameters in expected
    ]
