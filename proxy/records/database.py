"""One SQLite file, used from one thread of its own; what is damaged is set aside and begun anew."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from proxy.ports import Metrics

_BUSY_S = 5.0
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")

T = TypeVar("T")


class Database:
    """`schema` makes what is missing. Raises OSError or sqlite3.Error where the file cannot be used at all."""

    def __init__(self, path: Path, schema: str, metrics: Metrics) -> None:
        self._path = path
        self._schema = schema
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=path.stem)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._connection = self._opened()
        except sqlite3.DatabaseError:
            self._set_aside()
            self._connection = self._opened()

    async def run(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """`work` in a transaction of its own; `otherwise` where the database fails, which is counted."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, work, otherwise)

    async def close(self) -> None:
        """Ends the thread, when all that was asked of it is done."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown(wait=False)

    def _run(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        try:
            with self._connection:
                return work(self._connection)
        except sqlite3.Error as fault:
            if getattr(fault, "sqlite_errorname", "") not in _DAMAGED:
                self._metrics.tier_failed(self._path.stem, "io")  # Full, locked: it passes.
                return otherwise
            with suppress(sqlite3.Error, OSError):
                self._connection.close()
                self._set_aside()
                self._connection = self._opened()
        return otherwise

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_BUSY_S, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(self._schema)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_aside(self) -> None:
        self._metrics.tier_failed(self._path.stem, "damaged")
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{self._path}{suffix}").replace(f"{self._path}.damaged{suffix}")
