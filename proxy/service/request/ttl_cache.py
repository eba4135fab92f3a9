"""A cache in memory with a lifetime for each entry and a limit in bytes; a sweep frees expired entries."""

import asyncio
import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

from proxy.ports.clock import Clock

SWEEP_S = 5.0
ENTRY_BYTES = 560
"""The size of an entry without its strings: key, value, their objects, and the links of the dict; measured with
tracemalloc."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _CachedValue(NamedTuple, Generic[V]):
    value: V
    until_s: float
    bytes: int


class TtlCache(Generic[K, V]):
    """Holds at most `max_bytes` and evicts the least recently used entry. `strings` returns the strings that belong to an
    entry alone. `get` returns expired entries until the next sweep, `SWEEP_S` later at most; event loop only."""

    def __init__(self, max_bytes: int, clock: Clock, strings: Callable[[K, V], tuple[str, ...]]) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._strings = strings
        self._entries: OrderedDict[K, _CachedValue[V]] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry.value

    def store(self, key: K, value: V, until_s: float) -> None:
        """Stores the value until `until_s`, a point on the Clock. A value larger than the cache is not stored."""
        self.remove(key)
        entry = _CachedValue(value, until_s, ENTRY_BYTES + sum(map(sys.getsizeof, self._strings(key, value))))
        self._entries[key] = entry
        self.size_bytes += entry.bytes
        while self.size_bytes > self._max_bytes:
            self.remove(next(iter(self._entries)))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def remove(self, key: K) -> None:
        if (entry := self._entries.pop(key, None)) is not None:
            self.size_bytes -= entry.bytes

    def _sweep(self) -> None:
        now_s = self._clock()
        # A new dict, because a large one stays large.
        self._entries = OrderedDict(each for each in self._entries.items() if each[1].until_s > now_s)
        self.size_bytes = sum(entry.bytes for entry in self._entries.values())
        self._timer = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep) if self._entries else None
