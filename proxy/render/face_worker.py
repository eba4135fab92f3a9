"""The worker that finds faces: one process beside the pool of renders, started by the first job that needs it, so that a
node without such URLs pays nothing, and a search never waits behind a render or holds one up.
"""

import asyncio

from proxy.core.errors import Overloaded, WorkerDied
from proxy.core.image.faces import Faces
from proxy.local.tasks import Tasks
from proxy.ports.originals import Original
from proxy.render import libfacedetection
from proxy.render.pool import Pool

RETRY_AFTER_S = 5


class FaceWorker:
    """Satisfies FaceDetector. `pool` has one worker and is started here; `close` closes it."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.version = libfacedetection.version()
        self._tasks = Tasks()
        self._start: asyncio.Task[None] | None = None

    async def find_faces(self, original: Original, *, deadline: float) -> Faces:
        if self._start is None:
            self._start = self._tasks.start(self._start_pool(), "start of the face worker")
            self._start.add_done_callback(self._forget_failure)
        # Shielded, so that a slow start serves a later job.
        await asyncio.shield(self._start)
        return await self.pool.find_faces(original, deadline=deadline)

    async def _start_pool(self) -> None:
        try:
            await self.pool.start(finds_faces=True)
        except WorkerDied:
            # No fault of the original, which quarantine would refuse.
            raise Overloaded(
                "the worker that finds faces cannot be started; see its message", retry_after_s=RETRY_AFTER_S
            ) from None
        finally:
            if not self.pool.alive:
                await self.pool.close()

    def _forget_failure(self, start: asyncio.Task[None]) -> None:
        """Has the next job start the pool again if this start failed."""
        if start.cancelled() or start.exception() is not None:
            self._start = None

    async def close(self) -> None:
        await self._tasks.close()
        await self.pool.close()
