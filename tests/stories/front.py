"""A real nginx with the shipped configuration in front of the nodes of a test."""

import contextlib
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from proxy.cli.nginx_demo import NGINX, Ports, arrange, nginx
from tests.support.servers import free_port, http_ok
from tests.support.waiting import LONGEST_S, eventually_sync

GENEROUS = (
    (NGINX / "site/limits.conf")
    .read_text()
    .replace("rate=100r/s", "rate=100000r/s")
    .replace("burst=400", "burst=100000")
    .replace("connections 256", "connections 60000")
)


class Front:
    """nginx on ports of its own; `url` is in the clear, `https` is not."""

    def __init__(self, folder: Path, nodes: Sequence[str], more: Mapping[str, str]) -> None:
        self.folder = folder
        self.ports = Ports(*(free_port() for _ in range(4)))
        self.configuration = arrange(folder, folder / "hot", self.ports, nodes, more)
        self.url = f"http://127.0.0.1:{self.ports.clear}"
        self.https = f"https://127.0.0.1:{self.ports.https}"

    def log(self) -> list[dict[str, Any]]:
        time.sleep(1.6)  # Each process of nginx flushes its lines once a second; nothing tells when all have.
        return [json.loads(line) for line in (self.folder / "access.log").read_text().splitlines()]


@contextlib.contextmanager
def fronting(folder: Path, *nodes: str, **more: str) -> Iterator[Front]:
    """Before `nodes`, as nginx names servers; `more` replaces files of site/. Ends without a sound, or fails."""
    for program in ("nginx", "openssl"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing; as root: apt-get install {program}")
    front = Front(folder, nodes, {"limits": GENEROUS, **more})
    tested = subprocess.run(nginx(front.configuration, "-t"), capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stderr
    assert "[warn]" not in tested.stderr, tested.stderr
    with subprocess.Popen(nginx(front.configuration), stderr=subprocess.PIPE, text=True) as process:
        try:
            eventually_sync(lambda: http_ok(front.ports.status, "/nginx_status"))
            yield front
        finally:
            process.send_signal(signal.SIGQUIT)
            try:
                process.wait(LONGEST_S)
            finally:
                process.kill()
        assert process.stderr is not None
        assert process.stderr.read() == ""
