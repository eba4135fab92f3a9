"""Originals from network sources, stored as files, so that many variants need one fetch.

A file is the bytes of the original and a trailer with identity, length and digest, which every lookup checks. Bytes
arrive in a temporary file, which is renamed when it is complete. If the disk fails, the original stays in memory as
long as it is in use.
"""

import asyncio
import errno
import hashlib
import os
import re
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO, TypeVar

from proxy.core.cache.generations import Generations
from proxy.core.cache.keys import original_key
from proxy.core.image.original import Identity, OriginalRef
from proxy.local.files import OpenFile, open_regular, read_only, write_all
from proxy.ports.telemetry import Metrics

_MAGIC = b"CALO-O1\n"
_DIGEST_BYTES = 16
TRAILER_BYTES = len(_MAGIC) + 32 + 8 + _DIGEST_BYTES
_THREADS = 4
_CANCEL_WAIT_S = 1.0
_CHUNK_BYTES = 2**20
_INCOMING = "incoming"
_PART = ".part"
_NAME = re.compile(r"[0-9a-f]{64}")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

T = TypeVar("T")


class DiskOriginalStore:
    """Satisfies OriginalStore. Stores at most `max_bytes`; evicts the least recently used original first. `generations` has
    the current generation of an original.

    Used by one process. Raises OSError if this user cannot use the directory.
    """

    name = "originals"

    def __init__(
        self, directory: Path, *, max_bytes: int, metrics: Metrics, generations: Generations
    ) -> None:
        self.directory = directory
        self._generations = generations
        self._max_bytes = max_bytes
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="originals")
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._arriving: set[str] = set()
        self._stored_bytes = 0
        self._load()

    async def lookup(self, identity: Identity) -> OpenFile | None:
        name = original_key(identity)
        if name not in self._sizes or name in self._arriving:
            return None
        self._sizes.move_to_end(name)
        file_bytes = self._sizes[name]
        try:
            original = await self.off_loop(lambda: self._open(name, file_bytes))
        except OSError:
            original = None
        if original is None:
            self._metrics.tier_failed(self.name, "damaged")
            self._forget(name)
            await self.off_loop(lambda: self._unlink(name))
        return original

    async def remove(self, name: str) -> bool:
        if name not in self._sizes or name in self._arriving:
            return False
        self._forget(name)
        await self.off_loop(lambda: self._unlink(name))
        return True

    def receive(self, ref: OriginalRef) -> "IncomingFile":
        return IncomingFile(self, ref, self._generations.original_generation(ref))

    def usage(self) -> tuple[int, int]:
        return self._stored_bytes, len(self._sizes)

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    async def off_loop(self, work: Callable[[], T]) -> T:
        """Runs `work` on a thread. If cancelled, waits `_CANCEL_WAIT_S` for it, so that the caller can undo it."""
        working = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            await asyncio.wait({working}, timeout=_CANCEL_WAIT_S)
            raise

    def failed(self, fault: OSError) -> None:
        """Counts an error of the disk."""
        self._metrics.tier_failed(self.name, "full" if fault.errno in _FULL else "io")

    async def add(self, name: str, part: Path, size_bytes: int) -> None:
        """Renames the complete file `part` to `name`; deletes it if it is too large for the store."""
        if size_bytes > self._max_bytes:
            with suppress(OSError):
                await self.off_loop(part.unlink)
            return
        # Registered before the rename, so that the file is never unknown.
        self._arriving.add(name)
        self._forget(name)
        self._sizes[name] = size_bytes
        self._stored_bytes += size_bytes
        self._threads.submit(self._unlink, *self._evict())
        try:
            await self.off_loop(lambda: _rename(part, self.path(name)))
        except OSError as fault:
            self.failed(fault)
            self._forget(name)
            with suppress(OSError):
                await self.off_loop(part.unlink)
        finally:
            self._arriving.discard(name)

    def path(self, name: str) -> Path:
        """The path of the file `name`."""
        return self.directory / name[:2] / name

    def _evict(self) -> list[str]:
        """Unregisters the least recently used originals until the rest fits; returns their names."""
        gone = []
        while self._stored_bytes > self._max_bytes:
            name = next((name for name in self._sizes if name not in self._arriving), None)
            if name is None:
                break
            self._forget(name)
            gone.append(name)
        return gone

    def _forget(self, name: str) -> None:
        self._stored_bytes -= self._sizes.pop(name, 0)

    def _unlink(self, *names: str) -> None:
        for name in names:
            with suppress(OSError):
                self.path(name).unlink()

    def _open(self, name: str, file_bytes: int) -> OpenFile | None:
        file = open_regular(self.path(name))
        try:
            size_bytes = file_bytes - TRAILER_BYTES
            if size_bytes >= 0 and os.fstat(file.fileno()).st_size == file_bytes:
                digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
                for at in range(0, size_bytes, _CHUNK_BYTES):
                    digest.update(os.pread(file.fileno(), min(_CHUNK_BYTES, size_bytes - at), at))
                trailer = os.pread(file.fileno(), TRAILER_BYTES, size_bytes)
                if trailer == _trailer(name, size_bytes, digest.digest()):
                    self._touch(file.fileno())
                    return OpenFile(file, size_bytes)
        except OSError:
            file.close()
            raise
        file.close()
        return None

    def _touch(self, descriptor: int) -> None:
        """Stores the time of use as atime, so that the order survives a restart. The mtime means the content."""
        with suppress(OSError):
            os.utime(descriptor, ns=(time.time_ns(), os.fstat(descriptor).st_mtime_ns))

    def _load(self) -> None:
        """Registers the existing files by time of use, and removes partial files of a killed process."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        found = []
        for path in self.directory.glob("*/*"):
            with suppress(OSError):
                status = path.stat()
                if path.suffix == _PART:
                    path.unlink()
                elif _NAME.fullmatch(path.name):
                    found.append((status.st_atime_ns, path.name, status.st_size))
        for _, name, size_bytes in sorted(found):
            self._sizes[name] = size_bytes
            self._stored_bytes += size_bytes
        self._unlink(*self._evict())


class IncomingFile:
    """Satisfies Incoming, for an original in this generation."""

    def __init__(self, store: DiskOriginalStore, ref: OriginalRef, generation: str) -> None:
        self._store = store
        self._ref = ref
        self._generation = generation
        self._part: Path | None = None
        self._file: IO[bytes] | None = None
        self._digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        self._size_bytes = 0
        self._modified_s = 0

    async def begin(self, modified_s: int = 0) -> None:
        await self.discard()
        self._modified_s = modified_s
        self._digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        self._size_bytes = 0
        await self._store.off_loop(self._create)

    async def write(self, chunk: bytes) -> None:
        await self._store.off_loop(lambda: self._write(chunk))

    def digest(self) -> str:
        return self._digest.hexdigest()

    async def commit(self, version: str) -> OpenFile:
        assert self._file is not None
        name, size_bytes = original_key(Identity(self._ref, version, self._generation)), self._size_bytes
        if self._part is not None:
            trailer = _trailer(name, size_bytes, self._digest.digest())
            await self._store.off_loop(lambda: self._append(trailer))
        await self._store.off_loop(self._date)
        if self._part is not None:
            part, self._part = self._part, None
            await self._store.add(name, part, size_bytes + TRAILER_BYTES)
        written, self._file = self._file, None
        with written:
            return OpenFile(read_only(written.fileno()), size_bytes)

    async def discard(self) -> None:
        file, self._file = self._file, None
        part, self._part = self._part, None
        if file is not None:
            file.close()
        if part is not None:
            with suppress(OSError):
                await self._store.off_loop(part.unlink)

    def _create(self) -> None:
        folder = self._store.directory / _INCOMING
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            descriptor, name = tempfile.mkstemp(_PART, dir=folder)
            self._part = Path(name)
        except OSError as fault:
            self._store.failed(fault)
            descriptor = os.memfd_create("original", os.MFD_CLOEXEC)
        self._file = open(descriptor, "r+b", buffering=0)  # noqa: SIM115 (closed by the caller)

    def _write(self, chunk: bytes) -> None:
        self._append(chunk)
        self._digest.update(chunk)
        self._size_bytes += len(chunk)

    def _append(self, content: bytes) -> None:
        assert self._file is not None
        try:
            write_all(self._file, content)
        except OSError as fault:
            if self._part is None:
                raise
            self._store.failed(fault)
            self._move_to_memory()
            write_all(self._file, content)

    def _date(self) -> None:
        """Sets the mtime to the time of the original's last modification at its source."""
        assert self._file is not None
        with suppress(OSError):
            os.utime(self._file.fileno(), ns=(time.time_ns(), self._modified_s * 10**9))

    def _move_to_memory(self) -> None:
        """Continues in a memory file with the received bytes, because the disk failed."""
        assert self._file is not None
        assert self._part is not None
        memory = open(os.memfd_create("original", os.MFD_CLOEXEC), "r+b", buffering=0)  # noqa: SIM115
        for at in range(0, self._size_bytes, _CHUNK_BYTES):
            count = min(_CHUNK_BYTES, self._size_bytes - at)
            write_all(memory, os.pread(self._file.fileno(), count, at))
        self._file.close()
        self._part.unlink(missing_ok=True)
        self._file, self._part = memory, None


def _trailer(name: str, size_bytes: int, digest: bytes) -> bytes:
    return _MAGIC + bytes.fromhex(name) + size_bytes.to_bytes(8, "big") + digest


def _rename(part: Path, path: Path) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    part.rename(path)
