"""What is remembered of many things for a while, within a number of bytes, and given back when it has ended."""

import asyncio
import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

from proxy.ports.clock import Clock

SWEEP_S = 5.0
ENTRY_BYTES = 480
"""What an entry costs besides its texts: key, value, the objects they are made of, and the links of the dict. Measured with
tracemalloc."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _CachedValue(NamedTuple, Generic[V]):
    value: V
    until_s: float
    bytes: int


class TtlCache(Generic[K, V]):
    """At most `max_bytes`: what was used longest ago goes first. `texts` are those that an entry holds alone. What has ended
    is still found until the next sweep, `SWEEP_S` later at most; event loop only."""

    def __init__(self, max_bytes: int, clock: Clock, texts: Callable[[K, V], tuple[str, ...]]) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._texts = texts
        self._held: OrderedDict[K, _CachedValue[V]] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self.held_bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: K) -> V | None:
        held = self._held.get(key)
        if held is None:
            return None
        self._held.move_to_end(key)
        return held.value

    def keep(self, key: K, value: V, until_s: float) -> None:
        """Until `until_s`, a point on the Clock; what is larger than there is room for is not kept."""
        self.forget(key)
        held = _CachedValue(value, until_s, ENTRY_BYTES + sum(map(sys.getsizeof, self._texts(key, value))))
        self._held[key] = held
        self.held_bytes += held.bytes
        while self.held_bytes > self._max_bytes:
            self.forget(next(iter(self._held)))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def forget(self, key: K) -> None:
        if (held := self._held.pop(key, None)) is not None:
            self.held_bytes -= held.bytes

    def _sweep(self) -> None:
        now_s = self._clock()
        # A new dict, for one that was large stays so.
        self._held = OrderedDict(each for each in self._held.items() if each[1].until_s > now_s)
        self.held_bytes = sum(held.bytes for held in self._held.values())
        self._timer = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep) if self._held else None
