"""What a node has answered in the last hour."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple, NoReturn

from prometheus_client import CollectorRegistry

STEP_S = 15.0
STEPS = 240


class Totals(NamedTuple):
    """Sums since the start of the node. `cacheable` are the requests that the hit ratio counts: hits, misses and requests
    that waited for the miss of another."""

    at_s: float
    requests: float
    hits: float
    cacheable: float
    failed: float
    sent_bytes: float
    saved_bytes: float


class History:
    """Totals of the last hour, one every `STEP_S` seconds. `wall` is the time of day."""

    def __init__(self, registry: CollectorRegistry, wall: Callable[[], float]) -> None:
        self._registry = registry
        self._wall = wall
        self.totals: deque[Totals] = deque(maxlen=STEPS + 1)

    async def watch(self, gather: Callable[[], Awaitable[object]]) -> NoReturn:
        """Adds the totals of each step. `gather` is awaited before the registry is read."""
        while True:
            await gather()
            self.totals.append(self._now())
            await asyncio.sleep(STEP_S)

    def _now(self) -> Totals:
        requests = hits = cacheable = failed = sent_bytes = saved_bytes = 0.0
        for sample in (sample for metric in self._registry.collect() for sample in metric.samples):
            match sample.name:
                case "calotype_requests_total":
                    outcome = sample.labels["outcome"]
                    requests += sample.value
                    hits += sample.value if outcome == "hit" else 0
                    cacheable += sample.value if outcome in ("hit", "miss", "collapsed") else 0
                    failed += sample.value if sample.labels["status"].startswith("5") else 0
                case "calotype_sent_bytes_total":
                    sent_bytes += sample.value
                case "calotype_saved_bytes_total":
                    saved_bytes += sample.value
        return Totals(self._wall(), requests, hits, cacheable, failed, sent_bytes, saved_bytes)
