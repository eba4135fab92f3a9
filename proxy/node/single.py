"""A node of one process: its listeners before its engine, started and stopped in order.

What may start before what, and what must outlive what, is told here; a node of several processes is put together of the same
parts in `supervisor`.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import structlog
from aiohttp import web

from proxy.config.settings import Settings
from proxy.node import factory, welcome
from proxy.node.engine import Engine
from proxy.node.listeners import (
    BEHIND,
    access_log_of,
    admin_runner,
    built,
    finish,
    first,
    keep_noting,
    listen,
    public_runner,
    settle_memory,
    warn,
)
from proxy.node.sockets import admin_sockets, public_sockets, url_of
from proxy.node.systemd import Systemd
from proxy.telemetry.log_writer import LogWriter
from proxy.telemetry.loop_monitor import LoopMonitor
from proxy.telemetry.metrics import PrometheusMetrics
from proxy.telemetry.slowest import Slow


class SingleProcessNode:
    """A node in one process: the engine behind its two listeners."""

    def __init__(
        self,
        settings: Settings,
        log: structlog.typing.FilteringBoundLogger,
        out: LogWriter,
        systemd: Systemd,
    ) -> None:
        self.settings = settings
        self.log = log
        self.systemd = systemd
        self.metrics = PrometheusMetrics()
        self.metrics.watch(*built())
        self.traces = factory.traces(settings)
        self.access_log = access_log_of(settings, self.metrics, out, self.traces)
        self.not_ready = "it is starting"
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
                self.access_log,
                self.log,
            )

            def adopt(settings: Settings) -> None:
                engine.adopt(settings)
                public.adopt(engine.rules)

            engine.purges.subscribe("", deliver)
            engine.pregeneration.start(engine.caught_up)
            self._adopt = adopt
            adopt(self.settings)  # Which may have been read anew while the workers started.
            admin = self._admin(engine)
            async with AsyncExitStack() as stack:
                stack.enter_context(LoopMonitor(factory.clock, self.log, self.metrics.stalled))
                admin_at = self.systemd.sockets("admin") or admin_sockets(self.settings)
                self.admin_url = url_of(admin_at)
                stack.push_async_callback(admin.cleanup)
                await listen(admin, admin_at)
                self.not_ready = BEHIND
                if not await first(engine.caught_up(), stop):
                    return
                public_at = self.systemd.sockets("public") or public_sockets(self.settings)
                self.public_url = url_of(public_at)
                stack.push_async_callback(runner.cleanup)
                await listen(runner, public_at)
                noting = asyncio.create_task(keep_noting(self.access_log, engine.dispatch), name="use")
                stack.callback(noting.cancel)
                settle_memory()
                self.not_ready = ""
                self.urls = await welcome.found(self.settings, self.public_url, engine.dispatch)
                found = welcome.logged(self.urls, self.out)
                self.log.info("ready", public=self.public_url, admin=self.admin_url, **found)
                on_ready()
                await stop.wait()
                self.not_ready = "it is stopping"
                engine.stop_by = engine.clock() + self.settings.server.drain
                self.log.info("draining", seconds=self.settings.server.drain)
            engine.note_use(self.access_log.take_used_keys())
        self.access_log.flush()
        await finish(self.traces)
        self.log.info("stopped")

    def _admin(self, engine: Engine) -> web.AppRunner:
        async def lacking() -> list[str]:
            workers = "" if engine.pool.alive else "no render process is up"
            return [lack for lack in (self.not_ready, workers) if lack]

        async def gather() -> list[Slow]:
            return self.metrics.slowest.top()

        return admin_runner(self.settings, self.metrics.registry, gather, lacking, engine.dispatch, self.log)
