"""A node of several processes answers, stops and counts as a node of one."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from tests.stories.fleet import (
    Node,
    Origin,
    alive,
    client,
    command_of,
    cpu_s,
    descendants,
    files_of,
    get,
    get_all,
    origin,
    running,
    send_signal,
)
from tests.support import pictures
from tests.support.fakes import temporary_file
from tests.support.servers import ROOT
from tests.support.waiting import LONGEST_S, eventually

TARGETS = [
    "/w_100,f_webp/photo.jpg", "/w_100,f_auto/photo.jpg", "/w_90/quarters.png", "/thumbnail?url=photo.jpg&w=50",
    "/original/photo.jpg", "/original/nope.jpg", "/w_100/nope.jpg", "/w_0/photo.jpg", "/w_100/../x", "/nothing",
    "/w_100/text.jpg", "/w_100/broken.jpg", "/w_100,f_auto/huge.png", "/t_small/photo.jpg", "/t_none/photo.jpg",
    "/", "/robots.txt", "/healthz", "/thumbnail?url=s3://b/k&w=5", "/w_50/film.gif", "/w_50,f_auto/film.gif",
]  # fmt: skip


@pytest.fixture
def originals(tmp_path: Path) -> Path:
    made = {
        "photo.jpg": pictures.photo_as("jpeg"),
        "quarters.png": pictures.quarters_as("png"),
        "film.gif": pictures.film_as("gif"),
        "text.jpg": b"no picture at all",
        "broken.jpg": pictures.photo_as("jpeg")[:-3000],
        "huge.png": pictures.png_of(20_000, 20_000),
        "large.png": pictures.photo_as("png", 3000, 2000),
    }
    for name, content in made.items():
        temporary_file(tmp_path / "originals", name, content)
    return tmp_path / "originals"


def node(originals: Path, name: str, processes: int = 2, **server: object) -> Node:
    made = Node(
        originals.parent / name,
        processes=processes,
        sources={"photos": {"path": str(originals)}},
        presets={"small": "w_33"},
        render={"workers": 2},
    )
    made.override("server", **server)
    return made


def far_node(of: Origin, folder: Path, **server: object) -> Node:
    """One whose only original is there."""
    made = Node(folder / "far", processes=2, sources={"photos": of.source()}, render={"workers": 2})
    made.override("server", **server)
    return made


async def test_several_processes_answer_as_one_process(originals: Path) -> None:
    one, two = node(originals, "one", 1), node(originals, "two", 2)
    asks: list[tuple[str, dict[str, str]]] = [
        ("GET", {}), ("GET", {"Accept": "image/webp"}), ("HEAD", {}), ("POST", {}), ("GET", {"Range": "bytes=5-9"}),
        ("GET", {"Range": "bytes=999999999-"}), ("GET", {"If-None-Match": "*"}),
    ]  # fmt: skip
    with running(one, two):
        async with client() as session:
            for target in TARGETS:
                for method, headers in asks:
                    answers = [
                        await whole(session, method, each.url + target, headers) for each in (one, two)
                    ]
                    assert answers[0] == answers[1], (method, target, headers)
                    tag = answers[0][1].get("ETag")
                    if tag is not None:
                        held = {"If-None-Match": tag}
                        answers = [
                            await whole(session, "GET", each.url + target, held) for each in (one, two)
                        ]
                        assert answers[0] == answers[1]


async def whole(
    session: aiohttp.ClientSession, method: str, url: str, headers: dict[str, str]
) -> tuple[int, dict[str, str], bytes]:
    """An answer without what tells of time."""
    async with session.request(method, url, headers=headers) as answer:
        stable = {
            name: value for name, value in answer.headers.items() if name not in ("Server-Timing", "Date")
        }
        return answer.status, stable, await answer.read()


async def test_every_front_serves_a_replaced_file(originals: Path) -> None:
    two = node(originals, "two")
    with running(two):
        # A connection each, so that both fronts have the old one in memory.
        old = await get_all([two.url + "/w_60,f_png/photo.jpg"] * 30)
        assert len({answer.body for answer in old}) == 1
        temporary_file(originals, "new.jpg", pictures.photo_as("jpeg", seed=9)).replace(
            originals / "photo.jpg"
        )
        # Each front believes what it has seen for a second; then it is the new one, and stays so.
        await eventually_new(two.url + "/w_60,f_png/photo.jpg", old[0].body)
        assert two.metric("calotype_renders_total") == 2


async def eventually_new(url: str, old: bytes) -> None:
    """Until thirty connections in turn see one picture, and another than the old one."""
    deadline = time.monotonic() + LONGEST_S
    seen: set[bytes] = set()
    while len(seen) != 1 or old in seen:
        assert time.monotonic() < deadline
        seen = {answer.body for answer in await get_all([url] * 30)}


async def test_a_unix_socket_is_shared_by_several_processes(originals: Path, tmp_path: Path) -> None:
    path = tmp_path / "s"
    two = node(originals, "two", socket=str(path))
    with running(two):
        connector = aiohttp.UnixConnector(str(path), limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            answers = await asyncio.gather(
                *(get(session, "http://x/w_70,f_webp/photo.jpg") for _ in range(50))
            )
        assert {answer.status for answer in answers} == {200}
        assert two.metric("calotype_renders_total") == 1


@pytest.mark.parametrize("taken", ["public", "admin"])
def test_a_port_in_use_stops_the_start(originals: Path, taken: str) -> None:
    first, second = node(originals, "one"), node(originals, "two")
    with running(first):
        if taken == "public":
            server = json.loads(second.environment["CALOTYPE_SERVER"]) | {"port": first.port}
            second.environment["CALOTYPE_SERVER"] = json.dumps(server)
        else:
            second.environment["CALOTYPE_ADMIN"] = json.dumps({"port": first.admin_port})
        done = command(second)
    section = "server" if taken == "public" else "admin"
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"Error: {section}.port: cannot listen on 127.0.0.1:")
    assert "Address already in use" in done.stderr
    assert done.stderr.count("\n") == 1


def command(of: Node) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "proxy", "serve"],
        capture_output=True, text=True, cwd=ROOT, env=of.environment, timeout=LONGEST_S, check=False,
    )  # fmt: skip


def test_a_failed_start_of_the_back_is_reported_in_one_line(originals: Path, tmp_path: Path) -> None:
    two = node(originals, "two")
    file = temporary_file(tmp_path, "file", b"in the way")
    two.environment["CALOTYPE_CACHE"] = json.dumps({"disk": {"path": str(file)}})
    done = command(two)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: cache.disk.path: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("processes", [1, 2])
def test_workers_have_a_higher_niceness_and_processes_their_own_groups(
    originals: Path, processes: int
) -> None:
    """The scheduler weighs processes by niceness only within a session."""
    some = node(originals, "some", processes)
    with running(some):
        assert some.process is not None
        others = descendants(some.process.pid)
        assert len(others) == (2 if processes == 1 else 5)
        assert {os.getsid(pid) for pid in others} == {os.getsid(some.process.pid)}
        assert [os.getpgid(pid) for pid in others] == others
        nice = {pid: os.getpriority(os.PRIO_PROCESS, pid) for pid in (some.process.pid, *others)}
        calm = nice[some.process.pid]
        # 19 is the highest niceness there is (setpriority(2)), and the tests may run with it.
        assert {pid for pid in nice if nice[pid] > calm or calm == 19} >= set(some.workers())
        assert {nice[pid] for pid in others if pid not in some.workers()} <= {calm}


async def test_the_first_processes_are_copies_of_the_command(originals: Path) -> None:
    """So they import nothing, and a node of several is ready as soon as one of one. They have none of its files."""
    two = node(originals, "some")
    two.prefix = ["env"]  # The command as users run it, which inherits files.
    inherited, handed_on = os.pipe()
    os.set_inheritable(handed_on, True)
    pipe = os.readlink(f"/proc/self/fd/{handed_on}")
    try:
        with running(two):
            assert two.process is not None
            command = command_of(two.process.pid)
            assert pipe in files_of(two.process.pid)
            children = set(descendants(two.process.pid)) - set(two.workers())
            assert [command_of(pid) for pid in children] == [command] * 3
            assert not any(pipe in files_of(pid) for pid in [*children, *two.workers()])
            assert {files_of(pid)[0] for pid in children} == {"/dev/null"}
            front = next(pid for pid in children if pid != two.back())
            send_signal(front, signal.SIGKILL)
            await eventually(lambda: two.metric("calotype_processes_replaced_total", role="front") == 1)
            after = set(descendants(two.process.pid)) - set(two.workers())
            assert sorted(command_of(pid) == command for pid in after) == [False, True, True]
    finally:
        os.close(inherited)
        os.close(handed_on)


@pytest.mark.parametrize("to", ["supervisor", "everybody"])
async def test_a_stop_finishes_running_requests(tmp_path: Path, to: str) -> None:
    async with origin(pictures.photo_as("png")) as far:
        two = far_node(far, tmp_path)
        two.start()
        try:
            assert two.process is not None
            targets = [f"{two.url}{far.variant(f'w_{width},f_webp')}" for width in (240, 250)]
            asking = asyncio.create_task(get_all(targets * 5))
            await eventually(lambda: far.requests > 0 and two.metric("calotype_connections") == 10)
            tree = [two.process.pid, *descendants(two.process.pid)]
            workers = two.workers()
            for pid in tree if to == "everybody" else tree[:1]:
                if pid not in workers:
                    send_signal(pid, signal.SIGTERM)
            await eventually(lambda: "draining" in two.log())
            far.may_send.set()
            answers = await asking
            assert {answer.status for answer in answers} == {200}
            assert await asyncio.to_thread(two.process.wait, LONGEST_S) == 0
            await eventually(lambda: not any(map(alive, tree)))
            assert "stopped" in two.log()
        finally:
            two.kill()


async def test_a_second_signal_ends_the_drain(tmp_path: Path) -> None:
    async with origin(pictures.photo_as("png")) as far:
        two = far_node(far, tmp_path, drain="1h", request_timeout="1h")
        two.start()
        try:
            assert two.process is not None
            tree = descendants(two.process.pid)
            asking = asyncio.create_task(get_all([two.url + far.variant("w_240,f_webp")]))
            await eventually(lambda: far.requests > 0)
            two.process.send_signal(signal.SIGTERM)
            await eventually(lambda: "draining" in two.log())
            assert two.process.poll() is None
            two.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(two.process.wait, LONGEST_S)
            await asyncio.gather(asking, return_exceptions=True)
            await eventually(lambda: not any(map(alive, tree)))
        finally:
            two.kill()


async def test_counters_survive_the_end_of_a_process(originals: Path) -> None:
    two = node(originals, "two")
    with running(two):
        assert two.process is not None
        await get_all([two.url + "/w_80,f_webp/photo.jpg"] * 100)
        assert two.metric("calotype_requests_total") == 100
        fronts = [pid for pid in descendants(two.process.pid) if pid not in (two.back(), *two.workers())]
        send_signal(max(fronts, key=cpu_s), signal.SIGKILL)
        await eventually(two.ready)
        assert two.metric("calotype_requests_total") == 100
        assert two.metric("calotype_request_seconds_count") == 100
        await get_all([two.url + "/w_80,f_webp/photo.jpg"] * 10)
        assert two.metric("calotype_requests_total") == 110


async def test_log_lines_of_several_processes_are_whole(originals: Path) -> None:
    two = node(originals, "two")
    reading, writing = os.pipe()
    two.process = subprocess.Popen(
        [sys.executable, "-m", "proxy", "serve"], stdout=writing, cwd=ROOT, env=two.environment
    )
    os.close(writing)
    lines: list[bytes] = []

    def read() -> None:
        with os.fdopen(reading, "rb") as pipe:
            lines.extend(pipe)

    collecting = asyncio.create_task(asyncio.to_thread(read))
    await eventually(two.ready)
    await get_all([f"{two.url}/w_{30 + number % 7},f_webp/photo.jpg" for number in range(4000)], at_once=64)
    assert two.stop() == 0
    await collecting
    events = [json.loads(line) for line in lines]
    assert sum(event["event"] == "request" for event in events) == 4000


async def test_readiness_reports_a_stopped_back(originals: Path) -> None:
    two = node(originals, "two")
    with running(two):
        await get_all([two.url + "/w_80,f_webp/photo.jpg"] * 20)
        back = two.back()
        send_signal(back, signal.SIGSTOP)
        assert two.call("GET", "/readyz").status == 503
        hits = await get_all([two.url + "/healthz"] * 4)
        assert {answer.status for answer in hits} == {200}
        assert two.metric("calotype_requests_total") == 20, "what can be told is told"
        send_signal(back, signal.SIGCONT)
        await eventually(two.ready)


async def test_a_killed_node_leaves_no_temporary_file(originals: Path) -> None:
    two = node(originals, "two")
    two.environment["TMPDIR"] = str(temporary_file(originals.parent / "tmp", "x", b"").parent)
    two.start()
    await get_all([two.url + "/w_80,f_webp/photo.jpg"] * 20)
    two.kill()
    assert [path.name for path in (originals.parent / "tmp").iterdir()] == ["x"]


async def test_disconnected_clients_leave_no_open_descriptor(originals: Path) -> None:
    two = node(originals, "two")
    with running(two):
        assert two.process is not None
        served = [pid for pid in descendants(two.process.pid) if pid not in two.workers()]
        await get_all([two.url + "/original/large.png"] * 20)

        def held() -> int:
            return sum("originals/" in path for pid in served for path in files_of(pid))

        async def leave(after_s: float) -> None:
            _, writer = await asyncio.open_connection("127.0.0.1", two.port)
            writer.write(b"GET /original/large.png HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.sleep(after_s)
            writer.transport.abort()

        for _ in range(10):
            await asyncio.gather(*(leave(number / 2000) for number in range(60)))
        await eventually(lambda: held() == 0)


async def test_slow_readers_of_originals_delay_no_other_client(originals: Path) -> None:
    two = node(originals, "two")
    with running(two):
        connections = []
        for _ in range(1200):
            _, writer = await asyncio.open_connection("127.0.0.1", two.port, limit=1)
            writer.write(b"GET /original/large.png HTTP/1.1\r\nHost: x\r\n\r\n")
            connections.append(writer)
        try:
            await eventually(lambda: two.metric("calotype_connections") == 1200)
            # Few renders: workers yield to everything else on a busy machine.
            answers = await get_all([f"{two.url}/w_{width},f_webp/photo.jpg" for width in range(20, 28)])
            assert {answer.status for answer in answers} == {200}
        finally:
            for writer in connections:
                writer.transport.abort()
        await eventually(lambda: two.metric("calotype_connections") == 0)


async def test_a_hanging_back_does_not_delay_a_stop(originals: Path) -> None:
    two = node(originals, "two", drain="3s")
    two.start()
    try:
        assert two.process is not None
        send_signal(two.back(), signal.SIGSTOP)
        asking = [asyncio.create_task(asyncio.to_thread(ask_quietly, two)) for _ in range(30)]
        two.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(two.process.wait, LONGEST_S) == 0
        await asyncio.gather(*asking)
    finally:
        two.kill()


def ask_quietly(of: Node) -> None:
    with contextlib.suppress(OSError):
        of.admin("/metrics")


async def test_modules_of_the_working_directory_are_not_imported(originals: Path, tmp_path: Path) -> None:
    temporary_file(tmp_path, "cwd/structlog.py", b"open('ran', 'w')\nraise SystemExit('not mine')\n")
    two = node(originals, "two")
    calotype = Path(sys.executable).with_name("calotype")
    two.process = subprocess.Popen([str(calotype), "serve"], cwd=tmp_path / "cwd", env=two.environment)
    try:
        await eventually(two.ready)
        assert two.stop() == 0
    finally:
        two.kill()
    assert not (tmp_path / "cwd/ran").exists()
