"""A Renderer and FaceDetector that protects the workers of others: it refuses damaged originals and files that are no
pictures without reading them. An original whose worker died gets a second worker; if that dies too, it is refused for
a while. Several originals in one render are then refused together, because any may be the cause.

Only errors of the original are recorded; overload and timeouts of the node pass through. OriginalTooLarge refuses
nothing, because another plan may fit; it is recorded, so that the bytes are fetched again when it expires.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeVar

from cachetools import LRUCache

from proxy.core.cache.delivery import Variant
from proxy.core.errors import CalotypeError, OriginalTooLarge, Undecodable, UnsupportedFormat, WorkerDied
from proxy.core.image.faces import Faces
from proxy.core.image.facts import Facts
from proxy.core.transform.plan import Plan
from proxy.ports.clock import Clock
from proxy.ports.originals import Original
from proxy.ports.rendering import FaceDetector, Renderer, Schedule

UNDECODABLE_S = 300.0
WORKER_DIED_S = 600.0
_MAX_ENTRIES = 10_000

T = TypeVar("T")


class _Rejection(NamedTuple):
    kind: type[CalotypeError]
    detail: str
    until_s: float


class Quarantine:
    """Satisfies Renderer, FaceDetector and Refusals. Rejections are per identity, so that a replaced file has none."""

    def __init__(self, renderer: Renderer, detector: FaceDetector, clock: Clock) -> None:
        self._renderer = renderer
        self._detector = detector
        self.version = detector.version
        self._clock = clock
        self._rejections: LRUCache[str, _Rejection] = LRUCache(_MAX_ENTRIES)

    def refuse(self, name: str, failure: CalotypeError, seconds: float = UNDECODABLE_S) -> None:
        """Refuses the original for `seconds`; an active rejection is not extended."""
        if not self._is_active(self._rejections.get(name)):
            self._rejections[name] = _Rejection(type(failure), failure.detail, self._clock() + seconds)

    def has_expired(self, name: str) -> bool:
        rejection = self._rejections.get(name)
        return rejection is not None and not self._is_active(rejection)

    def clear(self, name: str) -> None:
        self._rejections.pop(name, None)

    def _is_active(self, rejection: _Rejection | None) -> bool:
        return rejection is not None and self._clock() < rejection.until_s

    async def probe(self, original: Original, *, deadline: float) -> Facts:
        return await self._attempt([original], lambda: self._renderer.probe(original, deadline=deadline))

    async def find_faces(self, original: Original, *, deadline: float) -> Faces:
        return await self._attempt([original], lambda: self._detector.find_faces(original, deadline=deadline))

    async def render(self, originals: Sequence[Original], plan: Plan, schedule: Schedule) -> Variant:
        return await self._attempt(originals, lambda: self._renderer.render(originals, plan, schedule))

    async def _attempt(self, originals: Sequence[Original], job: Callable[[], Awaitable[T]]) -> T:
        names = [original.name for original in originals]
        together = " ".join(names)
        # One after the other: two workers that die at the same time may have another cause.
        for last in (False, True):
            self._check(together)
            for position, name in enumerate(names):
                self._check(name, position)
            try:
                result = await job()
            except (Undecodable, UnsupportedFormat, OriginalTooLarge) as failure:
                self.refuse(names[failure.original], failure)
                raise
            except WorkerDied:
                if last:
                    these = "this original" if len(names) == 1 else "these originals"
                    self.refuse(together, Undecodable(f"{these} killed two workers"), WORKER_DIED_S)
                    raise
            else:
                for name in (*names, together):
                    self.clear(name)
                return result
        raise AssertionError

    def _check(self, name: str, position: int = 0) -> None:
        rejection = self._rejections.get(name)
        if rejection is not None and self._is_active(rejection) and rejection.kind is not OriginalTooLarge:
            raise rejection.kind(rejection.detail).at(position)
