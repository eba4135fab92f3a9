"""Metrics and the access log."""

from collections.abc import Iterable
from typing import Protocol

from proxy.core.access_record import AccessRecord
from proxy.core.cache.delivery import Timings
from proxy.core.image.original import OriginalRef


class Metrics(Protocol):
    """Counters; never raises."""

    def rendered(self, ref: OriginalRef, format: str, timings: Timings) -> None: ...

    def fetched(self, source: str, outcome: str) -> None: ...

    def tier_failed(self, tier: str, kind: str) -> None: ...


class RequestLog(Protocol):
    """Logs and counts every request once; cheap enough for a memory hit, never raises."""

    def record(self, record: AccessRecord) -> None:
        """Takes over the record; it is written later, in a batch."""
        ...

    def expect(self, mounts: Iterable[str], statuses: Iterable[int]) -> None:
        """Initializes the counters of these mounts and statuses at zero."""
        ...
