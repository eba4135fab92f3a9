"""For the network sources: receives bytes into the original store, and maps remote errors to source errors."""

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
"""The lifetime of a negative entry of a network source."""


@asynccontextmanager
async def receiving(store: OriginalStore, ref: OriginalRef, max_bytes: int) -> AsyncIterator[Incoming]:
    """Receives an original into `store`; discards it unless committed. Raises the errors of a Source."""
    incoming = store.receive(ref)
    try:
        with as_source_errors(ref, max_bytes):
            yield incoming
    finally:
        await incoming.discard()


@contextmanager
def as_source_errors(ref: OriginalRef, max_bytes: int) -> Iterator[None]:
    """Maps a RemoteError to the errors of a Source. Its message becomes the detail for the client: it contains
    neither a credential nor an address."""
    try:
        yield
    except AccessDenied as fault:
        raise missing(ref, f" that the node may read: {fault}") from None
    except Missing:
        raise missing(ref) from None
    except TooLarge:
        raise OriginalTooLarge(f"the original is larger than {max_bytes} bytes") from None
    except AddressNotAllowed as fault:
        raise SourceNotAllowed(f"the node does not fetch originals from this address: {fault}") from None
    except TooSlow as fault:
        raise SourceTimeout(f"the original did not arrive in time: {fault}") from None
    except CircuitOpen as fault:
        raise SourceUnavailable(f"the source is unavailable: {fault}", retry_after_s=1) from None
    except RemoteError as fault:
        raise SourceUnavailable(f"the source did not give the original: {fault}") from None
