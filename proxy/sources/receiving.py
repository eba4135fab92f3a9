"""What sources on the network share: bytes into the originals tier, and faults into what a request is told."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from proxy.core.errors import OriginalTooLarge, SourceNotAllowed, SourceTimeout, SourceUnavailable
from proxy.core.image.original import OriginalRef, missing
from proxy.ports.originals import Incoming, OriginalStore
from proxy.remote.errors import (
    AccessDenied,
    AddressNotAllowed,
    CircuitOpen,
    Missing,
    RemoteError,
    TooLarge,
    TooSlow,
)

NEGATIVE_TTL_S = 60.0
"""How long it is believed that there is no original under a key: to ask costs a journey."""


@asynccontextmanager
async def receiving(store: OriginalStore, ref: OriginalRef, max_bytes: int) -> AsyncIterator[Incoming]:
    """Room for that original, of `max_bytes` at most, given up unless it was kept. Raises what a Source raises."""
    incoming = store.receive()
    try:
        with as_source_errors(ref, max_bytes):
            yield incoming
    finally:
        await incoming.discard()


@contextmanager
def as_source_errors(ref: OriginalRef, max_bytes: int) -> Iterator[None]:
    """Faults of a place on the network, as what a Source raises. Their own words become the reason that a client reads:
    they hold neither a credential nor the address of the place."""
    try:
        yield
    except AccessDenied as fault:
        raise missing(ref, f" that the node may read: {fault}") from None
    except Missing:
        raise missing(ref) from None
    except TooLarge:
        raise OriginalTooLarge(f"the original is larger than {max_bytes} bytes") from None
    except AddressNotAllowed as fault:
        raise SourceNotAllowed(f"the original is in a place this node does not fetch from: {fault}") from None
    except TooSlow as fault:
        raise SourceTimeout(f"the original did not arrive in time: {fault}") from None
    except CircuitOpen as fault:
        raise SourceUnavailable(f"the source is out of order: {fault}", retry_after_s=1) from None
    except RemoteError as fault:
        raise SourceUnavailable(f"the source did not give the original: {fault}") from None
