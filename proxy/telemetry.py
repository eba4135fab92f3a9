"""Metrics and the log: what the node tells its operator. Labels are closed sets; no secret comes here.

One JSON object a request on a pipe or in a file, a readable line on a terminal.
"""

import sys
from collections.abc import Callable
from typing import Any, TextIO

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from proxy.core.delivery import Outcome

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class PrometheusMetrics:
    """Satisfies Metrics, on a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "calotype_requests",
            "Requests by outcome, tier of a hit, and status.",
            ["outcome", "tier", "status"],
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "calotype_request_seconds",
            "Time from request to answer.",
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._render_seconds = Histogram(
            "calotype_render_seconds",
            "Time of a render in its worker, by output format.",
            ["format"],
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._renders = Counter("calotype_renders", "Variants rendered.", registry=self.registry)
        self._collapsed = Counter(
            "calotype_collapsed", "Requests that waited for another's render.", registry=self.registry
        )
        self._shed = Counter(
            "calotype_shed", "Requests refused because the queue was full.", registry=self.registry
        )
        self._tier_errors = Counter(
            "calotype_tier_errors", "Faults of a tier, by kind.", ["tier", "kind"], registry=self.registry
        )
        self._fetches = Counter(
            "calotype_source_fetches",
            "Originals fetched, by source and outcome.",
            ["source", "outcome"],
            registry=self.registry,
        )
        # Looking a child up by its labels costs more than counting: the few combinations are kept.
        self._children: dict[tuple[str, str, int], Counter] = {}

    def watch(
        self,
        *,
        queue: Callable[[], int],
        tiers: dict[str, Callable[[], tuple[int, int]]],
    ) -> None:
        """Adds what is read at scrape time: the render queue, and bytes and entries of each tier."""
        Gauge("calotype_render_queue", "Renders waiting for a worker.", registry=self.registry).set_function(
            queue
        )
        self.registry.register(_TierUsage(tiers))

    def answered(self, outcome: Outcome, tier: str, status: int, seconds: float) -> None:
        labels = (outcome, tier, status)
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._requests.labels(outcome, tier or "none", status)
        child.inc()
        self._request_seconds.observe(seconds)
        if outcome is Outcome.COLLAPSED:
            self._collapsed.inc()
        elif outcome is Outcome.SHED:
            self._shed.inc()

    def rendered(self, format: str, seconds: float) -> None:
        self._renders.inc()
        self._render_seconds.labels(format).observe(seconds)

    def fetched(self, source: str, outcome: str) -> None:
        self._fetches.labels(source, outcome).inc()

    def tier_failed(self, tier: str, kind: str) -> None:
        self._tier_errors.labels(tier, kind).inc()


class _TierUsage:
    """A prometheus_client collector."""

    def __init__(self, tiers: dict[str, Callable[[], tuple[int, int]]]) -> None:
        self._tiers = tiers

    def collect(self) -> list[Metric]:
        held = GaugeMetricFamily("calotype_tier_bytes", "Bytes held by a tier.", labels=["tier"])
        entries = GaugeMetricFamily("calotype_tier_entries", "Entries held by a tier.", labels=["tier"])
        for name, usage in self._tiers.items():
            in_bytes, count = usage()
            held.add_metric([name], in_bytes)
            entries.add_metric([name], count)
        return [held, entries]


def json_bytes(event: dict[str, Any], **_: Any) -> bytes:
    """structlog's serializer."""
    return msgspec.json.encode(event, enc_hook=str)


def open_log(stream: TextIO | None = None) -> Any:
    """The log on `stream`, standard output if None."""
    out = stream or sys.stdout
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    if out.isatty():
        return structlog.wrap_logger(
            structlog.PrintLogger(out),
            processors=[*shared, structlog.dev.ConsoleRenderer(timestamp_key="time")],
            wrapper_class=structlog.make_filtering_bound_logger("INFO"),
        )
    return structlog.wrap_logger(
        structlog.BytesLogger(out.buffer),
        processors=[
            *shared,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=json_bytes),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("INFO"),
    )
