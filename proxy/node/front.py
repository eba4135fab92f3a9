"""A front of a node: answers requests from its memory or through a producer, the back in this process or in another
one.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NoReturn

import structlog

from proxy.config.settings import Settings
from proxy.core.admin.commands import RecordUsage
from proxy.core.errors import CalotypeError
from proxy.edge.public.handler import PublicHandler
from proxy.local.tasks import Tasks
from proxy.node import factory
from proxy.node.listeners import listen, public_runner
from proxy.node.pages import public_pages
from proxy.ports.operations import CommandDispatcher, Producer
from proxy.ports.tiers import InstantTier
from proxy.service.request.deliver import Deliver
from proxy.service.request.singleflight import Flights
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.log_writer import LogWriter
from proxy.telemetry.metrics import PrometheusMetrics

TRACES_TIMEOUT_S = 1.0
USAGE_INTERVAL_S = 60.0
USAGE_TIMEOUT_S = 0.5
"""How long a stop waits until the dispatcher has the usage records."""


class Front:
    """The public listener with its access log and traces. `deliver` has to subscribe to purges before `serve`."""

    def __init__(
        self,
        settings: Settings,
        producer: Producer,
        dispatcher: CommandDispatcher,
        memory: InstantTier,
        flights: Flights,
        metrics: PrometheusMetrics,
        log: structlog.typing.FilteringBoundLogger,
        out: LogWriter,
    ) -> None:
        """`dispatcher` gets the usage records. Raises ConfigError."""
        self._dispatcher = dispatcher
        self._traces = factory.traces(settings)
        metrics.watch_count(
            "calotype_log_lines_dropped", "Log lines that were not read in time.", lambda: out.dropped
        )
        are_written = settings.log.level in ("debug", "info")
        self.access_log = AccessLog(
            metrics.registry, out, self._traces, last_errors=metrics.last_errors, are_written=are_written
        )
        self.deliver = Deliver(memory, producer, flights, factory.clock)
        self._upstream = factory.upstream(settings)
        metrics.watch(
            "calotype_upstream_requests",
            "Requests that an upstream is answering.",
            lambda: {"": self._upstream.running},
        )
        self._handler = PublicHandler(
            self.deliver,
            self._upstream,
            rules=factory.rules(settings),
            redirects=settings.cache.bucket.delivery == "redirect",
            request_timeout_s=settings.server.request_timeout,
            node_id=factory.loop_token(settings),
            clock=factory.clock,
            wall=factory.wall,
            request_log=self.access_log,
            pages=public_pages(settings),
            log=log,
        )
        self._runner = public_runner(settings, self._handler, metrics)

    def reload(self, settings: Settings) -> None:
        """Applies those of `settings` that can change at run time."""
        self._handler.reload(factory.rules(settings))
        self._upstream.max_bytes = int(settings.limits.upstream_max_bytes)

    @asynccontextmanager
    async def serve(self, sockets: Sequence[socket.socket]) -> AsyncIterator[None]:
        """Answers requests on `sockets` while the context is open, then drains. Closes the sockets."""
        tasks = Tasks()
        tasks.start(self._record_usage_periodically(), "usage")
        try:
            await listen(self._runner, sockets)
            yield
        finally:
            await tasks.close()
            await self._runner.cleanup()
            await self._upstream.close()
            self.access_log.flush()
            with suppress(TimeoutError):
                async with asyncio.timeout(USAGE_TIMEOUT_S):
                    await self._record_usage()
            if self._traces is not None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(TRACES_TIMEOUT_S):
                        await asyncio.to_thread(self._traces.close)

    async def _record_usage_periodically(self) -> NoReturn:
        while True:
            await asyncio.sleep(USAGE_INTERVAL_S)
            await self._record_usage()

    async def _record_usage(self) -> None:
        """Passes the keys of the requested variants on."""
        with suppress(CalotypeError):
            await self._dispatcher.execute(RecordUsage(frozenset(self.access_log.take_used_keys())))
