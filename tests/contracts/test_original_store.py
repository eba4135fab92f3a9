"""The original store: whole originals or none, a limited size, and originals in memory when the disk fails."""

import asyncio
import errno
import mmap
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from proxy.core.cache.generations import Generations, Purge, PurgeScope
from proxy.core.cache.keys import original_key
from proxy.core.image.original import Identity, OriginalRef
from proxy.local.files import OpenFile
from proxy.sources import original_store as originals_module
from proxy.sources.original_store import TRAILER_BYTES, DiskOriginalStore
from tests.support.fakes import FakeMetrics
from tests.support.waiting import LONGEST_S, settle


def identity(key: str = "a.jpg", version: str = "") -> Identity:
    return Identity(OriginalRef("photos", key), version)


def tier(folder: Path, metrics: FakeMetrics | None = None, max_bytes: int = 2**20) -> DiskOriginalStore:
    return DiskOriginalStore(
        folder / "originals", max_bytes=max_bytes, metrics=metrics or FakeMetrics(), generations=Generations()
    )


async def put(into: DiskOriginalStore, target: Identity, *chunks: bytes) -> OpenFile:
    incoming = into.receive(target.ref)
    await incoming.begin()
    for chunk in chunks:
        await incoming.write(chunk)
    stored = await incoming.commit(target.version)
    await incoming.discard()
    return stored


def read(original: OpenFile | None) -> bytes | None:
    if original is None:
        return None
    try:
        return os.pread(original.fileno(), original.size_bytes, 0)
    finally:
        original.close()


async def test_a_stored_original_is_found_after_a_restart(tmp_path: Path) -> None:
    first = tier(tmp_path)
    assert await first.lookup(identity()) is None
    assert read(await put(first, identity(), b"pic", b"ture")) == b"picture"
    assert read(await first.lookup(identity())) == b"picture"
    assert await first.lookup(identity("b.jpg")) is None
    assert await first.lookup(identity(version="2")) is None
    assert first.usage() == (7 + TRAILER_BYTES, 1)
    first.close()
    again = tier(tmp_path)
    assert read(await again.lookup(identity())) == b"picture"
    assert again.usage() == (7 + TRAILER_BYTES, 1)
    again.close()


async def test_the_modification_time_is_the_same_after_lookups_and_a_restart(tmp_path: Path) -> None:
    first = tier(tmp_path)
    for key, modified_s in (("dated", 784_111_777), ("undated", 0)):
        incoming = first.receive(identity(key).ref)
        await incoming.begin(5)
        await incoming.begin(modified_s)
        await incoming.write(b"picture")
        with_it = await incoming.commit("")
        assert os.fstat(with_it.fileno()).st_mtime_ns == modified_s * 10**9
        with_it.close()
    first.close()
    again = tier(tmp_path)
    for _ in range(2):
        for key, modified_s in (("dated", 784_111_777), ("undated", 0)):
            stored = await again.lookup(identity(key))
            assert stored is not None
            assert os.fstat(stored.fileno()).st_mtime_ns == modified_s * 10**9
            assert read(stored) == b"picture"
    again.close()


async def test_bytes_belong_to_the_generation_in_which_they_were_requested(tmp_path: Path) -> None:
    generations, ref = Generations(), identity().ref
    originals = DiskOriginalStore(
        tmp_path / "originals", max_bytes=2**20, metrics=FakeMetrics(), generations=generations
    )
    incoming = originals.receive(ref)
    for token in ("1", "2"):
        generations.apply(Purge(PurgeScope.of_original(ref), token))
        await incoming.begin()
        await incoming.write(token.encode())
        (await incoming.commit("")).close()
        incoming = originals.receive(ref)
    stored = [read(await originals.lookup(Identity(ref, "", generation))) for generation in ("", "1", "2")]
    assert stored == [b"1", b"2", None]
    originals.close()


async def test_an_empty_original_is_stored(tmp_path: Path) -> None:
    originals = tier(tmp_path)
    assert read(await put(originals, identity())) == b""
    assert read(await originals.lookup(identity())) == b""
    originals.close()


async def test_a_second_begin_discards_the_bytes_before_it(tmp_path: Path) -> None:
    originals = tier(tmp_path)
    incoming = originals.receive(identity().ref)
    await incoming.begin()
    await incoming.write(b"half of")
    await incoming.begin()
    await incoming.write(b"whole")
    assert read(await incoming.commit("")) == b"whole"
    assert read(await originals.lookup(identity())) == b"whole"
    originals.close()


async def test_a_discarded_original_leaves_no_file(tmp_path: Path) -> None:
    originals = tier(tmp_path)
    incoming = originals.receive(identity().ref)
    await incoming.discard()
    await incoming.begin()
    await incoming.write(b"half of")
    await incoming.discard()
    assert [path for path in (tmp_path / "originals").rglob("*") if path.is_file()] == []
    assert await originals.lookup(identity()) is None
    originals.close()


async def test_a_lookup_does_not_change_the_modification_time(tmp_path: Path) -> None:
    originals = tier(tmp_path)
    opened = await put(originals, identity(), b"x")
    before = os.fstat(opened.fileno()).st_mtime_ns
    read(await originals.lookup(identity()))
    assert os.fstat(opened.fileno()).st_mtime_ns == before
    opened.close()
    originals.close()


@pytest.mark.parametrize("at", [0, 6, 7, 20, 40, 60, -1])
async def test_a_flipped_bit_is_a_miss_and_removes_the_file(tmp_path: Path, at: int) -> None:
    metrics = FakeMetrics()
    originals = tier(tmp_path, metrics)
    read(await put(originals, identity(), b"picture"))
    path = originals.path(original_key(identity()))
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    assert await originals.lookup(identity()) is None
    assert metrics.counts == {"originals damaged": 1}
    assert not path.exists()
    assert originals.usage() == (0, 0)
    originals.close()


@pytest.mark.parametrize("size", [0, 5, TRAILER_BYTES, TRAILER_BYTES + 6, TRAILER_BYTES + 8])
async def test_a_truncated_or_extended_file_is_a_miss(tmp_path: Path, size: int) -> None:
    originals = tier(tmp_path)
    read(await put(originals, identity(), b"picture"))
    os.truncate(originals.path(original_key(identity())), size)
    assert await originals.lookup(identity()) is None
    originals.close()


async def test_a_file_of_another_original_is_a_miss(tmp_path: Path) -> None:
    originals = tier(tmp_path)
    read(await put(originals, identity("a"), b"one"))
    read(await put(originals, identity("b"), b"two"))
    originals.path(original_key(identity("a"))).replace(originals.path(original_key(identity("b"))))
    assert await originals.lookup(identity("b")) is None
    assert await originals.lookup(identity("a")) is None
    originals.close()


async def test_a_link_is_not_followed(tmp_path: Path) -> None:
    originals = tier(tmp_path)
    read(await put(originals, identity(), b"picture"))
    path = originals.path(original_key(identity()))
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    assert await originals.lookup(identity()) is None
    originals.close()


async def test_the_least_recently_used_original_is_evicted_first_also_after_a_restart(tmp_path: Path) -> None:
    size = 1000 + TRAILER_BYTES
    originals = tier(tmp_path, max_bytes=3 * size)
    for name in "abc":
        read(await put(originals, identity(name), b"x" * 1000))
    read(await originals.lookup(identity("a")))
    read(await put(originals, identity("d"), b"x" * 1000))
    assert [read(await originals.lookup(identity(name))) is not None for name in "abcd"] == [
        True, False, True, True,
    ]  # fmt: skip
    assert originals.usage() == (3 * size, 3)
    read(await originals.lookup(identity("a")))
    originals.close()
    again = tier(tmp_path, max_bytes=2 * size)
    assert [read(await again.lookup(identity(name))) is not None for name in "acd"] == [True, False, True]
    again.close()


async def test_an_original_larger_than_the_tier_is_served_and_not_stored(tmp_path: Path) -> None:
    originals = tier(tmp_path, max_bytes=100)
    assert read(await put(originals, identity(), b"x" * 200)) == b"x" * 200
    assert await originals.lookup(identity()) is None
    assert [path for path in (tmp_path / "originals").rglob("*") if path.is_file()] == []
    originals.close()


async def test_files_of_a_killed_process_are_swept_and_foreign_files_stay(tmp_path: Path) -> None:
    (tmp_path / "originals/ab").mkdir(parents=True)
    (tmp_path / "originals/ab/abcd.part").write_bytes(b"half")
    (tmp_path / "originals/ab/notes.txt").write_bytes(b"mine")
    originals = tier(tmp_path)
    assert not (tmp_path / "originals/ab/abcd.part").exists()
    assert (tmp_path / "originals/ab/notes.txt").exists()
    assert originals.usage() == (0, 0)
    originals.close()


@pytest.mark.parametrize("fails_at", ["open", "begin", "middle", "trailer"])
async def test_an_original_is_served_and_not_stored_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: str
) -> None:
    metrics = FakeMetrics()
    originals = tier(tmp_path, metrics)
    full = OSError(errno.ENOSPC, "No space left on device")
    real = originals_module.write_all
    calls = {"begin": 1, "middle": 2, "trailer": 3}.get(fails_at, 0)
    seen = 0

    def write_all(file: object, piece: bytes) -> None:
        nonlocal seen
        seen += 1
        if seen == calls:
            file.write(piece[:2])  # type: ignore[attr-defined]
            raise full
        real(file, piece)  # type: ignore[arg-type]

    def refuse(*_: object, **__: object) -> None:
        raise full

    monkeypatch.setattr(originals_module, "write_all", write_all)
    if fails_at == "open":
        monkeypatch.setattr("tempfile.mkstemp", refuse)
    assert read(await put(originals, identity(), b"pict", b"ure!")) == b"picture!"
    assert metrics.counts == {"originals full": 1}
    assert await originals.lookup(identity()) is None
    assert [path for path in (tmp_path / "originals").rglob("*") if path.is_file()] == []
    originals.close()


@pytest.mark.parametrize("step", ["_create", "_append", "_rename"])
async def test_a_cancelled_store_leaves_no_file_that_is_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The caller is cancelled during one step on the disk."""
    owner = originals_module if step == "_rename" else originals_module.IncomingFile
    quick = getattr(owner, step)
    begun, left = threading.Event(), threading.Event()

    def slow(*arguments: Any) -> Any:
        begun.set()
        left.wait(LONGEST_S)
        return quick(*arguments)

    originals = tier(tmp_path)
    monkeypatch.setattr(owner, step, slow)
    incoming = originals.receive(identity().ref)

    async def arrive() -> None:
        try:
            await incoming.begin()
            await incoming.write(b"picture")
            (await incoming.commit("")).close()
        finally:
            await incoming.discard()

    arriving = asyncio.create_task(arrive())
    await asyncio.to_thread(begun.wait)
    arriving.cancel()
    await settle()
    left.set()
    with pytest.raises(asyncio.CancelledError):
        await arriving
    files = [path for path in (tmp_path / "originals").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) == originals.usage()[0]
    assert not [path for path in files if path.suffix == ".part"]
    originals.close()


async def test_a_stored_original_is_read_only(tmp_path: Path) -> None:
    originals = tier(tmp_path)
    for stored in (await put(originals, identity(), b"picture"), await originals.lookup(identity())):
        assert stored is not None
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.pwrite(stored.fileno(), b"EVIL", 0)
        with pytest.raises(PermissionError):
            mmap.mmap(stored.fileno(), 7)
        stored.close()
    originals.close()


async def test_an_unusable_directory_is_an_error_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "originals").write_bytes(b"a file")
    with pytest.raises(OSError, match="File exists"):
        tier(tmp_path)
