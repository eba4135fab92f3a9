"""Who counts and who tells."""

from collections.abc import Iterable
from typing import Protocol

from proxy.core.cache.delivery import AccessRecord, Timings
from proxy.core.image.original import OriginalRef


class Metrics(Protocol):
    """Counts; never raises."""

    def rendered(self, ref: OriginalRef, format: str, timings: Timings) -> None: ...

    def fetched(self, source: str, outcome: str) -> None: ...

    def tier_failed(self, tier: str, kind: str) -> None: ...


class RequestLog(Protocol):
    """Every request once, for log and metrics; cheap enough for a memory hit, never raises."""

    def record(self, record: AccessRecord) -> None:
        """Takes the visit over: it is told later, with many others."""
        ...

    def expect(self, mounts: Iterable[str], statuses: Iterable[int]) -> None:
        """Visits of these mounts will come, and may fail with these statuses: none of them is shown as none."""
        ...
