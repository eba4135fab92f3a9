"""nginx in front of a node, with the shipped configuration: what it forwards, caches and refuses."""

import asyncio
import contextlib
import fcntl
import json
import os
import random
import re
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from proxy.cli.nginx_demo import NGINX, Ports, arrange, nginx
from proxy.config.settings import Settings
from proxy.core.url.signing import sign
from proxy.edge.responses import FRONT_CACHE_S
from tests.stories.fleet import Node, client, running
from tests.stories.fleet import get as get_from
from tests.stories.front import GENEROUS, Front, fronting
from tests.support import pictures
from tests.support.answers import Answer
from tests.support.fakes import temporary_file
from tests.support.servers import ROOT, free_port, http_ok
from tests.support.waiting import LONGEST_S, eventually

KEY = "k" * 32


class Installation(NamedTuple):
    """nginx with the shipped configuration before a node."""

    front: Front
    node: Node
    originals: Path


def node_of(folder: Path, name: str = "node") -> Node:
    originals = folder / "originals"
    originals.mkdir(exist_ok=True)
    (originals / "photo.jpg").write_bytes(pictures.photo_as("jpeg"))
    (originals / "cut-out.png").write_bytes(pictures.cut_out_as("png"))
    (originals / "deep").mkdir(exist_ok=True)
    (originals / "deep" / "a b%é;c+d.jpg").write_bytes(pictures.quarters_as("jpeg"))
    made = Node(
        folder / name,
        sources={"photos": {"path": str(originals)}},
        mounts={"all": {"source": "photos", "dimensions": "any", "signing": "optional"}},
        signing={"keys": {"k": KEY}, "session": "cookie:sid"},
        render={"workers": 1},
    )
    settings = json.loads(made.environment["CALOTYPE_SERVER"])
    settings["socket"] = str(folder / f"{name}.sock")
    made.environment["CALOTYPE_SERVER"] = json.dumps(settings)
    return made


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("front")
    node = node_of(folder)
    with running(node), fronting(folder / "nginx", f"unix:{folder}/node.sock") as front:
        yield Installation(front, node, folder / "originals")


async def get(base: str, target: str, method: str = "GET", **headers: str) -> Answer:
    trust = ssl._create_unverified_context()
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session,
        session.request(
            method,
            URL(base + target, encoded=True),
            headers=sent,
            skip_auto_headers=["Accept", "User-Agent"],
            allow_redirects=False,
        ) as answer,
    ):
        return Answer(answer.status, answer.headers, await answer.read())


async def direct(installation: Installation, target: str, method: str = "GET", **headers: str) -> Answer:
    """From the node itself, on its own socket."""
    connector = aiohttp.UnixConnector(str(installation.node.folder.parent / "node.sock"))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.request(
            method, URL("http://x" + target, encoded=True), headers=headers, skip_auto_headers=["Accept"]
        ) as answer,
    ):
        return Answer(answer.status, answer.headers, await answer.read())


async def both_ways(installation: Installation, target: str, method: str = "GET", **headers: str) -> Answer:
    """nginx's answer, once it is known to be the node's."""
    plain = await direct(installation, target, method, **headers)
    for base in (installation.front.url, installation.front.https):
        through = await get(base, target, method, **headers)
        assert (through.status, through.body) == (plain.status, plain.body), (method, headers)
        assert lasting(through) == lasting(plain), (method, headers)
        assert not is_proxy_hit(through)
    return through


def lasting(answer: Answer) -> list[tuple[str, str]]:
    """The headers that one answer has like the next: a remembered 404's max-age, below 100 s, counts down."""
    passing = {"date", "connection", "keep-alive", "x-accel-expires", "cache-status", "server-timing"}
    return sorted(
        (name.lower(), re.sub(r"(?<=^public, max-age=)[0-9]{1,2}$", "less", value))
        for name, value in answer.headers.items()
        if name.lower() not in passing
    )


def is_proxy_hit(answer: Answer) -> bool:
    return str(answer.headers.get("Cache-Status", "")).endswith("front; hit")


def test_every_nginx_file_is_a_valid_configuration(tmp_path: Path) -> None:
    """As an engineer copies it: nothing replaced but the certificate, and the places only root may write to."""
    for path in NGINX.rglob("*.conf"):
        copy = tmp_path / path.relative_to(NGINX)
        copy.parent.mkdir(exist_ok=True, parents=True)
        copy.write_text(path.read_text())
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-keyout",
         tmp_path / "site/certificate.key", "-out", tmp_path / "site/certificate.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    included = {
        line.split()[1].rstrip(";")
        for path in NGINX.rglob("*.conf")
        for line in path.read_text().splitlines()
        if line.strip().startswith("include ")
    }
    assert included == {str(path.relative_to(NGINX)) for path in NGINX.rglob("*/*.conf")}, "each is included"
    machine = tmp_path / "site/machine.conf"
    machine.write_text(
        machine.read_text().replace("/var/log/nginx", str(tmp_path)).replace("/run/", f"{tmp_path}/")
    )
    listen = tmp_path / "site/listen.conf"
    listen.write_text(listen.read_text().replace("/var/log/nginx", str(tmp_path)))
    tested = subprocess.run(nginx(tmp_path / "nginx.conf", "-t"), capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stderr


def test_the_files_of_compose_match_the_nginx_configuration(tmp_path: Path) -> None:
    compose = NGINX.parent / "packaging/compose"
    written = {path.stem: path.read_text() for path in compose.glob("*.conf")}
    assert written.keys() == {"nodes", "listen", "machine"}
    # Names that only exist there, and a user.
    written["nodes"] = re.sub(r"node-[ab]", "127.0.0.1", written["nodes"])
    written["machine"] = written["machine"].replace("user nginx;\n", "").replace("/run/", f"{tmp_path}/")
    arrange(tmp_path, tmp_path / "hot", Ports(), [], written)
    tested = subprocess.run(nginx(tmp_path / "nginx.conf", "-t"), capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stderr


async def test_an_nginx_of_a_site_serves_pictures_at_a_prefix(tmp_path: Path) -> None:
    """The example for those who have an nginx already, with its ports and folders replaced."""
    temporary_file(tmp_path / "in", "a b.jpg", pictures.photo_as("jpeg"))
    mounts = {"all": {"source": "photos", "prefix": "/images/", "dimensions": "any"}}
    node = Node(tmp_path / "node", sources={"photos": {"path": str(tmp_path / "in")}}, mounts=mounts)
    port = free_port()
    text = (ROOT / "docs/examples/nginx.conf").read_text()
    for old, new in (
        ("127.0.0.1:8080", f"127.0.0.1:{node.port}"), ("listen 80", f"listen {port}"), ("/var/www/html", str(tmp_path)),
        ("/etc/nginx/calotype/", f"{ROOT}/nginx/"),
        ("http {", f"http {{ access_log off; {TEMPS.format(folder=tmp_path)}"),
    ):  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    configuration = temporary_file(tmp_path, "nginx.conf", f"pid {tmp_path}/pid; daemon off; {text}".encode())
    command = ["nginx", "-e", str(tmp_path / "error.log"), "-c", str(configuration)]
    with running(node), subprocess.Popen(command) as site:
        try:
            await eventually(lambda: http_ok(port, "/images/w_50,f_webp/a%20b.jpg"))
            async with client() as session:
                url = f"http://127.0.0.1:{port}/images/w_50,f_webp/a%20b.jpg"
                whole = await get_from(session, url)
                direct = await get_from(session, f"{node.url}/images/w_50,f_webp/a%20b.jpg")
                assert (whole.status, whole.body) == (200, direct.body)
                part = await get_from(session, url, Range="bytes=2-5")
                assert (part.status, part.body) == (206, direct.body[2:6])
                assert (
                    await get_from(session, url, **{"If-None-Match": whole.headers["ETag"]})
                ).status == 304
                assert (
                    await get_from(session, f"http://127.0.0.1:{port}/images/w_50/none.jpg")
                ).status == 404
        finally:
            site.terminate()


TEMPS = "".join(
    f"{kind}_temp_path {{folder}}/temp-{kind}; "
    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)


async def test_nginx_and_the_node_serve_the_same_picture(installation: Installation) -> None:
    for target in ("/w_200,f_auto/photo.jpg", "/original/photo.jpg", "/thumbnail?url=photo.jpg&w=99"):
        plain = await direct(installation, target)
        for base in (installation.front.url, installation.front.https):
            for _ in range(4):
                answer = await get(base, target)
                assert (answer.status, answer.body) == (200, plain.body)
                for name in (
                    "ETag",
                    "Content-Type",
                    "Cache-Control",
                    "Content-Security-Policy",
                    "Vary",
                    "Accept-Ranges",
                ):
                    assert answer.headers.get(name) == plain.headers.get(name), name
                assert answer.headers["Server"] == "calotype"
                assert "X-Accel-Expires" not in answer.headers
                assert len(answer.headers.getall("Cache-Status")) == 1
        assert is_proxy_hit(answer) is (not target.startswith("/original"))
    assert "Server-Timing" not in (await get(installation.front.url, "/w_200,f_auto/photo.jpg")).headers


@pytest.mark.parametrize(
    "target",
    [
        "/w_60/deep/a%20b%25%C3%A9%3Bc%2Bd.jpg",
        "/w_60/deep%2Fa%20b%25%C3%A9;c+d.jpg",
        "/w_60/deep//photo.jpg",
        "/w_60/./photo.jpg",
        "/w_60/deep/../photo.jpg",
        "/w_60/deep/%2e%2e/photo.jpg",
        "/w_60/a%252fb.jpg",
        "/w_60/https%3A%2F%2Fexample.org%2Fa.jpg",
        "/w_60/https://example.org/a.jpg",
        "/thumbnail?url=https://example.org/a%20b.jpg&w=1",
        "/w_60/photo.jpg?",
        "/w_60/photo.jpg?a=b",
        "/w_60/photo.jpg;a",
        "/w_60,/photo.jpg",
        "/w_60/photo%2ejpg",
        "//w_60/photo.jpg",
        "/w_60/%E2%82.jpg",
        '/w_60/a|b{c}^d`e"f<g>.jpg',
        '/thumbnail?url=a|b{c}^d`e"f<g>\\.jpg&w=60',
    ],
)
async def test_nginx_forwards_the_raw_target(installation: Installation, target: str) -> None:
    """Raw, through the hop: the node says of it what it says of it directly."""

    async def raw(opening: Any) -> bytes:
        reader, writer = await opening
        writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        response = await reader.read()
        writer.close()
        return response

    async def passed() -> list[dict[str, Any]]:
        """What the node was asked through nginx before this call. A last request marks the end of its log."""
        mark = f"/w_50/none-{secrets.token_hex(8)}.jpg"
        await get(installation.front.url, mark)
        log = await eventually(lambda: mark in (text := installation.node.log()) and text)
        lines = [json.loads(line) for line in str(log).splitlines() if '"request"' in line]
        return [line for line in lines if "id" in line and "/none-" not in line["target"]]

    before = len(await passed())
    response = await raw(asyncio.open_connection("127.0.0.1", installation.front.ports.clear))
    lines = (await passed())[before:]
    if response.startswith(b"HTTP/1.1 400") and not lines:
        assert ".." in target.replace("%2e", "."), "only what climbs out of the root is nginx's own to refuse"
        return
    [line] = lines
    shown = quote(target, safe="/:?&=;,@.-_~%+") if line["target"].endswith("...") else target
    assert line["target"].removesuffix("...") == shown[: len(line["target"].removesuffix("..."))]
    plain = await raw(asyncio.open_unix_connection(installation.node.folder.parent / "node.sock"))
    assert response.partition(b"\r\n")[0] == plain.partition(b"\r\n")[0]
    assert response.partition(b"\r\n\r\n")[2] == plain.partition(b"\r\n\r\n")[2]


async def test_nginx_caches_one_entry_for_each_accept_class(installation: Installation) -> None:
    """What nginx keeps is what the node would have said, however the header is spelled; and it keeps four at most."""
    chance = random.Random(7)
    words = [
        "image/avif",
        "image/webp",
        "IMAGE/AVIF",
        "image/*",
        "*/*",
        "image/png",
        "text/html",
        "image/avifx",
        "ximage/webp",
    ]
    weights = ["", "", "", ";q=0.5", ";q=0", "; q=0.0", ";q=1", ' ;x="a,image/avif"', ";q", ";q=0;q=1", "\t"]
    target, seen = "/w_61,f_auto/cut-out.png", set()
    for _ in range(400):
        accept = chance.choice([", ", ",", " ,", ",,"]).join(
            chance.choice(words) + chance.choice(weights) for _ in range(chance.randrange(5))
        )
        through = await get(installation.front.url, target, Accept=accept)
        plain = await direct(installation, target, Accept=accept)
        assert (through.status, through.headers["Content-Type"]) == (200, plain.headers["Content-Type"]), (
            accept
        )
        assert through.body == plain.body, accept
        seen.add(through.body)
    assert len(seen) == 3
    hot = installation.front.folder / "hot"
    copies = [
        path for path in hot.rglob("*") if path.is_file() and target.encode() in path.read_bytes()[:600]
    ]
    assert 3 <= len(copies) <= 4


async def raw(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    response = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return response


@pytest.mark.parametrize(
    "accept",
    [
        b"image/webp\xc2\xa0",
        b"\xe2\x80\x83image/avif",
        b"image/avif\x85",
        b"image/webp\x0b",
        b"image/webp\xa0, text/html",
    ],
)
async def test_unusual_white_space_in_accept_does_not_poison_the_cache(
    installation: Installation, accept: bytes
) -> None:
    target = f"/w_{70 + len(accept)},f_auto/photo.jpg".encode()
    ask = b"GET %b HTTP/1.1\r\nHost: x\r\nAccept: %b\r\nConnection: close\r\n\r\n"
    for _ in range(3):
        await raw(installation.front.ports.clear, ask % (target, accept))
    assert b"Content-Type: image/jpeg" in await raw(
        installation.front.ports.clear, ask % (target, b"image/jpeg")
    )


async def test_a_host_in_the_target_does_not_poison_the_cache(tmp_path: Path) -> None:
    """Two tenants told apart by their hosts: what names both is one of them to all hops."""
    for tenant, width in (("a", 40), ("b", 60)):
        (tmp_path / tenant).mkdir()
        (tmp_path / tenant / "x.png").write_bytes(pictures.png_of(width, width))
    node = node_of(tmp_path)
    node.environment["CALOTYPE_SOURCES"] = json.dumps({name: {"path": str(tmp_path / name)} for name in "ab"})
    mounts = {name: {"source": name, "host": f"{name}.example", "dimensions": "any"} for name in "ab"}
    node.environment["CALOTYPE_MOUNTS"] = json.dumps(mounts)
    with running(node), fronting(tmp_path / "nginx", f"unix:{tmp_path}/node.sock") as front:
        for _ in range(3):
            mixed = (
                b"GET http://a.example/w_30/x.png HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n\r\n"
            )
            await raw(front.ports.clear, mixed)
        for name in "ab":
            plain = f"GET /original/x.png HTTP/1.1\r\nHost: {name}.example\r\nConnection: close\r\n\r\n"
            original = (await raw(front.ports.clear, plain.encode())).partition(b"\r\n\r\n")[2]
            assert original == (tmp_path / name / "x.png").read_bytes()
        plain = b"GET /w_30/x.png HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
        through = (await raw(front.ports.clear, plain)).partition(b"\r\n\r\n")[2]
        connector = aiohttp.UnixConnector(str(tmp_path / "node.sock"))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get("http://a.example/w_30/x.png") as answer,
        ):
            assert await answer.read() == through


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /a%2 HTTP/1.1", 400),
        (b"GET /w_50/%00photo.jpg HTTP/1.1", 400),
        (b"GET /w_50/../../photo.jpg HTTP/1.1", 400),
        (b"GET * HTTP/1.1", 400),
        (b"CONNECT x:80 HTTP/1.1", 400),
        (b"PRI * HTTP/2.0", 400),
        (b"\x16\x03\x01\x02", 400),
        (b"GET /w_50/photo.jpg HTTP/1.1\r\nTransfer-Encoding: xchunked", 400),
        (b"GET /w_50/photo.jpg HTTP/3.1", 400),
        (b"GET /w_50/photo.jpg HTTP/1.1\r\nContent-Length: 5", 400),
        (b"POST /w_50/photo.jpg HTTP/1.1", 405),
        (b"TRACE /w_50/photo.jpg HTTP/1.1", 405),
        (b"OPTIONS /w_50/photo.jpg HTTP/1.1\r\nContent-Length: 5", 400),
        (b"HEAD /w_50/photo.jpg HTTP/1.1\r\nTransfer-Encoding: chunked", 400),
        (b"GET /w_50/" + b"a" * 17_000 + b" HTTP/1.1", 414),
        (b"POST /w_50/" + b"a" * 17_000 + b" HTTP/1.1", 414),
        (b"GET /w_50/photo.jpg HTTP/1.1\r\nX: " + b"y" * 17_000, 431),
        (b"GET /w_50/photo.jpg HTTP/1.1" + b"\r\nX: ".join([b""] + [b"y" * 7000] * 6), 431),
        (b"GET /-/bad-request HTTP/1.1", 404),
        (b"GET /-/bad-method HTTP/1.1", 404),
        (b"GET /-/no-node HTTP/1.1", 404),
        (b"GET /-/too-many?x=1 HTTP/1.1", 404),
        (b"GET /-/other-method HTTP/1.1", 404),
        (b"GET /%2D/./no-node HTTP/1.1", 404),
        (b"HEAD /-/no-node HTTP/1.1", 404),
        (b"POST /-/no-node HTTP/1.1", 405),
        (b"HEAD /w_50/" + b"a" * 17_000 + b" HTTP/1.1", 414),
        (b"HEAD http://x/" + b"a" * 17_000 + b" HTTP/1.1", 414),
        (b"HEAD * HTTP/1.1", 400),
        (b"HEAD w HTTP/1.1", 400),
        (b"HEAD /re d.jpg HTTP/1.1", 400),
        (b"HEAD /re\0d.jpg HTTP/1.1", 400),
        (b"HEAD /a%2 HTTP/1.1", 400),
        (b"HEAD /w_50/../../photo.jpg HTTP/1.1", 400),
        (b"HEAD http://[::1/photo.jpg HTTP/1.1", 400),
        (b"HEAD /w_50/photo.jpg HTTP/2.0", 400),
        (b"HEAD /w_50/photo.jpg HTTP/1.x", 400),
        (b"HEAD /w_50/photo.jpg HTTP/1.1\r\nX: " + b"y" * 17_000, 431),
    ],
)
async def test_a_malformed_request_gets_a_problem_document(
    installation: Installation, line: bytes, status: int
) -> None:
    for port in (installation.front.ports.clear, installation.front.ports.http):
        body = b"hello" if b"Length" in line else b"0\r\n\r\n" if b": chunked" in line else b""
        response = await raw(port, line + b"\r\nHost: x\r\nConnection: close\r\n\r\n" + body)
        head, _, body = response.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status), response
        assert b"Content-Type: application/problem+json" in head, response
        assert b"Cache-Control: no-store" in head
        assert (b"\r\nAllow: " in head) is (status == 405)
        assert body == b"" if line.startswith(b"HEAD") else json.loads(body)["status"] == status


@pytest.mark.parametrize("length", [8191, 8192, 8193, 9000, 16_000])
async def test_the_node_limits_the_length_of_urls(installation: Installation, length: int) -> None:
    target = "/thumbnail?w=50&url=photo.jpg&utm_source="
    answer = await both_ways(installation, target + "a" * (length - len(target)))
    assert answer.status == (414 if length > 8192 else 200)
    assert (
        await both_ways(installation, target + "a" * (length - len(target)), "HEAD")
    ).status == answer.status
    if answer.status == 414:
        assert json.loads(answer.body)["detail"] == "the URL is longer than 8192 bytes"


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize(
    "target", [b"/w_50,f_auto/../../../x", b"/w_50,f_auto/%zz", b"/f_auto/" + b"a" * 17_000, b"*"]
)
async def test_errors_of_malformed_requests_have_vary_accept(
    installation: Installation, method: bytes, target: bytes
) -> None:
    response = await raw(
        installation.front.ports.clear, method + b" " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    assert response.startswith(b"HTTP/1.1 4"), response
    assert b"\r\nVary: Accept\r\n" in response


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b" \r\n", b"\r\nHost: x\r\nRange: bytes=0-9\r\n\r\n"])
@pytest.mark.parametrize(
    "target", [b"/w_50/photo.jpg", b"/original/photo.jpg", b"http://x/w_50/photo.jpg", b"/"]
)
async def test_http_0_9_requests_are_refused(installation: Installation, target: bytes, end: bytes) -> None:
    """There the status is in the body alone; that the answer ends shows that the connection does."""
    for port in (installation.front.ports.clear, installation.front.ports.http):
        body = (await raw(port, b"GET " + target + end)).rpartition(b"\r\n")[2]
        assert json.loads(body)["status"] == 400


HOSTS = {
    b"x": True,
    b"x:": True,
    b"x:80": True,
    b"x:0": True,
    b"x:65535": True,
    b"x:000080": True,
    b"X.example.:8443": True,
    b"[::1]": True,
    b"[::1]:": True,
    b"[::1]:8443": True,
    b"x:65536": False,
    b"x:70000": False,
    b"x:99999": False,
    b"x:655350": False,
    b"x:18446744073709551696": False,
    b"x:-1": False,
    b"x:+80": False,
    b"x:8a": False,
    b"x:0x50": False,
    b"x:80:80": False,
    b"x:80,y": False,
    b"x:80.": False,
    b"x::80": False,
    b"x:%38": False,
    b"x:\xb2": False,
    b":80": False,
    b"[::1]x": False,
    b"[::1]80": False,
    b"[::1]:8x": False,
    b"[::1]:65536": False,
    b"[::1": False,
    b"::1": False,
    b"[]": False,
    b"[x]": False,
    b"a@x:80": False,
    b"x,y": False,
    b"%zz": False,
    b"x\xe9": False,
    b'"x"': False,
}


@pytest.mark.parametrize("host", HOSTS)
async def test_nginx_refuses_the_same_hosts_as_the_node(installation: Installation, host: bytes) -> None:
    """In Host, and in an absolute target whatever Host says."""
    rest = b" HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n"
    for request in (
        b"GET /w_50/photo.jpg" + rest % host,
        b"GET http://%b/w_50/photo.jpg" % host + rest % b"x",
        b"HEAD HTTPS://%b/w_50/photo.jpg" % host + rest % b"x",
        b"GET http://x/w_50/photo.jpg" + rest % host,
        b"GET http://%b?w_50" % host + rest % b"x",
    ):
        reader, writer = await asyncio.open_unix_connection(installation.node.folder.parent / "node.sock")
        writer.write(request)
        plain = await reader.read()
        writer.close()
        for port in (installation.front.ports.clear, installation.front.ports.http):
            response = await raw(port, request)
            assert (b" 400 " in response[:20]) is (b" 400 " in plain[:20]) is not HOSTS[host], (
                request,
                response,
            )
            if not HOSTS[host]:
                assert b"\r\nContent-Type: application/problem+json\r\n" in response
                assert b"\r\nCache-Control: no-store\r\n" in response


@pytest.mark.parametrize("host", [b"a", b"%41", b"a%41", b"a.", b"0", b"-%2d"])
async def test_a_long_host_causes_no_error_in_nginx(installation: Installation, host: bytes) -> None:
    """Nor stands in the error log because it did."""
    long = host * (7000 // len(host))
    for request in (
        b"GET /w_50/photo.jpg HTTP/1.1\r\nHost: %b" % long,
        b"GET http://%b/ HTTP/1.1\r\nHost: x" % long,
    ):
        for end in (b"", b":8a", b":%b" % (b"0" * 900)):
            await raw(installation.front.ports.clear, request + end + b"\r\nConnection: close\r\n\r\n")
    assert (installation.front.folder / "error.log").read_text() == ""


@pytest.mark.parametrize("host", ["x:99999", "x:8a", "x:-1"])
def test_an_invalid_host_is_refused_over_http_2(installation: Installation, host: str) -> None:
    target = installation.front.https + "/w_50/photo.jpg"
    for version in ("--http1.1", "--http2"):
        answer = curl(version, "-X", "GET", "-H", f"Host: {host}", target)
        assert (answer.status, json.loads(answer.body)["status"]) == (400, 400)
        for good in ("x:443", "a_b", "!$&'()*+;=%7E_-~:"):
            assert curl(version, "-X", "GET", "-H", f"Host: {good}", target).status == 200


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""What nginx says to whoever expects it, before it refuses."""


def curl(*arguments: str, sent: bytes = b"") -> Answer:
    """A request with what aiohttp would not send: over HTTP/2, with a body of any kind."""
    command = ["curl", "-sk", "--include", "--suppress-connect-headers", "--data-binary", "@-", *arguments]
    response = subprocess.run(command, input=sent, capture_output=True, check=True, timeout=LONGEST_S).stdout
    head, _, body = response.removeprefix(CONTINUE).partition(b"\r\n\r\n")
    first, *lines = head.decode().splitlines()
    headers = CIMultiDict(tuple(line.split(": ", 1)) for line in lines)
    return Answer(int(first.split()[1]), headers, body)


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize("size", [0, 1, 5000, 3_000_000])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "BREW"])
def test_a_body_does_not_change_the_answer_to_a_refused_method(
    installation: Installation, method: str, size: int, version: str
) -> None:
    for base in (installation.front.https, f"http://127.0.0.1:{installation.front.ports.http}"):
        for more in ([], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"]):
            if version == "--http2" and base.startswith("http:"):
                continue
            for target in ("/w_50/photo.jpg", "/-/no-node"):
                answer = curl(version, "-X", method, *more, base + target, sent=b"x" * size)
                assert answer.status == 405, (base, target, more)
                assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"
                assert json.loads(answer.body)["type"] == "urn:calotype:error:method-not-allowed"
                assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "more",
    [
        b"Content-Length: 99999999999",
        b"Content-Length: 9223372036854775807",
        b"Content-Length: 99999999999\r\nExpect: 100-continue",
        b"Content-Length: 5\r\nExpect: 100-continue",
        b"Transfer-Encoding: chunked\r\nExpect: 100-continue",
        b"Transfer-Encoding: chunked",
        b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 70000",
    ],
)
async def test_a_method_is_refused_before_its_body_arrives(installation: Installation, more: bytes) -> None:
    for port in (installation.front.ports.clear, installation.front.ports.http):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"PUT /w_50/photo.jpg HTTP/1.1\r\nHost: x\r\n" + more + b"\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        if head == CONTINUE:
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 405 "), head
        assert b"\r\nAllow: GET, HEAD, OPTIONS\r\n" in head
        writer.close()


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_a_get_with_a_body_is_refused(installation: Installation, method: str, version: str) -> None:
    for size in (2, 5000, 100_000):
        for more in ([], ["-H", "Transfer-Encoding: chunked"]):
            answer = curl(
                version, "-X", method, *more, installation.front.https + "/w_50/photo.jpg", sent=b"x" * size
            )
            assert answer.status == 400, (size, more)
            assert json.loads(answer.body)["type"] == "urn:calotype:error:bad-url"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://shop.example"},
        {"Origin": "https://shop.example", "Access-Control-Request-Method": "GET"},
        {
            "Origin": "https://shop.example",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "x-own,range,if-none-match",
        },
        {"Access-Control-Request-Method": "PUT"},
    ],
)
async def test_options_requests_reach_the_node(installation: Installation, headers: dict[str, str]) -> None:
    for target in ("/w_50/photo.jpg", "/w_50,f_auto/nope.jpg", "/original/photo.jpg", "/", "/nothing"):
        await both_ways(installation, target, "OPTIONS", **headers)


NEGOTIATED = {
    "/w_50,f_auto/photo.jpg": True,
    "/f_auto/photo.jpg": True,
    "/f_auto,w_50/deep/photo.jpg": True,
    "/w_50,f%5Fauto/photo.jpg": True,
    "/%66_auto/photo.jpg": True,
    "/w_50%2Cf_auto/photo.jpg": True,
    "/f_%61uto/photo.jpg": True,
    "/thumbnail?url=photo.jpg&w=50&format=auto": True,
    "/thumbnail?format=auto&url=photo.jpg": True,
    "/thumbnail?url=photo.jpg&format=a%75to": True,
    "/t_card/photo.jpg": True,
    "/t_card,w_50/photo.jpg": True,
    "/thumbnail?url=photo.jpg&preset=card": True,
    "/t_card,f_jpg/photo.jpg": False,
    "/thumbnail?url=photo.jpg&preset=card&format=jpg": False,
    "/w_50/photo.jpg": False,
    "/w_50,f_jpg/photo.jpg": False,
    "/w_50,f_avif/f_auto/photo.jpg": False,
    "/w_50/t_shirts/f_auto.jpg": False,
    "/w_50/deep/f_auto/photo.jpg": False,
    "/f_autos/photo.jpg": False,
    "/thumbnail?url=photo.jpg&w=50": False,
    "/thumbnail?url=f_auto&w=50": False,
    "/thumbnail?url=photo.jpg&format=automatic": False,
    "/original/photo.jpg": False,
    "/original/f_auto/photo.jpg": False,
    "/info/t_card/photo.jpg": False,
    "/": False,
}


async def test_errors_of_nginx_have_the_vary_header_of_the_node(
    installation: Installation, tmp_path: Path
) -> None:
    node = node_of(tmp_path)
    node.environment["CALOTYPE_PRESETS"] = json.dumps({"card": "w_50,f_auto"})
    mounts = {
        name: {"source": "photos", "dimensions": "any", "prefix": prefix}
        for name, prefix in (("all", "/"), ("shop", "/my_shop/"))
    }
    node.environment["CALOTYPE_MOUNTS"] = json.dumps(mounts)
    with running(node), fronting(tmp_path / "nginx", f"unix:{tmp_path}/node.sock") as front:
        for target, varies in NEGOTIATED.items():
            for below in ("", "/my_shop"):
                through = await get(front.url, below + target)
                assert ("Vary" in through.headers) is varies, (below, target)
                refused = await get(front.url, below + target, method="POST")
                assert refused.status == 405
                assert refused.headers.get("Vary") == through.headers.get("Vary"), (below, target)
                body = await get(front.url, below + target, Content_Length="0", Transfer_Encoding="x")
                assert (body.status, body.headers.get("Vary")) == (400, through.headers.get("Vary"))


def test_the_buffer_of_nginx_holds_the_largest_original() -> None:
    """Else a slow reader has nginx stop reading for so long that the node breaks off."""
    found = re.search(r"proxy_max_temp_file_size ([0-9]+)m;", (NGINX / "parts/proxy_pass.conf").read_text())
    assert found is not None
    assert int(found[1]) * 2**20 >= Settings().limits.original_max_bytes


async def test_ranges_and_conditions_are_evaluated_as_by_the_node(installation: Installation) -> None:
    target = "/w_62,f_jpg/photo.jpg"
    for _ in range(3):
        whole = await get(installation.front.url, target)
    assert is_proxy_hit(whole)
    for headers in (
        {"If-None-Match": whole.headers["ETag"]},
        {"If-None-Match": "W/" + whole.headers["ETag"]},
        {"If-None-Match": "*"},
        {"If-None-Match": '"other"'},
        {"If-Match": whole.headers["ETag"]},
        {"If-Match": '"other"'},
        {"If-Match": "*"},
        {"If-Modified-Since": "Sat, 21 Nov 2037 00:00:00 GMT"},
        {"If-Unmodified-Since": "Sat, 21 Nov 1987 00:00:00 GMT"},
        {"If-Unmodified-Since": "Sat, 21 Nov 2037 00:00:00 GMT"},
        {"If-Match": '"other"', "Range": "bytes=5-9"},
        {"If-None-Match": whole.headers["ETag"], "Range": "bytes=5-9"},
    ):
        for requested_target in (target, "/original/photo.jpg"):
            await both_ways(installation, requested_target, **headers)
    head = await get(installation.front.url, target, method="HEAD")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(whole.body)))
    assert (await get(installation.front.url, target)).body == whole.body


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("value", [b"", b" ", b"  ", b" \t"])
@pytest.mark.parametrize(
    "name",
    [b"If-Match", b"If-Unmodified-Since", b"If-None-Match", b"If-Modified-Since", b"If-Range", b"Range"],
)
async def test_an_empty_condition_gets_a_picture_or_a_problem_document(
    installation: Installation, name: bytes, value: bytes, method: bytes
) -> None:
    """An empty If-Match is met by no picture; all the others say nothing."""
    target = "/w_65,f_auto/photo.jpg"
    whole = await direct(installation, target)
    for _ in range(4):
        await get(installation.front.url, target)
        response = await raw(
            installation.front.ports.clear,
            b"%b %b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%b:%b\r\nConnection: close\r\n\r\n"
            % (method, target.encode(), installation.front.ports.clear, name, value),
        )
        head, _, body = response.partition(b"\r\n\r\n")
        assert b"\r\nVary: Accept\r\n" in head + b"\r\n"
        if head.startswith(b"HTTP/1.1 412 "):
            assert name in (b"If-Match", b"If-Unmodified-Since")
            assert b"\r\nContent-Type: application/problem+json\r\n" in head
            assert b"\r\nCache-Control: no-store\r\n" in head
            refused = await direct(installation, target, **{"If-Match": '"other"'})
            assert body == (refused.body if method == b"GET" else b"")
        else:
            assert head.startswith(b"HTTP/1.1 200 ")
            assert name != b"If-Match"
            assert body == (whole.body if method == b"GET" else b"")
    assert (await get(installation.front.url, target)).body == whole.body, "nothing of this is kept"


RANGES = {
    "bytes=5-9": 206,
    "bytes=-7": 206,
    "bytes=-9": 206,
    "bytes=5-": 206,
    "bytes=0-0": 206,
    "bytes=0-9999999": 206,
    "bytes=-9999999": 206,
    "bytes= 5-9": None,
    "BYTES=5-9": None,
    "bytes=0-5,": None,
    "bytes=,0-5": None,
    "bytes=0-5, ,": None,
    "bytes=5-18446744073709551616": None,
    "bytes=5-9223372036854775807": None,
    "bytes=5-" + "9" * 40: None,
    "bytes=-" + "9" * 40: None,
    "bytes=" + "9" * 40 + "-": None,
    "bytes=9-5": 200,
    "bytes=a-b": 200,
    "bytes=0x1-5": 200,
    "bytes=1-2-3": 200,
    "bytes=+1-5": 200,
    "bytes=-": 200,
    "bytes=--5": 200,
    "bytes=": 200,
    "bytes": 200,
    "bytes=,": None,
    "bytes 5-9": 200,
    "items=0-5": 200,
    "5-9": 200,
    "bytes=5 - 9": None,
    "bytes=0-1,5-6": 200,
    "bytes=0-1,9-5": 200,
    "bytes=9999999-": 416,
    "bytes=-0": None,
    "bytes=9999999-99999999": 416,
}
"""And what they come to; None where only the node is asked."""


@pytest.mark.parametrize("range_header", RANGES, ids=lambda range_header: range_header[:30])
async def test_ranges_are_evaluated_only_by_the_node(installation: Installation, range_header: str) -> None:
    """Whatever is wrong with it, and whether or not nginx has the whole at hand."""
    for target in (
        "/w_62,f_jpg/photo.jpg",
        "/w_63,f_auto/photo.jpg",
        "/original/photo.jpg",
        "/w_64/nope.jpg",
    ):
        whole = await direct(installation, target)
        for _ in range(3):
            await get(installation.front.url, target)
        through = await both_ways(installation, target, Range=range_header)
        if whole.status == 200:
            assert RANGES[range_header] in (through.status, None)
        if through.status in (200, 206):
            assert through.headers["Accept-Ranges"] == "bytes"
        else:
            assert through.headers["Content-Type"] == "application/problem+json"
        if through.status == 416:
            assert through.headers["Content-Range"] == f"bytes */{len(whole.body)}"
            assert through.headers["Cache-Control"] == "no-store"
        await both_ways(
            installation, target, Range=range_header, **{"If-Range": whole.headers.get("ETag", '"x"')}
        )
        await both_ways(installation, target, Range=range_header, **{"If-Range": '"other"'})
        head = await both_ways(installation, target, "HEAD", Range=range_header)
        assert (head.status, head.body) == (whole.status, b"")
        assert head.headers["Content-Length"] == str(len(whole.body))
        if whole.status == 200:
            assert head.headers["Accept-Ranges"] == "bytes"
        assert (await get(installation.front.url, target)).body == whole.body, "nothing of this is kept"


def test_the_age_map_of_nginx_covers_every_age_and_second() -> None:
    text = (NGINX / "parts/request_variables.conf").read_text()
    rows = re.findall(r'^    "~(\^HIT .*)" ([0-9]);$', text, re.MULTILINE)
    for now_s in range(1_800_000_000, 1_800_000_060):
        for age_s in range(-2, 8):
            variables = f"HIT {formatdate(now_s - age_s, usegmt=True)} {now_s}.250 01234567890123456"
            assert next(int(age) for pattern, age in rows if re.search(pattern, variables)) == max(age_s, 0)


async def test_a_cached_answer_has_its_age(tmp_path: Path) -> None:
    """By the Date that the node gave it; no copy is made younger by clocks that differ."""
    age_s = 0

    async def made(request: web.BaseRequest) -> web.Response:
        date = formatdate(int(time.time()) - age_s, usegmt=True)
        return web.Response(text="x", headers={"X-Accel-Expires": "60", "Date": date})

    runner = web.ServerRunner(web.Server(made))
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "node.sock")).start()
    with fronting(tmp_path / "nginx", f"unix:{tmp_path}/node.sock") as front:
        for age_s in (-2, -1, 0, 1, 2, 3, 4, 5, 6):
            began_s = time.time()
            for number in range(2):
                assert "Age" not in (await get(front.url, f"/{age_s}")).headers, number
            for method in ("GET", "HEAD"):
                copy = await get(front.url, f"/{age_s}", method)
                assert is_proxy_hit(copy)
                older_s = int(time.time()) - int(began_s)
                assert max(age_s, 0) <= int(copy.headers["Age"]) <= max(age_s + older_s, 0)
    await runner.cleanup()


@pytest.mark.parametrize(
    "range_header", ["bytes=9-5", "bytes=5-18446744073709551616", "bytes=0-1,9-5", "bytes=5-9"]
)
async def test_ranges_over_http_2_are_evaluated_only_by_the_node(
    installation: Installation, range_header: str
) -> None:
    plain = await direct(installation, "/w_62,f_jpg/photo.jpg", Range=range_header)
    through = curl(
        "--http2",
        "-X",
        "GET",
        "-H",
        f"Range: {range_header}",
        installation.front.https + "/w_62,f_jpg/photo.jpg",
    )
    assert (through.status, through.body) == (plain.status, plain.body)
    for name in ("Accept-Ranges", "Content-Range", "Content-Length", "ETag", "Cache-Control"):
        assert through.headers.get(name) == plain.headers.get(name), name


async def test_nginx_does_not_cache_private_or_failed_answers(installation: Installation) -> None:
    targets = [
        sign("/w_301/photo.jpg", KEY.encode()),
        sign("/w_301/photo.jpg", KEY.encode(), until_s=2**33),
        sign("/w_301/photo.jpg", KEY.encode(), session="me"),
        "/w_64/nope.jpg",
        "/w_x/photo.jpg",
        "/original/photo.jpg",
    ]
    for target in targets:
        for _ in range(4):
            answer = await get(installation.front.url, target, Cookie="sid=me")
            assert not is_proxy_hit(answer), target
    assert (await get(installation.front.url, targets[2], Cookie="sid=another")).status == 403
    assert (await get(installation.front.url, targets[2])).status == 403


async def test_a_replaced_original_is_served_when_the_copy_of_nginx_has_expired(
    installation: Installation,
) -> None:
    """README: within ten seconds."""
    assert FRONT_CACHE_S < 10
    path = installation.originals / "changing.png"
    path.write_bytes(pictures.quarters_as("png"))
    target = "/w_40,f_png/changing.png"
    for _ in range(4):
        old = await get(installation.front.url, target)
    assert is_proxy_hit(old)
    path.write_bytes(pictures.cut_out_as("png"))

    async def is_replaced() -> bool:
        return (await get(installation.front.url, target)).body != old.body

    await eventually(is_replaced, pause_s=0.2)


async def test_nginx_refuses_requests_as_the_node_does(installation: Installation) -> None:
    for method in ("POST", "PUT", "DELETE", "TRACE", "PATCH", "BREW"):
        answer = await get(installation.front.url, "/w_50/photo.jpg", method=method)
        assert answer.status == 405, method
        assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"
        assert json.loads(answer.body)["type"] == "urn:calotype:error:method-not-allowed"
        assert answer.headers["Cache-Control"] == "no-store"
    for name, value in (("Content-Length", "3"), ("Transfer-Encoding", "chunked")):
        reader, writer = await asyncio.open_connection("127.0.0.1", installation.front.ports.clear)
        writer.write(f"GET /w_50/photo.jpg HTTP/1.1\r\nHost: x\r\n{name}: {value}\r\n\r\n".encode())
        response = await reader.readuntil(b"}")
        assert b" 400 " in response
        assert b"urn:calotype:error:bad-url" in response
        writer.close()
    answer = await get(f"http://127.0.0.1:{installation.front.ports.http}", "/w_50/a%2Fb.jpg?x=1")
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert (answer.status, answer.headers["Location"]) == (
        301,
        f"https://127.0.0.1:{installation.front.ports.https}/w_50/a%2Fb.jpg?x=1",
    )


async def test_one_line_in_each_log_with_the_same_id_and_no_secret(installation: Installation) -> None:
    secret = sign("/w_302/photo.jpg", KEY.encode(), session="me")
    inner = quote("http://example.org/a.jpg?X-Amz-Signature=SECRETSIG&b=1", safe="")
    hidden = quote("http://u:SECRETSIG@example.org/a.jpg", safe="")
    targets = [
        secret,
        f"/thumbnail?url={inner}&w=3",
        f"/w_3/{quote(inner, safe='')}",
        f"/w_3/{hidden}",
        "/w_3/photo.jpg?s%69g=SECRETSIG",
        "/w_3/photo.jpg?token=SECRETSIG",
        "/w_3/https%3A%2F%2Fx%2Fa.jpg%3Fsig=SECRETSIG",
        "/w_3/https%3A%2F%2Fx%2Fa.jpg%3Fa%26sig%3DSECRETSIG",
        "/w_3/https%3A%2F%2Fx%2Fa.jpg%26ses=SECRETSIG",
        "/w_3/https:%2F/user:SECRETSIG@x/a.jpg",
        "/w_3/photo.jpg;sig=SECRETSIG",
        "/w_3/photo.jpg%3Bses%3DSECRETSIG",
        "/w_3/photo.jpg?sig[]=SECRETSIG",
        "/w_3/photo.jpg?sig%5B0%5D=SECRETSIG",
        "/w_3/photo.jpg?sig%=SECRETSIG",
        f"/w_3/photo.jpg?anything=SECRETSIG{'0a' * 12}",
        f"/w_3/https%3A%2F%2Fx%2Fa.jpg%3Fanything%3DSECRETSIG{'0a' * 12}",
        f"/SECRETSIG{'0a' * 12}/w_3/photo.jpg",
        f"/w_3/s--SECRETSIG--/photo.jpg?token=SECRETSIG&u=/{'0aB' * 12}/a.jpg",
    ]
    shown = [
        "/w_3/6f1c2c1e-6d0a-4a39-9f0e-0d3a4f4c5b11/A-photo-of-mine.jpg",
        "/thumbnail?url=My-Photographs/From-Berlin-In-2026.jpg&w=4",
    ]
    for target in shown:
        await get(installation.front.url, target)
    for target in targets:
        await get(
            installation.front.url,
            target,
            Cookie="sid=me",
            Referer="https://x/?SECRETSIG",
            X_Forwarded_For="203.0.113.5",
        )
    lines = installation.front.log()  # In no order: each of nginx's processes has a buffer of its own.
    text = json.dumps(lines) + installation.node.log()
    assert "SECRETSIG" not in text
    assert set(shown) <= {line["target"] for line in lines}
    assert secret.partition("sig=")[2] not in text
    by_id = {
        line["id"]: line for line in map(json.loads, installation.node.log().splitlines()) if line.get("id")
    }
    first = next(line for line in lines if line["target"].startswith("/w_302/"))
    assert first["target"] == "/w_302/photo.jpg..."
    assert by_id[first["id"]]["target"] == "/w_302/photo.jpg"
    assert by_id[first["id"]]["client"] == "127.0.0.1", "whatever the client claimed"
    assert (first["status"], first["node_status"], first["cache_status"]) == (
        200,
        "200",
        "calotype; fwd=miss; stored",
    )
    assert (installation.front.folder / "error.log").read_text() == ""


async def test_every_line_of_the_nginx_log_is_json(installation: Installation) -> None:
    for line in (
        b"GET /w_3/\xff\xfe.jpg HTTP/1.1",
        b'GET /w_3/a"b\\.jpg HTTP/1.1',
        b"GET /w_3/\x01 HTTP/1.1",
    ):
        await raw(
            installation.front.ports.clear,
            line + b'\r\nHost: x\r\nUser-Agent: \xff"\x80\r\nConnection: close\r\n\r\n',
        )
        await raw(installation.front.ports.clear, line + b"\r\nHost: \xc3\xa9x\r\nConnection: close\r\n\r\n")
    masked = [line for line in installation.front.log() if line["agent"] == "..." or line["host"] == "..."]
    assert len(masked) >= 3


async def test_long_targets_are_logged_without_errors(installation: Installation) -> None:
    """Nor stands in the error log because it did."""
    for filling in (b"%2f", b"/", b"%2F/", b"//x", b"%40"):
        target = b"/a?url=" + filling * (7500 // len(filling))
        response = await raw(
            installation.front.ports.clear,
            b"POST " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        )
        assert b" 405 " in response
    lines = [line for line in installation.front.log() if line["method"] == "POST"]
    assert len(lines) >= 5
    assert {line["target"] for line in lines} >= {"..."}
    assert (installation.front.folder / "error.log").read_text() == ""


async def test_refused_requests_count_for_the_rate_limit(tmp_path: Path) -> None:
    """Who asks what nobody answers is limited like any other."""
    strict = (
        (NGINX / "site/limits.conf")
        .read_text()
        .replace("rate=100r/s", "rate=1r/m")
        .replace("burst=400", "burst=9")
    )
    with fronting(tmp_path / "nginx", f"unix:{tmp_path}/nobody.sock", limits=strict) as front:
        statuses = [(await get(front.url, "/w_3/photo.jpg", method="PUT")).status for _ in range(20)]
    assert statuses.count(405) == 9
    assert statuses.count(429) == 11


async def _refused(front: Front, forged: bool) -> int:
    statuses = []
    async with aiohttp.ClientSession() as session:
        for number in range(1000):
            headers = {
                "X-Forwarded-For": f"203.0.{number // 250}.{number % 250}",
                "X-Real-IP": f"10.0.0.{number % 250}",
            }
            async with session.get(
                f"{front.url}/w_50/photo.jpg", headers=headers if forged else {}
            ) as answer:
                statuses.append(answer.status)
                if answer.status == 429:
                    assert answer.headers["Retry-After"] == "1"
                    assert "Vary" not in answer.headers
                    assert (await answer.json(content_type=None))["type"] == "urn:calotype:error:rate-limited"
    assert set(statuses) == {200, 429}
    return statuses.count(429)


async def test_forged_client_addresses_do_not_raise_the_limit(
    installation: Installation, tmp_path: Path
) -> None:
    """A rate so low that how long the thousand take makes no difference."""
    strict = (NGINX / "site/limits.conf").read_text().replace("rate=100r/s", "rate=1r/m")
    refused = []
    for name, forged in (("plain", False), ("forged", True)):
        with fronting(
            tmp_path / name, f"unix:{installation.node.folder.parent}/node.sock", limits=strict
        ) as front:
            refused.append(await _refused(front, forged))
    assert refused[0] == refused[1] == 1000 - 401 + 1, "one was asked for its status"


async def test_an_ipv6_network_of_64_bits_is_one_client(installation: Installation, tmp_path: Path) -> None:
    """By addresses that a proxy in front tells, as nobody here has a network of its own."""
    strict = GENEROUS.replace("rate=100000r/s", "rate=1r/m").replace("burst=100000", "burst=9")
    more = {"limits": strict + "set_real_ip_from 127.0.0.1;\nreal_ip_header X-Forwarded-For;\n"}
    with fronting(tmp_path / "nginx", f"unix:{installation.node.folder.parent}/node.sock", **more) as front:

        async def passed(*addresses: str) -> int:
            answers = [await get(front.url, "/w_50/photo.jpg", X_Forwarded_For=each) for each in addresses]
            return [answer.status for answer in answers].count(200)

        assert await passed(*(f"2001:db8::{number:x}" for number in range(1, 31))) == 10
        assert await passed(*(f"2001:db8:0:{number:x}::1" for number in range(1, 31))) == 30
        assert await passed(*(f"198.51.100.{number}" for number in range(1, 31))) == 30
        assert await passed(*["::ffff:192.0.2.9"] * 15, *["192.0.2.9"] * 15) == 10


def handshake(port: int, *arguments: str) -> str:
    """What openssl tells of it."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost", *arguments]
    tried = subprocess.run(command, input=b"", capture_output=True, check=False, timeout=LONGEST_S)
    return (tried.stdout + tried.stderr).decode()


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_tls_offers_the_configured_curves(installation: Installation, version: str) -> None:
    """Under TLS 1.2 a client has to offer the certificate's own, P-256, too."""
    own = ":P-256" if version == "-tls1_2" else ""

    def agreed(curves: str) -> str:
        report = handshake(installation.front.ports.https, version, "-curves", curves)
        found = re.search(r"Temp Key: (?:ECDH, )?([^,]+),", report)
        return found[1] if found else ""

    assert agreed(f"X25519{own}") == "X25519"
    assert agreed("P-256") == "prime256v1"
    assert agreed(f"P-384{own}") == "secp384r1"
    assert agreed("P-521") == ""
    assert agreed("X448") == ""


async def test_the_demo_certificate_is_trusted_and_is_no_authority(installation: Installation) -> None:
    certificate = installation.front.folder / "site/certificate.pem"
    text = subprocess.run(
        ["openssl", "x509", "-in", certificate, "-noout", "-text"], capture_output=True, text=True, check=True
    ).stdout
    assert text.count("X509v3 Basic Constraints: critical\n                CA:FALSE") == 1
    assert "CA:TRUE" not in text
    assert "TLS Web Server Authentication" in text
    assert "DNS:localhost, IP Address:127.0.0.1" in text
    assert "Certificate Sign" not in text
    for host in ("localhost", "127.0.0.1"):
        url = f"https://{host}:{installation.front.ports.https}/original/photo.jpg"
        command = ["curl", "-sS", "--fail", "--output", "/dev/null", "--noproxy", "*", "--resolve"]
        resolved = f"localhost:{installation.front.ports.https}:127.0.0.1"
        for more, returned in ((["--cacert", str(certificate)], 0), ([], 60)):
            tried = subprocess.run([*command, resolved, *more, url], capture_output=True, check=False)
            assert tried.returncode == returned, tried.stderr
    trust = ssl.create_default_context(cafile=str(certificate))
    trust.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags.VERIFY_X509_STRICT
    _, writer = await asyncio.open_connection("localhost", installation.front.ports.https, ssl=trust)
    writer.close()


async def test_without_a_node_nginx_answers_503(tmp_path: Path) -> None:
    with fronting(tmp_path / "nginx", f"unix:{tmp_path}/nobody.sock") as front:
        answer = await get(front.url, "/w_50/photo.jpg?sig=" + "a" * 43)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert json.loads(answer.body)["type"] == "urn:calotype:error:overloaded"
        assert "Vary" not in answer.headers
        for headers in ({}, {"Range": "bytes=9-5"}, {"If-Match": '"a"'}):
            for method in ("GET", "HEAD", "OPTIONS"):
                answer = await get(front.url, "/w_50,f_auto/photo.jpg", method, **headers)
                outcome = answer.status, answer.headers["Vary"], answer.headers["Cache-Control"]
                assert outcome == (503, "Accept", "no-store")
        assert (front.folder / "error.log").read_text() == "", "where the signature would stand"
        assert front.log()[-1]["node_status"] == "502"


async def test_an_invalid_answer_of_a_node_becomes_a_problem_document(tmp_path: Path) -> None:
    node_answer = [b""]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(node_answer[0])
        writer.close()

    server = await asyncio.start_unix_server(answer, tmp_path / "odd.sock")
    with fronting(tmp_path / "nginx", f"unix:{tmp_path}/odd.sock") as front:
        for node_answer[0] in (b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20_000 + b"\r\n\r\n"):
            for headers in ({}, {"Range": "bytes=0-1"}):
                answered = await get(front.url, "/w_50,f_auto/photo.jpg", **headers)
                assert (answered.status, answered.headers["Vary"]) == (503, "Accept"), node_answer
                assert json.loads(answered.body)["type"] == "urn:calotype:error:overloaded"
    server.close()
    await server.wait_closed()


async def test_the_errors_of_nginx_have_the_headers_of_a_node(installation: Installation) -> None:
    plain = await direct(installation, "/w_50,f_auto/photo.jpg", "POST")
    through = await get(installation.front.url, "/w_50,f_auto/photo.jpg", "POST")
    other = {"allow", "server", "content-length"}
    assert {each for each in lasting(plain) if each[0] not in other} <= set(lasting(through))
    assert json.loads(through.body).keys() == json.loads(plain.body).keys()
    for port, sent in ((installation.front.ports.https, b"GET /f_auto/x.jpg HTTP/1.1\r\nHost: x\r\n\r\n"),):
        response = await raw(port, sent)
        assert response.startswith(b"HTTP/1.1 400 "), "HTTP where TLS is spoken"
        assert b"Content-Type: application/problem+json\r\n" in response
        assert b"Vary: Accept\r\n" in response


async def test_another_node_takes_over(tmp_path: Path) -> None:
    nodes = [node_of(tmp_path, name) for name in ("one", "two")]
    with (
        running(*nodes),
        fronting(tmp_path / "nginx", *(f"unix:{tmp_path}/{name}.sock" for name in ("one", "two"))) as front,
    ):
        targets = [f"/w_{width}/photo.jpg?v=1".split("?")[0] for width in range(50, 60)]
        for target in targets:
            assert (await get(front.url, target)).status == 200
        request_counts = [node.metric("calotype_requests_total") for node in nodes]
        assert sorted(request_counts) == [0, 10], "all variants of an original go to the same node"
        nodes[request_counts.index(10)].kill()
        for target in targets:
            assert (await get(front.url, target)).status == 200
        assert nodes[request_counts.index(0)].metric("calotype_requests_total") == 10


async def test_one_line_disables_the_cache_of_nginx(installation: Installation, tmp_path: Path) -> None:
    off = (NGINX / "site/cache.conf").read_text().replace("proxy_cache $hot;", "proxy_cache off;")
    off = off.replace("/dev/shm/calotype-front", f"{tmp_path}/hot")
    with fronting(
        tmp_path / "nginx", f"unix:{installation.node.folder.parent}/node.sock", cache=off
    ) as front:
        for _ in range(4):
            answer = await get(front.url, "/w_50/photo.jpg")
            assert (answer.status, is_proxy_hit(answer)) == (200, False)
        part = await get(front.url, "/w_50/photo.jpg", Range="bytes=1-4")
        assert (part.status, part.body) == (206, answer.body[1:5])


@contextlib.contextmanager
def demonstrating(folder: Path, *options: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """`./run front` as it runs for a user, with a cache of its own."""
    # What a shell's history may have left there must not lead it astray.
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder), "TMPDIR": str(folder), **environment}
    command = [sys.executable, "-m", "proxy.cli.nginx_demo", *options]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=LONGEST_S)


ANY_PORTS = ("--https-port", "0", "--http-port", "0", "--status-port", "0", "--admin-port", "0")


def given_ports() -> tuple[str, ...]:
    """Ports that no other demo takes: the system may give a port of `ANY_PORTS` to another one before it is bound."""
    return tuple(str(free_port()) if option == "0" else option for option in ANY_PORTS)


def printed_ports(process: subprocess.Popen[str]) -> list[int]:
    """Where it says it is, once it is there: of the pictures, of plain HTTP, of nginx's status."""
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if "Stop: Ctrl-C" in line:
            return [int(port) for port in dict.fromkeys(re.findall(r"localhost:([0-9]+)/", printed))]
    raise AssertionError(printed)


async def test_two_demos_run_at_the_same_time(tmp_path: Path) -> None:
    """With a port in the environment, which the node alone would obey, and over one cache, whose originals one paints."""
    astray = {"CALOTYPE_SERVER__SOCKET": str(tmp_path / "no.sock"), "CALOTYPE_ADMIN__HOST": "127.0.0.9"}
    with (
        demonstrating(tmp_path, *ANY_PORTS) as one,
        demonstrating(
            tmp_path, *given_ports()[:-2], CALOTYPE_ADMIN__PORT=str(free_port()), **astray
        ) as other,
    ):
        ports = [printed_ports(one), printed_ports(other)]
        assert len({*ports[0], *ports[1]}) == 6
        for https, http, _ in ports:
            picture = await get(f"https://localhost:{https}", "/t_card/lake.jpg")
            assert (picture.status, picture.headers["Content-Type"]) == (200, "image/jpeg")
            moved = await get(f"http://localhost:{http}", "/t_card/lake.jpg")
            assert moved.headers["Location"] == f"https://localhost:{https}/t_card/lake.jpg"
        assert one.poll() is None


def test_concurrent_demos_generate_the_originals_once(tmp_path: Path) -> None:
    """Seen by a painter that cannot be overtaken: nobody paints while another one holds the folder."""
    originals = tmp_path / "calotype-demo-originals"
    originals.mkdir()
    held = os.open(originals, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with demonstrating(tmp_path, *ANY_PORTS) as one:
        while str(originals.stat().st_ino) not in waiting_for_locks():
            assert one.poll() is None
        assert list(originals.iterdir()) == []
        os.close(held)
        printed_ports(one)
        assert len(list(originals.iterdir())) >= 6


def waiting_for_locks() -> set[str]:
    """The inodes of what somebody waits to lock, of proc(5)."""
    lines = Path("/proc/locks").read_text().splitlines()
    return {line.split(":")[3].split()[0] for line in lines if " -> " in line}


@pytest.mark.parametrize("option", ANY_PORTS[::2])
def test_a_port_in_use_is_reported_with_its_option(tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with demonstrating(tmp_path, *ANY_PORTS, option, port) as refused:
            output, _ = refused.communicate(timeout=LONGEST_S)
    assert output == (
        f"front: cannot listen on port {port}: Address already in use; use {option}, where 0 takes a free port\n"
    )
    assert refused.returncode == 1


def test_two_options_with_the_same_port_are_reported(tmp_path: Path) -> None:
    port = str(free_port())
    with demonstrating(tmp_path, *ANY_PORTS, "--https-port", port, "--status-port", port) as refused:
        output, _ = refused.communicate(timeout=LONGEST_S)
    assert f"port {port}: Address already in use; use --status-port" in output
