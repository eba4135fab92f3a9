"""Where originals come from, and where they are kept."""

from collections.abc import AsyncIterator
from typing import Protocol

from proxy.core.image.formats import Format
from proxy.core.image.original import Identity


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

    async def commit(self, identity: Identity) -> Original:
        """The original, all of it having arrived; called once, and whoever gets it closes it."""
        ...

    async def discard(self) -> None:
        """Gives up what has arrived; does nothing after `kept`."""
        ...


class OriginalStore(Protocol):
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

    freshness_lifetime_s: float
    negative_ttl_s: float
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


class WritableSource(Protocol):
    """A source that can be listed, and that uploads are put into. Raises what a Source raises."""

    async def store(
        self, key: str, content: Original, *, kind: Format, generation: str, overwrite: bool = False
    ) -> None:
        """Stores the original under a key that is new, or is to be overwritten; where the very same bytes are there, nothing
        is to be done. Raises Conflict where others are, MethodNotAllowed where nothing can be stored."""
        ...

    async def exists(self, key: str) -> bool:
        """Whether there is such an original now."""
        ...

    async def delete(self, key: str) -> None:
        """Takes back what was kept, nobody having been told of it."""
        ...

    def keys(self, prefix: str) -> AsyncIterator[list[str]]:
        """The keys of its pictures that begin with `prefix`, in the order of their bytes, some at a time."""
        ...


class Remote(Protocol):
    """A part on the network."""

    @property
    def circuit_open(self) -> bool:
        """Whether it is left alone, having failed again and again."""
        ...
