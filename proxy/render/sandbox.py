"""What a worker gives up before it sees the first picture: its user, every file, the network, other processes.

Two walls, each whole by itself: Landlock, which the kernel checks by path, and a seccomp filter that lets through
nothing but what rendering from memory takes. What cannot be built is told, in words for the owner; who must not go on
without it decides above.
"""

import ctypes
import os
import resource

NOBODY = 65_534
MAX_FILES = 32

_ALLOWED = (
    # Jobs and originals come, answers go.
    "read", "write", "readv", "writev", "pread64", "recvmsg", "recvfrom", "sendto", "close", "fstat",
    # Memory; what may be executed is settled below.
    "munmap", "mremap", "madvise", "brk",
    # Threads, waiting, time.
    "futex", "futex_waitv", "restart_syscall", "set_robust_list", "set_tid_address", "rseq", "membarrier",
    "sched_yield", "sched_getaffinity", "getcpu", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep",
    "gettimeofday", "time", "setitimer", "poll", "ppoll",
    # What a runtime asks of itself.
    "getpid", "gettid", "getrandom", "getrusage", "sysinfo", "uname", "rt_sigaction", "rt_sigprocmask",
    "rt_sigreturn", "sigaltstack", "exit", "exit_group",
)  # fmt: skip

_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000  # seccomp.h
_EPERM, _ENOSYS = 1, 38
_EQUAL, _MASKED_EQUAL = 4, 7
_TSYNC = 4
_CLONE_THREAD = 0x00010000
_PROT_EXEC = 4
_MAP_SHARED = 1
_PR_SET_NO_NEW_PRIVS, _PR_SET_NAME, _PR_SET_VMA = 38, 15, 0x53564D41

_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446
_LANDLOCK_VERSION = 1
# How many rights each version of Landlock knows: to files, to the network, over other processes (landlock.h).
_LANDLOCK_RIGHTS = ((13, 0, 0), (14, 0, 0), (15, 0, 0), (15, 2, 0), (16, 2, 0), (16, 2, 2))


class _LayerUnavailable(Exception):
    """A wall that cannot be built, and why."""


def forbid_dumps() -> None:
    """No dump of this process, and of those it starts: a byte at most, for with 0 one is still piped to a handler
    (core(5)); who started us may have allowed less, and then that is all there is to forbid."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    most = 1 if hard == resource.RLIM_INFINITY else min(1, hard)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))


def enter(*, cpu_s: int) -> list[str]:
    """Closes everything behind this process and all its threads; returns what could not be closed.

    Called once, with all that rendering needs imported and used: no file opens after it. `cpu_s` bounds the processor
    time of this process's whole life.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    filter = _Filter()
    missing = []
    for limit, most in (
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, MAX_FILES),
        (resource.RLIMIT_CPU, cpu_s),
    ):
        resource.setrlimit(limit, (most, most))
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for wall in (_leave_root, lambda: _landlock(libc), filter.load):
        try:
            wall()
        except _LayerUnavailable as reason:
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
        raise _LayerUnavailable(f"user: cannot change from root to nobody: {fault.strerror}") from None


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scope", ctypes.c_uint64))


def _landlock(libc: ctypes.CDLL) -> None:
    """A ruleset that handles every right the kernel knows and grants none."""
    version = libc.syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION)
    if version < 1:
        raise _LayerUnavailable(f"landlock: the kernel has none: {os.strerror(ctypes.get_errno())}")
    rights = _LANDLOCK_RIGHTS[min(version, len(_LANDLOCK_RIGHTS)) - 1]
    rules = _Ruleset(*((1 << count) - 1 for count in rights))
    size = 8 * (1 if version < 4 else 2 if version < 6 else 3)
    ruleset = libc.syscall(_LANDLOCK_CREATE, ctypes.byref(rules), ctypes.c_size_t(size), 0)
    if ruleset < 0:
        raise _LayerUnavailable(f"landlock: the kernel refuses it: {os.strerror(ctypes.get_errno())}")
    try:
        if libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0):
            raise _LayerUnavailable(f"landlock: the kernel refuses it: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(ruleset)


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


class _Filter:
    """A filter of libseccomp, which answers EPERM to whatever it was not told of. Found before files are closed."""

    def __init__(self) -> None:
        try:
            self._library: ctypes.CDLL | None = ctypes.CDLL("libseccomp.so.2")
        except OSError:
            self._library = None

    def load(self) -> None:
        """For every thread, those that live already too."""
        if (library := self._library) is None:
            raise _LayerUnavailable(
                "seccomp: libseccomp.so.2 is missing; as root: apt-get install libseccomp2"
            )
        library.seccomp_init.restype = ctypes.c_void_p
        context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_ERRNO | _EPERM)))

        def add(action: int, name: str, *comparisons: tuple[int, int, int, int]) -> None:
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number >= 0:  # This machine has one of that name.
                array = (_Comparison * len(comparisons))(*(_Comparison(*each) for each in comparisons))
                _check(
                    library.seccomp_rule_add_array(
                        context, ctypes.c_uint32(action), number, len(comparisons), array
                    )
                )

        for name in _ALLOWED:
            add(_ALLOW, name)
        # glibc forks by clone too, and goes back to it where clone3, whose flags nobody can see, does not exist.
        add(_ALLOW, "clone", (0, _MASKED_EQUAL, _CLONE_THREAD, _CLONE_THREAD))
        add(_ERRNO | _ENOSYS, "clone3")
        add(_ALLOW, "mprotect", (2, _MASKED_EQUAL, _PROT_EXEC, 0))
        # Nothing to execute, and no file to write into by way of memory.
        add(_ALLOW, "mmap", (2, _MASKED_EQUAL, _PROT_EXEC, 0), (3, _MASKED_EQUAL, _MAP_SHARED, 0))
        for option in (_PR_SET_NAME, _PR_SET_VMA):
            add(_ALLOW, "prctl", (0, _EQUAL, option, 0))
        _check(library.seccomp_attr_set(context, _TSYNC, ctypes.c_uint32(1)))
        _check(library.seccomp_load(context))


def _check(result: int) -> None:
    if result < 0:
        raise _LayerUnavailable(f"seccomp: the kernel refuses the filter: {os.strerror(-result)}")
