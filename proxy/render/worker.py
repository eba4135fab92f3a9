"""The worker process: takes one job at a time from its socket, renders it, answers; dies with its parent.

`pool` calls `main` in a new process with the arguments DESCRIPTOR MEMORY_BYTES CPU_S SANDBOX. A job that hangs is ended by
the pool; should the pool be gone, by an alarm.
"""

import os
import pickle
import resource
import select
import signal
import socket
import sys
from contextlib import suppress

import msgspec

from proxy.core.errors import Internal, OriginalTooLarge, Undecodable, UnsupportedFormat
from proxy.local.parent import end_with_parent
from proxy.render import pipeline, sandbox
from proxy.render.decoded import DecodedOriginal
from proxy.render.protocol import ANSWER_HEAD, JOB_HEAD, Answer, Hello, Job

NICENESS = 10
ALARM_SLACK_S = 2.0
MAX_IDLE_MS = 500


def main() -> None:
    """Works until the pool is gone."""
    with suppress(BrokenPipeError, ConnectionResetError):
        _run_jobs()


def _run_jobs() -> None:
    # The pool ends its workers with SIGKILL; a stop that is sent to everybody must not end what is under way.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    channel_descriptor, memory_bytes, cpu_s, sandboxed = map(int, sys.argv[1:])
    _close_all_but(channel_descriptor)
    channel = socket.socket(fileno=channel_descriptor)
    _confine(memory_bytes=memory_bytes)
    pipeline.harden()
    formats = pipeline.working_formats()  # Whatever is read from files at first use is read now.
    missing = sandbox.enter(cpu_s=cpu_s) if sandboxed else []
    # A change of user forgets it, so it comes last; should the pool have died meanwhile, the socket tells.
    end_with_parent()
    hello = Hello(libvips=pipeline.libvips_version(), formats=formats, missing=missing)
    _send(channel, msgspec.json.encode(hello), b"")
    last, more = _LastOriginal(), select.poll()
    more.register(channel, select.POLLIN)
    while True:
        if last.is_full and not more.poll(MAX_IDLE_MS):
            last.clear()  # There was to be more to do with it; somebody else has done that.
        if (received := _receive(channel)) is None:
            return
        job, descriptor = received
        signal.setitimer(signal.ITIMER_REAL, job.timeout_s + ALARM_SLACK_S)
        answer, body = _run_job(last, job, descriptor)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _send(channel, msgspec.json.encode(msgspec.structs.replace(answer, number=job.number)), body)


def _close_all_but(channel_descriptor: int) -> None:
    """uvloop hands on what the node can inherit, sockets among it that it trusts."""
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor > 2 and descriptor != channel_descriptor:
            with suppress(OSError):  # The one that listed them is gone already.
                os.close(descriptor)


def _confine(*, memory_bytes: int) -> None:
    """Hits go first when cores are short; a memory bomb fails here, or at least here first."""
    os.nice(NICENESS)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    sandbox.forbid_dumps()


def _receive(channel: socket.socket) -> tuple[Job, int] | None:
    """The next job and the descriptor of its original, or None when the node has gone."""
    received, descriptors, _, _ = socket.recv_fds(channel, 65536, 1)
    if not received or not descriptors:
        return None
    while len(received) < JOB_HEAD.size or len(received) < JOB_HEAD.size + JOB_HEAD.unpack_from(received)[0]:
        more = channel.recv(65536)
        if not more:
            return None
        received += more
    job = pickle.loads(received[JOB_HEAD.size :])  # noqa: S301 (our own parent wrote it)
    assert isinstance(job, Job)
    return job, descriptors[0]


class _LastOriginal:
    """The original that is being worked at, from one job to the next if both are of it."""

    def __init__(self) -> None:
        self._name = ""
        self._opened: DecodedOriginal | None = None

    @property
    def is_full(self) -> bool:
        return self._opened is not None

    def opened(self, job: Job, descriptor: int) -> DecodedOriginal:
        """The original of that job; closes `descriptor`. Raises what opening raises."""
        try:
            if self._opened is not None and self._name == job.original:
                return self._opened
            if job.plan is not None:
                self._opened = None
            opened = DecodedOriginal(_content(descriptor, job.size_bytes), job.limits)
        finally:
            os.close(descriptor)
        if job.plan is not None:  # A probe only passes by.
            self._opened, self._name = opened, job.original
        return opened

    def clear(self) -> None:
        self._opened = None


def _run_job(last: _LastOriginal, job: Job, descriptor: int) -> tuple[Answer, bytes]:
    try:
        opened = last.opened(job, descriptor)
        if job.plan is None:
            return Answer(facts=opened.facts), b""
        opened.keep_decoded = job.keep_decoded
        return Answer(), pipeline.render(opened, job.plan, job.limits)
    except UnsupportedFormat as failure:
        return Answer(slug="unsupported-format", detail=failure.detail), b""
    except OriginalTooLarge as failure:
        return Answer(slug="original-too-large", detail=failure.detail), b""
    except Undecodable as failure:
        return Answer(slug="undecodable", detail=failure.detail), b""
    except Internal as failure:
        return Answer(slug="internal", detail=failure.detail), b""
    except Exception as failure:
        if isinstance(failure, MemoryError):
            detail = "the original needs more memory than a worker may use"
            return Answer(slug="original-too-large", detail=detail), b""
        # A mistake of ours is not held against the picture, as a death would be.
        return Answer(slug="internal", detail="the picture cannot be drawn this way"), b""
    finally:
        if job.plan is not None and not job.keep_decoded:
            last.clear()


def _content(descriptor: int, size_bytes: int) -> bytes:
    """Up to `size_bytes`; less where the file was cut meanwhile, which is then seen as truncation."""
    parts = []
    at = 0
    while at < size_bytes and (part := os.pread(descriptor, size_bytes - at, at)):
        parts.append(part)
        at += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _send(channel: socket.socket, text: bytes, body: bytes) -> None:
    channel.sendall(ANSWER_HEAD.pack(len(text), len(body)) + text)
    channel.sendall(body)
