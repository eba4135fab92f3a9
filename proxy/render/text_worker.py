"""The worker that draws texts: one process beside the pool of renders, started by the first text."""

from proxy.core.transform.operations import Text
from proxy.render.lazy_pool import LazyPool
from proxy.render.pool import Pool
from proxy.render.spawn import Role


class TextWorker:
    """Satisfies TextRenderer. `pool` has one worker and is started by the first text; `close` closes it."""

    def __init__(self, pool: Pool) -> None:
        self._lazy = LazyPool(pool, Role.TEXT, "the worker that draws texts")

    async def draw(self, text: Text, *, deadline: float) -> bytes:
        pool = await self._lazy.started()
        return await pool.draw(text, deadline=deadline)

    async def close(self) -> None:
        await self._lazy.close()
