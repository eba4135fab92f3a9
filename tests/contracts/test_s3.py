"""The S3 source and its client over a store with faults: moto, with a FaultyProxy before it."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from proxy.core.cache.generations import Generations
from proxy.core.errors import (
    CalotypeError,
    Conflict,
    OriginalNotFound,
    OriginalTooLarge,
    SourceTimeout,
    SourceUnavailable,
)
from proxy.core.image.formats import Format
from proxy.core.image.original import Identity, OriginalRef
from proxy.core.url.original_urls import S3Location
from proxy.remote import guard
from proxy.remote.errors import AccessDenied, Missing, RemoteError, RequestRefused, Unavailable
from proxy.remote.s3 import InMemory, S3Bucket
from proxy.sources.original_store import DiskOriginalStore
from proxy.sources.s3 import S3Source
from tests.support import servers
from tests.support.fakes import FakeMetrics, FakeOriginalFile
from tests.support.servers import Store
from tests.support.tcp_faults import FaultyProxy
from tests.support.waiting import eventually

BODY = bytes(range(256)) * 2000
MAX_BYTES = 2 * len(BODY)
KEYS = [
    "a.jpg",
    "deep/a b.jpg",
    "a+b.jpg",
    "é/ü.jpg",
    "100%.jpg",
    "a%20b.jpg",
    "a&b=c?d#e.jpg",
    "a'(b)*!.jpg",
]


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with servers.moto(tmp_path_factory.mktemp("moto")) as store:
        store.bucket("pics")
        for key in KEYS:
            store.put("pics", "shop/" + key, BODY + key.encode())
        yield store


@pytest.fixture
async def setup(moto: Store, tmp_path: Path) -> AsyncIterator[SimpleNamespace]:
    """An S3 source over moto, through a FaultyProxy."""
    with FaultyProxy("127.0.0.1", moto.port) as between:
        location = S3Location(bucket="pics", prefix="shop/", endpoint_url=between.url)
        bucket = S3Bucket(
            location,
            access_key="k",
            secret_key="s",
            path_style=True,
            clock=time.monotonic,
            chance=lambda: 0.1,
        )
        original_store = DiskOriginalStore(
            tmp_path / "originals", max_bytes=2**24, metrics=FakeMetrics(), generations=Generations()
        )
        async with bucket:
            yield SimpleNamespace(
                between=between,
                bucket=bucket,
                original_store=original_store,
                source=S3Source("photos", bucket, original_store, max_bytes=MAX_BYTES),
                store=moto,
            )
        original_store.close()
        assert not list((tmp_path / "originals").rglob("*.part")), "no partial file is left"


def answer(status: str, body: bytes, *headers: str, length: int | None = None) -> bytes:
    lines = [
        f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}",
        "Content-Type: application/xml", *headers,
    ]  # fmt: skip
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def error(code: str) -> bytes:
    return f"<?xml version='1.0'?>\n<Error><Code>{code}</Code><Message>m</Message></Error>".encode()


async def content(setup: SimpleNamespace, key: str = "a.jpg") -> bytes:
    _, original, _ = await setup.source.fetch(key)
    try:
        assert original.unchanged()
        return os.pread(original.fileno(), original.size_bytes, 0)
    finally:
        original.close()


@pytest.mark.parametrize("key", KEYS)
async def test_every_key_is_found_below_the_prefix(setup: SimpleNamespace, key: str) -> None:
    assert await content(setup, key) == BODY + key.encode()
    version = await setup.source.identify(key)
    assert version == (key, "")
    stored = await setup.original_store.lookup(Identity(OriginalRef("photos", key), ""))
    assert os.pread(stored.fileno(), stored.size_bytes, 0) == BODY + key.encode()
    stored.close()


async def test_an_upload_is_stored_for_its_first_request(setup: SimpleNamespace) -> None:
    identity = Identity(OriginalRef("photos", "new.jpg"), "")
    for body, kind in ((BODY, None), (BODY, None), (b"else", Conflict)):
        file = FakeOriginalFile(body)
        with pytest.raises(kind) if kind else contextlib.nullcontext():
            await setup.source.store("new.jpg", file, kind=Format.JPEG)
        file.close()
        stored = await setup.original_store.lookup(identity)
        assert os.pread(stored.fileno(), stored.size_bytes, 0) == BODY
        stored.close()
    assert await content(setup, "new.jpg") == BODY


async def test_a_fetched_original_has_the_modification_time_of_the_object(setup: SimpleNamespace) -> None:
    modified_s = setup.store.client.head_object(Bucket="pics", Key="shop/a.jpg")["LastModified"].timestamp()
    _, original, _ = await setup.source.fetch("a.jpg")
    assert os.fstat(original.fileno()).st_mtime == int(modified_s)
    original.close()


async def test_a_virtual_host_is_used_where_it_is_configured(moto: Store) -> None:
    location = S3Location(bucket="pics", endpoint_url=f"http://localhost:{moto.port}")
    bucket = S3Bucket(
        location, access_key="k", secret_key="s", path_style=False, clock=time.monotonic, chance=lambda: 0.1
    )
    async with bucket:
        url = await bucket.signed("shop/a.jpg", 60)
    assert url.startswith(f"http://pics.localhost:{moto.port}/shop/a.jpg?")


async def test_a_missing_original_is_an_error(setup: SimpleNamespace) -> None:
    with pytest.raises(OriginalNotFound):
        await content(setup, "nope.jpg")
    assert setup.between.count("GET") == 1


FAULTS: list[tuple[str, bytes, type[CalotypeError], int]] = [
    ("slow down", answer("503 Slow Down", error("SlowDown")), SourceUnavailable, 2),
    ("internal", answer("500 Internal", error("InternalError")), SourceUnavailable, 2),
    ("too many", answer("429 Too Many", b""), SourceUnavailable, 2),
    ("200 with an error", answer("200 OK", error("InternalError")), SourceUnavailable, 2),
    ("200 with an error and no prolog", answer("200 OK", b"<Error><Code>x</Code></Error>"), SourceUnavailable, 2),
    ("redirect", answer("302 Found", b"", "Location: http://127.0.0.1:9/x"), SourceUnavailable, 1),
    ("moved", answer("301 Moved", error("PermanentRedirect"), "x-amz-bucket-region: eu-west-1"),
     SourceUnavailable, 1),
    ("temporary", answer("307 T", error("TemporaryRedirect"), "Location: http://127.0.0.1:9/x"),
     SourceUnavailable, 1),
    ("signature", answer("403 Forbidden", error("SignatureDoesNotMatch")), SourceUnavailable, 1),
    ("no such bucket", answer("404 Not Found", error("NoSuchBucket")), SourceUnavailable, 1),
    ("denied", answer("403 Forbidden", error("AccessDenied")), OriginalNotFound, 1),
    ("missing", answer("404 Not Found", error("NoSuchKey")), OriginalNotFound, 1),
    ("missing, with another body", answer("404 Not Found", b"<html>"), OriginalNotFound, 1),
    ("promised too much", answer("200 OK", BODY, length=len(BODY) + 5), SourceUnavailable, 2),
    ("too large", answer("200 OK", b"x" * 10, length=MAX_BYTES + 1), OriginalTooLarge, 1),
]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "failure", "tries"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS]
)
async def test_a_fault_of_the_store(
    setup: SimpleNamespace, raw: bytes, failure: type[CalotypeError], tries: int
) -> None:
    setup.between.answer(raw)
    with pytest.raises(failure) as caught:
        await content(setup)
    assert "X-Amz" not in caught.value.detail
    assert setup.between.count() == tries
    setup.between.up()
    assert await content(setup) == BODY + b"a.jpg"


async def test_a_body_that_does_not_match_its_entity_tag_is_fetched_again(setup: SimpleNamespace) -> None:
    setup.between.answer(answer("200 OK", BODY, 'ETag: "' + "0" * 32 + '"'), times=1)
    assert await content(setup) == BODY + b"a.jpg"
    assert setup.between.count("GET") == 2


async def test_an_entity_tag_that_is_no_md5_is_accepted_the_second_time(setup: SimpleNamespace) -> None:
    setup.between.answer(answer("200 OK", BODY, 'ETag: "' + "0" * 32 + '"'))
    for _ in range(20):
        assert await content(setup) == BODY
    assert setup.between.count("GET") == 21, "after the first fetch it is accepted at once"


@pytest.mark.parametrize("header", ["Last-Modified: garbage", "x-amz-missing-meta: abc"])
async def test_an_invalid_header_is_an_error(setup: SimpleNamespace, header: str) -> None:
    setup.between.answer(answer("200 OK", BODY, header))
    with pytest.raises(SourceUnavailable):
        await content(setup)


async def test_a_store_that_refuses_writes_is_still_read(setup: SimpleNamespace) -> None:
    setup.between.answer(answer("503 S", error("SlowDown")), only="PUT")
    for _ in range(6):
        with pytest.raises(Unavailable):
            await setup.bucket.put("x/2", b"", content_type="", cache_control="", metadata={})
    assert setup.bucket._writes._breaker.open
    assert await content(setup) == BODY + b"a.jpg"


@pytest.mark.parametrize(
    ("endpoint_url", "region"), [("http://my_minio:9000", "x"), ("http://127.0.0.1:9", "not a region")]
)
async def test_an_impossible_endpoint_or_region_is_refused_at_the_start(
    endpoint_url: str, region: str
) -> None:
    bucket = S3Bucket(
        S3Location(bucket="pics", endpoint_url=endpoint_url, region=region),
        access_key="k", secret_key="s", path_style=True, clock=time.monotonic, chance=lambda: 0.1,
    )  # fmt: skip
    with pytest.raises(RequestRefused, match="endpoint_url or region"):
        await bucket.__aenter__()


async def test_only_the_endpoint_is_connected_to(
    setup: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultyProxy("127.0.0.1", setup.store.port) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        bucket = S3Bucket(
            S3Location(bucket="pics", endpoint_url=setup.between.url),
            access_key="k", secret_key="s", path_style=True, clock=time.monotonic, chance=lambda: 0.1,
        )  # fmt: skip
        async with bucket:
            await bucket.check()
        assert proxy.count() == 0


async def test_the_entity_tag_of_an_encrypted_object_is_not_compared(setup: SimpleNamespace) -> None:
    headers = ('ETag: "' + "0" * 32 + '"', "x-amz-server-side-encryption: aws:kms")
    setup.between.answer(answer("200 OK", BODY, *headers))
    assert await content(setup) == BODY
    assert setup.between.count("GET") == 1


async def test_a_redirect_is_not_followed(setup: SimpleNamespace) -> None:
    with FaultyProxy("127.0.0.1", setup.store.port) as elsewhere:
        for status in ("301", "302", "303", "307", "308"):
            setup.between.answer(answer(f"{status} R", b"", f"Location: {elsewhere.url}/pics/shop/a.jpg"))
            with pytest.raises(SourceUnavailable):
                await content(setup)
        assert elsewhere.count() == 0


async def test_a_truncated_body_is_fetched_once_more(setup: SimpleNamespace) -> None:
    setup.between.cut(len(BODY) // 2)
    with pytest.raises(SourceUnavailable):
        await content(setup)
    assert setup.between.count("GET") == 2
    setup.between.up()
    assert await content(setup) == BODY + b"a.jpg"


async def test_truncated_bodies_do_not_open_the_circuit(setup: SimpleNamespace) -> None:
    setup.between.cut(len(BODY) // 2)
    for _ in range(guard.MAX_FAILURES + 1):
        with pytest.raises(
            SourceUnavailable, match="closed the connection|cut short|another number of bytes"
        ):
            await content(setup)
    assert not setup.bucket.circuit_open
    setup.between.up()
    assert await content(setup) == BODY + b"a.jpg"


async def test_a_flipped_byte_is_detected(setup: SimpleNamespace) -> None:
    setup.between.flip(1000)
    fetched = None
    try:
        fetched = await content(setup)
    except SourceUnavailable:
        return
    # Two equal bodies are accepted: the store has these bytes, and its entity tag is no MD5.
    assert setup.between.count("GET") == 2
    assert fetched != BODY


async def test_a_hanging_store_is_a_timeout(setup: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    setup.between.hang()
    with pytest.raises(SourceTimeout):
        await content(setup)


async def test_a_body_that_arrives_too_slowly_is_a_timeout(
    setup: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "MIN_RATE_AFTER_S", 0.3)
    setup.between.drip(4000)
    with pytest.raises(SourceTimeout):
        await content(setup)


async def test_an_unavailable_store_is_called_again_when_the_circuit_closes(
    setup: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup.between.down()
    for _ in range(5):
        with pytest.raises(SourceUnavailable):
            await content(setup)
    assert setup.bucket._reads._breaker.open
    setup.between.up()
    with pytest.raises(SourceUnavailable) as caught:
        await content(setup)
    assert caught.value.retry_after_s == 1
    assert setup.between.count() == 0, "it is not called while the circuit is open"

    async def served() -> bytes:
        with contextlib.suppress(SourceUnavailable):
            return await content(setup)
        return b""

    assert await eventually(served) == BODY + b"a.jpg"
    assert not setup.bucket._reads._breaker.open


async def test_refusals_do_not_open_the_circuit(setup: SimpleNamespace) -> None:
    for _ in range(10):
        with pytest.raises(OriginalNotFound):
            await content(setup, "nope.jpg")
    assert await content(setup)


async def test_retries_are_a_tenth_of_the_traffic(
    setup: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup.bucket._reads._breaker = SimpleNamespace(
        admits=lambda _: True, failed=lambda _: None, succeeded=lambda: None, open=False
    )
    monkeypatch.setattr(guard, "MAX_RETRY_PAUSE_S", 0.0)
    setup.between.answer(answer("503 Slow Down", error("SlowDown")))
    for _ in range(100):
        with pytest.raises(SourceUnavailable):
            await content(setup)
    assert 100 < setup.between.count() <= 111


async def test_a_cancelled_request_leaves_no_file(setup: SimpleNamespace) -> None:
    setup.between.drip(20_000)
    fetching = asyncio.create_task(content(setup))
    await eventually(setup.between.count)
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching


@pytest.mark.parametrize(
    ("raw", "failure"),
    [
        (answer("403 F", error("InvalidAccessKeyId")), RequestRefused),
        (answer("403 F", error("AccessDenied")), AccessDenied),
        (answer("404 N", error("NoSuchBucket")), RequestRefused),
        (answer("400 B", error("AuthorizationHeaderMalformed")), RequestRefused),
        (answer("503 S", error("SlowDown")), Unavailable),
    ],
)
async def test_the_check_at_the_start_names_the_wrong_setting(
    setup: SimpleNamespace, raw: bytes, failure: type[RemoteError]
) -> None:
    await setup.bucket.check()
    setup.between.answer(raw)
    with pytest.raises(failure):
        await setup.bucket.check()


async def test_missing_credentials_are_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    bucket = S3Bucket(
        S3Location(bucket="pics", endpoint_url="http://127.0.0.1:9"),
        access_key="", secret_key="", path_style=True, clock=time.monotonic, chance=lambda: 0.1,
    )  # fmt: skip
    async with bucket:
        with pytest.raises(RequestRefused) as caught:
            await bucket.check()
    assert "access_key" in str(caught.value)


async def test_objects_are_put_read_and_deleted(setup: SimpleNamespace) -> None:
    await setup.bucket.put(
        "x/1", b"body", content_type="image/webp", cache_control="max-age=3", metadata={"a": "b"}
    )
    assert await setup.bucket.metadata("x/1") == {"a": "b"}
    assert setup.store.metadata("pics", "x/1") == {"a": "b"}
    assert setup.store.headers("pics", "x/1")["cache-control"] == "max-age=3"
    sink = InMemory()
    head = await setup.bucket.get("x/1", sink, max_bytes=10)
    assert (bytes(sink.body), head.content_type, head.metadata) == (b"body", "image/webp", {"a": "b"})
    await setup.bucket.delete("x/1")
    with pytest.raises(Missing):
        await setup.bucket.metadata("x/1")
    with pytest.raises(Missing):
        await setup.bucket.get("x/1", sink, max_bytes=10)
