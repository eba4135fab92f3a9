"""Which starts of a node live on this disk: each holds a lock on a file of its own, which its end lets go, however it
ends."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path


class Instances:
    """`ours` is registered until `close`. Raises OSError."""

    def __init__(self, folder: Path, ours: str) -> None:
        self._folder = folder
        self.ours = ours
        folder.mkdir(mode=0o700, exist_ok=True)
        while True:
            self._file = (folder / ours).open("w")
            fcntl.flock(self._file, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(self._file.fileno()), (folder / ours).stat()):
                    break
            self._file.close()  # Somebody took it for a dead one's in between.

    def is_running(self, instance: str) -> bool:
        """Whether that start has not ended yet."""
        if instance == self.ours:
            return True
        try:
            with (self._folder / Path(instance).name).open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        with suppress(OSError):
            (self._folder / Path(instance).name).unlink()
        return False

    def siblings(self) -> int:
        """How many others live."""
        return sum(self.is_running(path.name) for path in self._folder.iterdir() if path.name != self.ours)

    def close(self) -> None:
        """The end of ours."""
        with suppress(OSError):
            (self._folder / self.ours).unlink()
        self._file.close()
