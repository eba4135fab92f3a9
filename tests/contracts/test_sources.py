"""The contract of Source, and that a directory never opens a file outside its root."""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.core.errors import (
    BadUrl,
    CalotypeError,
    Conflict,
    OriginalNotFound,
    OriginalTooLarge,
    SourceNotAllowed,
    SourceUnavailable,
)
from proxy.core.image.formats import Format
from proxy.sources import directory as directory_source
from proxy.sources.directory import DirectorySource
from tests.support import pictures
from tests.support.fakes import FakeOriginalFile, FakeSource, temporary_file
from tests.support.waiting import LONGEST_S


class SourceSetup:
    """A source, and `put`, which stores an original in it."""

    def __init__(self, source: Any, put: Callable[[str, bytes, str], object]) -> None:
        self.source = source
        self.put = put


def directory(folder: Path) -> SourceSetup:
    root = folder / "root"
    root.mkdir()

    def put(key: str, content: bytes, version: str) -> None:
        path = temporary_file(root, key, content)
        os.utime(path, ns=(int(version), int(version)))

    return SourceSetup(DirectorySource("photos", root, max_bytes=1000), put)


def fake(_: Path) -> SourceSetup:
    source = FakeSource()
    return SourceSetup(source, source.put)


@pytest.fixture(params=[directory, fake], ids=["directory", "fake"])
def setup(request: pytest.FixtureRequest, tmp_path: Path) -> SourceSetup:
    made: SourceSetup = request.param(tmp_path)
    return made


async def test_an_original_is_identified_and_fetched(setup: SourceSetup) -> None:
    setup.put("a/b c.jpg", b"picture", "1")
    version = await setup.source.identify("a/b c.jpg")
    assert version.key == "a/b c.jpg"
    fetched, original, _ = await setup.source.fetch("a/b c.jpg")
    assert fetched == version
    assert original.size_bytes == 7
    assert os.pread(original.fileno(), 100, 0) == b"picture"
    assert original.unchanged()
    original.close()


async def test_a_missing_original_is_an_error(setup: SourceSetup) -> None:
    with pytest.raises(OriginalNotFound):
        await setup.source.identify("nope.jpg")
    with pytest.raises(OriginalNotFound):
        await setup.source.fetch("nope.jpg")


@pytest.mark.parametrize("key", ["nope.jpg", "deep/nope.jpg", "../secret.jpg", "in"])
async def test_a_missing_original_is_named_without_its_folder(
    rooted: tuple[DirectorySource, Path], key: str
) -> None:
    source, root = rooted
    for call in (source.identify, source.fetch):
        with pytest.raises(OriginalNotFound) as caught:
            await call(key)
        assert caught.value.detail == f"there is no original '{key}' in source photos"
        assert str(root.parent) not in caught.value.detail


async def test_other_content_is_another_version(setup: SourceSetup) -> None:
    setup.put("a", b"one", "1")
    first = await setup.source.identify("a")
    setup.put("a", b"two", "2")
    assert await setup.source.identify("a") != first


async def test_the_freshness_lifetime_is_a_second(setup: SourceSetup) -> None:
    assert setup.source.freshness_lifetime_s == 1.0


# Tests of DirectorySource.


@pytest.fixture
def rooted(tmp_path: Path) -> tuple[DirectorySource, Path]:
    root = tmp_path / "root"
    temporary_file(root, "in/side.jpg", b"inside")
    temporary_file(tmp_path, "secret.jpg", b"secret")
    temporary_file(tmp_path, "root-next/door.jpg", b"secret")
    return DirectorySource("photos", root, max_bytes=1000), root


@pytest.mark.parametrize(
    "key",
    [
        "../secret.jpg", "in/../../secret.jpg", "/etc/passwd", "../root-next/door.jpg", "..", "in", "in/", ".", "",
        "link.jpg", "linked/secret.jpg", "chain.jpg", "loop.jpg", "a\0b", "x" * 300, "in/side.jpg/more", "pipe",
        "/".join(["d"] * 3000), "\udcff",
    ],
)  # fmt: skip
async def test_nothing_outside_the_root_is_opened(rooted: tuple[DirectorySource, Path], key: str) -> None:
    source, root = rooted
    (root / "link.jpg").symlink_to("../secret.jpg")
    (root / "linked").symlink_to(root.parent)
    (root / "chain.jpg").symlink_to("link.jpg")
    (root / "loop.jpg").symlink_to("loop.jpg")
    os.mkfifo(root / "pipe")
    for call in (source.identify, source.fetch):
        with pytest.raises(OriginalNotFound):
            await asyncio.wait_for(call(key), LONGEST_S)


async def test_links_inside_the_root_are_followed(rooted: tuple[DirectorySource, Path]) -> None:
    source, root = rooted
    (root / "alias.jpg").symlink_to("in/side.jpg")
    version, original, _ = await source.fetch("alias.jpg")
    assert os.pread(original.fileno(), 10, 0) == b"inside"
    assert version == await source.identify("alias.jpg")
    original.close()


async def test_the_root_may_be_a_link(rooted: tuple[DirectorySource, Path], tmp_path: Path) -> None:
    (tmp_path / "rootlink").symlink_to("root")
    source = DirectorySource("photos", tmp_path / "rootlink", max_bytes=1000)
    (await source.fetch("in/side.jpg")).file.close()


async def test_a_file_swapped_for_a_link_between_the_checks_is_not_followed(
    rooted: tuple[DirectorySource, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, root = rooted
    path = source._path("in/side.jpg")
    (root / "in").rename(root / "away")
    (root / "in").symlink_to(root.parent)
    temporary_file(root.parent, "side.jpg", b"secret")
    monkeypatch.setattr(source, "_path", lambda key: path)
    with pytest.raises(OriginalNotFound):
        await source.fetch("in/side.jpg")


async def test_an_original_that_is_too_large_is_not_read(rooted: tuple[DirectorySource, Path]) -> None:
    source, root = rooted
    temporary_file(root, "large", b"x" * 1001)
    temporary_file(root, "fits", b"x" * 1000)
    with pytest.raises(OriginalTooLarge):
        await source.fetch("large")
    (await source.fetch("fits")).file.close()


async def test_a_missing_root_is_an_unavailable_source(rooted: tuple[DirectorySource, Path]) -> None:
    source, root = rooted
    shutil.rmtree(root)
    with pytest.raises(SourceUnavailable):
        await source.identify("in/side.jpg")


async def test_an_unreadable_file_is_an_unavailable_source(
    rooted: tuple[DirectorySource, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _ = rooted

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(SourceUnavailable):
        await source.fetch("in/side.jpg")


async def test_a_write_to_an_open_original_is_detected(rooted: tuple[DirectorySource, Path]) -> None:
    source, root = rooted
    _, original, _ = await source.fetch("in/side.jpg")
    assert original.unchanged()
    (root / "in/side.jpg").write_bytes(b"longer than before")
    assert not original.unchanged()
    original.close()


async def test_an_open_original_is_readable_after_its_replacement(
    rooted: tuple[DirectorySource, Path],
) -> None:
    source, root = rooted
    _, original, _ = await source.fetch("in/side.jpg")
    temporary_file(root, "new", b"new").replace(root / "in/side.jpg")
    assert os.pread(original.fileno(), 10, 0) == b"inside"
    original.close()


async def test_an_invalid_key_is_a_calotype_error(rooted: tuple[DirectorySource, Path]) -> None:
    source, _ = rooted
    for key in ("%00", "a" * 5000, "a/" * 100 + "b", "\u202e", "😀"):
        with pytest.raises(CalotypeError):
            await source.identify(key)


async def store(source: DirectorySource, key: str, content: bytes, *, overwrite: bool = False) -> None:
    original = FakeOriginalFile(content)
    try:
        await source.store(key, original, kind=Format.JPEG, overwrite=overwrite)
    finally:
        original.close()


async def test_an_original_is_stored_in_nested_folders(rooted: tuple[DirectorySource, Path]) -> None:
    source, root = rooted
    await store(source, "a/b/c/groß.jpg", b"deep")
    assert (root / "a/b/c/groß.jpg").read_bytes() == b"deep"
    await store(source, "a/b/c/groß.jpg", b"deep")
    with pytest.raises(Conflict):
        await store(source, "a/b/c/groß.jpg", b"else")
    await store(source, "a/b/c/groß.jpg", b"else", overwrite=True)
    await store(source, "new.jpg", b"new", overwrite=True)
    assert (root / "a/b/c/groß.jpg").read_bytes() == b"else"
    assert (root / "new.jpg").stat().st_mode & 0o777 == 0o644
    assert not list(root.rglob("*.part"))


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("in/side.jpg/more.jpg", Conflict), ("in/side.jpg/and/more.jpg", Conflict), ("in", Conflict), ("x" * 300, BadUrl),
        ("../outside.jpg", SourceNotAllowed), ("linked/outside.jpg", SourceNotAllowed), ("link.jpg", SourceNotAllowed),
    ],
)  # fmt: skip
async def test_nothing_is_stored_under_an_invalid_key(
    rooted: tuple[DirectorySource, Path], key: str, kind: type[Exception], overwrite: bool
) -> None:
    source, root = rooted
    (root / "link.jpg").symlink_to("../secret.jpg")
    (root / "linked").symlink_to(root.parent)
    before = sorted(root.parent.rglob("*"))
    with pytest.raises(kind):
        await store(source, key, b"content", overwrite=overwrite)
    assert sorted(root.parent.rglob("*")) == before
    assert (root.parent / "secret.jpg").read_bytes() == b"secret"


async def test_a_failed_store_leaves_the_empty_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "root").mkdir()
    source = DirectorySource("photos", tmp_path / "root", max_bytes=1000)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(directory_source, "_copy", full)
    for overwrite in (False, True):
        for key in ("a.jpg", "b/a.jpg"):
            with pytest.raises(SourceUnavailable):
                await store(source, key, b"content", overwrite=overwrite)
    assert list(tmp_path.rglob("*")) == [tmp_path / "root"]


NFC, NFD = "gr\u00fcn/caf\u00e9.jpg", "gru\u0308n/cafe\u0301.jpg"


@pytest.mark.parametrize(("there", "requested"), [(NFC, NFD), (NFD, NFC), (NFC, NFC), (NFD, NFD)])
async def test_a_name_is_found_in_the_other_normal_form(
    rooted: tuple[DirectorySource, Path], there: str, requested: str
) -> None:
    source, root = rooted
    temporary_file(root, there, b"here")
    version = await source.identify(requested)
    assert version.key == there, "both forms have one identity, so one entry"
    fetched, original, _ = await source.fetch(requested)
    assert (fetched, os.pread(original.fileno(), 9, 0)) == (version, b"here")
    original.close()
    assert await source.exists(requested)
    await store(source, requested, b"else", overwrite=True)
    assert [path for path in (root / NFC, root / NFD) if path.exists()] == [root / there]
    assert (root / there).read_bytes() == b"else"


async def test_two_normal_forms_of_a_key_may_be_two_originals(rooted: tuple[DirectorySource, Path]) -> None:
    source, root = rooted
    for key in (NFC, NFD):
        temporary_file(root, key, key.encode())
    for key in (NFC, NFD):
        assert (await source.identify(key)).key == key
    with pytest.raises(OriginalNotFound, match="gru%CC%88n/nope"):
        await source.identify("gru\u0308n/nope.jpg")


async def test_names_that_begin_with_a_dot_are_not_listed(rooted: tuple[DirectorySource, Path]) -> None:
    source, root = rooted
    picture = pictures.quarters_as("png")
    for key in (".a.png", ".in/a.png", "in/.a.png", "in/.b/a.png", "in/a.png"):
        temporary_file(root, key, picture)
    for prefix, listed in (("", ["in/a.png"]), (".in/", []), (".", []), ("in/.", []), ("in/.b/", [])):
        assert [key async for page in source.keys(prefix) for key in page] == listed
