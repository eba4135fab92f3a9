"""Records of a node: the journal, the index and the jobs on a real disk, and the shared purge log over a real Redis."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import pytest
import structlog

from proxy.core.admin.jobs import JobFailure, PregenerationSpec
from proxy.core.cache.generations import Generations, Purge, PurgeScope, ScopeKind
from proxy.core.cache.keys import CacheKey, Entry, LastEvent
from proxy.core.image.formats import Format
from proxy.core.image.original import OriginalRef
from proxy.fleet import purge_log as fleet_module
from proxy.fleet.purge_log import RedisPurgeLog
from proxy.state.database import Database
from proxy.state.entry_index import SCHEMA, SqliteEntryIndex
from proxy.state.job_store import SCHEMA as JOBS_SCHEMA
from proxy.state.job_store import SqliteJobStore
from proxy.state.purge_journal import PurgeJournalFile
from proxy.state.usage import Usage, used_since
from tests.support import servers
from tests.support.fakes import FakeClock, FakeMetrics
from tests.support.servers import Redis
from tests.support.waiting import LONGEST_S, eventually

LOG = structlog.wrap_logger(structlog.ReturnLogger())
T1, T2, T3 = (f"{number:016x}" for number in (1, 2, 3))
A, B, C = (OriginalRef("photos", key) for key in ("a", "b/a", "b/b"))


def purge(key: str, token: str, reach: ScopeKind = ScopeKind.ORIGINAL) -> Purge:
    return Purge(PurgeScope("photos", reach, key), token)


def read(path: Path) -> tuple[bool, dict[str, str]]:
    table = Generations()
    whole = PurgeJournalFile(path).read(table)
    return whole, {scope.text: token for scope, token in table}


def test_a_journal_returns_the_purges_that_were_written(tmp_path: Path) -> None:
    path = tmp_path / "purges"
    assert read(path) == (True, {})
    PurgeJournalFile(path).append([purge("a\né", "1"), purge("b", "1")])
    PurgeJournalFile(path).append([purge("b", "2")])
    assert read(path) == (True, {"a\né": "1", "b": "2"})


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_truncated_last_line_is_ignored(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "purges"
    PurgeJournalFile(path).append([purge("a", "1")])
    first = path.stat().st_size
    PurgeJournalFile(path).append([purge("b", "2")])
    path.write_bytes(path.read_bytes()[: first + cut])
    assert read(path) == (True, {"a": "1"})
    PurgeJournalFile(path).append([purge("c", "3")])
    assert read(path) == (True, {"a": "1", "c": "3"})


def test_any_other_damage_is_detected(tmp_path: Path) -> None:
    path = tmp_path / "purges"
    PurgeJournalFile(path).append([purge(str(number), "1") for number in range(5)])
    whole = path.read_bytes()
    for at in range(0, len(whole) - 1, 3):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        assert not read(path)[0]


def test_a_long_journal_is_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "purges"
    PurgeJournalFile(path).append([purge("a", f"{number:05}") for number in range(2500)])
    large = path.stat().st_size
    assert read(path) == (True, {"a": "02499"})
    assert path.stat().st_size < large / 100
    assert read(path) == (True, {"a": "02499"})


@asynccontextmanager
async def opened(path: Path, schema: str) -> AsyncIterator[tuple[Database, FakeMetrics]]:
    metrics = FakeMetrics()
    database = Database(path, schema, metrics)
    yield database, metrics
    await database.close()


async def test_an_index_finds_the_entries_that_a_purge_covers(tmp_path: Path) -> None:
    async with opened(tmp_path / "index.db", SCHEMA) as (database, _):
        index = SqliteEntryIndex(database)
        entries = {
            ref: Entry(CacheKey(f"{number:064x}", Format.WEBP))
            for number, ref in enumerate((A, B, C), start=1)
        }
        for ref, entry in entries.items():
            index.note([ref], entry, "plan 1")
        index.note([A], Entry(CacheKey(f"{9:064x}")))
        index.note([A], Entry(CacheKey(f"{8:064x}"), is_original=True))

        async def found(reach: ScopeKind, text: str) -> set[str]:
            return {
                entry.key.digest[-1]
                for entry in await index.find([Purge(PurgeScope("photos", reach, text), "1")])
            }

        assert await found(ScopeKind.ORIGINAL, "a") == {"1", "8", "9"}
        assert await found(ScopeKind.PREFIX, "b/") == {"2", "3"}
        assert await found(ScopeKind.PREFIX, "") == {"1", "2", "3", "8", "9"}
        assert await found(ScopeKind.PLAN, "plan 1") == {"1", "2", "3"}
        assert await found(ScopeKind.VARIANT, "b/a\nplan 1") == {"2"}
        assert await index.find([Purge(PurgeScope("others", ScopeKind.PREFIX, ""), "1")]) == []
        (stored,) = [
            entry for entry in await index.find([Purge(PurgeScope.of_original(A), "1")]) if entry.is_original
        ]
        assert (stored.key.digest[-1], stored.key.format) == ("8", None)
        await index.drop(await index.find([Purge(PurgeScope.of_original(A), "1")]))
        assert await found(ScopeKind.ORIGINAL, "a") == set()
        index.note([A], entries[A], "plan 1")
        assert await found(ScopeKind.ORIGINAL, "a") == {"1"}
    async with opened(tmp_path / "index.db", SCHEMA) as (database, _):
        assert (
            len(
                await SqliteEntryIndex(database).find(
                    [Purge(PurgeScope("photos", ScopeKind.PREFIX, ""), "1")]
                )
            )
            == 3
        )


async def test_an_index_is_written_in_the_background(tmp_path: Path) -> None:
    async with opened(tmp_path / "index.db", SCHEMA) as (database, _):
        SqliteEntryIndex(database).note([A], Entry(CacheKey(f"{1:064x}", Format.WEBP)), "p")

        def is_written() -> bool:
            with contextlib.closing(sqlite3.connect(tmp_path / "index.db")) as beside:
                return bool(beside.execute("SELECT count(*) FROM entries").fetchone() == (1,))

        assert await eventually(is_written)


async def test_the_last_event_of_an_original_is_stored(tmp_path: Path) -> None:
    async with opened(tmp_path / "index.db", SCHEMA) as (database, _):
        index = SqliteEntryIndex(database)
        assert await index.last_event(A) is None
        index.note([A], Entry(CacheKey(f"{1:064x}", Format.WEBP)), "p")
        await index.flush()
        assert await index.last_event(A) == LastEvent("", "")
        await index.record_event(A, LastEvent("e", "1"))
        await index.record_event(A, LastEvent("f", "2"))
        assert await index.last_event(A) == LastEvent("f", "2")


async def test_a_damaged_database_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    path.write_bytes(b"no database at all" * 1000)
    async with opened(path, SCHEMA) as (database, metrics):
        index = SqliteEntryIndex(database)
        index.note([A], Entry(CacheKey(f"{1:064x}", Format.WEBP)), "p")
        assert len(await index.find([Purge(PurgeScope.of_original(A), "1")])) == 1
        assert metrics.counts["index damaged"] == 1
        assert path.with_name("index.db.damaged").exists()
        await database.run(lambda db: db.execute("DROP TABLE entries"), None)
        assert await index.find([Purge(PurgeScope.of_original(A), "1")]) == []
        assert metrics.counts["index damaged"] == 2
        index.note([A], Entry(CacheKey(f"{2:064x}", Format.WEBP)), "p")
        assert len(await index.find([Purge(PurgeScope.of_original(A), "1")])) == 1


async def test_the_oldest_jobs_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from proxy.state import job_store as module

    monkeypatch.setattr(module, "MAX_JOBS", 2)
    async with opened(tmp_path / "jobs.db", JOBS_SCHEMA) as (database, _):
        jobs = SqliteJobStore(database)
        ids = [
            await jobs.add(PregenerationSpec(mount="m", transforms=("w_1",), keys=("a",)), 1)
            for _ in range(2)
        ]
        (first, second) = await jobs.next(5)
        await jobs.finish(first, done=0, skipped=0, failures=[JobFailure("a", "w_1", "x", "y")])
        await jobs.finish(first, done=1, skipped=0, failures=[])  # A second result of a task changes nothing.
        ids.append(await jobs.add(PregenerationSpec(mount="m", transforms=("w_1",), keys=("a",)), 1))
        progresses = [await jobs.progress(job or "") for job in ids]
        assert progresses[0] is None
        assert [each.state for each in progresses[1:] if each] == ["running", "running"]
        assert second in await jobs.next(5)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    with servers.redis(tmp_path, is_old=True) as server:
        yield server


class Member:
    """A node that publishes and receives purges."""

    def __init__(self, redis: Redis, name: str) -> None:
        self.generations = Generations()
        self.received: list[Purge] = []
        self.unconfirmed: list[str] = []
        self.lives = True
        self.fleet = RedisPurgeLog(
            redis.url,
            name=name,
            instance="1",
            is_running=lambda _: self.lives,
            generations=self.generations,
            clock=FakeClock(),
            log=LOG,
        )

    async def receive(self, purges: object) -> list[str]:
        for each in purges:  # type: ignore[attr-defined]
            if (each.token and self.generations.is_newer(each)) or not each.token:
                self.received.append(each)
            self.generations.apply(each)
        return self.unconfirmed

    async def join(self) -> "Member":
        self.fleet.start(self.receive)
        await asyncio.wait_for(self.fleet.caught_up.wait(), LONGEST_S)
        return self

    async def purge(self, *purges: Purge) -> list[str]:
        for each in purges:
            self.generations.apply(each)
        return await self.fleet.publish(purges)


@asynccontextmanager
async def members(redis: Redis, names: str) -> AsyncIterator[list[Member]]:
    made = [Member(redis, name) for name in names]
    await asyncio.gather(*(each.join() for each in made))
    try:
        yield made
    finally:
        await asyncio.gather(*(each.fleet.close() for each in made))


async def test_a_purge_is_answered_after_all_members_confirm(redis: Redis) -> None:
    async with members(redis, "abc") as (a, b, c):
        for number in range(20):
            assert await a.purge(purge(f"x{number}", T1), purge("y", f"{number:016x}")) == []
            assert b.generations.original_generation(OriginalRef("photos", f"x{number}")) == T1
            assert c.generations.original_generation(OriginalRef("photos", "y")) == f"{number:016x}"
        assert await b.purge(purge("z", "")) == []
        assert c.received[-1] == purge("z", "")


async def test_the_documented_access_list_is_sufficient(redis: Redis) -> None:
    with redis.client() as client:
        client.execute_command("ACL", "SETUSER", "node", "on", ">secret", *servers.documented_rights())
        redis.url = redis.url.replace("redis://", "redis://node:secret@")
        async with members(redis, "ab") as (a, b):
            assert await a.purge(purge("x", T1)) == []
            assert b.generations.original_generation(OriginalRef("photos", "x")) == T1
        assert client.execute_command("ACL", "LOG") == []


async def test_a_node_that_joins_later_receives_all_purges(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_module, "REDIS_TIMEOUT_S", LONGEST_S)
    monkeypatch.setattr(fleet_module, "CONFIRM_TIMEOUT_S", LONGEST_S)
    async with members(redis, "a") as (a,):
        assert await a.purge(*(purge(f"x{number}", T1) for number in range(3000))) == []
        async with members(redis, "b") as (b,):
            assert len(b.generations) == 3000


async def test_a_purge_that_cannot_be_published_is_published_later(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with members(redis, "ab") as (a, b):
        with monkeypatch.context() as patched:

            async def fails(_: object) -> str:
                raise TimeoutError

            patched.setattr(a.fleet, "_send", fails)
            assert await a.purge(purge("x", T1)) == [
                "redis: it cannot be reached, so other nodes get the purge later"
            ]
        await eventually(lambda: b.generations.original_generation(OriginalRef("photos", "x")) == T1)


async def eventually_complete(member: Member, purged: Purge) -> None:
    """Purges until all members confirm."""

    async def is_complete() -> bool:
        return not await member.purge(purged)

    await eventually(is_complete)


async def test_a_node_with_an_unconfirmed_process_does_not_confirm(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_module, "CONFIRM_TIMEOUT_S", 0.5)
    async with members(redis, "ab") as (a, b):
        b.unconfirmed = ["this node: 1 of its 2 processes did not confirm"]
        (line,) = await a.purge(purge("x", T1))
        assert line.startswith("node b.1: has not confirmed")
        b.unconfirmed = []
        await eventually_complete(a, purge("x", T2))


async def test_purges_during_an_outage_of_redis_are_published_after_it(redis: Redis) -> None:
    async with members(redis, "ab") as (a, b):
        redis.kill()
        (line,) = await a.purge(purge("x", T1))
        assert line.startswith("redis:")
        redis.start()
        await eventually(lambda: b.generations.original_generation(OriginalRef("photos", "x")))
        assert b.generations.original_generation(OriginalRef("photos", "x")) == T1
        assert await a.purge(purge("y", T2)) == []


async def test_a_hanging_redis_delays_a_purge_by_its_timeout(redis: Redis) -> None:
    async with members(redis, "ab") as (a, _):
        redis.pause()
        began_s = asyncio.get_running_loop().time()
        assert (await a.purge(purge("x", T1)))[0].startswith("redis:")
        assert asyncio.get_running_loop().time() - began_s < LONGEST_S / 2
        redis.resume()
        await eventually_complete(a, purge("y", T2))


async def test_foreign_entries_in_the_stream_are_ignored(redis: Redis) -> None:
    client = redis.client()
    client.hset("calotype:purges", "rubbish", "x")
    client.hset("calotype:purges", '["photos","odd","x"]', "x")
    client.hset("calotype:nodes", "stranger", "rubbish")
    client.xadd("calotype:purge-stream", {"odd": "field"})
    async with members(redis, "ab") as (a, b):
        client.hdel("calotype:nodes", "stranger")
        client.xadd("calotype:purge-stream", {"scope": "[1,2", "token": "x"})
        assert await a.purge(purge("x", T1)) == []
        assert b.generations.original_generation(OriginalRef("photos", "x")) == T1
    client.close()


class Notes:
    def __init__(self) -> None:
        self.notes: dict[str, bytes] = {}

    async def write(self, name: str, body: bytes) -> None:
        self.notes[name] = body

    async def names(self, prefix: str) -> AsyncIterator[str]:
        for name in list(self.notes):
            yield name

    async def read(self, name: str) -> bytes:
        return self.notes[name]


async def test_usage_is_stored_by_day() -> None:
    notes = Notes()
    now_s = 1_800_000_000.0  # 2027-01-15
    usage = Usage(notes, writer="n", wall=lambda: now_s)
    usage.start()
    usage.add(["01" * 32, "02" * 32])
    await usage.flush()
    now_s += 86_400
    usage.add(["02" * 32, "03" * 32])
    await usage.close()
    notes.notes["rubbish"] = b""
    assert sorted(notes.notes) == ["2027-01-15/n.1", "2027-01-16/n.2", "rubbish"]
    keys, first = await used_since(notes, date(2027, 1, 16))
    assert ({key.hex()[:2] for key in keys}, first) == ({"02", "03"}, date(2027, 1, 15))


async def test_an_entry_of_several_originals_is_found_by_each(tmp_path: Path) -> None:
    async with opened(tmp_path / "index.db", SCHEMA) as (database, _):
        index = SqliteEntryIndex(database)
        entry = Entry(CacheKey(f"{1:064x}", Format.WEBP))
        index.note([A, B], entry, "plan 1")
        scopes = [PurgeScope.of_original(ref) for ref in (A, B, C)]
        found = [[each.key for each in await index.find([Purge(scope, "1")])] for scope in scopes]
        assert found == [[entry.key], [entry.key], []]
        await index.drop(await index.find([Purge(scopes[0], "1"), Purge(scopes[1], "1")]))
        assert await index.find([Purge(PurgeScope("photos", ScopeKind.PREFIX, ""), "1")]) == []
