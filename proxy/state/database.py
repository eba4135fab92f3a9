"""One SQLite file, used from its own thread. A damaged file is renamed to `*.damaged` and replaced."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

from proxy.ports.telemetry import Metrics

_BUSY_TIMEOUT_S = 5.0
_TRANSIENT = tuple(
    f"SQLITE_{fault}"
    for fault in (
        "FULL",
        "BUSY",
        "LOCKED",
        "IOERR",
        "CANTOPEN",
        "READONLY_",
        "NOMEM",
        "PROTOCOL",
        "INTERRUPT",
    )
)

T = TypeVar("T")


class Database:
    """`schema` creates missing tables. Raises OSError or sqlite3.Error if the file cannot be used."""

    def __init__(self, path: Path, schema: str, metrics: Metrics) -> None:
        self._path = path
        self._schema = schema
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=path.stem)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._connection = self._open()
        except (
            sqlite3.DatabaseError,
            UnicodeDecodeError,
        ):  # UnicodeDecodeError: the message quotes damaged bytes.
            self._set_aside()
            self._connection = self._open()

    async def run(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """The result of `work` in a transaction; `otherwise` if the database fails, which is counted. A database
        whose content makes `work` raise another error is replaced."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, work, otherwise)

    async def close(self) -> None:
        """Closes the database after the queued work."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown(wait=False)

    def _run(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        try:
            with self._connection:
                return work(self._connection)
        except Exception as fault:
            # Content that cannot be parsed is damage as well: every later read would fail on it.
            fault_name = getattr(fault, "sqlite_errorname", "")
            was_closed = isinstance(fault, sqlite3.ProgrammingError)  # An earlier reopening failed.
            if was_closed or fault_name.startswith(_TRANSIENT):
                self._metrics.tier_failed(self._path.stem, "io")
            if not fault_name.startswith(_TRANSIENT):
                with suppress(sqlite3.Error, OSError, UnicodeDecodeError):
                    self._connection.close()
                    if not was_closed:
                        self._set_aside()
                    self._connection = self._open()
        return otherwise

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT_S, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(self._schema)
            with closing(sqlite3.connect(":memory:")) as fresh:
                fresh.executescript(self._schema)
                if _schema_of(connection) != _schema_of(fresh):
                    # One changed letter can change the type of a column.
                    raise sqlite3.DatabaseError("its schema is damaged")
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_aside(self) -> None:
        self._metrics.tier_failed(self._path.stem, "damaged")
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{self._path}{suffix}").replace(f"{self._path}.damaged{suffix}")


def _schema_of(connection: sqlite3.Connection) -> list[tuple[str]]:
    return connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
