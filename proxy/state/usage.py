"""The variants that were requested on each day, stored in the bucket beside the variants, so that `calotype gc`
knows the usage of all nodes. A killed node loses at most one hour of records."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, date, datetime
from typing import Protocol

from proxy.local.tasks import Tasks
from proxy.ports.clock import WallClock

FLUSH_INTERVAL_S = 3600.0
_MAX_KEYS = 200_000
_KEY_BYTES = 32


class UsageStore(Protocol):
    """Where usage records are stored, by name. No method raises."""

    async def write(self, name: str, body: bytes) -> None: ...

    def names(self, prefix: str) -> AsyncIterator[str]: ...

    async def read(self, name: str) -> bytes: ...


class Usage:
    """Collects keys from `start` to `close`. `writer` identifies this instance of the node."""

    def __init__(self, store: UsageStore, *, writer: str, wall: WallClock) -> None:
        self._store = store
        self._writer = writer
        self._wall = wall
        self._keys: set[bytes] = set()
        self._written = 0
        self._tasks = Tasks()

    def start(self) -> None:
        """Begins to write now and then."""
        self._tasks.start(self._flush_periodically(), "usage")

    def add(self, keys: Iterable[str]) -> None:
        """Records that these keys were requested today."""
        if len(self._keys) < _MAX_KEYS:
            self._keys.update(map(bytes.fromhex, keys))

    async def flush(self) -> None:
        """Writes the collected keys."""
        keys, self._keys = self._keys, set()
        if keys:
            self._written += 1
            day = datetime.fromtimestamp(self._wall(), UTC).date()
            await self._store.write(f"{day}/{self._writer}.{self._written}", b"".join(keys))

    async def close(self) -> None:
        """Writes what is left."""
        await self._tasks.close()
        await self.flush()

    async def _flush_periodically(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_INTERVAL_S)
            await self.flush()


async def used_since(store: UsageStore, day: date) -> tuple[set[bytes], date | None]:
    """The keys requested on `day` or later, and the earliest recorded day."""
    keys: set[bytes] = set()
    first: date | None = None
    async for name in store.names(""):
        try:
            written = date.fromisoformat(name.partition("/")[0])
        except ValueError:
            continue
        first = written if first is None else min(first, written)
        if written >= day:
            body = await store.read(name)
            keys.update(body[at : at + _KEY_BYTES] for at in range(0, len(body), _KEY_BYTES))
    return keys, first
