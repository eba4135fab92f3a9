"""Stored reductions have limits on bytes and files, and cannot be written."""

import errno
import os
from collections.abc import Iterator

import pytest

from proxy.render import reductions as module
from proxy.render.protocol import MAX_REDUCTIONS
from proxy.render.reductions import Reductions


@pytest.fixture
def stored() -> Iterator[Reductions]:
    made = Reductions()
    yield made
    made.close()


def leave(stored: Reductions, original: str, text: bytes = b"{}", content: bytes = b"pixels") -> None:
    """Stores a reduction as the pool does."""
    descriptor = stored.new_file(original)
    assert descriptor is not None
    os.write(descriptor, content)
    stored.store(original, text, descriptor)
    os.close(descriptor)


def test_a_reduction_is_found_by_its_original(stored: Reductions) -> None:
    leave(stored, "one")
    [found] = stored.of("one")
    assert (found.text, found.size_bytes) == (b"{}", 6)
    assert os.pread(found.descriptor, 100, 0) == b"pixels"
    assert stored.of("other") == []


def test_a_stored_reduction_cannot_be_changed(stored: Reductions) -> None:
    leave(stored, "one")
    descriptor = stored.of("one")[0].descriptor
    for change in (
        lambda: os.pwrite(descriptor, b"x", 0),
        lambda: os.ftruncate(descriptor, 3),
        lambda: os.ftruncate(descriptor, 30),
    ):
        with pytest.raises(PermissionError):
            change()


def test_an_original_has_so_many_reductions_and_none_twice(stored: Reductions) -> None:
    leave(stored, "one", b"a")
    leave(stored, "one", b"a")
    assert len(stored.of("one")) == 1
    late = stored.new_file("one")
    assert late is not None
    for number in range(MAX_REDUCTIONS):
        if stored.new_file("one") is not None:
            leave(stored, "one", b"%d" % number)
    stored.store("one", b"late", late)
    os.close(late)
    assert len(stored.of("one")) == MAX_REDUCTIONS
    assert stored.new_file("one") is None


@pytest.mark.parametrize(("bytes_", "files"), [(20, 100), (10**6, 3)])
def test_the_least_recently_used_original_makes_room(
    stored: Reductions, monkeypatch: pytest.MonkeyPatch, bytes_: int, files: int
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", bytes_)
    monkeypatch.setattr(module, "MAX_FILES", files)
    open_files = len(os.listdir("/proc/self/fd"))
    for name in ("a", "b", "c"):
        leave(stored, name)
    stored.of("b")
    stored.of("a")
    leave(stored, "d")
    leave(stored, "d", b"second", b"p")
    assert [bool(stored.of(name)) for name in ("a", "b", "c", "d")] == [True, files == 100, False, True]
    assert stored.size_bytes <= bytes_
    stored.close()
    assert len(os.listdir("/proc/self/fd")) == open_files


def test_one_that_exceeds_the_limit_is_not_stored(
    stored: Reductions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 5)
    leave(stored, "one")
    assert stored.of("one") == []
    assert stored.size_bytes == 0


def test_without_memory_there_is_no_file(stored: Reductions, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.ENFILE, "too many files")

    monkeypatch.setattr(os, "memfd_create", fail)
    assert stored.new_file("one") is None
