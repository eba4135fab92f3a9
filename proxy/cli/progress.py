"""A bar on standard error for what takes its time: how far, how fast, how long still."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class ProgressBar:
    """One thing in its parts, some of which may fail."""

    def __init__(self, progress: "Progress", task: "TaskID") -> None:
        self._progress = progress
        self._task = task
        self._failed = 0

    def advance(self, *, failed: bool = False) -> None:
        """One more is over."""
        self._failed += failed
        self._progress.update(self._task, advance=1)
        self._show()

    def set(self, *, done: int, total: int, failed: int) -> None:
        """So many are over, of so many."""
        self._failed = failed
        self._progress.update(self._task, completed=done, total=total)
        self._show()

    def say(self, line: str) -> None:
        """A line above the bar."""
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _show(self) -> None:
        speed = self._progress.tasks[self._task].speed
        failed = f" {self._failed} failed" if self._failed else ""
        self._progress.update(self._task, rate=(f"{speed:.1f}/s" if speed else "") + failed)


@contextmanager
def progress_bar(doing: str, total: int | None) -> Iterator[ProgressBar]:
    """Shown as long as the context is; `total` is None while nobody knows."""
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
