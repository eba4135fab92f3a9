"""Traces are exported by the real exporter to a receiver in the test."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from proxy.config.errors import ConfigError
from proxy.config.settings import load
from proxy.core.access_record import AccessRecord
from proxy.core.cache.delivery import Outcome, Timings
from proxy.node import factory
from proxy.telemetry.traces import Traces
from tests.support.waiting import LONGEST_S

ID = "0123456789abcdef" * 2
STEPS = Timings(0.2, 0.1, 0.6)


@pytest.fixture
async def collector() -> AsyncIterator[Any]:
    spans: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        export_request = ExportTraceServiceRequest.FromString(await request.read())
        for resource in export_request.resource_spans:
            assert ("service.name", "calotype") in [
                (attribute.key, attribute.value.string_value) for attribute in resource.resource.attributes
            ]
            for scope in resource.scope_spans:
                spans.extend(scope.spans)
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    async with TestServer(app) as server:
        yield f"http://127.0.0.1:{server.port}/v1/traces", spans


def record(outcome: Outcome, seconds: float = 1.0, timings: Timings = STEPS) -> AccessRecord:
    made = AccessRecord("GET", "/w_1/a.jpg", outcome)
    made.status, made.seconds, made.timings = 200, seconds, timings
    return made


def seconds(span: Any) -> float:
    return float((span.end_time_unix_nano - span.start_time_unix_nano) / 1e9)


async def test_each_step_of_a_request_is_a_span(collector: Any) -> None:
    endpoint, spans = collector
    traces = Traces(endpoint, sample=1.0, version="1", chance=lambda: 0.5)
    traces.export(1000.0, record(Outcome.MISS), ID, "/w_1/a.jpg")
    traces.export(1000.0, record(Outcome.HIT, 0.001, Timings()), "", "/w_1/a.jpg")
    traces.export(1000.0, record(Outcome.MISS), "0" * 32, "/w_1/a.jpg")
    await asyncio.to_thread(traces.close)
    of_miss = [span for span in spans if span.trace_id.hex() == ID]
    assert len({span.trace_id for span in spans}) == 3
    root = next(span for span in of_miss if span.name == "GET")
    assert root.end_time_unix_nano == 1000 * 10**9
    assert {attribute.key: attribute.value.string_value for attribute in root.attributes}[
        "url.path"
    ] == "/w_1/a.jpg"
    children = [span for span in of_miss if span.parent_span_id == root.span_id]
    assert [span.name for span in children] == ["lookup", "fetch", "queue", "render"]
    assert [seconds(span) for span in children] == pytest.approx([0.1, 0.2, 0.1, 0.6])
    assert children[0].start_time_unix_nano == root.start_time_unix_nano
    assert sum(map(seconds, children)) == pytest.approx(seconds(root))
    assert [span.name for span in spans if span.trace_id.hex() not in (ID,)].count("lookup") == 2


async def test_requests_are_sampled_by_their_id(collector: Any) -> None:
    """So that who samples by the same rule in front has the same ones."""
    endpoint, spans = collector
    traces = Traces(endpoint, sample=0.25, version="1", chance=lambda: 0.9)
    for number in range(64):
        traces.export(1000.0, record(Outcome.HIT), f"{number * 4:02x}" + "0" * 29 + "1", "/")
        traces.export(1000.0, record(Outcome.HIT), "", "/")
    await asyncio.to_thread(traces.close)
    assert len({span.trace_id for span in spans}) == 16


async def test_an_unavailable_collector_does_not_block_closing() -> None:
    traces = Traces("http://127.0.0.1:9/v1/traces", sample=1.0, version="1", chance=lambda: 0.5)
    traces.export(1000.0, record(Outcome.HIT), ID, "/")
    async with asyncio.timeout(LONGEST_S):
        await asyncio.to_thread(traces.close)


def test_without_the_package_the_error_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(None, {"traces": {"endpoint": "http://127.0.0.1:9/v1/traces"}})
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigError, match=r"traces\.endpoint: .*calotype\[otel\]"):
        factory.traces(settings)


def test_without_an_endpoint_there_are_no_traces() -> None:
    assert factory.traces(load(None, {})) is None
