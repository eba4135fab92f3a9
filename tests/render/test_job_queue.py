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


def test_a_popular_original_does_not_delay_the_others() -> None:
    many = [f"a{number}" for number in range(2 * MAX_IN_A_ROW)]
    queue = filled(*many, "b1")
    order = taken(queue, queue.affinity())
    assert order.index("b1") == MAX_IN_A_ROW
    assert [job for job in order if job != "b1"] == many


def test_a_free_worker_takes_an_original_that_no_other_works_on() -> None:
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


def test_a_probe_overtakes_and_leaves_the_original_of_the_worker() -> None:
    queue: JobQueue[str] = JobQueue(2, probe_ranks=1)
    for job in ("a1", "b1", "a2"):
        queue.put(CALM, job[0], job)
    desk = queue.affinity()
    assert queue.take(desk) == "a1"
    queue.put(URGENT, "c", "c1")
    assert taken(queue, desk) == ["c1", "a2", "b1"]


def test_a_job_that_is_given_back_is_first_again() -> None:
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


def test_a_worker_that_has_left_has_no_original() -> None:
    queue = filled("a1", "a2", "b1")
    one, other = queue.affinity(), queue.affinity()
    queue.take(one)
    queue.release(one)
    assert queue.take(other) == "a2"


def test_a_removed_job_is_not_taken() -> None:
    queue = filled("a1", "a2")
    assert queue.more_of("a")
    assert queue.remove(CALM, "a", "a1")
    assert not queue.remove(CALM, "a", "a1")
    assert not queue.remove(URGENT, "a", "a2")
    assert taken(queue, queue.affinity()) == ["a2"]
    assert not queue.more_of("a")


async def test_every_waiting_worker_is_woken_by_a_job() -> None:
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
