"""Originals in a bucket of an S3-compatible store. A key is an object's name below the source's prefix.

The store is not asked who an original is: an upload gets a new key, or is purged. So there is no version.
"""

import math

from proxy.core.keys import Identity, OriginalRef
from proxy.ports import Original, OriginalsTier
from proxy.s3.bucket import S3Bucket
from proxy.sources.afar import receiving


class S3Source:
    """Satisfies Source. `max_bytes` bounds an original; `bucket` is closed by whoever opened it."""

    recheck_s = math.inf
    serves_stale = False

    def __init__(self, name: str, bucket: S3Bucket, keep: OriginalsTier, *, max_bytes: int) -> None:
        self._name = name
        self._bucket = bucket
        self._keep = keep
        self.max_bytes = max_bytes

    async def identify(self, key: str, known: Identity | None = None) -> Identity:
        return Identity(OriginalRef(self._name, key), "")

    async def fetch(self, key: str) -> Original:
        async with receiving(self._keep, self.max_bytes) as incoming:
            await self._bucket.get(self._bucket.place.prefix + key, incoming, max_bytes=self.max_bytes)
            return await incoming.kept(await self.identify(key))

    def close(self) -> None:
        """Nothing of its own is open."""
