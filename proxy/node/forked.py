"""The first processes of a node: copies of the command's process, made by fork(2) before it has an event loop or a thread.
They find every module loaded, and share its memory. Who comes after one that died is a new interpreter instead.
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
    """A child of this process, and our end of its socket; used as an `asyncio.subprocess.Process` is. It ends when that
    socket is closed."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self.channel = channel
        self.returncode: int | None = None

    async def wait(self) -> int:
        """The exit code, below zero for a signal. To be awaited once."""
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        # Readable once the process has ended (pidfd_open(2)).
        end = os.pidfd_open(self.pid)
        loop.add_reader(end, over.set)
        try:
            await over.wait()
        finally:
            loop.remove_reader(end)
            os.close(end)
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])  # noqa: ASYNC222 (it has ended)
        return self.returncode

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


def fork(count: int) -> list[Forked]:
    """`count` processes that wait to be told what they are, as `process.main` does."""
    gc.collect()
    gc.freeze()  # What no collection visits stays shared.
    return [_fork() for _ in range(count)]


def _fork() -> Forked:
    parent = os.getpid()
    ours, theirs = socket.socketpair()
    if (pid := os.fork()) == 0:
        _live(parent, theirs.detach())
    theirs.close()
    return Forked(pid, ours)


def _live(parent: int, descriptor: int) -> NoReturn:
    """What a child does instead of what this process goes on with."""
    try:
        bind_to(parent)
        # Sockets among them that only the parent may listen on.
        os.closerange(3, descriptor)
        os.closerange(descriptor + 1, os.sysconf("SC_OPEN_MAX"))
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        run(descriptor)
    except BaseException:
        traceback.print_exc(file=sys.stderr)
    finally:
        os._exit(1)
