"""A process that is started without an event loop, and our end of its socket."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress

CHANNEL = 3
"""The descriptor of its socket in a new interpreter."""
_CLOSE_INHERITED = f"import os; os.closerange({CHANNEL + 1}, os.sysconf('SC_OPEN_MAX'))\n"


class Process:
    """A running process. `wait` must be awaited once."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        """`pid` is of a process that has not been waited for."""
        self.pid = pid
        self.channel = channel
        self.returncode: int | None = None
        self._pidfd = os.pidfd_open(pid)

    async def wait(self) -> int:
        """The exit code, negative for a signal; 0 for a process that is not a child of this one."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        # The descriptor becomes readable when the process has ended (pidfd_open(2)).
        loop.add_reader(self._pidfd, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._pidfd)
        self.returncode = 0
        with suppress(ChildProcessError):
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])  # noqa: ASYNC222 (it has ended)
        os.close(self._pidfd)
        return self.returncode

    def kill(self) -> None:
        """Kills the process, unless it has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def is_stopped(self) -> bool:
        """Whether a signal has stopped the process (SIGSTOP)."""
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as file:
                _, _, fields = file.read().rpartition(
                    b")"
                )  # The name before it may contain anything (proc_pid_stat(5)).
        except OSError:
            return False
        return fields.split()[0] == b"T"


def start_interpreter(
    program: str, *arguments: str, environment: Mapping[str, str], writes_stdout: bool
) -> Process:
    """Starts a Python that runs `program`, with `arguments` in sys.argv and one end of a socket as `CHANNEL`. It
    inherits no other descriptor but stderr, and stdout if it `writes_stdout`. Raises OSError.

    It has its own process group, which the signals of a terminal do not reach, but is in our session: the scheduler
    compares niceness only within a session (sched(7), autogroup), and a worker has to yield to hits.
    """
    ours, theirs = socket.socketpair()
    silenced = (0,) if writes_stdout else (0, 1)
    with theirs:
        try:
            pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-P", "-c", _CLOSE_INHERITED + program, *arguments],
                environment,
                file_actions=[
                    *((os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_RDWR, 0) for stream in silenced),
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), CHANNEL),
                ],
                setpgroup=0,
            )
            return Process(pid, ours)
        except BaseException:
            ours.close()
            raise
