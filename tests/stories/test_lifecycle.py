"""A node as a service: readiness, socket activation, reloads, descriptor limits, hanging processes."""

import asyncio
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy.core.url.signing import sign
from tests.stories.fleet import Node, alive, client, descendants, get, running, send_signal
from tests.support import pictures
from tests.support.servers import ROOT
from tests.support.waiting import LONGEST_S, eventually, eventually_sync

OLD, NEW = "o" * 32, "n" * 32
GOOD = """
[mounts.all]
source = "photos"
signing = "required"
[signing.keys]
{keys}
[presets]
{presets}
"""


def written(path: Path, *, keys: str = f'old = "{OLD}"\nnew = "{NEW}"', presets: str = "") -> None:
    path.write_text(GOOD.format(keys=keys, presets=presets))


@pytest.fixture(params=[1, 2])
def node(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Node]:
    """One whose mounts, keys and presets are in a file, over a picture of its own."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/photo.png").write_bytes(pictures.quarters_as("png"))
    made = Node(
        tmp_path / "node",
        processes=request.param,
        sources={"photos": {"path": str(tmp_path / "in")}},
        render={"workers": 1},
    )
    del made.environment["CALOTYPE_MOUNTS"]
    made.environment["CALOTYPE_CONFIG"] = str(tmp_path / "node.toml")
    written(tmp_path / "node.toml")
    yield made
    made.kill()


async def status(node: Node, target: str) -> int:
    async with client() as session:
        return (await get(session, node.url + target)).status


def signed_by(secret: str, target: str) -> str:
    return sign(target, secret.encode())


async def hup(node: Node, outcome: str = "ok") -> None:
    before = node.metric("calotype_config_reloads_total", outcome=outcome)
    assert node.process is not None
    node.process.send_signal(signal.SIGHUP)
    await eventually(lambda: node.metric("calotype_config_reloads_total", outcome=outcome) == before + 1)
    await asyncio.sleep(0.2)  # The other processes are told, and not waited for.


async def test_sighup_reloads_the_settings(node: Node) -> None:
    path = Path(node.environment["CALOTYPE_CONFIG"])
    with running(node):
        assert [await status(node, signed_by(secret, "/w_16/photo.png")) for secret in (OLD, NEW)] == [
            200,
            200,
        ]
        written(path, keys=f'new = "{NEW}"', presets='tiny = "w_16,f_webp"')
        await hup(node)
        for _ in range(8):  # Each connection may meet another process.
            assert [await status(node, signed_by(secret, "/w_16/photo.png")) for secret in (OLD, NEW)] == [
                403,
                200,
            ]
            assert await status(node, signed_by(NEW, "/t_tiny/photo.png")) == 200
        explained = node.admin("/v1/explain?url=" + signed_by(OLD, "/w_16/photo.png").replace("?", "%3F"))
        assert json.loads(explained)["signature"] == "bad-signature"
        for broken in (
            "",
            "[presets",
            '[mounts.all]\nsource = "photos"\nsigning = "required"',
            "x = 1",
            "\0",
        ):
            path.write_text(broken)
            await hup(node, "refused")
            assert [await status(node, signed_by(secret, "/w_16/photo.png")) for secret in (OLD, NEW)] == [
                403,
                200,
            ]
            assert await status(node, "/w_16/photo.png") == 403
        path.unlink()
        await hup(node, "refused")
        path.mkdir()
        await hup(node, "refused")
        assert "the previous one stays in use" in node.log()
        assert NEW not in node.log()


async def test_a_process_that_starts_during_a_reload_has_the_new_settings(node: Node) -> None:
    if json.loads(node.environment["CALOTYPE_SERVER"])["processes"] == 1:
        return  # Nobody can.
    path = Path(node.environment["CALOTYPE_CONFIG"])
    with running(node):
        assert node.process is not None
        [front, *_] = [
            pid for pid in descendants(node.process.pid) if pid != node.back() and pid not in node.workers()
        ]
        send_signal(front, signal.SIGKILL)
        await eventually(lambda: not alive(front))
        written(path, keys=f'new = "{NEW}"')
        await hup(node)
        await eventually(node.ready)
        for _ in range(20):
            assert await status(node, signed_by(OLD, "/w_16/photo.png")) == 403


@contextmanager
def hearing(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(path))
        heard.settimeout(LONGEST_S)
        yield heard


def test_systemd_is_notified_of_each_state(node: Node, tmp_path: Path) -> None:
    node.environment |= {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
    with hearing(tmp_path / "notify") as heard, running(node):

        def next_but_watchdog() -> str:
            while (message := heard.recv(4096).decode()) == "WATCHDOG=1":
                pass
            return message

        assert node.process is not None
        assert next_but_watchdog() == "READY=1"
        assert heard.recv(4096) == heard.recv(4096) == b"WATCHDOG=1"
        node.process.send_signal(signal.SIGHUP)
        assert next_but_watchdog().startswith("RELOADING=1\nMONOTONIC_USEC=")
        assert next_but_watchdog() == "READY=1"
        # Even with no descriptor left to read the file with.
        _, hard = resource.prlimit(node.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(node.process.pid, resource.RLIMIT_NOFILE, (5, hard))
        node.process.send_signal(signal.SIGHUP)
        assert next_but_watchdog().startswith("RELOADING=1")
        assert next_but_watchdog() == "READY=1"
        resource.prlimit(node.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
        node.process.send_signal(signal.SIGTERM)
        assert next_but_watchdog() == "STOPPING=1"
        assert node.process.wait(LONGEST_S) == 0


ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_FDNAMES="public", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "proxy", "serve"])
"""


def activated(node: Node, listener: socket.socket) -> "subprocess.Popen[bytes]":
    """As systemd starts it: the socket is descriptor 3, and its own number is in the environment."""
    with (node.folder / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", ACTIVATE, str(listener.fileno())],
            stdout=log, stderr=log, cwd=ROOT, env=node.environment, pass_fds=[listener.fileno()],
        )  # fmt: skip


async def test_no_request_is_lost_between_two_nodes_on_one_socket(node: Node) -> None:
    """A client that does not try again, on connections it keeps, while one node stops and the next starts."""
    target = signed_by(NEW, "/w_16/photo.png")
    with socket.create_server(("127.0.0.1", node.port), backlog=1024) as listener:
        node.process = activated(node, listener)
        await eventually(node.ready)
        stop, answered = False, 0

        async def keep_asking() -> None:
            nonlocal answered
            reader = writer = None
            while not stop:
                if writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
                writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                assert reader is not None
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 ")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
                answered += 1
                if b"Connection: close" in head:
                    writer.close()
                    writer = None
                await asyncio.sleep(0.05)
            if writer is not None:
                writer.close()

        async def more_requests() -> None:
            enough = answered + 50
            await eventually(lambda: answered >= enough or any(client.done() for client in clients))

        clients = [asyncio.create_task(keep_asking()) for _ in range(10)]
        for _ in range(2):
            await more_requests()
            leaving = node.process
            leaving.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(leaving.wait, 20) == 0
            node.process = activated(node, listener)
            await eventually(node.ready)
        await more_requests()
        stop = True
        await asyncio.gather(*clients)
        assert answered > 100
        assert node.stop() == 0


def test_an_unusable_inherited_socket_is_reported(node: Node) -> None:
    with socket.socket() as plain:
        node.process = activated(node, plain)
        assert node.process.wait(LONGEST_S) == 1
    assert "the socket passed on as public must be a listening stream socket" in node.log()


async def test_connections_beyond_the_descriptor_limit_are_refused(node: Node) -> None:
    """Those who are served are served well, misses too; the others are turned away, and nothing stays broken."""
    # Both limits: the node raises the lower one to the upper.
    command = ["prlimit", "--nofile=128:128", sys.executable, "-m", "proxy", "serve"]
    with (node.folder / "log").open("ab") as log:
        node.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, env=node.environment)
    await eventually(node.ready)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=4)) as session:

        async def ask(width: int) -> int:
            async with session.get(node.url + signed_by(NEW, f"/w_{width}/photo.png")) as answer:
                await answer.read()
                return answer.status

        assert set(await asyncio.gather(*(ask(16) for _ in range(8)))) == {200}
        idle = []
        for _ in range(400):
            with suppress(OSError):
                one = socket.create_connection(("127.0.0.1", node.port), 1)
                idle.append(one)
        assert {await ask(width) for width in range(17, 40)} == {200}
        await eventually(lambda: node.metric("calotype_connections_turned_away_total") > 0)
        for one in idle:
            one.close()
        misses = await asyncio.gather(
            *(status(node, signed_by(NEW, f"/w_{width}/photo.png")) for width in range(50, 110))
        )
        assert set(misses) <= {200, 503}

        async def is_served() -> bool:
            return await status(node, signed_by(NEW, "/w_109/photo.png")) == 200

        await eventually(is_served)
        assert {await status(node, signed_by(NEW, f"/w_{width}/photo.png")) for width in range(110, 120)} == {
            200
        }
    assert "Traceback" not in node.log()
    assert node.stop() == 0


async def test_a_hanging_process_is_replaced_while_hits_continue(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(pictures.quarters_as("png"))
    node = Node(tmp_path / "node", processes=2, sources={"photos": {"path": str(tmp_path)}})
    with running(node):
        hot = "/w_16/photo.png"
        for _ in range(20):
            assert await status(node, hot) == 200
        back = node.back()
        send_signal(back, signal.SIGSTOP)
        await asyncio.sleep(1.5)  # Longer than the original is fresh.
        for _ in range(10):
            assert await status(node, hot) == 200
        await eventually(lambda: "a process hangs" in node.log())
        await eventually(node.ready)
        assert node.back() != back
        assert await status(node, "/w_17/photo.png") == 200
        assert node.metric("calotype_processes_replaced_total", role="back") == 1


def test_the_node_starts_under_the_restrictions_of_its_unit(node: Node) -> None:
    """No capabilities, as somebody of no account, and no dump allowed from the start."""
    if shutil.which("setpriv") is None or os.geteuid() != 0:
        pytest.skip("setpriv and root are needed")
    away = ["prlimit", "--core=0:0", "setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    node.prefix = away
    with running(node):
        assert node.ready()
        assert node.workers()


async def test_readiness_probes_start_no_process(node: Node) -> None:
    """Many more at once than are answered in time."""
    with running(node):
        assert node.process is not None
        before = set(descendants(node.process.pid))

        async def ask(session: aiohttp.ClientSession) -> None:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(f"http://127.0.0.1:{node.admin_port}/readyz") as answer:
                    await answer.read()

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            for _ in range(4):
                await asyncio.gather(*(ask(session) for _ in range(1500)))
        await eventually(node.ready)
        assert set(descendants(node.process.pid)) == before
        assert "died" not in node.log()


async def test_sighup_to_every_process_ends_no_worker(node: Node) -> None:
    with running(node):
        assert node.process is not None
        workers = node.workers()
        reloads = node.metric("calotype_config_reloads_total")
        for pid in [node.process.pid, *descendants(node.process.pid)]:
            send_signal(pid, signal.SIGHUP)
        await eventually(lambda: node.metric("calotype_config_reloads_total") > reloads)
        assert node.workers() == workers
        assert node.ready()


async def test_an_unread_log_does_not_stop_the_node(node: Node) -> None:
    reading, writing = os.pipe()
    node.process = subprocess.Popen(
        [sys.executable, "-m", "proxy", "serve"], stdout=writing, cwd=ROOT, env=node.environment
    )
    os.close(writing)
    await eventually(node.ready)
    target = signed_by(NEW, "/w_16/photo.png")
    async with client() as session:
        for _ in range(1000):  # Three times what the pipe holds.
            assert (await get(session, node.url + target)).status == 200
        for _ in range(20):
            assert (await get(session, node.url + target)).status == 200
    assert node.ready()
    assert node.stop() == 0
    os.close(reading)


def test_systemd_variables_of_another_process_are_ignored(node: Node) -> None:
    """What is not meant for this process is nobody's business."""
    node.environment |= {"LISTEN_FDS": "3", "LISTEN_PID": "1", "WATCHDOG_PID": "1", "WATCHDOG_USEC": "1"}
    with running(node):
        assert node.ready()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_the_start_is_handled(node: Node, number: signal.Signals) -> None:
    with (node.folder / "log").open("ab") as log:
        node.process = subprocess.Popen(
            [sys.executable, "-m", "proxy", "serve"], stdout=log, stderr=log, cwd=ROOT, env=node.environment
        )
    process = node.process
    eventually_sync(lambda: _catches(process.pid, number), pause_s=0.01)
    node.process.send_signal(number)
    if number == signal.SIGHUP:
        eventually_sync(lambda: node.ready() or process.poll() is not None)
        assert process.poll() is None
        node.process.send_signal(signal.SIGTERM)
    assert node.process.wait(LONGEST_S) == 0


def _catches(pid: int, number: signal.Signals) -> bool:
    """Or ignores it."""
    signal_bit: Any = 1 << (number - 1)
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(("SigCgt:", "SigIgn:")) and int(line.split()[1], 16) & signal_bit:
                return True
    return False
