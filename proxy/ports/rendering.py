"""Rendering, and originals whose rendering is refused."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from proxy.core.cache.delivery import Variant
from proxy.core.errors import CalotypeError
from proxy.core.image.faces import Faces
from proxy.core.image.facts import Facts
from proxy.core.transform.operations import Text
from proxy.core.transform.plan import Plan
from proxy.ports.originals import Original


class Priority(Enum):
    """Interactive jobs have a waiting client; background jobs run after all interactive ones."""

    INTERACTIVE = "interactive"
    BACKGROUND = "background"


OnPromote = Callable[[Callable[[], None]], object]
"""Registers a function to call when a background job is promoted to interactive priority."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a render runs. `deadline` is a point on the Clock; a job that cannot start by then is refused at once. `on_start`
    is called when a worker takes the job; `on_promote` registers the promotion of a background job."""

    deadline: float
    on_start: Callable[[], None] = lambda: None
    priority: Priority = Priority.INTERACTIVE
    on_promote: OnPromote | None = None


class Renderer(Protocol):
    """Decodes and encodes in workers. Raises Overloaded, RenderTimeout, WorkerDied, UnsupportedFormat, OriginalTooLarge or
    Undecodable. A cancellation of the caller before the job starts removes it from the queue.
    """

    async def probe(self, original: Original, *, deadline: float) -> Facts:
        """Reads the header by `deadline`; decodes no pixels."""
        ...

    async def render(self, originals: Sequence[Original], plan: Plan, schedule: Schedule) -> Variant:
        """Renders `plan` on the first of `originals`, with those that it uses beside it. An error has the position of
        the original at fault."""
        ...


class FaceDetector(Protocol):
    """Finds faces in originals. `version` names the detector and is part of cache keys; empty if none is installed."""

    version: str

    async def find_faces(self, original: Original, *, deadline: float) -> Faces:
        """The faces of the first page, maybe none. Called only with a `version`. Raises as Renderer does."""
        ...


class TextRenderer(Protocol):
    """Draws texts."""

    async def draw(self, text: Text, *, deadline: float) -> bytes:
        """A PNG of the text. Raises BadTransform for a font that is not there and for a text that is too large, and as
        Renderer does."""
        ...


class Refusals(Protocol):
    """Originals that are refused for a while, because their bytes are no picture; by the `original_key` of their identity."""

    def refuse(self, name: str, failure: CalotypeError) -> None:
        """Refuses the original with `failure` from now on, unless it is refused already."""
        ...

    def has_expired(self, name: str) -> bool:
        """Whether its refusal has expired and no render was tried since."""
        ...

    def clear(self, name: str) -> None:
        """Removes the refusal of an original."""
        ...
