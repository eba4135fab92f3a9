"""A progress bar on standard error: position, speed and remaining time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class ProgressBar:
    """The progress of one task of many items."""

    def __init__(self, progress: "Progress", task: "TaskID") -> None:
        self._progress = progress
        self._task = task

    def set(self, *, done: int, total: int, failed: int) -> None:
        """Sets the counts; `done` includes the failed items."""
        self._progress.update(self._task, completed=done, total=total)
        speed = self._progress.tasks[self._task].speed
        rate = (f"{speed:.1f}/s" if speed else "") + (f" {failed} failed" if failed else "")
        self._progress.update(self._task, rate=rate)

    def print(self, line: str) -> None:
        """Prints a line above the bar."""
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress_bar(doing: str, total: int | None) -> Iterator[ProgressBar]:
    """Shows a bar while the context is open; `total` is None while it is unknown."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield ProgressBar(progress, progress.add_task(doing, total=total, rate=""))
