"""Jobs that wait for a worker: the urgent first, and those of one original one after the other, so that whoever has decoded
it for one does the others too.

Plain bookkeeping on the event loop: what a job is, nobody knows here.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeAlias, TypeVar

MAX_IN_A_ROW = 4
"""Jobs of one original that a worker does before it looks after others that wait as well."""

J = TypeVar("J", bound=Hashable)
_Waiting: TypeAlias = OrderedDict[Hashable, OrderedDict[J, None]]


class WorkerAffinity:
    """What a worker has before it: an original, and how many jobs of it in a row."""

    def __init__(self) -> None:
        self.original: Hashable = None
        self.in_a_row = 0


class JobQueue(Generic[J]):
    """Ranks count from 0, the most urgent. Jobs of the first `brief` ones pass by: they leave on a desk what is there.
    Event loop only."""

    def __init__(self, ranks: int, *, probe_ranks: int = 0) -> None:
        self._probe_ranks = probe_ranks
        self._ranks: list[_Waiting[J]] = [OrderedDict() for _ in range(ranks)]
        self._counts = [0] * ranks
        self._affinities: set[WorkerAffinity] = set()
        self._more = asyncio.Event()

    def count(self, rank: int) -> int:
        """Jobs of that rank."""
        return self._counts[rank]

    def more_of(self, original: Hashable) -> bool:
        """Whether a job of this original waits."""
        return any(original in waiting for waiting in self._ranks)

    def put(self, rank: int, original: Hashable, job: J, *, is_first: bool = False) -> None:
        """Behind the others of its rank, but with those of its original; before all of them where it `is_first`."""
        waiting = self._ranks[rank]
        jobs = waiting.setdefault(original, OrderedDict())
        jobs[job] = None
        if is_first:
            jobs.move_to_end(job, last=False)
            waiting.move_to_end(original, last=False)
        self._counts[rank] += 1
        self._more.set()

    def remove(self, rank: int, original: Hashable, job: J) -> bool:
        """Whether it waited; it does not any more."""
        jobs = self._ranks[rank].get(original)
        if jobs is None or job not in jobs:
            return False
        del jobs[job]
        self._counts[rank] -= 1
        if not jobs:
            del self._ranks[rank][original]
        return True

    def affinity(self) -> WorkerAffinity:
        """For a new worker, until it is `left`."""
        affinity = WorkerAffinity()
        self._affinities.add(affinity)
        return affinity

    def release(self, affinity: WorkerAffinity) -> None:
        """Nobody works there any more."""
        self._affinities.discard(affinity)

    def take(self, affinity: WorkerAffinity) -> J | None:
        """The next job for whoever works at `desk`; None where there is none."""
        for rank, waiting in enumerate(self._ranks):
            if waiting:
                original = self._next(waiting, affinity)
                if rank >= self._probe_ranks:
                    affinity.in_a_row = affinity.in_a_row + 1 if original == affinity.original else 1
                    affinity.original = original
                job = next(iter(waiting[original]))
                self.remove(rank, original, job)
                return job
        affinity.original = None
        self._more.clear()
        return None

    async def wait(self) -> None:
        """Until there may be a job."""
        await self._more.wait()

    def _next(self, waiting: "_Waiting[J]", affinity: WorkerAffinity) -> Hashable:
        """The original whose turn it is: the one on the desk, else the first that nobody else is at."""
        if affinity.original in waiting:
            if affinity.in_a_row < MAX_IN_A_ROW:
                return affinity.original
            waiting.move_to_end(affinity.original)
        at_work = {each.original for each in self._affinities if each is not affinity}
        return next((each for each in waiting if each not in at_work), next(iter(waiting)))
