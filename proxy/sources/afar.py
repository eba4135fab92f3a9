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
    """Faults of a place on the network, as what a Source raises."""
    try:
        yield
    except Denied:
        raise OriginalNotFound("there is no original under this key that the node may read") from None
    except Missing:
        raise OriginalNotFound("there is no original under this key") from None
    except TooLarge:
        raise OriginalTooLarge(f"the original is larger than {max_bytes} bytes") from None
    except Foreign:
        raise SourceNotAllowed("the original is in a place this node does not fetch from") from None
    except TooSlow:
        raise SourceTimeout("the original did not arrive in time") from None
    except Resting:
        raise SourceUnavailable("the source is out of order", retry_after_s=1) from None
    except RemoteError:
        raise SourceUnavailable("the source did not give the original") from None
