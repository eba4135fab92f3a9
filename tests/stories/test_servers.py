"""The servers and the faulty proxy of the stories work as the stories assume."""

import asyncio
import contextlib
import errno
import http.client
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError, EndpointConnectionError
from redis import Redis as RedisClient
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tests.support import servers
from tests.support.servers import Store
from tests.support.tcp_faults import FaultyProxy
from tests.support.waiting import LONGEST_S, eventually_sync

BODY = bytes(range(256)) * 400
SLOW_DOWN_XML = b"<Error><Code>SlowDown</Code><Message>Please slow down</Message></Error>"
SLOW_DOWN = b"HTTP/1.1 503 Slow Down\r\nContent-Length: %d\r\n\r\n%s" % (len(SLOW_DOWN_XML), SLOW_DOWN_XML)


@pytest.fixture(scope="session")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with servers.swift(tmp_path_factory.mktemp("swift")) as store:
        store.bucket("photos")
        store.put("photos", "a.bin", BODY)
        yield store


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with servers.moto(tmp_path_factory.mktemp("moto")) as store:
        store.bucket("photos")
        store.put("photos", "a.bin", BODY)
        yield store


@pytest.fixture(params=["swift", "moto"])
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def proxy_of_store(store: Store) -> Iterator[FaultyProxy]:
    with FaultyProxy("127.0.0.1", store.port) as proxy_of_store:
        yield proxy_of_store


@pytest.fixture
def seen(store: Store, proxy_of_store: FaultyProxy) -> Store:
    """The store through the proxy."""
    return store.via(proxy_of_store.url)


def raw(proxy_of_store: FaultyProxy, method: str = "GET", target: str = "/photos/a.bin") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", proxy_of_store.port, timeout=3)
    with contextlib.closing(connection):
        connection.request(method, target)
        answer = connection.getresponse()
        return answer.status, answer.read()


def read_on(connection: socket.socket, into: bytearray) -> None:
    while piece := connection.recv(1000):
        into += piece


def test_a_store_returns_the_stored_object(store: Store) -> None:
    store.put("photos", "new/é b.jpg", b"first", "image/jpeg", {"calotype": "1"})
    store.put("photos", "new/é b.jpg", b"hello", "image/jpeg", {"calotype": "1"})
    assert store.get("photos", "new/é b.jpg") == b"hello"
    assert store.get("photos", "none") is None
    assert store.keys("photos", "new/") == ["new/é b.jpg"]
    assert store.metadata("photos", "new/é b.jpg") == {"calotype": "1"}
    assert store.headers("photos", "new/é b.jpg")["content-type"] == "image/jpeg"
    store.delete("photos", "new/é b.jpg")
    assert store.keys("photos", "new/") == []


def test_swift_checks_signatures(swift: Store) -> None:
    stranger = swift.via(swift.endpoint_url)
    stranger.secret_key = "guessed"
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.get("photos", "a.bin")


def test_if_none_match_refuses_an_existing_object(store: Store) -> None:
    """One after the other. At the same moment Swift lets several in: it looks first and commits later."""
    store.client.put_object(Bucket="photos", Key="once", Body=b"first", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        store.client.put_object(Bucket="photos", Key="once", Body=b"second", IfNoneMatch="*")
    assert store.get("photos", "once") == b"first"
    store.delete("photos", "once")


def test_a_restarted_swift_has_its_data(swift: Store) -> None:
    swift.stop()
    try:
        with pytest.raises(EndpointConnectionError):
            swift.get("photos", "a.bin")
    finally:
        swift.start()
    assert swift.get("photos", "a.bin") == BODY
    swift.put("photos", "a.bin", BODY)


def test_a_failed_program_raises_its_log(tmp_path: Path) -> None:
    wrong = servers.Program(
        "sh", "-c", "echo no luck >&2; exit 3", log=tmp_path / "log", answers=lambda: False
    )
    wrong.launch()
    with pytest.raises(RuntimeError, match=r"exit code 3\):\nno luck"):
        wrong.wait()


def test_a_missing_program_skips_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALOTYPE_SWIFT_VENV", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    for part, says in (
        (servers.swift, "./run test sets it up"),
        (servers.redis, "apt-get install redis-server"),
    ):
        with pytest.raises(pytest.skip.Exception, match=says), part(tmp_path):
            pass


def test_a_folder_without_xattrs_skips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", refuse)
    with pytest.raises(pytest.skip.Exception, match="Operation not supported; set TMPDIR to a disk"):
        servers.need_xattrs(tmp_path)


def test_redis_can_be_paused_killed_and_restarted(tmp_path: Path) -> None:
    with servers.redis(tmp_path) as server, server.client() as client:
        client.set("a", "b")
        assert client.get("a") == "b"
        server.pause()
        with RedisClient.from_url(server.url, socket_timeout=0.1, retry=None) as hurried:
            with pytest.raises((RedisTimeoutError, RedisConnectionError)):
                hurried.get("a")
            server.resume()
            assert client.get("a") == "b"
            server.kill()
            with pytest.raises(RedisConnectionError):
                hurried.get("a")
        server.start()
        assert client.get("a") is None
    assert os.listdir(tmp_path) == ["redis.log"]


def test_the_proxy_passes_bytes_and_counts_requests(seen: Store, proxy_of_store: FaultyProxy) -> None:
    trap = b"GET /not/a/request HTTP/1.1\r\nHost: x\r\n\r\n" * 5000
    seen.put("photos", "trap", trap)
    seen.put("photos", "a.bin", BODY)
    assert (seen.get("photos", "trap"), seen.get("photos", "a.bin")) == (trap, BODY)
    assert seen.get("photos", "none") is None
    assert "trap" in seen.keys("photos")
    seen.metadata("photos", "trap")
    seen.delete("photos", "trap")
    assert [method for method, _ in proxy_of_store.requests] == [
        "PUT",
        "PUT",
        "GET",
        "GET",
        "GET",
        "GET",
        "HEAD",
        "DELETE",
    ]
    assert proxy_of_store.requests[0][1] == "/photos/trap"
    assert (proxy_of_store.count(), proxy_of_store.count("GET"), proxy_of_store.count("GET", "a.bin")) == (
        8,
        4,
        1,
    )
    assert proxy_of_store.count(containing="not/a/request") == 0
    proxy_of_store.forget()
    assert proxy_of_store.count() == 0


async def test_concurrent_aiobotocore_requests_pass(store: Store, proxy_of_store: FaultyProxy) -> None:
    trap = b"PUT /not/a/request HTTP/1.1\r\n\r\n" * 10_000
    async with get_session().create_client(
        "s3",
        endpoint_url=proxy_of_store.url,
        region_name=store.region,
        aws_access_key_id=store.access_key,
        aws_secret_access_key=store.secret_key,
        config=AioConfig(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    ) as client:

        async def round_trip(number: int) -> None:
            key = f"aio/{number}"
            await client.put_object(Bucket="photos", Key=key, Body=trap)
            got = await client.get_object(Bucket="photos", Key=key)
            assert await got["Body"].read() == trap
            await client.delete_object(Bucket="photos", Key=key)

        await asyncio.gather(*(round_trip(number) for number in range(20)))
        assert (
            proxy_of_store.count("PUT") == proxy_of_store.count("GET") == proxy_of_store.count("DELETE") == 20
        )
        assert proxy_of_store.count() == 60
        proxy_of_store.answer(SLOW_DOWN, only="PUT", times=1)
        with pytest.raises(ClientError, match="SlowDown"):
            await client.put_object(Bucket="photos", Key="aio/again", Body=trap)
        await client.put_object(Bucket="photos", Key="aio/again", Body=trap)
        await client.delete_object(Bucket="photos", Key="aio/again")
        assert proxy_of_store.count("PUT") == 22


def test_chunked_and_pipelined_requests_are_counted(proxy_of_store: FaultyProxy) -> None:
    """By hand: a chunked body with a trailer that holds a request line, and the next request right behind it."""
    body = b"GET /no HTTP/1.1\r\n\r\n"
    first = b"PUT /photos/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%x;a=b\r\n%s\r\n0\r\nT: u\r\n\r\n"
    last = b"HEAD /photos/y HTTP/1.1\r\nHost: h\r\n\r\n"
    proxy_of_store.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    with socket.create_connection(("127.0.0.1", proxy_of_store.port), timeout=3) as connection:
        for byte in first % (len(body), body) + last:
            connection.sendall(bytes([byte]))
        answers = b""
        while answers.count(b"200 OK") < 2:
            answers += connection.recv(1000)
    assert proxy_of_store.requests == [("PUT", "/photos/x"), ("HEAD", "/photos/y")]


def test_mode_down_refuses_and_resets_connections(seen: Store, proxy_of_store: FaultyProxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy_of_store.port), timeout=3) as idle:
        assert seen.get("photos", "a.bin") == BODY
        proxy_of_store.down()
        with pytest.raises(ConnectionResetError):
            idle.recv(1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy_of_store.port), timeout=3)
    with pytest.raises(EndpointConnectionError):
        seen.get("photos", "a.bin")
    proxy_of_store.up()
    assert seen.get("photos", "a.bin") == BODY


def test_mode_hang_answers_nothing(seen: Store, proxy_of_store: FaultyProxy) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxy_of_store.port, timeout=LONGEST_S)
    with contextlib.closing(connection):
        connection.request("GET", "/photos/none")
        connection.getresponse().read()
        connection.timeout = 0.3
        if connection.sock is not None:  # The server may have closed it.
            connection.sock.settimeout(0.3)
        proxy_of_store.hang()
        connection.request("GET", "/photos/hung")
        with pytest.raises(TimeoutError):
            connection.getresponse()
        with socket.create_connection(("127.0.0.1", proxy_of_store.port), timeout=3) as other:
            other.sendall(b"PUT /photos/never HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
            eventually_sync(lambda: proxy_of_store.count(containing="never"))
            proxy_of_store.up()
            with pytest.raises(ConnectionResetError):
                other.recv(1)
    assert proxy_of_store.count() == 3
    assert seen.get("photos", "a.bin") == BODY


def test_mode_drip_limits_the_rate(seen: Store, proxy_of_store: FaultyProxy) -> None:
    proxy_of_store.drip(200_000)
    begun = time.monotonic()
    assert seen.get("photos", "a.bin") == BODY
    assert time.monotonic() - begun > 0.4


def test_leaving_mode_drip_releases_a_running_answer(seen: Store, proxy_of_store: FaultyProxy) -> None:
    proxy_of_store.drip(1000)
    threading.Timer(0.4, proxy_of_store.up).start()
    begun = time.monotonic()
    assert seen.get("photos", "a.bin") == BODY
    assert time.monotonic() - begun > 0.3


@pytest.mark.parametrize("after", [0, 1, 40, 300])
def test_mode_cut_resets_after_the_exact_number_of_bytes(proxy_of_store: FaultyProxy, after: int) -> None:
    proxy_of_store.cut(after)
    with socket.create_connection(("127.0.0.1", proxy_of_store.port), timeout=3) as connection:
        connection.sendall(b"GET /photos/none HTTP/1.1\r\nHost: h\r\n\r\n")
        got = bytearray()
        with pytest.raises(ConnectionResetError):
            read_on(connection, got)
    assert len(got) == after
    assert got == b"HTTP/1.1 40"[:after] + got[11:]


def test_mode_cut_resets_within_the_body(seen: Store, proxy_of_store: FaultyProxy) -> None:
    proxy_of_store.cut(50_000)
    got = seen.client.get_object(Bucket="photos", Key="a.bin")["Body"]
    with pytest.raises(Exception, match=r"reset|broken"):
        got.read()
    got.close()
    assert seen.get("photos", "none") is None


def test_a_put_whose_answer_is_cut_is_stored(store: Store, seen: Store, proxy_of_store: FaultyProxy) -> None:
    proxy_of_store.cut(0)
    with pytest.raises(Exception, match=r"reset|closed|aborted"):
        seen.put("photos", "cut", BODY)
    assert store.get("photos", "cut") == BODY
    store.delete("photos", "cut")


@pytest.mark.parametrize("offset", [0, 70_000, len(BODY) - 1])
def test_mode_flip_inverts_one_byte(seen: Store, proxy_of_store: FaultyProxy, offset: int) -> None:
    proxy_of_store.flip(offset)
    got = seen.client.get_object(Bucket="photos", Key="a.bin", ChecksumMode="DISABLED")["Body"].read()
    assert [at for at, (one, other) in enumerate(zip(got, BODY, strict=True)) if one != other] == [offset]
    assert got[offset] == BODY[offset] ^ 0xFF
    proxy_of_store.up()
    assert seen.get("photos", "a.bin") == BODY


def test_the_proxy_can_answer_itself(seen: Store, proxy_of_store: FaultyProxy) -> None:
    proxy_of_store.answer(SLOW_DOWN, only="GET", times=2)
    seen.put("photos", "b", b"b")
    for _ in range(2):
        with pytest.raises(ClientError, match="SlowDown"):
            seen.get("photos", "b")
    assert seen.get("photos", "b") == b"b"
    proxy_of_store.answer(SLOW_DOWN, only="PUT")
    for _ in range(3):
        with pytest.raises(ClientError, match="SlowDown"):
            seen.put("photos", "b", BODY)
    assert seen.get("photos", "b") == b"b"
    proxy_of_store.up()
    seen.delete("photos", "b")
    assert (proxy_of_store.count("PUT"), proxy_of_store.count("GET"), proxy_of_store.count("DELETE")) == (
        4,
        4,
        1,
    )


def test_the_proxy_can_send_malformed_answers(proxy_of_store: FaultyProxy) -> None:
    proxy_of_store.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
    with pytest.raises(http.client.IncompleteRead):
        raw(proxy_of_store)
    proxy_of_store.answer(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    assert raw(proxy_of_store) == (302, b"")
    assert raw(proxy_of_store, "HEAD") == (302, b"")
    proxy_of_store.answer(b"HTTP/1.1 200 OK\r\n\r\n<Error/>")
    assert raw(proxy_of_store) == (200, b"<Error/>")


def test_connections_are_reset_without_a_store(swift: Store) -> None:
    with FaultyProxy("127.0.0.1", servers.free_port()) as proxy_of_store, pytest.raises(ConnectionResetError):
        raw(proxy_of_store)


def test_stopping_the_store_closes_persistent_connections(tmp_path: Path) -> None:
    with servers.moto(tmp_path) as store, FaultyProxy("127.0.0.1", store.port) as proxy_of_store:
        with socket.create_connection(("127.0.0.1", proxy_of_store.port), timeout=LONGEST_S) as persistent:
            persistent.sendall(b"HEAD /none HTTP/1.1\r\nHost: h\r\n\r\n")
            assert persistent.recv(1000).startswith(b"HTTP/1.1 404")
            store.stop()
            assert persistent.recv(1000) == b""
        store.start()
        assert raw(proxy_of_store, target="/none")[0] == 404
