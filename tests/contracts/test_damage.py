"""Damage to any file of a node is a miss: each byte flipped, each length cut, and another kind of file under its name."""

import asyncio
import functools
import hashlib
import os
import random
import re
import shutil
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import structlog

from proxy.core.admin.jobs import JobFailure, PregenerationSpec
from proxy.core.cache.delivery import Variant
from proxy.core.cache.envelope import digest
from proxy.core.cache.generations import Generations, Purge, PurgeScope, ScopeKind
from proxy.core.cache.keys import CacheKey, Entry, LastEvent, original_key
from proxy.core.image.formats import Format
from proxy.core.image.original import Identity, OriginalRef
from proxy.core.url.original_urls import S3Location
from proxy.fleet import purge_log
from proxy.fleet.presence import RedisPresence
from proxy.ports.tiers import Presence
from proxy.remote import guard
from proxy.remote.errors import RemoteError
from proxy.remote.s3 import S3Bucket
from proxy.sources.original_store import DiskOriginalStore
from proxy.state.database import Database
from proxy.state.entry_index import SCHEMA as INDEX_SCHEMA
from proxy.state.entry_index import SqliteEntryIndex
from proxy.state.job_store import SCHEMA as JOBS_SCHEMA
from proxy.state.job_store import SqliteJobStore
from proxy.state.node_state import NodeState
from proxy.state.purge_journal import PurgeJournalFile
from proxy.tiers import object_stores as objects_module
from proxy.tiers.bucket import DIGEST, BucketTier
from proxy.tiers.disk import DiskTier
from proxy.tiers.object_stores import DirectoryObjectStore, S3ObjectStore
from tests.support import servers
from tests.support.fakes import FakeClock, FakeMetrics, FakePresenceFlags
from tests.support.servers import Redis
from tests.support.waiting import eventually

KEY = CacheKey("ab" * 32, Format.WEBP)
VARIANT = Variant(body=bytes(range(0, 250, 5)), of="photos:a b/é.jpg")


def numbered(number: int) -> CacheKey:
    return CacheKey(f"{number:064x}", Format.WEBP)


BUCKET_FILES = [f"thumbnails/ab/{KEY.digest}.webp", f"thumbnails/ab/{KEY.digest}.webp.json"]

OTHER_JSON = [
    b"null", b"true", b"1", b"-0.5e300", b'"text"', b"[]", b"{}", b"[[]]", b'[{"a": "b"}]', b'{"a": null}',
    b'{"a": 1}', b'{"a": ["b"]}', b'{"a": {"b": "c"}}', b'{"calotype-digest": 0}', b'{"calotype-digest": ""}',
    b'{"calotype-digest": "\xff"}', b'{"\xff": "a"}', b'{"calotype-digest": "\\ud800"}', b'\xef\xbb\xbf{}',
    b"{" * 9999, b"[" * 99_999, b'{"a":' * 99_999, b"\0" * 99, b"NaN", b"1" * 9999, '{"a": "b"}'.encode("utf-16"),
]  # fmt: skip


def damaged(content: bytes) -> Iterator[bytes]:
    """`content` with each byte flipped, in one bit, in its high bit and in all, and cut at each length."""
    for at in range(len(content)):
        for mask in (0x01, 0x80, 0xFF):
            yield content[:at] + bytes([content[at] ^ mask]) + content[at + 1 :]
        yield content[:at]
    yield content + b"\xff"


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


REPLACEMENTS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "a directory": lambda path: path.mkdir(),
    "a directory with something in it": lambda path: (path / "x").mkdir(parents=True),
    "a pipe": lambda path: os.mkfifo(path),
    "a socket": a_socket,
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to a directory": lambda path: ((path.parent / "aim").mkdir(), path.symlink_to("aim")),
    "a link to a device without an end": lambda path: path.symlink_to("/dev/zero"),
    "a file without an end": lambda path: (path.touch(), os.truncate(path, 2**40)),
}


def a_bucket(folder: Path) -> tuple[BucketTier, FakeMetrics]:
    metrics = FakeMetrics()
    bucket = BucketTier(
        DirectoryObjectStore(folder, time.monotonic), FakePresenceFlags(),
        prefix="thumbnails", public_url="", metrics=metrics, clock=FakeClock(), chance=lambda: 0.0,
    )  # fmt: skip
    return bucket, metrics


async def read_everything(bucket: BucketTier) -> Variant | None:
    """Calls each method of the bucket that reads, and returns the result of the lookup."""
    found = await bucket.lookup(KEY)
    await bucket.contains(KEY)
    with suppress(RemoteError):
        await bucket.original_of(KEY)
    assert await bucket.location(KEY, until_s=1e9) == ""
    return found


@pytest.mark.parametrize("file", BUCKET_FILES)
async def test_each_byte_of_a_directory_bucket(tmp_path: Path, file: str) -> None:
    bucket, metrics = a_bucket(tmp_path)
    assert await bucket.store(KEY, VARIANT)
    path = tmp_path / file
    whole = path.read_bytes()
    misses = 0
    for content in damaged(whole):
        path.write_bytes(content)
        found = await read_everything(bucket)
        # The metadata that names the original may be damaged; the picture is right.
        assert found is None or found.body == VARIANT.body
        misses += found is None
    assert misses >= 4 * 32
    path.write_bytes(whole)
    assert await bucket.lookup(KEY) is not None, "the bucket is used again"
    assert set(metrics.counts) <= {"bucket damaged", "bucket unsigned"}


@pytest.mark.parametrize("content", OTHER_JSON, ids=lambda content: repr(content[:24]))
async def test_other_json_as_the_metadata_of_an_object(tmp_path: Path, content: bytes) -> None:
    bucket, metrics = a_bucket(tmp_path)
    await bucket.store(KEY, VARIANT)
    (tmp_path / BUCKET_FILES[1]).write_bytes(content)
    assert await read_everything(bucket) is None
    assert metrics.counts["bucket damaged"] == 1
    assert await bucket.store(KEY, VARIANT)
    assert await bucket.lookup(KEY) == Variant(body=VARIANT.body)


@pytest.mark.parametrize("file", [*BUCKET_FILES, "thumbnails/ab", "thumbnails"])
@pytest.mark.parametrize("replacement", REPLACEMENTS)
async def test_another_kind_of_file_as_a_file_of_a_directory_bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, replacement: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(objects_module, "LOOKUP_TIMEOUT_S", 60.0)
    bucket, metrics = a_bucket(tmp_path)
    await bucket.store(KEY, VARIANT)
    path = tmp_path / file
    path.rename(tmp_path / "away")
    REPLACEMENTS[replacement](path)
    assert await read_everything(bucket) is None
    assert "bucket timeout" not in metrics.counts, "no thread hangs"


def identity(key: str = "a.jpg") -> Identity:
    return Identity(OriginalRef("photos", key), "1")


async def store(tier: DiskOriginalStore, target: Identity, content: bytes) -> Path:
    incoming = tier.receive(target.ref)
    await incoming.begin()
    await incoming.write(content)
    (await incoming.commit(target.version)).close()
    await incoming.discard()
    return tier.path(original_key(target))


async def test_each_byte_of_a_stored_original(tmp_path: Path) -> None:
    tier = DiskOriginalStore(
        tmp_path / "originals", max_bytes=2**24, metrics=FakeMetrics(), generations=Generations()
    )
    path = await store(tier, identity(), b"picture")
    whole = path.read_bytes()
    for content in damaged(whole):
        await store(tier, identity(), b"picture")
        path.write_bytes(content)
        assert await tier.lookup(identity()) is None
    tier.close()


@pytest.mark.parametrize("replacement", REPLACEMENTS)
async def test_another_kind_of_file_as_a_stored_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replacement: str
) -> None:
    monkeypatch.chdir(tmp_path)
    tier = DiskOriginalStore(
        tmp_path / "originals", max_bytes=2**24, metrics=FakeMetrics(), generations=Generations()
    )
    for name, kind in (("a.jpg", "file"), ("b.jpg", "folder")):
        path = await store(tier, identity(name), b"picture")
        path = path if kind == "file" else path.parent
        path.rename(tmp_path / kind)
        REPLACEMENTS[replacement](path)
        open_files = len(os.listdir("/proc/self/fd"))
        assert await tier.lookup(identity(name)) is None
        assert len(os.listdir("/proc/self/fd")) == open_files
        await store(tier, identity(name), b"picture")
        found = await tier.lookup(identity(name))
        if found is not None:
            assert os.pread(found.fileno(), 7, 0) == b"picture"
            found.close()
    tier.close()
    # A node starts with the replacement in its directory.
    DiskOriginalStore(
        tmp_path / "originals", max_bytes=2**24, metrics=FakeMetrics(), generations=Generations()
    ).close()


async def filled(folder: Path, count: int) -> None:
    tier = DiskTier(folder, max_bytes=2**24, metrics=FakeMetrics())
    for number in range(count):
        assert await tier.store(numbered(number), VARIANT)
    await tier.close()


def file_of(folder: Path, number: int) -> Path:
    with sqlite3.connect(folder / "cache.db") as database:
        [(name,)] = database.execute("SELECT filename FROM Cache WHERE key = ?", (f"{number:064x}",))
    database.close()
    return folder / str(name)


async def test_each_byte_of_an_entry_of_the_disk_tier(tmp_path: Path) -> None:
    await filled(tmp_path / "one", 1)
    count = len([*damaged(file_of(tmp_path / "one", 0).read_bytes())])
    await filled(tmp_path / "cache", count)
    for number in range(count):
        path = file_of(tmp_path / "cache", number)
        path.write_bytes([*damaged(path.read_bytes())][number])
    metrics = FakeMetrics()
    tier = DiskTier(tmp_path / "cache", max_bytes=2**24, metrics=metrics)
    for number in range(count):
        assert await tier.lookup(numbered(number)) is None
    await tier.close()
    assert metrics.counts == {"disk damaged": count}


@pytest.mark.parametrize("replacement", REPLACEMENTS)
async def test_another_kind_of_file_as_an_entry_of_the_disk_tier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replacement: str
) -> None:
    monkeypatch.chdir(tmp_path)
    await filled(tmp_path / "cache", 2)
    for number, kind in enumerate(("file", "folder")):
        path = file_of(tmp_path / "cache", number)
        path = path if kind == "file" else path.parent
        path.rename(tmp_path / kind)
        REPLACEMENTS[replacement](path)
    metrics = FakeMetrics()
    tier = DiskTier(tmp_path / "cache", max_bytes=2**24, metrics=metrics)
    for number in range(2):
        assert await tier.lookup(numbered(number)) is None
        await tier.store(numbered(number), VARIANT)
        assert await tier.lookup(numbered(number)) is not None, metrics.counts
    await tier.close()


EVERY_BYTE = bool(os.environ.get("EVERY_BYTE"))
"""Whether to flip each byte of a database, which takes half an hour, and not some of them."""


async def is_stored(tier: DiskTier) -> bool:
    await tier.store(KEY, VARIANT)
    return await tier.lookup(KEY) is not None


@pytest.mark.parametrize("part", range(2))
async def test_the_database_of_the_disk_tier(tmp_path: Path, part: int) -> None:
    await filled(tmp_path / "whole", 3)
    whole = (tmp_path / "whole/cache.db").read_bytes()
    chance = random.Random(part)
    # Most of a page is empty, so most positions are of bytes that are in use.
    in_use = [at for at in range(len(whole)) if whole[at]]
    positions: Iterable[int] = [*chance.choices(in_use, k=25), *chance.choices(range(len(whole)), k=10)]
    if EVERY_BYTE:
        positions = range(part, len(whole), 2)
    for at in positions:
        folder = tmp_path / "cache"
        shutil.copytree(tmp_path / "whole", folder)
        flipped = whole[:at] + bytes([whole[at] ^ chance.choice((0x01, 0x80, 0xFF))]) + whole[at + 1 :]
        (folder / "cache.db").write_bytes(flipped)
        tier = DiskTier(folder, max_bytes=2**24, metrics=FakeMetrics())
        for number in range(3):
            found = await tier.lookup(numbered(number))
            assert found in (None, Variant(body=VARIANT.body)), at
            assert await tier.contains(numbered(number)) in (True, False)
            await tier.store(numbered(number), VARIANT)
            await tier.remove(numbered(number))
        # A damaged database is set aside by the store, lookup or sweep that reads the damage. Then the tier works again.
        await eventually(functools.partial(is_stored, tier))
        await tier.close()
        for left in tmp_path.glob("cache*"):
            shutil.rmtree(left)


def a_purge(key: str, token: str) -> Purge:
    return Purge(PurgeScope("photos", ScopeKind.ORIGINAL, key), token)


@pytest.mark.parametrize("count", [1, 3])
def test_each_byte_of_the_journal_of_purges(tmp_path: Path, count: int) -> None:
    """A purge that was answered is read again, or the loss is detected. After a loss everything is purged."""
    path = tmp_path / "purges"
    purges = [a_purge(f"{number}/é.jpg", f"{number:016x}") for number in range(count)]
    PurgeJournalFile(path).append(purges)
    whole = path.read_bytes()
    for at, byte in enumerate(whole):
        for mask in (0x01, 0x80, 0xFF):
            path.write_bytes(whole[:at] + bytes([byte ^ mask]) + whole[at + 1 :])
            table = Generations()
            assert not PurgeJournalFile(path).read(table) or [*table] == purges, (at, mask)
            PurgeJournalFile(path).append([a_purge("next", "f" * 16)])
            again = Generations()
            PurgeJournalFile(path).read(again)
            assert [*again] == [*table, a_purge("next", "f" * 16)]


def node_name(folder: Path) -> str:
    records = NodeState.open(
        folder, ["photos"], Generations(), FakeMetrics(), structlog.wrap_logger(structlog.ReturnLogger()),
        jobs_directory=folder, is_exclusive=True, salt=lambda: "0" * 16,
    )  # fmt: skip
    records.instances.close()
    records.lock.close()
    for database in records.databases:
        database._connection.close()
        database._thread.shutdown()
    return records.name


def test_each_byte_of_a_nodes_name(tmp_path: Path) -> None:
    name = node_name(tmp_path)
    assert node_name(tmp_path) == name
    path = tmp_path / "node"
    for content in (*damaged(path.read_bytes()), b"", b"a/b", b"\n", b"x" * 9999):
        path.write_bytes(content)
        given = node_name(tmp_path)
        assert re.fullmatch(r"[0-9a-f]{16}-[0-9]+", given)
        assert node_name(tmp_path) == given


REF = OriginalRef("photos", "a.jpg")


async def use_index(path: Path) -> None:
    database = Database(path, INDEX_SCHEMA, FakeMetrics())
    index = SqliteEntryIndex(database)
    for number, key in enumerate(("a.jpg", "b.jpg")):
        index.note([OriginalRef("photos", key)], Entry(numbered(number)), "plan")
    await index.flush()
    await index.record_event(REF, LastEvent("e", "1"))
    await index.last_event(REF)
    for reach, text in (
        (ScopeKind.ORIGINAL, "a.jpg"),
        (ScopeKind.PREFIX, ""),
        (ScopeKind.PLAN, "plan"),
        (ScopeKind.VARIANT, "a.jpg\nplan"),
    ):
        found = await index.find([Purge(PurgeScope("photos", reach, text), "1")])
        assert all(isinstance(entry, Entry) for entry in found)
    await database.close()


async def use_jobs(path: Path) -> None:
    database = Database(path, JOBS_SCHEMA, FakeMetrics())
    jobs = SqliteJobStore(database)
    for listing in await jobs.listings():
        await jobs.add_listed(listing.job, ["c.jpg"], variants=1, is_all=False)
    for task in await jobs.next(9):
        assert all(isinstance(transform, str) for transform in task.transforms)
        await jobs.finish(
            task,
            done=0,
            skipped=0,
            failures=[JobFailure(key="a.jpg", transform="w_1", slug="slug", detail="detail")],
        )
    for job in await jobs.recent(9):
        await jobs.progress(job.id)
        await jobs.retry(job.id)
    await jobs.add(
        PregenerationSpec(mount="all", transforms=("w_1",), keys=("a.jpg", "b.jpg"), prefix=None), 2
    )
    await jobs.add(PregenerationSpec(mount="all", transforms=("w_1",), keys=(), prefix="x"), 2)
    await database.close()


async def is_durable(path: Path, use: Callable[[Path], Awaitable[None]]) -> bool:
    """Whether a record is found after the database is opened again."""
    await use(path)
    if use is use_index:
        async with opened(path, INDEX_SCHEMA) as database:
            index = SqliteEntryIndex(database)
            index.note([OriginalRef("others", "z")], Entry(CacheKey("f" * 64)), "plan")
            return len(await index.find([Purge(PurgeScope("others", ScopeKind.PREFIX, ""), "1")])) == 1
    async with opened(path, JOBS_SCHEMA) as database:
        await SqliteJobStore(database).add(
            PregenerationSpec(mount="last", transforms=("w_1",), keys=("z",)), 1
        )
        return any(task.mount == "last" for task in await SqliteJobStore(database).next(99))


@asynccontextmanager
async def opened(path: Path, schema: str) -> AsyncIterator[Database]:
    database = Database(path, schema, FakeMetrics())
    yield database
    await database.close()


@pytest.mark.parametrize("use", [use_index, use_jobs])
@pytest.mark.parametrize("part", range(2))
async def test_the_databases_of_the_index_and_of_the_jobs(
    tmp_path: Path, part: int, use: Callable[[Path], Awaitable[None]]
) -> None:
    await use(tmp_path / "whole.db")
    await use(tmp_path / "whole.db")
    whole = (tmp_path / "whole.db").read_bytes()
    chance = random.Random(part)
    in_use = [at for at in range(len(whole)) if whole[at]]
    positions: Iterable[int] = chance.choices(in_use, k=25)
    if EVERY_BYTE:
        positions = range(part, len(whole), 2)
    for at in positions:
        path = tmp_path / f"{at}.db"
        flipped = bytes([whole[at] ^ chance.choice((0x01, 0x80, 0xFF))])
        path.write_bytes(whole[:at] + flipped + whole[at + 1 :])
        # Some damage is read only by one kind of query. The database is set aside at that query.
        assert any([await is_durable(path, use) for _ in range(3)]), at
        for left in tmp_path.glob(f"{at}.db*"):
            left.unlink()


@pytest.mark.parametrize("content", OTHER_JSON, ids=lambda content: repr(content[:24]))
def test_other_json_in_the_table_of_purges(content: bytes) -> None:
    text = content.decode(errors="replace")
    assert purge_log._parsed([(text, "0" * 16)]) == []
    assert purge_log._parsed([('["a", "prefix", "b"]', text)]) == []
    assert purge_log._number({"number": text}) >= 0
    assert purge_log._entry_id(text) == (0, 0)


@pytest.mark.parametrize(
    "text", ["²", "1²", "٣٤", "1" * 5000, "1-²", "²-1", f"{'1' * 5000}-1", "-", "1-", "+1-1", "1_0-1"]
)
def test_text_that_only_looks_like_a_number(text: str) -> None:
    assert purge_log._entry_id(text) == (0, 0)
    assert purge_log._number({"number": text}) == 0


def test_each_character_of_a_purge_in_redis() -> None:
    encoded = purge_log._encoded(PurgeScope("photos", ScopeKind.ORIGINAL, "a/é.jpg"))
    for content in damaged(encoded.encode()):
        for scope, token in purge_log._parsed([(content.decode(errors="replace"), "0" * 16)]):
            assert isinstance(scope.kind, ScopeKind)
            f"{scope.source}{scope.text}{token}".encode()
    for half in (r'["photos", "original", "\ud800"]', r'["\udcff", "original", "a"]'):
        assert purge_log._parsed([(half, "0" * 16)]) == []


async def flags_of(redis: Redis) -> RedisPresence:
    return RedisPresence(
        redis.url, timeout_s=5.0, flag_ttl_s=60.0, metrics=FakeMetrics(), clock=time.monotonic
    )


async def test_each_byte_of_a_flag_in_redis(tmp_path: Path) -> None:
    with servers.redis(tmp_path) as redis, redis.client() as beside:
        async with await flags_of(redis) as flags:
            for flag in (b"present", b"absent"):
                for content in (*damaged(flag), b"", b"\0", b"PRESENT", b"x" * 2**20):
                    beside.set(f"calotype:flag:{KEY.digest}", content)
                    beside.set(f"calotype:turn:{KEY.digest}", content)
                    assert await flags.presence(KEY.digest) is Presence.UNKNOWN
            beside.delete(f"calotype:turn:{KEY.digest}")
            assert await flags.acquire(KEY.digest, deadline=time.monotonic() + 60)
            assert not flags.circuit_open


async def test_another_redis_type_as_a_flag(tmp_path: Path) -> None:
    with servers.redis(tmp_path) as redis, redis.client() as beside:
        async with await flags_of(redis) as flags:
            for name in (f"calotype:flag:{KEY.digest}", f"calotype:turn:{KEY.digest}"):
                beside.rpush(name, "present")
                assert await flags.presence(KEY.digest) is Presence.UNKNOWN
                assert await flags.acquire(KEY.digest, deadline=time.monotonic() + 60), (
                    "a second render is better than none"
                )
                await flags.mark_absent(KEY.digest)
                await flags.release(KEY.digest)
                assert not flags.circuit_open
                beside.delete(name)
            beside.delete(f"calotype:flag:{KEY.digest}")
            beside.sadd(f"calotype:flag:{KEY.digest}", "x")
            await flags.mark_present(KEY.digest)
            assert await flags.presence(KEY.digest) is Presence.PRESENT, "the wrong value is overwritten"


async def test_each_byte_of_the_metadata_of_an_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every header of an S3 answer, the metadata among them: a miss, or the right picture."""
    monkeypatch.setattr(guard, "MAX_FAILURES", 10**6)
    monkeypatch.setattr(guard, "MAX_RETRY_PAUSE_S", 0.0)
    headers = (
        f"HTTP/1.1 200 OK\r\nContent-Type: image/webp\r\nx-amz-meta-{DIGEST}: {digest(KEY, VARIANT)}\r\n"
        f"x-amz-meta-calotype-original: photos:a%20b\r\nContent-Length: {len(VARIANT.body)}\r\n"
        f'ETag: "{hashlib.md5(VARIANT.body).hexdigest()}"\r\nConnection: close\r\n\r\n'
    ).encode()
    sent = headers

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            request_head = await reader.readuntil(b"\r\n\r\n")
            writer.write(sent + (b"" if request_head.startswith(b"HEAD") else VARIANT.body))
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    location = S3Location(bucket="b", endpoint_url=f"http://127.0.0.1:{port}")
    s3 = S3Bucket(
        location, access_key="k", secret_key="s", path_style=True, clock=time.monotonic, chance=lambda: 0.0
    )
    async with server, s3:
        bucket = BucketTier(
            S3ObjectStore(s3), FakePresenceFlags(),
            prefix="thumbnails", public_url="", metrics=FakeMetrics(), clock=FakeClock(), chance=lambda: 0.0,
        )  # fmt: skip
        right = Variant(body=VARIANT.body)
        assert await bucket.lookup(KEY) == right
        for at in range(len(headers)):
            sent = headers[:at] + bytes([headers[at] ^ 0x80]) + headers[at + 1 :]
            assert await bucket.lookup(KEY) in (None, right), at
            with suppress(RemoteError):
                await bucket.original_of(KEY)
