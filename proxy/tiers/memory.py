"""The memory tier: an LRU cache in this process, limited in bytes. Event loop only."""

from cachetools import LRUCache

from proxy.core.cache.delivery import Variant
from proxy.core.cache.keys import CacheKey

ENTRY_OVERHEAD_BYTES = 512
"""The memory of an entry besides its body: key, value object, links of the cache."""


class MemoryTier:
    """Satisfies InstantTier. Does not store an entry above `max_entry_bytes` or a sixteenth of `max_bytes`."""

    name = "memory"

    def __init__(self, *, max_bytes: int, max_entry_bytes: int) -> None:
        self._max_entry_bytes = min(max_entry_bytes, max_bytes // 16)
        self._entries: LRUCache[CacheKey, Variant] = LRUCache(max_bytes, getsizeof=_cost)

    def lookup(self, key: CacheKey) -> Variant | None:
        try:
            return self._entries[key]
        except KeyError:
            return None

    def store(self, key: CacheKey, variant: Variant) -> bool:
        if len(variant.body) > self._max_entry_bytes:
            return False
        self._entries[key] = variant
        return True

    def remove(self, key: CacheKey) -> bool:
        return self._entries.pop(key, None) is not None

    def usage(self) -> tuple[int, int]:
        return int(self._entries.currsize), len(self._entries)


def _cost(variant: Variant) -> int:
    return len(variant.body) + ENTRY_OVERHEAD_BYTES
