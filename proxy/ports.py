"""Protocols between the use cases and the world. Implementations satisfy them by shape; nobody inherits.

The prose is the contract: what absent means, what may fail silently, who closes. Longer than other files, for it is the
whole list of what the use cases need of the world.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from proxy.core.admin import AdminAsked
from proxy.core.delivery import Delivered, Met, Timings, Variant, Visit
from proxy.core.errors import CalotypeError
from proxy.core.facts import Facts
from proxy.core.formats import Format
from proxy.core.generations import Purge, Scope
from proxy.core.keys import Entry, Identity, OriginalRef, Seen
from proxy.core.plan import Plan
from proxy.core.wanted import Named, Wanted
from proxy.core.warm import Asked, Failure, Listing, Progress, Task


class Clock(Protocol):
    """Seconds of CLOCK_MONOTONIC: what asyncio's and uvloop's own clocks count, so that a deadline taken here can be
    handed to `asyncio.timeout_at`, but finer than uvloop's, which stands still within a millisecond."""

    def __call__(self) -> float: ...


class WallClock(Protocol):
    """Seconds of the unix epoch; for what the world outside dates, never for how long something takes."""

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

    def remove(self, key: str) -> bool:
        """Whether it was here; it is not any more."""
        ...

    def usage(self) -> tuple[int, int]:
        """Bytes and entries held."""
        ...


class Tier(Protocol):
    """A tier that takes its time. Every fault of its own is a miss or a variant not kept, counted by the tier
    itself: it raises nothing. What `lookup` returns was checked against the digest stored with it."""

    name: str
    writers: int
    """How many `store`s it takes at once."""

    async def lookup(self, key: str, kind: Format | None) -> Variant | None:
        """The variant of that kind, or None: not here, damaged, or the tier is out of order."""
        ...

    async def holds(self, key: str, kind: Format | None) -> bool:
        """Whether `lookup` would most likely find it; reads no more than it takes to tell."""
        ...

    async def store(self, key: str, variant: Variant) -> bool:
        """Keeps the variant if it can; returns whether it did."""
        ...

    async def remove(self, key: str, kind: Format | None) -> bool | None:
        """Whether it was there, as far as that can be told; it is not any more. None where it could not be removed."""
        ...

    def usage(self) -> tuple[int, int] | None:
        """Bytes and entries held, as last known, None where nobody can know; called from any thread, never blocks."""
        ...

    async def close(self) -> None:
        """Ends the tier; called once, after the last `store`."""
        ...


class Redirects(Protocol):
    """A tier whose variants clients can fetch by themselves."""

    async def location(self, key: str, kind: Format, *, until_s: float) -> str:
        """A URL of the variant, which if it is signed is good until `until_s`, a point on the Clock, at most; empty unless the variant is known
        to be there."""
        ...


class Turns(Protocol):
    """Whose turn it is, among the nodes that share the last tier, to make what is missing there. A meeting point
    that may be gone at any time: then it is everybody's turn. Raises nothing."""

    async def take(self, key: str, *, deadline: float) -> bool:
        """True once it is this node's turn, or waiting longer would leave too little time to make it; it keeps the
        turn until `made` or `leave`. False where another node has put `key` there meanwhile."""
        ...

    def made(self, key: str) -> None:
        """What the turn was for is there; the last tier has a moment to store it before others may take a turn."""
        ...

    async def leave(self, key: str) -> None:
        """Gives the turn back: nothing will be stored."""
        ...


class Original(Protocol):
    """An original at hand as an open file; whoever fetched it closes it."""

    identity: Identity
    size_bytes: int
    tag: str
    """What a source that names no versions has told it by, where it was just fetched from there; else empty."""

    def fileno(self) -> int:
        """A descriptor open for reading; readers use pread or mmap and leave its position alone. The file's mtime is when
        the source last modified the original, 0 where it does not tell."""
        ...

    def unchanged(self) -> bool:
        """Whether the bytes still are those of `identity`: false if someone wrote into the file meanwhile."""
        ...

    def close(self) -> None: ...


class Sink(Protocol):
    """Takes bytes as they come; `begin` is called anew for each attempt, with when they were last modified, in Unix seconds,
    0 where that is not known."""

    async def begin(self, modified_s: int = 0) -> None: ...

    async def write(self, chunk: bytes) -> None: ...


class Incoming(Sink, Protocol):
    """A place for an original's bytes while they arrive."""

    def digest(self) -> str:
        """A digest of all that has arrived, in hex."""
        ...

    async def kept(self, identity: Identity) -> Original:
        """The original, all of it having arrived; called once, and whoever gets it closes it."""
        ...

    async def discard(self) -> None:
        """Gives up what has arrived; does nothing after `kept`."""
        ...


class OriginalsTier(Protocol):
    """Originals kept near at hand, so that many variants cost one fetch. Faults of its own are misses."""

    name: str

    async def lookup(self, identity: Identity) -> Original | None:
        """The original, checked against the digest stored with it, or None."""
        ...

    async def remove(self, name: str) -> bool:
        """Whether the original of that `original_key` was there; it is not any more."""
        ...

    def receive(self) -> Incoming:
        """Room for one more."""
        ...


class Source(Protocol):
    """A place originals come from. `recheck_s` is how long an identity may be believed, in seconds, the last part of which
    is there to look it up again, and `missing_s` how long that there is none; `serves_stale` says that it may be believed on while the source is out of order, and
    after a restart.

    Raises OriginalNotFound, OriginalTooLarge, SourceNotAllowed, SourceUnavailable or SourceTimeout, Overloaded where
    it is the node that can open no more, and nothing else.
    """

    recheck_s: float
    missing_s: float
    serves_stale: bool

    async def identify(self, key: str, known: Identity | None, generation: str) -> Identity:
        """The original's present identity, of that generation; `known` is the last that is remembered and trusted, if any.
        Its key may be another normal form of `key`."""
        ...

    async def tag(self, key: str) -> str:
        """What the source tells the original by that it has now, where its identities have no version; else empty."""
        ...

    async def fetch(self, key: str, generation: str) -> Original:
        """The original as it is now; its identity may be newer than the one asked for last."""
        ...


class Shelf(Protocol):
    """A source that can be listed, and that uploads are put into. Raises what a Source raises."""

    async def keep(
        self, key: str, content: Original, *, kind: Format, generation: str, overwrite: bool = False
    ) -> None:
        """Stores the original under a key that is new, or is to be overwritten; where the very same bytes are there, nothing
        is to be done. Raises Conflict where others are, MethodNotAllowed where nothing can be stored."""
        ...

    async def exists(self, key: str) -> bool:
        """Whether there is such an original now."""
        ...

    async def discard(self, key: str) -> None:
        """Takes back what was kept, nobody having been told of it."""
        ...

    def keys(self, prefix: str) -> AsyncIterator[list[str]]:
        """The keys of its pictures that begin with `prefix`, in the order of their bytes, some at a time."""
        ...


class Jobs(Protocol):
    """Pre-generation that is to be done, on disk."""

    async def add(self, asked: Asked, total: int) -> str | None:
        """Its id, once it is on disk; None where it cannot be written."""
        ...

    async def listings(self) -> list[Listing]:
        """Jobs whose originals are to be listed, each from the beginning."""
        ...

    async def listed(self, job: int, keys: Sequence[str], *, variants: int, is_all: bool) -> bool:
        """More originals of a job, each to be made in so many variants; False where they could not be written."""
        ...

    async def could_not_list(self, job: int, failure: Failure) -> None:
        """The job ends with what has been listed."""
        ...

    async def next(self, count: int) -> list[Task]:
        """About `count` tasks, of all jobs alike; they stay until they are finished."""
        ...

    async def finish(self, task: Task, *, done: int, skipped: int, failures: Sequence[Failure]) -> bool:
        """The task is over, and what came of it, in variants; False where that could not be written."""
        ...

    async def progress(self, job_id: str) -> Progress | None:
        """How far a job is; None for one that is not known."""
        ...

    async def latest(self, count: int) -> list[Progress]:
        """The last jobs, the newest first, without their failures."""
        ...

    async def cancel(self, job_id: str) -> int | None:
        """Forgets what is still to be done of a job; returns its number, None for one that is not known, and 0 where that
        could not be written."""
        ...

    async def again(self, job_id: str) -> bool:
        """What failed of a job becomes tasks anew; False for one that is not known."""
        ...


class Operator(Protocol):
    """Does what an admin asks, in this process or in another. Raises CalotypeErrors."""

    async def do(self, asked: AdminAsked, *, content: int | None = None, size_bytes: int = 0) -> object:
        """What is to be answered: a dataclass, a list of them, or a dict. `content` is the descriptor of an upload."""
        ...


class Producer(Protocol):
    """The miss path of the node, in this process or in another. `deadline` is a point on the Clock. Raises whatever
    can go wrong with an original and its picture, as CalotypeErrors."""

    async def name(self, wanted: Wanted, *, deadline: float) -> Named:
        """What the wanted variant is called, without looking for it."""
        ...

    async def meet(self, ref: OriginalRef, version: str, *, deadline: float) -> Met:
        """Until when a version that a URL names may be believed to be known, if need be after a look at the original;
        raises nothing of the original's."""
        ...

    async def variant(self, wanted: Wanted, *, deadline: float, redirect_until_s: float) -> Delivered:
        """The variant, from a tier or rendered; only its location where that may be good
        until `redirect_until_s`, a point on the Clock, which is not 0."""
        ...

    def latest(self, ref: OriginalRef, *, deadline: float) -> AbstractAsyncContextManager[Original]:
        """The original as its source has it now, open as long as the context is."""
        ...


class Haste(Protocol):
    """How urgent a job is, which may change while it waits."""

    @property
    def is_behind(self) -> bool:
        """Whether nobody waits for it but the node itself: then it goes behind all that somebody waits for."""
        ...

    def on_hurry(self, call: Callable[[], None]) -> None:
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
        haste: Haste | None = None,
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


class Remote(Protocol):
    """A part on the network."""

    @property
    def is_resting(self) -> bool:
        """Whether it is left alone, having failed again and again."""
        ...


class Metrics(Protocol):
    """Counts; never raises."""

    def rendered(self, ref: OriginalRef, format: str, timings: Timings) -> None: ...

    def fetched(self, source: str, outcome: str) -> None: ...

    def tier_failed(self, tier: str, kind: str) -> None: ...


class Ledger(Protocol):
    """Every request once, for log and metrics; cheap enough for a memory hit, never raises."""

    def enter(self, visit: Visit) -> None:
        """Takes the visit over: it is told later, with many others."""
        ...

    def expect(self, mounts: Iterable[str], statuses: Iterable[int]) -> None:
        """Visits of these mounts will come, and may fail with these statuses: none of them is shown as none."""
        ...


class Follower(Protocol):
    """Who remembers what the miss path has told it: a process that answers requests."""

    async def forget(self, scopes: Sequence[Scope], keys: Sequence[str]) -> int:
        """Believes nothing any more of what `scopes` cover, and keeps none of `keys` in its memory; returns how many of
        those it had. Raises Unfollowed where that cannot be said."""
        ...


class Unfollowed(Exception):
    """A process did not say that it has forgotten."""


class Journal(Protocol):
    """Purges, kept on this node. Blocks; raises OSError."""

    def append(self, purges: Iterable[Purge]) -> None:
        """On disk when this returns."""
        ...


class Index(Protocol):
    """Which entries of the tiers were made of which original; notes may be lost. And what events told of originals."""

    def note(self, ref: OriginalRef, entry: Entry, plan: str = "") -> None:
        """There is an entry of that original now; `plan` is empty for what is no variant."""
        ...

    async def find(self, purges: Sequence[Purge]) -> list[Entry]:
        """All entries that were noted of what these cover, and are not since then."""
        ...

    async def drop(self, entries: Sequence[Entry]) -> None:
        """They are gone."""
        ...

    async def seen(self, ref: OriginalRef) -> Seen | None:
        """What the last event told of it; None where it is not known at all."""
        ...

    async def saw(self, ref: OriginalRef, seen: Seen) -> None:
        """Notes what an event told."""
        ...


class Hook(Protocol):
    """Somebody who keeps our answers and must be told of purges: a CDN in front."""

    async def call(self, scopes: Sequence[Scope]) -> list[str]:
        """Tells it; returns what went wrong, in words for the owner."""
        ...


class Fleet(Protocol):
    """The other nodes, as far as they can be reached."""

    async def publish(self, purges: Sequence[Purge]) -> list[str]:
        """Has all nodes that are known to live apply these, and returns whom it could not be heard of, in words for the
        owner: nobody, once every one of them has confirmed."""
        ...
