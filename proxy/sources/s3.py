"""Originals in a bucket of an S3-compatible store. A key is an object's name below the source's prefix.

The store is not asked who an original is: an upload gets a new key, or is purged. So there is no version.
"""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from proxy.core.errors import OriginalNotFound, OriginalTooLarge, SourceTimeout, SourceUnavailable
from proxy.core.keys import Identity, OriginalRef
from proxy.ports import Original
from proxy.s3.bucket import S3Bucket, Sink
from proxy.s3.faults import Denied, Missing, Resting, S3Error, TooLarge, TooSlow


class Incoming(Sink, Protocol):
    """A place for an original's bytes while they arrive."""

    async def kept(self) -> Original:
        """The original, all of it having arrived; called once, and whoever gets it closes it."""
        ...

    async def discard(self) -> None:
        """Gives up what has arrived; does nothing after `kept`."""
        ...


class Keep(Protocol):
    """Where originals are put when they come."""

    def receive(self, identity: Identity) -> Incoming: ...


class S3Source:
    """Satisfies Source. `max_bytes` bounds an original; `bucket` is closed by whoever opened it."""

    recheck_s = math.inf

    def __init__(self, name: str, bucket: S3Bucket, keep: Keep, *, max_bytes: int) -> None:
        self._name = name
        self._bucket = bucket
        self._keep = keep
        self._max_bytes = max_bytes

    async def identify(self, key: str) -> Identity:
        return Identity(OriginalRef(self._name, key), "")

    async def fetch(self, key: str) -> Original:
        name = self._bucket.place.prefix + key
        async with self._receiving(await self.identify(key)) as incoming:
            try:
                await self._bucket.get(name, incoming, max_bytes=self._max_bytes)
            except Denied:
                raise OriginalNotFound("there is no original under this key that the node may read") from None
            except Missing:
                raise OriginalNotFound("there is no original under this key") from None
            except TooLarge:
                raise OriginalTooLarge(f"the original is larger than {self._max_bytes} bytes") from None
            except TooSlow:
                raise SourceTimeout("the original did not arrive in time") from None
            except Resting:
                raise SourceUnavailable("the source is out of order", retry_after_s=1) from None
            except S3Error:
                raise SourceUnavailable("the source did not give the original") from None
            return await incoming.kept()

    @asynccontextmanager
    async def _receiving(self, identity: Identity) -> AsyncIterator[Incoming]:
        incoming = self._keep.receive(identity)
        try:
            yield incoming
        finally:
            await incoming.discard()

    def close(self) -> None:
        """Nothing of its own is open."""
