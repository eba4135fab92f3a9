"""Pre-generation jobs: each variant of a stored job is rendered, or reported as a failure, whatever else fails."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
import structlog

from proxy.core.admin.jobs import JobFailure, PregenerationListing, PregenerationSpec, PregenerationTask
from proxy.core.cache.variant_request import VariantRequest
from proxy.core.errors import BadRequest, CalotypeError, SourceUnavailable, Undecodable, UnknownRoute
from proxy.core.image.formats import Format
from proxy.core.url.mounts import Mount
from proxy.core.url.policy import Dimensions
from proxy.service.admin import pregeneration as module
from proxy.service.admin.pregeneration import Pregeneration
from tests.service.composition import AUTO, rules
from tests.support.fakes import FakeClock, FakeWritableSource
from tests.support.waiting import eventually, settle

WEBP = ("w_1,f_webp",)


class FakeJobs:
    """Jobs in lists. The next calls that read raise `read_errors`; the next `failed_writes` calls that write fail."""

    def __init__(self) -> None:
        self.tasks: list[PregenerationTask] = []
        self.pending_listings: list[PregenerationListing] = []
        self.added: list[tuple[PregenerationSpec, int]] = []
        self.finished: list[tuple[int, int, int, list[JobFailure]]] = []
        self.listed_pages: list[tuple[int, list[str], int, bool]] = []
        self.failed_listings: list[tuple[int, JobFailure]] = []
        self.read_errors: list[Exception] = []
        self.failed_writes = 0
        self.job_numbers: dict[str, int] = {}

    def add_task(self, *transforms: str, job: int = 1, mount: str = "", key: str = "a") -> None:
        self.tasks.append(PregenerationTask(job, len(self.tasks), mount, key, transforms))

    async def add(self, spec: PregenerationSpec, total: int) -> str:
        self.added.append((spec, total))
        return f"job {len(self.added)}"

    async def listings(self) -> list[PregenerationListing]:
        self._raise_read_error()
        return list(self.pending_listings)

    async def add_listed(self, job: int, keys: Sequence[str], *, variants: int, is_all: bool) -> bool:
        if not self._is_written():
            return False
        self.listed_pages.append((job, list(keys), variants, is_all))
        return True

    async def listing_failed(self, job: int, failure: JobFailure) -> None:
        self.failed_listings.append((job, failure))

    async def next(self, count: int) -> list[PregenerationTask]:
        self._raise_read_error()
        return self.tasks[:count]

    async def finish(
        self, task: PregenerationTask, *, done: int, skipped: int, failures: Sequence[JobFailure]
    ) -> bool:
        if not self._is_written():
            return False
        self.tasks.remove(task)
        self.finished.append((task.number, done, skipped, list(failures)))
        return True

    async def cancel(self, job_id: str) -> int | None:
        job = self.job_numbers.get(job_id)
        self.tasks = [task for task in self.tasks if task.job != job]
        return job

    def _raise_read_error(self) -> None:
        if self.read_errors:
            raise self.read_errors.pop(0)

    def _is_written(self) -> bool:
        self.failed_writes -= 1
        return self.failed_writes < 0


class FakePreparer:
    """Records requests, and returns the `result` of each while it `runs`."""

    def __init__(self) -> None:
        self.requests: list[VariantRequest] = []
        self.result: Callable[[VariantRequest], bool] = lambda _: True
        self.runs = asyncio.Event()
        self.runs.set()

    async def prepare(self, request: VariantRequest, *, deadline: float) -> bool:
        self.requests.append(request)
        await self.runs.wait()
        return self.result(request)


class Setup:
    """A Pregeneration with one worker, over fakes."""

    def __init__(self) -> None:
        self.jobs, self.preparer, self.rules = FakeJobs(), FakePreparer(), rules()
        self.sources = {"photos": FakeWritableSource(), "films": FakeWritableSource("films")}
        self.pregeneration = Pregeneration(
            self.jobs,  # type: ignore[arg-type]
            self.preparer,
            self.sources,
            lambda: self.rules,
            AUTO,
            FakeClock(),
            workers=1,
            log=structlog.wrap_logger(structlog.ReturnLogger()),
        )

    def start(self) -> None:
        async def nothing() -> None: ...

        self.pregeneration.start(nothing)


@pytest.fixture
async def setup(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Setup]:
    monkeypatch.setattr(module, "RETRY_PAUSE_S", 0.0)
    made = Setup()
    yield made
    await made.pregeneration.close()


def mount(name: str, source: str = "photos") -> Mount:
    return Mount(name=name, source=source, dimensions=Dimensions.ANY, allowed_px=(), max_age_s=9)


async def test_tasks_run_a_few_at_a_time_and_are_counted(setup: Setup) -> None:
    """Six for each worker. Existing variants count as skipped."""
    setup.preparer.runs.clear()
    setup.preparer.result = lambda request: request.ref.key != "a3"
    for number in range(20):
        setup.jobs.add_task(*WEBP, key=f"a{number}")
    setup.start()
    await eventually(lambda: len(setup.preparer.requests) == 6)
    await settle()
    assert len(setup.preparer.requests) == 6
    setup.preparer.runs.set()
    await eventually(lambda: not setup.jobs.tasks)
    assert sorted(setup.jobs.finished) == [(n, int(n != 3), int(n == 3), []) for n in range(20)]
    assert sorted(request.ref.key for request in setup.preparer.requests) == sorted(
        f"a{n}" for n in range(20)
    )


async def test_no_task_starts_before_the_node_is_ready(setup: Setup) -> None:
    is_ready = asyncio.Event()

    async def ready() -> None:
        await is_ready.wait()

    setup.jobs.add_task(*WEBP)
    setup.pregeneration.start(ready)
    await settle()
    assert not setup.preparer.requests
    is_ready.set()
    await eventually(lambda: setup.jobs.finished)


async def test_jobs_go_on_after_an_error_of_the_job_store(setup: Setup) -> None:
    """No new job is needed for that."""
    setup.jobs.add_task(*WEBP)
    setup.sources["photos"].put("a", b"x")
    setup.jobs.pending_listings = [PregenerationListing(1, "", WEBP, "")]
    setup.jobs.read_errors = [RuntimeError("odd"), RuntimeError("odd"), RuntimeError("odd")]
    setup.start()
    await eventually(lambda: setup.jobs.finished and setup.jobs.listed_pages)
    assert setup.jobs.finished == [(0, 1, 0, [])]
    assert setup.jobs.listed_pages[:2] == [(1, ["a"], 1, False), (1, [], 1, True)]


async def test_a_result_that_cannot_be_stored_is_stored_later(setup: Setup) -> None:
    setup.jobs.add_task(*WEBP)
    setup.sources["photos"].put("a", b"x")
    setup.jobs.pending_listings = [PregenerationListing(1, "", (*WEBP, "w_2,f_auto"), "")]
    setup.jobs.failed_writes = 3
    setup.start()
    await eventually(lambda: setup.jobs.finished and len(setup.jobs.listed_pages) == 2)
    assert setup.jobs.finished == [(0, 1, 0, [])], "the variant is not rendered again"
    assert len(setup.preparer.requests) == 1
    assert setup.jobs.listed_pages == [(1, ["a"], 4, False), (1, [], 4, True)]


async def test_variants_of_a_removed_preset_or_mount_are_failures(setup: Setup) -> None:
    """A failure counts as many variants as the transform had, as far as the node still knows them."""
    setup.jobs.add_task("t_gone", "w_1,f_png")
    setup.jobs.add_task("t_card", "w_1", mount="gone")
    setup.start()
    await eventually(lambda: len(setup.jobs.finished) == 2)
    (_, done, _, failures), (_, _, _, of_mount) = sorted(setup.jobs.finished)
    assert done == 1
    assert [(each.key, each.transform, each.slug) for each in failures] == [("a", "t_gone", "bad-transform")]
    assert [(each.transform, each.slug, each.format) for each in of_mount] == [
        *[("t_card", "unknown-route", "")] * 3,
        ("w_1", "unknown-route", ""),
    ]


async def test_a_failure_does_not_affect_other_variants_of_the_task(setup: Setup) -> None:
    def result(request: VariantRequest) -> bool:
        if request.accepted == {Format.WEBP}:
            raise Undecodable("the original is damaged")
        if request.accepted == {Format.AVIF}:
            raise RuntimeError("odd")
        return True

    setup.preparer.result = result
    setup.jobs.add_task("w_1,f_auto", "w_2")
    setup.start()
    await eventually(lambda: setup.jobs.finished)
    [(_, done, skipped, failures)] = setup.jobs.finished
    assert (done, skipped) == (2, 0)
    assert sorted(failures, key=lambda each: each.format) == [
        JobFailure("a", "w_1,f_auto", "internal", "an unexpected error was logged", "avif"),
        JobFailure("a", "w_1,f_auto", "undecodable", "the original is damaged", "webp"),
    ]


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (SourceUnavailable("it is away"), JobFailure("", "", "source-unavailable", "it is away")),
        (RuntimeError("odd"), JobFailure("", "", "internal", "an unexpected error was logged")),
    ],
)
async def test_an_error_of_the_source_ends_the_listing(
    setup: Setup, error: Exception, failure: JobFailure
) -> None:
    async def keys(_: str) -> AsyncIterator[list[str]]:
        yield ["a"]
        raise error

    setup.sources["photos"].keys = keys  # type: ignore[method-assign]
    setup.sources["films"].put("f", b"x")
    setup.rules = rules(mount("films", "films"))
    setup.jobs.pending_listings = [
        PregenerationListing(7, "shop", WEBP, ""),
        PregenerationListing(8, "films", WEBP, ""),
    ]
    setup.start()
    await eventually(lambda: len(setup.jobs.listed_pages) == 3)
    assert setup.jobs.failed_listings == [(7, failure)]
    assert setup.jobs.listed_pages == [(7, ["a"], 1, False), (8, ["f"], 1, False), (8, [], 1, True)]


async def test_a_cancelled_job_does_not_affect_other_jobs(setup: Setup) -> None:
    setup.preparer.runs.clear()
    setup.jobs.job_numbers = {"one": 1}
    for number in range(4):
        setup.jobs.add_task(*WEBP, job=1 + number % 2, key=f"a{number}")
    for number in range(4, 10):
        setup.jobs.add_task(*WEBP, job=1, key=f"a{number}")
    setup.start()
    await eventually(lambda: len(setup.preparer.requests) == 6)
    assert await setup.pregeneration.cancel("one")
    await settle()
    setup.preparer.runs.set()
    await eventually(lambda: not setup.jobs.tasks)
    assert sorted(number for number, *_ in setup.jobs.finished) == [1, 3]
    assert len(setup.preparer.requests) == 6


async def test_an_unknown_job_or_a_failed_write_cancels_nothing(setup: Setup) -> None:
    setup.jobs.job_numbers = {"full": 0}
    assert not await setup.pregeneration.cancel("none")
    with pytest.raises(SourceUnavailable, match="cancellation") as caught:
        await setup.pregeneration.cancel("full")
    assert caught.value.retry_after_s == 5


async def test_a_job_is_stored_with_its_number_of_variants(setup: Setup) -> None:
    keys = tuple(f"k{number}" for number in range(1500))
    for spec, total in (
        (PregenerationSpec(mount="", transforms=("t_card", "w_1"), keys=keys), 6000),
        (PregenerationSpec(mount="shop", transforms=WEBP, prefix="a/"), 0),
    ):
        assert await setup.pregeneration.add(spec)
        assert setup.jobs.added[-1] == (spec, total)


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        (PregenerationSpec(mount="", transforms=(), keys=("a",)), BadRequest),
        (PregenerationSpec(mount="gone", transforms=WEBP, keys=("a",)), UnknownRoute),
        (PregenerationSpec(mount="", transforms=WEBP, keys=("a", "../b")), CalotypeError),
        (PregenerationSpec(mount="", transforms=WEBP, prefix="a\n"), CalotypeError),
        (PregenerationSpec(mount="", transforms=("w_x",), keys=("a",)), CalotypeError),
    ],
)
async def test_an_invalid_job_is_not_stored(
    setup: Setup, spec: PregenerationSpec, error: type[CalotypeError]
) -> None:
    with pytest.raises(error):
        await setup.pregeneration.add(spec)
    assert not setup.jobs.added


async def test_the_sample_has_originals_of_each_mount_in_turn(setup: Setup) -> None:
    """Of each mount the first page that has originals; a source that cannot be listed has no sample."""
    setup.rules = rules(mount("films", "films"), mount("again"))
    assert await setup.pregeneration.sample_originals(5) == []
    for key in ("a", "b", "c"):
        setup.sources["photos"].put(key, b"x")
    photos = [("shop", "a"), ("shop", "b")]
    again = [("again", "a"), ("again", "b")]
    assert await setup.pregeneration.sample_originals(9) == [*photos, *again]
    setup.sources["films"].put("f", b"x")
    assert await setup.pregeneration.sample_originals(9) == [*photos, ("films", "f"), *again]
    assert await setup.pregeneration.sample_originals(4) == [*photos, ("films", "f"), again[0]]
    assert await setup.pregeneration.sample_originals(2) == photos
    assert await setup.pregeneration.sample_originals(1) == photos[:1]
    setup.sources["photos"].failure = SourceUnavailable("it is away")
    assert await setup.pregeneration.sample_originals(9) == [("films", "f")]


async def test_the_sample_skips_pages_without_originals(setup: Setup) -> None:
    async def keys(_: str) -> AsyncIterator[list[str]]:
        for page in ([], ["a"], ["b"]):
            yield page

    setup.sources["photos"].keys = keys  # type: ignore[method-assign]
    assert await setup.pregeneration.sample_originals(9) == [("shop", "a")]
