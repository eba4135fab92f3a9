"""The worker process: receives one job at a time, renders it, answers; ends with its parent.

`spawn` starts it with the arguments MEMORY_BYTES CPU_S SANDBOX ROLE, and FOLDER... of fonts for one that draws texts. The pool
ends a job that hangs; if the pool is gone, an alarm does.
"""

import os
import pickle
import resource
import select
import signal
import socket
import stat
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import msgspec

from proxy.core.errors import (
    BadTransform,
    CalotypeError,
    Internal,
    OriginalTooLarge,
    Undecodable,
    UnsupportedFormat,
)
from proxy.core.image.faces import Faces
from proxy.core.image.limits import InputLimits
from proxy.core.transform.operations import Text
from proxy.local.parent import end_with_parent
from proxy.local.process import CHANNEL
from proxy.render import pipeline, sandbox
from proxy.render.checked_original import Buffer, CheckedOriginal, Reduction, StaleReduction
from proxy.render.difference import difference
from proxy.render.protocol import (
    ANSWER_HEAD,
    JOB_HEAD,
    MAX_DESCRIPTORS,
    MAX_REDUCTION_BYTES,
    MAX_REDUCTION_TEXT_BYTES,
    Answer,
    Hello,
    Job,
)
from proxy.render.spawn import Role

NICENESS = 10
ALARM_SLACK_S = 2.0
MAX_IDLE_MS = 500

FindFaces = Callable[[CheckedOriginal, InputLimits], Faces]


def main() -> None:
    """Runs jobs until the pool closes the socket."""
    with suppress(BrokenPipeError, ConnectionResetError):
        _run_jobs()


def _run_jobs() -> None:
    # The pool ends workers with SIGKILL. A signal to the whole group must not end a running job.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    memory_bytes, cpu_s, sandboxed = map(int, sys.argv[1:4])
    role, *font_folders = sys.argv[4:]
    channel = socket.socket(fileno=CHANNEL)
    _confine(memory_bytes=memory_bytes)
    pipeline.harden()
    formats = pipeline.working_formats()  # Libraries load their files now, before the sandbox.
    abilities = _abilities(Role(role), font_folders)
    _leave_log_file()
    missing = sandbox.enter(cpu_s=cpu_s, readable=font_folders) if sandboxed else []
    # Set last, because a change of user resets it. If the pool has died before, the socket is closed.
    end_with_parent()
    hello = Hello(libvips=pipeline.libvips_version(), formats=formats, missing=missing)
    _send(channel, msgspec.json.encode(hello), b"")
    last, more = _LastOriginal(), select.poll()
    more.register(channel, select.POLLIN)
    while True:
        if last.is_full and not more.poll(MAX_IDLE_MS):
            last.clear()  # Other workers took the announced jobs.
        if (received := _receive(channel)) is None:
            return
        job, descriptors = received
        signal.setitimer(signal.ITIMER_REAL, job.timeout_s + ALARM_SLACK_S)
        answer, body = _run_job(last, job, descriptors, abilities)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _send(channel, msgspec.json.encode(msgspec.structs.replace(answer, number=job.number)), body)


class _Abilities(NamedTuple):
    """What a worker does beside rendering."""

    find_faces: FindFaces | None = None
    draw: Callable[[Text], bytes] | None = None


_RENDERING_ONLY = _Abilities()


def _abilities(role: Role, font_folders: Sequence[str]) -> _Abilities:
    """Imported here, so that workers that render start without them."""
    match role:
        case Role.FACES:
            from proxy.render.faces import FaceFinder

            return _Abilities(find_faces=FaceFinder().find)
        case Role.TEXT:
            from proxy.render.texts import TextDrawer

            return _Abilities(draw=TextDrawer(font_folders).draw)
    return _RENDERING_ONLY


def _leave_log_file() -> None:
    """From now on no error is written to a log file: the only files that a worker can write are those of its jobs."""
    if stat.S_ISREG(os.fstat(sys.stderr.fileno()).st_mode):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stderr.fileno())
        os.close(null)


def _confine(*, memory_bytes: int) -> None:
    """Lowers the CPU priority below that of hits, and makes this process fail first when memory is short."""
    os.nice(NICENESS)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    sandbox.forbid_dumps()


def _receive(channel: socket.socket) -> tuple[Job, list[int]] | None:
    """The next job and the descriptors of its originals; None if the pool closed the socket."""
    received, descriptors, _, _ = socket.recv_fds(channel, 65536, MAX_DESCRIPTORS)
    if not received:
        return None
    while len(received) < JOB_HEAD.size or len(received) < JOB_HEAD.size + JOB_HEAD.unpack_from(received)[0]:
        more = channel.recv(65536)
        if not more:
            return None
        received += more
    job = pickle.loads(received[JOB_HEAD.size :])  # noqa: S301 (our own parent wrote it)
    assert isinstance(job, Job)
    return job, descriptors


class _LastOriginal:
    """The first original of the last job, for the next job of the same original."""

    def __init__(self) -> None:
        self._name = ""
        self._opened: CheckedOriginal | None = None

    @property
    def is_full(self) -> bool:
        return self._opened is not None

    def open(self, job: Job, descriptors: Sequence[int]) -> list[CheckedOriginal]:
        """The originals of `job`, readable until `descriptors` are closed. Raises the errors of CheckedOriginal."""
        first = job.originals[0][0]
        cached = self._opened if self._name == first else None
        if job.plan is not None:  # A probe does not replace the cached original.
            self._opened = cached
        sent, further = descriptors[: len(job.originals)], descriptors[len(job.originals) :]
        left = _reductions(job, further)
        opened: list[CheckedOriginal] = []
        try:
            for (_, size_bytes), descriptor in zip(job.originals, sent, strict=True):
                read = partial(_content, descriptor, size_bytes)
                if cached is not None and not opened:
                    cached.reopen(read, left)
                    opened.append(cached)
                else:
                    opened.append(CheckedOriginal(read, size_bytes, job.limits, () if opened else left))
        except CalotypeError as failure:
            raise failure.at(len(opened)) from None
        if job.plan is not None:
            self._opened, self._name = opened[0], first
        return opened

    def clear(self) -> None:
        self._opened = None


def _reductions(job: Job, descriptors: Sequence[int]) -> list[tuple[Reduction, Callable[[], Buffer]]]:
    """The reductions of a job, of which other workers wrote the descriptions."""
    found: list[tuple[Reduction, Callable[[], Buffer]]] = []
    for (text, size_bytes), descriptor in zip(job.reductions, descriptors, strict=False):
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):
            reduction = msgspec.json.decode(text, type=Reduction)
            if reduction.is_plausible(size_bytes):
                found.append((reduction, partial(_content, descriptor, size_bytes)))
    return found


def _run_job(
    last: _LastOriginal, job: Job, descriptors: Sequence[int], abilities: _Abilities = _RENDERING_ONLY
) -> tuple[Answer, bytes]:
    try:
        return _answer(last, job, descriptors, abilities)
    except StaleReduction:
        last.clear()
        return _answer(last, msgspec.structs.replace(job, reductions=()), descriptors, abilities)
    finally:
        if job.plan is not None and not job.keep_decoded:
            last.clear()
        for descriptor in descriptors:
            os.close(descriptor)


def _answer(
    last: _LastOriginal, job: Job, descriptors: Sequence[int], abilities: _Abilities
) -> tuple[Answer, bytes]:
    """Raises StaleReduction."""
    try:
        if job.text is not None:
            assert abilities.draw is not None
            return Answer(), abilities.draw(job.text)
        opened, *further = last.open(job, descriptors)
        if job.compares:
            return Answer(difference=difference(opened, further[0], job.limits)), b""
        if job.plan is None:
            find = abilities.find_faces
            return Answer(facts=opened.facts, faces=find(opened, job.limits) if find else None), b""
        opened.keep_decoded = job.keep_decoded
        body = pipeline.render(opened, job.plan, job.limits, further)
        return Answer(
            reduction=_left_reduction(opened, descriptors[-1]) if job.leaves_reduction else b""
        ), body
    except (UnsupportedFormat, OriginalTooLarge, Undecodable, Internal, BadTransform) as failure:
        slug, detail, original = failure.slug, failure.detail, failure.original
        return Answer(slug=slug, detail=detail, original=original), b""  # type: ignore[arg-type] # one of these
    except StaleReduction:
        raise
    except Exception as failure:
        if isinstance(failure, MemoryError):
            detail = "the original needs more memory than a worker may use"
            return Answer(slug="original-too-large", detail=detail), b""
        # A bug of ours does not quarantine the original, as a crash would.
        return Answer(slug="internal", detail="the picture cannot be rendered with these operations"), b""


def _left_reduction(opened: CheckedOriginal, descriptor: int) -> bytes:
    """Writes a reduction that was made into an empty file, for later jobs. Returns its description, empty if there is none."""
    made = opened.new_reduction()
    if made is None:
        return b""
    reduction, pixels = made
    text = msgspec.json.encode(reduction)
    if reduction.size_bytes > MAX_REDUCTION_BYTES or len(text) > MAX_REDUCTION_TEXT_BYTES:
        return b""
    try:
        written = 0
        while written < reduction.size_bytes:
            written += os.write(descriptor, memoryview(pixels)[written:])
    except OSError:
        return b""
    return text


def _content(descriptor: int, size_bytes: int) -> bytes:
    """At most `size_bytes` bytes; fewer if the file was truncated in the meantime, which decoding then detects."""
    parts = []
    offset = 0
    while offset < size_bytes and (part := os.pread(descriptor, size_bytes - offset, offset)):
        parts.append(part)
        offset += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _send(channel: socket.socket, text: bytes, body: bytes) -> None:
    channel.sendall(ANSWER_HEAD.pack(len(text), len(body)) + text)
    channel.sendall(body)
