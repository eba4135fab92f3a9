"""A pool that the first job starts, so that a node without such jobs pays nothing, and one never waits behind renders or holds
them up.
"""

import asyncio

from proxy.core.errors import Overloaded, WorkerDied
from proxy.local.tasks import Tasks
from proxy.render.pool import Pool
from proxy.render.spawn import Role

RETRY_AFTER_S = 5


class LazyPool:
    """`pool` is started here, with workers of `role`; `description` names them in errors. `close` closes it."""

    def __init__(self, pool: Pool, role: Role, description: str) -> None:
        self.pool = pool
        self._role = role
        self._description = description
        self._tasks = Tasks()
        self._start: asyncio.Task[None] | None = None

    async def started(self) -> Pool:
        """The running pool. Raises Overloaded if it cannot be started."""
        if self._start is None:
            self._start = self._tasks.start(self._start_pool(), f"start of {self._description}")
            self._start.add_done_callback(self._forget_failure)
        # Shielded, so that a slow start serves a later job.
        await asyncio.shield(self._start)
        return self.pool

    async def _start_pool(self) -> None:
        try:
            await self.pool.start(role=self._role)
        except WorkerDied:
            # No fault of the original, which quarantine would refuse.
            raise Overloaded(
                f"{self._description} cannot be started; see its message", retry_after_s=RETRY_AFTER_S
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
