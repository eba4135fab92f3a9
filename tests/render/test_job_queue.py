"""The order of the jobs in the render queue."""

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


def taken(queue: JobQueue[str], affinity: WorkerAffinity) -> list[str]:
    return list(iter(lambda: queue.take(affinity), None))  # type: ignore[arg-type]


def test_jobs_of_one_original_are_taken_together() -> None:
    queue = filled("a1", "b1", "a2", "c1", "b2", "a3")
    assert taken(queue, queue.affinity()) == ["a1", "a2", "a3", "b1", "b2", "c1"]
    assert [queue.count(rank) for rank in (URGENT, CALM)] == [0, 0]


def test_urgent_jobs_precede_jobs_of_the_current_original() -> None:
    queue = filled("a1", "a2")
    affinity = queue.affinity()
    assert queue.take(affinity) == "a1"
    queue.put(URGENT, "b", "b1")
    assert taken(queue, affinity) == ["b1", "a2"]


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


def test_two_workers_share_an_original_if_there_is_no_other() -> None:
    queue = filled("a1", "a2")
    one, other = queue.affinity(), queue.affinity()
    assert (queue.take(one), queue.take(other)) == ("a1", "a2")


def test_a_probe_precedes_renders_and_preserves_the_affinity() -> None:
    queue: JobQueue[str] = JobQueue(2, probe_ranks=1)
    for job in ("a1", "b1", "a2"):
        queue.put(CALM, job[0], job)
    affinity = queue.affinity()
    assert queue.take(affinity) == "a1"
    queue.put(URGENT, "c", "c1")
    assert taken(queue, affinity) == ["c1", "a2", "b1"]


def test_a_returned_job_is_first_again() -> None:
    queue = filled("a1", "a2", "b1", "c1")
    affinity = queue.affinity()
    assert queue.take(affinity) == "a1"
    queue.release(affinity)
    other = queue.affinity()
    assert queue.take(other) == "a2"
    assert queue.take(other) == "b1"
    queue.put(CALM, "a", "a1", is_first=True)
    assert taken(queue, queue.affinity()) == ["a1", "c1"]
    queue.put(CALM, "a", "a2")
    queue.put(CALM, "a", "a1", is_first=True)
    assert taken(queue, queue.affinity()) == ["a1", "a2"]


def test_a_released_affinity_frees_its_original() -> None:
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


async def test_a_job_wakes_every_waiting_worker() -> None:
    queue: JobQueue[str] = JobQueue(2)
    affinity = queue.affinity()
    assert queue.take(affinity) is None
    waiting = [asyncio.create_task(queue.wait()) for _ in range(2)]
    await settle()
    assert not any(task.done() for task in waiting)
    queue.put(CALM, "a", "a1")
    await asyncio.gather(*waiting)
    assert queue.take(affinity) == "a1"
    assert queue.take(affinity) is None
    late = asyncio.create_task(queue.wait())
    await settle()
    assert not late.done()
    late.cancel()
