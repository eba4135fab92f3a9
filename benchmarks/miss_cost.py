"""The processor time of a cold miss of a small original, by the node's own process and by its workers.

`python -m benchmarks.miss_cost [TREE]`: of this tree, and in turn of another checkout `TREE`, run by the same Python.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path

from benchmarks.common import ROOT, get_all, node_of, photograph, spread
from benchmarks.contest.usage import processor_s, tree

ORIGINALS, MISSES, ROUNDS, AT_ONCE = 12, 300, 6, 8
SETTLE_S = 0.6
"""How long the writes to the disk go on after the last answer."""


def targets(widths: "count[int]") -> list[str]:
    """Those of MISSES variants, each of another size."""
    return [f"/w_{next(widths)},f_jpg,q_80/{number % ORIGINALS}.jpg" for number in range(MISSES)]


def workers(pid: int) -> list[int]:
    """The worker processes below a node."""
    found = []
    for each in tree([pid]):
        with suppress(OSError):
            if b"proxy.render" in Path(f"/proc/{each}/cmdline").read_bytes():
                found.append(each)
    return found


def used_s(pid: int) -> tuple[float, float]:
    """The processor time of the node without its workers, and of these, in seconds."""
    of_workers = processor_s(workers(pid))
    return processor_s([pid]) - of_workers, of_workers


def main() -> None:
    trees = [ROOT, *map(Path, sys.argv[1:2])]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        originals = Path(folder, "originals")
        for number in range(ORIGINALS):
            photograph(originals / f"{number}.jpg", 400, 300, seed=number + 1)
        # The time of a worker that is replaced would be that of the node.
        settings = {"CALOTYPE_RENDER__RECYCLE_AFTER": "100000"}
        nodes = {path: running.enter_context(node_of(path, originals, **settings)) for path in trees}
        widths = {path: count(41) for path in trees}
        costs: dict[Path, list[tuple[float, float]]] = {path: [] for path in trees}
        for round_ in range(ROUNDS + 1):
            for path, (public, _, pid) in nodes.items():
                before = used_s(pid)
                asyncio.run(get_all(public, targets(widths[path]), at_once=AT_ONCE))
                time.sleep(SETTLE_S)
                after = used_s(pid)
                if round_:
                    costs[path].append((after[0] - before[0], after[1] - before[1]))
        for path, found in costs.items():
            own, of_workers = (
                [1000 * seconds / MISSES for seconds in each] for each in zip(*found, strict=True)
            )
            print(
                f"{path}: {spread(own)} ms a miss in the node, {statistics.median(of_workers):.2f} in its workers"
            )


if __name__ == "__main__":
    main()
