"""The tiers in order: lookups ask the fastest first and promote what they find; slow tiers are written behind the answer.

Only the chain knows the order; a tier never calls another. It owns the writers behind the slow tiers.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from proxy.core.cache.delivery import Variant
from proxy.core.image.formats import Format
from proxy.local.tasks import Tasks
from proxy.ports.telemetry import Metrics
from proxy.ports.tiers import InstantTier, Tier

MAX_WAITING = 1024
MAX_WAITING_BYTES = 64 * 2**20


class Lookup(NamedTuple):
    """A variant and the tier that it was found in."""

    variant: Variant
    tier: str


class Receipt(NamedTuple):
    """Of storing a variant. `stored` says whether a tier took it; `written` whether the last tier has it in the end."""

    stored: bool
    written: asyncio.Future[bool]

    @property
    def is_pending(self) -> bool:
        """Whether the last tier is still to be written."""
        return not self.written.done()

    async def durable(self) -> bool:
        """Whether the last tier has it, once it was written or could not be."""
        return await asyncio.shield(self.written)


class _Queued(NamedTuple):
    variant: Variant
    written: asyncio.Future[bool]


class _WriteBehind:
    """A bounded queue in front of a slow tier, and as many writers as the tier takes. A lookup finds what is queued."""

    def __init__(self, tier: Tier, metrics: Metrics) -> None:
        self.tier = tier
        self._metrics = metrics
        self._queued: OrderedDict[str, _Queued] = OrderedDict()
        self._queued_bytes = 0
        self._keys: asyncio.Queue[str | None] = asyncio.Queue()
        self._is_closing = False
        tasks = Tasks()
        self._writers = [tasks.start(self._write(), f"write behind {tier.name}") for _ in range(tier.writers)]

    def peek(self, key: str) -> Variant | None:
        """What is queued."""
        queued = self._queued.get(key)
        return None if queued is None else queued.variant

    async def lookup(self, key: str, kind: Format | None) -> Variant | None:
        return self.peek(key) or await self.tier.lookup(key, kind)

    async def contains(self, key: str, kind: Format | None) -> bool:
        return key in self._queued or await self.tier.contains(key, kind)

    async def remove(self, key: str, kind: Format | None) -> bool | None:
        was_queued = self._dequeue(key, is_written=False)
        removed = await self.tier.remove(key, kind)
        return removed if removed is None else removed or was_queued

    def store(self, key: str, variant: Variant) -> asyncio.Future[bool] | None:
        """Queues the variant; returns the future that says whether it was written. None, counted, if the queue is full."""
        queued = self._queued.get(key)
        more_bytes = len(variant.body) - (len(queued.variant.body) if queued else 0)
        is_full = queued is None and (self._is_closing or len(self._queued) >= MAX_WAITING)
        if is_full or self._queued_bytes + more_bytes > MAX_WAITING_BYTES:
            self._metrics.tier_failed(self.tier.name, "dropped")
            return None
        written = queued.written if queued else asyncio.get_running_loop().create_future()
        self._queued[key] = _Queued(variant, written)
        self._queued_bytes += more_bytes
        if queued is None:
            self._keys.put_nowait(key)
        return written

    async def _write(self) -> None:
        while (key := await self._keys.get()) is not None:
            stored, is_written = None, False
            while (variant := self.peek(key)) is not None and stored is not variant:
                stored = variant
                try:
                    is_written = await self.tier.store(key, variant)
                    if key not in self._queued:
                        await self.tier.remove(key, variant.kind)  # It was removed while it was written.
                except Exception:
                    # Against the tier's contract, but a writer that ends would take the queue with it.
                    is_written = False
                    self._metrics.tier_failed(self.tier.name, "internal")
            self._dequeue(key, is_written=is_written)
            del variant, stored  # A writer that waits for the next key holds no variant.

    def _dequeue(self, key: str, *, is_written: bool) -> bool:
        queued = self._queued.pop(key, None)
        if queued is None:
            return False
        self._queued_bytes -= len(queued.variant.body)
        queued.written.set_result(is_written)
        return True

    async def close(self, deadline: float) -> None:
        """Writes what is queued until `deadline`; the rest is dropped and counted."""
        self._is_closing = True
        for _ in self._writers:
            self._keys.put_nowait(None)
        try:
            async with asyncio.timeout_at(deadline):
                await asyncio.gather(*self._writers)
        except TimeoutError:
            for key in list(self._queued):
                self._metrics.tier_failed(self.tier.name, "dropped")
                self._dequeue(key, is_written=False)
        await self.tier.close()


class TierChain:
    """The fast tier, then the slow ones in order. Built inside a running event loop."""

    def __init__(self, fast: InstantTier, slow: Sequence[Tier], metrics: Metrics) -> None:
        self._fast = fast
        self._slow = [_WriteBehind(tier, metrics) for tier in slow]

    @property
    def fast(self) -> str:
        """The name of the fast tier."""
        return self._fast.name

    def peek(self, key: str) -> Lookup | None:
        """From the fast tier, or from what is queued for a slow one: at once."""
        if (variant := self._fast.lookup(key)) is not None:
            return Lookup(variant, self._fast.name)
        for slow in self._slow:
            if (variant := slow.peek(key)) is not None:
                return Lookup(variant, slow.tier.name)
        return None

    async def lookup(self, key: str, kind: Format | None) -> Lookup | None:
        """From the first tier that has it; a find is promoted to every faster tier."""
        if (variant := self._fast.lookup(key)) is not None:
            return Lookup(variant, self._fast.name)
        for depth, slow in enumerate(self._slow):
            variant = await slow.lookup(key, kind)
            if variant is not None:
                self._fast.store(key, variant)
                for faster in self._slow[:depth]:
                    faster.store(key, variant)
                return Lookup(variant, slow.tier.name)
        return None

    async def contains(self, key: str, kind: Format | None) -> bool:
        """Whether the last tier has it, or it is queued for that."""
        return await self._slow[-1].contains(key, kind) if self._slow else self._fast.lookup(key) is not None

    def store(self, key: str, variant: Variant, *, into_memory: bool = True) -> Receipt:
        """Into the fast tier now, into the slow ones behind the answer. Without `into_memory` the fast tier is left out,
        if there is a slow one."""
        stored = (into_memory or not self._slow) and self._fast.store(key, variant)
        written = [slow.store(key, variant) for slow in self._slow]
        stored = stored or any(future is not None for future in written)
        last = written[-1] if written else None
        if last is None:
            last = asyncio.get_running_loop().create_future()
            last.set_result(stored and not written)
        return Receipt(stored, last)

    async def remove(self, key: str, kind: Format | None) -> tuple[list[str], bool]:
        """From every tier, also where it is being written; returns the names of those that had it, and whether none may
        have it still."""
        names, is_gone = [self._fast.name] if self._fast.remove(key) else [], True
        for slow in self._slow:
            removed = await slow.remove(key, kind)
            is_gone = is_gone and removed is not None
            if removed:
                names.append(slow.tier.name)
        return names, is_gone

    async def close(self, deadline: float) -> None:
        """Drains the writers until `deadline`, then closes the tiers."""
        await asyncio.gather(*(slow.close(deadline) for slow in self._slow))
