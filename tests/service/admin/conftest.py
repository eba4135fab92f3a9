"""All use cases over fakes with jobs in a real file, and short forms of common commands."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy.core.admin.commands import JobStatus, Upload, Warm
from proxy.core.admin.jobs import JobProgress
from proxy.state.database import Database
from proxy.state.job_store import SCHEMA, SqliteJobStore
from tests.service.composition import Composition
from tests.support.fakes import FakeMetrics, FakeSharedPurgeLog
from tests.support.waiting import LONGEST_S, PAUSE_S


@pytest.fixture
async def composition(tmp_path: Path) -> AsyncIterator[Composition]:
    database = Database(tmp_path / "jobs.db", SCHEMA, FakeMetrics())
    made = Composition().with_jobs(SqliteJobStore(database))
    for key in ("a", "b", "deep/c"):
        made.source.put(key, key.encode())

    async def at_once() -> None: ...

    made.pregeneration.start(at_once)
    yield made
    await made.pregeneration.close()
    await made.close()
    await database.close()


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Composition]:
    """A node of several, whose purges go to a FakeSharedPurgeLog."""
    database = Database(tmp_path / "jobs.db", SCHEMA, FakeMetrics())
    made = Composition(fleet=FakeSharedPurgeLog()).with_jobs(SqliteJobStore(database))
    yield made
    await made.close()
    await database.close()


async def ended(composition: Composition, job: str) -> JobProgress:
    """The progress of a job once it is done."""
    async with asyncio.timeout(LONGEST_S):
        while True:
            progress = await composition.dispatch.execute(JobStatus(job))
            assert isinstance(progress, JobProgress)
            if progress.state == "done":
                return progress
            await asyncio.sleep(PAUSE_S)


async def warmed(composition: Composition, **order: object) -> JobProgress:
    answer = await composition.dispatch.execute(Warm(mount="", **order))  # type: ignore[arg-type]
    assert isinstance(answer, dict)
    return await ended(composition, answer["id"])


def counts(progress: JobProgress) -> tuple[int, int, int, int]:
    return progress.total, progress.done, progress.skipped, progress.failed


async def upload(
    composition: Composition, content: bytes = b"picture", once: str = "", mount: str = "", **more: Any
) -> dict[str, object]:
    descriptor = os.memfd_create("upload")
    try:
        os.write(descriptor, content)
        command = Upload(mount=mount, name="x.jpg", once=once, **more)
        answer = await composition.dispatch.execute(command, content=descriptor, size_bytes=len(content))
    finally:
        os.close(descriptor)
    return {name: getattr(answer, name) for name in answer.__dataclass_fields__}  # type: ignore[attr-defined]
