"""A bounded dict for what can be worked out again: the price of a look-up is that of a dict."""

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memo(dict[K, V]):
    """Starts anew when `max_entries` is reached: no order is kept, so a hit costs nothing beyond the look-up."""

    def __init__(self, max_entries: int) -> None:
        super().__init__()
        self._max_entries = max_entries

    def keep(self, key: K, value: V) -> V:
        if len(self) >= self._max_entries and key not in self:
            self.clear()
        self[key] = value
        return value
