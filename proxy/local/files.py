"""Files of this machine: opened without trusting the directory entry, and replaced as a whole."""

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TypeAlias

Stamp: TypeAlias = tuple[int, int]
"""Size in bytes and mtime in nanoseconds: another stamp means that the file has changed."""


def stamp_of(status: os.stat_result) -> Stamp:
    return status.st_size, status.st_mtime_ns


class OpenFile:
    """Satisfies OriginalFile. `stamp` is that of the file when it was opened; None if nothing writes to the file."""

    def __init__(self, file: IO[bytes], size_bytes: int, stamp: Stamp | None = None) -> None:
        self._file = file
        self._stamp = stamp
        self.size_bytes = size_bytes

    def fileno(self) -> int:
        return self._file.fileno()

    def unchanged(self) -> bool:
        return self._stamp is None or stamp_of(os.fstat(self.fileno())) == self._stamp

    def close(self) -> None:
        self._file.close()


def open_regular(path: Path | str) -> IO[bytes]:
    """Opens a regular file, unbuffered. Raises OSError for a link, a directory, or a pipe, which would block."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return open(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def read_only(descriptor: int) -> IO[bytes]:
    """The same file, opened for reading alone, as it is passed to a worker."""
    return open(f"/proc/self/fd/{descriptor}", "rb", buffering=0)


@contextmanager
def temporary(content: bytes) -> Iterator[OpenFile]:
    """`content` in a file without a name, for readers that take a descriptor."""
    with tempfile.TemporaryFile(buffering=0) as file:
        write_all(file, content)
        with read_only(file.fileno()) as reading:
            yield OpenFile(reading, len(content))


@contextmanager
def replacing(path: Path, folder: Path) -> Iterator[IO[bytes]]:
    """A new file in `folder`, on the same file system, which takes the place of `path` unless the block fails."""
    descriptor, part = tempfile.mkstemp(dir=folder, prefix=".", suffix=".part")
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o644)
            yield file
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(part)
        raise


def write_all(file: IO[bytes], content: bytes) -> None:
    """Writes all of `content` to an unbuffered file, which may take a part of it at a time."""
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]
