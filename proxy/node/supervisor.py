"""A node of several processes: N fronts that answer requests, one back that renders for them, and the supervisor.
The supervisor starts the others, replaces one that dies, reloads and stops them, and serves the admin listener.

The supervisor holds the listening sockets, so that a connection waits while a process is replaced. It renders nothing
and handles no public request.
"""

import asyncio
import os
import socket
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

import structlog
from prometheus_client import CollectorRegistry, Counter

from proxy.config.errors import ConfigError
from proxy.config.settings import Settings
from proxy.ipc.producer_client import ProducerClient
from proxy.local.process import Process
from proxy.local.tasks import Tasks, cancel
from proxy.node import factory
from proxy.node.child import Report, Setup, socket_path
from proxy.node.listeners import BACKLOG, admin_listener
from proxy.node.readiness import MissingParts, Phase, reasons
from proxy.node.runtime import watch_version
from proxy.node.slot import Child, Slot
from proxy.node.sockets import public_sockets, reuse_port_sockets, url_of
from proxy.node.systemd import Systemd
from proxy.ports.operations import CommandDispatcher
from proxy.telemetry.aggregate import AggregatedMetrics
from proxy.telemetry.loop_monitor import LoopMonitor
from proxy.telemetry.metrics import PrometheusMetrics
from proxy.telemetry.recent import Recent, merged

RESTART_PAUSE_S = 0.5
REPORT_INTERVAL_S = 1.0
MAX_MISSED_REPORTS = 3
"""A process that misses so many reports in a row is hung."""
PRODUCER_BACKLOG = 4096
COMMAND_CONNECTIONS = 64
CATCH_UP_POLL_S = 0.1
FRONTS_SHARE = 0.9
"""The fronts' share of the drain; the rest is for pending writes of the back."""


class Supervisor:
    """A node of `server.processes` fronts and a back, with the interface of `SingleProcessNode`."""

    def __init__(
        self,
        settings: Settings,
        log: structlog.typing.FilteringBoundLogger,
        systemd: Systemd,
        children: list[Process],
        first_worker: Process | None = None,
    ) -> None:
        """`children` are forked processes, one for each slot, that wait for their `Setup`. `first_worker` is a worker
        for the back."""
        self.settings = settings
        self.log = log
        self.systemd = systemd
        self.metrics = PrometheusMetrics("supervisor")
        watch_version(self.metrics)
        self.registry = CollectorRegistry()
        self.aggregated = AggregatedMetrics()
        self.registry.register(self.aggregated)
        self._replaced = Counter(
            "calotype_processes_replaced",
            "Processes of the node that died and were replaced, by role.",
            ["role"],
            registry=self.metrics.registry,
        )
        for role in ("front", "back"):
            self._replaced.labels(role)
        self.phase = Phase.STARTING
        self._tasks = Tasks()
        self.public_url = ""
        self.admin_url = ""
        self._slots: list[Slot] = []
        self._children = children
        self._first_worker = first_worker
        self._public: list[socket.socket] = []

    async def run(
        self, stop: asyncio.Event, on_ready: Callable[[CommandDispatcher], Awaitable[None]]
    ) -> None:
        """Serves until `stop` is set, then drains. Raises ConfigError if the node cannot start."""
        async with AsyncExitStack() as stack:
            producer_listener, socket_descriptor = _unlinked_socket()
            stack.callback(producer_listener.close)
            stack.callback(os.close, socket_descriptor)
            producer = ProducerClient(
                socket_path(socket_descriptor), connections=COMMAND_CONNECTIONS, clock=factory.clock
            )
            stack.callback(producer.close)
            self._slots = self._make_slots(producer_listener, socket_descriptor, stack)
            stack.enter_context(LoopMonitor(factory.clock, self.log, self.metrics.stalled))
            admin = admin_listener(
                lambda: self.settings,
                self.systemd,
                self.registry,
                self._gather,
                self._not_ready,
                producer,
                self.log,
            )
            self.admin_url = await stack.enter_async_context(admin)
            for slot in self._slots:
                stack.push_async_callback(slot.kill)
            if not await self._start(stop):
                return
            back, *fronts = [self._tasks.start(self._supervise(slot), slot.name) for slot in self._slots]
            try:
                self.phase = Phase.SERVING
                await on_ready(producer)
                await stop.wait()
                await self._drain(back, fronts)
            finally:
                self.phase = Phase.STOPPING
                await self._tasks.close()
        self.log.info("stopped")

    def _make_slots(
        self, producer_listener: socket.socket, socket_descriptor: int, stack: AsyncExitStack
    ) -> list[Slot]:
        """The slots with their sockets. `stack` closes the public sockets."""
        processes = self.settings.server.processes

        def setup(name: str, role: Literal["front", "back"]) -> Setup:
            return Setup(name=name, role=role, settings=self.settings)

        slots = [Slot(setup("back", "back"), [producer_listener.fileno()])]
        for number, sockets in enumerate(self._public_sockets(processes), start=1):
            for one in sockets:
                stack.callback(one.close)
            self.public_url = self.public_url or url_of(sockets)
            self._public += sockets
            listening = [one.fileno() for one in sockets]
            slots.append(Slot(setup(f"front {number}", "front"), [socket_descriptor, *listening]))
        return slots

    def _public_sockets(self, processes: int) -> list[list[socket.socket]]:
        """The public sockets of each front. Each has its own on a port; a unix socket or one from systemd is shared."""
        passed = self.systemd.sockets("public")
        first = passed or public_sockets(self.settings)
        if passed or self.settings.server.socket:
            return [first, *([one.dup() for one in first] for _ in range(processes - 1))]
        return [first, *(reuse_port_sockets(first) for _ in range(processes - 1))]

    async def _start(self, stop: asyncio.Event) -> bool:
        """Starts the back, then the fronts, which need it. The fronts start when the back has applied the purges
        that happened while the node was down. False if `stop` was set before."""
        back, *fronts = self._slots
        await self._start_back(back)
        while (report := await back.report()) is None or MissingParts.PURGES in report.missing:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), CATCH_UP_POLL_S)
            if stop.is_set():
                return False
            if back.child and back.child.ended.done():
                raise ConfigError("the back process died during the start; see its message above")
        back.setup = replace(back.setup, expects_subscribers=True, first_worker=None)
        for one in self._public:
            one.listen(BACKLOG)
        await asyncio.gather(*(self._start_slot(front) for front in fronts))
        return True

    async def _start_back(self, back: Slot) -> None:
        """Starts the back with the first worker, whose parent stays this process."""
        if (worker := self._first_worker) is None:
            await self._start_slot(back)
            return
        back.setup = replace(back.setup, first_worker=worker.pid)
        await back.start(self._children.pop(), [worker.channel.fileno()])
        worker.channel.close()
        self._tasks.start(worker.wait(), "first worker's end")

    async def _start_slot(self, slot: Slot) -> None:
        """Starts a process in `slot`: one of the forked ones while there are any."""
        await slot.start(self._children.pop() if self._children else None)

    async def _supervise(self, slot: Slot) -> None:
        """Replaces the process of `slot` each time it dies; retries until a replacement starts."""
        while True:
            if slot.child is not None:
                await self._watch(slot.name, slot.child)
                ended = slot.child.process
                self.log.warning("a process died", process=slot.name, pid=ended.pid, code=ended.returncode)
                self.aggregated.end(slot.name)
                await slot.kill()
            try:
                await self._start_slot(slot)
            except Exception as failure:
                self.log.error("a process was not replaced; retrying", process=slot.name, reason=str(failure))
                await asyncio.sleep(RESTART_PAUSE_S)
            else:
                self._replaced.labels(slot.setup.role).inc()

    async def _watch(self, name: str, child: Child) -> None:
        """Returns when `child` has ended. Kills it after `MAX_MISSED_REPORTS`."""
        unanswered = 0
        while unanswered < MAX_MISSED_REPORTS:
            answered = child.answered
            await asyncio.wait({child.ended}, timeout=REPORT_INTERVAL_S)
            if child.ended.done():
                return
            report = await child.report()
            is_missing = report is None and child.answered == answered
            unanswered = unanswered + 1 if is_missing else 0
            if report is not None:
                self.aggregated.gather(name, report.metrics)  # Counts survive the process's death.
        self.log.warning("a process hangs", process=name, pid=child.process.pid)
        await child.kill()

    def reload(self, settings: Settings) -> None:
        """Applies those of `settings` that can change at run time, in all processes and their replacements."""
        self.settings = settings
        for slot in self._slots:
            slot.setup = replace(slot.setup, settings=settings)
            if slot.child is not None:
                self._tasks.start(slot.child.reload(settings), "reload")

    async def _drain(self, back_task: asyncio.Task[None], front_tasks: list[asyncio.Task[None]]) -> None:
        """Stops the fronts first, because they need the back, which is still replaced if it dies."""
        self.phase = Phase.STOPPING
        await cancel(*front_tasks)
        drain_s = self.settings.server.drain
        self.log.info("draining", seconds=drain_s)
        by = factory.clock() + drain_s
        back, *fronts = self._slots
        for one in self._public:
            one.close()
        await asyncio.gather(*(front.stop(by - (1 - FRONTS_SHARE) * drain_s) for front in fronts))
        await cancel(back_task)
        await back.stop(by)

    async def _reports(self) -> list[Report | None]:
        async def of(slot: Slot) -> Report | None:
            child = slot.child
            report = await slot.report()
            if report is not None and child is slot.child:
                self.aggregated.gather(slot.name, report.metrics)
            return report

        return await asyncio.gather(*(of(slot) for slot in self._slots))

    async def _gather(self) -> Recent:
        reports = await self._reports()
        self.aggregated.gather("supervisor", list(self.metrics.registry.collect()))
        return merged(report.recent for report in reports if report is not None)

    async def _not_ready(self) -> list[str]:
        halves = {}
        if self.phase is not Phase.STOPPING:
            for slot, report in zip(self._slots, await self._reports(), strict=True):
                halves[slot.name] = MissingParts.ANSWER if report is None else report.missing
        return reasons(self.phase, halves)


def _unlinked_socket() -> tuple[socket.socket, int]:
    """A listening unix socket whose file is removed, and its O_PATH descriptor. Only a process with the descriptor
    can connect, and a killed node leaves no file."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with tempfile.TemporaryDirectory(prefix="calotype-") as folder:
        path = str(Path(folder) / "back")
        listener.bind(path)
        socket_descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    listener.listen(PRODUCER_BACKLOG)
    return listener, socket_descriptor
