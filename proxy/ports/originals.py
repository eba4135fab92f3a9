"""Sources of originals, and the local store for them."""

from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol

from proxy.core.image.formats import Format
from proxy.core.image.original import Identity, OriginalRef


class OriginalFile(Protocol):
    """The bytes of an original as an open file; the code that opened it closes it."""

    size_bytes: int

    def fileno(self) -> int:
        """A descriptor open for reading; readers use pread or mmap and do not move its position. The file's mtime is
        the source's modification time, 0 if unknown."""
        ...

    def unchanged(self) -> bool:
        """Whether the bytes are still those that were opened; False if the file was changed."""
        ...

    def close(self) -> None: ...


class Original(NamedTuple):
    """An open original; `name` is the `original_key` of its identity."""

    name: str
    file: OriginalFile


class Version(NamedTuple):
    """One state of an original in its source. `text` changes with the bytes if the source can tell; `key` may be another
    Unicode normal form of the requested one."""

    key: str
    text: str


class Fetched(NamedTuple):
    """A fetched original; `tag` is its entity tag if the source has no versions, else empty."""

    version: Version
    file: OriginalFile
    tag: str = ""


class Sink(Protocol):
    """Receives bytes. `begin` is called for each attempt, with the modification time in Unix seconds, 0 if unknown."""

    async def begin(self, modified_s: int = 0) -> None: ...

    async def write(self, chunk: bytes) -> None: ...


class Incoming(Sink, Protocol):
    """Storage for the bytes of an original while they arrive."""

    def digest(self) -> str:
        """A digest of all received bytes, in hex."""
        ...

    async def commit(self, version: str) -> OriginalFile:
        """The complete original, which has this version; called once, and the caller closes it."""
        ...

    async def discard(self) -> None:
        """Discards the received bytes; no effect after `commit`."""
        ...


class OriginalStore(Protocol):
    """A local store for originals, so that many variants need one fetch. Its faults are misses."""

    name: str

    async def lookup(self, identity: Identity) -> OriginalFile | None:
        """The original, verified against the digest stored with it, or None."""
        ...

    async def remove(self, name: str) -> bool:
        """Removes the original with this `original_key`; whether it existed."""
        ...

    def receive(self, ref: OriginalRef) -> Incoming:
        """Storage for the bytes of an original, which will belong to its current generation. Called before the bytes are
        requested: a purge meanwhile makes them invalid."""
        ...


class Source(Protocol):
    """A source of originals. A version is fresh for `freshness_lifetime_s` seconds, a negative entry for
    `negative_ttl_s`; `serves_stale` allows a stale version while the source is unavailable, and after a restart.

    Raises OriginalNotFound, OriginalTooLarge, SourceNotAllowed, SourceUnavailable or SourceTimeout, and Overloaded if
    the node cannot open more files or connections.
    """

    freshness_lifetime_s: float
    negative_ttl_s: float
    serves_stale: bool

    async def identify(self, key: str, known: str | None) -> Version:
        """The current version of the original; `known` is the text of the last trusted one, if any."""
        ...

    async def tag(self, key: str) -> str:
        """The current entity tag of the original if the source has no versions; else empty."""
        ...

    async def fetch(self, key: str) -> Fetched:
        """The current original; its version may be newer than the one identified last."""
        ...


class WritableSource(Protocol):
    """A source that can be listed and that takes uploads. Raises the errors of a Source."""

    async def store(self, key: str, content: OriginalFile, *, kind: Format, overwrite: bool = False) -> None:
        """Stores the original under a new key, or replaces one with `overwrite`; no effect if the same bytes are
        stored already. Raises Conflict for other bytes, MethodNotAllowed if the source takes no uploads."""
        ...

    async def exists(self, key: str) -> bool:
        """Whether the original exists now."""
        ...

    async def delete(self, key: str) -> None:
        """Deletes an original that was stored but not yet announced."""
        ...

    def keys(self, prefix: str) -> AsyncIterator[list[str]]:
        """The keys of pictures that begin with `prefix`, in byte order, in batches."""
        ...


class Remote(Protocol):
    """A remote part: a store, a web server or Redis."""

    @property
    def circuit_open(self) -> bool:
        """Whether its circuit breaker is open."""
        ...
