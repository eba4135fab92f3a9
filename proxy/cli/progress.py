"""A progress bar on standard error, if that is a terminal: position, remaining time and speed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Never

if TYPE_CHECKING:
    from tqdm import tqdm


class ProgressBar:
    """The progress of one task of many items."""

    def __init__(self, bar: "tqdm[Never]") -> None:
        self._bar = bar

    def set(self, *, done: int, total: int, failed: int) -> None:
        """Sets the counts; `done` includes the failed items."""
        self._bar.total = total
        self._bar.set_postfix_str(f"{failed} failed" if failed else "", refresh=False)
        self._bar.update(done - self._bar.n)

    def print(self, line: str) -> None:
        """Prints a line above the bar."""
        self._bar.write(line, file=sys.stderr)


@contextmanager
def progress_bar(doing: str, total: int | None) -> Iterator[ProgressBar]:
    """Shows a bar while the context is open; `total` is None while it is unknown."""
    from tqdm import tqdm

    with tqdm(desc=doing, total=total, disable=not sys.stderr.isatty()) as bar:
        yield ProgressBar(bar)
