"""Files are replaced as a whole or not at all."""

import os
from pathlib import Path

import pytest

from proxy.local.files import replacing, temporary


def test_a_file_is_replaced_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with replacing(path, tmp_path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert [found.name for found in tmp_path.iterdir()] == ["a"]


def test_a_file_stays_if_the_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), replacing(path, tmp_path) as file:
        file.writelines([b"new", "no bytes"])  # type: ignore[list-item]
    assert path.read_bytes() == b"old"
    assert [found.name for found in tmp_path.iterdir()] == ["a"]


def test_a_temporary_file_is_read_by_its_descriptor() -> None:
    with temporary(b"picture") as file:
        assert (os.pread(file.fileno(), 100, 0), file.size_bytes, file.unchanged()) == (b"picture", 7, True)


def test_a_file_reopened_for_reading_cannot_be_written() -> None:
    with temporary(b"picture") as file:
        assert os.pread(file.fileno(), 100, 0) == b"picture"
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(file.fileno(), b"x")
