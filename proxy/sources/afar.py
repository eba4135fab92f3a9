"""What sources on the network share: bytes into the originals tier, and faults into what a request is told."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from proxy.core.errors import (
    OriginalNotFound,
    OriginalTooLarge,
    SourceNotAllowed,
    SourceTimeout,
    SourceUnavailable,
)
from proxy.ports import Incoming, OriginalsTier
from proxy.remote.faults import Denied, Foreign, Missing, RemoteError, Resting, TooLarge, TooSlow

MISSING_S = 60.0
"""How long it is believed that there is no original under a key: to ask costs a journey."""


@asynccontextmanager
async def receiving(keep: OriginalsTier, max_bytes: int) -> AsyncIterator[Incoming]:
    """Room for an original of `max_bytes` at most, given up unless it was kept. Raises what a Source raises."""
    incoming = keep.receive()
    try:
        with told(max_bytes):
            yield incoming
    finally:
        await incoming.discard()


@contextmanager
def told(max_bytes: int) -> Iterator[None]:
    """Faults of a place on the network, as what a Source raises. Their own words become the reason that a client reads:
    they hold neither a credential nor the address of the place."""
    try:
        yield
    except Denied as fault:
        raise OriginalNotFound(
            f"there is no original under this key that the node may read: {fault}"
        ) from None
    except Missing:
        raise OriginalNotFound("there is no original under this key") from None
    except TooLarge:
        raise OriginalTooLarge(f"the original is larger than {max_bytes} bytes") from None
    except Foreign as fault:
        raise SourceNotAllowed(f"the original is in a place this node does not fetch from: {fault}") from None
    except TooSlow as fault:
        raise SourceTimeout(f"the original did not arrive in time: {fault}") from None
    except Resting as fault:
        raise SourceUnavailable(f"the source is out of order: {fault}", retry_after_s=1) from None
    except RemoteError as fault:
        raise SourceUnavailable(f"the source did not give the original: {fault}") from None
