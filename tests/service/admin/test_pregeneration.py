"""Jobs of pre-generation: what is written down gets done, or is told of, whatever fails on the way."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
import structlog

from proxy.core.admin.jobs import JobFailure, PregenerationListing, PregenerationSpec, PregenerationTask
from proxy.core.cache.variant_request import VariantRequest
from proxy.core.errors import BadRequest, CalotypeError, SourceUnavailable, Undecodable, UnknownRoute
from proxy.core.image.formats import Format
from proxy.core.url.mounts import Mount, Rules, mount_named
from proxy.core.url.policy import Dimensions
from proxy.service.admin import pregeneration as module
from proxy.service.admin.pregeneration import Pregeneration
from tests.service.composition import AUTO, rules
from tests.support.fakes import FakeClock, FakeWritableSource
from tests.support.waiting import eventually, settle

WEBP = ("w_1,f_webp",)


class FakeJobs:
    """Jobs in lists. `faults` are raised by the next calls that read, and so many `refusals` are for those that write."""

    def __init__(self) -> None:
        self.tasks: list[PregenerationTask] = []
        self.open: list[PregenerationListing] = []
        self.added: list[tuple[PregenerationSpec, int]] = []
        self.finished: list[tuple[int, int, int, list[JobFailure]]] = []
        self.pages: list[tuple[int, list[str], int, bool]] = []
        self.unlisted: list[tuple[int, JobFailure]] = []
        self.faults: list[Exception] = []
        self.refusals = 0
        self.cancelled: dict[str, int] = {}

    def put(self, *transforms: str, job: int = 1, mount: str = "", key: str = "a") -> None:
        self.tasks.append(PregenerationTask(job, len(self.tasks), mount, key, transforms))

    async def add(self, asked: PregenerationSpec, total: int) -> str:
        self.added.append((asked, total))
        return f"job {len(self.added)}"

    async def listings(self) -> list[PregenerationListing]:
        self._fail()
        return list(self.open)

    async def add_listed(self, job: int, keys: Sequence[str], *, variants: int, is_all: bool) -> bool:
        if not self._is_written():
            return False
        self.pages.append((job, list(keys), variants, is_all))
        return True

    async def listing_failed(self, job: int, failure: JobFailure) -> None:
        self.unlisted.append((job, failure))

    async def next(self, count: int) -> list[PregenerationTask]:
        self._fail()
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
        job = self.cancelled.get(job_id)
        self.tasks = [task for task in self.tasks if task.job != job]
        return job

    def _fail(self) -> None:
        if self.faults:
            raise self.faults.pop(0)

    def _is_written(self) -> bool:
        self.refusals -= 1
        return self.refusals < 0


class FakePreparer:
    """Answers as `answer` does; `gate`, while closed, holds all."""

    def __init__(self) -> None:
        self.asked: list[VariantRequest] = []
        self.answer: Callable[[VariantRequest], bool] = lambda _: True
        self.gate = asyncio.Event()
        self.gate.set()

    async def prepare(self, wanted: VariantRequest, *, deadline: float) -> bool:
        self.asked.append(wanted)
        await self.gate.wait()
        return self.answer(wanted)


class Room:
    """A Warming of one worker, and what stands around it."""

    def __init__(self) -> None:
        self.jobs, self.preparer, self.rules = FakeJobs(), FakePreparer(), rules()
        self.shelves = {"photos": FakeWritableSource(), "films": FakeWritableSource("films")}
        self.pregeneration = Pregeneration(
            self.jobs,  # type: ignore[arg-type]
            self.preparer,
            self.shelves,
            lambda: self.rules,
            AUTO,
            FakeClock(),
            workers=1,
            log=structlog.wrap_logger(structlog.ReturnLogger()),
        )

    def start(self) -> None:
        async def at_once() -> None: ...

        self.pregeneration.start(at_once)


@pytest.fixture
async def room(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Room]:
    monkeypatch.setattr(module, "RETRY_PAUSE_S", 0.0)
    made = Room()
    yield made
    await made.pregeneration.close()


def mount(name: str, source: str = "photos") -> Mount:
    return Mount(name=name, source=source, dimensions=Dimensions.ANY, allowed_px=(), max_age_s=9)


async def test_tasks_are_done_a_few_at_once_and_counted(room: Room) -> None:
    """Six for each worker; what was made already is skipped."""
    room.preparer.gate.clear()
    room.preparer.answer = lambda wanted: wanted.ref.key != "a3"
    for number in range(20):
        room.jobs.put(*WEBP, key=f"a{number}")
    room.start()
    await eventually(lambda: len(room.preparer.asked) == 6)
    await settle()
    assert len(room.preparer.asked) == 6
    room.preparer.gate.set()
    await eventually(lambda: not room.jobs.tasks)
    assert sorted(room.jobs.finished) == [(n, int(n != 3), int(n == 3), []) for n in range(20)]
    assert sorted(wanted.ref.key for wanted in room.preparer.asked) == sorted(f"a{n}" for n in range(20))


async def test_nothing_begins_before_it_may(room: Room) -> None:
    may = asyncio.Event()

    async def wait() -> None:
        await may.wait()

    room.jobs.put(*WEBP)
    room.pregeneration.start(wait)
    await settle()
    assert not room.preparer.asked
    may.set()
    await eventually(lambda: room.jobs.finished)


async def test_a_fault_of_what_jobs_are_written_in_is_not_the_end(room: Room) -> None:
    """Work goes on from there without more of it."""
    room.jobs.put(*WEBP)
    room.shelves["photos"].put("a", b"x")
    room.jobs.open = [PregenerationListing(1, "", WEBP, "")]
    room.jobs.faults = [RuntimeError("odd"), RuntimeError("odd"), RuntimeError("odd")]
    room.start()
    await eventually(lambda: room.jobs.finished and room.jobs.pages)
    assert room.jobs.finished == [(0, 1, 0, [])]
    assert room.jobs.pages[:2] == [(1, ["a"], 1, False), (1, [], 1, True)]


async def test_what_cannot_be_written_is_written_later(room: Room) -> None:
    room.jobs.put(*WEBP)
    room.shelves["photos"].put("a", b"x")
    room.jobs.open = [PregenerationListing(1, "", (*WEBP, "w_2,f_auto"), "")]
    room.jobs.refusals = 3
    room.start()
    await eventually(lambda: room.jobs.finished and len(room.jobs.pages) == 2)
    assert room.jobs.finished == [(0, 1, 0, [])], "it is not made again for that"
    assert len(room.preparer.asked) == 1
    assert room.jobs.pages == [(1, ["a"], 4, False), (1, [], 4, True)]


async def test_what_is_not_to_be_made_any_more_is_told(room: Room) -> None:
    """Presets and mounts may have gone since the job was taken on: it counts as many variants as it would have been."""
    room.jobs.put("t_gone", "w_1,f_png")
    room.jobs.put("t_card", "w_1", mount="gone")
    room.start()
    await eventually(lambda: len(room.jobs.finished) == 2)
    (_, done, _, failures), (_, _, _, of_mount) = sorted(room.jobs.finished)
    assert done == 1
    assert [(each.key, each.transform, each.slug) for each in failures] == [("a", "t_gone", "bad-transform")]
    assert [(each.transform, each.slug, each.format) for each in of_mount] == [
        *[("t_card", "unknown-route", "")] * 3,
        ("w_1", "unknown-route", ""),
    ]


async def test_a_failure_is_that_of_its_variant_alone(room: Room) -> None:
    def answer(wanted: VariantRequest) -> bool:
        if wanted.accepted == {Format.WEBP}:
            raise Undecodable("the original is damaged")
        if wanted.accepted == {Format.AVIF}:
            raise RuntimeError("odd")
        return True

    room.preparer.answer = answer
    room.jobs.put("w_1,f_auto", "w_2")
    room.start()
    await eventually(lambda: room.jobs.finished)
    [(_, done, skipped, failures)] = room.jobs.finished
    assert (done, skipped) == (2, 0)
    assert sorted(failures, key=lambda each: each.format) == [
        JobFailure("a", "w_1,f_auto", "internal", "an unexpected error was logged", "avif"),
        JobFailure("a", "w_1,f_auto", "undecodable", "the original is damaged", "webp"),
    ]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (SourceUnavailable("it is away"), JobFailure("", "", "source-unavailable", "it is away")),
        (RuntimeError("odd"), JobFailure("", "", "internal", "an unexpected error was logged")),
    ],
)
async def test_a_source_that_cannot_be_listed_ends_the_listing(
    room: Room, fault: Exception, told: JobFailure
) -> None:
    async def keys(_: str) -> AsyncIterator[list[str]]:
        yield ["a"]
        raise fault

    room.shelves["photos"].keys = keys  # type: ignore[method-assign]
    room.shelves["films"].put("f", b"x")
    room.rules = rules(mount("films", "films"))
    room.jobs.open = [PregenerationListing(7, "shop", WEBP, ""), PregenerationListing(8, "films", WEBP, "")]
    room.start()
    await eventually(lambda: len(room.jobs.pages) == 3)
    assert room.jobs.unlisted == [(7, told)]
    assert room.jobs.pages == [(7, ["a"], 1, False), (8, ["f"], 1, False), (8, [], 1, True)]


async def test_cancelling_a_job_leaves_the_others_alone(room: Room) -> None:
    room.preparer.gate.clear()
    room.jobs.cancelled = {"one": 1}
    for number in range(4):
        room.jobs.put(*WEBP, job=1 + number % 2, key=f"a{number}")
    for number in range(4, 10):
        room.jobs.put(*WEBP, job=1, key=f"a{number}")
    room.start()
    await eventually(lambda: len(room.preparer.asked) == 6)
    assert await room.pregeneration.cancel("one")
    await settle()
    room.preparer.gate.set()
    await eventually(lambda: not room.jobs.tasks)
    assert sorted(number for number, *_ in room.jobs.finished) == [1, 3]
    assert len(room.preparer.asked) == 6


async def test_cancelling_what_is_not_there_or_cannot_be_written(room: Room) -> None:
    room.jobs.cancelled = {"full": 0}
    assert not await room.pregeneration.cancel("none")
    with pytest.raises(SourceUnavailable, match="cancellation") as caught:
        await room.pregeneration.cancel("full")
    assert caught.value.retry_after_s == 5


async def test_a_job_is_taken_on_with_as_many_variants_as_it_makes(room: Room) -> None:
    keys = tuple(f"k{number}" for number in range(1500))
    for asked, total in (
        (PregenerationSpec(mount="", transforms=("t_card", "w_1"), keys=keys), 6000),
        (PregenerationSpec(mount="shop", transforms=WEBP, prefix="a/"), 0),
    ):
        assert await room.pregeneration.add(asked)
        assert room.jobs.added[-1] == (asked, total)


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (PregenerationSpec(mount="", transforms=(), keys=("a",)), BadRequest),
        (PregenerationSpec(mount="gone", transforms=WEBP, keys=("a",)), UnknownRoute),
        (PregenerationSpec(mount="", transforms=WEBP, keys=("a", "../b")), CalotypeError),
        (PregenerationSpec(mount="", transforms=WEBP, prefix="a\n"), CalotypeError),
        (PregenerationSpec(mount="", transforms=("w_x",), keys=("a",)), CalotypeError),
    ],
)
async def test_a_job_that_cannot_be_done_is_not_taken_on(
    room: Room, asked: PregenerationSpec, kind: type[CalotypeError]
) -> None:
    with pytest.raises(kind):
        await room.pregeneration.add(asked)
    assert not room.jobs.added


async def test_some_originals_of_each_mount_in_turn(room: Room) -> None:
    """Of each the first page that has any; a source that cannot be listed shows nothing."""
    room.rules = rules(mount("films", "films"), mount("again"))
    assert await room.pregeneration.sample_originals(5) == []
    for key in ("a", "b", "c"):
        room.shelves["photos"].put(key, b"x")
    photos = [("shop", "a"), ("shop", "b")]
    again = [("again", "a"), ("again", "b")]
    assert await room.pregeneration.sample_originals(9) == [*photos, *again]
    room.shelves["films"].put("f", b"x")
    assert await room.pregeneration.sample_originals(9) == [*photos, ("films", "f"), *again]
    assert await room.pregeneration.sample_originals(4) == [*photos, ("films", "f"), again[0]]
    assert await room.pregeneration.sample_originals(2) == photos
    assert await room.pregeneration.sample_originals(1) == photos[:1]
    room.shelves["photos"].failure = SourceUnavailable("it is away")
    assert await room.pregeneration.sample_originals(9) == [("films", "f")]


async def test_pages_without_originals_are_passed_over(room: Room) -> None:
    async def keys(_: str) -> AsyncIterator[list[str]]:
        for page in ([], ["a"], ["b"]):
            yield page

    room.shelves["photos"].keys = keys  # type: ignore[method-assign]
    assert await room.pregeneration.sample_originals(9) == [("shop", "a")]


def of(*names: str) -> Rules:
    return rules()._replace(mounts=[mount(name) for name in names])


@pytest.mark.parametrize(
    ("which", "name", "found"),
    [
        (of("a"), "", "a"),
        (of("a"), "a", "a"),
        (of("a", "b"), "b", "b"),
        (of("a", "b"), "", BadRequest),
        (of("a", "b"), "c", UnknownRoute),
        (of("a"), "c", UnknownRoute),
    ],
)
def test_mounts_by_their_names(which: Rules, name: str, found: str | type[CalotypeError]) -> None:
    if isinstance(found, str):
        assert mount_named(which, name).name == found
        return
    with pytest.raises(found, match=", ".join(each.name for each in which.mounts)):
        mount_named(which, name)
