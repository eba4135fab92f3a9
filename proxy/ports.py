"""Protocols between the use cases and the world. Implementations satisfy them by shape; nobody inherits.

The prose is the contract: what absent means, what may fail silently, who closes.
"""

from collections.abc import Callable
from typing import Protocol

from proxy.core.delivery import Variant, Visit
from proxy.core.facts import Facts
from proxy.core.keys import Identity
from proxy.core.plan import Plan


class Clock(Protocol):
    """Seconds of CLOCK_MONOTONIC: what asyncio's and uvloop's own clocks count, so that a deadline taken here can be
    handed to `asyncio.timeout_at`, but finer than uvloop's, which stands still within a millisecond."""

    def __call__(self) -> float: ...


class InstantTier(Protocol):
    """A tier in this process's memory: answers at once and never fails. Event loop only."""

    name: str

    def lookup(self, key: str) -> Variant | None:
        """The variant, or None if it is not here."""
        ...

    def store(self, key: str, variant: Variant) -> bool:
        """False where the variant is too large for this tier."""
        ...

    def usage(self) -> tuple[int, int]:
        """Bytes and entries held."""
        ...


class Tier(Protocol):
    """A tier that takes its time. Every fault of its own is a miss or a variant not kept, counted by the tier
    itself: it raises nothing. What `lookup` returns was checked against the digest stored with it."""

    name: str

    async def lookup(self, key: str) -> Variant | None:
        """The variant, or None: not here, damaged, or the tier is out of order."""
        ...

    async def store(self, key: str, variant: Variant) -> None:
        """Keeps the variant if it can."""
        ...

    def usage(self) -> tuple[int, int]:
        """Bytes and entries held, as last known; called from any thread, never blocks."""
        ...

    async def close(self) -> None:
        """Ends the tier; called once, after the last `store`."""
        ...


class Original(Protocol):
    """An original at hand as an open file; whoever fetched it closes it."""

    identity: Identity
    size_bytes: int

    def fileno(self) -> int:
        """A descriptor open for reading; readers use pread or mmap and leave its position alone."""
        ...

    def unchanged(self) -> bool:
        """Whether the bytes still are those of `identity`: false if someone wrote into the file meanwhile."""
        ...

    def close(self) -> None: ...


class Source(Protocol):
    """A place originals come from. `recheck_s` is how long an identity may be believed, in seconds.

    Raises OriginalNotFound, OriginalTooLarge, SourceUnavailable or SourceTimeout, and nothing else.
    """

    recheck_s: float

    async def identify(self, key: str) -> Identity:
        """The original's present identity, without its bytes."""
        ...

    async def fetch(self, key: str) -> Original:
        """The original as it is now; its identity may be newer than the one asked for last."""
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
        self, original: Original, plan: Plan, *, deadline: float, on_start: Callable[[], None]
    ) -> Variant:
        """Renders `plan`; `on_start` is called when a worker takes the job."""
        ...


class Metrics(Protocol):
    """Counts; never raises."""

    def rendered(self, format: str, seconds: float) -> None: ...

    def fetched(self, source: str, outcome: str) -> None: ...

    def tier_failed(self, tier: str, kind: str) -> None: ...


class Ledger(Protocol):
    """Every request once, for log and metrics; cheap enough for a memory hit, never raises."""

    def enter(self, visit: Visit) -> None:
        """Takes the visit over: it is told later, with many others."""
        ...
