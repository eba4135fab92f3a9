"""The gallery at the public root of a demo."""

import json
import re
from html import unescape
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.http.conftest import running
from tests.support import pictures
from tests.support.servers import ROOT, free_port


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


async def test_the_gallery_leads_to_the_documents(tmp_path: Path) -> None:
    async with running(tmp_path, server={"gallery": True}) as node:
        assert b'<a href="/docs/">Documents</a>' in (await node.get("/")).body
        listed = await node.get("/docs/")
        found = re.findall(r'<a href="(/docs/[^"]+)">([^<]+)</a>', listed.body.decode())
        assert {path.rpartition("/")[2] for path, _ in found} == {
            path.name for path in (ROOT / "docs").glob("*.md")
        }
        assert ("/docs/urls.md", "URLs") in found
        for path, _ in found:
            answer = await node.get(path)
            assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert answer.body == (ROOT / path[1:]).read_bytes()
        assert (await node.get("/docs/decisions/README.md")).status == 404


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


async def test_the_admin_listener_shows_the_gallery_of_a_mount(tmp_path: Path) -> None:
    port = free_port()
    mounts = {"shop": {"source": "photos", "prefix": "/shop/", "dimensions": "any"}}
    async with running(tmp_path, server={"port": port}, mounts=mounts) as node:
        for name in ("a b.jpg", "b&<.jpg", "c.png"):
            (node.originals / name).write_bytes(pictures.photo_as("jpeg", 300, 200))
        page = await node.get("/gallery", admin=True, Host="localhost:81")
        origin = f"http://localhost:{port}"
        assert page.headers["Content-Security-Policy"].endswith(f"img-src 'self' blob: {origin}")
        text = unescape(page.body.decode())
        found = set(re.findall(r'(?:src|data-url|data-original|data-variant)="(http[^"]+)"', text))
        found |= {part.split()[0] for part in re.findall(r'srcset="([^"]+)"', text)[0].split(", ")}
        assert len(found) > 60
        for url in sorted(found):
            assert url.startswith(f"{origin}/shop/"), url
            answer = await node.get(url.removeprefix(origin))
            assert answer.status == 200, (url, answer.body[:300])
        for part in ("gallery.css", "gallery.js"):
            assert (await node.get(f"/{part}", admin=True)).status == 200


@pytest.mark.parametrize(
    ("server", "mount"),
    [({}, {"presets_only": True}), ({}, {"dialect": "thumbor"}), ({"port": 0}, {})],
)
async def test_a_gallery_that_no_mount_can_have_says_what_it_needs(
    tmp_path: Path, server: dict[str, object], mount: dict[str, object]
) -> None:
    mounts = {"shop": {"source": "photos", **mount}}
    async with running(tmp_path, server={"port": free_port(), **server}, mounts=mounts) as node:
        answer = await node.get("/gallery", admin=True)
        assert answer.status == 404
        assert b"requires a mount of native URLs" in answer.body


async def test_the_playground_knows_the_urls_of_other_vendors(tmp_path: Path) -> None:
    mounts = {
        "all": {"source": "photos", "dimensions": "any"},
        "old": {
            "source": "photos",
            "prefix": "/old/",
            "dialect": "thumbor",
            "signing": "optional",
            "keys": ["k"],
        },
        "other": {"source": "others", "prefix": "/other/", "dialect": "imgix"},
    }
    sources = {"photos": {"path": str(tmp_path / "originals")}, "others": {"path": str(tmp_path)}}
    async with running(tmp_path, mounts=mounts, sources=sources, signing={"keys": {"k": "k" * 32}}) as node:

        async def urls(mount: str, target: str) -> tuple[int, dict[str, dict[str, object]]]:
            query = f"mount={mount}&target={quote(target)}"
            answer = await node.get(f"/vendor_urls.json?{query}", admin=True)
            rows = json.loads(answer.body)
            return answer.status, {row["dialect"]: row for row in rows} if answer.status == 200 else rows

        status, found = await urls("all", "/w_80,f_webp/a.jpg")
        assert status == 200
        expected = "/old/unsafe/80x0/filters:no_upscale():format(webp)/a.jpg"
        assert found["thumbor"] == {
            "dialect": "thumbor", "target": expected, "is_served": True, "can_sign": True,
        }  # fmt: skip
        assert found["imgix"] == {
            "dialect": "imgix", "target": "/a.jpg?w=80&fit=max&fm=webp", "is_served": False, "can_sign": False,
        }  # fmt: skip
        for mount, target in (("old", "/w_80/a.jpg"), ("no", "/w_80/a.jpg"), ("all", "/original/a.jpg")):
            assert (await urls(mount, target))[0] == 400
        status, problem = await urls("all", "/w_x/a.jpg")
        assert (status, "parameter w" in str(problem)) == (400, True), problem
