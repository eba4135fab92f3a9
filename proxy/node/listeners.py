"""Parts of every process of a node: public and admin listener, access log, metrics, exit."""

import asyncio
import gc
import os
import resource
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry

import proxy
from proxy.config.settings import Settings
from proxy.core.admin.commands import RecordUsage
from proxy.core.errors import CalotypeError
from proxy.core.net.trusted_proxies import TrustedProxies
from proxy.edge.admin.app import admin_app
from proxy.edge.public.handler import PublicHandler
from proxy.edge.public.server import AdminAppRunner, ConnectionRunner, ConnectionServer
from proxy.local.tasks import Tasks
from proxy.node import factory
from proxy.node.engine import Engine
from proxy.ports.operations import CommandDispatcher, Producer
from proxy.ports.tiers import InstantTier
from proxy.service.request.deliver import Deliver
from proxy.service.request.singleflight import Flights
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.log_writer import LogWriter
from proxy.telemetry.metrics import PrometheusMetrics
from proxy.telemetry.slowest import Slow
from proxy.telemetry.traces import Traces

KEEPALIVE_S = 15.0
LINGER_S = 1.0
CLOSE_GRACE_S = 1.0
TRACES_TIMEOUT_S = 1.0
USAGE_INTERVAL_S = 60.0
SPARE_DESCRIPTORS = 1024
MAX_HEADER_BYTES = 8190
MAX_LINE_BYTES = 65_536
BACKLOG = 1024
NOT_CAUGHT_UP = "not all purges are known yet: redis.url cannot be reached"


def public_runner(
    settings: Settings,
    producer: Producer,
    memory: InstantTier,
    flights: Flights,
    metrics: PrometheusMetrics,
    access_log: AccessLog,
    log: structlog.typing.FilteringBoundLogger,
) -> tuple[ConnectionRunner, PublicHandler, Deliver]:
    """The public listener in front of `producer`: its runner, its handler, to which reloaded rules are given, and
    its `Deliver`, which has to subscribe to purges."""
    deliver = Deliver(memory, producer, flights, factory.clock)
    public = PublicHandler(
        deliver,
        rules=factory.rules(settings),
        redirects=settings.cache.bucket.delivery == "redirect",
        request_timeout_s=settings.server.request_timeout,
        node_id=factory.loop_token(settings),
        clock=factory.clock,
        wall=factory.wall,
        request_log=access_log,
        log=log,
    )
    drain_s = settings.server.drain
    server = ConnectionServer(
        public.handle,
        refuse=public.refused,
        trusted_proxies=TrustedProxies(settings.server.trusted_proxies),
        most_connections=max_connections(),
        handler_cancellation=True,
        access_log=None,
        keepalive_timeout=KEEPALIVE_S,
        lingering_time=LINGER_S,
        max_line_size=MAX_LINE_BYTES,
        max_field_size=MAX_HEADER_BYTES,
    )
    metrics.watch("calotype_connections", "Clients connected.", lambda: {"": len(server.connections)})
    metrics.watch_count(
        "calotype_connections_turned_away",
        "Clients rejected because of the limit of file descriptors.",
        lambda: server.rejected,
    )
    # The last fifth of the drain is left for pending writes to the tiers.
    close_grace_s = min(CLOSE_GRACE_S, drain_s / 10)
    runner = ConnectionRunner(
        server, public.stop, close_grace_s=close_grace_s, shutdown_timeout=drain_s * 0.8 - close_grace_s
    )
    return runner, public, deliver


def admin_runner(
    settings: Settings,
    registry: CollectorRegistry,
    gather: Callable[[], Awaitable[list[Slow]]],
    not_ready: Callable[[], Awaitable[list[str]]],
    dispatcher: CommandDispatcher,
    log: structlog.typing.FilteringBoundLogger,
) -> AdminAppRunner:
    """The runner of the admin listener."""
    app = admin_app(
        auth=factory.auth(settings),
        spool=settings.disk_path() / "uploads",
        max_bytes=int(settings.limits.original_max_bytes),
        registry=registry,
        gather=gather,
        not_ready=not_ready,
        clock=factory.clock,
        operator=dispatcher,
        log=log,
    )
    return AdminAppRunner(
        app,
        most_connections=max_connections(),
        access_log=None,
        shutdown_timeout=1.0,
        handler_cancellation=True,
        keepalive_timeout=KEEPALIVE_S,
        max_line_size=MAX_LINE_BYTES,
        max_field_size=MAX_HEADER_BYTES,
    )


def max_connections() -> int:
    """How many clients a process accepts. The rest of its file descriptors are left for its own work."""
    max_descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, max_descriptors - min(SPARE_DESCRIPTORS, max_descriptors // 2))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop factory of uvloop, if it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def exit_process() -> NoReturn:
    """Ends this process without waiting for threads: one may hang in a file system."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


async def listen(runner: web.BaseRunner, sockets: Sequence[socket.socket]) -> None:
    """Sets up `runner` and accepts on `sockets`. The runner closes the sockets."""
    await runner.setup()
    for one in sockets:
        await web.SockSite(runner, one, backlog=BACKLOG).start()


def access_log_of(
    settings: Settings, metrics: PrometheusMetrics, out: LogWriter, traces: Traces | None
) -> AccessLog:
    """The access log of a process with a public listener."""
    metrics.watch_count(
        "calotype_log_lines_dropped", "Log lines that were not read in time.", lambda: out.dropped
    )
    are_written = settings.log.level in ("debug", "info")
    return AccessLog(metrics.registry, out, traces, are_written=are_written)


def build_info() -> tuple[str, str, Callable[[], Mapping[str, float]], str]:
    """Arguments of `PrometheusMetrics.watch` for the version of this node."""
    return (
        "calotype_build_info",
        "The running version.",
        lambda: {proxy.__version__: 1},
        "version",
    )


async def close_traces(traces: Traces | None) -> None:
    """Sends the remaining traces; waits `TRACES_TIMEOUT_S` at most."""
    if traces is not None:
        with suppress(TimeoutError):
            async with asyncio.timeout(TRACES_TIMEOUT_S):
                await asyncio.to_thread(traces.close)


async def record_usage_periodically(access_log: AccessLog, dispatcher: CommandDispatcher) -> NoReturn:
    """Passes the keys of requested variants to `dispatcher` every `USAGE_INTERVAL_S`."""
    while True:
        await asyncio.sleep(USAGE_INTERVAL_S)
        with suppress(CalotypeError):
            await dispatcher.execute(RecordUsage(frozenset(access_log.take_used_keys())))


async def finished_before_stop(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Whether `work` finished before `stop` was set."""
    tasks = Tasks()
    working = tasks.start(work, "start")
    try:
        await asyncio.wait({working, tasks.start(stop.wait(), "stop")}, return_when=asyncio.FIRST_COMPLETED)
        return working.done() and not stop.is_set()
    finally:
        await tasks.close()


def tune_garbage_collector() -> None:
    """Freezes the start-up objects and raises the collector's thresholds: requests create few cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)


def log_start_warnings(engine: Engine, log: structlog.typing.FilteringBoundLogger) -> None:
    """Logs an incomplete sandbox, mounts with unsigned URLs of any size, and other instances on this disk."""
    if missing := factory.unsandboxed(engine.hello):
        log.warning(missing)
    for name, mount in engine.settings.named_mounts().items():
        if engine.settings.is_exposed(mount):
            log.warning(
                f"mounts.{name}.open: unsigned URLs may request any size, so any client can fill the cache"
            )
    if siblings := engine.node_state.instances.siblings():
        log.warning(
            "another node uses this cache directory; set cache.disk.path, or --cache, unless that node is about to stop",
            path=str(engine.settings.disk_path()),
            others=siblings,
        )
