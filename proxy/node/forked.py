"""The first processes of a node, forked before there is an event loop or a thread. They share the memory of all
loaded modules. A process that replaces a dead one is a new interpreter instead.
"""

import os
import socket
import sys
import traceback
from typing import NoReturn

from proxy.local.parent import bind_to
from proxy.local.process import Process
from proxy.node.child import run


def fork(count: int) -> list[Process]:
    """Forks `count` processes. Each waits for its `Setup`, as in `child.run`."""
    return [_fork() for _ in range(count)]


def _fork() -> Process:
    parent = os.getpid()
    ours, theirs = socket.socketpair()
    if (pid := os.fork()) == 0:
        _run_child(parent, theirs.detach())
    theirs.close()
    return Process(pid, ours)


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
