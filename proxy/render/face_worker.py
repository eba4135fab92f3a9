"""The worker that finds faces: one process beside the pool of renders, started by the first job that needs it, so that a
node without such URLs pays nothing, and a search never waits behind a render or holds one up.
"""

import asyncio

from proxy.core.image.faces import Faces
from proxy.ports.originals import Original
from proxy.render import libfacedetection
from proxy.render.pool import Pool


class FaceWorker:
    """Satisfies FaceDetector. `pool` has one worker and is started here; `close` closes it."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.version = libfacedetection.version()
        self._starting = asyncio.Lock()
        self._is_started = False

    async def find_faces(self, original: Original, *, deadline: float) -> Faces:
        async with self._starting:
            if not self._is_started:
                try:
                    await self.pool.start(finds_faces=True)
                    self._is_started = True
                finally:
                    if not self._is_started:  # The next job tries again.
                        await self.pool.close()
        return await self.pool.find_faces(original, deadline=deadline)

    async def close(self) -> None:
        await self.pool.close()
