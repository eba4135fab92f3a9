"""The disk tier: variants as sealed files under one directory, over diskcache.

All file and database work happens on its own threads: several that read, one that writes, so that the size limit
holds and no transaction waits for another. Whatever the directory holds, the worst answer is a miss.
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

from proxy.core.delivery import Variant
from proxy.core.envelope import OVERHEAD_BYTES, Damaged, seal, unseal
from proxy.ports import Metrics
from proxy.tiers.hardened import BytesDisk, open_cache, rows

LOOKUP_S = 1.0
FULL_PAUSE_S = 5.0
SWEEP_EVERY_S = 3600.0
_READERS = 4
_SHARES = 16

T = TypeVar("T")


class DiskTier:
    """Satisfies Tier. At most `max_bytes` on disk, its database included; one entry at most a sixteenth of it.

    The construction opens the database, and sets a damaged one aside; raises OSError where the directory cannot
    be used at all.
    """

    name = "disk"

    def __init__(self, directory: Path, *, max_bytes: int, metrics: Metrics) -> None:
        self._directory = directory
        self._max_entry_bytes = max_bytes // _SHARES
        self._size_limit = max_bytes - self._max_entry_bytes
        self._metrics = metrics
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="disk-read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="disk-write")
        self._reopening = threading.Lock()
        self._paused_until_s = 0.0
        self._swept_s = time.monotonic()
        self._cache = self._open()
        self._usage = self._measure()
        self._writer.submit(self._guarded, lambda _: self._sweep(), "")

    async def lookup(self, key: str) -> Variant | None:
        try:
            async with asyncio.timeout(LOOKUP_S):
                return await asyncio.get_running_loop().run_in_executor(
                    self._readers, self._guarded, self._read, key
                )
        except TimeoutError:
            self._metrics.tier_failed(self.name, "timeout")
            return None

    async def store(self, key: str, variant: Variant) -> None:
        if len(variant.body) + OVERHEAD_BYTES > self._max_entry_bytes:
            return
        await asyncio.get_running_loop().run_in_executor(
            self._writer, self._guarded, lambda _: self._write(key, variant), key
        )

    def usage(self) -> tuple[int, int]:
        return self._usage

    async def close(self) -> None:
        self._readers.shutdown(wait=True)
        self._writer.shutdown(wait=True)
        self._cache.close()

    def _guarded(self, work: Callable[[str], T], key: str) -> T | None:
        """`work`, with every fault of disk and database counted, answered with None, and mended if it can be."""
        cache = self._cache
        try:
            return work(key)
        except (diskcache.Timeout, sqlite3.OperationalError) as fault:
            full = "full" in str(fault)
            self._metrics.tier_failed(self.name, "full" if full else "locked")
            if full:
                self._pause()
        except sqlite3.DatabaseError:
            self._metrics.tier_failed(self.name, "database")
            self._start_empty(cache)
        except OSError as fault:
            full = fault.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            self._metrics.tier_failed(self.name, "full" if full else "io")
            if full:
                self._pause()
        except Exception:
            # A row can hold anything: diskcache was not written for hostile ones.
            self._metrics.tier_failed(self.name, "damaged")
        return None

    def _read(self, key: str) -> Variant | None:
        sealed = self._cache.get(key)
        if sealed is None:
            return None
        match unseal(key, sealed):
            case Damaged():
                self._metrics.tier_failed(self.name, "damaged")
                self._cache.delete(key)
                return None
            case variant:
                return variant

    def _write(self, key: str, variant: Variant) -> None:
        now_s = time.monotonic()
        if now_s < self._paused_until_s:
            return
        if now_s - self._swept_s >= SWEEP_EVERY_S:
            self._swept_s = now_s
            self._sweep()
        disk: BytesDisk = self._cache.disk
        disk.written = None
        try:
            self._cache.set(key, seal(key, variant))
        except BaseException:
            disk.undo()
            raise
        if self._cache.volume() > self._size_limit:
            self._cache.cull()
        self._usage = self._measure()

    def _pause(self) -> None:
        """The file system is full: make room by a sixteenth of what we hold, and write nothing for a while."""
        self._paused_until_s = time.monotonic() + FULL_PAUSE_S
        with suppress(Exception):
            whole, self._cache.size_limit = self._size_limit, self._cache.volume() * (_SHARES - 1) // _SHARES
            try:
                self._cache.cull()
            finally:
                self._cache.size_limit = whole
        with suppress(Exception):
            self._usage = self._measure()

    def _measure(self) -> tuple[int, int]:
        return self._cache.volume(), len(self._cache)

    def _sweep(self) -> None:
        """Removes files without a row, left by a killed process, and rows without a file.

        Runs on the writing thread, so a file that has no row yet cannot be met.
        """
        known = rows(self._cache)
        for folder, _, names in os.walk(self._directory):
            for name in names:
                path = Path(folder, name)
                filename = path.relative_to(self._directory).as_posix()
                if not name.endswith(".val") or known.pop(filename, None) is not None:
                    continue
                with suppress(OSError):
                    path.unlink()
                    self._metrics.tier_failed(self.name, "orphan")
        for key in known.values():
            if self._cache.get(key) is None:
                self._cache.delete(key)

    def _open(self) -> diskcache.Cache:
        try:
            return self._open_sound()
        except Exception as fault:
            if isinstance(fault, OSError):
                raise
            self._metrics.tier_failed(self.name, "database")
            self._set_aside()
            return self._open_sound()

    def _open_sound(self) -> diskcache.Cache:
        cache = open_cache(self._directory, size_limit=self._size_limit)
        cache._sql("SELECT COUNT(*) FROM Cache").fetchone()
        return cache

    def _set_aside(self) -> None:
        aside = self._directory.with_name(self._directory.name + ".damaged")
        shutil.rmtree(aside, ignore_errors=True)
        self._directory.rename(aside)

    def _start_empty(self, broken: diskcache.Cache) -> None:
        """The database is damaged: set everything aside and go on with nothing. Once, whoever finds it first."""
        with self._reopening:
            if self._cache is broken:
                with suppress(OSError):
                    broken.close()
                    self._set_aside()
                    self._cache = self._open()
                    self._usage = self._measure()
