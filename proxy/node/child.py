"""A process of a node with several: a front, which answers requests, or the back, which renders. `supervisor` starts
it and controls it over a socket; when the socket closes, the process ends at once.
"""

import asyncio
import os
import resource
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal, NoReturn

import structlog
from prometheus_client.metrics_core import Metric

from proxy.config.errors import ConfigError
from proxy.config.settings import Settings
from proxy.core.cache.generations import PurgeScope
from proxy.core.cache.keys import CacheKey
from proxy.core.errors import CalotypeError, WorkerDied
from proxy.ipc.channel import Channel, Closed
from proxy.ipc.producer_client import ProducerClient
from proxy.ipc.producer_server import ProducerServer
from proxy.local.process import Process
from proxy.local.tasks import Tasks
from proxy.node import factory
from proxy.node.back import Back, open_back, watch_tiers
from proxy.node.front import Front
from proxy.node.readiness import MissingParts
from proxy.node.runtime import exit_process, loop_factory, tune_garbage_collector
from proxy.service.request.singleflight import Flights
from proxy.telemetry.event_log import open_log
from proxy.telemetry.log_writer import LogWriter
from proxy.telemetry.loop_monitor import LoopMonitor
from proxy.telemetry.metrics import PrometheusMetrics
from proxy.telemetry.recent import Recent

MAX_CONNECTIONS = 512
RETIRE_TIMEOUT_S = 0.5
SUBSCRIBE_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The first message to a process. The descriptors beside it are its listening sockets; a front gets the
    descriptor of the back's socket before them, the first back the socket of the worker `first_worker`, a process ID,
    behind them. `expects_subscribers` tells a replaced back that fronts are running."""

    name: str
    role: Literal["front", "back"]
    settings: Settings
    expects_subscribers: bool = False
    first_worker: int | None = None


@dataclass(frozen=True, slots=True)
class StartFailed:
    """The process cannot start; `reason` is for the operator."""

    reason: str


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """Asks for a report. The next is sent when this one has been answered."""


@dataclass(frozen=True, slots=True)
class Report:
    """The answer to a ReportRequest; also sent unasked once the process is ready."""

    missing: MissingParts
    metrics: list[Metric]
    recent: Recent


@dataclass(frozen=True, slots=True)
class Reload:
    """Apply those of `settings` that can change at run time."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class Stop:
    """Drain until `deadline`, a point on the monotonic clock."""

    deadline: float


def run(descriptor: int) -> NoReturn:
    """Runs the role of the `Setup` that arrives on the socket `descriptor`, until `Stop`."""
    # The supervisor decides when and in which order processes stop, also when a signal is sent to the whole group.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    os.set_inheritable(descriptor, False)
    channel = Channel(socket.socket(fileno=descriptor))
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_run(channel))
    exit_process()


async def _run(channel: Channel) -> None:
    try:
        setup, descriptors = await channel.receive()
    except Closed:
        return
    out = LogWriter(form=setup.settings.log.format)
    log = open_log(out, setup.settings.log.level)
    metrics = PrometheusMetrics(setup.name)
    try:
        async with (
            _front(setup, descriptors, metrics, log, out)
            if setup.role == "front"
            else _back(setup, descriptors, metrics, log)
        ) as half:
            tune_garbage_collector()
            with LoopMonitor(factory.clock, log, metrics.stalled):
                stop_deadline = await _obey_supervisor(channel, half, metrics)
            if isinstance(half, Back):
                half.path.stop_deadline = stop_deadline
    except (ConfigError, WorkerDied) as failure:
        reason = failure.detail if isinstance(failure, WorkerDied) else str(failure)
        try:
            await channel.send(StartFailed(reason))
        except Closed:
            log.error("cannot start", reason=reason)
    finally:
        out.close()


async def _obey_supervisor(channel: Channel, half: Front | Back, metrics: PrometheusMetrics) -> float:
    """Answers the supervisor until `Stop`; returns its deadline. Exits at once if the supervisor is gone."""

    def report() -> Report:
        missing = half.missing() if isinstance(half, Back) else MissingParts.NOTHING
        return Report(missing, list(metrics.registry.collect()), metrics.recent())

    try:
        await channel.send(report())
        while True:
            match (await channel.receive()).value:
                case Stop(by):
                    return by
                case ReportRequest():
                    await channel.send(report())
                case Reload(settings):
                    half.reload(settings)
    except Closed:
        os._exit(1)


def socket_path(descriptor: int) -> str:
    """The path to connect to a socket whose file was opened with O_PATH as `descriptor` and then removed."""
    return f"/proc/self/fd/{descriptor}"


def _connections(fronts: int) -> int:
    """The connections of a front to the back: all fronts use at most a quarter of the back's descriptors."""
    max_descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(8, min(MAX_CONNECTIONS, max_descriptors // (4 * fronts)))


@asynccontextmanager
async def _front(
    setup: Setup,
    descriptors: list[int],
    metrics: PrometheusMetrics,
    log: structlog.typing.FilteringBoundLogger,
    out: LogWriter,
) -> AsyncIterator[Front]:
    settings = setup.settings
    socket_descriptor, *listening = descriptors
    memory = factory.memory(settings)
    watch_tiers(metrics, {memory.name: memory.usage})
    producer = ProducerClient(
        socket_path(socket_descriptor),
        connections=_connections(settings.server.processes),
        clock=factory.clock,
    )
    flights = Flights()
    front = Front(settings, producer, producer, memory, flights, metrics, log, out)
    subscribed = asyncio.Event()

    async def invalidate(scopes: Sequence[PurgeScope] | None, keys: Sequence[CacheKey]) -> int:
        subscribed.set()
        return await front.deliver.invalidate(scopes, keys)

    tasks = Tasks()
    tasks.start(producer.subscribe(setup.name, invalidate), "purges")
    try:
        # A purge does not wait for a front that has not subscribed. Without a back this front has nothing to serve.
        with suppress(TimeoutError):
            await asyncio.wait_for(subscribed.wait(), SUBSCRIBE_TIMEOUT_S)
        async with front.serve([socket.socket(fileno=descriptor) for descriptor in listening]):
            yield front
    finally:
        await tasks.close()
        with suppress(CalotypeError):
            await producer.retire(setup.name, deadline=factory.clock() + RETIRE_TIMEOUT_S)
        await flights.close()
        producer.close()


@asynccontextmanager
async def _back(
    setup: Setup,
    descriptors: list[int],
    metrics: PrometheusMetrics,
    log: structlog.typing.FilteringBoundLogger,
) -> AsyncIterator[Back]:
    listener, *channels = (socket.socket(fileno=descriptor) for descriptor in descriptors)
    first_worker = None
    if setup.first_worker is not None:
        first_worker = Process(setup.first_worker, channels[0])
    async with open_back(
        setup.settings, metrics, log, first_worker, expects_subscribers=setup.expects_subscribers
    ) as back:
        server = ProducerServer(listener, back.path.produce, back.dispatch, back.path.subscribers, log)
        server.start()
        try:
            yield back
        finally:
            await server.close()
