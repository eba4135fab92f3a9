"""Originals in an S3-compatible bucket. A key is the name of an object below the prefix of the source.

Versions are empty, so the store is not asked for one unless a URL names a version: an upload gets a new key,
or is purged.
"""

import asyncio
import hashlib
import math
import os
from collections.abc import AsyncIterator

from proxy.core.errors import Conflict
from proxy.core.image.formats import TRAITS, Format
from proxy.core.image.original import OriginalRef
from proxy.core.url.target import is_hidden
from proxy.ports.originals import Fetched, OriginalFile, OriginalStore, Version
from proxy.remote.errors import Exists, Missing
from proxy.remote.s3 import S3Bucket
from proxy.sources.receiving import NEGATIVE_TTL_S, as_source_errors, receiving

_DIGEST = "calotype-sha256"
_SUFFIXES = frozenset({traits.suffix for traits in TRAITS.values()} | {"jpeg", "heif"})


class S3Source:
    """Satisfies Source. `max_bytes` limits an original. The caller closes `bucket`."""

    freshness_lifetime_s = math.inf
    negative_ttl_s = NEGATIVE_TTL_S
    serves_stale = False

    def __init__(self, name: str, bucket: S3Bucket, store: OriginalStore, *, max_bytes: int) -> None:
        self._name = name
        self._bucket = bucket
        self._store = store
        self.max_bytes = max_bytes

    async def identify(self, key: str, known: str | None = None) -> Version:
        return Version(key, "")

    async def fetch(self, key: str) -> Fetched:
        async with receiving(self._store, self._ref(key), self.max_bytes) as incoming:
            name = self._bucket.location.prefix + key
            head = await self._bucket.get(name, incoming, max_bytes=self.max_bytes)
            return Fetched(Version(key, ""), await incoming.commit(""), head.tag)

    async def tag(self, key: str) -> str:
        with as_source_errors(self._ref(key), self.max_bytes):
            return await self._bucket.tag(self._bucket.location.prefix + key)

    async def store(self, key: str, content: OriginalFile, *, kind: Format, overwrite: bool = False) -> None:
        body = await asyncio.to_thread(os.pread, content.fileno(), content.size_bytes, 0)
        digest = hashlib.sha256(body).hexdigest()
        name = self._bucket.location.prefix + key
        async with receiving(self._store, self._ref(key), self.max_bytes) as incoming:
            try:
                await self._bucket.put(
                    name,
                    body,
                    content_type=TRAITS[kind].mime,
                    cache_control="",
                    metadata={_DIGEST: digest},
                    only_new=not overwrite,
                )
            except Exists:
                if (await self._bucket.metadata(name)).get(_DIGEST) != digest:
                    raise Conflict("there is another original under this key") from None
            await incoming.begin()
            await incoming.write(body)
            (await incoming.commit("")).close()

    async def exists(self, key: str) -> bool:
        with as_source_errors(self._ref(key), self.max_bytes):
            try:
                await self._bucket.metadata(self._bucket.location.prefix + key)
            except Missing:
                return False
        return True

    async def delete(self, key: str) -> None:
        with as_source_errors(self._ref(key), self.max_bytes):
            await self._bucket.delete(self._bucket.location.prefix + key)

    async def keys(self, prefix: str) -> AsyncIterator[list[str]]:
        below = self._bucket.location.prefix
        with as_source_errors(self._ref(prefix), self.max_bytes):
            async for page in self._bucket.names(below + prefix):
                keys = [listed.name.removeprefix(below) for listed in page]
                yield [
                    key for key in keys if key.rpartition(".")[2].lower() in _SUFFIXES and not is_hidden(key)
                ]

    def _ref(self, key: str) -> OriginalRef:
        return OriginalRef(self._name, key)

    def close(self) -> None:
        """Does nothing: the caller closes `bucket`."""
