"""Runs the `calotype` command in a process of its own. That process is forked from one that has imported the command,
because the imports take a second of processor time. `python -m proxy` itself runs in tests/stories/test_run.py.
"""

import atexit
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path

from tests.support.waiting import LONGEST_S

ROOT = Path(__file__).parents[2]
MAX_JOB_BYTES = 1 << 20
LATER = ["aiobotocore.session", "redis.asyncio", "tqdm"]
"""Modules that commands import where they use them."""


def calotype(
    *words: str, env: Mapping[str, str], at: Path = ROOT, given: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """The finished command. Raises TimeoutError after LONGEST_S."""
    with (
        tempfile.TemporaryFile() as stdin,
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
    ):
        stdin.write(given)
        stdin.seek(0)
        server, job = _server(), json.dumps([words, dict(env), str(at)]).encode()
        assert len(job) < MAX_JOB_BYTES
        socket.send_fds(server, [job], [stdin.fileno(), stdout.fileno(), stderr.fileno()])
        pid = int.from_bytes(server.recv(8), "little")
        try:
            code = int.from_bytes(server.recv(8), "little", signed=True)
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            server.recv(8)
            raise
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(["calotype", *words], code, stdout.read(), stderr.read())


def calotype_text(*words: str, env: Mapping[str, str], at: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """The same, with its output as text."""
    done = calotype(*words, env=env, at=at)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


@cache
def _server() -> socket.socket:
    """Our end of the socket to the process that forks, which ends when this end is closed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.commands", str(theirs.fileno())],
            cwd=ROOT, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
        )  # fmt: skip
    ours.settimeout(LONGEST_S)

    def stop() -> None:
        ours.close()
        process.wait()

    atexit.register(stop)
    return ours


def _fork_for_each_job(server: socket.socket) -> bool:
    """True in a forked process, which is to run the command; False at the end."""
    while True:
        content, descriptors, _, _ = socket.recv_fds(server, MAX_JOB_BYTES, 3)
        if not content:
            return False
        if (pid := os.fork()) == 0:
            server.close()
            for number, descriptor in enumerate(descriptors):
                os.dup2(descriptor, number)
                os.close(descriptor)
            words, environment, at = json.loads(content)
            sys.argv = ["calotype", *words]
            os.environ.clear()
            os.environ.update(environment)
            os.chdir(at)
            return True
        for descriptor in descriptors:
            os.close(descriptor)
        server.send(pid.to_bytes(8, "little"))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        server.send(code.to_bytes(8, "little", signed=True))


if __name__ == "__main__":
    from proxy.cli.commands import COMMANDS, main, module_of

    for name in [*map(module_of, COMMANDS), *LATER]:
        import_module(name)
    assert threading.active_count() == 1
    gc.freeze()
    if _fork_for_each_job(socket.socket(fileno=int(sys.argv[1]))):
        main()
