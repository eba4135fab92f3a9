"""The web source: a real server with faults, and one that must never be connected to."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from proxy.core.cache.generations import Generations
from proxy.core.errors import (
    CalotypeError,
    OriginalNotFound,
    OriginalTooLarge,
    SourceNotAllowed,
    SourceTimeout,
    SourceUnavailable,
)
from proxy.core.image.original import Identity, OriginalRef
from proxy.core.url.original_urls import WebLocation
from proxy.ports.originals import Version
from proxy.remote import guard, guarded_http
from proxy.remote import web as remote_web
from proxy.remote.web import Validator, WebClient
from proxy.sources.original_store import DiskOriginalStore
from proxy.sources.web import WebSource
from tests.core.net.test_addresses import INSIDE_V4, INSIDE_V6
from tests.support.fakes import FakeMetrics
from tests.support.servers import free_port
from tests.support.tcp_faults import FaultyProxy
from tests.support.waiting import eventually, settle

MAX_BYTES = 100_000
PICTURE = bytes(range(256)) * 200


@pytest.fixture
async def setup(tmp_path: Path) -> AsyncIterator[SimpleNamespace]:
    """A server whose `answer` a test sets, one that counts its connections, and a source of the first."""
    made = SimpleNamespace(requests=[], other_connections=0)

    async def plain(request: web.Request) -> web.StreamResponse:
        if request.headers.get("If-None-Match") == made.tag:
            return web.Response(status=304)
        return web.Response(body=made.body, headers={"ETag": made.tag})

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        made.requests.append(request)
        answer: web.StreamResponse = await made.answer(request)
        return answer

    async def count_connection(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.other_connections += 1
        writer.close()

    made.answer, made.body, made.tag = plain, PICTURE, '"1"'
    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    made.host = f"127.0.0.1:{made.port}"
    made.url = f"http://{made.host}/a.jpg"
    made.other_port = free_port()
    others = [
        await asyncio.start_server(count_connection, every, made.other_port) for every in ("0.0.0.0", "::")
    ]
    made.original_store = DiskOriginalStore(
        tmp_path / "originals", max_bytes=2**24, metrics=FakeMetrics(), generations=Generations()
    )
    stack: list[WebClient] = []

    async def source(*hosts: str, allow_private: bool = True, **headers: str) -> WebSource:
        opened = WebClient(
            WebLocation(frozenset(hosts or {made.host})), headers=headers, allow_private=allow_private, loop_token="calotype-test",
            agent="calotype/test", clock=time.monotonic, chance=lambda: 0.0,
        )  # fmt: skip
        stack.append(await opened.__aenter__())
        return WebSource("web", opened, made.original_store, max_bytes=MAX_BYTES, ttl_s=60)

    made.make = source
    made.source = await source()
    yield made
    for opened in stack:
        await opened.__aexit__()
    for other in others:
        other.close()
    await runner.cleanup()
    assert not list((made.original_store.directory / "incoming").glob("*")), "no partial file is left"
    made.original_store.close()


async def content(setup: SimpleNamespace, url: str = "", source: WebSource | None = None) -> bytes:
    _, original, _ = await (source or setup.source).fetch(url or setup.url)
    try:
        return os.pread(original.fileno(), original.size_bytes, 0)
    finally:
        original.close()


def identity(version: Version) -> Identity:
    return Identity(OriginalRef("web", version.key), version.text)


async def test_an_original_is_fetched_once_and_then_revalidated(setup: SimpleNamespace) -> None:
    first = await setup.source.identify(setup.url, None)
    assert first.text.startswith('tag:"1"\n\n')
    stored = await setup.original_store.lookup(identity(first))
    assert os.pread(stored.fileno(), 10**6, 0)[: stored.size_bytes] == PICTURE
    stored.close()
    assert await setup.source.identify(setup.url, first.text) == first
    assert [request.headers.get("If-None-Match") for request in setup.requests] == [None, '"1"']
    setup.tag, setup.body = '"2"', b"new"
    second = await setup.source.identify(setup.url, first.text)
    assert second.text.startswith('tag:"2"')
    stored = await setup.original_store.lookup(identity(second))
    assert stored.size_bytes == 3
    stored.close()
    assert len(setup.requests) == 3


async def test_the_request_headers_that_a_server_receives(
    setup: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{setup.other_port}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{setup.other_port}")
    monkeypatch.setenv("NETRC", "/nonexistent")

    async def with_cookie(_: web.BaseRequest) -> web.Response:
        return web.Response(body=b"x", headers={"Set-Cookie": "id=1; Path=/"})

    setup.answer = with_cookie
    source = await setup.make()
    for _ in range(2):
        await content(setup, f"http://{setup.host}/a%20b%2Fc/%C3%A9?q=1&r=%2F", source)
    last = setup.requests[-1]
    assert last.raw_path == "/a%20b%2Fc/%C3%A9?q=1&r=%2F"
    assert {name: last.headers[name] for name in last.headers if name != "Host"} == {
        "User-Agent": "calotype/test", "Accept": "image/*, */*;q=0.1", "Accept-Encoding": "identity",
        "CDN-Loop": "calotype-test",
    }  # fmt: skip
    assert setup.other_connections == 0


@pytest.mark.parametrize(
    ("headers", "version", "condition"),
    [
        ({"ETag": 'W/"a"'}, 'tag:W/"a"', ("If-None-Match", 'W/"a"')),
        (
            {"Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"},
            "date:Sat, 21 Nov 2026 10:00:00 GMT",
            ("If-Modified-Since", "Sat, 21 Nov 2026 10:00:00 GMT"),
        ),
        ({}, "digest:", None),
    ],
)
async def test_a_version_is_the_entity_tag_or_the_date_or_the_digest(
    setup: SimpleNamespace, headers: dict[str, str], version: str, condition: tuple[str, str] | None
) -> None:
    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(body=setup.body, headers=headers)

    setup.answer = answer
    first = await setup.source.identify(setup.url, None)
    assert first.text.startswith(version)
    assert str(Validator.read(first.text)) == first.text
    assert await setup.source.identify(setup.url, first.text) == first
    conditions = {
        name: setup.requests[-1].headers.get(name) for name in ("If-None-Match", "If-Modified-Since")
    }
    assert {name: value for name, value in conditions.items() if value} == dict(
        [condition] if condition else []
    )
    if not condition:
        setup.body = b"other"
        assert await setup.source.identify(setup.url, first.text) != first


@pytest.mark.parametrize(
    ("head", "modified_s"),
    [
        (b"Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 784_111_777), (b"Last-Modified: Sun Nov  6 08:49:37 1994\r\n", 784_111_777),
        (b'ETag: "1"\r\nLast-Modified: Sunday, 06-Nov-94 08:49:37 GMT\r\n', 784_111_777), (b"", 0), (b"Last-Modified: \r\n", 0),
        (b"Last-Modified: yesterday\r\n", 0), (b"Last-Modified: \xff\r\n", 0), (b"Last-Modified: Sat, 01 Jan 1900 00:00:00 GMT\r\n", 0),
        (b"Last-Modified: Sun, 06 Nov 99999 08:49:37 GMT\r\n", 0),
    ],
)  # fmt: skip
async def test_a_fetched_original_has_the_modification_time_of_the_server(
    setup: SimpleNamespace, head: bytes, modified_s: int
) -> None:
    async with speaking(raw(head)) as host:
        _, original, _ = await (await setup.make(host)).fetch(f"http://{host}/a.jpg")
        assert os.fstat(original.fileno()).st_mtime_ns == modified_s * 10**9
        original.close()
    async with speaking(CLOSED + head + b"\r\n" + PICTURE) as host:
        _, original, _ = await (await setup.make(host)).fetch(f"http://{host}/a.jpg")
        assert os.fstat(original.fileno()).st_mtime_ns == 0, "a body that may be incomplete has no date"
        original.close()


HALF = PICTURE[: len(PICTURE) // 2]
ANEW = b'ETag: "v1"\r\nLast-Modified: Mon, 02 Nov 2026 10:00:00 GMT\r\n'


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 200 OK\r\nConnection: close\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n"],
)  # fmt: skip
async def test_the_validator_of_a_body_that_may_be_incomplete_is_ignored(
    setup: SimpleNamespace, head: bytes
) -> None:
    """The body ends with the connection (RFC 9112 6.3 (8)). Afterwards the server confirms the validator of the whole body."""
    confirmed = b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n" + ANEW + b"\r\n"
    async with speaking(head + ANEW + b"\r\n" + HALF, head + ANEW + b"\r\n" + PICTURE, confirmed) as host:
        source = await setup.make(host)
        first = await source.identify(f"http://{host}/a.jpg", None)
        second = await source.identify(f"http://{host}/a.jpg", first.text)
        assert first.text.startswith("digest:")
        assert second != first
        stored = await setup.original_store.lookup(identity(second))
        assert stored.size_bytes == len(PICTURE)
        stored.close()


@pytest.mark.parametrize(
    "framed", [b"Content-Length: %d\r\n\r\n%b", b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"]
)
async def test_other_bytes_with_the_same_entity_tag_are_another_version(
    setup: SimpleNamespace, framed: bytes
) -> None:
    answers = [CLOSED + ANEW + framed % (len(body), body) for body in (b"<html>back soon", PICTURE, PICTURE)]
    async with speaking(*answers) as host:
        source = await setup.make(host)
        first = await source.identify(f"http://{host}/a.jpg", None)
        second = await source.identify(f"http://{host}/a.jpg", None)
        third = await source.identify(f"http://{host}/a.jpg", None)
        assert first != second == third
        assert str(Validator.read(second.text)) == second.text
        assert await source.identify(f"http://{host}/a.jpg", second.text) == second, (
            "the server ignores conditional requests"
        )


def status(code: int, **headers: str) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(status=code, body=b"<html>no", headers=headers)

    return answer


async def promising_much(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(body=bytes(MAX_BYTES + 1))


async def sending_much(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(20):
        await response.write(bytes(MAX_BYTES // 10))
    return response


@pytest.mark.parametrize(
    ("answer", "failure", "requests"),
    [
        (status(404), OriginalNotFound, 1), (status(410), OriginalNotFound, 1), (status(401), OriginalNotFound, 1),
        (status(403), OriginalNotFound, 1), (status(400), SourceUnavailable, 1), (status(206), SourceUnavailable, 1),
        (status(304), SourceUnavailable, 1), (status(204), SourceUnavailable, 1), (status(500), SourceUnavailable, 2),
        (status(503), SourceUnavailable, 2), (status(429), SourceUnavailable, 1),
        (status(503, **{"Retry-After": "1"}), SourceUnavailable, 1), (status(429, **{"Retry-After": "9"}), SourceUnavailable, 1),
        (status(200, **{"Content-Encoding": "gzip"}), SourceUnavailable, 1),
        (status(302), SourceUnavailable, 1), (status(302, Location="/a.jpg"), SourceUnavailable, 4),
        (promising_much, OriginalTooLarge, 1), (sending_much, OriginalTooLarge, 1),
    ],
)  # fmt: skip
async def test_a_failing_server_is_an_error_after_few_requests(
    setup: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    answer: Any,
    failure: type[CalotypeError],
    requests: int,
) -> None:
    setup.answer = answer
    with pytest.raises(failure) as caught:
        await content(setup)
    assert type(caught.value) is failure
    assert len(setup.requests) == requests
    requested = str(caught.value).partition("'")[2].partition("'")[0]
    assert "127.0.0.1" not in str(caught.value).replace(requested or "-", "")


CLOSED = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"


def raw(head: bytes, body: bytes = PICTURE) -> bytes:
    return CLOSED + head + b"Content-Length: %d\r\n\r\n" % len(body) + body


@asynccontextmanager
async def speaking(*answers: bytes) -> AsyncIterator[str]:
    """The host of a server that gives these answers, byte for byte, to one connection after the other, the last for ever."""
    left = list(answers)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(left.pop(0) if len(left) > 1 else left[0])
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    "coding",
    [
        b"", b"identity", b"Identity ", b"aws-chunked", b"AWS-Chunked", b"aws-chunked,", b"aws-chunked, identity", b",, ,",
        b"\r\nContent-Encoding: aws-chunked",
    ],
)  # fmt: skip
async def test_an_identity_coding_is_ignored(setup: SimpleNamespace, coding: bytes) -> None:
    async with speaking(raw(b"Content-Encoding: " + coding + b"\r\n")) as host:
        assert await content(setup, f"http://{host}/a.jpg", await setup.make(host)) == PICTURE


@pytest.mark.parametrize(
    ("coding", "named"),
    [
        (b"gzip", "(gzip)"), (b"BR", "(br)"), (b"x-gzip", "(x-gzip)"), (b"aws-chunked,gzip", "(gzip)"), (b"zstd , gzip", "(zstd, gzip)"),
        (b"deflate\r\nContent-Encoding: br", "(deflate, br)"), (b"<b>", "(unknown)"), (b"\xff", "(unknown)"), (b"a" * 40, "(unknown)"),
    ],
)  # fmt: skip
async def test_the_error_names_a_content_coding_that_was_not_requested(
    setup: SimpleNamespace, coding: bytes, named: str
) -> None:
    async with speaking(raw(b"Content-Encoding: " + coding + b"\r\n")) as host:
        with pytest.raises(SourceUnavailable) as caught:
            await content(setup, f"http://{host}/a.jpg", await setup.make(host))
    assert caught.value.detail.endswith(
        f": its response is encoded {named}, although the request excludes that"
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "it closed the connection before a response"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "its response is not valid HTTP"),
        (CLOSED + b"Content-Length: 99\r\n\r\nshort", "its response was cut short"),
        (CLOSED + b"Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n", "its response was cut short"),
        (raw(b"").replace(b"200 OK", b"503 No"), "it answers 503"),
        (raw(b"").replace(b"200 OK", b"418 Tea"), "it answers 418"),
        (raw(b"").replace(b"200 OK", b"302 Go"), "it redirects without a Location header"),
        (raw(b"Location: /a.jpg\r\n").replace(b"200 OK", b"302 Go"), "it redirects more than 3 times"),
    ],
)  # fmt: skip
async def test_an_error_has_its_reason(setup: SimpleNamespace, answer: bytes, reason: str) -> None:
    async with speaking(answer) as host:
        with pytest.raises(SourceUnavailable) as caught:
            await content(setup, f"http://{host}/a.jpg", await setup.make(host))
    assert caught.value.detail == f"the source did not give the original: {reason}"


@pytest.mark.parametrize(
    ("codings", "named"),
    [
        (b"gzip, chunked", "(gzip)"), (b"GZIP;q=1 ,chunked", "(gzip)"), (b"deflate\r\nTransfer-Encoding: chunked", "(deflate)"),
        (b"gzip", "(gzip)"), (b"x-gzip , br,,chunked", "(x-gzip, br)"),
    ],
)  # fmt: skip
async def test_the_error_names_a_transfer_coding_that_changes_the_bytes(
    setup: SimpleNamespace, codings: bytes, named: str
) -> None:
    answer = CLOSED + b"Transfer-Encoding: " + codings + b"\r\n\r\n5\r\nshort\r\n0\r\n\r\n"
    async with speaking(answer) as host:
        with pytest.raises(SourceUnavailable) as caught:
            await content(setup, f"http://{host}/a.jpg", await setup.make(host))
    assert caught.value.detail.endswith(
        f": its response is encoded {named}, although the request excludes that"
    )


@pytest.mark.parametrize("codings", [b"xchunked", b"not-chunked", b"identity", b"x-chunked;a=chunked"])
async def test_a_body_whose_last_transfer_coding_is_not_chunked_ends_with_the_connection(
    setup: SimpleNamespace, codings: bytes
) -> None:
    answer = CLOSED + b'ETag: "1"\r\nTransfer-Encoding: ' + codings + b"\r\n\r\n" + PICTURE
    async with speaking(answer) as host:
        source, url = await setup.make(host), f"http://{host}/a.jpg"
        assert await content(setup, url, source) == PICTURE
        assert (await source.identify(url)).text.startswith("digest:")


@pytest.mark.parametrize(
    ("answer", "reason", "tries"),
    [
        (CLOSED + b"Content-Length: 99\r\n\r\nshort", "its response was cut short", 2),
        (CLOSED + b"Transfer-Encoding: chunked\r\n\r\n5\r\nsh", "its response was cut short", 2),
        (raw(b"Location: /a\0\r\n").replace(b"200 OK", b"302 Go"), "its response is not valid HTTP", 2),
        (raw(b"Location: /" + b"a" * 9000 + b"\r\n").replace(b"200 OK", b"302 Go"), "its response is not valid HTTP", 2),
        (raw(b"Content-Length: 1\r\n"), "its response is not valid HTTP", 2),
        (raw(b"").replace(b"200 OK", b"429 No"), "it answers 429", 1),
        (raw(b"").replace(b"200 OK", b"418 Tea"), "it answers 418", 1),
        (raw(b"Location: /\xff%\r\n").replace(b"200 OK", b"302 Go"), "it redirects more than 3 times", 4),
    ],
)  # fmt: skip
async def test_a_broken_original_does_not_affect_its_neighbours(
    setup: SimpleNamespace, answer: bytes, reason: str, tries: int
) -> None:
    targets: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            targets.append((await reader.readuntil(b"\r\n\r\n")).split()[1])
            writer.write(raw(b"") if b"good" in targets[-1] else answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        source = await setup.make(host)
        # Successful calls add to the retries that are allowed.
        for _ in range(100):
            await content(setup, f"http://{host}/good.jpg", source)
        targets.clear()
        for _ in range(3 * guard.MAX_FAILURES):
            with pytest.raises(SourceUnavailable) as caught:
                await content(setup, f"http://{host}/bad.jpg", source)
            assert caught.value.detail == f"the source did not give the original: {reason}"
        each = len(targets) / (3 * guard.MAX_FAILURES)
        assert each <= tries
        assert targets[0] == b"/bad.jpg"
        assert await content(setup, f"http://{host}/good.jpg", source) == PICTURE


@pytest.mark.parametrize("later", [b"", b"Retry-After: 5\r\n"])
async def test_a_call_is_repeated_once_at_most_and_an_open_circuit_keeps_its_reason(
    setup: SimpleNamespace, later: bytes
) -> None:
    fails = False

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        headers = {"Retry-After": "5"} if later else {}
        return web.Response(status=503, headers=headers) if fails else web.Response(body=PICTURE)

    setup.answer = answer
    for _ in range(100):
        await content(setup)
    fails = True
    setup.requests.clear()
    details = []
    for _ in range(guard.MAX_FAILURES + 1):
        with pytest.raises(SourceUnavailable) as caught:
            await content(setup)
        details.append(caught.value.detail)
    tries = 1 if later else 2
    assert len(setup.requests) == guard.MAX_FAILURES
    failed = -(-guard.MAX_FAILURES // tries)
    assert details[:failed] == ["the source did not give the original: it answers 503"] * failed
    assert set(details[failed:]) == {
        "the source is unavailable: it failed repeatedly (it answers 503), and is not asked for a moment"
    }


async def test_an_error_has_its_reason_and_not_the_address(
    setup: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = f"127.0.0.1:{free_port()}"
    source = await setup.make(closed, "nothing.invalid", setup.host)
    for url, reason in (
        (f"http://{closed}/a.jpg", "it refuses connections"),
        ("http://nothing.invalid/a.jpg", "its name has no address"),
        (f"https://{setup.host}/a.jpg", "TLS with it failed"),
    ):
        with pytest.raises(SourceUnavailable) as caught:
            await content(setup, url, source)
        assert caught.value.detail == f"the source did not give the original: {reason}"
    with pytest.raises(SourceNotAllowed, match="from this address: its address is not public"):
        await content(setup, setup.url, await setup.make(setup.host, allow_private=False))
    setup.answer = status(302, Location="http://elsewhere.example/")
    with pytest.raises(
        SourceNotAllowed, match="from this address: it redirects to an address that is not allowed"
    ):
        await content(setup)
    setup.answer = status(403)
    with pytest.raises(OriginalNotFound, match="that the node may read: it answers 403"):
        await content(setup)


async def test_a_validator_is_sent_only_to_the_url_it_came_from(setup: SimpleNamespace) -> None:
    """The redirect changes to another picture with an earlier date."""
    pictures = {
        "/red": (b"red", "Fri, 20 Nov 2026 10:00:00 GMT"),
        "/blue": (b"blue", "Tue, 10 Nov 2026 10:00:00 GMT"),
    }
    setup.leads = "/red"

    async def answer(request: web.BaseRequest) -> web.Response:
        if request.path not in pictures:
            return web.Response(status=302, headers={"Location": setup.leads})
        body, date = pictures[request.path]
        since = request.headers.get("If-Modified-Since", "")
        if since and parsedate_to_datetime(since) >= parsedate_to_datetime(date):
            return web.Response(status=304)
        return web.Response(body=body, headers={"Last-Modified": date})

    setup.answer = answer
    first = await setup.source.identify(setup.url, None)
    assert await setup.source.identify(setup.url, first.text) == first
    assert setup.requests[-1].headers["If-Modified-Since"] == "Fri, 20 Nov 2026 10:00:00 GMT"
    setup.leads = "/blue"
    assert await setup.source.identify(setup.url, first.text) != first
    assert await content(setup) == b"blue"


async def test_a_redirect_with_a_changing_query_is_no_new_version(setup: SimpleNamespace) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        if request.path == "/a.jpg":
            return web.Response(status=302, headers={"Location": f"/b?t={len(setup.requests)}&token=s3cret"})
        if request.headers.get("If-None-Match") == '"v1"':
            return web.Response(status=304)
        return web.Response(body=PICTURE, headers={"ETag": '"v1"'})

    setup.answer = answer
    first = await setup.source.identify(setup.url, None)
    assert await setup.source.identify(setup.url, first.text) == first
    assert setup.requests[-1].headers["If-None-Match"] == '"v1"'
    assert "s3cret" not in first.text


async def test_a_validator_that_cannot_be_sent_back_is_ignored(setup: SimpleNamespace) -> None:
    setup.raw = b'HTTP/1.1 200 OK\r\nETag: "caf\xe9"\r\nContent-Length: 3\r\n\r\nred'
    with FaultyProxy("127.0.0.1", setup.port) as between:
        between.answer(setup.raw)
        host = f"127.0.0.1:{between.port}"
        source = await setup.make(host)
        first = await source.identify(f"http://{host}/a.jpg", None)
        assert first.text.startswith("digest:")
        assert await source.identify(f"http://{host}/a.jpg", first.text) == first


async def test_a_slow_host_does_not_delay_other_hosts(
    setup: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_web, "READ_TIMEOUT_S", 2.0)

    dripping_to: set[asyncio.StreamWriter] = set()

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dripping_to.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            for letter in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 1000:
                writer.write(bytes([letter]))
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()

    dripping = await asyncio.start_server(drip, "127.0.0.1", 0)
    slow = f"127.0.0.1:{dripping.sockets[0].getsockname()[1]}"
    source = await setup.make(slow, setup.host)
    waiting = [asyncio.create_task(source.fetch(f"http://{slow}/{number}")) for number in range(40)]
    await eventually(lambda: dripping_to)
    await settle()
    async with asyncio.timeout(1.5):
        assert await content(setup, source=source) == PICTURE
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {SourceTimeout, SourceUnavailable}
    assert await content(setup, source=source) == PICTURE
    dripping.close()


@pytest.mark.parametrize(
    ("location", "target"),
    [
        (b"/ok.jpg#top", b"/ok.jpg"), (b"/gr\xfcn.jpg", b"/gr%FCn.jpg"), (b"/gr\xc3\xbcn.jpg", b"/gr%C3%BCn.jpg"),
        (b"/100%.jpg?a=%", b"/100%.jpg?a=%"), (b"/a b/../%zz#%", b"/%zz"), (b"/a?X-Amz-Signature=s3cret", b"/a?X-Amz-Signature=s3cret"),
    ],
)  # fmt: skip
async def test_a_redirect_is_followed_as_browsers_do(
    setup: SimpleNamespace, location: bytes, target: bytes
) -> None:
    async def pass_on(request: web.BaseRequest) -> web.Response:
        return web.Response(body=PICTURE)

    setup.answer = pass_on
    head = b"Location: http://" + setup.host.encode() + location + b"\r\n"
    async with speaking(raw(head).replace(b"200 OK", b"302 Go")) as host:
        source = await setup.make(host, setup.host)
        version = await source.identify(f"http://{host}/a.jpg", None)
    assert [request.raw_path for request in setup.requests] == [target.decode()]
    assert "s3cret" not in version.text


async def test_configured_headers_are_sent_to_the_requested_host_only(setup: SimpleNamespace) -> None:
    """A host to which it redirects gets none, although it is in the configuration of the source."""
    there = f"localhost:{setup.port}"
    headers = {"Authorization": "Bearer s3cret", "X-Key": "s3cret", "User-Agent": "mine"}
    source = await setup.make(setup.host, there, **headers)

    async def answer(request: web.BaseRequest) -> web.Response:
        to = {"/same": "/end", "/other": f"http://{there}/end"}.get(request.path)
        return web.Response(status=302, headers={"Location": to}) if to else web.Response(body=PICTURE)

    setup.answer = answer
    for path, sent in (("/end", [True]), ("/same", [True, True]), ("/other", [True, False])):
        before = len(setup.requests)
        await content(setup, f"http://{setup.host}{path}", source)
        requests = setup.requests[before:]
        assert ["s3cret" in str(request.headers) for request in requests] == sent
        assert requests[0].headers["User-Agent"] == "mine"
        assert requests[0].headers["Authorization"] == "Bearer s3cret"


@pytest.mark.parametrize("redirects", range(6))
async def test_redirects_are_followed_three_times(setup: SimpleNamespace, redirects: int) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        left = int(request.path[1:])
        if not left:
            return web.Response(body=PICTURE)
        kinds = {
            0: f"/{left - 1}",
            1: f"http://{setup.host}/{left - 1}",
            2: f"//{setup.host}/{left - 1}",
            3: f"{left - 1}",
        }
        return web.Response(status=(301, 302, 303, 307, 308)[left % 5], headers={"Location": kinds[left % 4]})

    setup.answer = answer
    url = f"http://{setup.host}/{redirects}"
    if redirects <= 3:
        assert await content(setup, url) == PICTURE
    else:
        with pytest.raises(SourceUnavailable):
            await content(setup, url)
    assert len(setup.requests) == min(redirects + 1, 4)


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{other}/", "http://localhost:{other}/", "//127.0.0.1:{other}/x", "http://127.1:{other}/",
        "http://2130706433:{other}/", "http://0x7f000001:{other}/", "http://0177.0.0.1:{other}/", "http://0:{other}/",
        "http://[::1]:{other}/", "http://[::ffff:127.0.0.1]:{other}/", "http://[::]:{other}/",
        "http://{host}@127.0.0.1:{other}/", "http://127.0.0.1:{other}#@{host}/", "http://127.0.0.1:{other}\\@{host}/",
        "file:///etc/passwd", "ftp://127.0.0.1:{other}/", "gopher://127.0.0.1:{other}/", "http:///", "http://[", "\\\\x",
    ],
)  # fmt: skip
async def test_a_redirect_to_a_host_that_is_not_allowed_is_not_followed(
    setup: SimpleNamespace, location: str
) -> None:
    where = location.format(other=setup.other_port, host=setup.host)
    setup.answer = status(302, Location=where)
    with pytest.raises((SourceNotAllowed, SourceUnavailable, OriginalNotFound)):
        await content(setup)
    assert setup.other_connections == 0


SPELLINGS = [
    *INSIDE_V4,
    *(f"[{address}]" for address in INSIDE_V6 if "%" not in address),
    *(f"[::ffff:{address}]" for address in INSIDE_V4),
    *(f"[64:ff9b::{address}]" for address in INSIDE_V4),
    "0", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "0x7f.1", "127.0.0.01",
    "10.1", "0xa9fea9fe", "2852039166", "169.254.43518", "0251.0376.0251.0376", "localhost", "ip6-localhost", "localhost.",
    "[::]", "[0:0:0:0:0:0:0:1]", "[::127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:0001]",
]  # fmt: skip


async def test_no_spelling_of_an_internal_address_is_connected_to(setup: SimpleNamespace) -> None:
    """This holds although the configuration lists the address among the hosts."""
    assert len(SPELLINGS) >= 150
    for host in SPELLINGS:
        named = f"{host}:{setup.other_port}"
        source = await setup.make(named, allow_private=False)
        for scheme in ("http", "https"):
            with pytest.raises((SourceNotAllowed, SourceUnavailable)):
                await source.fetch(f"{scheme}://{named}/a.jpg")
    assert setup.other_connections == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
async def test_the_listener_counts_connections(setup: SimpleNamespace, address: str) -> None:
    source = await setup.make(f"{address}:{setup.other_port}")
    with pytest.raises(SourceUnavailable):
        await source.fetch(f"http://{address}:{setup.other_port}/a.jpg")
    await eventually(lambda: setup.other_connections)


async def test_the_address_is_checked_at_the_connection(
    setup: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: a public address in the first lookup, an internal one in the second, and both at once."""
    answers = iter(
        [["93.184.216.34"], ["127.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["127.0.0.1", "::1"]] * 3
    )
    lookups = 0

    async def resolve(_: object, host: str, port: int = 0, family: int = 0) -> list[dict[str, object]]:
        nonlocal lookups
        lookups += 1
        return [
            {
                "hostname": host, "host": address, "port": port, "proto": 0, "flags": 0,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
            }
            for address in next(answers)
        ]  # fmt: skip

    tried: list[str] = []

    def make_socket(info: Any) -> socket.socket:
        made = real(info)
        tried.append(info[4][0])
        made.close()
        raise OSError("there is no network in a test")

    real = guarded_http.public_socket
    monkeypatch.setattr(guarded_http, "public_socket", make_socket)
    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)
    monkeypatch.setattr(aiohttp.DefaultResolver, "resolve", resolve)
    name = f"rebinding.example:{setup.other_port}"
    for _ in range(4):
        source = await setup.make(name, allow_private=False)
        with pytest.raises((SourceNotAllowed, SourceUnavailable)):
            await source.fetch(f"http://{name}/")
    assert lookups >= 4
    assert set(tried) == {"93.184.216.34"}
    assert setup.other_connections == 0


async def test_an_unavailable_server_is_called_again_when_the_circuit_closes(
    setup: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "CIRCUIT_OPEN_S", 0.2)
    with FaultyProxy("127.0.0.1", setup.port) as between:
        host = f"127.0.0.1:{between.port}"
        source = await setup.make(host)
        between.down()
        failures = []
        for _ in range(8):
            with pytest.raises(SourceUnavailable) as caught:
                await source.fetch(f"http://{host}/a.jpg")
            failures.append(caught.value.retry_after_s)
        assert failures[-1] == 1, "the circuit is open"
        between.up()

        async def served() -> bytes:
            with contextlib.suppress(SourceUnavailable):
                return await content(setup, f"http://{host}/a.jpg", source)
            return b""

        assert await eventually(served) == PICTURE


@pytest.mark.parametrize("how", ["hang", "drip", "cut"])
async def test_a_stalling_server_is_an_error_within_the_timeout(
    setup: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(remote_web, "READ_TIMEOUT_S", 0.3)
    monkeypatch.setattr(guard, "MIN_RATE_AFTER_S", 0.3)
    with FaultyProxy("127.0.0.1", setup.port) as between:
        host = f"127.0.0.1:{between.port}"
        source = await setup.make(host)
        {"hang": between.hang, "drip": lambda: between.drip(2000), "cut": lambda: between.cut(20_000)}[how]()
        with pytest.raises(SourceUnavailable if how == "cut" else SourceTimeout):
            await source.fetch(f"http://{host}/a.jpg")


async def test_a_cancelled_fetch_leaves_no_file(setup: SimpleNamespace) -> None:
    with FaultyProxy("127.0.0.1", setup.port) as between:
        host = f"127.0.0.1:{between.port}"
        source = await setup.make(host)
        between.drip(20_000)
        fetching = asyncio.create_task(source.fetch(f"http://{host}/a.jpg"))
        await eventually(between.count)
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
