"""Whose turn it is."""

import asyncio

from proxy.render.job_queue import MAX_IN_A_ROW, JobQueue, WorkerAffinity
from tests.support.waiting import settle

URGENT, CALM = 0, 1


def filled(*jobs: str, rank: int = CALM) -> JobQueue[str]:
    """Jobs named by their original and a number."""
    queue: JobQueue[str] = JobQueue(2)
    for job in jobs:
        queue.put(rank, job[0], job)
    return queue


def taken(queue: JobQueue[str], desk: WorkerAffinity) -> list[str]:
    return list(iter(lambda: queue.take(desk), None))  # type: ignore[arg-type]


def test_jobs_of_one_original_follow_one_another() -> None:
    queue = filled("a1", "b1", "a2", "c1", "b2", "a3")
    assert taken(queue, queue.affinity()) == ["a1", "a2", "a3", "b1", "b2", "c1"]
    assert [queue.count(rank) for rank in (URGENT, CALM)] == [0, 0]


def test_the_urgent_go_first_whatever_is_on_the_desk() -> None:
    queue = filled("a1", "a2")
    desk = queue.affinity()
    assert queue.take(desk) == "a1"
    queue.put(URGENT, "b", "b1")
    assert taken(queue, desk) == ["b1", "a2"]


def test_nobody_is_kept_waiting_by_a_popular_original() -> None:
    many = [f"a{number}" for number in range(2 * MAX_IN_A_ROW)]
    queue = filled(*many, "b1")
    order = taken(queue, queue.affinity())
    assert order.index("b1") == MAX_IN_A_ROW
    assert [job for job in order if job != "b1"] == many


def test_who_is_free_takes_what_nobody_is_at() -> None:
    queue = filled("a1", "a2", "b1", "c1")
    one, other = queue.affinity(), queue.affinity()
    assert queue.take(one) == "a1"
    assert queue.take(other) == "b1"
    assert queue.take(one) == "a2"
    assert queue.take(other) == "c1"


def test_two_work_at_one_original_where_there_is_no_other() -> None:
    queue = filled("a1", "a2")
    one, other = queue.affinity(), queue.affinity()
    assert (queue.take(one), queue.take(other)) == ("a1", "a2")


def test_what_is_brief_passes_by() -> None:
    queue: JobQueue[str] = JobQueue(2, probe_ranks=1)
    for job in ("a1", "b1", "a2"):
        queue.put(CALM, job[0], job)
    desk = queue.affinity()
    assert queue.take(desk) == "a1"
    queue.put(URGENT, "c", "c1")
    assert taken(queue, desk) == ["c1", "a2", "b1"]


def test_what_is_given_back_is_first_again() -> None:
    queue = filled("a1", "a2", "b1", "c1")
    desk = queue.affinity()
    assert queue.take(desk) == "a1"
    queue.release(desk)
    other = queue.affinity()
    assert queue.take(other) == "a2"
    assert queue.take(other) == "b1"
    queue.put(CALM, "a", "a1", is_first=True)
    assert taken(queue, queue.affinity()) == ["a1", "c1"]
    queue.put(CALM, "a", "a2")
    queue.put(CALM, "a", "a1", is_first=True)
    assert taken(queue, queue.affinity()) == ["a1", "a2"]


def test_who_has_left_is_at_nothing() -> None:
    queue = filled("a1", "a2", "b1")
    one, other = queue.affinity(), queue.affinity()
    queue.take(one)
    queue.release(one)
    assert queue.take(other) == "a2"


def test_what_is_removed_is_not_taken() -> None:
    queue = filled("a1", "a2")
    assert queue.more_of("a")
    assert queue.remove(CALM, "a", "a1")
    assert not queue.remove(CALM, "a", "a1")
    assert not queue.remove(URGENT, "a", "a2")
    assert taken(queue, queue.affinity()) == ["a2"]
    assert not queue.more_of("a")


async def test_everybody_who_waits_is_told_of_more() -> None:
    queue: JobQueue[str] = JobQueue(2)
    desk = queue.affinity()
    assert queue.take(desk) is None
    waiting = [asyncio.create_task(queue.wait()) for _ in range(2)]
    await settle()
    assert not any(task.done() for task in waiting)
    queue.put(CALM, "a", "a1")
    await asyncio.gather(*waiting)
    assert queue.take(desk) == "a1"
    assert queue.take(desk) is None
    late = asyncio.create_task(queue.wait())
    await settle()
    assert not late.done()
    late.cancel()
