"""diskcache's Disk with everything taken out that trusts the directory it reads.

diskcache 5.6.3 unpickles what a row tells it to (CVE-2025-69872) and joins file names it finds there. Ours stores
bytes in files of its own naming, and refuses every other row.
"""

import os
import re
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import diskcache
from diskcache.core import DBNAME, MODE_BINARY

_FILENAME = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{28}\.val", re.ASCII)
_DISTRUST = """
DELETE FROM Settings WHERE key NOT IN ('count', 'size', 'hits', 'misses');
UPDATE Settings SET value = (SELECT COUNT(*) FROM Cache) WHERE key = 'count';
UPDATE Settings SET value = (SELECT COALESCE(SUM(size), 0) FROM Cache) WHERE key = 'size';
"""


class BytesDisk(diskcache.Disk):  # type: ignore[misc] # diskcache has no types
    """Keys are str, values are bytes, one file each. Used from one writing thread and many reading ones."""

    written: str | None = None
    """The file of the last `store`, for whoever must undo it when its row could not be written."""

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
        descriptor = os.open(os.path.join(self._directory, filename), os.O_RDONLY | os.O_NOFOLLOW)
        with open(descriptor, "rb") as file:
            return file.read()

    def undo(self) -> None:
        """Removes the file of the last `store`."""
        if self.written is not None:
            self.remove(self.written)

    def remove(self, file_path: Any) -> None:
        if isinstance(file_path, str) and _FILENAME.fullmatch(file_path):
            super().remove(file_path)


def open_cache(directory: Path, *, size_limit: int) -> diskcache.Cache:
    """The cache in `directory`, made if missing, private to this user; raises sqlite3.DatabaseError or OSError.

    Settings stored in the database are not believed: the sizes are counted anew.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    with (
        closing(sqlite3.connect(directory / DBNAME, timeout=5, isolation_level=None)) as database,
        suppress(sqlite3.OperationalError),  # A new database has no tables yet.
    ):
        database.executescript(_DISTRUST)
    return diskcache.Cache(
        str(directory),
        timeout=0.25,
        disk=BytesDisk,
        size_limit=size_limit,
        cull_limit=0,
        eviction_policy="least-recently-stored",
        statistics=0,
        tag_index=0,
    )


def rows(cache: diskcache.Cache) -> dict[str, str]:
    """File name to key, of every row."""
    found = cache._sql("SELECT filename, key FROM Cache").fetchall()
    return {filename: key for filename, key in found if isinstance(filename, str) and isinstance(key, str)}
