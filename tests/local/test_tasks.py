"""Background tasks are referenced while they run, and end with their owner."""

import asyncio
import gc
import weakref

from proxy.local.tasks import Tasks


async def test_a_task_is_referenced_until_it_is_done() -> None:
    tasks, release = Tasks(), asyncio.Event()

    async def work() -> int:
        await release.wait()
        return 7

    task = weakref.ref(tasks.start(work(), "work"))
    await asyncio.sleep(0)
    gc.collect()
    running = task()
    assert running is not None
    assert running.get_name() == "work"
    release.set()
    assert await running == 7
    await asyncio.sleep(0)
    assert not tasks


async def test_closing_cancels_unfinished_tasks_and_waits_for_them() -> None:
    tasks, ended = Tasks(), []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    async def fail() -> None:
        raise ValueError

    cancelled, failed = tasks.start(work(), "work"), tasks.start(fail(), "fail")
    await asyncio.sleep(0)
    await tasks.close()
    assert (cancelled.cancelled(), ended) == (True, [True])
    assert isinstance(failed.exception(), ValueError)
    await tasks.close()
