"""Who does what operators ask, and what lets every process and node hear of it."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from proxy.core.admin.commands import AdminCommand
from proxy.core.admin.jobs import (
    JobFailure,
    JobProgress,
    PregenerationListing,
    PregenerationSpec,
    PregenerationTask,
)
from proxy.core.cache.delivery import Delivered, VersionCheck
from proxy.core.cache.generations import Purge, PurgeScope
from proxy.core.cache.keys import Entry, LastEvent
from proxy.core.cache.variant_request import ResolvedKey, VariantRequest
from proxy.core.image.original import OriginalRef
from proxy.ports.originals import Original


class JobStore(Protocol):
    """Pre-generation that is to be done, on disk."""

    async def add(self, command: PregenerationSpec, total: int) -> str | None:
        """Its id, once it is on disk; None where it cannot be written."""
        ...

    async def listings(self) -> list[PregenerationListing]:
        """Jobs whose originals are to be listed, each from the beginning."""
        ...

    async def add_listed(self, job: int, keys: Sequence[str], *, variants: int, is_all: bool) -> bool:
        """More originals of a job, each to be made in so many variants; False where they could not be written."""
        ...

    async def listing_failed(self, job: int, failure: JobFailure) -> None:
        """The job ends with what has been listed."""
        ...

    async def next(self, count: int) -> list[PregenerationTask]:
        """About `count` tasks, of all jobs alike; they stay until they are finished."""
        ...

    async def finish(
        self, task: PregenerationTask, *, done: int, skipped: int, failures: Sequence[JobFailure]
    ) -> bool:
        """The task is over, and what came of it, in variants; False where that could not be written."""
        ...

    async def progress(self, job_id: str) -> JobProgress | None:
        """How far a job is; None for one that is not known."""
        ...

    async def recent(self, count: int) -> list[JobProgress]:
        """The last jobs, the newest first, without their failures."""
        ...

    async def cancel(self, job_id: str) -> int | None:
        """Forgets what is still to be done of a job; returns its number, None for one that is not known, and 0 where that
        could not be written."""
        ...

    async def retry(self, job_id: str) -> bool:
        """What failed of a job becomes tasks anew; False for one that is not known."""
        ...


class CommandDispatcher(Protocol):
    """Does what an admin asks, in this process or in another. Raises CalotypeErrors."""

    async def execute(
        self, command: AdminCommand, *, content: int | None = None, size_bytes: int = 0
    ) -> object:
        """What is to be answered: a dataclass, a list of them, or a dict. `content` is the descriptor of an upload."""
        ...


class Producer(Protocol):
    """The miss path of the node, in this process or in another. `deadline` is a point on the Clock. Raises whatever
    can go wrong with an original and its picture, as CalotypeErrors."""

    async def resolve_key(self, request: VariantRequest, *, deadline: float) -> ResolvedKey:
        """What the wanted variant is called, without looking for it."""
        ...

    async def check_version(self, ref: OriginalRef, version: str, *, deadline: float) -> VersionCheck:
        """Until when a version that a URL names may be believed to be known, if need be after a look at the original;
        raises nothing of the original's."""
        ...

    async def variant(
        self, request: VariantRequest, *, deadline: float, redirect_until_s: float
    ) -> Delivered:
        """The variant, from a tier or rendered; only its location where that may be good
        until `redirect_until_s`, a point on the Clock, which is not 0."""
        ...

    def open_current(self, ref: OriginalRef, *, deadline: float) -> AbstractAsyncContextManager[Original]:
        """The original as its source has it now, open as long as the context is."""
        ...


class PurgeSubscriber(Protocol):
    """Who remembers what the miss path has told it: a process that answers requests."""

    async def invalidate(self, scopes: Sequence[PurgeScope], keys: Sequence[str]) -> int:
        """Believes nothing any more of what `scopes` cover, and keeps none of `keys` in its memory; returns how many of
        those it had. Raises Unfollowed where that cannot be said."""
        ...


class NotAcknowledged(Exception):
    """A process did not say that it has forgotten."""


class PurgeJournal(Protocol):
    """Purges, kept on this node. Blocks; raises OSError."""

    def append(self, purges: Iterable[Purge]) -> None:
        """On disk when this returns."""
        ...


class EntryIndex(Protocol):
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

    async def last_event(self, ref: OriginalRef) -> LastEvent | None:
        """What the last event told of it; None where it is not known at all."""
        ...

    async def record_event(self, ref: OriginalRef, seen: LastEvent) -> None:
        """Notes what an event told."""
        ...


class CdnPurge(Protocol):
    """Somebody who keeps our answers and must be told of purges: a CDN in front."""

    async def call(self, scopes: Sequence[PurgeScope]) -> list[str]:
        """Tells it; returns what went wrong, in words for the owner."""
        ...


class PurgeLog(Protocol):
    """The other nodes, as far as they can be reached."""

    async def publish(self, purges: Sequence[Purge]) -> list[str]:
        """Has all nodes that are known to live apply these, and returns whom it could not be heard of, in words for the
        owner: nobody, once every one of them has confirmed."""
        ...
