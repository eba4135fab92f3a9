"""Rendering, and originals whose rendering is refused."""

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from proxy.core.cache.delivery import Variant
from proxy.core.errors import CalotypeError
from proxy.core.image.facts import Facts
from proxy.core.image.original import Identity
from proxy.core.transform.plan import Plan
from proxy.ports.originals import Original


class Priority(Enum):
    """Whether a client waits for a job, or only the node itself: background jobs run after all interactive ones."""

    INTERACTIVE = "interactive"
    BACKGROUND = "background"


OnPromote = Callable[[Callable[[], None]], object]
"""Takes a function to call once a client waits for what began in the background."""


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
        priority: Priority = Priority.INTERACTIVE,
        on_promote: OnPromote | None = None,
    ) -> Variant:
        """Renders `plan`. `on_start` is called when a worker takes the job; `on_promote` is how a background job learns that a
        client waits for it."""
        ...


class Refusals(Protocol):
    """Originals whose bytes were no picture, each for a while."""

    def refuse(self, identity: Identity, failure: CalotypeError) -> None:
        """Has it refused with `failure` from now on, unless it is already."""
        ...

    def has_expired(self, identity: Identity) -> bool:
        """Whether it was refused and is no more, nobody having tried it since."""
        ...

    def forget(self, identity: Identity) -> None:
        """It was never refused."""
        ...
