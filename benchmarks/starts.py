"""How long a node needs until it is ready, with one process and with two.

`python -m benchmarks.starts [TREE]`: of this tree, and in turn of another checkout `TREE`, run by the same Python.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from benchmarks.common import ROOT
from benchmarks.contest.usage import processor_s
from tests.support.servers import free_port

ROUNDS, PAUSE_S = 11, 0.002


def start(tree: Path, processes: int) -> tuple[float, float]:
    """Seconds until a new node of `tree` is ready, and its processor time until then."""
    with tempfile.TemporaryDirectory() as folder:
        originals = Path(folder, "originals")
        originals.mkdir()
        admin_port = free_port()
        env = os.environ | {
            "CALOTYPE_SERVER__PORT": str(free_port()),
            "CALOTYPE_SERVER__PROCESSES": str(processes),
            "CALOTYPE_ADMIN__PORT": str(admin_port),
            "CALOTYPE_CACHE__DISK__PATH": f"{folder}/cache",
        }
        command = [sys.executable, "-m", "proxy", "serve", "--originals", str(originals)]
        began_s = time.perf_counter()
        node = subprocess.Popen(command, cwd=tree, env=env, stdout=subprocess.DEVNULL)
        try:
            while node.poll() is None:
                with suppress(urllib.error.URLError, ConnectionError):
                    urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/readyz").close()
                    return time.perf_counter() - began_s, processor_s([node.pid])
                time.sleep(PAUSE_S)
            raise SystemExit(f"the node of {tree} ended with {node.returncode}")
        finally:
            node.terminate()
            node.wait()


def main() -> None:
    trees = [ROOT, *map(Path, sys.argv[1:])]
    found: dict[tuple[int, Path], list[tuple[float, float]]] = defaultdict(list)
    for _ in range(ROUNDS):
        for processes in (1, 2):
            for tree in trees:
                found[processes, tree].append(start(tree, processes))
    for (processes, tree), starts in sorted(found.items()):
        ready_s, used_s = zip(*starts, strict=True)
        print(
            f"{processes} {'process' if processes == 1 else 'processes'}, {tree}: ready after"
            f" {statistics.median(ready_s):.2f} s ({min(ready_s):.2f} to {max(ready_s):.2f}),"
            f" {statistics.median(used_s):.2f} s of processor time"
        )


if __name__ == "__main__":
    main()
