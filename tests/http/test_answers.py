"""Answers of a node: headers, statuses, conditions, ranges, negotiation, errors."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import time
import unicodedata
from pathlib import Path
from urllib.parse import quote

import pytest

from proxy.render.libfacedetection import version
from tests.http.conftest import Running, raw, running, shares_node
from tests.support import pictures
from tests.support.fakes import temporary_file
from tests.support.waiting import PAUSE_S, eventually

CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Timing-Allow-Origin": "*",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "ETag, Content-Range, Cache-Status, Server-Timing, Calotype-Notice",
}


async def test_the_second_request_of_a_variant_is_a_hit(node: Running) -> None:
    first = await node.get("/w_200,f_webp/quarters.png")
    assert first.status == 200
    assert first.cache == "calotype; fwd=miss; stored"
    assert first.headers["Content-Type"] == "image/webp"
    assert first.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert first.headers["ETag"].startswith('"')
    assert int(first.headers["Content-Length"]) == len(first.body)
    assert {name: first.headers[name] for name in SECURITY} == SECURITY
    assert "Vary" not in first.headers
    timing = {
        name.strip(): float(took.removeprefix("dur="))
        for name, _, took in (part.partition(";") for part in first.headers["Server-Timing"].split(","))
    }
    assert list(timing) == ["lookup", "fetch", "queue", "render", "total"]
    assert sum(timing.values()) == pytest.approx(2 * timing["total"], abs=0.05)
    assert pictures.size(first.body) == (200, 150)
    second = await node.get("/w_200,f_webp/quarters.png")
    assert second.cache == "calotype; hit; detail=memory"
    assert second.body == first.body
    assert second.headers["ETag"] == first.headers["ETag"]
    assert await node.metric("calotype_renders_total") == 1


async def test_equal_transforms_share_an_entry(node: Running) -> None:
    first = await node.get("/w_200,h_100,c_fill,f_webp,q_80/quarters.png")
    for target in (
        "/f_webp,h_100,c_fill,w_200/quarters.png",
        "/w_200,h_100,c_fill,g_center,f_webp/quarters.png",
        "/w_100,h_50,dpr_2,c_fill,f_webp/quarters.png",
        "/thumbnail?url=quarters.png&w=200&h=100&fit=cover&format=webp",
        "/thumbnail?format=webp&fit=cover&h=100&w=200&url=quarters%2Epng&q=80&bg=fff",
    ):
        answer = await node.get(target)
        assert (answer.cache, answer.headers["ETag"]) == (
            "calotype; hit; detail=memory",
            first.headers["ETag"],
        ), target
    assert await node.metric("calotype_renders_total") == 1


async def test_keys_with_folders_spaces_and_accents_are_served(node: Running) -> None:
    for target in ("/w_50/deep/a%20b%25%C3%A9.jpg", "/thumbnail?url=deep/a+b%25%C3%A9.jpg&w=50"):
        assert (await node.get(target)).status == 200


async def test_the_accept_header_selects_the_format(node: Running) -> None:
    kinds = {}
    for accept in (CHROME, "image/webp,*/*", "*/*", "image/avif", None):
        answer = await node.get("/w_100,f_auto/photo.jpg", **({"Accept": accept} if accept else {}))
        assert answer.headers["Vary"] == "Accept"
        kinds[accept] = answer.headers["Content-Type"]
    assert kinds == {
        CHROME: "image/avif", "image/webp,*/*": "image/webp", "*/*": "image/jpeg", "image/avif": "image/avif",
        None: "image/jpeg",
    }  # fmt: skip
    assert await node.metric("calotype_renders_total") == 3
    assert (await node.get("/w_100,f_auto/cut-out.png")).headers["Content-Type"] == "image/png"
    assert (await node.get("/w_30,f_auto/film.gif")).headers["Content-Type"] == "image/gif"
    assert (await node.get("/w_30,f_auto/film.gif", Accept=CHROME)).headers["Content-Type"] == "image/webp"


async def test_two_accept_fields_are_combined(node: Running) -> None:
    reader, writer = await connect(node)
    writer.write(
        b"GET /w_90,f_auto/photo.jpg HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nAccept: image/webp\r\nConnection: close\r\n\r\n"
    )
    assert b"Content-Type: image/webp" in await reader.read()
    writer.close()


async def test_many_accept_headers_make_at_most_three_entries(node: Running) -> None:
    accepts = [
        f"image/{a},image/{b};q=0.{n}"
        for n in range(10)
        for a in ("avif", "webp", "x")
        for b in ("avif", "webp", "*")
    ]
    for accept in accepts:
        assert (await node.get("/w_80,f_auto/photo.jpg", Accept=accept)).status == 200
    assert await node.metric("calotype_renders_total") <= 3


async def test_presets_are_applied_and_changes_are_in_the_notice(node: Running) -> None:
    card = await node.get("/t_card/photo.jpg")
    assert pictures.size(card.body) == (120, 90)
    assert card.headers["Vary"] == "Accept"
    assert pictures.size((await node.get("/t_card,w_60,f_png/photo.jpg")).body) == (60, 90)
    face = await node.get("/w_50,h_50,c_fill,g_face/photo.jpg")
    assert face.headers["Calotype-Notice"] == "gravity;asked=face;made=auto"
    auto = await node.get("/w_50,h_50,c_fill,g_auto/photo.jpg")
    assert auto.body == face.body
    if not version():  # With a detector the key has its version.
        assert auto.cache == "calotype; hit; detail=memory"


async def test_conditional_requests_get_304(node: Running) -> None:
    first = await node.get("/w_100,f_auto/photo.jpg", Accept=CHROME)
    tag = first.headers["ETag"]
    for sent in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = await node.get("/w_100,f_auto/photo.jpg", Accept=CHROME, If_None_Match=sent)
        assert (answer.status, answer.body) == (304, b"")
        assert answer.headers["ETag"] == tag
        assert answer.headers["Vary"] == "Accept"
        assert answer.headers["Cache-Control"] == first.headers["Cache-Control"]
        assert "Content-Type" not in answer.headers
        assert answer.cache.startswith("calotype; hit")
    other = await node.get("/w_100,f_auto/photo.jpg", Accept=CHROME, If_None_Match='"other"')
    assert (other.status, other.body) == (200, first.body)


async def test_a_304_needs_no_render(tmp_path: Path) -> None:
    async with running(tmp_path) as first:
        temporary_file(first.originals, "photo.jpg", pictures.photo_as("jpeg"))
        tag = (await first.get("/w_100,f_jpg/photo.jpg")).headers["ETag"]
    async with running(tmp_path, cache={"disk": {"path": str(tmp_path / "other")}}) as fresh:
        assert (await fresh.get("/w_100,f_jpg/photo.jpg", If_None_Match=tag)).status == 304
        assert await fresh.metric("calotype_renders_total") == 0


async def test_if_none_match_star_needs_a_valid_picture(node: Running) -> None:
    assert (await node.get("/w_100,f_png/text.jpg", If_None_Match="*")).status == 415


async def test_head_has_the_headers_of_get(node: Running) -> None:
    head = await node.get("/w_100,f_jpg/photo.jpg", method="HEAD")
    got = await node.get("/w_100,f_jpg/photo.jpg")
    assert (head.status, head.body) == (200, b"")
    for name in ("Content-Length", "ETag", "Content-Type", "Cache-Control"):
        assert head.headers[name] == got.headers[name]
    assert (await node.get("/w_100,f_jpg/photo.jpg", method="HEAD", Range="bytes=0-1")).status == 200
    assert (await node.get("/w_100/missing.jpg", method="HEAD")).status == 404


async def test_every_hit_has_the_same_headers(node: Running) -> None:
    """The first one after a miss, and those whose header bytes are made already; HTTP/1.0 and HEAD too."""
    target = "/w_100,f_auto/photo.jpg"
    await node.get(target)
    varying = ("Date", "Server-Timing", "Connection")
    seen = []
    for method in ("GET", "GET", "GET", "HEAD", "HEAD"):
        answer = await node.get(target, method=method)
        assert answer.cache == "calotype; hit; detail=memory"
        assert answer.headers["Server-Timing"].startswith("total;dur=")
        assert answer.headers["Date"].endswith("GMT")
        seen.append({name: value for name, value in answer.headers.items() if name not in varying})
        assert len(answer.body) == (int(answer.headers["Content-Length"]) if method == "GET" else 0)
    assert all(headers == seen[0] for headers in seen)
    old, *lines = (
        await raw(node, b"GET " + target.encode() + b" HTTP/1.0\r\nHost: a\r\nConnection: close\r\n\r\n")
    ).split(b"\r\n")
    assert old == b"HTTP/1.0 200 OK"
    assert b"Connection: keep-alive" not in lines
    closing = b"GET " + target.encode() + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    status, *lines = (await raw(node, closing)).split(b"\r\n")
    assert status == b"HTTP/1.1 200 OK"
    assert b"Connection: close" in lines


async def test_pipelined_hits_are_answered_in_order(node: Running) -> None:
    targets = [f"/w_{width},f_jpg/photo.jpg" for width in (50, 60, 50, 60)]
    bodies = [(await node.get(target)).body for target in (*targets, *targets)][4:]
    requests = b"".join(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target.encode() for target in targets[:3])
    last = b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % targets[3].encode()
    answers = (await raw(node, requests + last)).split(b"HTTP/1.1 200 OK\r\n")
    assert [answer.partition(b"\r\n\r\n")[2] for answer in answers[1:]] == bodies


async def test_range_requests_get_206_or_416(node: Running) -> None:
    whole = (await node.get("/w_100,f_jpg/photo.jpg")).body
    part = await node.get("/w_100,f_jpg/photo.jpg", Range="bytes=10-19")
    assert (part.status, part.body) == (206, whole[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(whole)}"
    assert part.headers["Content-Length"] == "10"
    assert (await node.get("/w_100,f_jpg/photo.jpg", Range="bytes=-5")).body == whole[-5:]
    many = await node.get("/w_100,f_jpg/photo.jpg", Range="bytes=" + ",".join(["0-1"] * 1000))
    assert (many.status, many.body) == (200, whole)
    beyond = await node.get("/w_100,f_jpg/photo.jpg", Range="bytes=999999-")
    assert beyond.status == 416
    assert beyond.headers["Content-Range"] == f"bytes */{len(whole)}"
    assert beyond.cache == "calotype; hit; detail=memory"
    stale = await node.get("/w_100,f_jpg/photo.jpg", Range="bytes=0-1", If_Range='"other"')
    assert stale.status == 200


def dated(node: Running, modified_s: float) -> str:
    """The target of a new original with this modification time."""
    path = temporary_file(node.originals, f"{secrets.token_hex(8)}.jpg", pictures.photo_as("jpeg"))
    os.utime(path, (modified_s, modified_s))
    return f"/original/{path.name}"


@pytest.mark.parametrize(
    ("since", "status"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 304), ("Sunday, 06-Nov-94 08:49:37 GMT", 304), ("Sun Nov  6 08:49:37 1994", 304),
        ("Sun, 06 Nov 1994 08:49:38 GMT", 304), ("Fri, 01 Jan 2100 00:00:00 GMT", 304), ("Sun, 06 Nov 1994 08:49:36 GMT", 200),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 200), ("yesterday", 200), ("", 200), ("784111777", 200), ("Sun, 06 Nov 1994 08:49:37", 200),
    ],
)  # fmt: skip
@shares_node
async def test_an_original_has_its_modification_date(shared_node: Running, since: str, status: int) -> None:
    target = dated(shared_node, 784_111_777.9)
    whole = await shared_node.get(target)
    assert whole.headers["Last-Modified"] == "Sun, 06 Nov 1994 08:49:37 GMT"
    for method in ("GET", "HEAD"):
        answer = await shared_node.get(target, method=method, If_Modified_Since=since)
        assert answer.status == status
        assert answer.headers["ETag"] == whole.headers["ETag"]
        assert answer.body == (whole.body if (status, method) == (200, "GET") else b"")
    conditions = {"If_Modified_Since": since, "If_None_Match": '"other"'}
    assert (await shared_node.get(target, **conditions)).status == 200, "the tag decides alone"
    conditions["If_None_Match"] = whole.headers["ETag"]
    assert (await shared_node.get(target, **conditions)).status == 304


@pytest.mark.parametrize("modified_s", [0, -1, 4_102_444_800])
@shares_node
async def test_an_invalid_modification_date_is_not_sent(shared_node: Running, modified_s: int) -> None:
    target = dated(shared_node, modified_s)
    answer = await shared_node.get(target, If_Modified_Since="Fri, 01 Jan 2100 00:00:00 GMT")
    assert answer.status == 200
    assert "Last-Modified" not in answer.headers


async def test_an_original_is_served_byte_for_byte(node: Running) -> None:
    content = pictures.photo_as("jpeg")
    whole = await node.get("/original/photo.jpg")
    assert (whole.status, whole.body, whole.headers["Content-Type"]) == (200, content, "image/jpeg")
    assert {name: whole.headers[name] for name in SECURITY} == SECURITY
    tag = whole.headers["ETag"]
    assert (await node.get("/original/photo.jpg", If_None_Match=tag)).status == 304
    part = await node.get("/original/photo.jpg", Range="bytes=100-199")
    assert (part.status, part.body) == (206, content[100:200])
    beyond = await node.get("/original/photo.jpg", Range="bytes=99999999-")
    assert (beyond.status, beyond.cache) == (416, "calotype; fwd=bypass")
    assert beyond.headers["Content-Range"] == f"bytes */{len(content)}"
    head = await node.get("/original/photo.jpg", method="HEAD")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(content)))
    assert (await node.get("/original/text.jpg")).status == 415
    assert (await node.get("/original/missing.jpg")).status == 404
    temporary_file(node.originals, "photo.jpg", content + b"x")

    async def is_replaced() -> bool:
        return (await node.get("/original/photo.jpg", If_None_Match=tag)).status == 200

    assert await eventually(is_replaced)


async def test_truncating_an_original_ends_its_transfer(node: Running) -> None:
    path = temporary_file(node.originals, "long.jpg", pictures.photo_as("jpeg") + b"x" * 30_000_000)
    reader, writer = await connect(node)
    writer.write(b"GET /original/long.jpg HTTP/1.1\r\nHost: x\r\n\r\n")
    received = await reader.readuntil(b"\r\n\r\n")
    assert b"200 OK" in received
    with path.open("r+b") as file:
        file.truncate(6_000_000)
    rest = b""
    try:
        while chunk := await reader.read(2**20):
            rest += chunk
    except ConnectionError:
        pass
    assert len(rest) < 30_000_000
    assert b"HTTP/1.1" not in rest
    writer.close()
    assert (await node.get("/w_20/photo.jpg")).status == 200


async def test_overwriting_an_original_ends_its_transfer(node: Running) -> None:
    head = pictures.photo_as("jpeg")
    path = temporary_file(node.originals, "long.jpg", head + b"A" * 20_000_000)
    reader, writer = await connect(node)
    writer.write(b"GET /original/long.jpg HTTP/1.1\r\nHost: x\r\n\r\n")
    received = await reader.readuntil(b"\r\n\r\n")
    tag = received.partition(b"ETag: ")[2].partition(b"\r\n")[0].decode()
    with path.open("r+b") as file:
        file.seek(len(head))
        file.write(b"B" * 20_000_000)
    fresh = await node.get("/original/long.jpg", Range="bytes=-4")
    assert (fresh.body, fresh.headers["ETag"] == tag) == (b"BBBB", False)
    rest = b""
    try:
        while chunk := await reader.read(2**20):
            rest += chunk
    except ConnectionError:
        pass
    writer.close()
    assert b"B" not in rest[len(head) :]
    assert len(rest) < len(head) + 20_000_000


ERRORS = [
    ("/w_abc/photo.jpg", 400, "bad-transform"),
    ("/w_100,nope_3/photo.jpg", 400, "bad-transform"),
    ("/w_100/../photo.jpg", 400, "bad-url"),
    ("/w_100/..%2f..%2fetc%2fpasswd", 400, "bad-url"),
    ("/w_100/%2e%2e/x", 400, "bad-url"),
    ("/w_100/a%00b", 400, "bad-url"),
    ("/w_100/a%5cb", 400, "bad-url"),
    ("/w_100/%c0%ae%c0%ae/x", 400, "bad-url"),
    ("/w_100/photo.jpg?x=1", 400, "bad-url"),
    ("/w_100/" + "a" * 9000, 414, "url-too-long"),
    ("/thumbnail?w=1", 400, "bad-url"),
    ("/thumbnail?url=https://evil.example/x.jpg", 403, "source-not-allowed"),
    ("/nothing/here.jpg", 404, "unknown-route"),
    ("/metrics", 404, "unknown-route"),
    ("/metrics/x.jpg", 404, "unknown-route"),
    ("/readyz", 404, "unknown-route"),
    ("/v1/explain?url=/w_1/a", 404, "unknown-route"),
    ("/w_100/missing.jpg", 404, "original-not-found"),
    ("/w_100/deep", 404, "original-not-found"),
    ("/w_100,f_jpg/text.jpg", 415, "unsupported-format"),
    ("/w_100,f_jpg/broken.jpg", 422, "undecodable"),
    ("/w_100,f_auto/broken.jpg", 422, "undecodable"),
    ("/w_100,f_jpg/huge.png", 422, "original-too-large"),
]


@pytest.mark.parametrize(("target", "status", "slug"), ERRORS)
@shares_node
async def test_errors_are_problem_documents_and_are_not_cached(
    shared_node: Running, target: str, status: int, slug: str
) -> None:
    renders = await shared_node.metric("calotype_renders_total")
    for _ in range(2):
        answer = await shared_node.get(target)
        assert answer.status == status
        problem = json.loads(answer.body)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert problem["type"] == f"urn:calotype:error:{slug}"
        assert problem["status"] == status
        assert problem["title"]
        assert problem["detail"]
        missing = slug == "original-not-found"
        assert answer.headers["Cache-Control"] == ("public, max-age=1" if missing else "no-store")
        assert {name: answer.headers[name] for name in SECURITY} == SECURITY
        assert answer.headers.get("Vary") == ("Accept" if "f_auto" in target else None)
    assert await shared_node.metric("calotype_renders_total") == renders


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE"])
@shares_node
async def test_other_methods_are_refused(shared_node: Running, method: str) -> None:
    answer = await shared_node.get("/w_100/photo.jpg", method=method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


@shares_node
async def test_an_error_repeats_only_plain_names_of_a_request(shared_node: Running) -> None:
    for target in (
        "/w_cAnAry/x",
        "/cAnAry",
        "/w_1,cAnAry<_3/x",
        "/w_1/%3CcAnAry%3E.jpg",
        "/thumbnail?url=cAnAry&cAnAry[]=1",
        "/w_1/cAnAry%zz",
    ):
        answer = await shared_node.get(target, Accept="cAnAry", Range="cAnAry", If_None_Match="cAnAry")
        assert answer.status >= 400
        # But for the key that is missing, in which nothing is left that means anything elsewhere.
        body = answer.body.lower().replace(b"'%3ccanary%3e.jpg'", b"")
        assert b"canary" not in body
        assert "canary" not in str(answer.headers).lower()


async def connect(node: Running) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = node.node.public_url.removeprefix("http://").partition(":")
    return await asyncio.open_connection(host, int(port))


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /w_100/\xff.jpg HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /w_100/a b.jpg HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /w_100/photo.jpg HTTP/1.1\r\nHost: x\r\nX\x07cAnAry: 1\r\n\r\n",
        b"CANARY<b> /w_100/photo.jpg HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /w_100/photo.jpg HTTP/1.1\r\nHost: x\r\nX-Long: " + b"cAnAry" * 4000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET http://u@evil.example/w_100/photo.jpg HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ],
)  # fmt: skip
@shares_node
async def test_a_malformed_request_gets_a_problem_document(
    shared_node: Running, request_bytes: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    reader, writer = await connect(shared_node)
    writer.write(request_bytes)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert answer.split(b" ")[1] == b"400"
    assert b"application/problem+json" in answer
    assert b"aiohttp" not in answer
    assert b"canary" not in answer.lower()
    captured = capfd.readouterr()
    assert "canary" not in (captured.out + captured.err).lower()
    assert (await shared_node.get("/w_100/photo.jpg")).status == 200


async def test_a_file_that_is_added_after_a_404_is_served(node: Running) -> None:
    for target in ("/w_50/late.png", "/w_50,f_webp/late.png", "/original/late.png", "/info/late.png"):
        answer = await node.get(target)
        assert json.loads(answer.body)["detail"] == "there is no original 'late.png' in source photos"
        assert (answer.status, answer.headers["Cache-Control"]) == (404, "public, max-age=1")
    temporary_file(node.originals, "late.png", pictures.quarters_as("png"))
    appeared_s = time.monotonic()

    async def is_seen() -> bool:
        return (await node.get("/w_50,f_webp/late.png")).status == 200

    await eventually(is_seen, pause_s=0.1)
    assert time.monotonic() - appeared_s < 30, "long before a minute is over"
    assert (await node.get("/original/late.png")).status == 200


@pytest.mark.parametrize("form", ["NFC", "NFD"])
async def test_both_normal_forms_of_a_key_name_one_original(node: Running, form: str) -> None:
    key = unicodedata.normalize(form, "gr\u00fcn/caf\u00e9.png")
    temporary_file(node.originals, key, pictures.quarters_as("png"))
    targets = [f"/w_40,f_webp/{quote(unicodedata.normalize(each, key))}" for each in ("NFC", "NFD")]
    assert len(set(targets)) == 2
    first, second = [await node.get(target) for target in targets]
    assert (first.status, second.status) == (200, 200)
    assert (second.cache, second.headers["ETag"]) == ("calotype; hit; detail=memory", first.headers["ETag"])
    assert await node.metric("calotype_renders_total") == 1


@pytest.mark.parametrize(
    "key", [".hidden.jpg", ".well-known/a.jpg", "deep/.git/a.jpg", "%2Ehidden.jpg", "..a.jpg"]
)
@shares_node
async def test_keys_with_segments_that_begin_with_a_dot_are_refused(shared_node: Running, key: str) -> None:
    for target in (f"/w_40/{key}", f"/original/{key}", f"/info/{key}", f"/thumbnail?url={key}&w=40"):
        answer = await shared_node.get(target)
        assert (answer.status, "begins with a dot" in answer.body.decode()) == (400, True)


async def test_health_and_robots_are_neither_cached_nor_counted(node: Running) -> None:
    for target, status in (("/", 200), ("/robots.txt", 200), ("/favicon.ico", 204), ("/healthz", 200)):
        answer = await node.get(target)
        assert answer.status == status
        assert answer.headers["Cache-Control"] == "no-store"
    assert await node.metric("calotype_requests_total") == 0


async def test_each_mount_has_its_own_size_policy(tmp_path: Path) -> None:
    mounts = {
        "listed": {"source": "photos"},
        "snapped": {"source": "photos", "prefix": "/snap/", "dimensions": "snap"},
        "closed": {"source": "photos", "prefix": "/closed/", "presets_only": True, "max_age": "10m"},
        "other": {"source": "other", "host": "other.example"},
    }
    temporary_file(tmp_path / "elsewhere", "secret.jpg", pictures.photo_as("jpeg"))
    sources = {
        "photos": {"path": str(tmp_path / "originals")},
        "other": {"path": str(tmp_path / "elsewhere")},
    }
    async with running(tmp_path, mounts=mounts, sources=sources) as node:
        temporary_file(node.originals, "photo.jpg", pictures.photo_as("jpeg"))
        assert (await node.get("/w_100/photo.jpg")).status == 200
        refused = await node.get("/w_101/photo.jpg")
        assert refused.status == 400
        assert json.loads(refused.body)["type"] == "urn:calotype:error:dimension-not-allowed"
        assert pictures.size((await node.get("/snap/w_101/photo.jpg")).body)[0] == 128
        assert (await node.get("/w_100,q_82/photo.jpg")).headers["ETag"] == (
            await node.get("/w_100,q_80/photo.jpg")
        ).headers["ETag"]
        card = await node.get("/closed/t_small/photo.jpg")
        assert (card.status, card.headers["Cache-Control"]) == (200, "public, max-age=600")
        assert (await node.get("/closed/w_100/photo.jpg")).status == 400
        assert (await node.get("/closed/original/photo.jpg")).status == 404
        assert (await node.get("/w_100/secret.jpg")).status == 404
        assert (await node.get("/w_100/secret.jpg", Host="other.example")).status == 200
        assert (await node.get("/w_100/photo.jpg", Host="other.example:80")).status == 404


async def test_a_replaced_file_is_served_within_a_second(node: Running) -> None:
    before = await node.get("/w_100,f_png/photo.jpg")
    temporary_file(node.originals, "photo.jpg", pictures.quarters_as("jpeg"))
    await asyncio.sleep(1.05)  # Longer than the original is fresh.
    after = await node.get("/w_100,f_png/photo.jpg")
    assert after.cache == "calotype; fwd=miss; stored"
    assert after.headers["ETag"] != before.headers["ETag"]
    assert pictures.is_near(pictures.pixel(after.body, 5, 5), pictures.RED)


async def test_concurrent_requests_share_one_render(node: Running) -> None:
    answers = await asyncio.gather(*(node.get("/w_321,f_jpg/photo.jpg") for _ in range(1000)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert await node.metric("calotype_renders_total") == 1
    cache_statuses = [answer.cache for answer in answers]
    assert cache_statuses.count("calotype; fwd=miss; stored") == 1
    assert await node.metric("calotype_collapsed_total") == cache_statuses.count(
        "calotype; fwd=miss; stored; collapsed"
    )


async def test_a_restarted_node_serves_from_disk(tmp_path: Path) -> None:
    async with running(tmp_path) as first:
        temporary_file(first.originals, "photo.jpg", pictures.photo_as("jpeg"))
        body = (await first.get("/w_100,f_auto/photo.jpg")).body
    async with running(tmp_path) as again:
        answer = await again.get("/w_100,f_auto/photo.jpg")
        assert (answer.cache, answer.body) == ("calotype; hit; detail=disk", body)
        assert (await again.get("/w_100,f_auto/photo.jpg")).cache == "calotype; hit; detail=memory"
        assert await again.metric("calotype_renders_total") == 0


async def test_misses_beyond_the_queue_are_shed_and_hits_are_served(tmp_path: Path) -> None:
    async with running(tmp_path, render={"workers": 1, "queue": 3}) as node:
        temporary_file(node.originals, "photo.jpg", pictures.photo_as("jpeg"))
        await node.get("/w_50,f_jpg/photo.jpg")
        misses = [
            asyncio.create_task(node.get(f"/w_{width},f_avif,e_blur:5/photo.jpg"))
            for width in range(400, 440)
        ]
        await eventually(lambda: node.metric("calotype_render_queue"))
        hit = await node.get("/w_50,f_jpg/photo.jpg")
        assert hit.cache == "calotype; hit; detail=memory"
        answers = await asyncio.gather(*misses)
        shed = [answer for answer in answers if answer.status == 503]
        assert {answer.status for answer in answers} == {200, 503}
        assert shed[0].headers["Retry-After"].isdigit()
        assert shed[0].cache == "calotype; fwd=miss; detail=shed"
        assert json.loads(shed[0].body)["type"] == "urn:calotype:error:overloaded"
        assert await node.metric("calotype_shed_total") == len(shed)


async def test_the_admin_listener_has_metrics_and_explain(node: Running) -> None:
    sent = await node.get("/w_100/photo.jpg")
    assert (await node.get("/healthz", admin=True)).status == 200
    assert (await node.get("/readyz", admin=True)).status == 200
    metrics = (await node.get("/metrics", admin=True)).body.decode()
    for name in (
        'calotype_requests_total{mount="all",outcome="miss",status="200",tier="none"} 1.0',
        f'calotype_sent_bytes_total{{format="jpeg",mount="all"}} {float(len(sent.body))}',
        "calotype_request_seconds_count 1.0",
        'calotype_render_seconds_count{format="jpeg"} 1.0',
        "calotype_renders_total 1.0",
        "calotype_render_queue 0.0",
        'calotype_tier_bytes{tier="memory"}',
        'calotype_tier_entries{tier="disk"}',
        'calotype_source_fetches_total{outcome="ok",source="photos"}',
        "calotype_collapsed_total 0.0",
        "calotype_shed_total 0.0",
    ):
        assert name in metrics
    explanation = json.loads(
        (await node.get("/v1/explain?url=/w_100,c_fill,q_500/photo.jpg", admin=True)).body
    )
    assert explanation["original"] == "photos:photo.jpg"
    assert explanation["ignored"] == ["c: a fit needs both w and h"]
    assert explanation["clamped"] == ["q: 100"]
    assert len(explanation["key"]) == 64
    for target, status in (
        ("/v1/explain", 400), ("/v1/explain?url=http://[::1/x", 400), ("/nothing", 404), ("/w_100/photo.jpg", 404),
    ):  # fmt: skip
        answer = await node.get(target, admin=True)
        assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    refused = json.loads((await node.get("/v1/explain?url=/original/no.jpg", admin=True)).body)
    assert refused["refused"][0].startswith("original-not-found: ")
    original = json.loads((await node.get("/v1/explain?url=/original/photo.jpg", admin=True)).body)
    assert original["plan"] == "the original's own bytes"


async def test_the_admin_listener_needs_the_token(tmp_path: Path) -> None:
    async with running(tmp_path, admin={"port": 0, "token": "s3cret-of-16-bytes"}) as node:
        for sent in ("", "Bearer wrong", "Bearer \udcff", "s3cret-of-16-bytes"):
            answer = await node.get("/metrics", admin=True, **({"Authorization": sent} if sent else {}))
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert (
            await node.get("/metrics", admin=True, Authorization="Bearer s3cret-of-16-bytes")
        ).status == 200
        assert (await node.get("/readyz", admin=True)).status == 200


def worker_pids() -> set[int]:
    """Every render worker of this process."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes()
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            if b"proxy.render.worker" in command and int(parent) == os.getpid():
                found.add(int(process.name))
    return found


def kill_workers() -> set[int]:
    """SIGSEGV to all of them."""
    pids = worker_pids()
    for pid in pids:
        os.kill(pid, signal.SIGSEGV)
    return pids


async def are_gone(pids: set[int]) -> None:
    await eventually(lambda: not pids & worker_pids())


async def test_a_picture_that_kills_two_workers_is_refused(node: Running) -> None:
    temporary_file(node.originals, "large.png", pictures.photo_as("png", 2400, 1800))
    asking = asyncio.create_task(node.get("/w_2400,f_avif,e_blur:90,e_blur:90,e_blur:90/large.png"))
    while not asking.done():  # One that dies before it has read the job costs the picture nothing.
        if await node.metric("calotype_workers", state="busy"):
            await are_gone(kill_workers())
        await asyncio.sleep(PAUSE_S)
    assert json.loads((await asking).body)["type"] == "urn:calotype:error:worker-died"
    refused = await node.get("/w_100,f_jpg/large.png")
    assert refused.status == 422
    assert (await node.get("/w_100,f_jpg/photo.jpg")).status == 200
