"""Originals in a directory. A key is a path below the root; no file outside the root is opened.

Symbolic links are followed if they stay inside the root. The version of an original is its size and mtime.
"""

import asyncio
import errno
import os
import stat
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, TypeVar

from proxy.core.errors import (
    BadUrl,
    Conflict,
    OriginalNotFound,
    OriginalTooLarge,
    Overloaded,
    SourceNotAllowed,
    SourceUnavailable,
)
from proxy.core.image.formats import SNIFF_BYTES, Format, sniff
from proxy.core.image.original import OriginalRef, forms, missing
from proxy.core.url.target import is_hidden
from proxy.local.files import OpenFile, Stamp, open_regular, replacing, stamp_of
from proxy.ports.originals import Fetched, OriginalFile, Version

T = TypeVar("T")

_THREADS = 4
_PAGE = 500
_CHUNK_BYTES = 2**20
_MISSING = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO, errno.EINVAL}
)


class DirectorySource:
    """Satisfies WritableSource. `max_bytes` limits an original."""

    freshness_lifetime_s = negative_ttl_s = 1.0
    serves_stale = False

    def __init__(self, name: str, root: Path, *, max_bytes: int) -> None:
        self._name = name
        self._root = os.path.realpath(root)
        self.max_bytes = max_bytes
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"source-{name}")
        # Writes and listings have threads of their own, so that reads do not wait for them.
        self._slow_threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"source-slow-{name}")

    async def identify(self, key: str, known: str | None = None) -> Version:
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._found, key, self._identified
        )

    async def tag(self, key: str) -> str:
        return ""

    async def fetch(self, key: str) -> Fetched:
        opening = asyncio.get_running_loop().run_in_executor(self._threads, self._found, key, self._opened)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close)  # The caller has left and cannot close it.
            raise

    async def store(self, key: str, content: OriginalFile, *, kind: Format, overwrite: bool = False) -> None:
        work = self._replace if overwrite else self._create
        writing = asyncio.get_running_loop().run_in_executor(self._slow_threads, work, key, content.fileno())
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait({writing})  # The caller undoes a finished write.
            raise

    async def exists(self, key: str) -> bool:
        try:
            await self.identify(key)
        except OriginalNotFound:
            return False
        return True

    async def delete(self, key: str) -> None:
        def remove() -> None:
            path = Path(self._root, key)
            path.unlink(missing_ok=True)
            with suppress(OSError):
                path.parent.rmdir()

        await asyncio.get_running_loop().run_in_executor(self._slow_threads, remove)

    async def keys(self, prefix: str) -> AsyncIterator[list[str]]:
        walking = self._walk(prefix)
        loop = asyncio.get_running_loop()
        while page := await loop.run_in_executor(self._slow_threads, lambda: list(islice(walking, _PAGE))):
            yield page

    def close(self) -> None:
        self._threads.shutdown(wait=False)
        self._slow_threads.shutdown(wait=False)

    def _create(self, key: str, descriptor: int) -> None:
        """Writes the whole file under its name, or nothing. Raises Conflict for another original under the key."""
        with self._destination(key) as path:
            try:
                # Unnamed until complete, where O_TMPFILE is supported: a killed process leaves nothing.
                with _part(path.parent) as (file, name):
                    _copy(descriptor, file)
                    # `src_dir_fd` makes Python set AT_SYMLINK_FOLLOW (linkat(2)), to link the target.
                    os.link(name, path, src_dir_fd=file.fileno())
            except FileExistsError:
                if not path.is_file() or not _same(descriptor, path):
                    raise Conflict("there is another original under this key") from None

    def _replace(self, key: str, descriptor: int) -> None:
        """Replaces the file atomically."""
        with self._destination(key) as path, replacing(path, path.parent) as file:
            _copy(descriptor, file)

    @contextmanager
    def _destination(self, key: str) -> Iterator[Path]:
        """The path for a new file of `key`. Creates its directory, and removes the directory if it stays empty."""
        try:
            path = Path(self._path(next(filter(self._is_there, forms(key)), key)))
        except OriginalNotFound:
            raise SourceNotAllowed("the key leads out of the source") from None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield path
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise Conflict("a part of the key is an original, or the key is a folder") from None
        except OSError as fault:
            if fault.errno == errno.ENAMETOOLONG:
                raise BadUrl("the key is too long for the source") from None
            raise SourceUnavailable("the source cannot be written to") from None
        finally:
            if str(path.parent) != self._root:
                with suppress(OSError):
                    path.parent.rmdir()

    def _walk(self, prefix: str) -> Iterator[str]:
        """The keys of all pictures whose keys start with `prefix`. Symbolic links are not followed: their targets
        inside the root have keys of their own."""
        if prefix.startswith("/") or is_hidden(prefix):
            return
        if not os.path.isdir(self._root):
            raise SourceUnavailable("the source cannot be read", retry_after_s=5)
        for folder, below, names in os.walk(Path(self._root, prefix.rpartition("/")[0]), onerror=_unreadable):
            below[:] = sorted(name for name in below if not name.startswith("."))
            if os.path.realpath(folder) != os.path.abspath(folder):
                below.clear()
                continue
            for name in sorted(names):
                path = Path(folder, name)
                key = path.relative_to(self._root).as_posix()
                if (
                    key.startswith(prefix)
                    and not name.startswith(".")
                    and key.isprintable()
                    and _is_picture(path)
                ):
                    yield key

    def _found(self, key: str, find: Callable[[str], T]) -> T:
        """The result of `find` for `key`, else for its other normalization form. Raises OriginalNotFound."""
        for form in forms(key):
            with suppress(OriginalNotFound):
                return find(form)
        raise missing(OriginalRef(self._name, key))

    def _identified(self, key: str) -> Version:
        try:
            status = os.stat(self._path(key), follow_symlinks=False)
        except (OSError, ValueError) as fault:
            raise self._failure(fault, key) from None
        if not stat.S_ISREG(status.st_mode):
            raise missing(OriginalRef(self._name, key))
        return Version(key, _version(stamp_of(status)))

    def _opened(self, key: str) -> Fetched:
        path = self._path(key)
        try:
            file = open_regular(path)
        except (OSError, ValueError) as fault:
            raise self._failure(fault, key) from None
        stamp = stamp_of(os.fstat(file.fileno()))
        opened = OpenFile(file, stamp[0], stamp)
        # A directory of the path may have been replaced by a link since the path was resolved.
        if os.readlink(f"/proc/self/fd/{file.fileno()}") != path:
            opened.close()
            raise missing(OriginalRef(self._name, key))
        if opened.size_bytes > self.max_bytes:
            opened.close()
            raise OriginalTooLarge(f"the original is larger than {self.max_bytes} bytes")
        return Fetched(Version(key, _version(stamp)), opened)

    def _is_there(self, key: str) -> bool:
        return os.path.lexists(os.path.join(self._root, key))

    def _path(self, key: str) -> str:
        """The real path of `key`. Raises OriginalNotFound if it is outside the root."""
        try:
            path = os.path.realpath(os.path.join(self._root, key))
        except (OSError, ValueError) as fault:
            raise self._failure(fault, key) from None
        if os.path.commonpath([path, self._root]) != self._root:
            raise missing(OriginalRef(self._name, key))
        return path

    def _failure(self, fault: Exception, key: str) -> OriginalNotFound | SourceUnavailable | Overloaded:
        if isinstance(fault, OSError) and fault.errno in (errno.EMFILE, errno.ENFILE):
            return Overloaded("the node has reached its limit of open files", retry_after_s=1)
        # A missing root or a forbidden file is an error of the configuration, not a missing original.
        if isinstance(fault, PermissionError) or not os.path.isdir(self._root):
            return SourceUnavailable("the source cannot be read", retry_after_s=5)
        if isinstance(fault, OSError) and fault.errno not in _MISSING:
            return SourceUnavailable("the source cannot be read", retry_after_s=5)
        return missing(OriginalRef(self._name, key))


def _unreadable(fault: OSError) -> None:
    if fault.errno not in _MISSING:
        raise SourceUnavailable("a part of the source cannot be read")


def _close(opened: "asyncio.Future[Fetched]") -> None:
    if not opened.cancelled() and opened.exception() is None:
        opened.result().file.close()


def _is_picture(path: Path) -> bool:
    with suppress(OSError), open_regular(path) as file:
        return sniff(file.read(SNIFF_BYTES)) is not None
    return False


@contextmanager
def _part(folder: Path) -> Iterator[tuple[IO[bytes], str]]:
    """A new file in `folder`, and the path by which it can be linked."""
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o644)
        name = f"/proc/self/fd/{descriptor}"
    except OSError as fault:
        if fault.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL):
            raise
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=".", suffix=".part")
        os.fchmod(descriptor, 0o644)
    try:
        with open(descriptor, "wb") as file:
            yield file, name
    finally:
        if not name.startswith("/proc/"):
            os.unlink(name)


def _copy(descriptor: int, file: IO[bytes]) -> None:
    """Copies the file `descriptor` to the disk."""
    at = 0
    while part := os.pread(descriptor, _CHUNK_BYTES, at):
        file.write(part)
        at += len(part)
    file.flush()
    os.fsync(file.fileno())


def _same(descriptor: int, path: Path) -> bool:
    at = 0
    with path.open("rb") as file:
        while (part := os.pread(descriptor, _CHUNK_BYTES, at)) == file.read(_CHUNK_BYTES):
            if not part:
                return True
            at += len(part)
    return False


def _version(stamp: Stamp) -> str:
    return "-".join(map(str, stamp))
