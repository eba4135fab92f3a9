"""A node of one process: `run` starts and stops engine and listeners in order. `supervisor` composes a node of
several processes from the same parts.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import structlog
from aiohttp import web

from proxy.config.settings import Settings
from proxy.local.tasks import Tasks
from proxy.node import factory, welcome
from proxy.node.engine import Engine
from proxy.node.listeners import (
    NOT_CAUGHT_UP,
    access_log_of,
    admin_runner,
    build_info,
    close_traces,
    finished_before_stop,
    listen,
    log_start_warnings,
    public_runner,
    record_usage_periodically,
    tune_garbage_collector,
)
from proxy.node.sockets import admin_sockets, public_sockets, url_of
from proxy.node.systemd import Systemd
from proxy.telemetry.log_writer import LogWriter
from proxy.telemetry.loop_monitor import LoopMonitor
from proxy.telemetry.metrics import PrometheusMetrics
from proxy.telemetry.slowest import Slow


class SingleProcessNode:
    """A node in one process: an engine and its two listeners."""

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
        self.metrics.watch(*build_info())
        self.traces = factory.traces(settings)
        self.access_log = access_log_of(settings, self.metrics, out, self.traces)
        self.not_ready = "it is starting"
        self.public_url = ""
        self.admin_url = ""
        self.urls: list[str] = []
        """Example URLs of pictures in the sources."""
        self.out = out
        self._reload: Callable[[Settings], None] = lambda _: None

    def reload(self, settings: Settings) -> None:
        """Applies those of `settings` that can change at run time."""
        self.settings = settings
        self._reload(settings)

    async def run(self, stop: asyncio.Event, on_ready: Callable[[], None]) -> None:
        """Serves until `stop` is set, then drains. Raises ConfigError if the node cannot start."""
        engine = Engine(self.settings, self.metrics, self.log, disk=self.settings.disk_path(), processes=1)
        async with engine:
            log_start_warnings(engine, self.log)
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

            def reload(settings: Settings) -> None:
                engine.reload(settings)
                public.reload(engine.rules)

            engine.pregeneration.start(engine.caught_up)
            self._reload = reload
            reload(self.settings)  # A reload may have happened while the workers started.
            admin = self._admin(engine)
            async with AsyncExitStack() as stack:
                tasks = Tasks()
                stack.push_async_callback(tasks.close)
                tasks.start(engine.subscribers.subscribe("", deliver), "purges")
                stack.enter_context(LoopMonitor(factory.clock, self.log, self.metrics.stalled))
                admin_listeners = self.systemd.sockets("admin") or admin_sockets(self.settings)
                self.admin_url = url_of(admin_listeners)
                stack.push_async_callback(admin.cleanup)
                await listen(admin, admin_listeners)
                self.not_ready = NOT_CAUGHT_UP
                if not await finished_before_stop(engine.caught_up(), stop):
                    return
                public_listeners = self.systemd.sockets("public") or public_sockets(self.settings)
                self.public_url = url_of(public_listeners)
                stack.push_async_callback(runner.cleanup)
                await listen(runner, public_listeners)
                tasks.start(record_usage_periodically(self.access_log, engine.dispatch), "usage")
                tune_garbage_collector()
                self.not_ready = ""
                self.urls = await welcome.example_urls(self.settings, self.public_url, engine.dispatch)
                example_fields = welcome.log_fields(self.urls, self.out)
                self.log.info("ready", public=self.public_url, admin=self.admin_url, **example_fields)
                on_ready()
                await stop.wait()
                self.not_ready = "it is stopping"
                engine.stop_deadline = engine.clock() + self.settings.server.drain
                self.log.info("draining", seconds=self.settings.server.drain)
            engine.record_usage(self.access_log.take_used_keys())
        self.access_log.flush()
        await close_traces(self.traces)
        self.log.info("stopped")

    def _admin(self, engine: Engine) -> web.AppRunner:
        async def not_ready() -> list[str]:
            workers = "" if engine.pool.alive else "no render process is up"
            return [reason for reason in (self.not_ready, workers) if reason]

        async def gather() -> list[Slow]:
            return self.metrics.slowest.top()

        return admin_runner(
            self.settings, self.metrics.registry, gather, not_ready, engine.dispatch, self.log
        )
