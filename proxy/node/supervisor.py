"""A node of several processes: N fronts that answer requests, one back that renders for them, and the supervisor.
The supervisor starts the others, replaces one that dies, reloads and stops them, and serves the admin listener.

The supervisor holds the listening sockets, so that a connection waits while a process is replaced. It handles no
picture and no public request. Longer than other files, because start, replacement, reload and stop share the slots.
"""

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import structlog
from prometheus_client import CollectorRegistry, Counter

import proxy
from proxy.config.errors import ConfigError
from proxy.config.settings import Settings
from proxy.ipc.channel import Channel, Closed
from proxy.ipc.producer_client import ProducerClient
from proxy.local.tasks import Tasks
from proxy.node import factory, welcome
from proxy.node.child import Reload, Report, ReportRequest, Setup, StartFailed, Stop, socket_path
from proxy.node.forked import Forked
from proxy.node.listeners import BACKLOG, NOT_CAUGHT_UP, admin_runner, build_info, listen
from proxy.node.sockets import admin_sockets, public_sockets, reuse_port_sockets, url_of
from proxy.node.systemd import Systemd
from proxy.telemetry.aggregate import AggregatedMetrics
from proxy.telemetry.log_writer import LogWriter
from proxy.telemetry.loop_monitor import LoopMonitor
from proxy.telemetry.metrics import PrometheusMetrics
from proxy.telemetry.slowest import Slow

ROOT = Path(proxy.__file__).parent.parent
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[2])
from proxy.local.parent import bind_to
bind_to(int(sys.argv[3]))
from proxy.node.child import run
run(int(sys.argv[1]))
"""
"""Not run with `-m`: pickled classes must have the same module name in both processes."""
START_TIMEOUT_S = 30.0
RESTART_PAUSE_S = 0.5
REPORT_TIMEOUT_S = 2.0
REPORT_INTERVAL_S = 1.0
MAX_MISSED_REPORTS = 3
"""A process that misses so many reports in a row is hung."""
PRODUCER_BACKLOG = 4096
COMMAND_CONNECTIONS = 64
CATCH_UP_POLL_S = 0.1
FRONTS_SHARE = 0.9
"""The fronts' share of the drain; the rest is for pending writes of the back."""


class _Child:
    """One process and our end of its socket."""

    def __init__(self, process: asyncio.subprocess.Process | Forked, end: socket.socket) -> None:
        self.process = process
        self.channel = Channel(end)
        self._tasks = Tasks()
        self.ended = self._tasks.start(process.wait(), "child's end")
        self._sending = asyncio.Lock()
        self._report_task: asyncio.Task[Report | None] | None = None
        self.answered = 0
        """Reports that it has sent on request."""

    @classmethod
    async def of_new_interpreter(cls) -> "_Child":
        """Starts an interpreter that waits for its `Setup`, as a forked process does."""
        ours, theirs = socket.socketpair()
        with theirs, ExitStack() as until_started:
            until_started.enter_context(ours)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-c", PROGRAM, str(theirs.fileno()), str(ROOT), str(os.getpid())),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
            )
            until_started.pop_all()
        return cls(process, ours)

    async def start(self, setup: Setup, descriptors: list[int]) -> None:
        """Sends `setup` and waits until ready. Kills the process and raises ConfigError if it cannot start."""
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self.channel.send(setup, descriptors)
                first = (await self.channel.receive()).value
        except (Closed, TimeoutError):
            await self.kill()
            raise ConfigError(f"the {setup.role} process did not start; see its message above") from None
        except BaseException:
            await self.kill()
            raise
        if isinstance(first, StartFailed):
            await self.kill()
            raise ConfigError(first.reason)

    async def report(self) -> Report | None:
        """The report of the process; None if it does not answer within `REPORT_TIMEOUT_S`. Concurrent callers share
        one request, and a cancelled caller does not cancel it."""
        if self._report_task is None or self._report_task.done():
            self._report_task = self._tasks.start(self._request_report(), "report")
        asking = self._report_task
        done, _ = await asyncio.wait({asking}, timeout=REPORT_TIMEOUT_S)
        return asking.result() if done and not asking.cancelled() else None

    async def _request_report(self) -> Report | None:
        try:
            async with self._sending:
                await self.channel.send(ReportRequest())
            report: Report = (await self.channel.receive()).value
            self.answered += 1
            return report
        except Closed:
            return None

    async def reload(self, settings: Settings) -> None:
        """Sends new settings. A process that no longer reads them is about to be replaced by one that has them."""
        with suppress(Closed):
            async with self._sending:
                await self.channel.send(Reload(settings))

    async def stop(self, by: float) -> None:
        """Tells the process to drain until `by`, and kills it then."""
        with suppress(Closed, TimeoutError):
            async with asyncio.timeout_at(by), self._sending:
                await self.channel.send(Stop(by))
        with suppress(TimeoutError):
            async with asyncio.timeout_at(by):
                await asyncio.shield(self.ended)
        await self.kill()

    async def kill(self) -> None:
        # The channel is closed last, when no task uses it: its descriptor number may be reused at once.
        if self.process.returncode is None:
            self.process.kill()
        await self.ended
        if self._report_task is not None:
            await _cancel(self._report_task)
        self.channel.close()


class _Slot:
    """One process of the node and its replacements."""

    def __init__(self, setup: Setup, descriptors: list[int]) -> None:
        self.name = setup.name
        self.setup = setup
        self.descriptors = descriptors
        self.child: _Child | None = None


class Supervisor:
    """A node of `server.processes` fronts and a back, with the interface of `SingleProcessNode`."""

    def __init__(
        self,
        settings: Settings,
        log: structlog.typing.FilteringBoundLogger,
        out: LogWriter,
        systemd: Systemd,
        children: list[Forked],
    ) -> None:
        """`children` are forked processes, one for each slot, that wait for their `Setup`."""
        # The loaded class is local to a function and cannot be pickled; this copy can.
        self.settings = Settings.model_construct(**dict(settings))
        self.log = log
        self.systemd = systemd
        self.metrics = PrometheusMetrics("supervisor")
        self.metrics.watch(*build_info())
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
        self.not_ready = "it is starting"
        self._tasks = Tasks()
        self.public_url = ""
        self.admin_url = ""
        self.urls: list[str] = []
        """Example URLs of pictures in the sources."""
        self.out = out
        self._slots: list[_Slot] = []
        self._children = children
        self._public: list[socket.socket] = []

    async def run(self, stop: asyncio.Event, on_ready: Callable[[], None]) -> None:
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
            admin_listeners = self.systemd.sockets("admin") or admin_sockets(self.settings)
            self.admin_url = url_of(admin_listeners)
            admin = admin_runner(
                self.settings,
                self.registry,
                self._gather,
                self._not_ready,
                producer,
                self.log,
            )
            stack.push_async_callback(admin.cleanup)
            await listen(admin, admin_listeners)
            stack.push_async_callback(self._kill)
            if not await self._start(stop):
                return
            back, *fronts = [self._tasks.start(self._supervise(slot), slot.name) for slot in self._slots]
            try:
                self.not_ready = ""
                self.urls = await welcome.example_urls(self.settings, self.public_url, producer)
                example_fields = welcome.log_fields(self.urls, self.out)
                self.log.info(
                    "ready",
                    public=self.public_url,
                    admin=self.admin_url,
                    processes=self.settings.server.processes,
                    **example_fields,
                )
                on_ready()
                await stop.wait()
                await self._drain(back, fronts)
            finally:
                self.not_ready = "it is stopping"
                await self._tasks.close()
        self.log.info("stopped")

    def _make_slots(
        self, producer_listener: socket.socket, socket_descriptor: int, stack: AsyncExitStack
    ) -> list[_Slot]:
        """The slots with their sockets. `stack` closes the public sockets."""
        processes = self.settings.server.processes

        def setup(name: str, role: Literal["front", "back"]) -> Setup:
            return Setup(name=name, role=role, settings=self.settings, memory_share=processes + 1)

        slots = [_Slot(setup("back", "back"), [producer_listener.fileno()])]
        for number, sockets in enumerate(self._public_sockets(processes), start=1):
            for one in sockets:
                stack.callback(one.close)
            self.public_url = self.public_url or url_of(sockets)
            self._public += sockets
            listening = [one.fileno() for one in sockets]
            slots.append(_Slot(setup(f"front {number}", "front"), [socket_descriptor, *listening]))
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
        await self._start_child(back)
        while not (back.child and (report := await back.child.report()) and report.caught_up):
            self.not_ready = NOT_CAUGHT_UP
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), CATCH_UP_POLL_S)
            if stop.is_set():
                return False
            if back.child and back.child.ended.done():
                raise ConfigError("the back process died during the start; see its message above")
        back.setup = replace(back.setup, followed=True)
        for one in self._public:
            one.listen(BACKLOG)
        await asyncio.gather(*(self._start_child(front) for front in fronts))
        return True

    async def _start_child(self, slot: _Slot) -> None:
        setup = slot.setup
        if self._children:
            first = self._children.pop()
            child = _Child(first, first.channel)
        else:
            child = await _Child.of_new_interpreter()
        await child.start(setup, slot.descriptors)
        try:
            while setup is not slot.setup:  # A reload happened during the start.
                setup = slot.setup
                await child.reload(setup.settings)
        except BaseException:
            await child.kill()
            raise
        slot.child = child

    async def _supervise(self, slot: _Slot) -> None:
        """Replaces the process of `slot` each time it dies; retries until a replacement starts."""
        while True:
            if slot.child is not None:
                await self._watch(slot.name, slot.child)
                ended = slot.child.process
                self.log.warning("a process died", process=slot.name, pid=ended.pid, code=ended.returncode)
                self.aggregated.end(slot.name)
                await slot.child.kill()
                slot.child = None
            try:
                await self._start_child(slot)
            except Exception as failure:
                self.log.error("a process was not replaced; retrying", process=slot.name, reason=str(failure))
                await asyncio.sleep(RESTART_PAUSE_S)
            else:
                self._replaced.labels(slot.setup.role).inc()

    async def _watch(self, name: str, child: _Child) -> None:
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
        self.settings = Settings.model_construct(**dict(settings))
        for slot in self._slots:
            slot.setup = replace(slot.setup, settings=self.settings)
            if slot.child is not None:
                self._tasks.start(slot.child.reload(self.settings), "reload")

    async def _drain(self, back_task: asyncio.Task[None], front_tasks: list[asyncio.Task[None]]) -> None:
        """Stops the fronts first, because they need the back, which is still replaced if it dies."""
        self.not_ready = "it is stopping"
        await _cancel(*front_tasks)
        drain_s = self.settings.server.drain
        self.log.info("draining", seconds=drain_s)
        by = factory.clock() + drain_s
        back, *fronts = self._slots
        for one in self._public:
            one.close()
        await asyncio.gather(*(self._stop(front, by - (1 - FRONTS_SHARE) * drain_s) for front in fronts))
        await _cancel(back_task)
        await self._stop(back, by)

    async def _stop(self, slot: _Slot, by: float) -> None:
        if slot.child is not None:
            await slot.child.stop(by)

    async def _kill(self) -> None:
        for slot in self._slots:
            if slot.child is not None:
                await slot.child.kill()

    async def _reports(self) -> list[Report | None]:
        async def of(slot: _Slot) -> Report | None:
            child = slot.child
            report = await child.report() if child is not None else None
            if report is not None and child is slot.child:
                self.aggregated.gather(slot.name, report.metrics)
            return report

        return await asyncio.gather(*(of(slot) for slot in self._slots))

    async def _gather(self) -> list[Slow]:
        reports = await self._reports()
        self.aggregated.gather("supervisor", list(self.metrics.registry.collect()))
        return [slow for report in reports if report is not None for slow in report.slowest]

    async def _not_ready(self) -> list[str]:
        if self.not_ready:
            return [self.not_ready]
        not_ready = []
        for slot, report in zip(self._slots, await self._reports(), strict=True):
            if report is None:
                not_ready.append(f"{slot.name} does not answer")
            elif not report.ready:
                not_ready.append("no render process is up")
        return not_ready


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


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
