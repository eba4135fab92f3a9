"""Sources of originals, and the local store for them."""

from collections.abc import AsyncIterator
from typing import Protocol

from proxy.core.image.formats import Format
from proxy.core.image.original import Identity


class Original(Protocol):
    """An original as an open file; the code that fetched it closes it."""

    identity: Identity
    size_bytes: int
    tag: str
    """The entity tag of a source without versions, if the original was just fetched; else empty."""

    def fileno(self) -> int:
        """A descriptor open for reading; readers use pread or mmap and do not move its position. The file's mtime is
        the source's modification time, 0 if unknown."""
        ...

    def unchanged(self) -> bool:
        """Whether the bytes are still those of `identity`; False if the file was changed."""
        ...

    def close(self) -> None: ...


class Sink(Protocol):
    """Receives bytes. `begin` is called for each attempt, with the modification time in Unix seconds, 0 if unknown."""

    async def begin(self, modified_s: int = 0) -> None: ...

    async def write(self, chunk: bytes) -> None: ...


class Incoming(Sink, Protocol):
    """Storage for the bytes of an original while they arrive."""

    def digest(self) -> str:
        """A digest of all received bytes, in hex."""
        ...

    async def commit(self, identity: Identity) -> Original:
        """The complete original; called once, and the caller closes it."""
        ...

    async def discard(self) -> None:
        """Discards the received bytes; no effect after `commit`."""
        ...


class OriginalStore(Protocol):
    """A local store for originals, so that many variants need one fetch. Its faults are misses."""

    name: str

    async def lookup(self, identity: Identity) -> Original | None:
        """The original, verified against the digest stored with it, or None."""
        ...

    async def remove(self, name: str) -> bool:
        """Removes the original with this `original_key`; whether it existed."""
        ...

    def receive(self) -> Incoming:
        """Storage for one more original."""
        ...


class Source(Protocol):
    """A source of originals. An identity is fresh for `freshness_lifetime_s` seconds, a negative entry for
    `negative_ttl_s`; `serves_stale` allows a stale identity while the source is unavailable, and after a restart.

    Raises OriginalNotFound, OriginalTooLarge, SourceNotAllowed, SourceUnavailable or SourceTimeout, and Overloaded if
    the node cannot open more files or connections.
    """

    freshness_lifetime_s: float
    negative_ttl_s: float
    serves_stale: bool

    async def identify(self, key: str, known: Identity | None, generation: str) -> Identity:
        """The current identity of the original, with this generation; `known` is the last trusted one, if any. Its
        key may be another Unicode normal form of `key`."""
        ...

    async def tag(self, key: str) -> str:
        """The current entity tag of the original if the source has no versions; else empty."""
        ...

    async def fetch(self, key: str, generation: str) -> Original:
        """The current original; its identity may be newer than the one identified last."""
        ...


class WritableSource(Protocol):
    """A source that can be listed and that takes uploads. Raises the errors of a Source."""

    async def store(
        self, key: str, content: Original, *, kind: Format, generation: str, overwrite: bool = False
    ) -> None:
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
