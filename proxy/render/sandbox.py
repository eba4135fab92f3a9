"""The sandbox of a worker, entered before the first picture: no root, files, network or other processes.

Landlock, which the kernel checks by path, and a seccomp filter, which allows only the system calls of rendering from
memory, each suffice alone. The only files that a worker can write come with its jobs: empty ones in memory, for reductions. A
worker that draws texts, and sees no picture, may read the folders of fonts: Landlock alone confines it to these.
A layer that this machine does not support is reported; `factory.check_worker` decides whether the node starts without it.
"""

import ctypes
import os
import resource
from collections.abc import Sequence

from proxy.render.protocol import MAX_REDUCTION_BYTES

NOBODY = 65_534
MAX_FILES = 32

_ALLOWED = (
    # Receives jobs and originals, sends answers.
    "read", "write", "readv", "writev", "pread64", "recvmsg", "recvfrom", "sendto", "close", "fstat",
    # Memory; PROT_EXEC is restricted below.
    "munmap", "mremap", "madvise", "brk",
    # Threads, waiting, time.
    "futex", "futex_waitv", "restart_syscall", "set_robust_list", "set_tid_address", "rseq", "membarrier",
    "sched_yield", "sched_getaffinity", "getcpu", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep",
    "gettimeofday", "time", "setitimer", "poll", "ppoll",
    # Calls of the language runtime.
    "getpid", "gettid", "getrandom", "getrusage", "sysinfo", "uname", "rt_sigaction", "rt_sigprocmask",
    "rt_sigreturn", "sigaltstack", "exit", "exit_group",
)  # fmt: skip

_ALLOWED_TO_READ = (
    "openat", "open", "newfstatat", "stat", "lstat", "statx", "access", "faccessat", "faccessat2", "getdents64", "lseek",
    "readlink", "readlinkat", "fcntl", "fstatfs", "statfs",
)  # fmt: skip
"""For a worker that reads folders."""

_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000  # seccomp.h
_EPERM, _ENOSYS = 1, 38
_EQUAL, _MASKED_EQUAL = 4, 7
_TSYNC = 4
_CLONE_THREAD = 0x00010000
_PROT_EXEC = 4
_MAP_SHARED = 1
_PR_SET_NO_NEW_PRIVS, _PR_SET_NAME, _PR_SET_VMA = 38, 15, 0x53564D41

_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_PATH_BENEATH = 1
_LANDLOCK_READ = 1 << 2 | 1 << 3  # Files and folders.
_LANDLOCK_VERSION = 1
# The number of rights of each Landlock version: files, network, scope (landlock.h).
_LANDLOCK_RIGHTS = ((13, 0, 0), (14, 0, 0), (15, 0, 0), (15, 2, 0), (16, 2, 0), (16, 2, 2))


class _NoLayer(Exception):
    """A layer that this machine does not support; the message gives the reason."""


def forbid_dumps() -> None:
    """Disables core dumps of this process and its children. The limit is one byte, because with 0 a dump is still
    piped to a handler (core(5)); a lower hard limit stays."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    value = 1 if hard == resource.RLIM_INFINITY else min(1, hard)
    resource.setrlimit(resource.RLIMIT_CORE, (value, value))


def enter(*, cpu_s: int, readable: Sequence[str] = ()) -> list[str]:
    """Enters the sandbox with all threads; returns a message for each layer that is not supported.

    Called once, after everything that rendering needs was imported and used: no file can be opened afterwards but those in the
    folders `readable`. `cpu_s` limits the CPU time of the whole process.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    filter = _Filter((*_ALLOWED, *_ALLOWED_TO_READ) if readable else _ALLOWED)
    missing = []
    for limit, value in (
        (resource.RLIMIT_FSIZE, MAX_REDUCTION_BYTES),
        (resource.RLIMIT_NOFILE, MAX_FILES),
        (resource.RLIMIT_CPU, cpu_s),
    ):
        resource.setrlimit(limit, (value, value))
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for enter_layer in (_leave_root, lambda: _landlock(libc, readable), filter.load):
        try:
            enter_layer()
        except _NoLayer as reason:
            missing.append(str(reason))
    return missing


def _leave_root() -> None:
    if os.geteuid() != 0:
        return
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError as fault:
        raise _NoLayer(f"user: cannot change from root to the user nobody: {fault.strerror}") from None


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scope", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def _landlock(libc: ctypes.CDLL, readable: Sequence[str]) -> None:
    """Applies a Landlock ruleset that handles every right the kernel supports and grants only reading in `readable`."""
    version = libc.syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION)
    if version < 1:
        raise _NoLayer(f"landlock: the kernel has none: {os.strerror(ctypes.get_errno())}")
    rights = _LANDLOCK_RIGHTS[min(version, len(_LANDLOCK_RIGHTS)) - 1]
    rules = _Ruleset(*((1 << count) - 1 for count in rights))
    size = 8 * (1 if version < 4 else 2 if version < 6 else 3)
    ruleset = libc.syscall(_LANDLOCK_CREATE, ctypes.byref(rules), ctypes.c_size_t(size), 0)
    if ruleset < 0:
        raise _NoLayer(f"landlock: the kernel refuses it: {os.strerror(ctypes.get_errno())}")
    try:
        for folder in readable:
            _let_read(libc, ruleset, folder)
        if libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0):
            raise _NoLayer(f"landlock: the kernel refuses it: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(ruleset)


def _let_read(libc: ctypes.CDLL, ruleset: int, folder: str) -> None:
    try:
        parent = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return  # There is nothing to be read.
    try:
        rule = _PathBeneath(_LANDLOCK_READ, parent)
        if libc.syscall(_LANDLOCK_ADD, ruleset, _LANDLOCK_PATH_BENEATH, ctypes.byref(rule), 0):
            raise _NoLayer(f"landlock: the kernel refuses a folder: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(parent)


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


class _Filter:
    """A libseccomp filter: EPERM for other calls than `allowed`. The library is loaded while files can be opened."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = allowed
        try:
            self._library: ctypes.CDLL | None = ctypes.CDLL("libseccomp.so.2")
        except OSError:
            self._library = None

    def load(self) -> None:
        """Applies the filter to all threads, existing ones included (TSYNC)."""
        if (library := self._library) is None:
            raise _NoLayer("seccomp: libseccomp.so.2 is missing; as root: apt-get install libseccomp2")
        library.seccomp_init.restype = ctypes.c_void_p
        context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_ERRNO | _EPERM)))

        def add(action: int, name: str, *comparisons: tuple[int, int, int, int]) -> None:
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number >= 0:  # The call exists on this architecture.
                array = (_Comparison * len(comparisons))(*(_Comparison(*each) for each in comparisons))
                _check(
                    library.seccomp_rule_add_array(
                        context, ctypes.c_uint32(action), number, len(comparisons), array
                    )
                )

        for name in self._allowed:
            add(_ALLOW, name)
        # glibc falls back to clone if clone3, whose flags a filter cannot see, does not exist.
        add(_ALLOW, "clone", (0, _MASKED_EQUAL, _CLONE_THREAD, _CLONE_THREAD))
        add(_ERRNO | _ENOSYS, "clone3")
        add(_ALLOW, "mprotect", (2, _MASKED_EQUAL, _PROT_EXEC, 0))
        # No executable memory, and no shared mapping through which a file could be written.
        add(_ALLOW, "mmap", (2, _MASKED_EQUAL, _PROT_EXEC, 0), (3, _MASKED_EQUAL, _MAP_SHARED, 0))
        for option in (_PR_SET_NAME, _PR_SET_VMA):
            add(_ALLOW, "prctl", (0, _EQUAL, option, 0))
        _check(library.seccomp_attr_set(context, _TSYNC, ctypes.c_uint32(1)))
        _check(library.seccomp_load(context))


def _check(result: int) -> None:
    if result < 0:
        raise _NoLayer(f"seccomp: the kernel refuses the filter: {os.strerror(-result)}")
