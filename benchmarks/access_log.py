"""The cost of metrics and access log for a memory hit: a node with its log in a file, against one without.

`python -m benchmarks.access_log`. Rounds alternate; the figure is the median of the ratios. Needs wrk.
"""

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from benchmarks.common import ROOT, free_port, photograph, spread, wrk

ROUNDS = 10
SERVE = "from proxy.cli.commands import main; main()"
OFF = "from proxy.telemetry.access_log import AccessLog; AccessLog.record = lambda self, record: None; "


@contextlib.contextmanager
def serving(code: str, originals: Path, folder: Path) -> Iterator[str]:
    folder.mkdir()
    port, admin_port = free_port(), free_port()
    env = {
        "CALOTYPE_ADMIN__PORT": str(admin_port),
        "CALOTYPE_MOUNTS__ALL__SOURCE": "originals",
        "CALOTYPE_MOUNTS__ALL__DIMENSIONS": "any",
    }
    command = [sys.executable, "-c", code, "serve", "--originals", str(originals)]
    command += ["--cache", str(folder / "cache"), "--port", str(port)]
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(command, stdout=log, env=os.environ | env, cwd=ROOT)
    try:
        for _ in range(200):
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/readyz"),
            ):
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/w_600,q_50,f_jpg/photo.jpg"
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(30)


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        photograph(folder / "in/photo.jpg", 1600, 1200)
        with (
            serving(SERVE, folder / "in", folder / "on") as on,
            serving(OFF + SERVE, folder / "in", folder / "off") as off,
        ):
            rates: list[tuple[float, float]] = [(wrk(on), wrk(off)) for _ in range(ROUNDS)]
        assert (folder / "on/log").stat().st_size > 10**6
        assert (folder / "off/log").stat().st_size < 10**4
        ratios = [with_it / without for with_it, without in rates]
        with_it, without = (statistics.median(side) for side in zip(*rates, strict=True))
        print(f"{with_it:.0f} to {without:.0f} requests/s, ratio {spread(ratios)}, {ROUNDS} rounds")


if __name__ == "__main__":
    main()
