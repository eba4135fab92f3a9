"""A worker under the control of an attacker: each forbidden system call is tried from inside and refused."""

import ctypes
import json
import os
import select
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pyvips

from proxy.core.errors import RenderTimeout, Undecodable, WorkerDied
from proxy.core.transform.plan import Plan
from proxy.render.pool import Pool
from proxy.render.protocol import MAX_REDUCTION_BYTES
from proxy.render.sandbox import MAX_FILES, NOBODY
from tests.render.conftest import WORKER_LIMITS, plan_for
from tests.render.test_pool import PICTURE, PLAN, pids, render
from tests.support import pictures
from tests.support.waiting import eventually

MakePool = Callable[..., Pool]

CALLS = (
    # files
    "open", "openat", "openat2", "creat", "open_by_handle_at", "name_to_handle_at", "unlink", "unlinkat", "rename",
    "renameat2", "mkdir", "rmdir", "link", "symlink", "chmod", "fchmod", "chown", "truncate", "ftruncate", "mknod",
    "stat", "newfstatat", "statx", "access", "readlink", "getdents64", "chdir", "getcwd", "utimensat", "inotify_init1",
    "fanotify_init", "memfd_create", "memfd_secret", "sendfile", "splice", "copy_file_range", "ioctl", "fcntl", "dup",
    # network
    "socket", "socketpair", "connect", "bind", "listen", "accept4", "sendmsg", "sendmmsg", "setsockopt", "pipe2",
    # other processes
    "fork", "vfork", "execve", "execveat", "kill", "tkill", "tgkill", "ptrace", "process_vm_readv", "process_vm_writev",
    "pidfd_open", "pidfd_getfd", "pidfd_send_signal", "rt_sigqueueinfo", "setpgid", "setsid", "wait4", "kcmp", "shmget",
    "msgget", "semget", "mq_open",
    # the kernel and its rights
    "setuid", "setresuid", "setgroups", "capset", "chroot", "pivot_root", "mount", "umount2", "unshare", "setns", "bpf",
    "io_uring_setup", "io_uring_enter", "userfaultfd", "perf_event_open", "keyctl", "add_key", "request_key",
    "init_module", "finit_module", "kexec_load", "reboot", "swapon", "settimeofday", "clock_settime", "sethostname",
    "personality", "seccomp", "landlock_create_ruleset", "prlimit64", "setrlimit", "setpriority", "sched_setscheduler",
    "iopl", "ioperm", "modify_ldt", "pkey_mprotect", "process_madvise", "vmsplice", "remap_file_pages",
)  # fmt: skip

INSIDE = """
import _thread, ctypes, errno, os, signal, socket, sys
import msgspec
from proxy.core.errors import Undecodable

libc = ctypes.CDLL(None, use_errno=True)
SELF_EXEC, CLONE_THREAD, PR_SET_DUMPABLE, ANONYMOUS, SHARED, RW, RX = 4, 0x10000, 4, 0x22, 0x21, 3, 5

def raw(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(number, *arguments)
    return "allowed" if result != -1 else errno.errorcode[ctypes.get_errno()]

def python(attempt):
    try:
        attempt()
    except OSError as refused:
        return errno.errorcode[refused.errno]
    return "allowed"

def attempts(numbers):
    results = {name: raw(number, 0, 0, 0, 0, 0, 0) for name, number in numbers.items() if name not in SPECIAL}
    mapped = libc.mmap
    mapped.restype = ctypes.c_void_p
    page = mapped(None, 4096, RW, ANONYMOUS, -1, ctypes.c_long(0))
    results |= {
        "clone": raw(numbers["clone"], signal.SIGCHLD, 0, 0, 0, 0),
        "clone3": raw(numbers["clone3"], 0, 0),
        "shared mmap": raw(numbers["mmap"], None, 4096, RW, SHARED, -1, 0),
        "executable mmap": raw(numbers["mmap"], None, 4096, RX, ANONYMOUS, -1, 0),
        "executable mprotect": raw(numbers["mprotect"], ctypes.c_void_p(page), 4096, RX),
        "dumpable": raw(numbers["prctl"], PR_SET_DUMPABLE, 1, 0, 0, 0),
        "open()": python(lambda: open("/etc/passwd")),
        "environ": python(lambda: open("/proc/self/environ")),
        "write": python(lambda: open("/tmp/calotype-was-here", "w")),
        "listdir": python(lambda: os.listdir("/")),
        "socket()": python(lambda: socket.socket()),
        "unix socket": python(lambda: socket.socket(socket.AF_UNIX)),
        "os.fork": python(os.fork),
        "posix_spawn": python(lambda: os.posix_spawn("/bin/true", ["true"], {})),
        "os.execv": python(lambda: os.execv("/bin/true", ["true"])),
        "kill parent": python(lambda: os.kill(int(PARENT), 9)),
        "readable memory": "ok" if page not in (None, ctypes.c_void_p(-1).value) else "refused",
    }
    return results

SPECIAL = ("clone", "clone3", "mmap", "mprotect", "prctl")

class Spy:
    def __getattr__(self, name):
        results = {"main thread": attempts(NUMBERS)}
        done = _thread.allocate_lock()
        done.acquire()
        def elsewhere():
            results["new thread"] = attempts(NUMBERS)
            done.release()
        _thread.start_new_thread(elsewhere, ())
        done.acquire()
        raise Undecodable(msgspec.json.encode(results).decode())
"""


def numbers() -> dict[str, int]:
    library = ctypes.CDLL("libseccomp.so.2")
    names = (*CALLS, "clone", "clone3", "mmap", "mprotect", "prctl")
    found = {name: library.seccomp_syscall_resolve_name(name.encode()) for name in names}
    return {name: number for name, number in found.items() if number >= 0}


class TakeOver:
    """Unpickles, in whoever unpickles it, to an object that tries everything."""

    def __reduce__(self) -> tuple[Any, ...]:
        known = {"NUMBERS": numbers(), "PARENT": os.getpid()}
        return eval, ("(exec(code, globals()), Spy())[1]", {"code": INSIDE, **known})


def judge(results: dict[str, dict[str, str]]) -> None:
    assert set(results) == {"main thread", "new thread"}
    for where, outcomes in results.items():
        assert len(outcomes) > 100
        assert outcomes.pop("readable memory") == "ok", "the attempts themselves work"
        assert outcomes.pop("clone3") == "ENOSYS"
        assert {name: got for name, got in outcomes.items() if got != "EPERM"} == {}, where


async def test_every_forbidden_system_call_is_refused(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.start()
    plan: Plan = TakeOver()  # type: ignore[assignment]
    with pytest.raises(Undecodable) as caught:
        await render(pool, PICTURE, plan)
    judge(json.loads(caught.value.detail))
    assert pictures.size(await render(pool, PICTURE, PLAN)) == (100, 75), "and it still draws"


async def test_without_the_sandbox_the_same_system_calls_succeed(make_pool: MakePool) -> None:
    """The attempts can succeed: what refuses them is the sandbox."""
    pool = make_pool(worker_limits=replace(WORKER_LIMITS, sandboxed=False))
    hello = await pool.start()
    assert hello.missing == []
    [pid] = pids(pool)
    assert "Seccomp:\t0" in Path(f"/proc/{pid}/status").read_text()


async def test_every_thread_is_sandboxed(make_pool: MakePool) -> None:
    pool = make_pool()
    hello = await pool.start()
    assert hello.missing == []
    await render(pool, PICTURE, PLAN)
    [pid] = pids(pool)
    threads = list(Path(f"/proc/{pid}/task").iterdir())
    assert len(threads) > 1, "libvips has threads of its own"
    user = NOBODY if os.geteuid() == 0 else os.geteuid()
    for thread in threads:
        status = dict(
            line.split(":\t", 1) for line in (thread / "status").read_text().splitlines() if ":\t" in line
        )
        assert (status["Seccomp"], status["NoNewPrivs"], status["CapEff"]) == ("2", "1", "0" * 16)
        assert set(status["Uid"].split()) == {str(user)}
    limits = {
        line[:26].strip(): line[26:].split()[:2]
        for line in Path(f"/proc/{pid}/limits").read_text().splitlines()
    }
    assert limits["Max file size"] == [str(MAX_REDUCTION_BYTES)] * 2
    assert limits["Max open files"] == [str(MAX_FILES)] * 2
    assert limits["Max cpu time"] == [str(WORKER_LIMITS.cpu_s)] * 2
    assert limits["Max core file size"] == ["1", "1"]
    assert limits["Max address space"] == [str(WORKER_LIMITS.memory_bytes)] * 2


async def test_a_worker_closes_each_original_after_its_job(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.start()
    [pid] = pids(pool)
    for _ in range(2 * MAX_FILES):
        await render(pool, PICTURE, PLAN)
    assert pids(pool) == [pid]


FORGE = """
import _thread, os, struct, time
from proxy.core.errors import Undecodable

ANSWER = ANSWER_TEXT

def forged(number, body):
    text = ANSWER % number
    return struct.pack(">IQ", len(text), len(body)) + text + body

class Spy:
    def __getattr__(self, name):
        if NOW:
            os.write(CHANNEL, forged(JOB, BODY))
            time.sleep(60)
        def later():
            time.sleep(0.1)
            os.write(CHANNEL, forged(JOB + 1, BODY))
        _thread.start_new_thread(later, ())
        raise Undecodable("no")

CHANNEL = next(n for n in range(3, 4096) if "socket" in DESCRIPTORS.get(n, ""))
"""


class Forge:
    """Sends an answer of its own making, at once or when it has answered already."""

    def __init__(self, *, now: bool, body: bytes, job: int, channel: int) -> None:
        self.known = {
            "NOW": now, "BODY": body, "JOB": job, "DESCRIPTORS": {channel: "socket"}, "ANSWER_TEXT": b'{"number":%d}',
        }  # fmt: skip

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("(exec(code, globals()), Spy())[1]", {"code": FORGE, **self.known})


def channel_of(pid: int) -> int:
    [found] = [int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir() if "socket" in os.readlink(each)]
    return found


async def test_a_forged_answer_for_another_job_is_refused(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.start()
    [pid] = pids(pool)
    plan: Plan = Forge(now=False, body=b"EVIL", job=1, channel=channel_of(pid))  # type: ignore[assignment]
    with pytest.raises(Undecodable, match="no"):
        await render(pool, PICTURE, plan)
    [channel] = [worker._channel for worker in pool._alive]
    # The forged answer has arrived, or the pool has noticed.
    await eventually(lambda: pids(pool) != [pid] or select.select([channel], [], [], 0)[0])
    assert pictures.size(await render(pool, PICTURE, PLAN)) == (100, 75), (
        "by another, and held against nobody"
    )
    assert pids(pool) != [pid]


async def test_an_answer_in_another_format_is_refused(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.start()
    [pid] = pids(pool)
    plan: Any = Forge(now=True, body=b"<script>", job=1, channel=channel_of(pid))
    plan.output = PLAN.output
    with pytest.raises(WorkerDied):
        await render(pool, PICTURE, plan)


async def test_a_false_length_allocates_no_memory(make_pool: MakePool) -> None:
    """Of half a gigabyte, of which nothing comes."""
    pool = make_pool(timeout_s=0.5)
    await pool.start()
    [pid] = pids(pool)
    before = resident_bytes()
    code = FORGE.replace("len(body)) + text", "500_000_000) + text")
    plan: Any = Forge(now=True, body=b"", job=1, channel=channel_of(pid))
    plan.known["code"] = code
    with pytest.raises(RenderTimeout):
        await render(pool, PICTURE, plan)
    assert resident_bytes() - before < 100_000_000


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("kind", ["deep AVIF", "broken profile"])
async def test_a_picture_that_libvips_would_write_to_a_file_is_rendered(
    make_pool: MakePool, kind: str
) -> None:
    """Above 100 MB libvips would like to put it into a file."""
    if kind == "deep AVIF":
        image = pyvips.Image.xyz(5600, 3800).cast("ushort").bandjoin_const(7).copy(interpretation="rgb16")
        content = bytes(image.heifsave_buffer(compression="av1", bitdepth=10, effort=0))
    else:
        content = pictures.with_broken_profile(scale=18)
    pool = make_pool(timeout_s=30.0)
    await pool.start()
    assert pictures.size(await render(pool, content, plan_for("w_100,f_jpg", PICTURE), seconds=30))[0] == 100


async def test_copyright_fields_are_read_in_the_sandbox(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.start()
    content = pictures.with_exif(1)
    drawn = await render(pool, content, plan_for("w_100,meta_copyright,f_jpg", content))
    assert b"SECRETOWNER" in drawn
    assert b"SECRETCAMERA" not in drawn


PLAIN = """
import json, os, signal, socket, sys
import msgspec
from proxy.core.errors import Undecodable
from proxy.render import pipeline, sandbox
pipeline.harden()
pipeline.working_formats()
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(1234, 1234, 1234)
    os.setresuid(1234, 1234, 1234)
missing = sandbox.enter(cpu_s=100)
assert missing == [], missing
assert len(pipeline.working_formats()) == 5
known = json.loads(sys.argv[1])
exec(known.pop("INSIDE"), known)
try:
    known["Spy"]().encode
except Undecodable as refusal:
    print(refusal.detail)
"""


def test_the_sandbox_restricts_an_unprivileged_user_too() -> None:
    known = json.dumps({"NUMBERS": numbers(), "PARENT": os.getpid(), "INSIDE": INSIDE})
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, known], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    judge(json.loads(done.stdout))
