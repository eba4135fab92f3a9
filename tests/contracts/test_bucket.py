"""The bucket tier over every object store, and over one that fails or returns wrong objects."""

import asyncio
import itertools
import math
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from proxy.core.cache.delivery import Variant
from proxy.core.cache.envelope import digest
from proxy.core.cache.keys import CacheKey
from proxy.core.image.formats import Format
from proxy.core.url.original_urls import S3Location
from proxy.ports.clock import Clock
from proxy.ports.tiers import Presence
from proxy.remote.errors import Unavailable
from proxy.remote.s3 import S3Bucket
from proxy.tiers import bucket as bucket_module
from proxy.tiers.bucket import DIGEST, BucketTier, NoFlags, StoredObject
from proxy.tiers.object_stores import DirectoryObjectStore, S3ObjectStore
from tests.support import servers
from tests.support.fakes import FakeClock, FakeMetrics, FakeObjectStore, FakePresenceFlags
from tests.support.servers import Store
from tests.support.tcp_faults import FaultyProxy
from tests.support.waiting import settle

KEY, OTHER = (CacheKey(digest * 32, Format.WEBP) for digest in ("ab", "cd"))
VARIANT = Variant(body=b"picture" * 1000)
NAME = f"thumbnails/ab/{KEY.digest}.webp"


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with servers.moto(tmp_path_factory.mktemp("moto")) as store:
        store.bucket("processed")
        yield store


def tier(
    objects: object, flags: object, metrics: FakeMetrics, public_url: str = "", clock: Clock | None = None
) -> BucketTier:
    return BucketTier(
        objects,  # type: ignore[arg-type]
        flags,  # type: ignore[arg-type]
        prefix="thumbnails", public_url=public_url, metrics=metrics, clock=clock or FakeClock(), chance=lambda: 0.0,
    )  # fmt: skip


@pytest.fixture(params=["fake", "directory", "s3"])
async def setup(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SimpleNamespace]:
    """A bucket tier, its flags, and `swap(name, body)`, which replaces an object without the tier."""
    monkeypatch.setattr(bucket_module, "RETRY_PAUSE_S", 0.001)
    flags, metrics = FakePresenceFlags(), FakeMetrics()
    async with AsyncExitStack() as stack:
        if request.param == "s3":
            store: Store = request.getfixturevalue("moto")
            s3 = S3Bucket(
                S3Location(bucket="processed", endpoint_url=store.endpoint_url),
                access_key="k", secret_key="s", path_style=True, clock=time.monotonic, chance=lambda: 0.1,
            )  # fmt: skip
            objects: object = S3ObjectStore(await stack.enter_async_context(s3))

            def swap(name: str, body: bytes | None) -> None:
                if body is None:
                    store.delete("processed", name)
                else:
                    store.put("processed", name, body, metadata=store.metadata("processed", name))

            for key in store.keys("processed"):
                store.delete("processed", key)
        elif request.param == "directory":
            objects = DirectoryObjectStore(tmp_path, time.monotonic)

            def swap(name: str, body: bytes | None) -> None:
                if body is None:
                    (tmp_path / name).unlink()
                else:
                    (tmp_path / name).write_bytes(body)
        else:
            objects = fake = FakeObjectStore()
            swap = fake.swap
        yield SimpleNamespace(
            tier=tier(objects, flags, metrics), flags=flags, metrics=metrics, swap=swap, objects=objects
        )


async def test_a_missing_object_is_a_miss_and_flagged_absent(setup: SimpleNamespace) -> None:
    assert await setup.tier.lookup(KEY) is None
    assert setup.flags.flags == {KEY.digest: Presence.ABSENT}


async def test_a_stored_variant_is_found_and_flagged_present(setup: SimpleNamespace) -> None:
    await setup.tier.store(KEY, VARIANT)
    assert setup.flags.flags == {KEY.digest: Presence.PRESENT}
    assert setup.flags.ended == [KEY.digest]
    assert await setup.tier.lookup(KEY) == VARIANT
    assert await setup.tier.lookup(KEY._replace(format=Format.PNG)) is None
    assert setup.metrics.counts == {}


async def test_facts_are_stored_like_variants(setup: SimpleNamespace) -> None:
    facts = Variant(body=b"{}")
    key = CacheKey("ab" * 32)
    await setup.tier.store(key, facts)
    assert await setup.tier.lookup(key) == facts


async def test_an_object_without_a_flag_gets_its_flag(setup: SimpleNamespace) -> None:
    await setup.tier.store(KEY, VARIANT)
    setup.flags.flags.clear()
    assert await setup.tier.lookup(KEY) == VARIANT
    assert setup.flags.flags == {KEY.digest: Presence.PRESENT}


async def test_an_absent_flag_saves_the_lookup(setup: SimpleNamespace) -> None:
    await setup.tier.store(KEY, VARIANT)
    setup.flags.flags[KEY.digest] = Presence.ABSENT
    assert await setup.tier.lookup(KEY) is None


async def test_a_wrong_flag_is_removed(setup: SimpleNamespace) -> None:
    setup.flags.flags[KEY.digest] = Presence.PRESENT
    assert await setup.tier.lookup(KEY) is None
    assert setup.flags.flags == {}


@pytest.mark.parametrize(
    "body", [b"", b"<html>", VARIANT.body[:-1], VARIANT.body + b"x", b"q" + VARIANT.body[1:]]
)
async def test_a_tampered_object_is_a_miss_and_counted(setup: SimpleNamespace, body: bytes) -> None:
    await setup.tier.store(KEY, VARIANT)
    setup.swap(NAME, body)
    assert await setup.tier.lookup(KEY) is None
    assert setup.metrics.counts == {"bucket damaged": 1}
    assert setup.flags.flags == {}
    await setup.tier.store(KEY, VARIANT)
    assert await setup.tier.lookup(KEY) == VARIANT


async def test_a_deleted_object_is_a_miss(setup: SimpleNamespace) -> None:
    await setup.tier.store(KEY, VARIANT)
    setup.swap(NAME, None)
    assert await setup.tier.lookup(KEY) is None


async def test_objects_have_the_documented_name_headers_and_metadata(moto: Store) -> None:
    s3 = S3Bucket(
        S3Location(bucket="processed", endpoint_url=moto.endpoint_url),
        access_key="k", secret_key="s", path_style=True, clock=time.monotonic, chance=lambda: 0.1,
    )  # fmt: skip
    async with s3:
        await tier(S3ObjectStore(s3), NoFlags(), FakeMetrics()).store(KEY, VARIANT)
    assert moto.get("processed", NAME) == VARIANT.body, (
        "a plain picture, because clients are redirected to it"
    )
    headers = moto.headers("processed", NAME)
    assert headers["content-type"] == "image/webp"
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert moto.metadata("processed", NAME) == {DIGEST: digest(KEY, VARIANT)}


async def test_a_notice_is_stored_beside_the_plain_picture(setup: SimpleNamespace) -> None:
    noted = replace(VARIANT, notice="gravity;asked=face;made=auto")
    await setup.tier.store(KEY, noted)
    assert await setup.tier.lookup(KEY) == noted
    setup.swap(NAME, VARIANT.body + b"x")
    assert await setup.tier.lookup(KEY) is None


async def test_a_directory_bucket_holds_plain_pictures(tmp_path: Path) -> None:
    await tier(DirectoryObjectStore(tmp_path, time.monotonic), NoFlags(), FakeMetrics()).store(KEY, VARIANT)
    assert (tmp_path / NAME).read_bytes() == VARIANT.body
    assert list((tmp_path / ".calotype-parts").iterdir()) == []


async def test_a_missing_directory_is_a_miss_without_a_flag(tmp_path: Path) -> None:
    flags, metrics = FakePresenceFlags(), FakeMetrics()
    gone = tier(DirectoryObjectStore(tmp_path / "gone", time.monotonic), flags, metrics)
    assert await gone.lookup(KEY) is None
    assert flags.flags == {}
    assert metrics.counts == {"bucket io": 1}


async def test_a_failing_store_is_a_miss_without_a_flag() -> None:
    objects, flags, metrics = FakeObjectStore(), FakePresenceFlags(), FakeMetrics()
    objects.fault = Unavailable()
    assert await tier(objects, flags, metrics).lookup(KEY) is None
    assert flags.flags == {}
    assert metrics.counts == {"bucket unavailable": 1}


async def test_a_hanging_directory_opens_the_circuit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.tiers.object_stores.LOOKUP_TIMEOUT_S", 0.02)
    # The clock stands still, so that the circuit stays open.
    objects, metrics = DirectoryObjectStore(tmp_path, lambda: 0.0), FakeMetrics()
    answers = threading.Event()
    monkeypatch.setattr(objects, "_get", lambda _: answers.wait() and None)
    hanging = tier(objects, FakePresenceFlags(), metrics)
    for _ in range(8):
        assert await hanging.lookup(KEY) is None
    answers.set()
    assert metrics.counts == {"bucket timeout": 5, "bucket circuit-open": 3}


async def test_a_hanging_store_opens_the_circuit(moto: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.tiers.object_stores.LOOKUP_TIMEOUT_S", 0.02)
    metrics = FakeMetrics()
    with FaultyProxy("127.0.0.1", moto.port) as between:
        s3 = S3Bucket(
            S3Location(bucket="processed", endpoint_url=between.url),
            access_key="k", secret_key="s", path_style=True, clock=lambda: 0.0, chance=lambda: 0.1,
        )  # fmt: skip
        async with s3:
            between.hang()
            hanging = tier(S3ObjectStore(s3), FakePresenceFlags(), metrics)
            for _ in range(8):
                assert await hanging.lookup(KEY) is None
    assert metrics.counts == {"bucket timeout": 5, "bucket circuit-open": 3}


async def test_a_put_is_attempted_three_times_and_ends_its_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_module, "RETRY_PAUSE_S", 0.001)
    objects, flags, metrics = FakeObjectStore(), FakePresenceFlags(), FakeMetrics()
    objects.fault = Unavailable()
    bucket = tier(objects, flags, metrics)
    await bucket.store(KEY, VARIANT)
    assert objects.puts == 3
    assert flags.flags == {}, "no flag without an object"
    assert flags.ended[0] == KEY.digest, "other nodes wait only for the first attempt"
    assert metrics.counts == {"bucket unavailable": 3, "bucket dropped": 1}
    objects.faults_left = 2
    await bucket.store(KEY, VARIANT)
    assert flags.flags == {KEY.digest: Presence.PRESENT}
    assert await bucket.lookup(KEY) == VARIANT


async def test_a_cancelled_put_ends_its_lease() -> None:
    objects, flags = FakeObjectStore(), FakePresenceFlags()
    objects.release.clear()
    storing = asyncio.create_task(tier(objects, flags, FakeMetrics()).store(KEY, VARIANT))
    await settle()
    storing.cancel()
    await asyncio.gather(storing, return_exceptions=True)
    assert flags.ended == [KEY.digest]
    assert flags.flags == {}


# Redirects of clients to the bucket.


async def test_a_flagged_object_has_a_location() -> None:
    objects, flags = FakeObjectStore(), FakePresenceFlags()
    public = tier(objects, flags, FakeMetrics(), "https://cdn.example/b")
    assert await public.location(KEY, until_s=math.inf) == ""
    await public.store(KEY, VARIANT)
    assert await public.location(KEY, until_s=math.inf) == f"https://cdn.example/b/{NAME}"
    signed = tier(objects, flags, FakeMetrics())
    assert await signed.location(KEY, until_s=math.inf) == f"signed:{NAME}:3600"
    now_s = asyncio.get_running_loop().time()
    assert await signed.location(KEY, until_s=now_s + 99.9) == f"signed:{NAME}:99"
    for until_s in (now_s + 0.9, now_s, now_s - 9):
        assert await signed.location(KEY, until_s=until_s) == "", "no time is left"
    flags.flags.clear()
    assert await signed.location(KEY, until_s=math.inf) == "", "a variant with an unknown flag is proxied"


async def test_a_signed_location_is_reused_for_half_of_its_lifetime() -> None:
    objects, flags, at_s = FakeObjectStore(), FakePresenceFlags(), [1000.0]
    counted = itertools.count()

    async def signed(name: str, seconds: int) -> str:
        return f"{next(counted)}:{seconds}"

    objects.signed = signed  # type: ignore[method-assign]
    bucket = tier(objects, flags, FakeMetrics(), clock=lambda: at_s[0])
    await bucket.store(KEY, VARIANT)
    now_s = at_s[0]

    async def location(until_s: float) -> str:
        return await bucket.location(KEY, until_s=until_s)

    assert await location(math.inf) == "0:3600"
    assert await location(now_s + 9000) == "0:3600", "the signature expires before the URL of the request"
    assert await location(now_s + 100) == "1:100", "the signature expires with the URL of the request"
    at_s[0] = now_s + 49
    assert await location(now_s + 100) == "1:100"
    at_s[0] = now_s + 50
    assert await location(now_s + 100) == "2:50"
    at_s[0] = now_s + 1799
    assert await location(math.inf) == "0:3600"
    assert await location(now_s + 1800) == "3:1"
    at_s[0] = now_s + 1800
    assert await location(math.inf) == "4:3600"
    assert await location(now_s + 1800) == ""


async def test_a_wrong_presence_flag_causes_no_redirect() -> None:
    objects, flags = FakeObjectStore(), FakePresenceFlags()
    flags.flags[KEY.digest] = Presence.PRESENT
    public = tier(objects, flags, FakeMetrics(), "https://cdn.example/b")
    assert await public.location(KEY, until_s=math.inf) == ""
    assert flags.flags == {}
    objects.objects[NAME] = StoredObject(body=b"<html>", content_type="", cache_control="", metadata={})
    flags.flags[KEY.digest] = Presence.PRESENT
    assert await public.location(KEY, until_s=math.inf) == "", "the node has not stored this object"


async def test_an_object_is_checked_once_a_minute() -> None:
    objects, flags, metrics = FakeObjectStore(), FakePresenceFlags(), FakeMetrics()
    public = tier(objects, flags, metrics, "https://cdn.example/b")
    await public.store(KEY, VARIANT)
    for _ in range(10):
        assert await public.location(KEY, until_s=math.inf)
    assert objects.metadata_calls == 1
    objects.fault = Unavailable()
    await public.store(OTHER, VARIANT)
    flags.flags[OTHER.digest] = Presence.PRESENT
    assert await public.location(OTHER, until_s=math.inf) == "", "an object that cannot be checked is proxied"


async def test_a_directory_has_no_signed_locations(tmp_path: Path) -> None:
    flags, metrics = FakePresenceFlags(), FakeMetrics()
    private = tier(DirectoryObjectStore(tmp_path, time.monotonic), flags, metrics)
    await private.store(KEY, VARIANT)
    assert await private.location(KEY, until_s=math.inf) == ""
    assert metrics.counts == {"bucket unsigned": 1}


async def test_an_object_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.tiers.object_stores.MAX_OBJECT_BYTES", 10)
    metrics = FakeMetrics()
    bucket = tier(DirectoryObjectStore(tmp_path, time.monotonic), FakePresenceFlags(), metrics)
    await bucket.store(KEY, VARIANT)
    assert await bucket.lookup(KEY) is None
    assert metrics.counts == {"bucket too-large": 1}


async def test_invalid_metadata_in_a_directory_is_empty_metadata(tmp_path: Path) -> None:
    objects = DirectoryObjectStore(tmp_path, time.monotonic)
    await objects.put("x/1", StoredObject(body=b"b", content_type="", cache_control="", metadata={"a": "b"}))
    (tmp_path / "x/1.json").write_bytes(b"no json")
    found = await objects.get("x/1")
    assert found is not None
    assert found.metadata == {}
    assert await objects.metadata("x/1") == {}
    assert await objects.metadata("x/2") is None
