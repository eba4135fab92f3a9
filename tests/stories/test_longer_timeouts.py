"""The constants that stories lengthen exist in the node; see longer_timeouts/sitecustomize.py."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.servers import ROOT

PROGRAM = """
import importlib, sitecustomize
for name in sitecustomize.NAMES:
    importlib.import_module(name)
"""


def test_every_lengthened_constant_exists_in_the_node() -> None:
    environment = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent / 'longer_timeouts'}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
