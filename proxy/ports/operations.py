"""Admin commands, the miss path, and purges across processes and nodes."""

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
from proxy.core.cache.keys import CacheKey, Entry, LastEvent
from proxy.core.cache.variant_request import ResolvedKey, VariantRequest
from proxy.core.image.original import OriginalRef
from proxy.ports.originals import Original


class JobStore(Protocol):
    """Pre-generation jobs on disk."""

    async def add(self, command: PregenerationSpec, total: int) -> str | None:
        """Stores a job of `total` variants; returns its id once it is on disk, None if it cannot be written."""
        ...

    async def listings(self) -> list[PregenerationListing]:
        """Jobs whose originals are not listed completely; each listing begins again."""
        ...

    async def add_listed(self, job: int, keys: Sequence[str], *, variants: int, is_all: bool) -> bool:
        """Adds originals to a job, each with the number of `variants`; `is_all` ends the listing. False if they cannot be
        written."""
        ...

    async def listing_failed(self, job: int, failure: JobFailure) -> None:
        """Ends the listing with an error; the listed originals stay in the job."""
        ...

    async def next(self, count: int) -> list[PregenerationTask]:
        """About `count` tasks, from all jobs in turn; a task stays until `finish`."""
        ...

    async def finish(
        self, task: PregenerationTask, *, done: int, skipped: int, failures: Sequence[JobFailure]
    ) -> bool:
        """Removes the task and records its results as numbers of variants; False if they cannot be written."""
        ...

    async def progress(self, job_id: str) -> JobProgress | None:
        """The progress of a job; None for an unknown id."""
        ...

    async def recent(self, count: int) -> list[JobProgress]:
        """The last `count` jobs, the newest first, without their failures."""
        ...

    async def cancel(self, job_id: str) -> int | None:
        """Removes the remaining tasks of a job; returns its number, None for an unknown id, 0 if that cannot be written."""
        ...

    async def retry(self, job_id: str) -> bool:
        """Makes the failures of a job tasks again; False for an unknown id."""
        ...


class CommandDispatcher(Protocol):
    """Executes admin commands, in this process or in another one. Raises CalotypeErrors."""

    async def execute(
        self, command: AdminCommand, *, content: int | None = None, size_bytes: int = 0
    ) -> object:
        """The result, which msgspec can encode as JSON. `content` is the file descriptor of an upload of `size_bytes`."""
        ...


class Producer(Protocol):
    """The miss path of the node, in this process or in another one. `deadline` is a point on the Clock. All errors are
    CalotypeErrors."""

    async def resolve_key(self, request: VariantRequest, *, deadline: float) -> ResolvedKey:
        """The cache key of the variant; does not look up the variant."""
        ...

    async def check_version(
        self, refs: Sequence[OriginalRef], version: str, *, deadline: float
    ) -> VersionCheck:
        """How long a version in a URL counts as checked, after revalidations of its originals if necessary. Raises no
        error of an original."""
        ...

    async def variant(
        self, request: VariantRequest, *, deadline: float, redirect_until_s: float
    ) -> Delivered:
        """The variant, from a tier or rendered. If `redirect_until_s`, a point on the Clock, is not 0, the result may be
        a location that is valid until then."""
        ...

    def open_current(
        self, ref: OriginalRef, *alternatives: OriginalRef, deadline: float
    ) -> AbstractAsyncContextManager[Original]:
        """The current original, open while the context is; if it does not exist, the first alternative that does."""
        ...


class PurgeSubscriber(Protocol):
    """A process that answers requests and caches results of the miss path."""

    async def invalidate(self, scopes: Sequence[PurgeScope] | None, keys: Sequence[CacheKey]) -> int:
        """Drops all records that `scopes` cover, or all if it is None, and `keys` from its memory tier; returns how many
        of the keys it had. Raises NotAcknowledged."""
        ...


class NotAcknowledged(Exception):
    """A process did not acknowledge a purge."""


class PurgeJournal(Protocol):
    """The purges on the disk of this node. Blocks; raises OSError."""

    def append(self, purges: Iterable[Purge]) -> None:
        """Writes the purges; they are on disk when this returns."""
        ...


class EntryIndex(Protocol):
    """The entries of the tiers by original, and the last event of each original. Notes may be lost."""

    def note(self, refs: Sequence[OriginalRef], entry: Entry, plan: str = "") -> None:
        """Adds an entry under each of its originals; `plan` is empty unless the entry is a variant."""
        ...

    async def find(self, purges: Sequence[Purge]) -> list[Entry]:
        """All entries that these purges cover and that are older."""
        ...

    async def drop(self, entries: Sequence[Entry]) -> None:
        """Removes entries from the index."""
        ...

    async def last_event(self, ref: OriginalRef) -> LastEvent | None:
        """The last event of an original; None if the index does not have the original."""
        ...

    async def record_event(self, ref: OriginalRef, event: LastEvent) -> None:
        """Stores the last event of an original."""
        ...


class CdnPurge(Protocol):
    """A CDN in front of the node, which has to purge its copies."""

    async def call(self, scopes: Sequence[PurgeScope]) -> list[str]:
        """Purges at the CDN; returns one message per failure."""
        ...


class SharedPurgeLog(Protocol):
    """The purges that all nodes share."""

    async def publish(self, purges: Sequence[Purge]) -> list[str]:
        """Publishes purges to all running nodes; returns one message per node that has not confirmed. Empty means all
        have."""
        ...
