"""Memory and disk hits of nodes of one, two and three processes, side by side.

`python -m benchmarks.processes`. Each round measures each node in turn; the figure is the median of the ratios to
one process. Disk hits are for variants above the limit of a small memory tier. Needs wrk.
"""

import itertools
import statistics
import tempfile
import urllib.request
from pathlib import Path

from benchmarks.common import node, photograph, spread, wrk

PROCESSES = (1, 2, 3)
ROUNDS = 5
TIERS = {"memory": "64MiB", "disk": "1KiB"}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        originals = Path(folder, "originals")
        photograph(originals / "photo.jpg", 1600, 1200)
        for tier, max_bytes in TIERS.items():
            measure(originals, tier, max_bytes)


def measure(originals: Path, tier: str, max_bytes: str) -> None:
    rates: dict[int, list[float]] = {processes: [] for processes in PROCESSES}
    for _, processes in itertools.product(range(ROUNDS), PROCESSES):
        settings = {
            "CALOTYPE_SERVER__PROCESSES": str(processes),
            "CALOTYPE_CACHE__MEMORY__MAX_BYTES": max_bytes,
        }
        with node(originals, **settings) as (public, _):
            url = f"{public}/w_600,f_jpg/photo.jpg"
            for _ in range(20):
                with urllib.request.urlopen(url) as answer:
                    answer.read()
                    found = answer.headers["Cache-Status"]
            assert found == f"calotype; hit; detail={tier}", found
            rates[processes].append(wrk(url, seconds=3))
    for processes in PROCESSES:
        ratios = [rate / one for rate, one in zip(rates[processes], rates[1], strict=True)]
        print(
            f"{tier}, {processes} processes: {statistics.median(rates[processes]):.0f} requests/s,"
            f" {spread(ratios)} of one process"
        )


if __name__ == "__main__":
    main()
