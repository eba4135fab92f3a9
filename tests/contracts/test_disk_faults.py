"""Damaged directories and failing disks cause misses of the disk tier: THREATS F14, F16 to F21, F43, T5, T32."""

import asyncio
import os
import pickle
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import diskcache
import pytest

from proxy.core.cache.delivery import Variant
from proxy.core.cache.keys import CacheKey
from proxy.core.image.formats import Format
from proxy.tiers import disk as disk_module
from proxy.tiers.disk import DiskTier
from proxy.tiers.hardened_diskcache import BytesDisk, rows
from tests.support.fakes import FakeMetrics
from tests.support.waiting import LONGEST_S

MAX_BYTES = 2**22


def key(number: int) -> CacheKey:
    return CacheKey(f"{number:064x}", Format.JPEG)


def variant(number: int, in_bytes: int = 2000) -> Variant:
    return Variant(body=random.Random(number).randbytes(in_bytes))


async def filled(folder: Path, count: int = 8) -> None:
    tier = DiskTier(folder, max_bytes=MAX_BYTES, metrics=FakeMetrics())
    for number in range(count):
        await tier.store(key(number), variant(number))
    await tier.close()


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.val"))


def rows_of(folder: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "cache.db", isolation_level=None)) as database:
        return database.execute(statement, values).fetchall()


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


def link_out(path: Path) -> None:
    outside = path.parent / "outside"
    path.rename(outside)
    path.symlink_to(outside)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped bit in the body": lambda path: flip(path, 1000),
    "flipped bit in the header": lambda path: flip(path, 20),
    "flipped bit in the digest": lambda path: flip(path, 50),
    "cut": lambda path: os.truncate(path, 700),
    "empty": lambda path: os.truncate(path, 0),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "missing": lambda path: path.unlink(),
    "another entry's file": lambda path: path.write_bytes(files(path.parents[2])[-1].read_bytes()),
    "a link": link_out,
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "html": lambda path: path.write_bytes(b"<html>gone</html>"),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_file_is_a_miss_and_stored_again(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "cache"
    await filled(folder)
    [(victim,)] = rows_of(
        folder, "SELECT key FROM Cache WHERE filename = ?", str(files(folder)[0].relative_to(folder))
    )
    number = int(str(victim), 16)
    DAMAGES[damage](files(folder)[0])
    tier = DiskTier(folder, max_bytes=MAX_BYTES, metrics=FakeMetrics())
    assert await tier.lookup(key(number)) is None
    others = [await tier.lookup(key(other)) for other in range(8) if other != number]
    assert others == [variant(other) for other in range(8) if other != number]
    await tier.store(key(number), variant(number))
    assert await tier.lookup(key(number)) == variant(number)
    await tier.close()


async def test_random_damage_never_gives_wrong_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    await filled(folder, 100)
    chance = random.Random(7)
    for path in files(folder):
        at = chance.randrange(path.stat().st_size)
        chance.choice([lambda p=path, a=at: flip(p, a), lambda p=path, a=at: os.truncate(p, a)])()
    tier = DiskTier(folder, max_bytes=MAX_BYTES, metrics=FakeMetrics())
    assert [await tier.lookup(key(number)) for number in range(100)] == [None] * 100
    await tier.close()


class Bomb:
    fired: list[int] = []  # noqa: RUF012 (a test's own)

    def __reduce__(self) -> tuple[Callable[[int], None], tuple[int]]:
        return Bomb.fired.append, (1,)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("mode = 4, filename = NULL, value", pickle.dumps(Bomb())),
        ("mode = 4", 4),
        ("mode = 3", 3),
        ("mode = 1", 1),
        ("mode", "text"),
        ("filename", "/etc/passwd"),
        ("filename", "../../../../etc/passwd"),
        ("filename", None),
        ("filename", 7),
        ("filename", b"\xff\xfe"),
        ("filename", "cache.db"),
        ("size", 10**15),
        ("size", "large"),
        ("expire_time", "never"),
        ("expire_time", 1.0),
    ],
)
async def test_a_tampered_row_is_a_miss_and_runs_nothing(tmp_path: Path, column: str, value: object) -> None:
    folder = tmp_path / "cache"
    await filled(folder)
    rows_of(folder, f"UPDATE Cache SET {column} = ? WHERE key = ?", value, key(3).digest)
    tier = DiskTier(folder, max_bytes=MAX_BYTES, metrics=FakeMetrics())
    got = await tier.lookup(key(3))
    assert got in (None, variant(3))
    assert Bomb.fired == []
    assert await tier.lookup(key(4)) == variant(4)
    await tier.store(key(3), variant(3))
    await tier.store(key(50), variant(50))
    assert await tier.lookup(key(50)) == variant(50)
    await tier.close()
    assert Path("/etc/passwd").exists()


async def test_settings_in_the_database_are_ignored(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    await filled(folder)
    rows_of(folder, "UPDATE Settings SET value = ? WHERE key = 'size'", -(10**12))
    rows_of(folder, "INSERT OR REPLACE INTO Settings VALUES ('disk_min_file_size', 99999999)")
    rows_of(folder, "INSERT OR REPLACE INTO Settings VALUES ('disk_surprise', 1)")
    rows_of(folder, "INSERT OR REPLACE INTO Settings VALUES ('sqlite_mmap_size', 'x; DROP TABLE Cache')")
    tier = DiskTier(folder, max_bytes=MAX_BYTES, metrics=FakeMetrics())
    assert await tier.lookup(key(1)) == variant(1)
    assert tier.usage()[0] > 0
    await tier.close()


def page_of_noise(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[:4096] = random.Random(1).randbytes(4096)
    path.write_bytes(content)


def middle_of_noise(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = random.Random(2).randbytes(len(content) - 4096)
    path.write_bytes(content)


DATABASE_DAMAGES: dict[str, Callable[[Path], object]] = {
    "first page": page_of_noise,
    "all but the first page": middle_of_noise,
    "cut": lambda path: os.truncate(path, 5000),
    "empty": lambda path: os.truncate(path, 0),
    "gone": lambda path: path.unlink(),
    "text": lambda path: path.write_text("no database"),
}


@pytest.mark.parametrize("damage", DATABASE_DAMAGES)
async def test_a_damaged_database_starts_empty(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "cache"
    await filled(folder)
    DATABASE_DAMAGES[damage](folder / "cache.db")
    tier = DiskTier(folder, max_bytes=MAX_BYTES, metrics=FakeMetrics())
    assert await tier.lookup(key(1)) in (None, variant(1))
    await tier.store(key(1), variant(1))
    await tier.store(key(1), variant(1))
    assert await tier.lookup(key(1)) == variant(1)
    await tier.close()


async def test_a_database_damaged_while_it_is_open_is_set_aside(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    tier = DiskTier(folder, max_bytes=MAX_BYTES, metrics=FakeMetrics())
    for number in range(40):
        await tier.store(key(number), variant(number, 200))
    with closing(sqlite3.connect(folder / "cache.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    middle_of_noise(folder / "cache.db")
    for number in range(40, 44):
        assert await tier.lookup(key(number - 40)) in (None, variant(number - 40, 200))
        await tier.store(key(number), variant(number))
    assert await tier.lookup(key(43)) == variant(43)
    await tier.close()


async def test_a_store_fails_while_the_database_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.tiers.hardened_diskcache.LOCK_TIMEOUT_S", 0.25)
    folder = tmp_path / "cache"
    metrics = FakeMetrics()
    tier = DiskTier(folder, max_bytes=MAX_BYTES, metrics=metrics)
    await tier.store(key(1), variant(1))
    with closing(sqlite3.connect(folder / "cache.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await tier.store(key(2), variant(2))
        assert await tier.lookup(key(1)) == variant(1)
        assert metrics.counts["disk locked"] == 1
        other.execute("ROLLBACK")
    assert len(files(folder)) == 1
    await tier.store(key(2), variant(2))
    assert await tier.lookup(key(2)) == variant(2)
    await tier.close()


LIVE_DAMAGES: dict[str, Callable[[Path], object]] = {
    "the directory is removed": shutil.rmtree,
    "the directory is emptied": lambda folder: [
        shutil.rmtree(p) if p.is_dir() else p.unlink() for p in folder.iterdir()
    ],
    "the table is dropped": lambda folder: rows_of(folder, "DROP TABLE Cache"),
    "a column is dropped": lambda folder: rows_of(folder, "ALTER TABLE Cache DROP COLUMN access_count"),
    "the database is cut": lambda folder: os.truncate(folder / "cache.db", 5000),
    "the database is emptied": lambda folder: os.truncate(folder / "cache.db", 0),
}


@pytest.mark.parametrize("damage", LIVE_DAMAGES)
async def test_damage_of_a_running_tier_is_repaired(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "cache"
    tier = DiskTier(folder, max_bytes=MAX_BYTES, metrics=FakeMetrics())
    for number in range(30):
        await tier.store(key(number), variant(number))
    LIVE_DAMAGES[damage](folder)
    for number in range(30):
        assert await tier.lookup(key(number)) in (None, variant(number))
        await tier.store(key(number), variant(number))
        tier._suspended_until_s = 0.0
    await tier.store(key(77), variant(77))
    assert await tier.lookup(key(77)) == variant(77)
    await tier.close()


async def test_a_cache_that_is_opened_on_a_full_disk_is_retained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache"
    await filled(folder)

    def full(*_: object, **__: object) -> object:
        fault = sqlite3.OperationalError("database or disk is full")
        fault.sqlite_errorname = "SQLITE_FULL"
        raise fault

    with monkeypatch.context() as patched:
        patched.setattr(disk_module, "open_cache", full)
        tier = DiskTier(folder, max_bytes=MAX_BYTES, metrics=FakeMetrics())
        assert await tier.lookup(key(1)) is None
        await tier.store(key(100), variant(100))
    assert not folder.with_name("cache.damaged").exists()
    assert await tier.lookup(key(1)) is None, "the tier is suspended for a while"
    tier._suspended_until_s = 0.0
    await tier.lookup(key(1))
    assert await tier.lookup(key(1)) == variant(1)
    await tier.close()


async def test_a_sweep_drops_no_entry_that_was_stored_again(tmp_path: Path) -> None:
    """The sweep found its file missing, and asked the writer to drop its row, before the writer stored it again."""
    tier = DiskTier(tmp_path / "cache", max_bytes=MAX_BYTES, metrics=FakeMetrics())
    await tier.store(key(1), variant(1))
    [file] = files(tmp_path / "cache")
    file.unlink()
    await tier.store(key(1), variant(1))
    found = file.relative_to(tmp_path / "cache").as_posix(), next(iter(rows(tier._cache).values()))
    await tier._off_loop(tier._writer, tier._drop_row, found)
    assert await tier.lookup(key(1)) == variant(1)
    await tier.close()


async def test_orphans_are_swept_and_rows_without_a_file_dropped(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    await filled(folder)
    orphan = folder / "aa" / "bb" / f"{'c' * 28}.val"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"left by a killed process")
    files(folder)[0].unlink() if files(folder)[0] != orphan else files(folder)[1].unlink()
    metrics = FakeMetrics()
    tier = DiskTier(folder, max_bytes=MAX_BYTES, metrics=metrics)
    await asyncio.to_thread(tier._sweeper.submit(int).result)
    await tier.store(key(100), variant(100))
    assert not orphan.exists()
    assert metrics.counts["disk orphan"] == 1
    assert tier.usage()[1] == len(files(folder)) == 8
    await tier.close()


async def test_large_entries_after_small_ones_stay_within_the_size(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    tier = DiskTier(folder, max_bytes=MAX_BYTES, metrics=FakeMetrics())

    def used() -> int:
        return sum(
            path.stat().st_size for path in folder.rglob("*") if path.is_file() and "-" not in path.name
        )

    for number in range(150):
        await tier.store(key(number), variant(number, 2000))
    for number in range(1000, 1040):
        await tier.store(key(number), variant(number, MAX_BYTES // 17))
        assert used() <= MAX_BYTES
        assert tier.usage()[0] <= MAX_BYTES
    assert await tier.lookup(key(1039)) is not None
    assert await tier.lookup(key(0)) is None
    await tier.store(key(5000), variant(5000, MAX_BYTES // 15))
    assert await tier.lookup(key(5000)) is None
    await tier.close()


async def test_a_file_size_limit_fails_the_store_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EFBIG is handled as ENOSPC; the partial file is removed."""
    folder = tmp_path / "cache"
    metrics = FakeMetrics()
    tier = DiskTier(folder, max_bytes=MAX_BYTES, metrics=metrics)
    await tier.store(key(1), variant(1))

    def full(*_: object, **__: object) -> object:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(BytesDisk, "store", full)
        await tier.store(key(2), variant(2))
    assert metrics.counts["disk full"] == 1
    await tier.store(key(3), variant(3))
    assert await tier.lookup(key(3)) is None, "writes are suspended for a while"
    tier._suspended_until_s = 0.0
    await tier.store(key(3), variant(3))
    assert await tier.lookup(key(3)) == variant(3)
    await tier.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system takes root")
async def test_a_full_file_system_causes_misses_and_nothing_else(tmp_path: Path) -> None:
    mounted = tmp_path / "small"
    mounted.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(mounted)], check=False)
    if done.returncode:
        pytest.skip("this sandbox does not mount")
    try:
        metrics = FakeMetrics()
        tier = DiskTier(mounted / "cache", max_bytes=2**26, metrics=metrics)
        for number in range(60):
            await tier.store(key(number), variant(number, 60_000))
            tier._suspended_until_s = 0.0
            assert await tier.lookup(key(number)) in (None, variant(number, 60_000))
        assert metrics.counts["disk full"] > 0
        on_disk = {path.relative_to(mounted / "cache").as_posix() for path in files(mounted / "cache")}
        with closing(sqlite3.connect(mounted / "cache" / "cache.db")) as database:
            known = {name for (name,) in database.execute("SELECT filename FROM Cache")}
        assert on_disk == known, "no partial file is left"
        await tier.close()
    finally:
        subprocess.run(["umount", "-l", str(mounted)], check=False)


async def test_a_hanging_disk_is_a_miss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_module, "LOOKUP_TIMEOUT_S", 0.05)
    metrics = FakeMetrics()
    tier = DiskTier(tmp_path / "cache", max_bytes=MAX_BYTES, metrics=metrics)
    await tier.store(key(1), variant(1))
    read = tier._read

    answers = threading.Event()

    def hanging(cache: diskcache.Cache, name: str) -> Variant | None:
        answers.wait(LONGEST_S)
        return read(cache, name)

    monkeypatch.setattr(tier, "_read", hanging)
    assert await tier.lookup(key(1)) is None
    assert metrics.counts["disk timeout"] == 1
    answers.set()
    await tier.close()


async def test_the_directory_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "cache"
    tier = DiskTier(folder, max_bytes=MAX_BYTES, metrics=FakeMetrics())
    assert folder.stat().st_mode & 0o777 == 0o700
    await tier.close()


async def test_an_unusable_directory_is_an_error_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="exists|directory"):
        DiskTier(tmp_path / "file", max_bytes=MAX_BYTES, metrics=FakeMetrics())


def test_the_hardened_disk_takes_keys_and_bytes_only(tmp_path: Path) -> None:
    disk = BytesDisk(str(tmp_path))
    with pytest.raises(TypeError):
        disk.put(b"bytes")
    with pytest.raises(TypeError):
        disk.store({"not": "bytes"}, False)
    with pytest.raises(TypeError):
        disk.store(b"x", True)
    with pytest.raises(OSError, match="not a row"):
        disk.get(b"x", True)
    with pytest.raises(OSError, match="not a row"):
        disk.get("x", False)
    disk.undo()
    assert isinstance(disk, diskcache.Disk)


async def test_a_killed_writer_leaves_no_wrong_entry(tmp_path: Path) -> None:
    """SIGKILL during writes, ten times: each entry that is found is right, and no file is left without a row."""
    folder = tmp_path / "cache"
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from tests.contracts.test_disk_faults import DiskTier, FakeMetrics, MAX_BYTES, key, variant\n"
        "async def main():\n"
        "    tier = DiskTier(Path(sys.argv[1]), max_bytes=MAX_BYTES, metrics=FakeMetrics())\n"
        "    number = int(sys.argv[2])\n"
        "    while True:\n"
        "        await tier.store(key(number % 50), variant(number % 50, 20_000))\n"
        "        print('stored', flush=True)\n"
        "        number += 1\n"
        "asyncio.run(main())\n"
    )
    for round_ in range(10):
        child = subprocess.Popen(
            [sys.executable, "-c", program, str(folder), str(round_ * 7)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        assert child.stdout is not None
        for _ in range(1 + round_):
            assert child.stdout.readline()
        child.kill()
        child.wait()
        child.stdout.close()
    tier = DiskTier(folder, max_bytes=MAX_BYTES, metrics=FakeMetrics())
    found = [await tier.lookup(key(number)) for number in range(50)]
    assert all(got in (None, variant(number, 20_000)) for number, got in enumerate(found))
    assert any(found)
    await asyncio.to_thread(tier._sweeper.submit(int).result)
    await tier.store(key(99), variant(99))
    assert len(files(folder)) == tier.usage()[1]
    await tier.close()
