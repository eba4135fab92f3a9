"""The gallery at the public root of a demo."""

import re
from html import unescape
from pathlib import Path

import pytest

from tests.http.conftest import running
from tests.support import pictures
from tests.support.servers import free_port


def add_demo_originals(folder: Path) -> None:
    (folder / "lake.jpg").write_bytes(pictures.photo_as("jpeg", 300, 200))
    (folder / "bottle.png").write_bytes(pictures.cut_out_as("png"))
    (folder / "cat.png").write_bytes(pictures.photo_as("png", 200, 150))


async def test_every_picture_of_the_gallery_is_one_of_the_node(tmp_path: Path) -> None:
    (tmp_path / "originals").mkdir()
    add_demo_originals(tmp_path / "originals")
    async with running(tmp_path, server={"gallery": True}) as node:
        page = await node.get("/")
        assert page.status == 200
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "http" not in policy, "pictures, scripts and styles are those of the node"
        text = unescape(page.body.decode())
        assert "$" not in text.replace('"$folder', "")
        found = set(re.findall(r'(?:src|data-url|data-original|data-variant)="(/[^"]+)"', text))
        found |= {part.split()[0] for part in re.findall(r'srcset="([^"]+)"', text)[0].split(", ")}
        assert len(found) > 60
        for url in sorted(found):
            absent = url.rpartition("/")[2] in ("astronaut.png", "coffee.png", "garage.png", "rocket.jpg")
            answer = await node.get(url)
            assert answer.status == (404 if absent else 200), (url, answer.body[:300])
        assert not re.findall(r'(?:src|href)="(?:https?:)?//', text)


async def test_a_node_without_a_gallery_answers_its_root_quietly(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        assert (await node.get("/")).body == b"calotype\n"
        assert (await node.get("/gallery.css")).status == 404


@pytest.mark.parametrize("host", ["foo:99999", "a b", "x;script-src *", ":", "foo:abc", "a,b"])
async def test_the_playground_refuses_an_invalid_host(tmp_path: Path, host: str) -> None:
    async with running(tmp_path, server={"port": free_port()}) as node:
        for path in ("/playground", "/playground.json"):
            assert (await node.get(path, admin=True, Host=host)).status == 400


@pytest.mark.parametrize(("host", "origin"), [("localhost:81", "localhost"), ("[::1]", "[::1]"), ("*", "")])
async def test_the_playground_shows_pictures_of_the_host_it_is_reached_by(
    tmp_path: Path, host: str, origin: str
) -> None:
    port = free_port()
    async with running(tmp_path, server={"port": port}) as node:
        page = await node.get("/playground", admin=True, Host=host)
        sources = f" http://{origin}:{port}" if origin else ""
        assert page.headers["Content-Security-Policy"].endswith(f"img-src 'self' blob:{sources}")
