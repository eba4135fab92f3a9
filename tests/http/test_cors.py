"""Requests from pages of other origins: OPTIONS, preflights, and what scripts may read."""

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.http.conftest import Running, raw, shares_node
from tests.http.test_http import ask, status
from tests.support.browser import browsing, patient

PREFLIGHT = {"Origin": "https://shop.example", "Access_Control_Request_Method": "GET"}


@pytest.mark.parametrize(
    "target", ["/w_100/photo.jpg", "/", "/healthz", "/original/photo.jpg", "/w_100/missing.jpg", "/nothing"]
)
@shares_node
async def test_options_lists_the_allowed_methods(shared_node: Running, target: str) -> None:
    answer = await shared_node.get(target, method="OPTIONS")
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Methods" not in answer.headers, "this is no preflight"


@shares_node
async def test_options_of_the_asterisk_target(shared_node: Running) -> None:
    assert status(await raw(shared_node, ask("*", method="OPTIONS"))) == 204


@pytest.mark.parametrize(
    "names", ["x-own", "range, if-none-match,x-own", "Authorization", "a!#$%&'*+.^_`|~9"]
)
@shares_node
async def test_a_preflight_allows_the_requested_headers(shared_node: Running, names: str) -> None:
    answer = await shared_node.get(
        "/w_100/photo.jpg", method="OPTIONS", **PREFLIGHT, Access_Control_Request_Headers=names
    )
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, HEAD"
    assert answer.headers["Access-Control-Allow-Headers"] == names
    assert answer.headers["Access-Control-Max-Age"] == "86400"
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("names", ["<b>", "x: y", '"x"', "x;y", "x=1", "é"])
@shares_node
async def test_an_invalid_field_name_is_not_repeated(shared_node: Running, names: str) -> None:
    head = [f"{name.replace('_', '-')}: {value}" for name, value in PREFLIGHT.items()]
    response = await raw(
        shared_node, ask("/x", *head, f"Access-Control-Request-Headers: {names}", method="OPTIONS")
    )
    assert status(response) == 204
    assert b"Access-Control-Allow-Headers" not in response


@shares_node
async def test_a_preflight_without_headers_allows_the_methods(shared_node: Running) -> None:
    answer = await shared_node.get("/w_100/photo.jpg", method="OPTIONS", **PREFLIGHT)
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, HEAD"
    assert "Access-Control-Allow-Headers" not in answer.headers


ASK = """async ([url, headers, method]) => {
    const answer = await fetch(url, {headers, method, cache: "no-store"});
    const body = new Uint8Array(await answer.arrayBuffer());
    return [answer.status, Object.fromEntries(answer.headers), Array.from(body.slice(0, 9)), body.length];
}"""


async def test_a_script_of_another_origin_may_read_body_and_headers(node: Running, chromium: str) -> None:
    whole = await node.get("/w_100,f_jpg/photo.jpg")
    here = node.node.public_url

    async def blank(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", blank)
    async with TestServer(app) as server, browsing(chromium) as browser:
        page = patient(await browser.new_page())
        await page.goto(str(server.make_url("/")))

        async def fetch(target: str, method: str = "GET", **headers: str) -> Any:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            return await page.evaluate(ASK, [here + target, sent, method])

        code, headers, start, size = await fetch("/w_100,f_jpg/photo.jpg", X_Own="1", X_Requested_With="x")
        assert (code, bytes(start), size) == (200, whole.body[:9], len(whole.body))
        assert headers["etag"] == whole.headers["ETag"]
        assert headers["cache-status"] == "calotype; hit; detail=memory"
        assert "server-timing" in headers
        code, headers, start, _ = await fetch("/w_100,f_jpg/photo.jpg", Range="bytes=-9")
        assert (code, bytes(start)) == (206, whole.body[-9:])
        assert headers["content-range"].endswith(f"/{len(whole.body)}")
        code, headers, _, size = await fetch("/w_100,f_jpg/photo.jpg", If_None_Match=whole.headers["ETag"])
        assert (code, headers["etag"], size) == (304, whole.headers["ETag"], 0)
        code, *_ = await fetch("/w_100/missing.jpg", X_Own="1")
        assert code == 404
        code, headers, *_ = await fetch("/original/photo.jpg", "HEAD", X_Own="1")
        assert (code, "etag" in headers) == (200, True)
        with pytest.raises(Exception, match="Failed to fetch"):
            await fetch("/w_100,f_jpg/photo.jpg", "DELETE")
