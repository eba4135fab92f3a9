"""The first processes of a node, forked before there is an event loop or a thread. They share the memory of all
loaded modules. A process that replaces a dead one is a new interpreter instead.
"""

import asyncio
import gc
import os
import signal
import socket
import sys
import traceback
from contextlib import suppress
from typing import NoReturn

from proxy.local.parent import bind_to
from proxy.node.child import run


class Forked:
    """A child process and our end of its socket, with the methods of `asyncio.subprocess.Process` that are used. The
    child ends when that socket is closed."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self.channel = channel
        self.returncode: int | None = None

    async def wait(self) -> int:
        """The exit code, negative for a signal. May be awaited only once."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        # The descriptor becomes readable when the process has ended (pidfd_open(2)).
        pidfd = os.pidfd_open(self.pid)
        loop.add_reader(pidfd, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(pidfd)
            os.close(pidfd)
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])  # noqa: ASYNC222 (it has ended)
        return self.returncode

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


def fork(count: int) -> list[Forked]:
    """Forks `count` processes. Each waits for its `Setup`, as in `child.run`."""
    gc.freeze()  # Pages that the garbage collector does not write to stay shared.
    return [_fork() for _ in range(count)]


def _fork() -> Forked:
    parent = os.getpid()
    ours, theirs = socket.socketpair()
    if (pid := os.fork()) == 0:
        _run_child(parent, theirs.detach())
    theirs.close()
    return Forked(pid, ours)


def _run_child(parent: int, descriptor: int) -> NoReturn:
    """Runs in the child process and never returns to the caller of `fork`."""
    try:
        bind_to(parent)
        # Closes the inherited descriptors, among them sockets on which only the parent listens.
        os.closerange(3, descriptor)
        os.closerange(descriptor + 1, os.sysconf("SC_OPEN_MAX"))
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        run(descriptor)
    except BaseException:
        traceback.print_exc(file=sys.stderr)
    finally:
        os._exit(1)
