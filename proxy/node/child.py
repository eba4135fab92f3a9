"""A process of a node with several: a front, which answers requests, or the back, which renders. `supervisor` starts
it and controls it over a socket; when the socket closes, the process ends at once.
"""

import asyncio
import os
import resource
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal, NamedTuple, NoReturn

import structlog
from prometheus_client.metrics_core import Metric

from proxy.config.errors import ConfigError
from proxy.config.settings import Settings
from proxy.core.admin.commands import RecordUsage
from proxy.core.errors import CalotypeError, WorkerDied
from proxy.ipc.channel import Channel, Closed
from proxy.ipc.producer_client import ProducerClient
from proxy.ipc.producer_server import ProducerServer
from proxy.local.tasks import Tasks
from proxy.node import factory
from proxy.node.engine import Engine, watch_tiers
from proxy.node.listeners import (
    access_log_of,
    close_traces,
    exit_process,
    listen,
    log_start_warnings,
    loop_factory,
    public_runner,
    record_usage_periodically,
    tune_garbage_collector,
)
from proxy.service.request.singleflight import Flights
from proxy.telemetry.event_log import open_log
from proxy.telemetry.log_writer import LogWriter
from proxy.telemetry.loop_monitor import LoopMonitor
from proxy.telemetry.metrics import PrometheusMetrics
from proxy.telemetry.slowest import Slow

MAX_CONNECTIONS = 512
RETIRE_TIMEOUT_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The first message to a process. The descriptors beside it are its listening sockets; a front gets the
    descriptor of the back's socket before them. `memory_share` is the number of processes that divide the memory
    tier. `followed` tells a replaced back that fronts are running, which must subscribe before a purge is complete."""

    name: str
    role: Literal["front", "back"]
    settings: Settings
    memory_share: int
    followed: bool = False


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

    ready: bool
    caught_up: bool
    metrics: list[Metric]
    slowest: list[Slow]


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
    role = _front if setup.role == "front" else _back
    try:
        async with role(setup, descriptors, log, out) as handle:
            tune_garbage_collector()
            handle.stop(await _obey_supervisor(channel, handle))
    except (ConfigError, WorkerDied) as failure:
        reason = failure.detail if isinstance(failure, WorkerDied) else str(failure)
        try:
            await channel.send(StartFailed(reason))
        except Closed:
            log.error("cannot start", reason=reason)
    finally:
        out.close()


async def _obey_supervisor(channel: Channel, handle: "ProcessHandle") -> float:
    """Answers the supervisor until `Stop`; returns its deadline. Exits at once if the supervisor is gone."""

    def report() -> Report:
        return Report(
            handle.ready(),
            handle.caught_up(),
            list(handle.metrics.registry.collect()),
            handle.metrics.slowest.top(),
        )

    try:
        await channel.send(report())
        while True:
            match (await channel.receive()).value:
                case Stop(by):
                    return by
                case ReportRequest():
                    await channel.send(report())
                case Reload(settings):
                    handle.reload(settings)
    except Closed:
        os._exit(1)


def socket_path(descriptor: int) -> str:
    """The path to connect to a socket whose file was opened with O_PATH as `descriptor` and then removed."""
    return f"/proc/self/fd/{descriptor}"


class ProcessHandle(NamedTuple):
    """What the supervisor controls in either role. `stop` gets the deadline of the drain."""

    metrics: PrometheusMetrics
    reload: Callable[[Settings], None]
    ready: Callable[[], bool] = lambda: True
    stop: Callable[[float], None] = lambda _: None
    caught_up: Callable[[], bool] = lambda: True


Role = AsyncIterator[ProcessHandle]


def _connections(fronts: int) -> int:
    """The connections of a front to the back: all fronts use at most a quarter of the back's descriptors."""
    max_descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(8, min(MAX_CONNECTIONS, max_descriptors // (4 * fronts)))


@asynccontextmanager
async def _front(
    setup: Setup, descriptors: list[int], log: structlog.typing.FilteringBoundLogger, out: LogWriter
) -> Role:
    settings = setup.settings
    socket_descriptor, *listening = descriptors
    metrics = PrometheusMetrics(setup.name)
    traces = factory.traces(settings)
    access_log = access_log_of(settings, metrics, out, traces)
    memory = factory.memory(settings, share=setup.memory_share)
    watch_tiers(metrics, {memory.name: memory.usage})
    producer = ProducerClient(
        socket_path(socket_descriptor),
        connections=_connections(settings.server.processes),
        clock=factory.clock,
    )
    flights = Flights()
    runner, public, deliver = public_runner(settings, producer, memory, flights, metrics, access_log, log)
    tasks = Tasks()
    tasks.start(producer.subscribe(setup.name, deliver.invalidate), "purges")
    tasks.start(record_usage_periodically(access_log, producer), "usage")
    try:
        await listen(runner, [socket.socket(fileno=descriptor) for descriptor in listening])
        with LoopMonitor(factory.clock, log, metrics.stalled):
            yield ProcessHandle(metrics, lambda settings: public.reload(factory.rules(settings)))
    finally:
        await runner.cleanup()
        await tasks.close()
        with suppress(CalotypeError, TimeoutError):
            async with asyncio.timeout(RETIRE_TIMEOUT_S):
                await producer.retire(setup.name, deadline=factory.clock() + RETIRE_TIMEOUT_S)
                await producer.execute(RecordUsage(frozenset(access_log.take_used_keys())))
        await flights.close()
        producer.close()
        access_log.flush()
        await close_traces(traces)


@asynccontextmanager
async def _back(
    setup: Setup, descriptors: list[int], log: structlog.typing.FilteringBoundLogger, _: LogWriter
) -> Role:
    settings = setup.settings
    listener = socket.socket(fileno=descriptors[0])
    metrics = PrometheusMetrics(setup.name)
    engine = Engine(
        settings,
        metrics,
        log,
        disk=settings.disk_path(),
        memory_share=setup.memory_share,
        processes=settings.server.processes,
        followed=setup.followed,
    )
    engine.watch(metrics)

    def stop(by: float) -> None:
        engine.stop_deadline = by

    async with engine:
        log_start_warnings(engine, log)
        server = ProducerServer(listener, engine.produce, engine.dispatch, engine.subscribers, log)
        server.start()
        engine.pregeneration.start(engine.caught_up)
        try:
            with LoopMonitor(factory.clock, log, metrics.stalled):
                yield ProcessHandle(
                    metrics, engine.reload, lambda: engine.pool.alive > 0, stop, engine.is_caught_up
                )
        finally:
            await server.close()
