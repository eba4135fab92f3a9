"""A process that is started without an event loop."""

import asyncio
import os
import signal
import socket
import sys

import pytest

from proxy.local.process import CHANNEL, Process, start_interpreter
from tests.support.waiting import eventually


def interpreter(program: str) -> Process:
    return start_interpreter(program, environment={}, writes_stdout=False)


async def test_its_exit_code_is_known() -> None:
    process = interpreter("import sys; sys.exit(7)")
    assert await process.wait() == process.returncode == 7
    process.kill()
    process.channel.close()


async def test_it_has_one_end_of_a_socket_nothing_else_and_its_own_group() -> None:
    inherited = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(inherited, True)
    process = interpreter(
        f"""
import os, socket
end = socket.socket(fileno={CHANNEL})
end.send(f"{{sorted(map(int, os.listdir('/proc/self/fd')))[:-1]}} {{os.getpgrp() == os.getpid()}}".encode())
"""
    )
    os.close(inherited)
    with process.channel as channel:
        await process.wait()
        assert channel.recv(100) == b"[0, 1, 2, 3] True"


@pytest.mark.parametrize("is_stopped", [False, True])
async def test_it_can_be_killed_also_when_it_is_stopped(is_stopped: bool) -> None:
    process = interpreter("import time; time.sleep(60)")
    if is_stopped:
        os.kill(process.pid, signal.SIGSTOP)
        await eventually(process.is_stopped)
    else:
        assert not process.is_stopped()
    process.kill()
    assert await process.wait() == -signal.SIGKILL
    assert not process.is_stopped()
    process.channel.close()


async def test_a_process_of_another_parent_is_waited_for_and_killed() -> None:
    between = interpreter(
        f"""
import os, socket, time
end = socket.socket(fileno={CHANNEL})
if (pid := os.fork()) == 0:
    time.sleep(60)
end.send(str(pid).encode())
os.waitpid(pid, 0)
"""
    )
    loop = asyncio.get_running_loop()
    between.channel.setblocking(False)
    pid = int(await loop.sock_recv(between.channel, 20))
    with socket.socket() as unused:
        stranger = Process(pid, unused)
        waiting = asyncio.create_task(stranger.wait())
        stranger.kill()
        assert await waiting == 0
    assert await between.wait() == 0
    between.channel.close()


def test_a_failed_start_leaves_no_socket_open(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = socket.socketpair()
    monkeypatch.setattr(socket, "socketpair", lambda: ends)
    monkeypatch.setattr(sys, "executable", "/missing")
    with pytest.raises(FileNotFoundError):
        interpreter("")
    assert [end.fileno() for end in ends] == [-1, -1]
