"""Opens files of a tier without trusting the directory entry."""

import errno
import os
import stat
from pathlib import Path
from typing import IO


def open_regular(path: Path | str) -> IO[bytes]:
    """Opens a regular file, unbuffered. Raises OSError for a link, a directory, or a pipe, which would block."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return open(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise
