"""Exports requests as OpenTelemetry traces, built from their access records. Traces add no measurement, and cost
nothing when disabled.

The trace id is the request id if a trusted proxy sent one.
"""

from collections.abc import Callable
from typing import Any

from proxy.core.access_record import AccessRecord
from proxy.core.cache.delivery import steps

_TIMEOUT_S = 1
_NS = 1_000_000_000


class Traces:
    """Sends the share `sample` of all requests to an OTLP/HTTP `endpoint`, from a thread of the SDK. `chance`
    returns numbers from 0 to 1. Raises ImportError if the SDK is not installed."""

    def __init__(self, endpoint: str, *, sample: float, version: str, chance: Callable[[], float]) -> None:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        self._api: Any = trace
        self._sample = sample
        self._chance = chance
        resource = Resource.create({"service.name": "calotype", "service.version": version})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=_TIMEOUT_S))
        )
        self._tracer = self._provider.get_tracer("calotype", version)

    def export(self, ended_s: float, record: AccessRecord, request_id: str, target: str) -> None:
        """Exports a request. `ended_s` is in seconds of the Unix epoch; `request_id` is 32 hex digits or empty."""
        share = int(request_id[:8], 16) / 2**32 if request_id else self._chance()
        if share >= self._sample:
            return
        began_ns = int((ended_s - record.seconds) * _NS)
        root = self._tracer.start_span(
            record.method,
            self._within(request_id),
            kind=self._api.SpanKind.SERVER,
            start_time=began_ns,
            attributes={
                "http.request.method": record.method,
                "url.path": target,
                "http.response.status_code": record.status,
                "calotype.outcome": record.outcome or "",
                "calotype.tier": record.tier,
                "calotype.key": record.key[:16],
                "error.type": record.error,
            },
        )
        within = self._api.set_span_in_context(root)
        at_ns = began_ns
        for name, seconds in steps(record.outcome, record.timings, record.seconds):
            step = self._tracer.start_span(name, within, start_time=at_ns)
            at_ns += int(seconds * _NS)
            step.end(at_ns)
        root.end(int(ended_s * _NS))

    def _within(self, request_id: str) -> Any:
        """A context whose trace id is `request_id`; None for a random id."""
        if not request_id or not int(request_id, 16):
            return None
        context = self._api.SpanContext(
            int(request_id, 16), 1 + int(self._chance() * 2**62), True, self._api.TraceFlags(1)
        )
        return self._api.set_span_in_context(self._api.NonRecordingSpan(context))

    def close(self) -> None:
        """Sends the remaining traces."""
        self._provider.shutdown()
