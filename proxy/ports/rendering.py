"""Who draws."""

from collections.abc import Callable
from typing import Protocol

from proxy.core.cache.delivery import Variant
from proxy.core.errors import CalotypeError
from proxy.core.image.facts import Facts
from proxy.core.image.original import Identity
from proxy.core.transform.plan import Plan
from proxy.ports.originals import Original


class Haste(Protocol):
    """How urgent a job is, which may change while it waits."""

    @property
    def is_background(self) -> bool:
        """Whether nobody waits for it but the node itself: then it goes behind all that somebody waits for."""
        ...

    def on_promote(self, call: Callable[[], None]) -> None:
        """`call` once somebody waits for it."""
        ...


class Renderer(Protocol):
    """Decodes and encodes, elsewhere. `deadline` is a point on the Clock; a job that cannot start by then is
    refused at once.

    Raises Overloaded, RenderTimeout, WorkerDied, UnsupportedFormat, OriginalTooLarge or Undecodable.
    A caller that is cancelled before `on_start` takes its job out of the queue.
    """

    async def probe(self, original: Original, *, deadline: float) -> Facts:
        """Reads the header; decodes nothing."""
        ...

    async def render(
        self,
        original: Original,
        plan: Plan,
        *,
        deadline: float,
        on_start: Callable[[], None],
        priority: Haste | None = None,
    ) -> Variant:
        """Renders `plan`; `on_start` is called when a worker takes the job. Without `haste` somebody waits for it."""
        ...


class Refusals(Protocol):
    """Originals whose bytes were no picture, each for a while."""

    def refuse(self, identity: Identity, failure: CalotypeError) -> None:
        """Has it refused with `failure` from now on, unless it is already."""
        ...

    def has_ended(self, identity: Identity) -> bool:
        """Whether it was refused and is no more, nobody having tried it since."""
        ...

    def forget(self, identity: Identity) -> None:
        """It was never refused."""
        ...
