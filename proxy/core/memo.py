"""A bounded dict for values that can be computed again; a lookup costs as much as in a dict."""

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memo(dict[K, V]):
    """Is emptied when `max_entries` is reached: without an eviction order a hit costs only the lookup."""

    def __init__(self, max_entries: int) -> None:
        super().__init__()
        self._max_entries = max_entries

    def store(self, key: K, value: V) -> V:
        if len(self) >= self._max_entries and key not in self:
            self.clear()
        self[key] = value
        return value
