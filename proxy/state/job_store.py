"""Pre-generation jobs, which survive a restart. An interrupted task is repeated: existing variants are skipped."""

import json
import secrets
import sqlite3
from collections.abc import Sequence

import msgspec

from proxy.core.admin.jobs import (
    JobFailure,
    JobProgress,
    PregenerationListing,
    PregenerationSpec,
    PregenerationTask,
)
from proxy.state.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, mount TEXT NOT NULL, transforms TEXT NOT NULL,
    prefix TEXT, listed INTEGER NOT NULL, total INTEGER NOT NULL,
    done INTEGER NOT NULL DEFAULT 0, skipped INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS tasks (
    job INTEGER NOT NULL, number INTEGER NOT NULL, key TEXT NOT NULL, transforms TEXT, variants INTEGER,
    PRIMARY KEY (job, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failures (
    job INTEGER NOT NULL, key TEXT NOT NULL, transform TEXT NOT NULL, slug TEXT NOT NULL, detail TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS cancelled (job INTEGER PRIMARY KEY);
CREATE INDEX IF NOT EXISTS of_job ON failures (job);
"""
_FORMAT = "\n"
"""Separates transform and format in a failure row; no transform contains it."""
MAX_JOBS = 10_000
"""Above this number the oldest finished jobs are deleted."""
MAX_FAILURES = 1000
"""The failures of a job that are listed. All failures are counted and retried."""
_ID_BYTES = 8


class SqliteJobStore:
    """Satisfies JobStore. If the database fails, methods return None, False or an empty list."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, spec: PregenerationSpec, total: int) -> str | None:
        """Stores a job and returns its id; None if it cannot be written."""
        job_id = secrets.token_hex(_ID_BYTES)

        def write(db: sqlite3.Connection) -> str:
            transforms, is_listed = json.dumps(spec.transforms), spec.prefix is None
            number = db.execute(
                "INSERT INTO jobs (id, mount, transforms, prefix, listed, total) VALUES (?, ?, ?, ?, ?, ?)",
                (job_id, spec.mount, transforms, spec.prefix, is_listed, total),
            ).lastrowid
            assert number is not None
            _add_tasks(db, number, [(key, None, None) for key in spec.keys])
            _forget_oldest(db)
            return job_id

        return await self._database.run(write, None)

    async def listings(self) -> list[PregenerationListing]:
        """The jobs whose originals are still to be listed. Deletes their tasks, because a listing starts over."""

        def read(db: sqlite3.Connection) -> list[PregenerationListing]:
            rows = db.execute("SELECT number, mount, transforms, prefix FROM jobs WHERE NOT listed")
            found = [
                PregenerationListing(job, mount, _transforms(transforms), prefix)
                for job, mount, transforms, prefix in rows
            ]
            for job in found:
                db.execute("DELETE FROM tasks WHERE job = ?", (job.job,))
                db.execute("DELETE FROM failures WHERE job = ?", (job.job,))
                db.execute(
                    "UPDATE jobs SET total = 0, done = 0, skipped = 0, failed = 0 WHERE number = ?",
                    (job.job,),
                )
            return found

        return await self._database.run(read, [])

    async def add_listed(self, job: int, keys: Sequence[str], *, variants: int, is_all: bool) -> bool:
        """Adds originals to a job; `is_all` ends its listing. False if they cannot be written."""

        def write(db: sqlite3.Connection) -> bool:
            if db.execute("SELECT 1 FROM cancelled WHERE job = ?", (job,)).fetchone():
                return True
            _add_tasks(db, job, [(key, None, None) for key in keys])
            db.execute(
                "UPDATE jobs SET total = total + ?, listed = ? WHERE number = ?",
                (len(keys) * variants, is_all, job),
            )
            return True

        return await self._database.run(write, False)

    async def listing_failed(self, job: int, failure: JobFailure) -> None:
        """Ends the listing of a job and adds `failure`."""

        def write(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE jobs SET listed = 1, total = total + 1, failed = failed + 1 WHERE number = ?", (job,)
            )
            db.execute("INSERT INTO failures VALUES (?, ?, ?, ?, ?)", (job, *_row(failure)))

        await self._database.run(write, None)

    async def next(self, count: int) -> list[PregenerationTask]:
        """About `count` tasks, divided evenly among the jobs. A task stays in the store until it is finished."""

        def read(db: sqlite3.Connection) -> list[PregenerationTask]:
            jobs = db.execute(
                "SELECT number, mount, transforms FROM jobs"
                " WHERE EXISTS (SELECT 1 FROM tasks WHERE job = jobs.number) ORDER BY number LIMIT ?",
                (count,),
            ).fetchall()
            share = -(-count // max(1, len(jobs)))
            return [
                PregenerationTask(job, number, mount, key, _transforms(own or transforms))
                for job, mount, transforms in jobs
                for number, key, own in db.execute(
                    "SELECT number, key, transforms FROM tasks WHERE job = ? ORDER BY number LIMIT ?",
                    (job, share),
                )
            ]

        return await self._database.run(read, [])

    async def finish(
        self, task: PregenerationTask, *, done: int, skipped: int, failures: Sequence[JobFailure]
    ) -> bool:
        """Removes the task and adds its results to the job; False if that cannot be written."""

        def write(db: sqlite3.Connection) -> bool:
            gone = db.execute(
                "DELETE FROM tasks WHERE job = ? AND number = ? RETURNING variants", (task.job, task.number)
            ).fetchall()
            if not gone:
                return True  # The job was restarted or cancelled.
            again = gone[0][0]
            # A retried task counts only the variants that failed before.
            more = skipped if again is None else max(0, again - done - len(failures))
            db.execute(
                "UPDATE jobs SET done = done + ?, skipped = skipped + ?, failed = failed + ? WHERE number = ?",
                (done, more, len(failures), task.job),
            )
            db.executemany(
                "INSERT INTO failures VALUES (?, ?, ?, ?, ?)",
                [(task.job, *_row(failure)) for failure in failures],
            )
            return True

        return await self._database.run(write, False)

    async def progress(self, job_id: str) -> JobProgress | None:
        """The progress of a job; None if the job is unknown."""

        def read(db: sqlite3.Connection) -> JobProgress | None:
            row = db.execute(f"{_PROGRESS} WHERE id = ?", (job_id,)).fetchone()
            if row is None:
                return None
            failures = db.execute(
                "SELECT key, transform, slug, detail FROM failures WHERE job = ? ORDER BY rowid LIMIT ?",
                (row[0], MAX_FAILURES),
            )
            return _progress(row, tuple(_failure(*failure) for failure in failures))

        return await self._database.run(read, None)

    async def recent(self, count: int) -> list[JobProgress]:
        """The latest jobs, newest first, without failures."""

        def read(db: sqlite3.Connection) -> list[JobProgress]:
            rows = db.execute(f"{_PROGRESS} ORDER BY number DESC LIMIT ?", (count,))
            return [_progress(row) for row in rows]

        return await self._database.run(read, [])

    async def cancel(self, job_id: str) -> int | None:
        """Deletes the remaining tasks of a running job; a finished job does not change. Returns the number of the
        job, None if the job is unknown, 0 if the change cannot be written."""

        def write(db: sqlite3.Connection) -> int | None:
            row = db.execute(f"{_PROGRESS} WHERE id = ?", (job_id,)).fetchone()
            if row is None:
                return None
            number: int = row[0]
            if _progress(row).state == "running":
                db.execute("DELETE FROM tasks WHERE job = ?", (number,))
                db.execute("UPDATE jobs SET listed = 1 WHERE number = ?", (number,))
                db.execute("INSERT INTO cancelled VALUES (?)", (number,))
            return number

        return await self._database.run(write, 0)

    async def retry(self, job_id: str) -> bool:
        """Turns the failures of a job into tasks; False if the job is unknown."""

        def write(db: sqlite3.Connection) -> bool:
            row = db.execute("SELECT number, prefix FROM jobs WHERE id = ?", (job_id,)).fetchone()
            if row is None:
                return False
            number, prefix = row
            failed: dict[str, list[str]] = {}
            for key, transform in db.execute(
                "SELECT key, transform FROM failures WHERE job = ? ORDER BY rowid", (number,)
            ):
                failed.setdefault(key, []).append(transform.partition(_FORMAT)[0])
            unlisted = failed.pop("", None) is not None
            tasks = [(key, json.dumps([*dict.fromkeys(again)]), len(again)) for key, again in failed.items()]
            _add_tasks(db, number, tasks)
            db.execute("DELETE FROM failures WHERE job = ?", (number,))
            db.execute(
                "UPDATE jobs SET failed = 0, listed = ? WHERE number = ?",
                (not (unlisted and prefix is not None), number),
            )
            return True

        return await self._database.run(write, False)


_PROGRESS = (
    "SELECT number, id, listed, total, done, skipped, failed,"
    " EXISTS (SELECT 1 FROM tasks WHERE job = jobs.number),"
    " EXISTS (SELECT 1 FROM cancelled WHERE job = jobs.number) FROM jobs"
)


def _transforms(transforms: str) -> tuple[str, ...]:
    return msgspec.json.decode(transforms, type=tuple[str, ...])


def _row(failure: JobFailure) -> tuple[str, ...]:
    return failure.key, failure.transform + _FORMAT + failure.format, failure.slug, failure.detail


def _failure(key: str, transform: str, slug: str, detail: str) -> JobFailure:
    transform, _, made = transform.partition(_FORMAT)
    return JobFailure(key, transform, slug, detail, made)


def _progress(
    row: tuple[int, str, int, int, int, int, int, int, int], failures: tuple[JobFailure, ...] = ()
) -> JobProgress:
    _, job_id, listed, total, done, skipped, failed, waiting, cancelled = row
    ended = "cancelled" if cancelled else "done"
    return JobProgress(
        id=job_id,
        state=ended if listed and not waiting else "running",
        total=total,
        done=done,
        skipped=skipped,
        failed=failed,
        failures=failures,
    )


def _add_tasks(db: sqlite3.Connection, job: int, tasks: Sequence[tuple[str, str | None, int | None]]) -> None:
    """Adds tasks, each with its key and, if it is retried, its own transforms and number of variants."""
    last = db.execute("SELECT coalesce(max(number), 0) FROM tasks WHERE job = ?", (job,)).fetchone()[0]
    db.executemany(
        "INSERT INTO tasks VALUES (?, ?, ?, ?, ?)",
        [(job, number, *task) for number, task in enumerate(tasks, start=last + 1)],
    )


def _forget_oldest(db: sqlite3.Connection) -> None:
    over = db.execute("SELECT count(*) FROM jobs").fetchone()[0] - MAX_JOBS
    if over > 0:
        ended = "SELECT number FROM jobs WHERE listed AND NOT EXISTS (SELECT 1 FROM tasks WHERE job = jobs.number)"
        oldest = f"({ended} ORDER BY number LIMIT {over})"
        for rows in ("failures WHERE job", "cancelled WHERE job", "jobs WHERE number"):
            db.execute(f"DELETE FROM {rows} IN {oldest}")  # noqa: S608 (ours)
