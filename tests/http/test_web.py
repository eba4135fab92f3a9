"""A node with web servers as source: allowed URLs, stale pictures while a server is down, request loops."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web

from proxy.node import factory
from proxy.service.request import originals
from proxy.service.request.quarantine import UNDECODABLE_S
from tests.http.conftest import Running, running
from tests.support import pictures
from tests.support.fakes import temporary_file
from tests.support.waiting import eventually


@asynccontextmanager
async def origin() -> AsyncIterator[SimpleNamespace]:
    made = SimpleNamespace(
        requests=[], pictures={"/a.jpg": pictures.photo_as("jpeg")}, down=False, answer=None
    )

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        made.requests.append(request)
        if made.answer is not None:
            answer: web.Response = await made.answer(request)
            return answer
        if made.down:
            return web.Response(status=503)
        if "to" in request.query:
            return web.Response(status=302, headers={"Location": request.query["to"]})
        if (body := made.pictures.get(request.path)) is None:
            return web.Response(status=404)
        tag = f'"{hash(body)}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304)
        return web.Response(body=body, headers={"ETag": tag})

    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.host = f"127.0.0.1:{runner.addresses[0][1]}"
    made.url = f"http://{made.host}"
    yield made
    await runner.cleanup()


def settings(made: SimpleNamespace, *more: str, **source: Any) -> dict[str, Any]:
    return {
        "sources": {
            "web": {"kind": "http", "hosts": [made.host, *more], "allow_private": True, "ttl": 0, **source}
        },
        "mounts": {"all": {"source": "web", "dimensions": "any"}},
    }


@pytest.fixture
async def made() -> AsyncIterator[SimpleNamespace]:
    async with origin() as started:
        yield started


@pytest.fixture
async def node(made: SimpleNamespace, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path, **settings(made)) as started:
        yield started


async def test_every_form_of_a_url_shares_an_entry(node: Running, made: SimpleNamespace) -> None:
    url = f"{made.url}/a.jpg"
    first = await node.get(f"/w_100,f_png/{quote(url, safe='')}")
    assert (first.status, pictures.size(first.body)) == (200, (100, 75))
    for target in (
        f"/thumbnail?url={quote(url, safe='')}&w=100&format=png",
        f"/thumbnail?url={url}&w=100&format=png",
        f"/thumbnail?url={url.replace('http', 'HTTP')}&w=100&format=png",
        f"/w_100,f_png/{url}",
    ):
        assert (await node.get(target)).headers["ETag"] == first.headers["ETag"], target
    assert await node.metric("calotype_renders_total") == 1
    assert (await node.get(f"/original/{quote(url, safe='')}")).body == made.pictures["/a.jpg"]


async def test_explain_masks_possible_secrets(node: Running, made: SimpleNamespace) -> None:
    url = quote(quote(f"{made.url}/a.jpg?token=s3cret", safe=""), safe="")
    answer = await node.get(f"/v1/explain?url=/w_10/{url}", admin=True)
    assert answer.status == 200
    assert b"s3cret" not in answer.body


async def test_a_mount_has_originals_of_a_directory_beside_those_of_the_web(
    made: SimpleNamespace, tmp_path: Path
) -> None:
    sources = {"photos": {"path": str(tmp_path / "originals")}, **settings(made)["sources"]}
    mounts = {"img": {"source": "web", "remote": "photos", "dialect": "imgproxy", "dimensions": "any"}}
    async with running(tmp_path, sources=sources, mounts=mounts) as node:
        temporary_file(node.originals, "b.jpg", pictures.photo_as("jpeg", 300, 300))
        for original, side_px in ((f"{made.url}/a.jpg", 75), ("local:///b.jpg", 100), ("local:/b.jpg", 100)):
            answer = await node.get(f"/_/w:100/plain/{original}")
            assert pictures.size(answer.body) == (100, side_px), original
        refused = await node.get("/_/w:100/plain/s3://bucket/b.jpg")
        assert (refused.status, json.loads(refused.body)["type"]) == (
            404,
            "urn:calotype:error:source-not-allowed",
        )


@pytest.mark.parametrize(
    "mounts",
    [
        {"plain": {"source": "photos"}, "all": {"source": "photos", "remote": "web", "prefix": "/all/"}},
        {"web": {"source": "web"}, "few": {"source": "photos", "remote": "web", "prefix": "/few/"}},
        {"host": {"source": "web", "host": "img.example"}},
        {"few": {"source": "web", "presets_only": True}},
        {},
    ],
)
async def test_explain_reports_a_native_url_that_the_node_answers(
    made: SimpleNamespace, tmp_path: Path, mounts: dict[str, Any]
) -> None:
    vendor = {"source": "photos", "remote": "web", "prefix": "/img/", "dialect": "imgproxy"}
    sources = {"photos": {"path": str(tmp_path / "originals")}, **settings(made)["sources"]}
    every = {name: {"dimensions": "any", **each} for name, each in {**mounts, "img": vendor}.items()}
    async with running(tmp_path, sources=sources, mounts=every) as node:
        url = f"/img/_/rs:fill:50:40/f:png/plain/{quote(made.url, safe='')}%2Fa.jpg"
        first = await node.get(url)
        answer = await node.get(f"/v1/explain?url={quote(url, safe='')}", admin=True)
        native = json.loads(answer.body)["native"]
        assert (native is not None) is ("all" in mounts or "web" in mounts)
        if native is not None:
            second = await node.get(native)
            assert (second.status, second.headers["ETag"]) == (200, first.headers["ETag"])


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("a.jpg", 400), ("https://evil.example/a.jpg", 403), ("http://{host}/a.jpg#x", 400),
        ("http://{host}@evil.example/", 400), ("http://{host}/../a", 400), ("http://{host}/none.jpg", 404),
        ("http://{host}/a.jpg?to=http://127.0.0.1:1/", 403), ("http://{host}/a.jpg?to=http://169.254.169.254/", 403),
        ("file:///etc/passwd", 403), ("s3://{host}/a.jpg", 403), ("http://{host}/a.jpg?X-Amz-Signature=s3cret", 400),
        ("http://{host}/a.jpg?sv=1&sig=s3cret", 400), ("http://{host}/a.jpg?Policy=a&Signature=s3cret&Key-Pair-Id=b", 400),
        ("http://{host}/a.jpg?hdnts=s3cret", 400),
    ],
)  # fmt: skip
async def test_urls_outside_the_source_are_refused(
    node: Running, made: SimpleNamespace, url: str, status: int
) -> None:
    encoded = quote(url.format(host=made.host), safe="")
    for target in (f"/w_10/{encoded}", f"/thumbnail?url={encoded}&w=10", f"/original/{encoded}"):
        answer = await node.get(target)
        assert answer.status == status, target
        assert b"s3cret" not in answer.body


async def test_a_new_picture_is_served_and_a_stale_one_while_the_server_is_down(
    node: Running, made: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(originals, "STALE_IF_ERROR_S", 0.0)
    target = f"/w_50,f_png/{quote(made.url + '/a.jpg', safe='')}"
    first = await node.get(target)
    assert (await node.get(target)).cache == "calotype; hit; detail=memory"
    assert "If-None-Match" in made.requests[-1].headers
    made.pictures["/a.jpg"] = pictures.quarters_as("jpeg")
    second = await node.get(target)
    assert second.headers["ETag"] != first.headers["ETag"]
    made.down = True
    assert (await node.get(target)).body == second.body
    other = await node.get(target.replace("w_50", "w_51"))
    assert other.status == 200, "another variant, of the original that was kept"
    never = await node.get(f"/w_50/{quote(made.url + '/b.jpg', safe='')}")
    assert never.status == 502
    made.down = False
    del made.pictures["/a.jpg"]
    assert (await node.get(target)).status == 404


async def test_a_stale_picture_is_served_after_a_restart(made: SimpleNamespace, tmp_path: Path) -> None:
    target = f"/w_50,f_png/{quote(made.url + '/a.jpg', safe='')}"
    async with running(tmp_path, **settings(made)) as node:
        first = await node.get(target)
    made.down = True
    async with running(tmp_path, **settings(made)) as node:
        again = await node.get(target)
        assert (again.status, again.cache) == (200, "calotype; hit; detail=disk")
        assert again.body == first.body
        assert (await node.get(target.replace("w_50", "w_51"))).status == 200


async def test_a_private_address_is_not_requested(made: SimpleNamespace, tmp_path: Path) -> None:
    async with running(tmp_path, **settings(made, allow_private=False)) as node:
        answer = await node.get(f"/w_50/{quote(made.url + '/a.jpg', safe='')}")
        assert answer.status == 403
        assert made.requests == []


async def test_a_request_loop_is_detected_at_once(made: SimpleNamespace, tmp_path: Path) -> None:
    """The node asks a server that sends it to a proxy, which asks the node again for another size, and so on."""
    node: Running

    async def pass_on(request: web.BaseRequest) -> web.StreamResponse:
        made.requests.append(request)
        width = 100 + len(made.requests)
        back = f"{node.node.public_url}/w_{width}/{quote(f'{made.loop}/{width}', safe='')}"
        async with node.client.get(back, headers={"CDN-Loop": request.headers["CDN-Loop"]}) as answer:
            return web.Response(status=answer.status, body=await answer.read())

    runner = web.ServerRunner(web.Server(pass_on), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host = f"127.0.0.1:{runner.addresses[0][1]}"
    made.loop = f"http://{host}"
    try:
        async with running(tmp_path, **settings(made, host)) as node:
            answer = await node.get(f"/w_100/{quote(made.loop + '/1', safe='')}")
            assert answer.status in (403, 404)
            assert len(made.requests) == 1
            assert (
                await node.get(f"/w_9/{quote(made.url + '/a.jpg', safe='')}", CDN_Loop="other")
            ).status == 200
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("ttl", ["0s", "1h"])
async def test_damaged_bytes_are_not_cached_under_a_tag_that_is_still_valid(
    made: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ttl: str
) -> None:
    """The first answer is a half, or a page, under the picture's tag; to all who know the tag it is confirmed."""
    ahead_s = 0.0
    monkeypatch.setattr(factory, "clock", lambda: time.monotonic() + ahead_s)
    whole = made.pictures["/a.jpg"]
    half, page = whole[: len(whole) // 2], b"<html>back soon</html>"
    left = {"/half.jpg": [half], "/page.jpg": [page], "/twice.jpg": [half, half], "/then.jpg": [page, half]}

    async def answer(request: web.BaseRequest) -> web.Response:
        if "If-None-Match" in request.headers:
            return web.Response(status=304)
        bodies = left[request.path]
        return web.Response(body=bodies.pop(0) if bodies else whole, headers={"ETag": '"v1"'})

    made.answer = answer
    async with running(tmp_path, **settings(made, ttl=ttl)) as node:
        for name, bodies in [(name, list(bodies)) for name, bodies in left.items()]:
            target = quote(made.url + name, safe="")
            for body in bodies:
                for tokens in ("w_50", "f_auto", "w_60"):
                    answered = await node.get(f"/{tokens}/{target}")
                    assert answered.status == (415 if body is page else 422), (name, answered.body)
                ahead_s += UNDECODABLE_S
            for tokens in ("w_50", "f_auto", "w_60"):
                assert (await node.get(f"/{tokens}/{target}")).status == 200, name
            assert (await node.get(f"/original/{target}")).body == whole
        left["/other.jpg"] = [page]
        target = f"/original/{quote(made.url, safe='')}%2Fother.jpg"
        assert (await node.get(target)).status == 415
        ahead_s += UNDECODABLE_S
        assert (await node.get(target)).body == whole


async def test_relative_keys_are_resolved_against_the_base_url_which_is_not_shown(
    made: SimpleNamespace, tmp_path: Path
) -> None:
    source = {"kind": "http", "base_url": f"{made.url}/images", "allow_private": True, "ttl": 0}
    made.pictures = {
        "/images/red.jpg": made.pictures["/a.jpg"],
        "/images/gr\u00fcn/red 1.jpg": made.pictures["/a.jpg"],
        "/images/broken.jpg": made.pictures["/a.jpg"][:1000],
        "/secret.jpg": made.pictures["/a.jpg"],
    }
    mounts = {"all": {"source": "web", "dimensions": "any"}}
    async with running(tmp_path, sources={"web": source}, mounts=mounts) as node:
        answers = []
        for key, status in {
            "red.jpg": 200, "gr%C3%BCn/red%201.jpg": 200, "none.jpg": 404, "broken.jpg": 422, "%2e%2e/secret.jpg": 400,
            "..%2Fsecret.jpg": 400, "%252e%252e/secret.jpg": 404, quote(f"{made.url}/images/red.jpg", safe=""): 403,
        }.items():  # fmt: skip
            for form in (
                f"/w_64,f_png/{key}",
                f"/thumbnail?url={key}&w=64&format=png",
                f"/info/{key}",
                f"/original/{key}",
            ):
                answer = await node.get(form)
                allowed = {status, 200} if key == "broken.jpg" else {status}
                assert answer.status in allowed, (form, answer.body)
                answers.append((form, answer))
        first = await node.get("/w_64,f_png/red.jpg")
        purged = await node.client.post(f"{node.node.admin_url}/v1/purge", json={"prefix": "re"})
        assert (await purged.json())["removed"] >= 1
        assert (await node.get("/w_64,f_png/red.jpg")).headers["ETag"] != first.headers["ETag"]
        explained = await node.get("/v1/explain?url=/w_64/red.jpg", admin=True)
        assert b'"web:red.jpg"' in explained.body
        made.down = True
        for form in ("/w_65/never.jpg", "/original/never.jpg", "/info/never.jpg"):
            answers.append((form, await node.get(form)))
            assert answers[-1][1].status == 502
        for form, answer in answers:
            response = f"{answer.headers}{answer.body.decode('latin-1')}"
            assert made.host not in response, form
            assert "/images" not in response, form


async def test_a_redirect_of_the_origin_is_followed_and_not_forwarded(
    made: SimpleNamespace, tmp_path: Path
) -> None:
    made.pictures = {"/b.jpg": made.pictures["/a.jpg"]}
    base = {"kind": "http", "base_url": f"{made.url}/x", "allow_private": True}

    async def lead(request: web.BaseRequest) -> web.Response:
        if request.path == "/b.jpg":
            return web.Response(body=made.pictures["/b.jpg"])
        return web.Response(status=302, headers={"Location": "/b.jpg#top"})

    made.answer = lead
    async with running(
        tmp_path, sources={"web": base}, mounts={"all": {"source": "web", "dimensions": "any"}}
    ) as node:
        answer = await node.get("/w_64/a.jpg")
        assert answer.status == 200
        assert "Location" not in answer.headers


async def test_the_max_age_of_a_404_is_that_of_its_negative_entry(
    made: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead_s = 0.0
    monkeypatch.setattr(factory, "clock", lambda: time.monotonic() + ahead_s)
    async with running(tmp_path, **settings(made)) as node:
        target = quote(f"{made.url}/none.jpg", safe="")
        for form in (
            f"/w_10/{target}",
            f"/thumbnail?url={target}&w=10",
            f"/info/{target}",
            f"/original/{target}",
        ):
            answer = await node.get(form)
            assert (answer.status, answer.headers["Cache-Control"][:15]) == (404, "public, max-age")
            assert 0 < int(answer.headers["Cache-Control"][16:]) <= 60 - ahead_s
            ahead_s += 15
        assert len(made.requests) == 1
        assert (await node.get(f"/w_10/{target}")).headers["Cache-Control"] == "public, max-age=60"


async def test_an_unknown_version_revalidates_the_original(made: SimpleNamespace, tmp_path: Path) -> None:
    async with running(tmp_path, **settings(made, ttl="1h")) as node:
        key = quote(made.url + "/a.jpg", safe="")
        first = await node.get(f"/w_50,f_png/{key}")
        made.pictures["/a.jpg"] = pictures.quarters_as("jpeg")
        assert (await node.get(f"/w_50,f_png/{key}")).body == first.body
        requests_before = len(made.requests)
        second = await node.get(f"/w_50,f_png,v_2/{key}")
        assert second.body != first.body
        assert (await node.get(f"/thumbnail?url={key}&w=50&format=png&v=2")).body == second.body
        assert (await node.get(f"/w_50,f_png/{key}")).body == second.body
        assert len(made.requests) > requests_before
        made.down = True
        tag = second.headers["ETag"]
        for none_match, status in (("", 200), (tag, 304)):
            answer = await node.get(f"/w_50,f_png,v_3/{key}", If_None_Match=none_match)
            assert (answer.status, answer.headers["ETag"]) == (status, tag)
            assert answer.headers["Cache-Control"] == "public, max-age=60"
            assert "immutable" in (await node.get(f"/w_50,f_png,v_2/{key}")).headers["Cache-Control"]


async def test_a_new_version_shows_a_replaced_file_at_once(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        for version in range(3):
            body = pictures.photo_as("jpeg", seed=version)
            (node.originals / "a.jpg").write_bytes(body)
            shown = await node.get(f"/w_20,f_png,v_{version}/a.jpg")
            assert shown.status == 200
            assert (await node.get("/w_20,f_png/a.jpg")).body == shown.body
            assert "immutable" in shown.headers["Cache-Control"]
        bodies = {(await node.get(f"/w_20,f_png,v_{version}/a.jpg")).body for version in range(3)}
        assert bodies == {shown.body}


async def test_headers_of_the_source_are_sent_and_never_shown(made: SimpleNamespace, tmp_path: Path) -> None:
    mine = {"headers": {"Authorization": "Bearer classified"}, "base_url": f"{made.url}/"}
    async with running(tmp_path, log_to=str(tmp_path / "log"), **settings(made, **mine)) as node:
        assert (await node.get("/w_40/a.jpg")).status == 200
        missing = await node.get("/w_40/b.jpg")
        explained = await node.get("/v1/explain?url=/w_40/a.jpg", admin=True)
        metrics = await node.get("/metrics", admin=True)
        log = await eventually(lambda: text if "b.jpg" in (text := (tmp_path / "log").read_text()) else "")
    assert {request.headers.get("Authorization") for request in made.requests} == {"Bearer classified"}
    shown = b"".join((missing.body, explained.body, metrics.body, log.encode()))
    assert b"classified" not in shown
