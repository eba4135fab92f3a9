"""The disk tier: variants as sealed files below one directory, managed by diskcache.

File and database work happens on threads of the tier: several readers; one writer, so that the size limit holds and
no transaction waits for another; one sweeper. Damage in the directory causes at most a miss; while the directory is
unusable, every lookup is a miss.
"""

import asyncio
import errno
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import diskcache

from proxy.core.cache.delivery import Variant
from proxy.core.cache.envelope import OVERHEAD_BYTES, Damaged, seal, unseal
from proxy.core.cache.keys import CacheKey
from proxy.ports.telemetry import Metrics
from proxy.tiers.hardened_diskcache import BytesDisk, filename_of, open_cache, rows, usage_of

LOOKUP_TIMEOUT_S = 1.0
RETRY_PAUSE_S = 5.0
SWEEP_INTERVAL_S = 3600.0
MIN_ORPHAN_AGE_S = 60.0
_READERS = 4
_SHARES = 16
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

T = TypeVar("T")


class DiskTier:
    """Satisfies Tier. Uses at most `max_bytes` with the database; an entry has at most a sixteenth of it.

    Raises OSError if this user cannot use the directory. A damaged database is renamed to `<directory>.damaged`,
    which replaces an earlier one. While the file system is full, writes are suspended.
    """

    name = "disk"
    writers = 1

    def __init__(self, directory: Path, *, max_bytes: int, metrics: Metrics) -> None:
        self._directory = directory
        self._max_entry_bytes = max_bytes // _SHARES
        self._size_limit = max_bytes - self._max_entry_bytes
        self._metrics = metrics
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="disk-read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="disk-write")
        self._sweeper = ThreadPoolExecutor(1, thread_name_prefix="disk-sweep")
        self._open_lock = threading.Lock()
        self._suspended_until_s = 0.0
        self._swept_s = time.monotonic()
        self._closing = False
        self._usage = (0, 0)
        self._cache: diskcache.Cache | None = None
        self._open()
        self._sweeper.submit(self._guarded, self._sweep, time.time())

    async def lookup(self, key: CacheKey) -> Variant | None:
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT_S):
                return await self._off_loop(self._readers, self._read, key)
        except TimeoutError:
            self._metrics.tier_failed(self.name, "timeout")
            return None

    async def store(self, key: CacheKey, variant: Variant) -> bool:
        if len(variant.body) + OVERHEAD_BYTES > self._max_entry_bytes:
            return False
        return bool(await self._off_loop(self._writer, self._write, key, variant))

    async def contains(self, key: CacheKey) -> bool:
        return bool(await self._off_loop(self._readers, lambda cache: key.digest in cache))

    async def remove(self, key: CacheKey) -> bool:
        return bool(await self._off_loop(self._writer, lambda cache: cache.delete(key.digest)))

    def usage(self) -> tuple[int, int]:
        return self._usage

    async def _off_loop(
        self, threads: ThreadPoolExecutor, work: Callable[..., T], *subject: object
    ) -> T | None:
        return await asyncio.get_running_loop().run_in_executor(threads, self._guarded, work, *subject)

    async def close(self) -> None:
        self._closing = True
        await asyncio.to_thread(self._close)
        self._leave(None)  # This thread opened the cache and has a connection.

    def _close(self) -> None:
        """Ends the threads after each has closed its database connection."""
        together = threading.Barrier(_READERS)
        for threads, count in ((self._sweeper, 1), (self._readers, _READERS), (self._writer, 1)):
            for _ in range(count):
                threads.submit(self._leave, together if count > 1 else None)
            threads.shutdown(wait=True)

    def _leave(self, together: threading.Barrier | None) -> None:
        if self._cache is not None:
            self._cache.close()
        if together is not None:
            # The barrier prevents that one thread runs two of these.
            with suppress(threading.BrokenBarrierError):
                together.wait(timeout=1)

    def _guarded(self, work: Callable[..., T], *subject: object) -> T | None:
        """The result of `work` on the cache. Counts an error of disk or database, repairs it if possible, and returns None."""
        cache = self._cache
        if cache is None:
            if time.monotonic() < self._suspended_until_s:
                return None
            with suppress(OSError):
                self._open()
            return None
        try:
            return work(cache, *subject)
        except diskcache.Timeout:
            self._metrics.tier_failed(self.name, "locked")
        except sqlite3.DatabaseError as fault:
            self._database_failed(cache, fault)
        except OSError as fault:
            self._metrics.tier_failed(self.name, "full" if fault.errno in _FULL else "io")
            if fault.errno in _FULL:
                self._make_room(cache)
        except Exception:
            # A damaged row can raise anything in diskcache.
            self._metrics.tier_failed(self.name, "damaged")
        return None

    def _database_failed(self, cache: diskcache.Cache, fault: sqlite3.DatabaseError) -> None:
        kind = _kind(fault)
        self._metrics.tier_failed(self.name, kind)
        if kind == "full":
            self._make_room(cache)
        elif kind == "database":
            with self._open_lock, suppress(OSError):
                if self._cache is cache:
                    # Other threads may hold the damaged files open, which move with their directory.
                    self._cache = None
                    self._set_aside()
            with suppress(OSError):
                self._open()

    def _read(self, cache: diskcache.Cache, key: CacheKey) -> Variant | None:
        sealed = cache.get(key.digest)
        if sealed is None:
            return None
        match unseal(key, sealed):
            case Damaged():
                self._metrics.tier_failed(self.name, "damaged")
                self._writer.submit(self._guarded, diskcache.Cache.delete, key.digest)
                return None
            case variant:
                return variant

    def _drop_row(self, cache: diskcache.Cache, row: tuple[str, str]) -> None:
        """Drops the row of that file and key, unless the key has a new file."""
        filename, key = row
        if filename_of(cache, key) == filename:
            cache.delete(key)

    def _write(self, cache: diskcache.Cache, key: CacheKey, variant: Variant) -> bool:
        now_s = time.monotonic()
        if now_s < self._suspended_until_s:
            return False
        if now_s - self._swept_s >= SWEEP_INTERVAL_S:
            self._swept_s = now_s
            self._sweeper.submit(self._guarded, self._sweep, time.time() - MIN_ORPHAN_AGE_S)
        disk: BytesDisk = cache.disk
        disk.written = None
        try:
            cache.set(key.digest, seal(key, variant))
        except (OSError, sqlite3.Error, diskcache.Timeout):
            disk.undo()
            raise
        except Exception as fault:
            # Any other error would affect the next write as well.
            disk.undo()
            raise sqlite3.DatabaseError(str(fault)) from None
        self._usage = usage_of(cache)
        if self._usage[0] > self._size_limit:
            cache.cull()
            self._usage = usage_of(cache)
        return True

    def _make_room(self, cache: diskcache.Cache) -> None:
        """Evicts a sixteenth of the tier because the file system is full, and suspends writes for `RETRY_PAUSE_S`."""
        self._suspended_until_s = time.monotonic() + RETRY_PAUSE_S
        with suppress(Exception):
            whole, cache.size_limit = self._size_limit, usage_of(cache)[0] * (_SHARES - 1) // _SHARES
            try:
                cache.cull()
            finally:
                cache.size_limit = whole
            self._usage = usage_of(cache)

    def _sweep(self, cache: diskcache.Cache, before_s: float) -> None:
        """Removes files without a row, left by a killed process, and rows without a file. Only files older than
        `before_s`, in seconds of the Unix epoch, count, because a newer one may still get its row.
        """
        known = rows(cache)
        for folder, _, names in os.walk(self._directory):
            for name in names:
                if self._closing:
                    return
                path = Path(folder, name)
                filename = path.relative_to(self._directory).as_posix()
                if not name.endswith(".val") or known.pop(filename, None) is not None:
                    continue
                with suppress(OSError):
                    if path.lstat().st_mtime < before_s:
                        path.unlink()
                        self._metrics.tier_failed(self.name, "orphan")
        for filename, key in known.items():
            if not (self._directory / filename).exists() and not self._closing:
                self._writer.submit(self._guarded, self._drop_row, (filename, key))

    def _open(self) -> None:
        """Opens the cache, or suspends it for `RETRY_PAUSE_S`. Raises OSError if this user may not use it."""
        with self._open_lock:
            if self._cache is not None:
                return
            self._suspended_until_s = time.monotonic() + RETRY_PAUSE_S
            try:
                cache = self._opened()
            except sqlite3.DatabaseError as fault:
                self._metrics.tier_failed(self.name, _kind(fault))
                if _kind(fault) != "database":
                    return
                self._set_aside()
                try:
                    cache = self._opened()
                except sqlite3.Error:
                    return
            except OSError as fault:
                if fault.errno not in _FULL:
                    raise
                self._metrics.tier_failed(self.name, "full")
                return
            self._suspended_until_s = 0.0
            self._cache = cache
            self._usage = usage_of(cache)

    def _opened(self) -> diskcache.Cache:
        try:
            return open_cache(
                self._directory, size_limit=self._size_limit, max_entry_bytes=self._max_entry_bytes
            )
        except (sqlite3.Error, OSError):
            raise
        except Exception as fault:
            # diskcache does not validate what it reads.
            raise sqlite3.DatabaseError(str(fault)) from None

    def _set_aside(self) -> None:
        aside = self._directory.with_name(self._directory.name + ".damaged")
        shutil.rmtree(aside, ignore_errors=True)
        with suppress(FileNotFoundError):
            self._directory.rename(aside)


def _kind(fault: sqlite3.DatabaseError) -> str:
    """The metric label. `full` and `locked` are temporary; `database` is damage."""
    name = getattr(fault, "sqlite_errorname", "")
    if name.startswith("SQLITE_FULL"):
        return "full"
    return "locked" if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) else "database"
