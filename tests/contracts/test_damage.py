"""Every damage of every file that a node keeps beside its pictures is a miss: each byte flipped, each length cut, and
what else may stand under the name of a file."""

import asyncio
import os
import random
import shutil
import socket
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from proxy.core.delivery import Variant
from proxy.core.formats import Format
from proxy.core.keys import Identity, OriginalRef, original_key
from proxy.tiers import objects as objects_module
from proxy.tiers.bucket import BucketTier, StoreFault
from proxy.tiers.disk import DiskTier
from proxy.tiers.objects import DirectoryObjects
from proxy.tiers.originals import OriginalsTier
from tests.fakes import FakeClock, FakeFlags, FakeMetrics

KEY = "ab" * 32
VARIANT = Variant(kind=Format.WEBP, body=bytes(range(0, 250, 5)), of="photos:a b/é.jpg")
BUCKET_FILES = [f"thumbnails/ab/{KEY}.webp", f"thumbnails/ab/{KEY}.webp.json"]

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


IN_PLACE: dict[str, Callable[[Path], object]] = {
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
        DirectoryObjects(folder, time.monotonic), FakeFlags(),
        prefix="thumbnails", public_url="", metrics=metrics, clock=FakeClock(), chance=lambda: 0.0,
    )  # fmt: skip
    return bucket, metrics


async def asked_everything(bucket: BucketTier) -> Variant | None:
    """What is found, when all has been asked that a bucket can be asked of it."""
    found = await bucket.lookup(KEY, Format.WEBP)
    await bucket.holds(KEY, Format.WEBP)
    with suppress(StoreFault):
        await bucket.original_of(KEY, Format.WEBP)
    assert await bucket.location(KEY, Format.WEBP, until_s=1e9) == ""
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
        found = await asked_everything(bucket)
        # What says of which original it is may be another: the picture is right.
        assert found is None or (found.kind, found.body) == (VARIANT.kind, VARIANT.body)
        misses += found is None
    assert misses >= 4 * 32
    path.write_bytes(whole)
    assert await bucket.lookup(KEY, Format.WEBP) is not None, "nothing is remembered against it"
    assert set(metrics.counts) <= {"bucket damaged", "bucket unsigned"}


@pytest.mark.parametrize("content", OTHER_JSON, ids=lambda content: repr(content[:24]))
async def test_other_json_beside_an_object(tmp_path: Path, content: bytes) -> None:
    bucket, metrics = a_bucket(tmp_path)
    await bucket.store(KEY, VARIANT)
    (tmp_path / BUCKET_FILES[1]).write_bytes(content)
    assert await asked_everything(bucket) is None
    assert metrics.counts["bucket damaged"] == 1
    assert await bucket.store(KEY, VARIANT)
    assert await bucket.lookup(KEY, Format.WEBP) == Variant(kind=VARIANT.kind, body=VARIANT.body)


@pytest.mark.parametrize("file", [*BUCKET_FILES, "thumbnails/ab", "thumbnails"])
@pytest.mark.parametrize("what", IN_PLACE)
async def test_something_else_in_the_place_of_a_directory_buckets_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(objects_module, "LOOKUP_S", 60.0)
    bucket, metrics = a_bucket(tmp_path)
    await bucket.store(KEY, VARIANT)
    path = tmp_path / file
    path.rename(tmp_path / "away")
    IN_PLACE[what](path)
    assert await asked_everything(bucket) is None
    assert "bucket timeout" not in metrics.counts, "no thread is held"


def identity(key: str = "a.jpg") -> Identity:
    return Identity(OriginalRef("photos", key), "1")


async def keep(tier: OriginalsTier, who: Identity, content: bytes) -> Path:
    incoming = tier.receive()
    await incoming.begin()
    await incoming.write(content)
    (await incoming.kept(who)).close()
    await incoming.discard()
    return tier.path(original_key(who))


async def test_each_byte_of_a_kept_original(tmp_path: Path) -> None:
    tier = OriginalsTier(tmp_path / "kept", max_bytes=2**24, metrics=FakeMetrics())
    path = await keep(tier, identity(), b"picture")
    whole = path.read_bytes()
    for content in damaged(whole):
        await keep(tier, identity(), b"picture")
        path.write_bytes(content)
        assert await tier.lookup(identity()) is None
    tier.close()


@pytest.mark.parametrize("what", IN_PLACE)
async def test_something_else_in_the_place_of_a_kept_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    tier = OriginalsTier(tmp_path / "kept", max_bytes=2**24, metrics=FakeMetrics())
    for name, place in (("a.jpg", "file"), ("b.jpg", "folder")):
        path = await keep(tier, identity(name), b"picture")
        path = path if place == "file" else path.parent
        path.rename(tmp_path / place)
        IN_PLACE[what](path)
        held = len(os.listdir("/proc/self/fd"))
        assert await tier.lookup(identity(name)) is None
        assert len(os.listdir("/proc/self/fd")) == held
        await keep(tier, identity(name), b"picture")
        found = await tier.lookup(identity(name))
        if found is not None:
            assert os.pread(found.fileno(), 7, 0) == b"picture"
            found.close()
    tier.close()
    # And what is there when a node starts.
    OriginalsTier(tmp_path / "kept", max_bytes=2**24, metrics=FakeMetrics()).close()


async def filled(folder: Path, count: int) -> None:
    tier = DiskTier(folder, max_bytes=2**24, metrics=FakeMetrics())
    for number in range(count):
        assert await tier.store(f"{number:064x}", VARIANT)
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
        assert await tier.lookup(f"{number:064x}", Format.WEBP) is None
    await tier.close()
    assert metrics.counts == {"disk damaged": count}


@pytest.mark.parametrize("what", IN_PLACE)
async def test_something_else_in_the_place_of_an_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    await filled(tmp_path / "cache", 2)
    for number, place in enumerate(("file", "folder")):
        path = file_of(tmp_path / "cache", number)
        path = path if place == "file" else path.parent
        path.rename(tmp_path / place)
        IN_PLACE[what](path)
    tier = DiskTier(tmp_path / "cache", max_bytes=2**24, metrics=FakeMetrics())
    for number in range(2):
        assert await tier.lookup(f"{number:064x}", Format.WEBP) is None
        await tier.store(f"{number:064x}", VARIANT)
        assert await tier.lookup(f"{number:064x}", Format.WEBP) is not None
    await tier.close()


EVERY_BYTE = bool(os.environ.get("EVERY_BYTE"))
"""Whether to take the half hour in which each byte of a database is flipped, and not some of them."""


@pytest.mark.parametrize("part", range(4))
async def test_the_database_of_the_disk_tier(tmp_path: Path, part: int) -> None:
    await filled(tmp_path / "whole", 3)
    whole = (tmp_path / "whole/cache.db").read_bytes()
    chance = random.Random(part)
    # Half of them where there is something, for most of a page is empty.
    told = [at for at in range(len(whole)) if whole[at]]
    places: Iterable[int] = [*chance.choices(told, k=30), *chance.choices(range(len(whole)), k=10)]
    if EVERY_BYTE:
        places = range(part, len(whole), 4)
    for at in places:
        folder = tmp_path / "cache"
        shutil.copytree(tmp_path / "whole", folder)
        flipped = whole[:at] + bytes([whole[at] ^ chance.choice((0x01, 0x80, 0xFF))]) + whole[at + 1 :]
        (folder / "cache.db").write_bytes(flipped)
        tier = DiskTier(folder, max_bytes=2**24, metrics=FakeMetrics())
        for number in range(3):
            found = await tier.lookup(f"{number:064x}", Format.WEBP)
            assert found in (None, Variant(kind=VARIANT.kind, body=VARIANT.body)), at
            assert await tier.holds(f"{number:064x}", Format.WEBP) in (True, False)
            await tier.store(f"{number:064x}", VARIANT)
            await tier.remove(f"{number:064x}", Format.WEBP)
        # What is damaged is set aside when it is touched, by a store, a look-up or the sweep: then it works again.
        for _ in range(500):
            await tier.store(KEY, VARIANT)
            if await tier.lookup(KEY, Format.WEBP) is not None:
                break
            await asyncio.sleep(0.02)
        else:
            raise AssertionError(f"the tier never came back: {at}")
        await tier.close()
        for left in tmp_path.glob("cache*"):
            shutil.rmtree(left)
