"""The client takes responses of any status, bounded in bytes and time, and redirects to public addresses only."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from proxy.core.comparing.response import Response
from proxy.remote import comparison_client
from proxy.remote.comparison_client import ComparisonClient, Server
from tests.support.waiting import LONGEST_S

Answer = Callable[[web.Request], web.StreamResponse]


@asynccontextmanager
async def serving(answer: Answer, socket_path: Path | None = None) -> AsyncIterator[str]:
    """The URL of a server with that answer."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return answer(request)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site: web.BaseSite = (
        web.TCPSite(runner, "127.0.0.1", 0) if socket_path is None else web.UnixSite(runner, str(socket_path))
    )
    await site.start()
    yield "http://localhost" if socket_path else f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def client(server: Server, **changes: object) -> ComparisonClient:
    values = {
        "headers": {"Accept": "image/webp"}, "timeout_s": LONGEST_S, "max_bytes": 1000,
        "clock": asyncio.get_running_loop().time, **changes,
    }  # fmt: skip
    return ComparisonClient(server, **values)  # type: ignore[arg-type]


async def response_to(answer: Answer, target: str = "/a", **server: object) -> Response:
    async with serving(answer) as url, client(Server(url, **server)) as one:  # type: ignore[arg-type]
        return await one.ask(target)


async def test_any_status_is_a_response() -> None:
    def answer(request: web.Request) -> web.Response:
        return web.Response(status=404, text="no", content_type="text/plain")

    assert await response_to(answer) == Response(404, "text/plain", b"no")


async def test_target_host_and_headers_are_sent_unchanged() -> None:
    seen = []

    def answer(request: web.Request) -> web.Response:
        seen.append((request.raw_path, request.headers["Host"], request.headers["Accept"]))
        return web.Response()

    target = "/a%2Fb/%C3%A9//../c?x=%20&s=+1"
    async with serving(answer) as url, client(Server(f"{url}/base", "img.example")) as one:
        await one.ask(target)
    assert seen == [(f"/base{target}", "img.example", "image/webp")]


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with (
        serving(lambda request: web.Response(body=b"x"), path) as url,
        client(Server(url, socket_path=str(path))) as one,
    ):
        assert await one.check() == ""
        assert (await one.ask("/a")).body == b"x"


async def test_a_busy_server_is_requested_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison_client, "RETRY_PAUSES_S", (0.0, 0.0))
    left = [503, 429, 200]

    def answer(request: web.Request) -> web.Response:
        return web.Response(status=left.pop(0), headers={"Retry-After": "0"})

    assert (await response_to(answer)).status == 200
    left = [503, 503, 503, 200]
    assert (await response_to(answer)).status == 503


async def test_a_server_that_ends_the_connection_is_requested_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison_client, "RETRY_PAUSES_S", (0.0,))
    requests = []

    def answer(request: web.Request) -> web.Response:
        requests.append(request)
        assert request.transport is not None
        if len(requests) == 1:
            request.transport.abort()
        return web.Response(body=b"x")

    assert (await response_to(answer)).body == b"x"
    assert len(requests) == 2


async def test_a_body_beyond_the_limit_is_a_fault() -> None:
    received = await response_to(lambda request: web.Response(body=bytes(1001)))
    assert received.fault == "it is larger than 1000 bytes"


async def test_a_server_that_does_not_answer_is_a_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with client(Server(url), timeout_s=0.05) as one:
            assert (await one.ask("/a")).fault == "it did not answer in time"
            assert await one.check() == "it did not answer in time"


async def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    monkeypatch.setattr(comparison_client, "RETRY_PAUSES_S", ())
    async with client(Server(f"http://127.0.0.1:{unused_tcp_port}")) as one:
        assert await one.check() == "it refuses connections"
        assert (await one.ask("/a")).fault == "it refuses connections"


@pytest.mark.parametrize("location", ["/b", "b?c=d", "{url}/b"])
async def test_redirects_are_followed(location: str) -> None:
    def answer(request: web.Request) -> web.Response:
        if request.path == "/b":
            return web.Response(body=b"x")
        return web.Response(status=302, headers={"Location": location.format(url=f"http://{request.host}")})

    assert (await response_to(answer)).body == b"x"


@pytest.mark.parametrize(
    ("location", "fault"),
    [
        ("", "it redirects to an address that is not allowed"),
        ("file:///etc/passwd", "it redirects to an address that is not allowed"),
        ("http://user:pass@127.0.0.1/", "it redirects to an address that is not allowed"),
        ("http://[", "it redirects to an invalid URL"),
        ("http://127.0.0.1:{other}/", "its address is not public"),
        ("http://169.254.169.254/latest", "its address is not public"),
        ("/a", "it redirects more than 3 times"),
    ],
)
async def test_redirects_that_are_not_followed(
    location: str, fault: str, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison_client, "RETRY_PAUSES_S", ())

    def answer(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": location.format(other=unused_tcp_port)})

    assert (await response_to(answer)).fault == fault


async def test_a_trusted_server_may_redirect_to_a_private_address() -> None:
    seen = []

    def store(request: web.Request) -> web.Response:
        seen.append(request.headers["Host"])
        return web.Response(body=b"stored")

    async with serving(store) as at:

        def answer(request: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": f"{at}/x"})

        assert (await response_to(answer, is_trusted=True, host="img.example")).body == b"stored"
        assert seen == [at.removeprefix("http://")]
