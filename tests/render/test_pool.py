"""A worker that is killed, stopped or too slow fails at most its own request."""

import array
import asyncio
import fcntl
import os
import signal
import termios
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from proxy.core.errors import (
    Draining,
    OriginalTooLarge,
    Overloaded,
    RenderTimeout,
    Undecodable,
    UnsupportedFormat,
    WorkerDied,
)
from proxy.core.image.formats import OUTPUTS, Format
from proxy.core.transform.plan import Plan
from proxy.ports.rendering import Schedule
from proxy.render import pool as pool_module
from proxy.render import spawn
from proxy.render.pool import COLD_RENDERS, Pool
from proxy.render.protocol import Answer, Job
from proxy.render.spawn import spawn_worker
from tests.render.conftest import LIMITS, WORKER_LIMITS, draw, opened, plan_for
from tests.support import pictures
from tests.support.waiting import LONGEST_S, deadline, eventually, eventually_sync, settle

MakePool = Callable[..., Pool]

PICTURE = pictures.photo_as("jpeg")
PLAN = plan_for("w_100,f_jpg", PICTURE)
SLOW_PICTURE = pictures.photo_as("png", 2400, 1800)
SLOW = plan_for("w_2400,f_avif,e_blur:60", SLOW_PICTURE)


async def render(
    pool: Pool,
    content: bytes = PICTURE,
    plan: Plan = PLAN,
    *,
    seconds: float = LONGEST_S,
    started: asyncio.Event | None = None,
) -> bytes:
    original = opened(content)
    try:
        on_start = started.set if started else lambda: None
        return (
            await pool.render([original], plan, Schedule(deadline=deadline(seconds), on_start=on_start))
        ).body
    finally:
        original.file.close()


def pids(pool: Pool) -> list[int]:
    return [worker.process.pid for worker in pool._alive]


def unread_bytes(pool: Pool) -> int:
    """What the workers have been sent and have not read yet."""
    count = array.array("i", [0])
    total = 0
    for worker in pool._alive:
        fcntl.ioctl(worker._channel, termios.TIOCOUTQ, count)
        total += count[0]
    return total


async def begin(pool: Pool, plan: Plan = SLOW, content: bytes = SLOW_PICTURE) -> asyncio.Task[bytes]:
    """A render that a worker has read: who is killed now has it on its account."""
    started = asyncio.Event()
    task = asyncio.create_task(render(pool, content, plan, started=started))
    await started.wait()
    await eventually(lambda: unread_bytes(pool) == 0)
    return task


async def test_a_worker_lists_its_formats_and_renders(make_pool: MakePool) -> None:
    pool = make_pool()
    hello = await pool.start()
    assert set(hello.formats) == OUTPUTS
    assert tuple(hello.libvips) >= (8, 16, 0)
    assert pictures.size(await render(pool)) == (100, 75)
    original = opened(PICTURE)
    facts = await pool.probe(original, deadline=deadline(10))
    original.file.close()
    assert (facts.format, facts.width_px, facts.height_px, facts.alpha) == (Format.JPEG, 640, 480, False)


async def test_a_worker_that_fails_once_at_the_start_is_started_again(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fails_once = f"import os; os.mkdir({str(tmp_path / 'started')!r})"
    code = f"try: exec({fails_once!r})\nexcept FileExistsError: exec({spawn._PROGRAM!r})"
    monkeypatch.setattr(spawn, "_PROGRAM", code)
    monkeypatch.setattr(pool_module, "RESPAWN_PAUSE_S", 0.0)
    pool = make_pool()
    await pool.start()
    assert pictures.size(await render(pool)) == (100, 75)


async def test_the_start_fails_if_no_worker_can_be_started(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawn, "_PROGRAM", "raise SystemExit(1)")
    monkeypatch.setattr(pool_module, "RESPAWN_PAUSE_S", 0.0)
    with pytest.raises(WorkerDied, match="no worker could be started"):
        await make_pool().start()


async def test_a_refused_original_raises_its_error_and_the_worker_continues(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.start()
    before = pids(pool)
    with pytest.raises(Undecodable, match="cut short"):
        await render(pool, PICTURE[:-500])
    with pytest.raises(OriginalTooLarge):
        await render(pool, pictures.png_of(20_000, 10))
    assert pictures.size(await render(pool)) == (100, 75)
    assert pids(pool) == before


async def test_a_killed_worker_fails_its_request_and_is_replaced(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.start()
    [pid] = pids(pool)
    doomed = await begin(pool)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerDied):
        await doomed
    assert pictures.size(await render(pool)) == (100, 75)
    assert pids(pool) != [pid]


async def test_a_killed_idle_worker_is_replaced_without_a_failed_request(make_pool: MakePool) -> None:
    pool = make_pool(workers=2)
    await pool.start()
    dead = pids(pool)
    for pid in dead:
        os.kill(pid, signal.SIGKILL)
    await eventually(lambda: pool.alive == 0)
    await eventually(lambda: pool.alive == 2)
    assert not set(pids(pool)) & set(dead)
    assert pictures.size(await render(pool)) == (100, 75)


def is_dead(pid: int) -> bool:
    """Whether a process has ended, reaped or not: some Pythons reap in the event loop."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def test_a_job_that_a_dead_worker_did_not_read_is_repeated(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.start()
    for _ in range(5):
        [pid] = pids(pool)
        os.kill(pid, signal.SIGKILL)
        # The loop stands still until the worker is dead, so that the pool cannot have noticed.
        eventually_sync(lambda pid=pid: is_dead(pid), pause_s=0.01)
        assert pictures.size(await render(pool)) == (100, 75)
        await eventually(lambda: pool.alive == 1)
    assert pool.waiting == 0


async def test_a_stopped_worker_fails_no_request(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.start()
    [pid] = pids(pool)
    os.kill(pid, signal.SIGSTOP)
    assert pictures.size(await render(pool)) == (100, 75)
    await eventually(lambda: not Path(f"/proc/{pid}").exists())
    busy = await begin(pool, plan_for("w_600,f_avif,e_blur:20", PICTURE), PICTURE)
    os.kill(pids(pool)[0], signal.SIGSTOP)
    assert pictures.size(await busy) == (600, 450)


async def test_a_worker_that_is_stopped_while_it_starts_delays_no_request(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.start()
    os.kill(pids(pool)[0], signal.SIGKILL)
    await eventually(lambda: len(pool._workers) == 1 and not pool._alive)
    [starting] = pool._workers
    os.kill(starting.process.pid, signal.SIGSTOP)
    assert pictures.size(await render(pool, seconds=15)) == (100, 75)


async def test_a_render_beyond_the_timeout_is_killed(make_pool: MakePool) -> None:
    pool = make_pool(timeout_s=0.2)
    await pool.start()
    with pytest.raises(RenderTimeout):
        await render(pool, SLOW_PICTURE, SLOW)
    async with asyncio.timeout(LONGEST_S):
        while True:
            with suppress(
                RenderTimeout
            ):  # A busy machine may take longer than that for a small picture, too.
                assert pictures.size(await render(pool)) == (100, 75)
                break


async def test_a_memory_bomb_is_refused_within_the_memory_limit(make_pool: MakePool) -> None:
    wide = type(LIMITS)(
        max_bytes=10**9, max_side_px=60_000, max_pixels=10**10, max_pixels_heif=10**10, max_frames=128
    )
    pool = make_pool(worker_limits=replace(WORKER_LIMITS, memory_bytes=400 * 2**20), limits=wide)
    await pool.start()
    import pyvips

    bomb = bytes(pyvips.Image.black(14_000, 14_000, bands=3).pngsave_buffer(interlace=True, compression=1))
    with pytest.raises(OriginalTooLarge, match="memory"):
        await render(pool, bomb, plan_for("f_png", PICTURE))
    assert pictures.size(await render(pool)) == (100, 75)


async def test_jobs_beyond_the_queue_are_shed_at_once(make_pool: MakePool) -> None:
    pool = make_pool(queue=2)
    await pool.start()
    busy = await begin(pool)
    waiting = [asyncio.create_task(render(pool)) for _ in range(2)]
    await eventually(lambda: pool.waiting == 2)
    with pytest.raises(Overloaded) as caught:
        await render(pool)
    assert caught.value.retry_after_s is not None
    assert caught.value.retry_after_s >= 1
    os.kill(pids(pool)[0], signal.SIGKILL)
    with pytest.raises(WorkerDied):
        await busy
    await asyncio.gather(*waiting)
    assert pool.waiting == 0


async def test_a_job_that_cannot_start_before_its_deadline_is_shed_at_once(make_pool: MakePool) -> None:
    pool = make_pool(queue=1000)
    await pool.start()
    pool._average_render_s = 1.0
    busy = await begin(pool)
    waiting = [asyncio.create_task(render(pool)) for _ in range(3)]
    await eventually(lambda: pool.waiting == 3)
    with pytest.raises(Overloaded):
        await render(pool, seconds=2)
    for task in (busy, *waiting):
        task.cancel()
    await asyncio.gather(busy, *waiting, return_exceptions=True)


async def test_the_first_renders_are_not_part_of_the_estimate(make_pool: MakePool) -> None:
    """As on a machine that has just started: each took five seconds."""
    pool = make_pool(queue=1000)
    await pool.start()
    clock, ahead_s = pool._clock, 0.0
    pool._clock = lambda: clock() + ahead_s

    async def slow_render() -> None:
        nonlocal ahead_s

        def later_by() -> None:
            nonlocal ahead_s
            ahead_s += 5.0

        original = opened(PICTURE)
        await pool.render([original], PLAN, Schedule(deadline=deadline(1000), on_start=later_by))
        original.file.close()

    for _ in range(COLD_RENDERS):
        await slow_render()
    assert pool._average_render_s == 0
    await slow_render()
    assert pool._average_render_s < 1, "one is no rule"
    ahead_s = 0.0
    busy = await begin(pool)
    waiting = [asyncio.create_task(render(pool, seconds=20)) for _ in range(5)]
    await eventually(lambda: pool.waiting == 5)
    for task in (busy, *waiting):
        task.cancel()
    await asyncio.gather(busy, *waiting, return_exceptions=True)


async def test_slow_renders_raise_the_estimate(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.start()
    for _ in range(COLD_RENDERS + 1):
        await render(pool)
    learnt_s = pool._average_render_s
    assert learnt_s > 0
    await render(pool, SLOW_PICTURE, plan_for("w_1200,f_png", SLOW_PICTURE))
    assert pool._average_render_s > learnt_s


async def test_a_request_cancelled_before_its_start_removes_the_job(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.start()
    never = asyncio.Event()
    busy = await begin(pool)
    leaving = asyncio.create_task(render(pool, started=never))
    await eventually(lambda: pool.waiting == 1)
    leaving.cancel()
    await eventually(lambda: pool.waiting == 0)
    os.kill(pids(pool)[0], signal.SIGKILL)
    with pytest.raises(WorkerDied):
        await busy
    assert pictures.size(await render(pool)) == (100, 75)
    assert not never.is_set()


async def test_probes_precede_renders(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.start()
    busy = await begin(pool, plan_for("w_600,f_avif,e_blur:20", PICTURE), PICTURE)
    order: list[str] = []

    async def note(name: str, work: asyncio.Task[object]) -> None:
        await work
        order.append(name)

    original = opened(PICTURE)
    rendering = asyncio.create_task(note("render", asyncio.create_task(render(pool))))
    await settle()
    probing = asyncio.create_task(
        note("probe", asyncio.create_task(pool.probe(original, deadline=deadline(10))))
    )
    await asyncio.gather(busy, rendering, probing)
    original.file.close()
    assert order == ["probe", "render"]


async def test_a_job_that_cannot_be_sent_does_not_lose_the_worker(make_pool: MakePool) -> None:
    """A closed original cannot be passed on; the worker must be there for the next."""
    pool = make_pool()
    await pool.start()
    original = opened(PICTURE)
    original.file.close()
    with pytest.raises(WorkerDied):
        await pool.render([original], PLAN, Schedule(deadline=deadline(10)))
    assert pictures.size(await render(pool)) == (100, 75)


async def test_a_worker_is_replaced_after_its_maximum_of_jobs(make_pool: MakePool) -> None:
    pool = make_pool(recycle_after=2)
    await pool.start()
    seen = set()
    for _ in range(5):
        await render(pool)
        await eventually(lambda: pool.alive == 1)
        seen |= set(pids(pool))
    assert len(seen) >= 2


async def test_closing_fails_running_jobs_and_ends_the_processes(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.start()
    [pid] = pids(pool)
    busy = await begin(pool)
    waiting = asyncio.create_task(render(pool))
    await eventually(lambda: pool.waiting == 1)
    await pool.close()
    for task in (busy, waiting):
        with pytest.raises(Draining):
            await task
    assert not Path(f"/proc/{pid}").exists()


async def test_a_worker_that_was_started_before_the_pool_is_its_first(make_pool: MakePool) -> None:
    first = spawn_worker(WORKER_LIMITS)
    pool = make_pool(workers=2)
    await pool.start(first)
    assert pids(pool)[0] == first.pid
    assert await render(pool)
    await eventually(lambda: pool.alive == 2)


async def test_a_first_worker_that_dies_in_its_start_is_replaced(make_pool: MakePool) -> None:
    first = spawn_worker(WORKER_LIMITS)
    first.kill()
    pool = make_pool()
    await pool.start(first)
    assert pids(pool) != [first.pid]
    assert await render(pool)


async def test_a_worker_has_no_secret_in_its_environment(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALOTYPE_ADMIN__TOKEN", "do-not-tell")
    pool = make_pool()
    await pool.start()
    [pid] = pids(pool)
    assert b"do-not-tell" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "1000"


async def test_workers_end_with_their_node(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.start()
    [worker] = pool._alive
    worker._channel.close()
    await asyncio.wait_for(asyncio.shield(worker.ended), LONGEST_S)


async def test_a_worker_receives_two_originals_and_reads_both(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.start()
    originals = [opened(content) for content in (PICTURE, SLOW_PICTURE, PICTURE[:-500])]
    first, second, damaged = originals
    schedule = Schedule(deadline=deadline(LONGEST_S))
    assert (await pool.render([first, second], PLAN, schedule)).body == await render(pool)
    for position, job in enumerate(([damaged, second], [first, damaged], [first, second, damaged])):
        with pytest.raises(Undecodable, match="cut short") as failure:
            await pool.render(job, PLAN, schedule)
        assert failure.value.original == position
    assert (await pool.render([second, first], PLAN, schedule)).body == await render(pool, SLOW_PICTURE)
    for original in originals:
        original.file.close()


@pytest.mark.parametrize("position", [-1, 2])
def test_an_answer_that_blames_an_original_of_another_job_is_not_valid(position: int) -> None:
    job = Job(1, (("a", 1), ("b", 1)), keep_decoded=False, plan=PLAN, limits=LIMITS, timeout_s=1.0)
    assert pool_module._is_valid(Answer(slug="undecodable", original=1), b"", job)
    assert not pool_module._is_valid(Answer(slug="undecodable", original=position), b"", job)


@pytest.mark.parametrize(("difference", "is_valid"), [(0.0, True), (99.5, True), (None, False)])
def test_an_answer_to_a_comparison_has_the_difference(difference: float | None, is_valid: bool) -> None:
    job = Job(1, (("a", 1), ("b", 1)), keep_decoded=False, plan=None, limits=LIMITS, timeout_s=1.0)
    assert pool_module._is_valid(Answer(difference=difference), b"", job) is is_valid


@pytest.mark.parametrize("text", ['{"difference":-1}', '{"difference":101}', '{"difference":1e999}'])
def test_a_difference_beyond_its_range_is_no_answer(text: str) -> None:
    with pytest.raises(msgspec.MsgspecError):
        msgspec.json.decode(text, type=Answer)


async def test_a_further_size_is_made_of_the_reduction_that_a_job_left(
    make_pool: Callable[..., Pool],
) -> None:
    """By another worker too, and without reading the file again."""
    content = pictures.photo_as("jpeg", 1200, 900)
    pool = make_pool(workers=1, recycle_after=1)
    await pool.start()
    original = opened(content)
    await pool.render([original], plan_for("w_140,f_webp", content), Schedule(deadline=deadline(LONGEST_S)))
    with open(f"/proc/self/fd/{original.file.fileno()}", "r+b") as file:
        file.write(bytes(len(content)))
    for tokens in ("w_100,f_webp", "w_90,h_90,c_fill,f_png"):
        variant = await pool.render(
            [original], plan_for(tokens, content), Schedule(deadline=deadline(LONGEST_S))
        )
        assert variant.body == draw(content, tokens)
    with pytest.raises(UnsupportedFormat):
        await pool.render(
            [original], plan_for("w_1100,f_webp", content), Schedule(deadline=deadline(LONGEST_S))
        )
    original.file.close()


async def test_an_original_that_changed_leaves_no_reduction(
    make_pool: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = pictures.photo_as("jpeg", 1200, 900)
    pool = make_pool()
    await pool.start()
    original = opened(content)
    monkeypatch.setattr(original.file, "unchanged", lambda: False)
    await pool.render([original], plan_for("w_140,f_webp", content), Schedule(deadline=deadline(LONGEST_S)))
    assert not pool._reductions.of(original.name)
    original.file.close()
