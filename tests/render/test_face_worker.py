"""The worker that finds faces: sandboxed, started by the first job, replaced when it dies."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.core.errors import Overloaded, Undecodable
from proxy.core.image.faces import Faces, largest_face
from proxy.render import pool as pool_module
from proxy.render import spawn
from proxy.render.face_worker import FaceWorker
from proxy.render.libfacedetection import version
from proxy.render.pool import Pool
from tests.render.conftest import opened
from tests.support import pictures
from tests.support.waiting import LONGEST_S, deadline, eventually

pytestmark = pytest.mark.skipif(not version(), reason="the extra faces is not installed")

PEOPLE = pictures.encoded(pictures.people(640, 480, (100, 100, 60, 80), (400, 200, 90, 120)), "jpeg")


async def find(worker: FaceWorker, content: bytes = PEOPLE) -> Faces:
    original = opened(content)
    try:
        return await worker.find_faces(original, deadline=deadline(LONGEST_S))
    finally:
        original.file.close()


async def test_faces_are_found_by_one_sandboxed_worker_that_starts_with_the_first_job(
    make_pool: Callable[..., Pool],
) -> None:
    pool = make_pool(timeout_s=LONGEST_S)
    worker = FaceWorker(pool)
    assert worker.version
    assert (pool.alive, len(pool._tasks)) == (0, 0)
    several = await asyncio.gather(*(find(worker) for _ in range(4)))
    assert pool.alive == 1
    assert set(several) == {several[0]}
    face = largest_face(several[0])
    assert face is not None
    assert face.centre == (pytest.approx(445 / 640, abs=0.03), pytest.approx(260 / 480, abs=0.03))
    assert await find(worker, pictures.photo_as("png")) == Faces()
    [pid] = [each.process.pid for each in pool._alive]
    assert "Seccomp:\t2" in Path(f"/proc/{pid}/status").read_text()


async def test_a_damaged_original_is_an_error_and_the_worker_continues(
    make_pool: Callable[..., Pool],
) -> None:
    worker = FaceWorker(make_pool(timeout_s=LONGEST_S))
    with pytest.raises(Undecodable):
        await find(worker, PEOPLE[:-300])
    assert len((await find(worker)).boxes) == 2


async def test_a_killed_worker_is_replaced(make_pool: Callable[..., Pool]) -> None:
    pool = make_pool(timeout_s=LONGEST_S)
    worker = FaceWorker(pool)
    await find(worker)
    [before] = [each.process.pid for each in pool._alive]
    os.kill(before, signal.SIGKILL)
    await eventually(lambda: pool.alive == 0)
    assert len((await find(worker)).boxes) == 2
    assert [each.process.pid for each in pool._alive] != [before]


async def test_a_worker_that_cannot_start_fails_the_job_and_the_next_job_starts_it(
    make_pool: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(timeout_s=LONGEST_S)
    worker = FaceWorker(pool)
    monkeypatch.setattr(pool_module, "RESPAWN_PAUSE_S", 0.0)
    with monkeypatch.context() as broken:
        broken.setattr(spawn, "_PROGRAM", "raise SystemExit(1)")
        with pytest.raises(Overloaded, match="cannot be started"):
            await find(worker)
    assert len(pool._tasks) == 0
    assert len((await find(worker)).boxes) == 2


async def test_a_start_that_no_job_waits_for_serves_the_next_job(make_pool: Callable[..., Pool]) -> None:
    pool = make_pool(timeout_s=LONGEST_S)
    worker = FaceWorker(pool)
    leaving = asyncio.create_task(find(worker))
    await eventually(lambda: len(pool._workers) == 1)
    leaving.cancel()
    await asyncio.wait([leaving])
    assert len((await find(worker)).boxes) == 2
    assert [each.jobs for each in pool._alive] == [1]


async def test_a_worker_that_is_closed_has_no_process(make_pool: Callable[..., Pool]) -> None:
    pool = make_pool(timeout_s=LONGEST_S)
    worker = FaceWorker(pool)
    await find(worker)
    [pid] = [each.process.pid for each in pool._alive]
    await worker.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
