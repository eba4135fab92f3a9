"""Composition root: a node's listeners before its engine, started and stopped in order.

What may start before what, and who must outlive whom, is told here; a node of several processes is put together of the
same halves in `supervisor`.
"""

import asyncio
import gc
import os
import resource
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, NoReturn

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry

import proxy
from proxy import parts, welcome
from proxy.config import Settings
from proxy.core.admin import AskedFor
from proxy.core.errors import CalotypeError
from proxy.core.hops import Hops
from proxy.edge.admin import admin_app
from proxy.edge.public import Public
from proxy.edge.server import QuietAppRunner, QuietRunner, QuietServer
from proxy.engine import Engine
from proxy.ports import InstantTier, Operator, Producer
from proxy.service.deliver import Deliver
from proxy.service.singleflight import Flights
from proxy.sockets import admin_sockets, public_sockets, url_of
from proxy.systemd import Systemd
from proxy.telemetry.ledger import RequestLedger
from proxy.telemetry.metrics import PrometheusMetrics
from proxy.telemetry.outlet import Outlet
from proxy.telemetry.slowest import Slow
from proxy.telemetry.traces import Traces
from proxy.telemetry.watchdog import Watchdog

KEEPALIVE_S = 15.0
LINGER_S = 1.0
LULL_S = 1.0
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
    ledger: RequestLedger,
    log: structlog.typing.FilteringBoundLogger,
) -> tuple[QuietRunner, Public, Deliver]:
    """The public listener's half of a node, before whichever producer, the handler, which may adopt other rules, and
    what it remembers, which has to follow purges."""
    deliver = Deliver(memory, producer, flights, parts.clock)
    public = Public(
        deliver,
        rules=parts.rules(settings),
        redirects=settings.cache.bucket.delivery == "redirect",
        request_timeout_s=settings.server.request_timeout,
        me=parts.loop_token(settings),
        clock=parts.clock,
        wall=parts.wall,
        ledger=ledger,
        log=log,
    )
    drain_s = settings.server.drain
    server = QuietServer(
        public.handle,
        refuse=public.refused,
        hops=Hops(settings.server.trusted_proxies),
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
    lull_s = min(LULL_S, drain_s / 10)
    runner = QuietRunner(server, public.stop, lull_s=lull_s, shutdown_timeout=drain_s * 0.8 - lull_s)
    return runner, public, deliver


def admin_runner(
    settings: Settings,
    registry: CollectorRegistry,
    gather: Callable[[], Awaitable[list[Slow]]],
    lacking: Callable[[], Awaitable[list[str]]],
    operator: Operator,
    log: structlog.typing.FilteringBoundLogger,
) -> QuietAppRunner:
    """The admin listener's half of a node."""
    app = admin_app(
        gate=parts.gate(settings),
        spool=settings.disk_path() / "uploads",
        max_bytes=int(settings.limits.original_max_bytes),
        registry=registry,
        gather=gather,
        lacking=lacking,
        clock=parts.clock,
        operator=operator,
        log=log,
    )
    return QuietAppRunner(
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


def ledger_of(
    settings: Settings, metrics: PrometheusMetrics, out: Outlet, traces: Traces | None
) -> RequestLedger:
    """The ledger of a process that answers."""
    metrics.watch_count(
        "calotype_log_lines_dropped", "Lines of the log that nobody read in time.", lambda: out.dropped
    )
    are_written = settings.log.level in ("debug", "info")
    return RequestLedger(metrics.registry, out, traces, are_written=are_written)


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


async def keep_noting(ledger: RequestLedger, operator: Operator) -> NoReturn:
    """Has it be known, now and then, what clients have asked for."""
    while True:
        await asyncio.sleep(NOTE_USE_S)
        with suppress(CalotypeError):
            await operator.do(AskedFor(frozenset(ledger.take_asked())))


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
    if lacking := parts.unsandboxed(engine.hello):
        log.warning(lacking)
    for name, mount in engine.settings.named_mounts().items():
        if engine.settings.is_exposed(mount):
            log.warning(
                f"mounts.{name}.open: unsigned URLs may ask any size, so strangers can fill the cache"
            )
    if others := engine.records.instances.others():
        log.warning(
            "another start uses this cache directory too; set cache.disk.path, or --cache, unless it is to end soon",
            path=str(engine.settings.disk_path()),
            others=others,
        )


class Node:
    """A node in one process: the engine behind its two listeners."""

    def __init__(
        self,
        settings: Settings,
        log: structlog.typing.FilteringBoundLogger,
        out: Outlet,
        systemd: Systemd,
    ) -> None:
        self.settings = settings
        self.log = log
        self.systemd = systemd
        self.metrics = PrometheusMetrics()
        self.metrics.watch(*built())
        self.traces = parts.traces(settings)
        self.ledger = ledger_of(settings, self.metrics, out, self.traces)
        self.lacks = "it is starting"
        self.public_url = ""
        self.admin_url = ""
        self.urls: list[str] = []
        """Of pictures that were found."""
        self.out = out
        self._adopt: Callable[[Settings], None] = lambda _: None

    def reload(self, settings: Settings) -> None:
        """Goes on with what of these `settings` may change while it runs."""
        self.settings = settings
        self._adopt(settings)

    async def run(self, stop: asyncio.Event, on_ready: Callable[[], None]) -> None:
        """Serves until `stop`, then drains. Raises ConfigError where it cannot start."""
        engine = Engine(self.settings, self.metrics, self.log, disk=self.settings.disk_path(), processes=1)
        async with engine:
            warn(engine, self.log)
            engine.watch(self.metrics)
            runner, public, deliver = public_runner(
                self.settings,
                engine.produce,
                engine.memory,
                engine.flights,
                self.metrics,
                self.ledger,
                self.log,
            )

            def adopt(settings: Settings) -> None:
                engine.adopt(settings)
                public.adopt(engine.rules)

            engine.purges.follow("", deliver)
            engine.warming.start(engine.caught_up)
            self._adopt = adopt
            adopt(self.settings)  # Which may have been read anew while the workers started.
            admin = self._admin(engine)
            async with AsyncExitStack() as stack:
                stack.enter_context(Watchdog(parts.clock, self.log, self.metrics.stalled))
                admin_at = self.systemd.sockets("admin") or admin_sockets(self.settings)
                self.admin_url = url_of(admin_at)
                stack.push_async_callback(admin.cleanup)
                await listen(admin, admin_at)
                self.lacks = BEHIND
                if not await first(engine.caught_up(), stop):
                    return
                public_at = self.systemd.sockets("public") or public_sockets(self.settings)
                self.public_url = url_of(public_at)
                stack.push_async_callback(runner.cleanup)
                await listen(runner, public_at)
                noting = asyncio.create_task(keep_noting(self.ledger, engine.operate), name="use")
                stack.callback(noting.cancel)
                settle_memory()
                self.lacks = ""
                self.urls = await welcome.found(self.settings, self.public_url, engine.operate)
                found = welcome.logged(self.urls, self.out)
                self.log.info("ready", public=self.public_url, admin=self.admin_url, **found)
                on_ready()
                await stop.wait()
                self.lacks = "it is stopping"
                engine.stop_by = engine.clock() + self.settings.server.drain
                self.log.info("draining", seconds=self.settings.server.drain)
            engine.note_use(self.ledger.take_asked())
        self.ledger.flush()
        await finish(self.traces)
        self.log.info("stopped")

    def _admin(self, engine: Engine) -> web.AppRunner:
        async def lacking() -> list[str]:
            workers = "" if engine.pool.alive else "no render process is up"
            return [lack for lack in (self.lacks, workers) if lack]

        async def gather() -> list[Slow]:
            return self.metrics.slowest.told()

        return admin_runner(self.settings, self.metrics.registry, gather, lacking, engine.operate, self.log)
