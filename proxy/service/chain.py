"""The tiers in order: who is asked first, what is promoted, what is written behind the answer.

Only the chain knows the order; a tier never calls another. It owns the writers behind the slow tiers.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from proxy.core.delivery import Variant
from proxy.ports import InstantTier, Metrics, Tier

MAX_WAITING = 256
MAX_WAITING_BYTES = 64 * 2**20


class Found(NamedTuple):
    """A variant and the name of the tier it was found in."""

    variant: Variant
    tier: str


class _WriteBehind:
    """A bounded queue and one writer in front of a slow tier. What waits in it is already found there."""

    def __init__(self, tier: Tier, metrics: Metrics) -> None:
        self.tier = tier
        self._metrics = metrics
        self._waiting: OrderedDict[str, Variant] = OrderedDict()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._closing = False
        self._writer = asyncio.create_task(self._write(), name=f"write behind {tier.name}")

    async def lookup(self, key: str) -> Variant | None:
        return self._waiting.get(key) or await self.tier.lookup(key)

    def store(self, key: str, variant: Variant) -> bool:
        if key in self._waiting:
            return True
        full = self._waiting_bytes + len(variant.body) > MAX_WAITING_BYTES
        if self._closing or len(self._waiting) >= MAX_WAITING or full:
            self._metrics.tier_failed(self.tier.name, "dropped")
            return False
        self._waiting[key] = variant
        self._waiting_bytes += len(variant.body)
        self._wake.set()
        return True

    async def _write(self) -> None:
        while self._waiting or not self._closing:
            if self._waiting:
                await self._write_first()
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _write_first(self) -> None:
        key, variant = next(iter(self._waiting.items()))
        await self.tier.store(key, variant)
        del self._waiting[key]
        self._waiting_bytes -= len(variant.body)

    async def close(self, deadline: float) -> None:
        """Writes what waits until `deadline`; the rest is dropped and counted."""
        self._closing = True
        self._wake.set()
        try:
            async with asyncio.timeout_at(deadline):
                await self._writer
        except TimeoutError:
            for _ in self._waiting:
                self._metrics.tier_failed(self.tier.name, "dropped")
        await self.tier.close()


class Chain:
    """The fast tier, then the slow ones in order. Built inside a running event loop."""

    def __init__(self, fast: InstantTier, slow: Sequence[Tier], metrics: Metrics) -> None:
        self._fast = fast
        self._slow = [_WriteBehind(tier, metrics) for tier in slow]

    @property
    def fast(self) -> str:
        """The name of the tier that `recall` asks."""
        return self._fast.name

    def recall(self, key: str) -> Variant | None:
        """From the fast tier alone, at once."""
        return self._fast.lookup(key)

    async def lookup(self, key: str) -> Found | None:
        """From the first tier that has it; a find is promoted to every faster tier."""
        if (recalled := self.recall(key)) is not None:
            return Found(recalled, self.fast)
        for depth, behind in enumerate(self._slow):
            variant = await behind.lookup(key)
            if variant is not None:
                self._fast.store(key, variant)
                for faster in self._slow[:depth]:
                    faster.store(key, variant)
                return Found(variant, behind.tier.name)
        return None

    def store(self, key: str, variant: Variant) -> bool:
        """Into the fast tier now, into the slow ones behind the answer; False if no tier took it."""
        return any([self._fast.store(key, variant), *(behind.store(key, variant) for behind in self._slow)])

    async def close(self, deadline: float) -> None:
        """Drains the writers until `deadline`, then closes the tiers."""
        await asyncio.gather(*(behind.close(deadline) for behind in self._slow))
