"""Runs the `calotype` command in a process of its own. That process is forked from one that has imported the command,
because the imports take a second of processor time. `python -m proxy` itself runs in tests/stories/test_run.py.
"""

import atexit
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path

from tests.support.waiting import LONGEST_S

ROOT = Path(__file__).parents[2]
MAX_JOB_BYTES = 1 << 20
LATER = ["aiobotocore.session", "redis.asyncio", "tqdm", "proxy.node.runtime", "proxy.node.serve", "uvloop"]
"""Modules that commands import where they use them."""


class Command:
    """A running command, with the part of `subprocess.Popen` that tests use. Its parent is a process that waits for it."""

    def __init__(self, keeper: socket.socket) -> None:
        self._keeper = keeper
        keeper.settimeout(LONGEST_S)
        self.pid = int.from_bytes(keeper.recv(8), "little")
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while the command runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float = LONGEST_S) -> int:
        """The exit code. Raises TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._keeper], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("calotype", timeout)
            self.returncode = int.from_bytes(self._keeper.recv(8), "little", signed=True)
            self._keeper.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(
    *words: str,
    env: Mapping[str, str],
    stdin: int,
    stdout: int,
    stderr: int,
    at: Path = ROOT,
    python_path: str = "",
) -> Command:
    """Starts the command. `python_path` is the PYTHONPATH with which its modules were imported."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        job = json.dumps([words, dict(env), str(at)]).encode()
        assert len(job) < MAX_JOB_BYTES
        socket.send_fds(_server(python_path), [job], [stdin, stdout, stderr, theirs.fileno()])
    return Command(ours)


def calotype(
    *words: str, env: Mapping[str, str], at: Path = ROOT, given: bytes = b"", python_path: str = ""
) -> subprocess.CompletedProcess[bytes]:
    """The finished command. Raises TimeoutExpired after LONGEST_S."""
    with (
        tempfile.TemporaryFile() as stdin,
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
    ):
        stdin.write(given)
        stdin.seek(0)
        command = start(
            *words,
            env=env,
            at=at,
            stdin=stdin.fileno(),
            stdout=stdout.fileno(),
            stderr=stderr.fileno(),
            python_path=python_path,
        )
        try:
            code = command.wait()
        finally:
            command.kill()
            command.wait()
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(["calotype", *words], code, stdout.read(), stderr.read())


def calotype_text(
    *words: str, env: Mapping[str, str], at: Path = ROOT, given: str = "", python_path: str = ""
) -> subprocess.CompletedProcess[str]:
    """The same, with its output as text."""
    done = calotype(*words, env=env, at=at, given=given.encode(), python_path=python_path)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


@cache
def _server(python_path: str) -> socket.socket:
    """Our end of the socket to the process that forks, which ends when this end is closed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.commands", str(theirs.fileno())],
            cwd=ROOT, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
            env=os.environ | ({"PYTHONPATH": python_path} if python_path else {}),
        )  # fmt: skip

    def stop() -> None:
        ours.close()
        process.wait()

    atexit.register(stop)
    return ours


def _fork_for_each_job(server: socket.socket) -> bool:
    """True in a forked process, which is to run the command; False at the end. The process between that one and this one
    reports its pid and its exit code."""
    while True:
        content, descriptors, _, _ = socket.recv_fds(server, MAX_JOB_BYTES, 4)
        if not content:
            return False
        if os.fork() == 0:
            server.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            *streams, keeper = descriptors
            if (pid := os.fork()) == 0:
                os.close(keeper)
                for number, descriptor in enumerate(streams):
                    os.dup2(descriptor, number)
                    os.close(descriptor)
                words, environment, at = json.loads(content)
                sys.argv = ["calotype", *words]
                os.environ.clear()
                os.environ.update(environment)
                os.chdir(at)
                return True
            os.closerange(0, keeper)
            with suppress(OSError), socket.socket(fileno=keeper) as client:
                client.send(pid.to_bytes(8, "little"))
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                client.send(code.to_bytes(8, "little", signed=True))
            os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)


if __name__ == "__main__":
    from proxy.cli.commands import COMMANDS, main, module_of

    for name in [*map(module_of, COMMANDS), *LATER]:
        import_module(name)
    assert threading.active_count() == 1
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    if _fork_for_each_job(socket.socket(fileno=int(sys.argv[1]))):
        main()
