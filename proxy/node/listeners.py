"""What every process of a node is made of: its public and its admin listener, its access log, its end."""

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
TRACES_S = 1.0
NOTE_USE_S = 60.0
SPARE_DESCRIPTORS = 1024
MAX_HEADER_BYTES = 8190
MAX_LINE_BYTES = 65_536
BACKLOG = 1024
BEHIND = "it does not know yet what was purged meanwhile: redis.url cannot be reached"


def public_runner(
    settings: Settings,
    producer: Producer,
    memory: InstantTier,
    flights: Flights,
    metrics: PrometheusMetrics,
    access_log: AccessLog,
    log: structlog.typing.FilteringBoundLogger,
) -> tuple[ConnectionRunner, PublicHandler, Deliver]:
    """The public listener's half of a node, before whichever producer, the handler, which may adopt other rules, and
    what it remembers, which has to follow purges."""
    deliver = Deliver(memory, producer, flights, factory.clock)
    public = PublicHandler(
        deliver,
        rules=factory.rules(settings),
        redirects=settings.cache.bucket.delivery == "redirect",
        request_timeout_s=settings.server.request_timeout,
        me=factory.loop_token(settings),
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
        most_connections=most_connections(),
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
        "Clients beyond what the limit of descriptors allows.",
        lambda: server.turned_away,
    )
    # The last fifth of the drain is for what is still to be written behind the answers.
    close_grace_s = min(CLOSE_GRACE_S, drain_s / 10)
    runner = ConnectionRunner(
        server, public.stop, close_grace_s=close_grace_s, shutdown_timeout=drain_s * 0.8 - close_grace_s
    )
    return runner, public, deliver


def admin_runner(
    settings: Settings,
    registry: CollectorRegistry,
    gather: Callable[[], Awaitable[list[Slow]]],
    lacking: Callable[[], Awaitable[list[str]]],
    operator: CommandDispatcher,
    log: structlog.typing.FilteringBoundLogger,
) -> AdminAppRunner:
    """The admin listener's half of a node."""
    app = admin_app(
        auth=factory.auth(settings),
        spool=settings.disk_path() / "uploads",
        max_bytes=int(settings.limits.original_max_bytes),
        registry=registry,
        gather=gather,
        lacking=lacking,
        clock=factory.clock,
        operator=operator,
        log=log,
    )
    return AdminAppRunner(
        app,
        most_connections=most_connections(),
        access_log=None,
        shutdown_timeout=1.0,
        handler_cancellation=True,
        keepalive_timeout=KEEPALIVE_S,
        max_line_size=MAX_LINE_BYTES,
        max_field_size=MAX_HEADER_BYTES,
    )


def most_connections() -> int:
    """How many clients a process may have, so that enough descriptors are left for its work."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, most - min(SPARE_DESCRIPTORS, most // 2))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def leave() -> NoReturn:
    """Ends this process, all being done: a thread that hangs in a file system that hangs is not waited for."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


async def listen(runner: web.BaseRunner, sockets: Sequence[socket.socket]) -> None:
    """Sets `runner` up and has it accept on `sockets`, which it closes in the end."""
    await runner.setup()
    for one in sockets:
        await web.SockSite(runner, one, backlog=BACKLOG).start()


def access_log_of(
    settings: Settings, metrics: PrometheusMetrics, out: LogWriter, traces: Traces | None
) -> AccessLog:
    """The access log of a process that answers."""
    metrics.watch_count(
        "calotype_log_lines_dropped", "Lines of the log that nobody read in time.", lambda: out.dropped
    )
    are_written = settings.log.level in ("debug", "info")
    return AccessLog(metrics.registry, out, traces, are_written=are_written)


def built() -> tuple[str, str, Callable[[], Mapping[str, float]], str]:
    """What is running here, as a metric."""
    return (
        "calotype_build_info",
        "The version that is running.",
        lambda: {proxy.__version__: 1},
        "version",
    )


async def finish(traces: Traces | None) -> None:
    """Sends the traces that are left, but waits no longer for that than anybody likes to."""
    if traces is not None:
        with suppress(TimeoutError):
            async with asyncio.timeout(TRACES_S):
                await asyncio.to_thread(traces.close)


async def keep_noting(access_log: AccessLog, operator: CommandDispatcher) -> NoReturn:
    """Has it be known, now and then, what clients have asked for."""
    while True:
        await asyncio.sleep(NOTE_USE_S)
        with suppress(CalotypeError):
            await operator.execute(RecordUsage(frozenset(access_log.take_used_keys())))


async def first(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Whether `work` was done before somebody said stop."""
    tasks = [asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return tasks[0].done() and not stop.is_set()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def settle_memory() -> None:
    """What is here now stays for good, and a request makes few cycles: the collector may look far less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)


def warn(engine: Engine, log: structlog.typing.FilteringBoundLogger) -> None:
    """Says once what this machine does not give, and what the owner has left open."""
    if lacking := factory.unsandboxed(engine.hello):
        log.warning(lacking)
    for name, mount in engine.settings.named_mounts().items():
        if engine.settings.is_exposed(mount):
            log.warning(
                f"mounts.{name}.open: unsigned URLs may ask any size, so strangers can fill the cache"
            )
    if others := engine.records.instances.siblings():
        log.warning(
            "another start uses this cache directory too; set cache.disk.path, or --cache, unless it is to end soon",
            path=str(engine.settings.disk_path()),
            others=others,
        )
