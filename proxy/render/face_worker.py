"""The worker that finds faces: one process beside the pool of renders, started by the first job that needs it."""

from proxy.core.image.faces import Faces
from proxy.ports.originals import Original
from proxy.render import libfacedetection
from proxy.render.lazy_pool import LazyPool
from proxy.render.pool import Pool
from proxy.render.spawn import Role


class FaceWorker:
    """Satisfies FaceDetector. `pool` has one worker and is started by the first job; `close` closes it."""

    def __init__(self, pool: Pool) -> None:
        self._lazy = LazyPool(pool, Role.FACES, "the worker that finds faces")
        self.version = libfacedetection.version()

    @property
    def pool(self) -> Pool:
        return self._lazy.pool

    async def find_faces(self, original: Original, *, deadline: float) -> Faces:
        pool = await self._lazy.started()
        return await pool.find_faces(original, deadline=deadline)

    async def close(self) -> None:
        await self._lazy.close()
