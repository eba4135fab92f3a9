"""Ends a process of the node together with its parent."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with_parent() -> None:
    """Makes the kernel kill this process when its parent ends (PR_SET_PDEATHSIG). A change of user resets this."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


def bind_to(parent: int) -> None:
    """Ends this process together with `parent`, at once if the parent is gone already, so that clients of its
    sockets go to another node. Moves the process to its own group, which the signals of a terminal do not reach."""
    os.setpgid(0, 0)
    end_with_parent()
    if os.getppid() != parent:
        os._exit(1)
