"""A node of several processes: N fronts that answer, one back that produces for them all, and this one, which starts
them, replaces who dies, hands on the stop and speaks for them on the admin listener.

It holds the listening sockets, so that a connection made while a process is being replaced waits instead of failing.
No picture and no request of the public comes here. Longer than other files: starting, replacing, reloading and stopping
hand the same seats to and fro, and are read together.
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
from proxy.node import factory, welcome
from proxy.node.child import Ask, Reload, Report, Setup, StartFailed, Stop, path_of
from proxy.node.forked import Forked
from proxy.node.listeners import BACKLOG, BEHIND, admin_runner, built, listen
from proxy.node.sockets import admin_sockets, beside, public_sockets, url_of
from proxy.node.systemd import Systemd
from proxy.telemetry.aggregate import AggregatedMetrics
from proxy.telemetry.log_writer import LogWriter
from proxy.telemetry.loop_monitor import LoopMonitor
from proxy.telemetry.metrics import PrometheusMetrics
from proxy.telemetry.slowest import Slow

WHERE = Path(proxy.__file__).parent.parent
PROCESS = """
import sys
sys.path.insert(0, sys.argv[2])
from proxy.local.parent import bind_to
bind_to(int(sys.argv[3]))
from proxy.node.child import run
run(int(sys.argv[1]))
"""
"""Not run as a module: what it sends is of classes that we have under the same name."""
START_S = 30.0
PAUSE_S = 0.5
REPORT_S = 2.0
WATCH_S = 1.0
HUNG_AFTER = 3
"""How many reports in turn a process may owe before it is taken for hung."""
PRODUCER_BACKLOG = 4096
OPERATIONS = 64
CATCH_UP_S = 0.1
FRONTS_SHARE = 0.9
"""How much of the drain the fronts have; the rest is for what the back still has to write."""


class _Child:
    """One process, and our end of its socket."""

    def __init__(self, process: asyncio.subprocess.Process | Forked, end: socket.socket) -> None:
        self.process = process
        self.channel = Channel(end)
        self.ended = asyncio.create_task(process.wait(), name="child's end")
        self._sending = asyncio.Lock()
        self._asking: asyncio.Task[Report | None] | None = None
        self.answered = 0
        """Questions it has answered."""

    @classmethod
    async def of_new_interpreter(cls) -> "_Child":
        """One that waits to be told what it is, as a forked one does."""
        ours, theirs = socket.socketpair()
        with theirs, ExitStack() as until_started:
            until_started.enter_context(ours)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-c", PROCESS, str(theirs.fileno()), str(WHERE), str(os.getpid())),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
            )
            until_started.pop_all()
        return cls(process, ours)

    async def start(self, setup: Setup, descriptors: list[int]) -> None:
        """Has it be what `setup` says, and waits until it is ready. Raises ConfigError where it cannot be, and has ended
        it then."""
        try:
            async with asyncio.timeout(START_S):
                await self.channel.send(setup, descriptors)
                first = (await self.channel.receive()).value
        except (Closed, TimeoutError):
            await self.kill()
            raise ConfigError(f"the {setup.role} process did not start; its own message is above") from None
        except BaseException:
            await self.kill()
            raise
        if isinstance(first, StartFailed):
            await self.kill()
            raise ConfigError(first.reason)

    async def report(self) -> Report | None:
        """What it has to say; None where it does not answer in time. However many ask, it is asked once at a time, and
        who gives up leaves the question standing."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(), name="report")
        asking = self._asking
        done, _ = await asyncio.wait({asking}, timeout=REPORT_S)
        return asking.result() if done and not asking.cancelled() else None

    async def _ask(self) -> Report | None:
        try:
            async with self._sending:
                await self.channel.send(Ask())
            report: Report = (await self.channel.receive()).value
            self.answered += 1
            return report
        except Closed:
            return None

    async def adopt(self, settings: Settings) -> None:
        """Has it go on with these settings; who does not listen any more is replaced by one that has them."""
        with suppress(Closed):
            async with self._sending:
                await self.channel.send(Reload(settings))

    async def stop(self, by: float) -> None:
        """Has it finish until `by`, and ends it then."""
        with suppress(Closed, TimeoutError):
            async with asyncio.timeout_at(by), self._sending:
                await self.channel.send(Stop(by))
        with suppress(TimeoutError):
            async with asyncio.timeout_at(by):
                await asyncio.shield(self.ended)
        await self.kill()

    async def kill(self) -> None:
        # Closed last, when nobody speaks there any more: another may get the descriptor's number.
        if self.process.returncode is None:
            self.process.kill()
        await self.ended
        if self._asking is not None:
            await _cancel(self._asking)
        self.channel.close()


class _Slot:
    """The place of one process of the node: whoever sits there, and who comes after."""

    def __init__(self, setup: Setup, descriptors: list[int]) -> None:
        self.name = setup.name
        self.setup = setup
        self.descriptors = descriptors
        self.child: _Child | None = None


class Supervisor:
    """A node like `app.Node`, of `server.processes` fronts and a back."""

    def __init__(
        self,
        settings: Settings,
        log: structlog.typing.FilteringBoundLogger,
        out: LogWriter,
        systemd: Systemd,
        children: list[Forked],
    ) -> None:
        """Of `children`, one for each process, who wait to be told what they are."""
        # The class of what was loaded is local to its file; this one can be passed on.
        self.settings = Settings.model_construct(**dict(settings))
        self.log = log
        self.systemd = systemd
        self.metrics = PrometheusMetrics("supervisor")
        self.metrics.watch(*built())
        self.registry = CollectorRegistry()
        self.merged = AggregatedMetrics()
        self.registry.register(self.merged)
        self._replaced = Counter(
            "calotype_processes_replaced",
            "Processes of the node that died and were replaced, by role.",
            ["role"],
            registry=self.metrics.registry,
        )
        for role in ("front", "back"):
            self._replaced.labels(role)
        self.not_ready = "it is starting"
        self._tasks: set[asyncio.Task[None]] = set()
        self.public_url = ""
        self.admin_url = ""
        self.urls: list[str] = []
        """Of pictures that were found."""
        self.out = out
        self._slots: list[_Slot] = []
        self._children = children
        self._public: list[socket.socket] = []

    async def run(self, stop: asyncio.Event, on_ready: Callable[[], None]) -> None:
        """Serves until `stop`, then drains. Raises ConfigError where it cannot start."""
        async with AsyncExitStack() as stack:
            producer_at, place = _nameless_socket()
            stack.callback(producer_at.close)
            stack.callback(os.close, place)
            producer = ProducerClient(path_of(place), connections=OPERATIONS, clock=factory.clock)
            stack.callback(producer.close)
            self._slots = self._arrange(producer_at, place, stack)
            stack.enter_context(LoopMonitor(factory.clock, self.log, self.metrics.stalled))
            admin_at = self.systemd.sockets("admin") or admin_sockets(self.settings)
            self.admin_url = url_of(admin_at)
            admin = admin_runner(
                self.settings,
                self.registry,
                self._gather,
                self._not_ready,
                producer,
                self.log,
            )
            stack.push_async_callback(admin.cleanup)
            await listen(admin, admin_at)
            stack.push_async_callback(self._kill)
            if not await self._start(stop):
                return
            back, *fronts = [asyncio.create_task(self._keep(slot), name=slot.name) for slot in self._slots]
            try:
                self.not_ready = ""
                self.urls = await welcome.found(self.settings, self.public_url, producer)
                found = welcome.logged(self.urls, self.out)
                self.log.info(
                    "ready",
                    public=self.public_url,
                    admin=self.admin_url,
                    processes=self.settings.server.processes,
                    **found,
                )
                on_ready()
                await stop.wait()
                await self._drain(back, fronts)
            finally:
                self.not_ready = "it is stopping"
                await _cancel(back, *fronts, *self._tasks)
        self.log.info("stopped")

    def _arrange(self, producer_at: socket.socket, place: int, stack: AsyncExitStack) -> list[_Slot]:
        """The seats, each with what it listens on; the public sockets are closed with `stack`."""
        processes = self.settings.server.processes

        def setup(name: str, role: Literal["front", "back"]) -> Setup:
            return Setup(name=name, role=role, settings=self.settings, memory_share=processes + 1)

        slots = [_Slot(setup("back", "back"), [producer_at.fileno()])]
        for number, sockets in enumerate(self._public_sockets(processes), start=1):
            for one in sockets:
                stack.callback(one.close)
            self.public_url = self.public_url or url_of(sockets)
            self._public += sockets
            listening = [one.fileno() for one in sockets]
            slots.append(_Slot(setup(f"front {number}", "front"), [place, *listening]))
        return slots

    def _public_sockets(self, processes: int) -> list[list[socket.socket]]:
        """For each front its own, of a port; a unix socket, or one that was passed on, they have to share."""
        passed = self.systemd.sockets("public")
        first = passed or public_sockets(self.settings)
        if passed or self.settings.server.socket:
            return [first, *([one.dup() for one in first] for _ in range(processes - 1))]
        return [first, *(beside(first) for _ in range(processes - 1))]

    async def _start(self, stop: asyncio.Event) -> bool:
        """The back first: fronts that are up have somebody to ask. Nobody is let in before the back knows what was
        purged while the node was down. False where it was stopped meanwhile."""
        back, *fronts = self._slots
        await self._fill(back)
        while not (back.child and (report := await back.child.report()) and report.caught_up):
            self.not_ready = BEHIND
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), CATCH_UP_S)
            if stop.is_set():
                return False
            if back.child and back.child.ended.done():
                raise ConfigError("the back process died while it started; its own message is above")
        back.setup = replace(back.setup, followed=True)
        for one in self._public:
            one.listen(BACKLOG)
        await asyncio.gather(*(self._fill(front) for front in fronts))
        return True

    async def _fill(self, slot: _Slot) -> None:
        setup = slot.setup
        if self._children:
            first = self._children.pop()
            child = _Child(first, first.channel)
        else:
            child = await _Child.of_new_interpreter()
        await child.start(setup, slot.descriptors)
        try:
            while setup is not slot.setup:  # They were read anew while it started.
                setup = slot.setup
                await child.adopt(setup.settings)
        except BaseException:
            await child.kill()
            raise
        slot.child = child

    async def _keep(self, slot: _Slot) -> None:
        """Replaces whoever dies on `seat`, for as long as it takes."""
        while True:
            if slot.child is not None:
                await self._watch(slot.name, slot.child)
                ended = slot.child.process
                self.log.warning("a process died", process=slot.name, pid=ended.pid, code=ended.returncode)
                self.merged.end(slot.name)
                await slot.child.kill()
                slot.child = None
            try:
                await self._fill(slot)
            except Exception as failure:
                self.log.error("a process cannot be replaced yet", process=slot.name, reason=str(failure))
                await asyncio.sleep(PAUSE_S)
            else:
                self._replaced.labels(slot.setup.role).inc()

    async def _watch(self, name: str, child: _Child) -> None:
        """Until `child` is no more; one that does not answer any more is shot."""
        unanswered = 0
        while unanswered < HUNG_AFTER:
            answered = child.answered
            await asyncio.wait({child.ended}, timeout=WATCH_S)
            if child.ended.done():
                return
            report = await child.report()
            owes = report is None and child.answered == answered
            unanswered = unanswered + 1 if owes else 0
            if report is not None:
                self.merged.gather(
                    name, report.metrics
                )  # Should it die, little of what it had counted is lost.
        self.log.warning("a process hangs", process=name, pid=child.process.pid)
        await child.kill()

    def reload(self, settings: Settings) -> None:
        """Has everybody go on with what of these `settings` may change, and whoever comes after."""
        self.settings = Settings.model_construct(**dict(settings))
        for slot in self._slots:
            slot.setup = replace(slot.setup, settings=self.settings)
            if slot.child is not None:
                task = asyncio.create_task(slot.child.adopt(self.settings), name="reload")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _drain(self, keeper_of_back: asyncio.Task[None], keepers: list[asyncio.Task[None]]) -> None:
        """Fronts first, for they need the back, which is replaced as long as they do; the rest of the time is its own."""
        self.not_ready = "it is stopping"
        await _cancel(*keepers)
        drain_s = self.settings.server.drain
        self.log.info("draining", seconds=drain_s)
        by = factory.clock() + drain_s
        back, *fronts = self._slots
        for one in self._public:
            one.close()
        await asyncio.gather(*(self._stop(front, by - (1 - FRONTS_SHARE) * drain_s) for front in fronts))
        await _cancel(keeper_of_back)
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
                self.merged.gather(slot.name, report.metrics)
            return report

        return await asyncio.gather(*(of(slot) for slot in self._slots))

    async def _gather(self) -> list[Slow]:
        reports = await self._reports()
        self.merged.gather("supervisor", list(self.metrics.registry.collect()))
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


def _nameless_socket() -> tuple[socket.socket, int]:
    """A unix socket that listens, and its place opened with O_PATH: only who is given that can connect, and a node that
    is shot leaves nothing behind."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with tempfile.TemporaryDirectory(prefix="calotype-") as folder:
        path = str(Path(folder) / "relay")
        listener.bind(path)
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    listener.listen(PRODUCER_BACKLOG)
    return listener, place
