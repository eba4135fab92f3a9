"""The last requests that failed, with their reasons."""

import heapq
from dataclasses import dataclass, replace

MAX_ENTRIES = 20
MAX_OF_A_KIND = 5
"""The most targets of one slug, so that a flood of one kind hides no other."""


@dataclass(frozen=True, slots=True, order=True)
class LastError:
    """The last failure of a target. `at_s` is its end, in seconds of the Unix epoch; `target` is masked; `count` is how
    often it failed in this way."""

    at_s: float
    status: int
    error: str
    detail: str
    mount: str
    target: str
    count: int = 1


class LastErrors:
    """The last errors of one process, the last of each kind."""

    def __init__(self) -> None:
        self._by_slug: dict[str, dict[str, LastError]] = {}

    def add(self, error: LastError) -> None:
        of_slug = self._by_slug.setdefault(error.error, {})
        if (before := of_slug.pop(error.target, None)) is not None:
            error = replace(error, count=before.count + 1)
        of_slug[error.target] = error  # Behind the others: a dict is in the order of insertion.
        if len(of_slug) > MAX_OF_A_KIND:
            del of_slug[next(iter(of_slug))]

    def top(self) -> list[LastError]:
        """At most `MAX_ENTRIES` errors, the newest first."""
        return heapq.nlargest(
            MAX_ENTRIES, (error for kind in self._by_slug.values() for error in kind.values())
        )
