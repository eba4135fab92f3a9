"""The tier entries of each original, so that a purge finds the entries to delete.

A lost row leaves an entry that is never requested again: it costs space, not correctness. An entry of several originals
has a row for each; when it is deleted by a purge of one, the rows of the others stay until a purge of theirs.
"""

import asyncio
import hashlib
import sqlite3
from collections.abc import Sequence

from proxy.core.cache.generations import Purge, PurgeScope, ScopeKind
from proxy.core.cache.keys import CacheKey, Entry, LastEvent
from proxy.core.image.formats import Format
from proxy.core.image.original import OriginalRef
from proxy.core.memo import Memo
from proxy.local.tasks import Tasks
from proxy.state.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS originals (
    digest BLOB PRIMARY KEY, source TEXT NOT NULL, key TEXT NOT NULL,
    etag TEXT NOT NULL DEFAULT '', sequencer TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_key ON originals (source, key);
CREATE TABLE IF NOT EXISTS entries (
    original BLOB NOT NULL, key BLOB NOT NULL, kind TEXT NOT NULL, plan TEXT NOT NULL,
    generation TEXT NOT NULL, PRIMARY KEY (original, key)
) WITHOUT ROWID;
"""
FLUSH_DELAY_S = 0.5
_BATCH_ROWS = 1000
_RECENT = 20_000
_ORIGINAL = "original"
_LAST = "\U0010ffff"


class SqliteEntryIndex:
    """Satisfies EntryIndex. Rows are written in batches, `FLUSH_DELAY_S` late at most; event loop only."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending: list[tuple[OriginalRef, Entry, str]] = []
        self._recent: Memo[CacheKey, None] = Memo(_RECENT)
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = Tasks()

    def note(self, refs: Sequence[OriginalRef], entry: Entry, plan: str = "") -> None:
        if entry.key in self._recent:
            return
        self._recent.store(entry.key, None)
        self._pending += [(ref, entry, plan) for ref in refs]
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_DELAY_S, self._start_flush)

    async def find(self, purges: Sequence[Purge]) -> list[Entry]:
        await self.flush()
        return await self._database.run(
            lambda db: [entry for purge in purges for entry in _found(db, purge)], []
        )

    async def drop(self, entries: Sequence[Entry]) -> None:
        """Removes the rows of deleted entries."""
        for entry in entries:
            self._recent.pop(entry.key, None)
        rows = [(entry.original, bytes.fromhex(entry.key.digest)) for entry in entries]

        def delete(db: sqlite3.Connection) -> None:
            db.executemany("DELETE FROM entries WHERE original = ? AND key = ?", rows)

        await self._database.run(delete, None)

    async def last_event(self, ref: OriginalRef) -> LastEvent | None:
        """The last S3 event of the original; None without one."""

        def read(db: sqlite3.Connection) -> LastEvent | None:
            row = db.execute(
                "SELECT etag, sequencer FROM originals WHERE digest = ?", (_digest(ref),)
            ).fetchone()
            return LastEvent(*row) if row is not None else None

        return await self._database.run(read, None)

    async def record_event(self, ref: OriginalRef, event: LastEvent) -> None:
        """Stores `event` as the last S3 event of the original."""
        row = (_digest(ref), ref.source, ref.key, *event)

        def write(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO originals VALUES (?, ?, ?, ?, ?) ON CONFLICT (digest)"
                " DO UPDATE SET etag = excluded.etag, sequencer = excluded.sequencer",
                row,
            )

        await self._database.run(write, None)

    async def flush(self) -> None:
        """Writes the pending rows."""
        rows, self._pending = self._pending, []
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for start in range(0, len(rows), _BATCH_ROWS):
            part = rows[start : start + _BATCH_ROWS]
            await self._database.run(lambda db, part=part: _write(db, part), None)  # type: ignore[misc]

    def _start_flush(self) -> None:
        self._timer = None
        self._tasks.start(self.flush(), "index")


def _digest(ref: OriginalRef) -> bytes:
    return hashlib.blake2b(f"{ref.source}\n{ref.key}".encode(), digest_size=16).digest()


def _write(db: sqlite3.Connection, rows: Sequence[tuple[OriginalRef, Entry, str]]) -> None:
    db.executemany(
        "INSERT OR IGNORE INTO originals (digest, source, key) VALUES (?, ?, ?)",
        {(_digest(ref), ref.source, ref.key) for ref, _, _ in rows},
    )
    db.executemany(
        "INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?, ?)",
        [
            (
                _digest(ref),
                bytes.fromhex(entry.key.digest),
                _ORIGINAL if entry.is_original else entry.key.format or "",
                plan,
                entry.generation,
            )
            for ref, entry, plan in rows
        ],
    )


def _condition(scope: PurgeScope) -> tuple[str, tuple[object, ...]]:
    """The SQL condition for the entries that `scope` covers, and its parameters."""
    source, kind, text = scope
    match kind:
        case ScopeKind.ORIGINAL:
            return "original = ?", (_digest(OriginalRef(source, text)),)
        case ScopeKind.PREFIX:
            within = "original IN (SELECT digest FROM originals WHERE source = ? AND key >= ? AND key < ?)"
            return within, (source, text, text + _LAST)
        case ScopeKind.PLAN:
            return "original IN (SELECT digest FROM originals WHERE source = ?) AND plan = ?", (source, text)
        case ScopeKind.VARIANT:
            key, _, plan = text.partition("\n")
            return "original = ? AND plan = ?", (_digest(OriginalRef(source, key)), plan)


def _found(db: sqlite3.Connection, purge: Purge) -> list[Entry]:
    condition, values = _condition(purge.scope)
    rows = db.execute(
        f"SELECT key, kind, original FROM entries WHERE {condition} AND generation < ?",  # noqa: S608 (ours)
        (*values, purge.token),
    )
    return [
        Entry(CacheKey(key.hex()), is_original=True, original=original)
        if kind == _ORIGINAL
        else Entry(CacheKey(key.hex(), Format(kind) if kind else None), original=original)
        for key, kind, original in rows
    ]
