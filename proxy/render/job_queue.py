"""The queue of render jobs: by rank, and jobs of one original in a row for one worker, which decodes it only once.

Used on the event loop. The queue does not look into a job.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

MAX_IN_A_ROW = 4
"""Jobs of one original that a worker runs in a row before it takes a job of another."""

J = TypeVar("J", bound=Hashable)
_Waiting: TypeAlias = OrderedDict[Hashable, OrderedDict[J, None]]


@dataclass(slots=True, eq=False)
class WorkerAffinity:
    """The original that a worker has decoded, and how many of its jobs it has run in a row."""

    original: Hashable = None
    in_a_row: int = 0


class JobQueue(Generic[J]):
    """Rank 0 is the most urgent. Jobs of the first `probe_ranks` ranks (probes) do not change which original a
    worker has decoded. Event loop only."""

    def __init__(self, ranks: int, *, probe_ranks: int = 0) -> None:
        self._probe_ranks = probe_ranks
        self._ranks: list[_Waiting[J]] = [OrderedDict() for _ in range(ranks)]
        self._counts = [0] * ranks
        self._affinities: set[WorkerAffinity] = set()
        self._more = asyncio.Event()

    def count(self, rank: int) -> int:
        """Waiting jobs of that rank."""
        return self._counts[rank]

    def more_of(self, original: Hashable) -> bool:
        """Whether a job of this original is waiting."""
        return any(original in waiting for waiting in self._ranks)

    def put(self, rank: int, original: Hashable, job: J, *, is_first: bool = False) -> None:
        """Appends a job to its rank, next to jobs of the same original; `is_first` puts it before all of them."""
        waiting = self._ranks[rank]
        jobs = waiting.setdefault(original, OrderedDict())
        jobs[job] = None
        if is_first:
            jobs.move_to_end(job, last=False)
            waiting.move_to_end(original, last=False)
        self._counts[rank] += 1
        self._more.set()

    def remove(self, rank: int, original: Hashable, job: J) -> bool:
        """Removes a job; False if it was not waiting."""
        jobs = self._ranks[rank].get(original)
        if jobs is None or job not in jobs:
            return False
        del jobs[job]
        self._counts[rank] -= 1
        if not jobs:
            del self._ranks[rank][original]
        return True

    def affinity(self) -> WorkerAffinity:
        """The affinity of a new worker, until `release`."""
        affinity = WorkerAffinity()
        self._affinities.add(affinity)
        return affinity

    def release(self, affinity: WorkerAffinity) -> None:
        """Removes the affinity of a worker that has ended."""
        self._affinities.discard(affinity)

    def take(self, affinity: WorkerAffinity) -> J | None:
        """Takes the next job for the worker with this affinity; None if no job is waiting."""
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
        """Waits until there may be a job."""
        await self._more.wait()

    def _next(self, waiting: "_Waiting[J]", affinity: WorkerAffinity) -> Hashable:
        """The next original: the one this worker has decoded, else the first that no other worker has."""
        if affinity.original in waiting:
            if affinity.in_a_row < MAX_IN_A_ROW:
                return affinity.original
            waiting.move_to_end(affinity.original)
        taken = {each.original for each in self._affinities if each is not affinity}
        return next((each for each in waiting if each not in taken), next(iter(waiting)))
