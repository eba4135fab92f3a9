"""Reductions that workers have left: an original decoded at a fraction of its size, from which later jobs make their sizes.

A worker writes the pixels into an empty memory file of the pool's and describes them; the pool seals the file and passes both
on with later jobs of the original. The pool reads neither. Reductions are lost with the process, as the memory tier is.
"""

import fcntl
import os
from collections import OrderedDict
from contextlib import suppress
from typing import NamedTuple

from proxy.render.protocol import MAX_REDUCTIONS

MAX_BYTES = 128 * 2**20
MAX_FILES = 256
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class StoredReduction(NamedTuple):
    """`text` is the worker's description of the pixels in the memory file `descriptor`."""

    text: bytes
    descriptor: int
    size_bytes: int


class Reductions:
    """Holds at most MAX_BYTES in MAX_FILES; removes those of the least recently used original. Event loop only."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, list[StoredReduction]] = OrderedDict()
        self.size_bytes = 0
        self._files = 0

    def of(self, original: str) -> list[StoredReduction]:
        """Those of the original with this name."""
        if original not in self._of:
            return []
        self._of.move_to_end(original)
        return self._of[original]

    def new_file(self, original: str) -> int | None:
        """An empty memory file for one more reduction; None if there are enough, or no memory. The caller closes it."""
        if len(self.of(original)) >= MAX_REDUCTIONS:
            return None
        with suppress(OSError):
            return os.memfd_create("reduction", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        return None

    def store(self, original: str, text: bytes, descriptor: int) -> None:
        """Stores what a worker wrote into `descriptor`, which stays the caller's."""
        if len(self.of(original)) >= MAX_REDUCTIONS or any(text == each.text for each in self.of(original)):
            return  # Another worker was faster.
        try:
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
            own = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
        except OSError:
            return
        reduction = StoredReduction(text, own, os.fstat(own).st_size)
        self._of.setdefault(original, []).append(reduction)
        self.size_bytes += reduction.size_bytes
        self._files += 1
        while self.size_bytes > MAX_BYTES or self._files > MAX_FILES:
            self._remove(next(iter(self._of)))

    def close(self) -> None:
        for original in tuple(self._of):
            self._remove(original)

    def _remove(self, original: str) -> None:
        for reduction in self._of.pop(original):
            os.close(reduction.descriptor)
            self.size_bytes -= reduction.size_bytes
            self._files -= 1
