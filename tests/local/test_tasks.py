"""Background tasks are referenced while they run, and end with their owner."""

import asyncio
import gc
import weakref

import pytest

from proxy.local.tasks import Tasks, all_of


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


async def test_works_run_at_the_same_time_and_all_end_before_an_error() -> None:
    both, ended = asyncio.Barrier(2), []

    async def work(number: int) -> int:
        await both.wait()
        ended.append(number)
        if number > 1:
            raise ValueError(number)
        return number

    assert await all_of([work(0), work(1)]) == [0, 1]
    with pytest.raises(ValueError, match="2"):
        await all_of([work(2), work(3)])
    assert sorted(ended) == [0, 1, 2, 3]
    running = asyncio.create_task(all_of([work(4), asyncio.sleep(0)]))
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running})
    assert (running.cancelled(), both.n_waiting) == (True, 0)


async def test_one_work_alone_needs_no_task() -> None:
    async def work() -> asyncio.Task[object] | None:
        return asyncio.current_task()

    assert await all_of([work()]) == [asyncio.current_task()]
