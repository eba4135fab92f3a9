"""A process of a node that has several: a front, which answers, or the back, which produces. Started by `supervisor`.

All that it is told comes over a socket, whose end is the process's end at once.
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
from proxy.node import factory
from proxy.node.engine import Engine, watch_tiers
from proxy.node.listeners import (
    access_log_of,
    finish,
    keep_noting,
    leave,
    listen,
    loop_factory,
    public_runner,
    settle_memory,
    warn,
)
from proxy.service.request.singleflight import Flights
from proxy.telemetry.event_log import open_log
from proxy.telemetry.log_writer import LogWriter
from proxy.telemetry.loop_monitor import LoopMonitor
from proxy.telemetry.metrics import PrometheusMetrics
from proxy.telemetry.slowest import Slow

MOST_CONNECTIONS = 512
NOTE_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a process is told first. The descriptors beside it are what it listens on, and before them, for a front,
    the place of the relay. `memory_share` is how many processes divide the node's memory tier; `followed` tells a back
    that there are fronts already, which the one before it has told what they believe."""

    name: str
    role: Literal["front", "back"]
    settings: Settings
    memory_share: int
    followed: bool = False


@dataclass(frozen=True, slots=True)
class StartFailed:
    """The process cannot start, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ask:
    """For a report; the next is asked for when this one has come."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a process says when asked, and unasked once it is ready."""

    ready: bool
    caught_up: bool
    metrics: list[Metric]
    slowest: list[Slow]


@dataclass(frozen=True, slots=True)
class Reload:
    """Go on with what of these settings may change."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class Stop:
    """Finish what is under way until `by`, a point on the Clock."""

    by: float


def run(descriptor: int) -> NoReturn:
    """Is what it is told over the socket of that number, until it is told to stop."""
    # The supervisor says when to stop, and in which order, whoever else has signals sent to all.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    os.set_inheritable(descriptor, False)
    channel = Channel(socket.socket(fileno=descriptor))
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_run(channel))
    leave()


async def _run(channel: Channel) -> None:
    try:
        setup, descriptors = await channel.receive()
    except Closed:
        return
    out = LogWriter(form=setup.settings.log.format)
    log = open_log(out, setup.settings.log.level)
    role = _front if setup.role == "front" else _back
    try:
        async with role(setup, descriptors, log, out) as half:
            settle_memory()
            half.stop(await _attend(channel, half))
    except (ConfigError, WorkerDied) as failure:
        reason = failure.detail if isinstance(failure, WorkerDied) else str(failure)
        try:
            await channel.send(StartFailed(reason))
        except Closed:
            log.error("cannot start", reason=reason)
    finally:
        out.close()


async def _attend(channel: Channel, half: "ProcessHandle") -> float:
    """Answers the supervisor until it says stop; returns by when to be done. Where the supervisor is gone, so is this
    process, with all that is under way."""

    def report() -> Report:
        return Report(
            half.ready(), half.caught_up(), list(half.metrics.registry.collect()), half.metrics.slowest.top()
        )

    try:
        await channel.send(report())
        while True:
            match (await channel.receive()).value:
                case Stop(by):
                    return by
                case Ask():
                    await channel.send(report())
                case Reload(settings):
                    half.adopt(settings)
    except Closed:
        os._exit(1)


def path_of(place: int) -> str:
    """Where to connect to a socket whose place, opened with O_PATH, has no name any more."""
    return f"/proc/self/fd/{place}"


class ProcessHandle(NamedTuple):
    """What the supervisor reaches of either role. `stop` is told by when to be done."""

    metrics: PrometheusMetrics
    adopt: Callable[[Settings], None]
    ready: Callable[[], bool] = lambda: True
    stop: Callable[[float], None] = lambda _: None
    caught_up: Callable[[], bool] = lambda: True


Role = AsyncIterator[ProcessHandle]


def _connections(fronts: int) -> int:
    """To the back, which has each of them too: all fronts together may take a quarter of its descriptors."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(8, min(MOST_CONNECTIONS, most // (4 * fronts)))


@asynccontextmanager
async def _front(
    setup: Setup, descriptors: list[int], log: structlog.typing.FilteringBoundLogger, out: LogWriter
) -> Role:
    settings = setup.settings
    place, *listening = descriptors
    metrics = PrometheusMetrics(setup.name)
    traces = factory.traces(settings)
    access_log = access_log_of(settings, metrics, out, traces)
    memory = factory.memory(settings, share=setup.memory_share)
    watch_tiers(metrics, {memory.name: memory.usage})
    relay = ProducerClient(
        path_of(place), connections=_connections(settings.server.processes), clock=factory.clock
    )
    flights = Flights()
    runner, public, deliver = public_runner(settings, relay, memory, flights, metrics, access_log, log)
    tasks = [
        asyncio.create_task(relay.subscribe(setup.name, deliver.invalidate), name="purges"),
        asyncio.create_task(keep_noting(access_log, relay), name="use"),
    ]
    try:
        await listen(runner, [socket.socket(fileno=descriptor) for descriptor in listening])
        with LoopMonitor(factory.clock, log, metrics.stalled):
            yield ProcessHandle(metrics, lambda settings: public.adopt(factory.rules(settings)))
    finally:
        await runner.cleanup()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(CalotypeError, TimeoutError):
            async with asyncio.timeout(NOTE_S):
                await relay.retire(setup.name, deadline=factory.clock() + NOTE_S)
                await relay.execute(RecordUsage(frozenset(access_log.take_used_keys())))
        await flights.close()
        relay.close()
        access_log.flush()
        await finish(traces)


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
        engine.stop_by = by

    async with engine:
        warn(engine, log)
        relay = ProducerServer(listener, engine.produce, engine.dispatch, engine.purges, log)
        relay.start()
        engine.pregeneration.start(engine.caught_up)
        try:
            with LoopMonitor(factory.clock, log, metrics.stalled):
                yield ProcessHandle(
                    metrics, engine.adopt, lambda: engine.pool.alive > 0, stop, engine.is_caught_up
                )
        finally:
            await relay.close()
