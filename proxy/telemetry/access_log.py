"""The access log and the metrics of requests. A hit only appends a record; records are counted and written in
batches.
"""

import asyncio
import re
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from itertools import accumulate

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric

from proxy.core.access_record import AccessRecord
from proxy.core.cache.delivery import VALIDATOR, Outcome
from proxy.core.image.formats import OUTPUTS, Format
from proxy.core.masking import without_secrets
from proxy.core.url.signing import unsigned
from proxy.telemetry.last_errors import LastError, LastErrors
from proxy.telemetry.log_writer import LogWriter
from proxy.telemetry.metrics import SECONDS
from proxy.telemetry.traces import Traces

_MAX_TARGET_CHARS = 4096
_CACHED_TARGETS = 2048
"""The number of masked targets that are cached."""
MAX_USED_KEYS = 100_000
_NONE = "none"
"""The label value for "none"."""
_ANSWERS = (
    *((Outcome.HIT, tier, 200) for tier in ("memory", "disk", "bucket", "source")),
    *((Outcome.HIT, VALIDATOR, 304), (Outcome.MISS, _NONE, 200), (Outcome.COLLAPSED, _NONE, 200)),
    *((Outcome.SHED, _NONE, 503), (Outcome.BYPASS, "upstream", 200)),
)
_FORMATS = (*sorted(OUTPUTS), Format.INFO, _NONE)
_REQUEST_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


class AccessLine(msgspec.Struct, omit_defaults=True):
    """A line of the access log. `key` is the start of the cache key, `ms` the time from request to response,
    `detail` the error detail sent to the client, `settings` the configuration keys that would allow it."""

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
    detail: str = ""
    settings: tuple[str, ...] = ()
    client: str = ""
    id: str = ""
    fetch_ms: float | None = None
    queue_ms: float | None = None
    render_ms: float | None = None


class AccessLog:
    """Satisfies RequestLog, and is a prometheus_client collector. Records are counted and written in batches,
    `FLUSH_S` late at most; on a terminal at once and readable. Event loop only."""

    FLUSH_S = 0.1
    FLUSH_RECORDS = 512

    def __init__(
        self,
        registry: CollectorRegistry,
        out: LogWriter,
        traces: Traces | None = None,
        *,
        last_errors: LastErrors,
        are_written: bool = True,
    ) -> None:
        """Without `are_written`, requests are counted and traced, but not logged."""
        self._traces = traces
        self._last_errors = last_errors
        self._are_written = are_written
        self._out = out
        self._encoder = msgspec.json.Encoder()
        self._records: list[tuple[float, AccessRecord]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._shown = lru_cache(_CACHED_TARGETS)(_shown)
        self._counts: Counter[tuple[str, str, str, int]] = Counter()
        self._sent_bytes: Counter[tuple[str, str]] = Counter()
        self._saved_bytes: Counter[str] = Counter()
        self._buckets = [0] * (len(SECONDS) + 1)
        self._seconds = 0.0
        self.used_keys: set[str] = set()
        """Keys of requested variants since the last `take_used_keys`."""
        registry.register(self)

    def record(self, record: AccessRecord) -> None:
        self._records.append((time.time(), record))
        if self._out.readable or len(self._records) >= self.FLUSH_RECORDS:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.FLUSH_S, self.flush)

    def expect(self, mounts: Iterable[str], statuses: Iterable[int]) -> None:
        answers = (*_ANSWERS, *((Outcome.FAILED, _NONE, status) for status in statuses))
        for mount in (*mounts, _NONE):
            self._counts.update({(mount, *answer): 0 for answer in answers})
            self._sent_bytes.update({(mount, kind): 0 for kind in _FORMATS})
            self._saved_bytes[mount] += 0

    def flush(self) -> None:
        """Counts and writes the pending records."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        records, self._records = self._records, []
        for at_s, record in records:
            mount = record.mount or _NONE
            self._counts[mount, record.outcome or Outcome.FAILED, record.tier or _NONE, record.status] += 1
            self._sent_bytes[mount, record.format or _NONE] += record.bytes
            if (
                record.original_bytes > record.bytes > 0
                and record.status == 200
                and record.format != Format.INFO
            ):
                self._saved_bytes[mount] += record.original_bytes - record.bytes
            if record.error:
                self._last_errors.add(self._error(at_s, record))
            self._buckets[bisect_left(SECONDS, record.seconds)] += 1
            self._seconds += record.seconds
            if record.key and record.tier != "source" and len(self.used_keys) < MAX_USED_KEYS:
                self.used_keys.add(record.key)
        if self._traces is None and not self._are_written:
            return
        lines = [self._line(at_s, record) for at_s, record in records]
        if self._traces is not None:
            for (at_s, record), line in zip(records, lines, strict=True):
                self._traces.export(at_s, record, line.id, line.target)
        if lines and self._are_written:
            self._out.write(
                "".join(map(_readable, lines)) if self._out.readable else self._encoder.encode_lines(lines)
            )

    def take_used_keys(self) -> set[str]:
        """The keys requested since the last call."""
        self.flush()
        used_keys, self.used_keys = self.used_keys, set()
        return used_keys

    def collect(self) -> list[Metric]:
        """The request metrics for a scrape."""
        self.flush()
        requests = CounterMetricFamily(
            "calotype_requests",
            "Requests by mount, outcome, tier of a hit, and status.",
            labels=["mount", "outcome", "tier", "status"],
        )
        outcome_counts: Counter[str] = Counter()
        for (mount, outcome, tier, status), count in self._counts.items():
            requests.add_metric([mount, outcome, tier, str(status)], count)
            outcome_counts[outcome] += count
        sent = CounterMetricFamily(
            "calotype_sent_bytes",
            "Bytes of bodies sent to clients, by mount and format.",
            labels=["mount", "format"],
        )
        for labels, sent_bytes in self._sent_bytes.items():
            sent.add_metric(list(labels), sent_bytes)
        saved = CounterMetricFamily(
            "calotype_saved_bytes",
            "Bytes that whole pictures had less than their originals, by mount.",
            labels=["mount"],
        )
        for mount, saved_bytes in self._saved_bytes.items():
            saved.add_metric([mount], saved_bytes)
        seconds = HistogramMetricFamily("calotype_request_seconds", "Time from request to response.")
        bounds = [*(str(bound) for bound in SECONDS), "+Inf"]
        seconds.add_metric([], list(zip(bounds, accumulate(self._buckets), strict=True)), self._seconds)
        collapsed = CounterMetricFamily(
            "calotype_collapsed",
            "Requests that waited for the render of another request.",
            value=outcome_counts[Outcome.COLLAPSED],
        )
        shed = CounterMetricFamily(
            "calotype_shed",
            "Requests refused because the queue was full.",
            value=outcome_counts[Outcome.SHED],
        )
        return [requests, sent, saved, seconds, collapsed, shed]

    def _error(self, at_s: float, record: AccessRecord) -> LastError:
        target = self._shown(record.unsigned_target or record.target)
        return LastError(at_s, record.status, record.error, record.detail, record.mount, target)

    def _line(self, at_s: float, record: AccessRecord) -> AccessLine:
        line = AccessLine(
            event="request",
            level="info",
            time=_rfc3339(at_s),
            method=record.method,
            target=self._shown(record.unsigned_target or record.target),
            status=record.status,
            outcome=record.outcome or "",
            bytes=record.bytes,
            ms=_ms(record.seconds),
            tier=record.tier,
            format=record.format,
            key=record.key[:16],
            error=record.error,
            detail=record.detail,
            settings=record.settings,
            client=record.client,
            id=record.request_id if _REQUEST_ID.fullmatch(record.request_id) else "",
        )
        if record.outcome is Outcome.MISS:
            line.fetch_ms, line.queue_ms, line.render_ms = map(_ms, record.timings)
        return line


def _rfc3339(at_s: float) -> str:
    """Seconds of the Unix epoch as an RFC 3339 time with milliseconds."""
    whole, part = divmod(at_s, 1.0)
    return f"{_whole_second(whole)}.{int(part * 1000):03d}Z"


@lru_cache(maxsize=1)
def _whole_second(at_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_s))


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)


def _shown(target: str) -> str:
    """A request target as logged, with secrets masked. Targets above `_MAX_TARGET_CHARS` are replaced."""
    return without_secrets(unsigned(target)) if len(target) <= _MAX_TARGET_CHARS else "..."


def _readable(line: AccessLine) -> str:
    how = f"{line.outcome} {line.tier or line.error}".rstrip()
    allowing = f"; to allow it: {' or '.join(line.settings)}" if line.settings else ""
    why = f"  ({line.detail}{allowing})" if line.detail else ""
    return (
        f"{line.time[11:]}  {line.status}  {how:<16} {line.ms:>8.2f} ms {line.bytes:>9}  {line.target}{why}\n"
    )
