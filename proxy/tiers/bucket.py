"""The bucket tier, which all nodes share. Objects are plain pictures to which clients and CDNs can be redirected.
Their metadata holds a digest of key and content, which every read checks.

Presence flags avoid requests to the store. A failure of the store is a miss.
"""

import asyncio
import math
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from typing import NamedTuple, Protocol
from urllib.parse import quote, unquote

from proxy.core.cache.delivery import Variant
from proxy.core.cache.envelope import digest
from proxy.core.cache.http_caching import IMMUTABLE_S, cache_control
from proxy.core.cache.keys import CacheKey
from proxy.core.image.formats import TRAITS
from proxy.core.image.original import OriginalRef
from proxy.core.memo import Memo
from proxy.ports.clock import Clock
from proxy.ports.telemetry import Metrics
from proxy.ports.tiers import Presence, PresenceFlags
from proxy.remote.errors import RemoteError

MAX_ATTEMPTS = 3
RETRY_PAUSE_S = 0.5
SIGNED_URL_TTL_S = 3600
VERIFY_TTL_S = 60.0
WRITERS = 8
MAX_OBJECT_BYTES = 64 * 2**20
DIGEST = "calotype-digest"
ORIGINAL_METADATA = "calotype-original"
"""The metadata key for source and key of the original, percent-encoded; `calotype gc` reads it."""
NOTICE_METADATA = "calotype-notice"
ORIGINAL_BYTES_METADATA = "calotype-original-bytes"
_MAX_ORIGINAL_CHARS = 1500
_MAX_SIZE_DIGITS = 18
_USAGE_FOLDER = "asked"
_VERIFIED_ENTRIES = 20_000
_SIGNED_ENTRIES = 10_000
_OBJECT = re.compile(r"([0-9a-f]{2})/(\1[0-9a-f]{62})\.([a-z]+)")
_BY_SUFFIX = {traits.suffix: kind for kind, traits in TRAITS.items() if traits.shown}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object: its bytes and metadata, and the headers to store it with."""

    body: bytes
    metadata: Mapping[str, str]
    content_type: str = ""
    cache_control: str = ""


class Stored(NamedTuple):
    """An entry of the bucket. `stored_s` is its time in seconds of the Unix epoch."""

    key: CacheKey
    stored_s: float


class ObjectStore(Protocol):
    """A store of objects by name. Methods raise RemoteError, within a timeout because requests wait."""

    @property
    def circuit_open(self) -> bool:
        """Whether the circuit breaker is open."""
        ...

    async def get(self, name: str) -> StoredObject | None:
        """The object; None if the store answers that it does not exist."""
        ...

    async def put(self, name: str, stored: StoredObject) -> None: ...

    async def metadata(self, name: str) -> Mapping[str, str] | None:
        """The metadata of the object; None as in `get`."""
        ...

    async def delete(self, name: str) -> bool:
        """Deletes the object. Returns whether it existed, as far as the store tells."""
        ...

    def names(self, prefix: str) -> AsyncIterator[tuple[str, float]]:
        """Name and time of all objects whose names start with `prefix`; times in seconds of the Unix epoch."""
        ...

    async def signed(self, name: str, seconds: int) -> str:
        """A pre-signed URL, valid for `seconds`."""
        ...


class NoFlags:
    """Satisfies PresenceFlags without Redis: every presence is unknown."""

    async def presence(self, key: str) -> Presence:
        return Presence.UNKNOWN

    async def mark_absent(self, key: str) -> None: ...

    async def mark_present(self, key: str) -> None: ...

    async def unmark(self, key: str) -> None: ...

    async def release(self, key: str) -> None: ...


def _metadata(variant: Variant) -> dict[str, str]:
    encoded = quote(variant.of, safe=":/")
    original = {ORIGINAL_METADATA: encoded} if variant.of and len(encoded) <= _MAX_ORIGINAL_CHARS else {}
    details = {NOTICE_METADATA: variant.notice, ORIGINAL_BYTES_METADATA: str(variant.original_bytes or "")}
    return original | {name: value for name, value in details.items() if value}


def _variant(body: bytes, metadata: Mapping[str, str]) -> Variant:
    """The variant with the details that its metadata have; the digest tells if they are damaged."""
    size = metadata.get(ORIGINAL_BYTES_METADATA, "")
    return Variant(
        body=body,
        notice=metadata.get(NOTICE_METADATA, ""),
        original_bytes=int(size)
        if size.isascii() and size.isdecimal() and len(size) < _MAX_SIZE_DIGITS
        else 0,
    )


@dataclass(slots=True, eq=False)
class BucketTier:
    """Satisfies Tier, Redirects and UsageStore. `public_url` is the public base URL of the objects, without a
    trailing slash; without one, URLs are signed. `chance` returns numbers from 0 to 1."""

    name = "bucket"
    writers = WRITERS

    objects: ObjectStore
    flags: PresenceFlags
    _: KW_ONLY
    prefix: str
    public_url: str
    metrics: Metrics
    clock: Clock
    chance: Callable[[], float]
    _verified_until_s: Memo[CacheKey, float] = field(
        default_factory=lambda: Memo(_VERIFIED_ENTRIES), init=False
    )
    _urls: Memo[tuple[str, float], tuple[str, float]] = field(
        default_factory=lambda: Memo(_SIGNED_ENTRIES), init=False
    )

    @property
    def circuit_open(self) -> bool:
        """Whether the circuit breaker of the store is open."""
        return self.objects.circuit_open

    def object_name(self, key: CacheKey) -> str:
        """`{prefix}/{first 2 hex}/{digest}.{suffix}`."""
        folder = f"{self.prefix}/" if self.prefix else ""
        return f"{folder}{key.digest[:2]}/{key.digest}.{key.suffix}"

    async def lookup(self, key: CacheKey) -> Variant | None:
        presence = await self.flags.presence(key.digest)
        if presence is Presence.ABSENT:
            return None
        try:
            found = await self.objects.get(self.object_name(key))
        except RemoteError as fault:
            self.metrics.tier_failed(self.name, fault.kind)
            return None
        if found is None:
            await (
                self.flags.unmark(key.digest)
                if presence is Presence.PRESENT
                else self.flags.mark_absent(key.digest)
            )
            return None
        variant = _variant(found.body, found.metadata)
        if found.metadata.get(DIGEST) != digest(key, variant):
            self.metrics.tier_failed(self.name, "damaged")
            await self.flags.unmark(key.digest)
            return None
        if presence is Presence.UNKNOWN:
            await self.flags.mark_present(key.digest)
        return variant

    async def contains(self, key: CacheKey) -> bool:
        presence = await self.flags.presence(key.digest)
        if presence is not Presence.UNKNOWN:
            return presence is Presence.PRESENT
        with self._counted():
            return DIGEST in (await self.objects.metadata(self.object_name(key)) or ())
        return False

    async def remove(self, key: CacheKey) -> bool | None:
        self._verified_until_s.pop(key, None)
        await self.flags.unmark(key.digest)
        with self._counted():
            return await self.objects.delete(self.object_name(key))
        return None

    async def store(self, key: CacheKey, variant: Variant) -> bool:
        try:
            return await self._store(key, variant)
        finally:
            await self.flags.release(key.digest)

    async def _store(self, key: CacheKey, variant: Variant) -> bool:
        stored = StoredObject(
            body=variant.body,
            content_type=key.mime,
            cache_control=cache_control(IMMUTABLE_S),
            metadata={DIGEST: digest(key, variant), **_metadata(variant)},
        )
        for trial in range(MAX_ATTEMPTS):
            try:
                await self.objects.put(self.object_name(key), stored)
            except RemoteError as fault:
                self.metrics.tier_failed(self.name, fault.kind)
                # Other nodes wait for this object; release the lease, so that they do not wait for a failing store.
                await self.flags.release(key.digest)
                if trial < MAX_ATTEMPTS - 1:
                    await asyncio.sleep(RETRY_PAUSE_S * 2**trial * (0.5 + self.chance()))
            else:
                await self.flags.mark_present(key.digest)
                return True
        self.metrics.tier_failed(self.name, "dropped")
        return False

    async def location(self, key: CacheKey, *, until_s: float) -> str:
        """A URL of the variant; empty unless it is flagged present, which the store confirms every `VERIFY_TTL_S`."""
        if await self.flags.presence(key.digest) is not Presence.PRESENT:
            return ""
        name = self.object_name(key)
        with self._counted():
            if await self._verified(key, name):
                return f"{self.public_url}/{name}" if self.public_url else await self._signed(name, until_s)
            await self.flags.unmark(key.digest)
        return ""

    async def _signed(self, name: str, until_s: float) -> str:
        """A signed URL, reused for half of its life, because browsers cache by URL. Empty after `until_s`."""
        now_s = self.clock()
        lookup = name, until_s if until_s < now_s + SIGNED_URL_TTL_S else math.inf
        url, until_half_s = self._urls.get(lookup, ("", 0.0))
        if now_s >= until_half_s:
            seconds = int(min(until_s - now_s, SIGNED_URL_TTL_S))
            if seconds <= 0:
                return ""
            url = await self.objects.signed(name, seconds)
            self._urls.store(lookup, (url, now_s + seconds / 2))
        return url

    async def _verified(self, key: CacheKey, name: str) -> bool:
        """Whether the object exists. A flag may be wrong, and a redirected client cannot return."""
        if self._verified_until_s.get(key, 0.0) > self.clock():
            return True
        if DIGEST not in (await self.objects.metadata(name) or ()):
            return False
        self._verified_until_s.store(key, self.clock() + VERIFY_TTL_S)
        return True

    async def stored(self) -> AsyncIterator[Stored]:
        """All stored variants and facts. Raises RemoteError."""
        folder = f"{self.prefix}/" if self.prefix else ""
        async for name, stored_s in self.objects.names(folder):
            if match := _OBJECT.fullmatch(name.removeprefix(folder)):
                kind = None if match[3] == "json" else _BY_SUFFIX.get(match[3])
                if kind is not None or match[3] == "json":
                    yield Stored(CacheKey(match[2], kind), stored_s)

    async def original_of(self, key: CacheKey) -> OriginalRef | None:
        """The original of an entry; None if its metadata has none. Raises RemoteError."""
        metadata = await self.objects.metadata(self.object_name(key))
        source, mark, original = unquote((metadata or {}).get(ORIGINAL_METADATA, "")).partition(":")
        return OriginalRef(source, original) if mark else None

    async def write(self, name: str, body: bytes) -> None:
        """Stores a usage record. A failure is counted."""
        note = StoredObject(body=body, metadata={}, content_type="application/octet-stream")
        with self._counted():
            await self.objects.put(self._usage_name(name), note)

    async def names(self, prefix: str) -> AsyncIterator[str]:
        folder = self._usage_name("")
        async for name, _ in self.objects.names(folder + prefix):
            yield name.removeprefix(folder)

    async def read(self, name: str) -> bytes:
        found = await self.objects.get(self._usage_name(name))
        return b"" if found is None else found.body

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Counts an error of the store, and ends the block."""
        try:
            yield
        except RemoteError as fault:
            self.metrics.tier_failed(self.name, fault.kind)

    def _usage_name(self, name: str) -> str:
        return f"{self.prefix}/{_USAGE_FOLDER}/{name}" if self.prefix else f"{_USAGE_FOLDER}/{name}"

    def usage(self) -> None:
        """None: the size is unknown, because other nodes store here too."""

    async def close(self) -> None:
        """The caller closes store and flags."""
