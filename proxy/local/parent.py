"""What ties a process of the node to the one that started it."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with_parent() -> None:
    """Has the kernel kill this process once its parent is gone. A change of user undoes it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


def bind_to(parent: int) -> None:
    """Ends this process with `parent`, at once if that is gone already: whoever connects to sockets that this process holds,
    or waits for its answer, has to go to another node. Puts it into a group of its own, which a terminal's signals do not
    reach."""
    os.setpgid(0, 0)
    end_with_parent()
    if os.getppid() != parent:
        os._exit(1)
