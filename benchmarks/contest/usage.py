"""Processor time and memory of whole process trees, from /proc."""

import math
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_SAMPLE_S = 0.25


def children(pid: int) -> set[int]:
    """The direct children of a process."""
    found: set[int] = set()
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found.update(map(int, (thread / "children").read_text().split()))
    return found


def tree(roots: Sequence[int]) -> set[int]:
    """The processes with these ids, and everything that they started."""
    found, rest = set[int](), list(roots)
    while rest:
        pid = rest.pop()
        if pid not in found:
            found.add(pid)
            rest += children(pid)
    return found


def processor_s(roots: Sequence[int]) -> float:
    """The processor time that the trees have used, in seconds, with that of children that have ended. NaN without
    a process on this machine."""
    if not roots:
        return math.nan
    ticks = 0
    for pid in tree(roots):
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime (proc(5))
    return ticks / _TICKS_PER_S


def memory_bytes(roots: Sequence[int]) -> int:
    """The memory of the trees; a page that several processes share counts once (Pss)."""
    total = 0
    for pid in tree(roots):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


@contextmanager
def peak_memory(trees: Mapping[str, Sequence[int]]) -> Iterator[dict[str, int]]:
    """The most memory that each tree was seen to use within the block, by name, in bytes."""
    peak = dict.fromkeys(trees, 0)
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(_SAMPLE_S):
            for name, roots in trees.items():
                peak[name] = max(peak[name], memory_bytes(roots))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()
