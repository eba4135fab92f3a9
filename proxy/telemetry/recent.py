"""What processes remember of single requests: the slowest renders and the last errors."""

import heapq
from collections.abc import Iterable
from typing import NamedTuple

from proxy.telemetry import last_errors, slowest
from proxy.telemetry.last_errors import LastError
from proxy.telemetry.slowest import Slow


class Recent(NamedTuple):
    """The slowest renders of the last hour, the slowest first, and the last errors, the newest first."""

    slowest: list[Slow]
    errors: list[LastError]


def merged(of_processes: Iterable[Recent]) -> Recent:
    """What a node of several processes remembers."""
    found = list(of_processes)
    return Recent(
        heapq.nlargest(slowest.MAX_ENTRIES, (slow for each in found for slow in each.slowest)),
        heapq.nlargest(last_errors.MAX_ENTRIES, (error for each in found for error in each.errors)),
    )
