"""A node in front of an old service, which answers what the node does not."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from proxy.core.image.formats import NO_PICTURE
from proxy.remote import upstream as remote_upstream
from tests.http.conftest import Running, running
from tests.support import dialects, pictures
from tests.support.fakes import temporary_file
from tests.support.servers import free_port
from tests.support.waiting import eventually

KEY, SALT = "aa11", "bb22"
WATERMARK = "/img/_/wm:0.5/plain/photo.jpg"
"""A valid URL of imgproxy that the node does not do."""


@asynccontextmanager
async def old_service() -> AsyncIterator[SimpleNamespace]:
    made = SimpleNamespace(requests=[], answer=None)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        made.requests.append(request)
        if made.answer is not None:
            answer: web.StreamResponse = await made.answer(request)
            return answer
        headers = {
            "ETag": '"old"',
            "Cache-Control": "public, max-age=60",
            "Vary": "Accept",
            "X-Cld-Error": "none",
            "Set-Cookie": "a=b",
            "Link": "<https://ads.example>; rel=preload",
            "Access-Control-Allow-Credentials": "true",
            "Alt-Svc": "h3",
        }
        if request.headers.get("If-None-Match") == '"old"':
            return web.Response(status=304, headers=headers)
        if request.headers.get("Range") == "bytes=0-2":
            headers["Content-Range"] = "bytes 0-2/9"
            return web.Response(status=206, body=b"old", headers=headers, content_type="video/mp4")
        return web.Response(body=b"old bytes", headers=headers, content_type="video/mp4")

    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.host = f"127.0.0.1:{runner.addresses[0][1]}"
    made.url = f"http://{made.host}"
    yield made
    await runner.cleanup()


def mount(url: str, **settings: Any) -> dict[str, Any]:
    shared = {"source": "photos", "prefix": "/img/", "dialect": "imgproxy", "dimensions": "any"}
    return {**shared, "unsupported": "upstream", "upstream": url, "upstream_allow_private": True, **settings}


@pytest.fixture
async def old() -> AsyncIterator[SimpleNamespace]:
    async with old_service() as made:
        yield made


@asynccontextmanager
async def node_before(
    url: str, folder: Path, *, server: Any = None, limits: Any = None, **settings: Any
) -> AsyncIterator[Running]:
    mounts = {
        "img": mount(url, **settings),
        "signed": mount(url, prefix="/si/", signing="required", keys=["i"]),
    }
    async with running(
        folder,
        log_to=str(folder / "log"),
        mounts=mounts,
        signing={"keys": {"i": f"{KEY}:{SALT}"}},
        server=server or {},
        limits=limits or {},
    ) as started:
        temporary_file(started.originals, "photo.jpg", pictures.photo_as("jpeg"))
        temporary_file(started.originals, "page.pdf", b"%PDF-1.7 a page")
        yield started


@pytest.fixture
async def node(old: SimpleNamespace, tmp_path: Path) -> AsyncIterator[Running]:
    async with node_before(old.url, tmp_path) as started:
        yield started


@pytest.fixture
def logged(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    return lambda: [
        json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")
    ]


def signed(path: str) -> str:
    mac = hmac.digest(bytes.fromhex(KEY), bytes.fromhex(SALT) + path.encode(), hashlib.sha256)
    return f"/si/{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}{path}"


async def test_what_the_node_does_not_do_is_passed_on(node: Running, old: SimpleNamespace) -> None:
    sent = {
        "Accept": "image/webp",
        "Referer": "https://shop.example/",
        "Cookie": "a=b",
        "Authorization": "Bearer x",
    }
    answer = await node.get(f"{WATERMARK}?a=%41&b", **sent)
    assert (answer.status, answer.body, answer.cache) == (
        200,
        b"old bytes",
        "calotype; fwd=bypass; detail=upstream",
    )
    [request] = old.requests
    assert request.raw_path == "/_/wm:0.5/plain/photo.jpg?a=%41&b"
    assert request.headers["Host"] == old.host
    assert {name: request.headers.get(name) for name in sent} == {
        **sent,
        "Cookie": None,
        "Authorization": None,
    }
    assert (answer.headers["ETag"], answer.headers["Cache-Control"]) == ('"old"', "public, max-age=60")
    assert (answer.headers["Content-Type"], answer.headers["X-Cld-Error"]) == ("video/mp4", "none")
    assert (answer.headers["Content-Length"], answer.headers["Vary"]) == ("9", "Accept")
    assert (answer.headers["Server"], answer.headers["X-Content-Type-Options"]) == ("calotype", "nosniff")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert not {"Set-Cookie", "Link", "Alt-Svc", "Access-Control-Allow-Credentials"} & set(answer.headers)


async def test_nothing_is_stored(node: Running, old: SimpleNamespace) -> None:
    for _ in range(3):
        assert (await node.get(WATERMARK)).cache == "calotype; fwd=bypass; detail=upstream"
    assert len(old.requests) == 3


async def test_the_node_answers_what_it_does(node: Running, old: SimpleNamespace) -> None:
    assert (await node.get("/img/_/w:40/plain/photo.jpg")).status == 200
    for target in ("/img/_/w:x/plain/photo.jpg", "/img/_/w:40/plain/gone.jpg", "/healthz", "/img/health"):
        assert (await node.get(target)).cache != "calotype; fwd=bypass; detail=upstream", target
    assert old.requests == []


@pytest.mark.parametrize(
    "target",
    [
        "/img/_/no_such_option:1/plain/photo.jpg",
        "/img/_/sm:0/plain/photo.jpg",
        "/img/_/pr:not_here/plain/photo.jpg",
        "/img/_/f:mp4/plain/photo.jpg",
        "/img/_/enc/abcdef",
        "/img/_/w:40/plain/page.pdf",
        "/img/_/msr:9/plain/photo.jpg",
    ],
)
async def test_each_kind_of_unsupported_url_is_passed_on(
    node: Running, old: SimpleNamespace, target: str
) -> None:
    assert (await node.get(target)).body == b"old bytes"
    assert [request.raw_path for request in old.requests] == [target.removeprefix("/img")]


async def test_head_ranges_and_conditions_are_passed_on(node: Running, old: SimpleNamespace) -> None:
    head = await node.get(WATERMARK, method="HEAD")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", "9")
    part = await node.get(WATERMARK, Range="bytes=0-2")
    assert (part.status, part.body, part.headers["Content-Range"]) == (206, b"old", "bytes 0-2/9")
    same = await node.get(WATERMARK, If_None_Match='"old"')
    assert (same.status, same.body, same.headers["ETag"]) == (304, b"", '"old"')
    assert [request.method for request in old.requests] == ["HEAD", "GET", "GET"]


async def test_only_signed_urls_are_passed_on_where_signatures_are_required(
    node: Running, old: SimpleNamespace
) -> None:
    path = "/wm:0.5/plain/photo.jpg"
    for target in (f"/si/_{path}", f"/si/{'A' * 43}{path}", f"{signed(path)}x"):
        assert (await node.get(target)).status == 403, target
    assert old.requests == []
    answer = await node.get(signed(path))
    assert (answer.status, answer.body) == (200, b"old bytes")
    assert old.requests[0].raw_path == signed(path).removeprefix("/si")


async def test_log_and_metrics_have_the_traffic(
    node: Running, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    await node.get(WATERMARK)
    line = await eventually(lambda: [each for each in logged() if each.get("outcome") == "bypass"])
    fields = {name: line[0].get(name) for name in ("tier", "status", "bytes", "detail")}
    assert fields == {
        "tier": "upstream",
        "status": 200,
        "bytes": 9,
        "detail": "option wm is not supported: the node has no watermark",
    }
    labels = {"mount": "img", "outcome": "bypass", "tier": "upstream", "status": "200"}
    assert await node.metric("calotype_requests_total", **labels) == 1
    assert await node.metric("calotype_sent_bytes_total", mount="img", format="none") == 9
    assert await node.metric("calotype_upstream_requests") == 0


async def test_a_loop_is_refused(node: Running, old: SimpleNamespace) -> None:
    await node.get(WATERMARK, CDN_Loop="other; v=1")
    [_, token] = old.requests[0].headers["CDN-Loop"].split(", ")

    async def back_to_the_node(request: web.BaseRequest) -> web.StreamResponse:
        looped = await node.get(WATERMARK, CDN_Loop=request.headers["CDN-Loop"])
        return web.Response(status=looped.status, body=looped.body)

    old.answer = back_to_the_node
    answer = await node.get(WATERMARK)
    assert (answer.status, token in old.requests[1].headers["CDN-Loop"]) == (404, True)
    assert (len(old.requests), b"request loop" in answer.body) == (2, True)


async def test_an_upstream_that_is_down_is_a_problem(
    node: Running, old: SimpleNamespace, tmp_path: Path
) -> None:
    async def fail(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=500, text="secret stack trace")

    old.answer = fail
    answer = await node.get(WATERMARK)
    assert (answer.status, json.loads(answer.body)["type"]) == (502, "urn:calotype:error:source-unavailable")
    assert b"it answers 500" in answer.body
    for _ in range(6):
        answer = await node.get(WATERMARK)
    assert (answer.status, answer.headers.get("Retry-After")) == (502, "1")
    (tmp_path / "away").mkdir()
    async with node_before(f"http://127.0.0.1:{free_port()}", tmp_path / "away") as other:
        answer = await other.get(WATERMARK)
        assert (answer.status, b"it refuses connections" in answer.body) == (502, True)


async def test_an_upstream_that_does_not_answer_is_a_timeout(old: SimpleNamespace, tmp_path: Path) -> None:
    never = asyncio.Event()

    async def wait(_: web.BaseRequest) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    old.answer = wait
    async with node_before(old.url, tmp_path, server={"request_timeout": 0.2}) as node:
        answer = await node.get(WATERMARK)
        assert (answer.status, json.loads(answer.body)["type"]) == (504, "urn:calotype:error:source-timeout")
    never.set()


async def test_a_private_address_needs_the_permission(old: SimpleNamespace, tmp_path: Path) -> None:
    async with node_before(old.url, tmp_path, upstream_allow_private=False) as node:
        answer = await node.get(WATERMARK)
        assert (answer.status, b"not public" in answer.body) == (502, True)
    assert old.requests == []


async def test_the_body_is_streamed_and_limited(
    old: SimpleNamespace, tmp_path: Path, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    arrived = asyncio.Event()

    async def in_parts(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"a" * 60)
        await arrived.wait()
        await response.write(b"b" * 60)
        return response

    old.answer = in_parts
    async with node_before(old.url, tmp_path, limits={"upstream_max_bytes": 100}) as node:
        async with node.client.get(node.node.public_url + WATERMARK) as answer:
            assert await answer.content.readexactly(60) == b"a" * 60
            arrived.set()
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()
        await eventually(lambda: [each for each in logged() if each.get("error") == "broken-off"])

        async def large(_: web.BaseRequest) -> web.StreamResponse:
            return web.Response(body=b"a" * 101)

        old.answer = large
        async with node.client.get(node.node.public_url + WATERMARK) as answer:
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()
        assert (await node.get(WATERMARK, method="HEAD")).headers["Content-Length"] == "101"


async def test_the_requests_under_way_are_limited(
    node: Running, old: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_upstream, "MAX_REQUESTS", 1)
    goes_on = asyncio.Event()

    async def wait(_: web.BaseRequest) -> web.StreamResponse:
        await goes_on.wait()
        return web.Response(body=b"late")

    old.answer = wait
    first = asyncio.create_task(node.get(WATERMARK))
    await eventually(lambda: old.requests)
    assert await node.metric("calotype_upstream_requests") == 1
    answer = await node.get(WATERMARK)
    assert (answer.status, json.loads(answer.body)["type"]) == (429, "urn:calotype:error:overloaded")
    goes_on.set()
    assert (await first).body == b"late"


async def test_a_client_that_leaves_ends_the_request(node: Running, old: SimpleNamespace) -> None:
    never = asyncio.Event()

    async def wait(_: web.BaseRequest) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    old.answer = wait
    client = asyncio.create_task(node.get(WATERMARK))
    await eventually(lambda: old.requests)
    client.cancel()

    async def has_ended() -> bool:
        return await node.metric("calotype_upstream_requests") == 0

    assert await eventually(has_ended)
    never.set()


async def test_a_pdf_is_not_in_a_sandbox(node: Running, old: SimpleNamespace) -> None:
    async def pdf(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"%PDF", headers={"Content-Type": "application/PDF; a=b"})

    assert "Content-Security-Policy" in (await node.get(WATERMARK)).headers
    old.answer = pdf
    answer = await node.get("/img/_/w:40/plain/page.pdf")
    assert (answer.body, "Content-Security-Policy" in answer.headers) == (b"%PDF", False)


async def test_dot_segments_do_not_lead_out_of_the_upstream(old: SimpleNamespace, tmp_path: Path) -> None:
    async with node_before(f"{old.url}/public", tmp_path) as node:
        assert (await node.get(WATERMARK)).status == 200
        answer = await node.get("/img/_/wm:0.5/plain/x/%2e%2e/%2e%2e/%2e%2e/%2e%2e/admin")
        assert (answer.status, b"not passed to the upstream" in answer.body) == (404, True)
    assert [request.raw_path for request in old.requests] == ["/public/_/wm:0.5/plain/photo.jpg"]


async def test_the_share_divides_originals(
    old: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialects.register(monkeypatch)
    shop = {"dialect": dialects.NAME, "prefix": "/", "unsupported": "refuse", "share": 0.5}
    async with node_before(old.url, tmp_path, **shop) as node:
        sides = {}
        for name in "abcdefgh":
            temporary_file(node.originals, f"{name}.jpg", pictures.photo_as("jpeg"))
            targets = [f"/w_40/{name}", f"/w_50,f_webp/{name}.jpg", f"/original/{name}", f"/info/{name}.png"]
            answers = [await node.get(target) for target in targets]
            assert {answer.status for answer in answers} == {200}
            [sides[name]] = {"bypass; detail=upstream" in answer.cache for answer in answers}
        assert set(sides.values()) == {True, False}
        there = next(name for name, is_there in sides.items() if is_there)
        explained = json.loads((await node.get(f"/v1/explain?url=/w_40/{there}", admin=True)).body)
        assert (explained["upstream"], explained["refused"]) == (
            "the original is not in the share of the node",
            [],
        )
        assert explained["original"] == f"photos:{there}.jpg"
        settings = node.node.settings
        whole = settings.mounts["img"].model_copy(update={"share": 1.0})
        node.node.reload(settings.model_copy(update={"mounts": {**settings.mounts, "img": whole}}))
        assert "bypass" not in (await node.get(f"/w_40/{there}")).cache


async def test_explain_names_the_reason(node: Running) -> None:
    async def explained(target: str) -> tuple[str, list[str]]:
        answer = json.loads((await node.get(f"/v1/explain?url={target}", admin=True)).body)
        return answer["upstream"], [refusal.partition(":")[0] for refusal in answer["refused"]]

    assert await explained(WATERMARK) == ("option wm is not supported: the node has no watermark", [])
    assert await explained("/img/_/w:40/plain/photo.jpg") == ("", [])
    assert await explained("/img/_/w:x/plain/photo.jpg") == ("", ["bad-transform"])
    assert await explained("/si/_/wm:0.5/plain/photo.jpg") == ("", ["signature-required", "bad-transform"])
    assert await explained("/img/_/plain/page.pdf") == (NO_PICTURE, [])
