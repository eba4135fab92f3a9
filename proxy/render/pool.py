"""The pool of worker processes: a bounded queue, one job at a time for each worker, a private socket for each, and a
kill at the deadline. A crash, a hang or excessive memory use costs only the request that caused it.

Longer than other files, because queue, slots and workers share the state of a job.
"""

import asyncio
import math
import os
import pickle
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import repeat
from typing import TypeVar

import msgspec

from proxy.core.cache.delivery import Variant
from proxy.core.errors import (
    BadTransform,
    CalotypeError,
    Draining,
    Internal,
    OriginalTooLarge,
    Overloaded,
    RenderTimeout,
    Undecodable,
    UnsupportedFormat,
    WorkerDied,
)
from proxy.core.image.faces import Faces
from proxy.core.image.facts import Facts
from proxy.core.image.formats import SNIFF_BYTES, Format, sniff
from proxy.core.image.limits import InputLimits
from proxy.core.transform.operations import Text
from proxy.core.transform.plan import Plan
from proxy.local.process import Process
from proxy.local.tasks import Tasks
from proxy.ports.clock import Clock
from proxy.ports.originals import Original
from proxy.ports.rendering import Priority, Schedule
from proxy.render.job_queue import JobQueue
from proxy.render.protocol import ANSWER_HEAD, JOB_HEAD, MAX_BODY_BYTES, MAX_TEXT_BYTES, Answer, Hello, Job
from proxy.render.reductions import Reductions, StoredReduction
from proxy.render.spawn import Role, WorkerLimits, spawn_worker

START_TIMEOUT_S = 20.0
START_ATTEMPTS = 3
RESPAWN_PAUSE_S = 0.5
KILL_SLACK_S = 0.05
STOP_CHECK_INTERVAL_S = 0.1
_PART_BYTES = 2**20
_PROBE, _RENDER, _BACKGROUND = _RANKS = range(3)
_FAILURES = {
    kind.slug: kind for kind in (UnsupportedFormat, OriginalTooLarge, Undecodable, Internal, BadTransform)
}

T = TypeVar("T", Hello, Answer)


class _WorkerGone(Exception):
    """The worker closed its socket or sent an invalid answer."""


class _JobNotStarted(_WorkerGone):
    """The worker ended before it read the job; another worker can do the job."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Waiting:
    """A queued job. `answer` is done early if the caller has left."""

    rank: int
    originals: Sequence[Original]
    plan: Plan | None
    schedule: Schedule
    answer: asyncio.Future[tuple[Answer, bytes]]
    text: Text | None = None

    @property
    def first(self) -> str:
        """The name of the first original, which the affinity of workers goes by; empty without one."""
        return self.originals[0].name if self.originals else ""


COLD_RENDERS = 2
"""The first renders of a worker, which the average leaves out: libraries are still loading."""


class _Worker:
    """One worker process and its jobs."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.was_stopped = False
        self.ended = Tasks().start(process.wait(), "worker's end")
        self._channel = process.channel
        self.jobs = 0
        self.rendered = 0

    @classmethod
    async def start(cls, all_of_them: set["_Worker"], process: Process) -> tuple["_Worker", Hello]:
        """A worker of `all_of_them` in a new `process`; waits for its Hello. Raises _WorkerGone or TimeoutError."""
        worker = cls(process)
        all_of_them.add(worker)
        worker.ended.add_done_callback(lambda _: all_of_them.discard(worker))
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                hello, _ = await worker._answer(Hello)
        except BaseException:
            await worker.kill()
            raise
        return worker, hello

    async def run_job(
        self,
        waiting: _Waiting,
        limits: InputLimits,
        timeout_s: float,
        *,
        keep_decoded: bool,
        reductions: Sequence[StoredReduction] = (),
        new_reduction: int | None = None,
    ) -> tuple[Answer, bytes]:
        """Sends a job and returns the answer. The worker may use `reductions` and leave one more in the file
        `new_reduction`. `keep_decoded`: the next job may be for the same first original. Raises _WorkerGone or
        _JobNotStarted."""
        if self._has_unexpected_data():
            raise _JobNotStarted
        self.jobs += 1
        job = Job(
            self.jobs,
            tuple((name, file.size_bytes) for name, file in waiting.originals),
            keep_decoded,
            waiting.plan,
            limits,
            timeout_s,
            tuple((each.text, each.size_bytes) for each in reductions),
            new_reduction is not None,
            waiting.text,
        )
        text = pickle.dumps(job)
        descriptors = [file.fileno() for _, file in waiting.originals]
        descriptors += [each.descriptor for each in reductions]
        if new_reduction is not None:
            descriptors.append(new_reduction)
        try:
            # The job fits the empty socket buffer of an idle worker, so this never blocks.
            socket.send_fds(self._channel, [JOB_HEAD.pack(len(text)) + text], descriptors)
        except (BrokenPipeError, ConnectionResetError):
            raise _JobNotStarted from None
        answer, body = await self._answer(Answer)
        if answer.number != job.number or not _is_valid(answer, body, job):
            raise _WorkerGone
        return answer, body

    def _has_unexpected_data(self) -> bool:
        """Whether the worker has sent data without a job; the next job must not read that as its answer."""
        try:
            return bool(self._channel.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False
        except OSError:
            raise _JobNotStarted from None

    async def _answer(self, kind: type[T]) -> tuple[T, bytes]:
        received = bytearray()
        await self._receive(received, ANSWER_HEAD.size)
        text_bytes, body_bytes = ANSWER_HEAD.unpack_from(received)
        if text_bytes > MAX_TEXT_BYTES or body_bytes > MAX_BODY_BYTES:
            raise _WorkerGone
        body_at = ANSWER_HEAD.size + text_bytes
        await self._receive(received, body_at + body_bytes)
        if len(received) > body_at + body_bytes:
            raise _WorkerGone
        with memoryview(received) as view:
            try:
                answer = msgspec.json.decode(view[ANSWER_HEAD.size : body_at], type=kind)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                raise _WorkerGone from None
            return answer, bytes(view[body_at:])

    async def _receive(self, received: bytearray, count: int) -> None:
        """Receives until there are `count` bytes, or more, that the worker has sent with them."""
        loop = asyncio.get_running_loop()
        # The buffer grows with the received bytes: a length that a worker only claims costs no memory.
        while len(received) < count:
            try:
                part = await loop.sock_recv(self._channel, _PART_BYTES)
                if not part and self.was_stopped:
                    raise _JobNotStarted
            except ConnectionResetError:
                # A unix socket raises this if its peer closed before it read the job.
                raise _JobNotStarted from None
            except OSError:
                part = b""
            if not part:
                raise _WorkerGone
            received += part

    def end_if_stopped(self) -> None:
        """Kills the worker if it was stopped (SIGSTOP); another worker does its job."""
        if self.process.is_stopped():
            self.was_stopped = True
            self.process.kill()

    async def kill(self) -> None:
        self._channel.close()
        self.process.kill()
        # Shielded, because a cancelled caller may call `kill` again and wait for `ended`.
        await asyncio.shield(self.ended)


def _is_valid(answer: Answer, body: bytes, job: Job) -> bool:
    """Whether the answer fits the job: an error of its originals, facts, or a picture in the format of its plan."""
    if job.text is not None:
        return bool(answer.slug) or sniff(body[:SNIFF_BYTES]) is Format.PNG
    if answer.slug:
        return 0 <= answer.original < len(job.originals)
    if job.compares:
        return answer.difference is not None
    if job.plan is None:
        return answer.facts is not None and (answer.faces is None or answer.faces.is_valid)
    if job.plan.output.format is Format.INFO:
        return body.startswith(b"{")
    return sniff(body[:SNIFF_BYTES]) is job.plan.output.format


class Pool:
    """Satisfies Renderer. At most `queue` interactive jobs wait."""

    def __init__(
        self,
        *,
        workers: int,
        queue: int,
        timeout_s: float,
        recycle_after: int,
        worker_limits: WorkerLimits,
        limits: InputLimits,
        clock: Clock,
    ) -> None:
        self._count = workers
        self._max_waiting = queue
        self._timeout_s = timeout_s
        self._worker_limits = worker_limits
        self._role = Role.RENDER
        self._recycle_after = recycle_after
        self.limits = limits
        self._clock = clock
        self._reductions = Reductions()
        self._queue: JobQueue[_Waiting] = JobQueue(len(_RANKS), probe_ranks=_PROBE + 1)
        self._tasks = Tasks()
        self._spawned: list[Process] = []
        self._workers: set[_Worker] = set()
        self._alive: set[_Worker] = set()
        self._busy = 0
        self._average_render_s = 0.0

    @property
    def waiting(self) -> int:
        """Waiting interactive jobs."""
        return self._queue.count(_PROBE) + self._queue.count(_RENDER)

    @property
    def alive(self) -> int:
        """Running workers."""
        return len(self._alive)

    @property
    def busy(self) -> int:
        """Workers with a job."""
        return self._busy

    async def start(self, first: Process | None = None, *, role: Role = Role.RENDER) -> Hello:
        """Starts the workers, of one role; returns the Hello of the first, and does not wait for the others. The first runs
        in the process `first` if that is given. Raises WorkerDied."""
        self._role = role
        self._spawned = [] if first is None else [first]
        self._tasks.start(self._watch(), "watch of the workers")
        try:
            # Tried again, because a read of a library may fail once on a busy machine.
            ready, hello = await self._start_worker(range(START_ATTEMPTS - 1), _WorkerGone)
        except (_WorkerGone, TimeoutError, OSError):
            raise WorkerDied("no worker could be started; see its message above") from None
        self._alive.add(ready)
        for worker in (ready, *repeat(None, self._count - 1)):
            self._tasks.start(self._serve(worker), "worker")
        return hello

    async def close(self) -> None:
        """Kills the workers and fails the waiting jobs."""
        await self._tasks.close()
        affinity = self._queue.affinity()
        while (waiting := self._queue.take(affinity)) is not None:
            if not waiting.answer.done():
                waiting.answer.set_exception(_stopping())
        self._reductions.close()

    async def probe(self, original: Original, *, deadline: float) -> Facts:
        answer, _ = await self._submit(_PROBE, [original], None, Schedule(deadline=deadline))
        assert answer.facts is not None
        return answer.facts

    async def find_faces(self, original: Original, *, deadline: float) -> Faces:
        """The faces of the first page, by a pool that was started for it. Raises as Renderer does."""
        answer, _ = await self._submit(_PROBE, [original], None, Schedule(deadline=deadline))
        return answer.faces or Faces()

    async def draw(self, text: Text, *, deadline: float) -> bytes:
        """A PNG of a text, by a pool that was started for it. Raises BadTransform, and as Renderer does."""
        _, body = await self._submit(_PROBE, [], None, Schedule(deadline=deadline), text)
        return body

    async def compare(self, one: Original, other: Original, *, deadline: float) -> float:
        """The visual difference of two pictures, in percent. Raises as Renderer does."""
        answer, _ = await self._submit(_RENDER, [one, other], None, Schedule(deadline=deadline))
        assert answer.difference is not None
        return answer.difference

    async def render(self, originals: Sequence[Original], plan: Plan, schedule: Schedule) -> Variant:
        _, body = await self._submit(_RENDER, originals, plan, schedule)
        return Variant(body=body)

    async def _submit(
        self,
        rank: int,
        originals: Sequence[Original],
        plan: Plan | None,
        schedule: Schedule,
        text: Text | None = None,
    ) -> tuple[Answer, bytes]:
        wait_s = self.waiting / self._count * self._average_render_s
        is_background = schedule.priority is Priority.BACKGROUND
        is_late = self._clock() + wait_s > schedule.deadline
        if not is_background and (self.waiting >= self._max_waiting or is_late):
            raise Overloaded(
                "more pictures are waiting than the node can render in time",
                retry_after_s=max(1, math.ceil(wait_s)),
            )
        waiting = _Waiting(
            rank=_BACKGROUND if is_background else rank,
            originals=originals,
            plan=plan,
            schedule=schedule,
            answer=asyncio.get_running_loop().create_future(),
            text=text,
        )
        self._queue.put(waiting.rank, waiting.first, waiting)
        if is_background and schedule.on_promote is not None:
            schedule.on_promote(lambda: self._promote(waiting, rank))
        try:
            async with asyncio.timeout_at(schedule.deadline + KILL_SLACK_S):
                answer, body = await waiting.answer
        except TimeoutError:
            raise RenderTimeout("the picture was not rendered in time") from None
        finally:
            self._queue.remove(waiting.rank, waiting.first, waiting)
        if answer.slug:
            raise _FAILURES[answer.slug](answer.detail).at(answer.original)
        return answer, body

    def _promote(self, waiting: _Waiting, rank: int) -> None:
        """Moves a background job to `rank`, because a client waits for it."""
        if self._queue.remove(waiting.rank, waiting.first, waiting):
            self._queue.put(rank, waiting.first, waiting)
        waiting.rank = rank

    async def _serve(self, worker: _Worker | None) -> None:
        """One slot of the pool: its worker runs jobs; a worker that ends is replaced."""
        try:
            while True:
                if worker is None:
                    worker, _ = await self._start_worker(repeat(None), _WorkerGone, TimeoutError, OSError)
                    self._alive.add(worker)
                await self._run_jobs(worker)
                self._alive.discard(worker)
                await worker.kill()
                worker = None
        finally:
            if worker is not None:
                self._alive.discard(worker)
                await worker.kill()

    async def _run_jobs(self, worker: _Worker) -> None:
        """Runs jobs on `worker` until it has to be replaced. The death of an idle worker costs no request."""
        affinity = self._queue.affinity()
        try:
            while worker.jobs < self._recycle_after and not worker.ended.done():
                waiting = self._queue.take(affinity)
                if waiting is None:
                    await self._wait_for_job_or_end(worker)
                elif not await self._run_next(worker, waiting):
                    return
        finally:
            self._queue.release(affinity)

    async def _wait_for_job_or_end(self, worker: _Worker) -> None:
        more = self._tasks.start(self._queue.wait(), "next job")
        try:
            await asyncio.wait({more, worker.ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            more.cancel()

    async def _run_next(self, worker: _Worker, waiting: _Waiting) -> bool:
        if waiting.answer.done():
            return True
        self._busy += 1
        try:
            return await self._run(worker, waiting)
        except _JobNotStarted:
            if not waiting.answer.done():
                self._queue.put(waiting.rank, waiting.first, waiting, is_first=True)
            return False
        finally:
            self._busy -= 1

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(STOP_CHECK_INTERVAL_S)
            for worker in tuple(self._workers):
                worker.end_if_stopped()

    async def _new_worker(self) -> tuple[_Worker, Hello]:
        process = self._spawned.pop() if self._spawned else spawn_worker(self._worker_limits, self._role)
        return await _Worker.start(self._workers, process)

    async def _start_worker(
        self, retries: Iterable[object], *faults: type[Exception]
    ) -> tuple[_Worker, Hello]:
        """Starts a worker; tries again after one of `faults`, as often as `retries` has elements."""
        for _ in retries:
            with suppress(*faults):
                return await self._new_worker()
            await asyncio.sleep(RESPAWN_PAUSE_S)
        return await self._new_worker()

    async def _run(self, worker: _Worker, waiting: _Waiting) -> bool:
        """Runs the job on `worker`; False if the worker has to be replaced."""
        began_s = self._clock()
        end_s = min(began_s + self._timeout_s, waiting.schedule.deadline)
        outcome: tuple[Answer, bytes] | CalotypeError
        usable = False
        try:
            waiting.schedule.on_start()
            async with asyncio.timeout_at(end_s):
                outcome = await self._run_on(worker, waiting)
            usable = True
        except TimeoutError:
            outcome = RenderTimeout("the render exceeded render.timeout")
        except _JobNotStarted:
            raise
        except _WorkerGone:
            outcome = WorkerDied("the worker that rendered the picture died")
        except Exception:
            # Any other failure belongs to this job; the slot must stay usable.
            outcome = WorkerDied("the job could not be given to a worker")
        except asyncio.CancelledError:
            if not waiting.answer.done():
                waiting.answer.set_exception(_stopping())
            raise
        if waiting.plan is not None or self._role is not Role.RENDER:
            worker.rendered += 1
            if worker.rendered > COLD_RENDERS:
                # A moving average from zero: a few slow renders do not dominate.
                self._average_render_s += 0.1 * (self._clock() - began_s - self._average_render_s)
        if not waiting.answer.done():
            if isinstance(outcome, CalotypeError):
                waiting.answer.set_exception(outcome)
            else:
                waiting.answer.set_result(outcome)
        return usable

    async def _run_on(self, worker: _Worker, waiting: _Waiting) -> tuple[Answer, bytes]:
        """Runs the job with the reductions of its original, and stores the one that it leaves."""
        keep = self._queue.more_of(waiting.first)
        if waiting.plan is None:
            return await worker.run_job(waiting, self.limits, self._timeout_s, keep_decoded=keep)
        first = waiting.originals[0]
        new = self._reductions.new_file(first.name)
        try:
            answer, body = await worker.run_job(
                waiting,
                self.limits,
                self._timeout_s,
                keep_decoded=keep,
                reductions=self._reductions.of(first.name),
                new_reduction=new,
            )
            if new is not None and answer.reduction and first.file.unchanged():
                self._reductions.store(first.name, answer.reduction, new)
        finally:
            if new is not None:
                os.close(new)
        return answer, body


def _stopping() -> Draining:
    return Draining("the node is stopping", retry_after_s=1)
