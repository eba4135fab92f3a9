"""A Renderer around a Renderer that spares the workers: originals known to be broken, or no pictures, are refused unread,
and one whose worker died gets one more worker, then none for a while.

Only what is said of the original is remembered; overload and timeouts are the node's own and pass through. What is too
large may not be so for another plan: it is tried each time, but when it began is remembered too.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from cachetools import LRUCache

from proxy.core.cache.delivery import Variant
from proxy.core.cache.keys import original_key
from proxy.core.errors import CalotypeError, OriginalTooLarge, Undecodable, UnsupportedFormat, WorkerDied
from proxy.core.image.facts import Facts
from proxy.core.image.original import Identity
from proxy.core.transform.plan import Plan
from proxy.ports.clock import Clock
from proxy.ports.originals import Original
from proxy.ports.rendering import OnPromote, Priority, Renderer

UNDECODABLE_S = 300.0
KILLER_S = 600.0
_REMEMBERED = 10_000

T = TypeVar("T")


class _Rejection(NamedTuple):
    kind: type[CalotypeError]
    detail: str
    until_s: float


class Quarantine:
    """Satisfies Renderer and Refusals. Remembers by identity, so that a replaced file starts anew."""

    def __init__(self, renderer: Renderer, clock: Clock) -> None:
        self._renderer = renderer
        self._clock = clock
        self._refused: LRUCache[str, _Rejection] = LRUCache(_REMEMBERED)

    def refuse(self, identity: Identity, failure: CalotypeError, seconds: float = UNDECODABLE_S) -> None:
        """Does not lengthen the time of what is refused already."""
        name = original_key(identity)
        if not self._is_refused(self._refused.get(name)):
            self._refused[name] = _Rejection(type(failure), failure.detail, self._clock() + seconds)

    def has_ended(self, identity: Identity) -> bool:
        refused = self._refused.get(original_key(identity))
        return refused is not None and not self._is_refused(refused)

    def forget(self, identity: Identity) -> None:
        self._refused.pop(original_key(identity), None)

    def _is_refused(self, refused: _Rejection | None) -> bool:
        return refused is not None and self._clock() < refused.until_s

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
        priority: Priority = Priority.INTERACTIVE,
        on_promote: OnPromote | None = None,
    ) -> Variant:
        return await self._attempt(
            original.identity,
            lambda: self._renderer.render(
                original, plan, deadline=deadline, on_start=on_start, priority=priority, on_promote=on_promote
            ),
        )

    async def _attempt(self, identity: Identity, job: Callable[[], Awaitable[T]]) -> T:
        # One after the other: two that die side by side may have died of something else.
        for last in (False, True):
            self._check(identity)
            try:
                result = await job()
            except (Undecodable, UnsupportedFormat, OriginalTooLarge) as failure:
                self.refuse(identity, failure)
                raise
            except WorkerDied:
                if last:
                    self.refuse(identity, Undecodable("this original killed two workers"), KILLER_S)
                    raise
            else:
                self.forget(identity)
                return result
        raise AssertionError

    def _check(self, identity: Identity) -> None:
        refused = self._refused.get(original_key(identity))
        if refused is not None and self._is_refused(refused) and refused.kind is not OriginalTooLarge:
            raise refused.kind(refused.detail)
