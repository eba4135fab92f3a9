"""Originals in a directory: a key is a path below the root, and nothing outside the root is ever opened.

Symbolic links are followed as long as they stay inside. The version of an original is its size and mtime.
"""

import asyncio
import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from proxy.core.errors import OriginalNotFound, OriginalTooLarge, Overloaded, SourceUnavailable
from proxy.core.keys import Identity, OriginalRef

_THREADS = 4
_MISSING = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO, errno.EINVAL}
)


class OpenFile:
    """Satisfies Original."""

    def __init__(self, descriptor: int, ref: OriginalRef) -> None:
        # A file object, so that the descriptor is closed even if nobody is left to do it.
        self._file = open(descriptor, "rb", buffering=0)  # noqa: SIM115
        status = os.fstat(descriptor)
        self.identity = Identity(ref, _version(status))
        self.size_bytes = status.st_size

    def fileno(self) -> int:
        return self._file.fileno()

    def unchanged(self) -> bool:
        return _version(os.fstat(self.fileno())) == self.identity.version

    def close(self) -> None:
        self._file.close()


class DirectorySource:
    """Satisfies Source. `max_bytes` bounds an original."""

    recheck_s = 1.0
    serves_stale = False

    def __init__(self, name: str, root: Path, *, max_bytes: int) -> None:
        self._name = name
        self._root = os.path.realpath(root)
        self.max_bytes = max_bytes
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"source-{name}")

    async def identify(self, key: str, known: Identity | None = None) -> Identity:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._identify, key)

    async def fetch(self, key: str) -> OpenFile:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._open, key)

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    def _identify(self, key: str) -> Identity:
        try:
            status = os.stat(self._path(key), follow_symlinks=False)
        except (OSError, ValueError) as fault:
            raise self._failure(fault) from None
        if not stat.S_ISREG(status.st_mode):
            raise OriginalNotFound("there is no original under this key")
        return Identity(OriginalRef(self._name, key), _version(status))

    def _open(self, key: str) -> OpenFile:
        path = self._path(key)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError) as fault:
            raise self._failure(fault) from None
        # A directory on the way may have become a link since its path was resolved.
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        if not regular or os.readlink(f"/proc/self/fd/{descriptor}") != path:
            os.close(descriptor)
            raise OriginalNotFound("there is no original under this key")
        file = OpenFile(descriptor, OriginalRef(self._name, key))
        if file.size_bytes > self.max_bytes:
            file.close()
            raise OriginalTooLarge(f"the original is larger than {self.max_bytes} bytes")
        return file

    def _path(self, key: str) -> str:
        """The real path of `key`; raises OriginalNotFound where it leaves the root."""
        try:
            path = os.path.realpath(os.path.join(self._root, key))
        except (OSError, ValueError) as fault:
            raise self._failure(fault) from None
        if os.path.commonpath([path, self._root]) != self._root:
            raise OriginalNotFound("there is no original under this key")
        return path

    def _failure(self, fault: Exception) -> OriginalNotFound | SourceUnavailable | Overloaded:
        if isinstance(fault, OSError) and fault.errno in (errno.EMFILE, errno.ENFILE):
            return Overloaded("the node has as many files open as it may", retry_after_s=1)
        # A root that is gone, or a file we may not read, is the owner's to mend and no missing picture.
        if isinstance(fault, PermissionError) or not os.path.isdir(self._root):
            return SourceUnavailable("the source cannot be read", retry_after_s=5)
        if isinstance(fault, OSError) and fault.errno not in _MISSING:
            return SourceUnavailable("the source cannot be read", retry_after_s=5)
        return OriginalNotFound("there is no original under this key")


def _version(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}"
