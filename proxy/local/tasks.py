"""Background tasks of this process and their one owner: no other module creates a task."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Tasks:
    """Keeps each task until it is done, so that none is collected while it runs, and cancels the rest at the end."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        """The tasks that are not done."""
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Runs `work` in the background; `name` is what tracebacks and debuggers show."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Cancels the running tasks and waits until they have ended."""
        await cancel(*self._tasks)


async def all_of(works: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of `works`, which run at the same time; one alone needs no task. All end before the first error in
    their order is raised."""
    if len(works) == 1:
        return [await works[0]]
    results = await asyncio.gather(*works, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return cast("list[T]", results)


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancels the tasks and waits until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
