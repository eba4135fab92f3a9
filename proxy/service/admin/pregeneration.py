"""Pre-generation: runs jobs from the disk through the miss path, at background priority.

A job is on disk before its response, and a task is removed from disk when its variants are in the tiers: a restart
continues the jobs, and existing variants are skipped.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Protocol

import structlog

from proxy.core.admin.jobs import (
    JobFailure,
    PregenerationListing,
    PregenerationSpec,
    PregenerationTask,
    format_of,
    requests_of,
    variants_of,
)
from proxy.core.cache.variant_request import VariantRequest
from proxy.core.errors import BadRequest, CalotypeError, Draining, Internal, Overloaded, SourceUnavailable
from proxy.core.image.formats import Format
from proxy.core.transform.operations import Transform
from proxy.core.url.dialects.native.urls import parse_transform
from proxy.core.url.mounts import Rules, mount_named
from proxy.core.url.target import checked_locator, checked_prefix
from proxy.local.tasks import Tasks
from proxy.ports.clock import Clock
from proxy.ports.operations import JobStore
from proxy.ports.originals import WritableSource

VARIANT_TIMEOUT_S = 600.0
"""The timeout of one variant, including the wait for all interactive jobs."""
RETRY_PAUSE_S = 0.5
MAX_ATTEMPTS = 20
_KEYS_PER_YIELD = 1000
_VARIANTS_PER_WORKER = 6
"""Concurrent variants per worker: while one is rendered, others are fetched and stored."""


class VariantPreparer(Protocol):
    """The miss path at background priority."""

    async def prepare(self, request: VariantRequest, *, deadline: float) -> bool:
        """Stores the variant in the tiers; False if it was there. Raises CalotypeErrors."""
        ...


class Pregeneration:
    """Runs jobs from `start` to `close`; event loop only. `rules` returns the current rules."""

    def __init__(
        self,
        jobs: JobStore,
        preparer: VariantPreparer,
        sources: Mapping[str, WritableSource],
        rules: Callable[[], Rules],
        auto: tuple[Format, ...],
        clock: Clock,
        *,
        workers: int,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._jobs = jobs
        self._preparer = preparer
        self._sources = sources
        self._rules = rules
        self._auto = auto
        self._clock = clock
        self._max_running = _VARIANTS_PER_WORKER * workers
        self._slots = asyncio.Semaphore(self._max_running)
        self._original_lock = asyncio.Lock()
        self._log = log
        self._tasks_added = asyncio.Event()
        self._listings_added = asyncio.Event()
        self._running: dict[tuple[int, int], asyncio.Task[None]] = {}
        self._pending: list[PregenerationTask] = []
        self._cancelled: set[int] = set()
        self._tasks = Tasks()

    def start(self, after: Callable[[], Awaitable[None]]) -> None:
        """Runs after `after`, beginning with the jobs of the last start."""
        self.wake()
        for work in (self._run, self._list_all):
            self._tasks.start(self._repeat(work, after), "pregeneration")

    async def close(self) -> None:
        """Cancels all tasks; the next start runs them again."""
        await self._tasks.close()

    async def add(self, spec: PregenerationSpec) -> str:
        """Adds a job; returns its id. Raises the errors of an invalid job, or SourceUnavailable if the job cannot be
        stored."""
        rules = self._rules()
        mount = mount_named(rules, spec.mount)
        if spec.prefix is not None:
            checked_prefix(spec.prefix)
        for number, key in enumerate(spec.keys):
            mount.ref(checked_locator(key))
            if number % _KEYS_PER_YIELD == 0:
                await asyncio.sleep(0)  # Lets the event loop serve requests.
        variants = self._variant_count(spec.transforms)
        if not variants:
            raise BadRequest("presets or transforms are required")
        job = await self._jobs.add(spec, len(spec.keys) * variants)
        if job is None:
            raise SourceUnavailable("the job could not be stored", retry_after_s=5)
        self.wake()
        return job

    async def cancel(self, job_id: str) -> bool:
        """Cancels a job and its running tasks; False if there is no job of this id. Raises SourceUnavailable if the
        cancellation cannot be stored."""
        job = await self._jobs.cancel(job_id)
        if job == 0:
            raise SourceUnavailable("the cancellation of the job could not be stored", retry_after_s=5)
        if job is None:
            return False
        # A read of tasks may be in progress, with tasks of this job.
        self._cancelled.add(job)
        self._pending = [task for task in self._pending if task.job != job]
        for (running_job, _), task in self._running.items():
            if running_job == job:
                task.cancel()
        return True

    async def sample_originals(self, count: int) -> list[tuple[str, str]]:
        """Up to `count` existing originals, mount by mount: name of the mount and key."""
        originals: list[tuple[str, str]] = []
        for mount in self._rules().mounts:
            # A source that cannot be listed has no sample.
            with suppress(CalotypeError):
                async for keys in self._sources[mount.source].keys(""):
                    originals += [(mount.name, key) for key in keys[:count]]
                    if keys:
                        break
            if len(originals) >= count:
                break
        return originals[:count]

    def wake(self) -> None:
        """Reads tasks and listings again."""
        self._tasks_added.set()
        self._listings_added.set()

    def _variant_count(self, transforms: tuple[str, ...]) -> int:
        return sum(variants_of(self._transform(transform), self._auto) for transform in transforms)

    def _transform(self, transform: str) -> Transform:
        presets = self._rules().presets
        return parse_transform(transform, presets)

    async def _repeat(
        self, work: Callable[[], Awaitable[None]], after: Callable[[], Awaitable[None]]
    ) -> None:
        await after()
        while True:
            try:
                await work()
            except Exception:
                self._log.exception("internal error")
                await asyncio.sleep(RETRY_PAUSE_S)
                self.wake()  # The failed work is still to be done.

    async def _run(self) -> None:
        """Runs tasks of all jobs until there are no more."""
        await self._tasks_added.wait()
        self._tasks_added.clear()
        while await self._start_tasks() or self._running:
            # Each task that ends lets the next one start.
            await asyncio.wait(self._running.values(), return_when=asyncio.FIRST_COMPLETED)

    async def _list_all(self) -> None:
        await self._listings_added.wait()
        self._listings_added.clear()
        for listing in await self._jobs.listings():
            await self._list(listing)

    async def _start_tasks(self) -> bool:
        """Starts tasks up to the limit; False if there are no more."""
        if not self._pending:
            tasks = await self._jobs.next(2 * self._max_running)
            self._pending = [
                task
                for task in tasks
                if (task.job, task.number) not in self._running and task.job not in self._cancelled
            ]
        while self._pending and len(self._running) < self._max_running:
            task = self._pending.pop(0)
            key = task.job, task.number
            self._running[key] = self._tasks.start(self._run_task(task), "pregenerate")
            self._running[key].add_done_callback(partial(self._remove, key))
        return bool(self._pending)

    def _remove(self, key: tuple[int, int], _: asyncio.Task[None]) -> None:
        self._running.pop(key, None)

    async def _list(self, listing: PregenerationListing) -> None:
        try:
            source = self._sources[mount_named(self._rules(), listing.mount).source]
            variants = self._variant_count(listing.transforms)
            async for keys in source.keys(listing.prefix):
                if listing.job in self._cancelled:
                    return
                await self._add_listed(listing, keys, variants)
            await self._add_listed(listing, [], variants)
        except Exception as fault:
            failure = self._reported(fault)
            await self._jobs.listing_failed(listing.job, JobFailure("", "", failure.slug, failure.detail))

    async def _add_listed(self, listing: PregenerationListing, keys: list[str], variants: int) -> None:
        await _write(lambda: self._jobs.add_listed(listing.job, keys, variants=variants, is_all=not keys))
        self._tasks_added.set()

    async def _run_task(self, task: PregenerationTask) -> None:
        made: list[bool] = []
        failures: list[JobFailure] = []
        async with asyncio.TaskGroup() as group, self._original_lock:
            # The variants of one original start one after another, so that they share one revalidation and one open file.
            for transform in task.transforms:
                try:
                    requests = self._requests(task, transform)
                except CalotypeError as failure:
                    failures += [
                        JobFailure(task.key, transform, failure.slug, failure.detail)
                    ] * self._failed_count(transform)
                    continue
                for request in requests:
                    await self._slots.acquire()
                    group.create_task(
                        self._prepare_variant(task, transform, request, made, failures), name="variant"
                    ).add_done_callback(lambda _: self._slots.release())
        done, skipped = made.count(True), made.count(False)
        # Retried, because an unfinished task would run again and again.
        await _write(lambda: self._jobs.finish(task, done=done, skipped=skipped, failures=failures))

    async def _prepare_variant(
        self,
        task: PregenerationTask,
        transform: str,
        request: VariantRequest,
        made: list[bool],
        failures: list[JobFailure],
    ) -> None:
        """Prepares one variant. Adds to `made` whether it was rendered, or adds its error to `failures`."""
        try:
            made.append(await self._try_prepare(request))
        except Exception as fault:
            failure = self._reported(fault)
            failures.append(JobFailure(task.key, transform, failure.slug, failure.detail, format_of(request)))

    def _reported(self, fault: Exception) -> CalotypeError:
        """The error to report for `fault`; one that is not expected is logged."""
        if isinstance(fault, CalotypeError):
            return fault
        self._log.exception("internal error")
        return Internal("an unexpected error was logged")

    def _failed_count(self, transform: str) -> int:
        """The number of variants of a transform that failed; 1 if it cannot be parsed."""
        with suppress(CalotypeError):
            return self._variant_count((transform,))
        return 1

    def _requests(self, task: PregenerationTask, transform: str) -> list[VariantRequest]:
        rules = self._rules()
        mount = mount_named(rules, task.mount)
        candidates = mount.candidates(checked_locator(task.key))
        drawn = mount.layered(self._transform(transform))
        return list(requests_of(candidates, drawn, self._auto, rules.max_side_px))

    async def _try_prepare(self, request: VariantRequest) -> bool:
        """Prepares a variant; retries while the node is overloaded or stops, which are no errors of the variant."""
        for _ in range(MAX_ATTEMPTS):
            try:
                return await self._preparer.prepare(request, deadline=self._clock() + VARIANT_TIMEOUT_S)
            except Draining:
                await asyncio.sleep(VARIANT_TIMEOUT_S)  # The stop of the node cancels this task.
            except Overloaded:
                await asyncio.sleep(RETRY_PAUSE_S)
        raise Overloaded("the node was too busy for too long")


async def _write(write: Callable[[], Awaitable[bool]]) -> None:
    """Calls `write` until it succeeds."""
    while True:
        if await write():
            return
        await asyncio.sleep(RETRY_PAUSE_S)
