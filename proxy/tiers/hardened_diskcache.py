"""A Disk for diskcache that does not trust its directory.

diskcache 5.6.3 unpickles values as a row tells it to (CVE-2025-69872), and uses file names from rows unchecked. This
class stores bytes in files of its own naming scheme, and rejects every other row.
"""

import os
import re
import sqlite3
import zlib
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import diskcache
from diskcache.core import DBNAME, MODE_BINARY

from proxy.local.files import open_regular

_FILENAME = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{28}\.val", re.ASCII)

LOCK_TIMEOUT_S = 0.25
"""How long a thread waits for a lock of the database."""

_DISTRUST_SETTINGS = (
    "DELETE FROM Settings WHERE key IS NULL OR key NOT IN ('count', 'size', 'hits', 'misses')"
)
_DISTRUST_ROWS = """
DELETE FROM Cache WHERE typeof(key) <> 'text' OR raw <> 1 OR mode <> ? OR typeof(filename) <> 'text'
    OR typeof(size) <> 'integer' OR size NOT BETWEEN 0 AND ? OR expire_time IS NOT NULL
"""
_RECOUNT = (
    "INSERT OR REPLACE INTO Settings VALUES ('count', (SELECT COUNT(*) FROM Cache))",
    "INSERT OR REPLACE INTO Settings VALUES ('size', (SELECT COALESCE(SUM(size), 0) FROM Cache))",
)

_USAGE = """
SELECT page_count, (SELECT value FROM Settings WHERE key = 'size'), (SELECT value FROM Settings WHERE key = 'count')
    FROM pragma_page_count
"""


class BytesDisk(diskcache.Disk):  # type: ignore[misc] # diskcache has no types
    """Keys are str; values are bytes, each in a file. For one writing and many reading threads."""

    written: str | None = None
    """The file of the last `store`, for `undo`."""
    max_bytes = 0
    """Larger files are not read."""

    def put(self, key: Any) -> tuple[str, bool]:
        if not isinstance(key, str):
            raise TypeError("keys are hex digests")
        return key, True

    def get(self, key: Any, raw: bool) -> str:
        if not raw or not isinstance(key, str):
            raise OSError("not a row of ours")
        return key

    def store(self, value: Any, read: bool, key: Any = diskcache.UNKNOWN) -> tuple[int, int, str, None]:
        if read or not isinstance(value, bytes):
            raise TypeError("values are bytes")
        filename, full_path = self.filename(key, value)
        self.written = filename
        os.makedirs(os.path.dirname(full_path), mode=0o700, exist_ok=True)
        with open(full_path, "xb") as file:
            file.write(value)
        return len(value), MODE_BINARY, filename, None

    def fetch(self, mode: Any, filename: Any, value: Any, read: bool) -> bytes:
        if mode != MODE_BINARY or read or not isinstance(filename, str) or not _FILENAME.fullmatch(filename):
            raise OSError("not a row of ours")
        path = os.path.join(self._directory, filename)
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size > self.max_bytes:
                raise OSError("not a file of ours")
            return file.read()

    def undo(self) -> None:
        """Removes the file of the last `store`, whose row could not be written."""
        if self.written is not None:
            self.remove(self.written)

    def remove(self, file_path: Any) -> None:
        if isinstance(file_path, str) and _FILENAME.fullmatch(file_path):
            super().remove(file_path)


def open_cache(directory: Path, *, size_limit: int, max_entry_bytes: int) -> diskcache.Cache:
    """Opens the cache in `directory`, created if missing, private to this user. Raises sqlite3.Error or OSError.

    Unknown settings and invalid rows are deleted, and the sums are recomputed. The schema must be that of the first
    opening, because one changed letter can change the type of the keys.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    with closing(sqlite3.connect(directory / DBNAME, timeout=1, isolation_level=None)) as database:
        # diskcache itself would wait a minute for a lock.
        database.execute("BEGIN IMMEDIATE")
        with suppress(sqlite3.OperationalError):  # A new database has no tables yet.
            database.execute(_DISTRUST_SETTINGS)
        database.execute("COMMIT")
    cache = diskcache.Cache(
        str(directory),
        timeout=LOCK_TIMEOUT_S,
        disk=BytesDisk,
        size_limit=size_limit,
        cull_limit=0,
        eviction_policy="least-recently-stored",
        statistics=0,
        tag_index=0,
        sqlite_mmap_size=0,  # A truncated mapped database would kill the process with SIGBUS.
        sqlite_wal_autocheckpoint=64,
        sqlite_journal_size_limit=2**20,
    )
    cache.disk.max_bytes = max_entry_bytes
    _check_schema(cache)
    cache._sql(_DISTRUST_ROWS, (MODE_BINARY, max_entry_bytes))
    for statement in _RECOUNT:
        cache._sql(statement)
    cache._sql(
        "SELECT rowid, key, raw, store_time, access_time, access_count, tag, value FROM Cache"
    ).fetchone()
    return cache


def _check_schema(cache: diskcache.Cache) -> None:
    schema = "\n".join(sql for (sql,) in cache._sql("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"))
    # 31 bits, because user_version is signed; 0 is a new database.
    check = zlib.crc32(schema.encode()) >> 1 or 1
    ((known,),) = cache._sql("PRAGMA user_version")
    if not known:
        cache._sql(f"PRAGMA user_version = {check}")
    elif known != check:
        raise sqlite3.DatabaseError("its schema is damaged")


def filename_of(cache: diskcache.Cache, key: str) -> str | None:
    """The file name in the row of `key`; None without a row."""
    return next(
        (filename for (filename,) in cache._sql("SELECT filename FROM Cache WHERE key = ?", (key,))), None
    )


def usage_of(cache: diskcache.Cache) -> tuple[int, int]:
    """Bytes of all files and of the database, and the number of entries, in one statement."""
    ((pages, size_bytes, entries),) = cache._sql(_USAGE).fetchall()
    return cache._page_size * pages + size_bytes, entries


def rows(cache: diskcache.Cache) -> dict[str, str]:
    """The key of each file name in the database."""
    return dict(cache._sql("SELECT filename, key FROM Cache"))
