"""The processes of a node as its supervisor sees them: a slot holds one process and, after its death, its replacement.
The descriptors of a slot outlive its processes.
"""

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import proxy
from proxy.config.environment import inherited_environment
from proxy.config.errors import ConfigError
from proxy.config.settings import Settings
from proxy.ipc.channel import Channel, Closed
from proxy.local.process import CHANNEL, Process, start_interpreter
from proxy.local.tasks import Tasks
from proxy.node.child import Reload, Report, ReportRequest, Setup, StartFailed, Stop

ROOT = Path(proxy.__file__).parent.parent
PROGRAM = f"""
import sys
sys.path.insert(0, sys.argv[1])
from proxy.local.parent import bind_to
bind_to(int(sys.argv[2]))
from proxy.node.child import run
run({CHANNEL})
"""
"""Not run with `-m`: pickled classes must have the same module name in both processes."""
START_TIMEOUT_S = 30.0
REPORT_TIMEOUT_S = 2.0


class Child:
    """One process and our end of its socket."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.channel = Channel(process.channel)
        self._tasks = Tasks()
        self.ended = self._tasks.start(process.wait(), "child's end")
        self._sending = asyncio.Lock()
        self._report_task: asyncio.Task[Report | None] | None = None
        self.answered = 0
        """Reports that it has sent on request."""

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
        self.process.kill()
        await self.ended
        await self._tasks.close()
        self.channel.close()


def new_process() -> Process:
    """An interpreter that waits for its `Setup`, as a forked process does. Raises OSError."""
    return start_interpreter(
        PROGRAM, str(ROOT), str(os.getpid()), environment=inherited_environment(), writes_stdout=True
    )


class Slot:
    """One process of the node and its replacements. A replacement gets the same descriptors."""

    def __init__(self, setup: Setup, descriptors: list[int]) -> None:
        self.name = setup.name
        self.setup = setup
        self.child: Child | None = None
        self._descriptors = descriptors

    async def start(self, forked: Process | None = None, descriptors: Sequence[int] = ()) -> None:
        """Starts a process with the present setup: `forked`, or a new interpreter. It gets `descriptors` behind those
        of the slot. Raises ConfigError or OSError."""
        setup = self.setup
        child = Child(forked or new_process())
        await child.start(setup, [*self._descriptors, *descriptors])
        try:
            while setup is not self.setup:  # A reload happened during the start.
                setup = self.setup
                await child.reload(setup.settings)
        except BaseException:
            await child.kill()
            raise
        self.child = child

    async def report(self) -> Report | None:
        """The report of the process; None if there is no process or no answer in time."""
        return None if self.child is None else await self.child.report()

    async def stop(self, by: float) -> None:
        """Has the process drain until `by`."""
        if self.child is not None:
            await self.child.stop(by)

    async def kill(self) -> None:
        if self.child is not None:
            await self.child.kill()
            self.child = None
