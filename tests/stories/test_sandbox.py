"""On a machine without a sandbox a node warns, or does not start if the sandbox is required."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.stories.fleet import Node, running
from tests.stories.test_commands import environment
from tests.support import pictures
from tests.support.fakes import temporary_file
from tests.support.waiting import LONGEST_S, eventually_sync

REFUSING = """
import ctypes, os, sys
library = ctypes.CDLL("libseccomp.so.2")
library.seccomp_init.restype = ctypes.c_void_p
context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(0x7FFF0000)))
for name in (b"seccomp", b"landlock_create_ruleset"):
    number = library.seccomp_syscall_resolve_name(name)
    assert library.seccomp_rule_add_array(context, ctypes.c_uint32(0x00050001), number, 0, None) == 0
assert library.seccomp_load(context) == 0
os.execv(sys.executable, [sys.executable, "-m", "proxy", *sys.argv[1:]])
"""


def node(folder: Path, *words: str, sandbox: str) -> "subprocess.Popen[str]":
    temporary_file(folder / "in", "photo.jpg", pictures.photo_as("jpeg"))
    return subprocess.Popen(
        [sys.executable, "-c", REFUSING, *words],
        env=environment(folder, CALOTYPE_RENDER__SANDBOX=sandbox, CALOTYPE_ADMIN__PORT="0", CALOTYPE_RENDER__WORKERS="2"),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("processes", ["1", "2"])
def test_without_a_sandbox_the_node_starts_with_one_warning(tmp_path: Path, processes: str) -> None:
    words = ("serve", "--originals", str(tmp_path / "in"), "--port", "0", "--processes", processes)
    running = node(tmp_path, *words, sandbox="auto")
    try:
        assert running.stdout is not None
        log_lines: list[dict[str, str]] = []
        while not log_lines or log_lines[-1]["event"] != "ready":
            log_lines.append(json.loads(running.stdout.readline()))
        with urllib.request.urlopen(
            log_lines[-1]["public"] + "/w_100/photo.jpg", timeout=LONGEST_S
        ) as answer:
            assert pictures.size(answer.read()) == (100, 75)
    finally:
        running.terminate()
        rest, _ = running.communicate(timeout=LONGEST_S)
    # A busy machine may block the event loop, which is another warning.
    warnings = [line for line in log_lines if line["level"] == "warning" and "blocked" not in line["event"]]
    assert len(warnings) == 1
    assert "not fully sandboxed" in warnings[0]["event"]
    assert "seccomp: the kernel refuses" in warnings[0]["event"]
    assert "landlock: the kernel has none" in warnings[0]["event"]
    assert "sandboxed" not in rest


def is_confined(pid: int) -> bool:
    """Whether the seccomp filter, which is the last part of the sandbox, is installed (proc(5))."""
    return "\nSeccomp:\t2\n" in Path(f"/proc/{pid}/status").read_text()


@pytest.mark.parametrize("processes", [1, 2])
def test_a_worker_has_only_its_socket_open(tmp_path: Path, processes: int) -> None:
    """Whatever the node was started with, listens on or talks through."""
    temporary_file(tmp_path / "in", "photo.jpg", pictures.photo_as("jpeg"))
    node = Node(tmp_path / "node", processes=processes, sources={"photos": {"path": str(tmp_path / "in")}})
    secret = os.open(temporary_file(tmp_path, "secret", b"classified"), os.O_RDWR)
    os.set_inheritable(secret, True)
    try:
        with running(node):
            urllib.request.urlopen(f"{node.url}/w_100/photo.jpg", timeout=LONGEST_S).close()
            # The other workers may still load their libraries.
            eventually_sync(lambda: all(map(is_confined, node.workers())))
            workers = node.workers()
            assert workers
            for pid in workers:
                opened = {each.name: os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()}
                sockets = [where for where in opened.values() if where.startswith("socket:")]
                assert len(sockets) == 1, opened
                assert len(opened) == 4, opened
    finally:
        os.close(secret)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_without_a_required_sandbox_the_node_does_not_start(tmp_path: Path, processes: str) -> None:
    words = ("serve", "--originals", str(tmp_path / "in"), "--port", "0", "--processes", processes)
    began_s = time.monotonic()
    running = node(tmp_path, *words, sandbox="required")
    out, _ = running.communicate(timeout=LONGEST_S)
    assert running.returncode == 1, time.monotonic() - began_s
    assert out.strip().splitlines()[-1].startswith("Error: render.sandbox: workers are not fully sandboxed")


def test_check_reports_the_sandbox(tmp_path: Path) -> None:
    words = ("check", "--originals", str(tmp_path / "in"))
    out, _ = node(tmp_path, *words, sandbox="auto").communicate(timeout=LONGEST_S)
    assert "sandbox: workers are not fully sandboxed: landlock" in out
    whole = subprocess.run(
        [sys.executable, "-m", "proxy", *words], env=environment(tmp_path), capture_output=True, text=True, timeout=LONGEST_S,
        check=False,
    )  # fmt: skip
    assert "ok    sandbox: whole" in whole.stdout
