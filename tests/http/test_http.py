"""The requirements of RFC 9110 and 9112, byte by byte, without a proxy in front."""

import asyncio
import math
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from proxy.core.cache.delivery import Delivered
from proxy.edge.public.handler import CompiledUrl, PublicHandler
from proxy.service.request.produce import Produce, Resolved
from tests.http.conftest import ORIGINALS, Running, raw, running, shares_node
from tests.support.fakes import temporary_file

TARGETS = ["/w_100,f_jpg/photo.jpg", "/original/photo.jpg"]


def ask(target: str, *headers: str, method: str = "GET") -> bytes:
    """A request that is the last on its connection."""
    lines = (f"{method} {target} HTTP/1.1", "Host: x", *headers, "Connection: close", "", "")
    return "\r\n".join(lines).encode("latin-1")


def status(response: bytes) -> int:
    version, status, _ = response.split(b" ", 2)
    assert version == b"HTTP/1.1"
    return int(status)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (["Range: bytes=0-5,"], 206),
        (["Range: bytes= ,0-5"], 206),
        ([f"Range: bytes=0-{2**64}"], 206),
        (["Range: bytes=9-5"], 200),
        (["Range: bytes=a-b"], 200),
        (["Range: bytes=0-1", "Range: bytes=3-4"], 200),
        (["Range: bytes=0-1", "Range: bytes=0-1"], 200),
        (["Range: bytes=0-1", "Range:"], 200),
        (["Range: bytes=99999999-", "Range: bytes=0-1"], 200),
        (["Range: bytes=99999999-"], 416),
        ([f"Range: bytes={2**64}-"], 416),
    ],
)
@shares_node
async def test_only_a_single_range_is_honoured(
    shared_node: Running, target: str, headers: list[str], expected: int
) -> None:
    response = await raw(shared_node, ask(target, *headers))
    assert status(response) == expected
    assert status(await raw(shared_node, ask(target, *headers, method="HEAD"))) == 200


PICTURE = "/w_20,f_jpg/photo.jpg"
GOOD = f"GET {PICTURE} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
BAD = {
    "a control": b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    "no head": b"\x16\x03\x01\x02\x00",
    "no version": b"GET /w_20/photo.jpg\r\n",
    "HTTP/0.9": b"GET /w_20/photo.jpg HTTP/0.9\r\n\r\n",
    "HTTP/2.0": b"GET /w_20/photo.jpg HTTP/2.0\r\nHost: x\r\n\r\n",
    "HTTP/3.0": b"GET /w_20/photo.jpg HTTP/3.0\r\nHost: x\r\n\r\n",
    "no such method": b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "a folded line": b"GET / HTTP/1.1\r\nHost: x\r\n y\r\n\r\n",
    "a large head": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
    "two lengths": b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
}


def statuses(response: bytes) -> list[int]:
    """Of all answers, none of which is of another version than HTTP/1.1."""
    found = re.findall(rb"HTTP/(\d\.\d) (\d{3}) ", response)
    assert {version for version, _ in found} <= {b"1.1"}
    return [int(status) for _, status in found]


@pytest.mark.parametrize("before", [0, 1, 3, 70])
@pytest.mark.parametrize("name", BAD)
@shares_node
async def test_a_malformed_pipelined_request_is_refused_after_earlier_answers(
    shared_node: Running, name: str, before: int
) -> None:
    response = await raw(shared_node, GOOD * before + BAD[name] + GOOD)
    assert statuses(response) == [200] * before + [400]
    assert b"Connection: close" in response.rpartition(b"HTTP/1.1 400")[2]


@pytest.mark.parametrize("cut", range(1, 24))
@shares_node
async def test_a_request_may_arrive_in_any_segmentation(shared_node: Running, cut: int) -> None:
    """In the end of the good head, and in the beginning of the bad one."""
    bad = b"GET /w_20/photo.jpg\r\n"
    sent = GOOD + bad
    at = len(sent) - len(bad) - 6 + cut
    host, port = shared_node.node.public_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent[:at])
    if at >= len(GOOD):
        await reader.readuntil(b"\r\n\r\n")
    else:
        await shared_node.get("/healthz")  # What was sent before is read before.
    writer.write(sent[at:])
    response = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert statuses(response) == ([400] if at >= len(GOOD) else [200, 400])


@pytest.mark.parametrize("suffix", [b"x", b"\r\n", b"\x00\xff" * 1000, GOOD, GOOD[:-9], BAD["no host"]])
@shares_node
async def test_bytes_after_the_last_request_are_ignored(shared_node: Running, suffix: bytes) -> None:
    for version in (b"HTTP/1.1", b"HTTP/1.0"):
        last = GOOD.replace(b"HTTP/1.1\r\n", version + b"\r\nConnection: close\r\n")
        response = await raw(shared_node, (GOOD if version == b"HTTP/1.1" else b"") + last + suffix)
        found = re.findall(rb"HTTP/1\.[01] (\d{3}) ", response)
        assert found == [b"200"] * (2 if version == b"HTTP/1.1" else 1)


@pytest.mark.parametrize(
    "host",
    ["x", "", "x:80", "x:", "x:65535", "x.", "a_b.example", "xn--a", "1.2.3.4", "[::1]", "[::1]:8080", "[::FFFF:1.2.3.4]", "%C3%A9", "a!$&'()*+;=~b"],
)  # fmt: skip
@shares_node
async def test_valid_host_fields_are_accepted(shared_node: Running, host: str) -> None:
    assert status(await raw(shared_node, ask(PICTURE).replace(b"Host: x", b"Host: " + host.encode()))) == 200


@pytest.mark.parametrize(
    "host",
    ["x y", "x,y", "x, y", "u@x", "u:p@x", "x:a", "x:65536", "x:99999", "x:-1", "x:+80", "x: 80", "x :80", "x:80:80", ":80", "[::1", "::1", "[x]", "[1::2::3]",
     "[::1]80", "[fe80::1%25a]", "x/y", "/", "x?y", "x#y", "x\\y", "\xe9", "%4", "%zz", "http://x", "<x>", '"x"', "{x}", "x\ty", "x:" + "0" * 6000],
)  # fmt: skip
@shares_node
async def test_invalid_host_fields_are_refused(shared_node: Running, host: str) -> None:
    for version in (b"HTTP/1.1", b"HTTP/1.0"):
        sent = ask(PICTURE).replace(b"Host: x", b"Host: " + host.encode("latin-1"))
        response = await raw(shared_node, sent.replace(b"HTTP/1.1", version) + GOOD)
        assert re.findall(rb"HTTP/1\.[01] (\d{3}) ", response) == [b"400"]


@shares_node
async def test_a_request_has_exactly_one_host_field(shared_node: Running) -> None:
    for lines in (b"", b"Host: x\r\nHost: x\r\n", b"Host: x\r\nhost: y\r\n", b"Host:\r\nHost: x\r\n"):
        sent = ask(PICTURE).replace(b"Host: x\r\n", lines)
        assert status(await raw(shared_node, sent)) == 400
    old = ask(PICTURE).replace(b"Host: x\r\n", b"").replace(b"HTTP/1.1", b"HTTP/1.0")
    assert (await raw(shared_node, old)).startswith(b"HTTP/1.0 200 ")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tenants(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """Two hosts, of which one has presets alone."""
    hosts = {
        name: {"source": "photos", "host": f"{name}.example", "dimensions": "any"} for name in ("a", "b")
    }
    hosts["b"]["presets_only"] = True
    async with running(tmp_path_factory.mktemp("tenants"), mounts=hosts) as started:
        temporary_file(started.originals, "photo.jpg", ORIGINALS["photo.jpg"]())
        yield started


@pytest.mark.parametrize(
    ("target", "host", "expected"),
    [
        (f"http://a.example{PICTURE}", "b.example", 200),
        (f"http://a.example:80{PICTURE}", "b.example", 200),
        (f"HTTPS://A.example.{PICTURE}", "b.example", 200),
        ("http://a.example/thumbnail?url=photo.jpg&w=20&format=jpg", "b.example", 200),
        (f"http://b.example{PICTURE}", "a.example", 400),
        (f"http://c.example{PICTURE}", "a.example", 404),
        ("http://a.example/healthz", "b.example", 200),
        ("http://a.example", "b.example", 200),
        ("http://a.example?x=1", "b.example", 404),
        (f"http://a.example/{PICTURE}", "a.example", 404),
        (f"http://a.example{PICTURE}", "a.example, b.example", 400),
        (f"http://u@a.example{PICTURE}", "a.example", 400),
        (f"http://a.example:x{PICTURE}", "a.example", 400),
        (f"http://a.example,b.example{PICTURE}", "a.example", 400),
        (f"http://{PICTURE}", "a.example", 400),
        (f"ftp://a.example{PICTURE}", "a.example", 400),
        (f"//a.example{PICTURE}", "b.example", 404),
        (f"a.example{PICTURE}", "a.example", 400),
    ],
)
@shares_node
async def test_an_absolute_target_overrides_the_host_field(
    tenants: Running, target: str, host: str, expected: int
) -> None:
    response = await raw(tenants, ask(target).replace(b"Host: x", b"Host: " + host.encode()))
    assert status(response) == expected
    direct = ask(PICTURE).replace(b"Host: x", b"Host: a.example")
    if expected == 200 and PICTURE in target:
        assert response.rpartition(b"\r\n\r\n")[2] == (await raw(tenants, direct)).rpartition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    "line",
    [
        "/\0",
        "/ x",
        "/ HTTP/2.0",
        "/ HTTP/1.1\r\nHost: x\r\nA\0: b",
        "/" + "a" * 70_000,
        "/w_20,f_auto/\xe9",
        "/x",
    ],
)
@shares_node
async def test_a_refused_head_request_has_no_body(shared_node: Running, line: str) -> None:
    responses = {
        method: await raw(shared_node, f"{method} {line}{'' if 'HTTP' in line or line == '/x' else ' HTTP/1.1'}\r\nHost: x\r\n\r\n".encode("latin-1"))
        for method in ("GET", "HEAD", "head", "HEADS")
    }  # fmt: skip
    assert {status(each) for each in responses.values()} <= {400, 405, 414}
    for method, each in responses.items():
        assert bool(each.rpartition(b"\r\n\r\n")[2]) is (method != "HEAD"), method
    with_get, with_head = (re.search(rb"Content-Length: (\d+)", responses[each]) for each in ("GET", "HEAD"))
    assert with_get is not None
    assert with_head is not None
    assert with_get[1] == with_head[1]


@shares_node
async def test_a_refused_pipelined_head_request_has_no_body_in_any_segmentation(shared_node: Running) -> None:
    host, port = shared_node.node.public_url.removeprefix("http://").split(":")
    sent = GOOD + b"HEAD /\0 HTTP/1.1\r\nHost: x\r\n\r\n"
    for cut in range(len(GOOD) - 2, len(sent), 3):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent[:cut])
        await reader.readuntil(b"\xff\xd9") if cut >= len(GOOD) else None
        writer.write(sent[cut:])
        response = await reader.read()
        writer.close()
        assert response.rpartition(b"HTTP/1.1 400 ")[2].endswith(b"\r\n\r\n"), cut


@pytest.mark.parametrize("length", [8193, 9000, 60_000, 65_600, 70_000, 1_000_000])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@shares_node
async def test_a_target_that_is_too_long_gets_414(shared_node: Running, length: int, method: str) -> None:
    response = await raw(shared_node, ask("/" + "a" * (length - 1), method=method))
    assert status(response) == 414
    assert b"Cache-Control: no-store" in response
    assert method == "HEAD" or length > 8193 or b"urn:calotype:error:url-too-long" in response


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/w_20,f_auto/" + "a" * 9000, b""), ("/thumbnail?url=photo.jpg&format=auto&x=" + "a" * 9000, b""), ("/t_card/" + "a" * 60_000, b""),
        ("/w_20,f_auto/\xe9.jpg", b""), ("/w_\xff,f_auto/photo.jpg", b""), ("/thumbnail?url=\xe9&format=auto", b""),
        ("http://x/w_20,f_auto/photo.jpg", b"1"), ("http://x/t_card/photo.jpg", b"1"), ("/w_20,f_auto/photo.jpg", b"1"),
        ("http://x/w_20,f_auto/" + "a" * 9000, b""), ("http://x/w_20,f_auto/\xe9.jpg", b""),
    ],
)  # fmt: skip
@shares_node
async def test_an_error_of_a_negotiating_url_has_vary_accept(
    shared_node: Running, target: str, body: bytes
) -> None:
    for requested in (
        target,
        target.replace("f_auto", "f_jpg").replace("=auto", "=jpg").replace("card", "small"),
    ):
        response = await raw(shared_node, ask(requested, f"Content-Length: {len(body)}") + body)
        assert status(response) in (400, 414)
        assert (b"\r\nVary: Accept\r\n" in response) is (requested == target)


async def test_a_redirect_ignores_conditions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    location = ""

    deliver = Produce._deliver

    async def located(self: Produce, resolved: Resolved, deadline: float, until_s: float) -> Delivered:
        delivered = await deliver(self, resolved, deadline, until_s)
        if not until_s or not location:
            return delivered
        return Delivered(replace(delivered.delivery, location=location), None)

    monkeypatch.setattr(Produce, "_deliver", located)
    monkeypatch.setattr(PublicHandler, "_redirect_until_s", lambda *_: math.inf)
    async with running(
        tmp_path, cache={"memory": {"max_bytes": 1}, "disk": {"path": str(tmp_path / "c")}}
    ) as node:
        temporary_file(node.originals, "photo.jpg", ORIGINALS["photo.jpg"]())
        tag = (await node.get(PICTURE)).headers["ETag"]
        conditions = {
            f"If-None-Match: {tag}": 304, "If-None-Match: *": 304, 'If-None-Match: "x"': 200, 'If-Match: "x"': 412,
            f"If-Match: {tag}": 200, "If-Match: *": 200, "If-Unmodified-Since: Sat, 01 Jan 1994 00:00:00 GMT": 200,
        }  # fmt: skip
        for method in ("GET", "HEAD"):
            for condition, expected in conditions.items():
                location = ""
                assert status(await raw(node, ask(PICTURE, condition, method=method))) == expected
                location = "https://cdn.example/a"
                response = await raw(node, ask(PICTURE, condition, method=method))
                assert status(response) == 302, condition
                assert b"\r\nLocation: https://cdn.example/a\r\n" in response


async def test_a_url_with_a_file_name_is_not_redirected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested_until_s: list[float] = []
    deliver, redirect_until_s = Produce._deliver, PublicHandler._redirect_until_s

    async def observed(self: Produce, resolved: Resolved, deadline: float, until_s: float) -> Delivered:
        requested_until_s.append(until_s)
        return await deliver(self, resolved, deadline, until_s)

    def enabled(self: PublicHandler, compiled: CompiledUrl) -> float:
        self._redirects = True
        return redirect_until_s(self, compiled)

    monkeypatch.setattr(Produce, "_deliver", observed)
    monkeypatch.setattr(PublicHandler, "_redirect_until_s", enabled)
    async with running(tmp_path) as node:
        temporary_file(node.originals, "photo.jpg", ORIGINALS["photo.jpg"]())
        assert (await node.get("/w_100,f_png,dl_red.png/photo.jpg")).status == 200
        assert (await node.get("/w_100,f_jpg/photo.jpg")).status == 200
    assert requested_until_s == [0, math.inf]


@shares_node
async def test_only_a_target_of_more_than_8192_bytes_is_too_long(shared_node: Running) -> None:
    target = "/thumbnail?url=photo.jpg&w=20&x=" + "a" * 8192
    for form in ("", "http://x.example"):
        assert status(await raw(shared_node, ask(form + target[:8192]))) == 400  # There is no x.
        assert status(await raw(shared_node, ask(form + target[:8193]))) == 414


@pytest.mark.parametrize("target", [*TARGETS, "/info/photo.jpg", "/w_100,f_auto/photo.jpg"])
@shares_node
async def test_conditions_are_evaluated_in_the_order_of_rfc_9110(shared_node: Running, target: str) -> None:
    got = await shared_node.get(target)
    tag = got.headers["ETag"]
    for method in ("GET", "HEAD"):

        async def code(*headers: str, method: str = method) -> int:
            return status(await raw(shared_node, ask(target, *headers, method=method)))

        for fits in (tag, "*", f'"x", {tag}', f"{tag},", f' , "x" ,{tag}'):
            assert await code(f"If-Match: {fits}") == 200, fits
        for other in ('"x"', f"W/{tag}", tag.strip('"'), "", '"x", "y"', f'W/{tag}, "x"', "x y"):
            assert await code(f"If-Match: {other}") == 412, other
        assert await code('If-Match: "x"', f"If-Match: {tag}") == 200
        assert await code('If-Match: "x"', f"If-None-Match: {tag}") == 412, "If-Match comes first"
        assert await code(f"If-Match: {tag}", f"If-None-Match: {tag}") == 304
        assert await code(f"If-Match: {tag}", 'If-None-Match: "x"') == 200
        assert await code("If-Match: *", "If-None-Match: *") == 304
        assert await code('If-Match: "x"', "Range: bytes=0-1") == 412
        assert await code('If-Match: "x"', "Range: bytes=99999999-") == 412
        assert await code(f"If-Match: {tag}", "Range: bytes=0-1") == (206 if method == "GET" else 200)
        assert await code(f"If-Match: {tag}", "If-Unmodified-Since: Sat, 01 Jan 1994 00:00:00 GMT") == 200
        assert await code("If-Unmodified-Since: nonsense") == 200
    refused = await shared_node.get(target, If_Match='"x"')
    assert refused.headers["Cache-Control"] == "no-store"
    assert refused.headers.get("Vary") == got.headers.get("Vary")
    assert "failed" not in refused.cache
    assert b"urn:calotype:error:precondition-failed" in refused.body


@shares_node
async def test_a_condition_on_a_missing_original_gets_404(shared_node: Running) -> None:
    for target in ("/w_100/missing.jpg", "/original/missing.jpg"):
        assert (await shared_node.get(target, If_Match='"x"')).status == 404


async def test_a_failed_precondition_needs_no_render(node: Running) -> None:
    assert (await node.get("/w_77,f_jpg/photo.jpg", If_Match='"x"')).status == 412
    assert await node.metric("calotype_renders_total") == 0


@shares_node
async def test_date_conditions_of_an_original(shared_node: Running) -> None:
    target, old = "/original/photo.jpg", "Sat, 01 Jan 1994 00:00:00 GMT"
    got = await shared_node.get(target)
    tag, modified = got.headers["ETag"], got.headers["Last-Modified"]

    async def code(*headers: str) -> int:
        return status(await raw(shared_node, ask(target, *headers)))

    assert await code(f"If-Unmodified-Since: {old}") == 412
    assert await code(f"If-Unmodified-Since: {modified}") == 200
    assert await code(f"If-Unmodified-Since: {old}", f"If-None-Match: {tag}") == 412
    assert await code(f"If-Unmodified-Since: {old}", f"If-Match: {tag}") == 200, "If-Match comes first"
    assert await code(f"If-Unmodified-Since: {modified}", f"If-Modified-Since: {modified}") == 304
    assert await code("If-Unmodified-Since: 1994") == 200, "no date"
