"""The originals with the slowest recent renders."""

import heapq
import time
from dataclasses import dataclass

from proxy.core.cache.delivery import Timings
from proxy.core.image.original import OriginalRef
from proxy.core.masking import without_secrets

MAX_ENTRIES = 10
WINDOW_S = 3600.0


@dataclass(frozen=True, slots=True, order=True)
class Slow:
    """One render and its fetch. `at_s` is its end, in seconds of the Unix epoch."""

    seconds: float
    at_s: float
    source: str
    original: str
    format: str
    fetch_s: float
    render_s: float


class Slowest:
    """The slowest renders of the last hour, one per original."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Slow] = {}

    def add(self, ref: OriginalRef, format: str, timings: Timings) -> None:
        seconds = timings.fetch_s + timings.render_s
        name = ref.source, without_secrets(ref.key)
        previous = self._entries.get(name)
        if previous is None or previous.seconds <= seconds or previous.at_s < time.time() - WINDOW_S:
            self._entries[name] = Slow(seconds, time.time(), *name, format, timings.fetch_s, timings.render_s)
        if len(self._entries) > 2 * MAX_ENTRIES:
            self._entries = {(slow.source, slow.original): slow for slow in self.top()}

    def top(self) -> list[Slow]:
        """At most `MAX_ENTRIES` renders, the slowest first."""
        since_s = time.time() - WINDOW_S
        return heapq.nlargest(MAX_ENTRIES, (slow for slow in self._entries.values() if slow.at_s >= since_s))
