"""The running instances on this cache directory. Each holds a file lock, which ends with its process."""

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from proxy.core.cache.generations import Purge


class Instances:
    """Registers `ours` until `close`. Raises OSError. Satisfies SharedPurgeLog for a node that is alone."""

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
            self._file.close()  # Another instance removed the file before it was locked.

    def is_running(self, instance: str) -> bool:
        """Whether that instance is still running."""
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
        """How many other instances are running."""
        return sum(self.is_running(path.name) for path in self._folder.iterdir() if path.name != self.ours)

    async def publish(self, purges: Sequence[Purge]) -> list[str]:
        """One message if other instances are running: they do not get purges."""
        if not (siblings := self.siblings()):
            return []
        return [f"this node: {siblings} other instances share its cache, as in a restart, and are not purged"]

    def close(self) -> None:
        """Unregisters `ours`."""
        with suppress(OSError):
            (self._folder / self.ours).unlink()
        self._file.close()
