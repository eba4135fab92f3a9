"""The metrics of one process, except those of requests, which `access_log` has."""

import os
import resource
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from proxy.core.cache.delivery import Timings
from proxy.core.image.formats import OUTPUTS, Format
from proxy.core.image.original import OriginalRef
from proxy.telemetry.last_errors import LastErrors
from proxy.telemetry.recent import Recent
from proxy.telemetry.slowest import Slowest

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histograms' buckets."""
_FETCHES = (
    *("ok", "stale", "timeout", "original-not-found", "original-too-large", "source-not-allowed"),
    *("source-unavailable", "source-timeout", "overloaded"),
)
_TIER_FAULTS = (
    *("broken", "circuit-open", "damaged", "database", "denied", "dropped", "full", "internal"),
    *("io", "locked", "orphan", "refused", "timeout", "unavailable"),
)


class PrometheusMetrics:
    """Satisfies Metrics, on a registry of its own."""

    def __init__(self, process: str = "node") -> None:
        self.registry = CollectorRegistry()
        self.slowest = Slowest()
        self.last_errors = LastErrors()
        ProcessCollector(registry=self.registry)
        self.watch(
            "calotype_descriptors_share",
            "Open file descriptors, as a share of the limit of the process.",
            lambda: {process: _descriptors_share()},
            "process",
        )
        self._render_seconds = Histogram(
            "calotype_render_seconds",
            "Time of a render in its worker, by output format.",
            ["format"],
            registry=self.registry,
            buckets=SECONDS,
        )
        counter = partial(Counter, registry=self.registry)
        self._renders = counter("calotype_renders", "Variants rendered.")
        self._tier_errors = counter("calotype_tier_errors", "Faults of a tier, by kind.", ["tier", "kind"])
        self._fetches = counter(
            "calotype_source_fetches", "Originals fetched, by source and outcome.", ["source", "outcome"]
        )
        self._reloads = counter(
            "calotype_config_reloads", "Reloads of the configuration, by outcome.", ["outcome"]
        )
        for outcome in ("ok", "refused"):
            self._reloads.labels(outcome)
        self._stalls = counter("calotype_loop_stalls", "Times the event loop was blocked.")

    def expect(self, sources: Iterable[str], tiers: Iterable[str]) -> None:
        """Creates the series of these labels: an alert sees no increase of a series that did not exist."""
        for labels in product(sources, _FETCHES):
            self._fetches.labels(*labels)
        for labels in product(tiers, _TIER_FAULTS):
            self._tier_errors.labels(*labels)
        for kind in (*sorted(OUTPUTS), Format.INFO):
            self._render_seconds.labels(kind)

    def watch(
        self, name: str, documentation: str, read: Callable[[], Mapping[str, float]], label: str = ""
    ) -> None:
        """Adds a gauge. `read` returns a value for each value of `label`, or one under "" without a label."""
        self.registry.register(_Watched(GaugeMetricFamily, name, documentation, read, label))

    def watch_count(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """Adds a counter whose value `read` returns at scrape time."""
        self.registry.register(_Watched(CounterMetricFamily, name, documentation, lambda: {"": read()}, ""))

    def rendered(self, ref: OriginalRef, format: str, timings: Timings) -> None:
        self._renders.inc()
        self._render_seconds.labels(format).observe(timings.render_s)
        self.slowest.add(ref, format, timings)

    def fetched(self, source: str, outcome: str) -> None:
        self._fetches.labels(source, outcome).inc()

    def tier_failed(self, tier: str, kind: str) -> None:
        self._tier_errors.labels(tier, kind).inc()

    def recent(self) -> Recent:
        return Recent(self.slowest.top(), self.last_errors.top())

    def reloaded(self, outcome: str) -> None:
        self._reloads.labels(outcome).inc()

    def stalled(self) -> None:
        self._stalls.inc()


def _descriptors_share() -> float:
    try:
        return len(os.listdir("/proc/self/fd")) / resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    except OSError:
        return 1.0  # No descriptor is free to list them.


@dataclass(frozen=True, slots=True, eq=False)
class _Watched:
    """A prometheus_client collector of one metric."""

    kind: type[GaugeMetricFamily] | type[CounterMetricFamily]
    name: str
    documentation: str
    read: Callable[[], Mapping[str, float]]
    label: str

    def collect(self) -> list[Metric]:
        family = self.kind(self.name, self.documentation, labels=[self.label] if self.label else [])
        for value_of_label, value in self.read().items():
            family.add_metric([value_of_label] if self.label else [], value)
        return [family]
