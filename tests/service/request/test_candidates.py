"""An original that is looked for under several names: a public id of Cloudinary and its suffixes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.core.admin.commands import PurgeCommand
from proxy.core.cache.generations import Purge, PurgeScope
from proxy.core.cache.variant_request import VariantRequest
from proxy.core.errors import OriginalNotFound, SourceUnavailable
from proxy.core.image.original import OriginalRef
from proxy.core.url.dialects.native.urls import DIALECT as NATIVE
from proxy.ports.originals import Version
from proxy.service.request.originals import STALE_IF_ERROR_S
from proxy.state.database import Database
from proxy.state.job_store import SCHEMA, SqliteJobStore
from tests.service.admin.conftest import counts, upload, warmed
from tests.service.composition import Composition
from tests.support.fakes import FakeMetrics, FakeWritableSource
from tests.support.waiting import deadline, settle

NAMES = ("b", "b.jpg", "b.png")
B, JPG, PNG = (OriginalRef("photos", key) for key in NAMES)


class Bucket(FakeWritableSource):
    """A source without versions, as S3: only a request for the tag or the bytes tells whether an original exists."""

    freshness_lifetime_s = float("inf")

    async def identify(self, key: str, known: str | None = None) -> Version:
        return Version(key, "")

    def put(self, key: str, content: bytes, version: str = "") -> OriginalRef:
        self.tags[key] = content.decode()
        return super().put(key, content, "")


class Node(Composition):
    """A node whose mount has suffixes, as one of Cloudinary."""

    def __init__(self, source: FakeWritableSource) -> None:
        super().__init__()
        self.source = self.originals.sources["photos"] = source
        [shop] = self.rules.mounts
        dialect = replace(NATIVE, settings=frozenset({"suffixes"}))
        shop = replace(shop, dialect=dialect, suffixes=("jpg", "png"))
        self.rules = self.rules._replace(mounts=[shop])

    def named(self, version: str = "") -> VariantRequest:
        request = self.request("b", "w_100,f_webp" + (f",v_{version}" if version else ""))
        return replace(request, alternatives=(JPG, PNG))


@asynccontextmanager
async def running(folder: Path, source: FakeWritableSource) -> AsyncIterator[Node]:
    database = Database(folder / "jobs.db", SCHEMA, FakeMetrics())
    made = Node(source)
    made.with_jobs(SqliteJobStore(database))

    async def at_once() -> None: ...

    made.pregeneration.start(at_once)
    await settle()
    yield made
    await made.pregeneration.close()
    await made.close()
    await database.close()


@pytest.fixture(params=[FakeWritableSource, Bucket], ids=["versions", "bucket"])
async def node(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Node]:
    async with running(tmp_path, request.param()) as made:
        yield made


@pytest.mark.parametrize("key", NAMES)
async def test_the_first_name_that_exists_is_the_original(node: Node, key: str) -> None:
    node.source.put("b.png", b"png ")
    node.source.put(key, b"first ")
    request = node.named()
    assert (await node.get(request)).startswith(b"first ")
    assert node.deliver.fresh_hit(request) is not None
    own = await node.produce.resolve_key(node.request(key), deadline=deadline())
    assert own.key == (await node.produce.resolve_key(request, deadline=deadline())).key
    async with node.deliver.open_current(B, JPG, PNG, deadline=deadline()) as original:
        assert original.file.size_bytes == len(b"first ")


async def test_what_is_known_of_the_names_is_remembered(node: Node) -> None:
    node.source.put("b.png", b"png ")
    request = node.named()
    await asyncio.gather(*(node.get(request) for _ in range(9)))
    questions = node.source.identified, node.source.tag_requests
    assert sum(questions) == 3
    await node.get(node.named())
    await node.get(replace(request, transform=node.request("b", "w_200,f_webp").transform))
    assert (node.source.identified, node.source.tag_requests) == questions


async def test_a_front_has_records_of_the_names_that_were_needed(node: Node) -> None:
    node.source.put("b.jpg", b"jpg ")
    await node.get(node.named())
    assert set(node.deliver._originals) == {B, JPG}


async def test_no_name_exists(node: Node) -> None:
    for ahead_s, lasts_s in ((0.0, 60.0), (20.0, 40.0)):
        node.clock.ahead_s = ahead_s
        with pytest.raises(OriginalNotFound, match="nor with another suffix") as caught:
            await node.get(node.named())
        assert caught.value.lasts_s == pytest.approx(lasts_s, abs=0.1)
    assert node.source.identified + node.source.tag_requests == 3
    node.source.put("b.png", b"png ")
    node.clock.ahead_s = 60.0
    assert (await node.get(node.named())).startswith(b"png ")


async def test_a_missing_name_is_checked_again_after_a_minute(node: Node) -> None:
    node.source.put("b.png", b"png ")
    node.source.freshness_lifetime_s = float("inf")
    request = node.named()
    old = await node.get(request)
    node.source.put("b.jpg", b"jpg ")
    node.clock.ahead_s = 59.0
    assert await node.get(request) == old
    node.clock.ahead_s = 61.0
    assert (await node.get(request)).startswith(b"jpg ")


@pytest.mark.parametrize("purged", [B, JPG, PNG])
async def test_a_purge_of_any_name_forgets_the_finding(node: Node, purged: OriginalRef) -> None:
    node.source.put("b.png", b"png ")
    request = node.named()
    await node.get(request)
    node.source.put(purged.key, b"new ")
    await node.dispatch.execute(PurgeCommand(mount="shop", original=purged.key))
    assert node.deliver.fresh_hit(request) is None
    assert (await node.get(request)).startswith(b"new ")


async def test_a_purge_of_a_url_looks_at_the_names_anew(node: Node) -> None:
    dispatch = node.dispatch
    node.source.put("b.png", b"png ")
    request = node.named()
    await node.get(request)
    del node.source.originals["b.png"]
    node.source.put("b.jpg", b"jpg ")
    [shop] = node.rules.mounts
    native_parse = shop.dialect.parse
    dialect = replace(
        shop.dialect,
        parse=lambda target, reading: replace(native_parse(target, reading), alternatives=NAMES[1:]),
    )
    node.rules = node.rules._replace(mounts=[replace(shop, dialect=dialect)])
    await dispatch.execute(PurgeCommand(mount="shop", url="/w_100,f_webp/b"))
    assert (await node.get(request)).startswith(b"jpg ")
    del node.source.originals["b.jpg"]
    await dispatch.execute(PurgeCommand(mount="shop", url="/w_100,f_webp/b"))
    with pytest.raises(OriginalNotFound):
        await node.get(request)


async def test_an_upload_of_any_name_forgets_the_finding(node: Node) -> None:
    node.source.put("b.png", b"png ")
    node.source.freshness_lifetime_s = float("inf")
    request = node.named()
    await node.get(request)
    await upload(node, b"new ", key="b.jpg")
    assert node.deliver.fresh_hit(request) is None
    assert (await node.get(request)).startswith(b"new ")


async def test_another_node_learns_of_a_new_original(node: Node) -> None:
    node.source.put("b.png", b"png ")
    node.source.freshness_lifetime_s = float("inf")
    request = node.named()
    await node.get(request)
    node.source.put("b.jpg", b"new ")
    await node.purges.apply_remote([Purge(PurgeScope.of_original(JPG), "")])
    assert node.deliver.fresh_hit(request) is None
    assert (await node.get(request)).startswith(b"new ")


async def test_an_original_that_is_gone_gives_way_to_the_next_name(node: Node) -> None:
    node.source.put("b.jpg", b"jpg ")
    node.source.put("b.png", b"png ")
    request = node.named()
    await node.get(request)
    del node.source.originals["b.jpg"]
    node.clock.ahead_s = 61.0
    fresh = replace(request, transform=node.request("b", "w_200,f_webp").transform)
    if isinstance(node.source, Bucket):
        with pytest.raises(OriginalNotFound):
            await node.get(fresh)
    assert (await node.get(fresh)).startswith(b"png ")


async def test_a_version_of_the_url_revalidates_the_original_that_was_found(node: Node) -> None:
    node.source.put("b.png", b"png ")
    request = node.named("1")
    delivered = await node.deliver.variant(request, deadline=deadline())
    assert not delivered.delivery.provisional
    node.source.put("b.png", b"new ", "2")
    assert (await node.get(node.named("2"))).startswith(b"new ")


async def test_pregeneration_finds_the_original(node: Node) -> None:
    node.source.put("b.png", b"png ")
    progress = await warmed(node, keys=("b",), transforms=("w_100,f_webp",))
    assert counts(progress) == (1, 1, 0, 0)
    assert (await node.get(node.request("b.png"))).startswith(b"png ")
    assert node.renderer.renders == 1


async def test_a_name_stays_missing_while_the_source_is_down(node: Node) -> None:
    node.source.serves_stale = not isinstance(node.source, Bucket)
    node.source.put("b.png", b"png ")
    request = node.named()
    body = await node.get(request)
    await settle()
    node.source.failure = SourceUnavailable("down")
    node.clock.ahead_s = 61.0
    assert await node.get(request) == body
    requests = node.source.tag_requests
    node.clock.ahead_s += STALE_IF_ERROR_S - 1
    assert await node.get(request) == body
    assert node.source.tag_requests == requests


async def test_a_source_that_is_down_is_unavailable_for_names_that_are_not_known(node: Node) -> None:
    node.source.serves_stale = not isinstance(node.source, Bucket)
    node.source.failure = SourceUnavailable("down")
    with pytest.raises(SourceUnavailable):
        await node.get(node.named())
