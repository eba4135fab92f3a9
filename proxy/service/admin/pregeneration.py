"""Pre-generation: jobs from the disk to the miss path, behind all that clients wait for.

A job is written down before it is answered for, and a task leaves the disk when its variants are in the tiers: a
restart goes on where it was, and what is there already is skipped.
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
from proxy.core.errors import BadRequest, CalotypeError, Draining, Overloaded, SourceUnavailable
from proxy.core.image.formats import Format
from proxy.core.transform.operations import Transform
from proxy.core.url.dialects.native import parse_tokens
from proxy.core.url.mounts import Rules, mount_named
from proxy.core.url.target import checked_locator, checked_prefix
from proxy.local.tasks import Tasks
from proxy.ports.clock import Clock
from proxy.ports.operations import JobStore
from proxy.ports.originals import WritableSource

PATIENCE_S = 600.0
"""How long a variant may take, all told: it waits behind whatever clients want."""
PAUSE_S = 0.5
TRIES = 20
_AT_A_TIME = 1000
_A_WORKER = 6
"""Variants under way for each worker: while one is rendered, others are fetched, and stored."""


class VariantPreparer(Protocol):
    """The miss path, for nobody who waits."""

    async def prepare(self, request: VariantRequest, *, deadline: float) -> bool:
        """Has the variant in the tiers; False where it was there."""
        ...


class Pregeneration:
    """Runs jobs from `start` to `close`; event loop only. `rules` are those that count now."""

    def __init__(
        self,
        jobs: JobStore,
        preparer: VariantPreparer,
        shelves: Mapping[str, WritableSource],
        rules: Callable[[], Rules],
        auto: tuple[Format, ...],
        clock: Clock,
        *,
        workers: int,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._jobs = jobs
        self._preparer = preparer
        self._shelves = shelves
        self._rules = rules
        self._auto = auto
        self._clock = clock
        self._most = _A_WORKER * workers
        self._seats = asyncio.Semaphore(self._most)
        self._turn = asyncio.Lock()
        self._log = log
        self._more = asyncio.Event()
        self._to_list = asyncio.Event()
        self._under_way: dict[tuple[int, int], asyncio.Task[None]] = {}
        self._next: list[PregenerationTask] = []
        self._cancelled: set[int] = set()
        self._tasks = Tasks()

    def start(self, after: Callable[[], Awaitable[None]]) -> None:
        """Begins when `after` lets it, with what was left the last time."""
        self.wake()
        for work in (self._run, self._list_all):
            self._tasks.start(self._keep_on(work, after), "pregeneration")

    async def close(self) -> None:
        """What is under way is done again after the next start."""
        await self._tasks.close()

    async def add(self, spec: PregenerationSpec) -> str:
        """Takes a job on; returns its id. Raises what is wrong with it, or SourceUnavailable where it cannot be written
        down."""
        rules = self._rules()
        mount = mount_named(rules, spec.mount)
        if spec.prefix is not None:
            checked_prefix(spec.prefix)
        for place, key in enumerate(spec.keys):
            mount.ref(checked_locator(key))
            if place % _AT_A_TIME == 0:
                await asyncio.sleep(0)  # Others have requests to answer.
        variants = self._variants(spec.transforms)
        if not variants:
            raise BadRequest("presets or transforms must be given: what is to be made")
        job = await self._jobs.add(spec, len(spec.keys) * variants)
        if job is None:
            raise SourceUnavailable("the job could not be written down", retry_after_s=5)
        self.wake()
        return job

    async def cancel(self, job_id: str) -> bool:
        """Makes nothing more of a job, and gives up what is under way; False for one that is not known. Raises
        SourceUnavailable where that cannot be written down."""
        job = await self._jobs.cancel(job_id)
        if job == 0:
            raise SourceUnavailable("it could not be written down that the job is cancelled", retry_after_s=5)
        if job is None:
            return False
        # A page of tasks may just have been read.
        self._cancelled.add(job)
        self._next = [task for task in self._next if task.job != job]
        for (its, _), task in self._under_way.items():
            if its == job:
                task.cancel()
        return True

    async def some_originals(self, most: int) -> list[tuple[str, str]]:
        """Up to `most` originals that are there, mount by mount, each with the name of its mount."""
        found: list[tuple[str, str]] = []
        for mount in self._rules().mounts:
            # A source that cannot be listed shows nothing.
            with suppress(CalotypeError):
                async for keys in self._shelves[mount.source].keys(""):
                    found += [(mount.name, key) for key in keys[:most]]
                    if keys:
                        break
            if len(found) >= most:
                break
        return found[:most]

    def wake(self) -> None:
        """There is more to do."""
        self._more.set()
        self._to_list.set()

    def _variants(self, transforms: tuple[str, ...]) -> int:
        return sum(variants_of(self._transform(transform), self._auto) for transform in transforms)

    def _transform(self, transform: str) -> Transform:
        presets = self._rules().presets
        return parse_tokens(transform, presets).transform(presets)

    async def _keep_on(
        self, work: Callable[[], Awaitable[None]], after: Callable[[], Awaitable[None]]
    ) -> None:
        await after()
        while True:
            try:
                await work()
            except Exception:
                self._log.exception("internal error")
                await asyncio.sleep(PAUSE_S)
                self.wake()  # What was to be done still is.

    async def _run(self) -> None:
        """What there is to do now, from whichever job."""
        await self._more.wait()
        self._more.clear()
        while await self._take() or self._under_way:
            # Each that ends lets the next begin.
            await asyncio.wait(self._under_way.values(), return_when=asyncio.FIRST_COMPLETED)

    async def _list_all(self) -> None:
        await self._to_list.wait()
        self._to_list.clear()
        for listing in await self._jobs.listings():
            await self._list(listing)

    async def _take(self) -> bool:
        """Begins as many tasks as may be under way; False where there are no more."""
        if not self._next:
            tasks = await self._jobs.next(2 * self._most)
            self._next = [
                task
                for task in tasks
                if (task.job, task.number) not in self._under_way and task.job not in self._cancelled
            ]
        while self._next and len(self._under_way) < self._most:
            task = self._next.pop(0)
            place = task.job, task.number
            self._under_way[place] = self._tasks.start(self._do(task), "pregenerate")
            self._under_way[place].add_done_callback(partial(self._end, place))
        return bool(self._next)

    def _end(self, place: tuple[int, int], _: asyncio.Task[None]) -> None:
        self._under_way.pop(place, None)

    async def _list(self, listing: PregenerationListing) -> None:
        try:
            shelf = self._shelves[mount_named(self._rules(), listing.mount).source]
            variants = self._variants(listing.transforms)
            async for keys in shelf.keys(listing.prefix):
                if listing.job in self._cancelled:
                    return
                await self._listed(listing, keys, variants)
            await self._listed(listing, [], variants)
        except CalotypeError as failure:
            await self._jobs.listing_failed(listing.job, JobFailure("", "", failure.slug, failure.detail))
        except Exception:
            self._log.exception("internal error")
            outcome = JobFailure("", "", CalotypeError.slug, "an unexpected error was logged")
            await self._jobs.listing_failed(listing.job, outcome)

    async def _listed(self, listing: PregenerationListing, keys: list[str], variants: int) -> None:
        await _written(lambda: self._jobs.add_listed(listing.job, keys, variants=variants, is_all=not keys))
        self._more.set()

    async def _do(self, task: PregenerationTask) -> None:
        made: list[bool] = []
        failures: list[JobFailure] = []
        async with asyncio.TaskGroup() as making, self._turn:
            # Variants of one original follow one another, so that it is looked at and opened once for them all.
            for transform in task.transforms:
                try:
                    every_wanted = self._requests(task, transform)
                except CalotypeError as failure:
                    failures += [JobFailure(task.key, transform, failure.slug, failure.detail)] * self._count(
                        transform
                    )
                    continue
                for request in every_wanted:
                    await self._seats.acquire()
                    making.create_task(
                        self._make(task, transform, request, made, failures), name="variant"
                    ).add_done_callback(lambda _: self._seats.release())
        done, skipped = made.count(True), made.count(False)
        # Or it would be done again and again.
        await _written(lambda: self._jobs.finish(task, done=done, skipped=skipped, failures=failures))

    async def _make(
        self,
        task: PregenerationTask,
        transform: str,
        request: VariantRequest,
        made: list[bool],
        failures: list[JobFailure],
    ) -> None:
        """One variant: `made` or not, for it was there, or one of the `failures`."""
        try:
            made.append(await self._prepare(request))
        except CalotypeError as failure:
            failures.append(JobFailure(task.key, transform, failure.slug, failure.detail, format_of(request)))
        except Exception:
            self._log.exception("internal error")
            outcome = "an unexpected error was logged"
            failures.append(JobFailure(task.key, transform, CalotypeError.slug, outcome, format_of(request)))

    def _count(self, transform: str) -> int:
        """How many variants it would have been."""
        with suppress(CalotypeError):
            return self._variants((transform,))
        return 1

    def _requests(self, task: PregenerationTask, transform: str) -> list[VariantRequest]:
        rules = self._rules()
        ref = mount_named(rules, task.mount).ref(checked_locator(task.key))
        return list(requests_of(ref, self._transform(transform), self._auto, rules.max_side_px))

    async def _prepare(self, request: VariantRequest) -> bool:
        """What fails because the node is busy is no failure of the picture."""
        for _ in range(TRIES):
            try:
                return await self._preparer.prepare(request, deadline=self._clock() + PATIENCE_S)
            except Draining:
                await asyncio.sleep(PATIENCE_S)  # Until the stop ends this, too.
            except Overloaded:
                await asyncio.sleep(PAUSE_S)
        raise Overloaded("the node was too busy for too long")


async def _written(write: Callable[[], Awaitable[bool]]) -> None:
    """Until it can be."""
    while True:
        if await write():
            return
        await asyncio.sleep(PAUSE_S)
