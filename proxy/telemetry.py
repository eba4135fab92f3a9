"""Metrics and the log: what the node tells its operator. Labels are closed sets; no secret comes here.

One JSON object a request on a pipe or in a file, a readable line on a terminal. Events go through structlog;
a request is on the path of every hit, so it is only noted there, and counted and written with many others.
"""

import asyncio
import sys
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import suppress
from itertools import accumulate
from select import PIPE_BUF
from typing import Any, TextIO

import msgspec
import prometheus_client
import structlog
from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from proxy.core.delivery import Outcome, Visit
from proxy.core.dialects.target import without_secrets
from proxy.core.signing import unsigned

_MOST_TARGET = 4096
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class PrometheusMetrics:
    """Satisfies Metrics, on a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._render_seconds = Histogram(
            "calotype_render_seconds",
            "Time of a render in its worker, by output format.",
            ["format"],
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._renders = prometheus_client.Counter(
            "calotype_renders", "Variants rendered.", registry=self.registry
        )
        self._tier_errors = prometheus_client.Counter(
            "calotype_tier_errors", "Faults of a tier, by kind.", ["tier", "kind"], registry=self.registry
        )
        self._fetches = prometheus_client.Counter(
            "calotype_source_fetches",
            "Originals fetched, by source and outcome.",
            ["source", "outcome"],
            registry=self.registry,
        )

    def watch(
        self,
        *,
        queue: Callable[[], int] = lambda: 0,
        tiers: dict[str, Callable[[], tuple[int, int] | None]],
    ) -> None:
        """Adds what is read at scrape time: the render queue, and bytes and entries of each tier."""
        Gauge("calotype_render_queue", "Renders waiting for a worker.", registry=self.registry).set_function(
            queue
        )
        self.registry.register(_TierUsage(tiers))

    def rendered(self, format: str, seconds: float) -> None:
        self._renders.inc()
        self._render_seconds.labels(format).observe(seconds)

    def fetched(self, source: str, outcome: str) -> None:
        self._fetches.labels(source, outcome).inc()

    def tier_failed(self, tier: str, kind: str) -> None:
        self._tier_errors.labels(tier, kind).inc()


class _TierUsage:
    """A prometheus_client collector."""

    def __init__(self, tiers: dict[str, Callable[[], tuple[int, int] | None]]) -> None:
        self._tiers = tiers

    def collect(self) -> list[Metric]:
        held = GaugeMetricFamily("calotype_tier_bytes", "Bytes held by a tier.", labels=["tier"])
        entries = GaugeMetricFamily("calotype_tier_entries", "Entries held by a tier.", labels=["tier"])
        for name, usage in self._tiers.items():
            if (used := usage()) is not None:
                held.add_metric([name], used[0])
                entries.add_metric([name], used[1])
        return [held, entries]


class Merged:
    """A prometheus_client collector: the samples of several processes, added up.

    `gather` is given what each process that lives has to say; what those that died had counted stays counted.
    """

    def __init__(self) -> None:
        self._living: dict[Hashable, list[Metric]] = {}
        self._ended: list[Metric] = []

    def gather(self, process: Hashable, metrics: list[Metric]) -> None:
        self._living[process] = metrics

    def end(self, process: Hashable) -> None:
        """A process is no more: its counters stay, its gauges go."""
        counted = [metric for metric in self._living.pop(process, []) if metric.type != "gauge"]
        self._ended = _added([self._ended, counted])

    def collect(self) -> list[Metric]:
        return _added([self._ended, *self._living.values()])


def _added(reports: Iterable[list[Metric]]) -> list[Metric]:
    """One report of many: samples of the same name and labels are added."""
    families: dict[str, Metric] = {}
    sums: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for metric in (metric for report in reports for metric in report):
        families.setdefault(metric.name, metric)
        of_family = sums.setdefault(metric.name, {})
        for sample in metric.samples:
            if sample.name.endswith("_created"):
                continue  # Times do not add up.
            labelled = sample.name, tuple(sorted(sample.labels.items()))
            of_family[labelled] = of_family.get(labelled, 0.0) + sample.value
    added = []
    for name, metric in families.items():
        family = Metric(name, metric.documentation, metric.type)
        for (sample_name, labels), value in sums[name].items():
            family.add_sample(sample_name, dict(labels), value)
        added.append(family)
    return added


def json_bytes(event: dict[str, Any], **_: Any) -> bytes:
    """structlog's serializer."""
    return msgspec.json.encode(event, enc_hook=str)


def open_log(stream: TextIO | None = None) -> Any:
    """The log of events on `stream`, standard output if None."""
    out = stream or sys.stdout
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    if out.isatty():
        return structlog.wrap_logger(
            structlog.PrintLogger(out),
            processors=[
                *shared,
                structlog.dev.ConsoleRenderer(
                    timestamp_key="time",
                    # Not the pretty one: it shows the variables of every frame, and what is secret in them.
                    exception_formatter=structlog.dev.plain_traceback,
                ),
            ],
            wrapper_class=structlog.make_filtering_bound_logger("INFO"),
        )
    return structlog.wrap_logger(
        structlog.BytesLogger(_Patient(out)),  # type: ignore[arg-type]
        processors=[
            *shared,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=json_bytes),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("INFO"),
    )


class _Patient:
    """The part of a binary stream that structlog uses; a stream that is gone or full costs its lines only."""

    def __init__(self, stream: TextIO) -> None:
        self._buffer = stream.buffer

    def write(self, line: bytes) -> None:
        with suppress(OSError, ValueError):
            self._buffer.write(line)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._buffer.flush()


class RequestLine(msgspec.Struct, omit_defaults=True):
    """What the log says of a Visit; `key` is the head of the cache key, `ms` the time from request to answer."""

    event: str
    level: str
    time: str
    method: str
    target: str
    status: int
    outcome: str
    bytes: int
    ms: float
    tier: str = ""
    format: str = ""
    key: str = ""
    error: str = ""


class RequestLedger:
    """Satisfies Ledger, and is a prometheus_client collector: visits are noted as they come, and counted and
    written in batches, `FLUSH_S` late at most; on a terminal at once and readable. Event loop only."""

    FLUSH_S = 0.1
    FLUSH_VISITS = 512

    def __init__(self, registry: CollectorRegistry, stream: TextIO | None = None) -> None:
        self._out = stream or sys.stdout
        self._readable = self._out.isatty()
        self._encoder = msgspec.json.Encoder()
        self._visits: list[tuple[float, Visit]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._second = 0
        self._stamp = ""
        self._counts: Counter[tuple[str, str, int]] = Counter()
        self._buckets = [0] * (len(_SECONDS) + 1)
        self._seconds = 0.0
        registry.register(self)

    def enter(self, visit: Visit) -> None:
        self._visits.append((time.time(), visit))
        if self._readable or len(self._visits) >= self.FLUSH_VISITS:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.FLUSH_S, self.flush)

    def flush(self) -> None:
        """Counts and writes what was noted."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        visits, self._visits = self._visits, []
        for _, visit in visits:
            self._counts[visit.outcome or Outcome.FAILED, visit.tier or "none", visit.status] += 1
            self._buckets[bisect_left(_SECONDS, visit.seconds)] += 1
            self._seconds += visit.seconds
        lines = [self._line(at_s, visit) for at_s, visit in visits]
        with suppress(OSError, ValueError):  # A log that is gone or full costs its lines, no request.
            if self._readable:
                self._out.writelines(map(_readable, lines))
            else:
                for whole_lines in _atomic(self._encoder.encode_lines(lines)):
                    self._out.buffer.write(whole_lines)
                    self._out.buffer.flush()
            self._out.flush()

    def collect(self) -> list[Metric]:
        """The samples of a scrape."""
        self.flush()
        requests = CounterMetricFamily(
            "calotype_requests",
            "Requests by outcome, tier of a hit, and status.",
            labels=["outcome", "tier", "status"],
        )
        of_outcome: Counter[str] = Counter()
        for (outcome, tier, status), count in self._counts.items():
            requests.add_metric([outcome, tier, str(status)], count)
            of_outcome[outcome] += count
        seconds = HistogramMetricFamily("calotype_request_seconds", "Time from request to answer.")
        bounds = [*(str(bound) for bound in _SECONDS), "+Inf"]
        seconds.add_metric([], list(zip(bounds, accumulate(self._buckets), strict=True)), self._seconds)
        collapsed = CounterMetricFamily(
            "calotype_collapsed",
            "Requests that waited for another's render.",
            value=of_outcome[Outcome.COLLAPSED],
        )
        shed = CounterMetricFamily(
            "calotype_shed",
            "Requests refused because the queue was full.",
            value=of_outcome[Outcome.SHED],
        )
        return [requests, seconds, collapsed, shed]

    def _line(self, at_s: float, visit: Visit) -> RequestLine:
        return RequestLine(
            event="request",
            level="info",
            time=self._rfc3339(at_s),
            method=visit.method,
            target=_shown(visit.target),
            status=visit.status,
            outcome=visit.outcome or "",
            bytes=visit.bytes,
            ms=round(visit.seconds * 1000, 2),
            tier=visit.tier,
            format=visit.format,
            key=visit.key[:16],
            error=visit.error,
        )

    def _rfc3339(self, at_s: float) -> str:
        """Wall time to the millisecond."""
        whole, part = divmod(at_s, 1.0)
        if whole != self._second:
            self._second = int(whole)
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
        return f"{self._stamp}.{int(part * 1000):03d}Z"


def _shown(target: str) -> str:
    """What the log says of a target; what is longer than any URL that is answered is not worth the time."""
    return without_secrets(unsigned(target)) if len(target) <= _MOST_TARGET else "..."


def _atomic(lines: bytes) -> Iterator[bytes]:
    """Whole lines in pieces that a pipe takes at once: other processes of the node write there too."""
    at = 0
    while at < len(lines):
        end = lines.rfind(b"\n", at, at + PIPE_BUF) + 1 or lines.find(b"\n", at) + 1
        yield lines[at:end]
        at = end


def _readable(line: RequestLine) -> str:
    how = f"{line.outcome} {line.tier or line.error}".rstrip()
    return f"{line.time[11:]}  {line.status}  {how:<16} {line.ms:>8.2f} ms {line.bytes:>9}  {line.target}\n"
