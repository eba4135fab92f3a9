"""A Renderer around a Renderer that spares the workers: pictures known to be broken are refused unread, and a
picture whose worker died gets one more worker, then none for a while.

Only what is said of the original is remembered; overload and timeouts are the node's own and pass through.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from cachetools import LRUCache

from proxy.core.delivery import Variant
from proxy.core.errors import Undecodable, WorkerDied
from proxy.core.facts import Facts
from proxy.core.keys import Identity
from proxy.core.plan import Plan
from proxy.ports import Clock, Haste, Original, Renderer

UNDECODABLE_S = 300.0
KILLER_S = 600.0
_REMEMBERED = 10_000

T = TypeVar("T")


class Quarantine:
    """Satisfies Renderer. Remembers by identity, so that a replaced file starts anew."""

    def __init__(self, renderer: Renderer, clock: Clock) -> None:
        self._renderer = renderer
        self._clock = clock
        self._refused: LRUCache[Identity, tuple[str, float]] = LRUCache(_REMEMBERED)

    async def probe(self, original: Original, *, deadline: float) -> Facts:
        return await self._attempt(
            original.identity, lambda: self._renderer.probe(original, deadline=deadline)
        )

    async def render(
        self,
        original: Original,
        plan: Plan,
        *,
        deadline: float,
        on_start: Callable[[], None],
        haste: Haste | None = None,
    ) -> Variant:
        return await self._attempt(
            original.identity,
            lambda: self._renderer.render(original, plan, deadline=deadline, on_start=on_start, haste=haste),
        )

    async def _attempt(self, identity: Identity, job: Callable[[], Awaitable[T]]) -> T:
        # One after the other: two that die side by side may have died of something else.
        for last in (False, True):
            self._check(identity)
            try:
                return await job()
            except Undecodable as failure:
                self._refuse(identity, failure.detail, UNDECODABLE_S)
                raise
            except WorkerDied:
                if last:
                    self._refuse(identity, "this original killed two workers", KILLER_S)
                    raise
        raise AssertionError

    def _check(self, identity: Identity) -> None:
        detail, until = self._refused.get(identity, ("", 0.0))
        if detail and self._clock() < until:
            raise Undecodable(detail)

    def _refuse(self, identity: Identity, detail: str, seconds: float) -> None:
        self._refused[identity] = (detail, self._clock() + seconds)
