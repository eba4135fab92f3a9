"""A node of one process: a back, and a front that calls it directly. `supervisor` composes a node of several
processes from the same halves.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import structlog

from proxy.config.settings import Settings
from proxy.local.process import Process
from proxy.local.tasks import Tasks
from proxy.node import factory
from proxy.node.back import Back, open_back
from proxy.node.front import Front
from proxy.node.listeners import admin_listener
from proxy.node.readiness import Phase, reasons
from proxy.node.runtime import tune_garbage_collector, watch_version
from proxy.node.sockets import public_sockets, url_of
from proxy.node.systemd import Systemd
from proxy.ports.operations import CommandDispatcher
from proxy.telemetry.log_writer import LogWriter
from proxy.telemetry.loop_monitor import LoopMonitor
from proxy.telemetry.metrics import PrometheusMetrics
from proxy.telemetry.recent import Recent


@dataclass(slots=True, eq=False)
class SingleProcessNode:
    """A node in one process."""

    settings: Settings
    log: structlog.typing.FilteringBoundLogger
    out: LogWriter
    systemd: Systemd
    first_worker: Process | None = None
    metrics: PrometheusMetrics = field(default_factory=PrometheusMetrics)
    phase: Phase = Phase.STARTING
    public_url: str = ""
    admin_url: str = ""
    halves: list[Back | Front] = field(default_factory=list)

    def __post_init__(self) -> None:
        watch_version(self.metrics)

    def reload(self, settings: Settings) -> None:
        """Applies those of `settings` that can change at run time."""
        self.settings = settings
        for half in self.halves:
            half.reload(settings)

    async def run(
        self, stop: asyncio.Event, on_ready: Callable[[CommandDispatcher], Awaitable[None]]
    ) -> None:
        """Serves until `stop` is set, then drains. Raises ConfigError if the node cannot start."""
        async with AsyncExitStack() as stack:
            back = await stack.enter_async_context(
                open_back(self.settings, self.metrics, self.log, self.first_worker)
            )
            path, dispatch = back.path, back.dispatch
            front = Front(
                self.settings,
                path.produce,
                dispatch,
                path.memory,
                path.flights,
                self.metrics,
                self.log,
                self.out,
            )
            tasks = Tasks()
            stack.push_async_callback(tasks.close)
            tasks.start(path.subscribers.subscribe("", front.deliver), "purges")
            self.halves = [back, front]
            self.reload(self.settings)  # A reload may have happened while the workers started.
            stack.enter_context(LoopMonitor(factory.clock, self.log, self.metrics.stalled))

            async def not_ready() -> list[str]:
                return reasons(self.phase, {"back": back.missing()})

            async def gather() -> Recent:
                front.access_log.flush()
                return self.metrics.recent()

            admin = admin_listener(
                lambda: self.settings,
                self.systemd,
                self.metrics.registry,
                gather,
                not_ready,
                dispatch,
                self.log,
            )
            self.admin_url = await stack.enter_async_context(admin)
            if not await _finished_before_stop(back.caught_up(), stop):
                return
            public_listeners = self.systemd.sockets("public") or public_sockets(self.settings)
            self.public_url = url_of(public_listeners)
            await stack.enter_async_context(front.serve(public_listeners))
            tune_garbage_collector()
            self.phase = Phase.SERVING
            await on_ready(dispatch)
            await stop.wait()
            self.phase = Phase.STOPPING
            path.stop_deadline = factory.clock() + self.settings.server.drain
            self.log.info("draining", seconds=self.settings.server.drain)
        self.log.info("stopped")


async def _finished_before_stop(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Whether `work` finished before `stop` was set."""
    tasks = Tasks()
    working = tasks.start(work, "start")
    try:
        await asyncio.wait({working, tasks.start(stop.wait(), "stop")}, return_when=asyncio.FIRST_COMPLETED)
        return working.done() and not stop.is_set()
    finally:
        await tasks.close()
