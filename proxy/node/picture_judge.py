"""Sandboxed workers that read pictures of other servers, without the other parts of a node."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from uuid import uuid4

from proxy.config.settings import Settings
from proxy.core.image.facts import Facts
from proxy.core.image.formats import Format
from proxy.core.transform.operations import Resize
from proxy.core.transform.plan import Encode, Plan
from proxy.local.files import temporary
from proxy.node import factory
from proxy.ports.originals import Original
from proxy.ports.rendering import Schedule
from proxy.render.pool import Pool

MAX_WAIT_S = 600.0
"""A job waits this long for a worker; `render.timeout` limits the job itself."""
THUMBNAIL_PX = 240
_THUMBNAIL = Plan(
    ops=(Resize(width=THUMBNAIL_PX, height=THUMBNAIL_PX),),
    limit_px=THUMBNAIL_PX,
    output=Encode(format=Format.WEBP, quality=70, effort=2, flatten=None),
    frames=1,
)


class WorkerJudge:
    """Satisfies PictureJudge."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def facts(self, body: bytes) -> Facts:
        with _originals(body) as [original]:
            return await self._pool.probe(original, deadline=_deadline())

    async def difference(self, one: bytes, other: bytes) -> float:
        with _originals(one, other) as [first, second]:
            return await self._pool.compare(first, second, deadline=_deadline())

    async def thumbnail(self, body: bytes) -> bytes:
        """The first frame as a WebP of at most `THUMBNAIL_PX` a side. Raises as PictureJudge does."""
        with _originals(body) as originals:
            return (await self._pool.render(originals, _THUMBNAIL, Schedule(deadline=_deadline()))).body


@asynccontextmanager
async def open_judge(settings: Settings) -> AsyncIterator[tuple[WorkerJudge, str]]:
    """A judge with its workers, and a message if their sandbox is incomplete, else an empty text. Raises WorkerDied and
    ConfigError."""
    pool = factory.pool(settings)
    try:
        hello = await pool.start()
        factory.check_worker(settings, hello)
        yield WorkerJudge(pool), factory.unsandboxed(hello)
    finally:
        await pool.close()


def _deadline() -> float:
    return factory.clock() + MAX_WAIT_S


@contextmanager
def _originals(*bodies: bytes) -> Iterator[Sequence[Original]]:
    with ExitStack() as stack:
        yield [Original(uuid4().hex, stack.enter_context(temporary(body))) for body in bodies]
