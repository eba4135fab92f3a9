"""The tiers in order: who is asked first, what is promoted, what is written behind the answer, whose turn it is to make.

Only the chain knows the order; a tier never calls another. It owns the writers behind the slow tiers.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from proxy.core.cache.delivery import Variant
from proxy.core.image.formats import Format
from proxy.ports.rendering import Haste
from proxy.ports.telemetry import Metrics
from proxy.ports.tiers import InstantTier, Leases, Tier

MAX_WAITING = 1024
MAX_WAITING_BYTES = 64 * 2**20


class Lookup(NamedTuple):
    """A variant and the tier it was found in, empty where it was made; `stored` says that a tier took what was made."""

    variant: Variant
    tier: str
    stored: bool = False


class _WriteBehind:
    """A bounded queue in front of a slow tier, and as many writers as it takes. What waits in it is already found
    there."""

    def __init__(self, tier: Tier, metrics: Metrics) -> None:
        self.tier = tier
        self._metrics = metrics
        self._kept: OrderedDict[str, Variant] = OrderedDict()
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue()
        self._settling: dict[str, asyncio.Future[bool]] = {}
        self._kept_bytes = 0
        self._closing = False
        self._writers = [
            asyncio.create_task(self._write(), name=f"write behind {tier.name}") for _ in range(tier.writers)
        ]

    def __contains__(self, key: str) -> bool:
        return key in self._kept

    async def lookup(self, key: str, kind: Format | None) -> Variant | None:
        return self._kept.get(key) or await self.tier.lookup(key, kind)

    async def contains(self, key: str, kind: Format | None) -> bool:
        return key in self._kept or await self.tier.contains(key, kind)

    async def remove(self, key: str, kind: Format | None) -> bool | None:
        waited = self._take_back(key)
        removed = await self.tier.remove(key, kind)
        return removed if removed is None else removed or waited

    def store(self, key: str, variant: Variant) -> bool:
        waiting = self._kept.get(key)
        more_bytes = len(variant.body) - (len(waiting.body) if waiting else 0)
        is_full = waiting is None and (self._closing or len(self._kept) >= MAX_WAITING)
        if is_full or self._kept_bytes + more_bytes > MAX_WAITING_BYTES:
            self._metrics.tier_failed(self.tier.name, "dropped")
            return False
        # Who waits already is written as it is then.
        self._kept[key] = variant
        self._kept_bytes += more_bytes
        if waiting is None:
            self._waiting.put_nowait(key)
        return True

    async def _write(self) -> None:
        while (key := await self._waiting.get()) is not None:
            written, is_kept = None, False
            while (variant := self._kept.get(key)) is not None and written is not variant:
                written = variant
                try:
                    is_kept = await self.tier.store(key, variant)
                    if key not in self._kept:
                        await self.tier.remove(key, variant.kind)  # It was taken back meanwhile.
                except Exception:
                    # Against its contract; but a writer that ends would take the queue with it.
                    is_kept = False
                    self._metrics.tier_failed(self.tier.name, "internal")
            self._take_back(key, is_kept=is_kept)
            del variant, written  # Nobody but the tiers holds one, while nothing is written.

    def peek(self, key: str) -> Variant | None:
        """What waits to be written."""
        return self._kept.get(key)

    async def is_durable(self, key: str, kind: Format | None) -> bool:
        """Whether the tier has it, once it does not wait any more."""
        if key not in self._kept:
            return await self.tier.contains(key, kind)
        if key not in self._settling:
            self._settling[key] = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._settling[key])

    def _take_back(self, key: str, *, is_kept: bool = False) -> bool:
        if (settling := self._settling.pop(key, None)) is not None:
            settling.set_result(is_kept)
        variant = self._kept.pop(key, None)
        self._kept_bytes -= len(variant.body) if variant is not None else 0
        return variant is not None

    async def close(self, deadline: float) -> None:
        """Writes what waits until `deadline`; the rest is dropped and counted."""
        self._closing = True
        for _ in self._writers:
            self._waiting.put_nowait(None)
        try:
            async with asyncio.timeout_at(deadline):
                await asyncio.gather(*self._writers)
        except TimeoutError:
            for _ in self._kept:
                self._metrics.tier_failed(self.tier.name, "dropped")
        await self.tier.close()


class TierChain:
    """The fast tier, then the slow ones in order. `turns` are taken for what is missing in the last of them, which
    other nodes share. Built inside a running event loop."""

    def __init__(
        self, fast: InstantTier, slow: Sequence[Tier], metrics: Metrics, turns: Leases | None = None
    ) -> None:
        self._fast = fast
        self._slow = [_WriteBehind(tier, metrics) for tier in slow]
        self._turns = turns

    @property
    def fast(self) -> str:
        """The name of the tier that `recall` asks."""
        return self._fast.name

    def peek(self, key: str) -> Variant | None:
        """From the fast tier alone, at once."""
        return self._fast.lookup(key)

    async def lookup(self, key: str, kind: Format | None) -> Lookup | None:
        """From the first tier that has it; a find is promoted to every faster tier."""
        if (recalled := self.peek(key)) is not None:
            return Lookup(recalled, self.fast)
        for depth, behind in enumerate(self._slow):
            variant = await behind.lookup(key, kind)
            if variant is not None:
                self._fast.store(key, variant)
                for faster in self._slow[:depth]:
                    faster.store(key, variant)
                return Lookup(variant, behind.tier.name)
        return None

    async def contains(self, key: str, kind: Format | None) -> bool:
        """Whether the last tier has it, or is about to."""
        return await self._slow[-1].contains(key, kind) if self._slow else self.peek(key) is not None

    def peek_queued(self, key: str) -> Lookup | None:
        """From the fast tier, or from what is about to be stored behind an answer: at once."""
        if (recalled := self.peek(key)) is not None:
            return Lookup(recalled, self.fast)
        for behind in self._slow:
            if (waiting := behind.peek(key)) is not None:
                return Lookup(waiting, behind.tier.name)
        return None

    async def is_durable(self, key: str, kind: Format | None) -> bool:
        """Whether the last tier has it, once nobody is about to store it."""
        has_it = self.peek(key) is not None
        for behind in self._slow:
            has_it = await behind.is_durable(key, kind)
        return has_it

    def store(self, key: str, variant: Variant) -> bool:
        """Into the fast tier now, into the slow ones behind the answer; False if no tier took it."""
        return any([self._fast.store(key, variant), self._store_behind(key, variant)])

    def _store_behind(self, key: str, variant: Variant) -> bool:
        return any([behind.store(key, variant) for behind in self._slow])

    async def remove(self, key: str, kind: Format | None) -> tuple[list[str], bool]:
        """From every tier; returns the names of those that had it, and whether none may have it still."""
        names, is_gone = [self._fast.name] if self._fast.remove(key) else [], True
        for behind in self._slow:
            removed = await behind.remove(key, kind)
            is_gone = is_gone and removed is not None
            if removed:
                names.append(behind.tier.name)
        return names, is_gone

    async def lookup_or_make(
        self,
        key: str,
        kind: Format | None,
        make: Callable[[], Awaitable[Variant]],
        *,
        deadline: float,
    ) -> Lookup:
        """From the first tier that has it, else as `make` does."""
        return await self.lookup(key, kind) or await self.make(key, kind, make, deadline=deadline)

    async def make(
        self,
        key: str,
        kind: Format | None,
        make: Callable[[], Awaitable[Variant]],
        *,
        deadline: float,
        priority: Haste | None = None,
    ) -> Lookup:
        """Made and stored, here or by another node that shares the last tier: no tier had it a moment ago. What is made
        while nobody waits for it takes no room in the fast tier.

        Raises what `make` raises.
        """

        def store(variant: Variant) -> bool:
            is_behind = priority is not None and priority.is_background and bool(self._slow)
            return self._store_behind(key, variant) if is_behind else self.store(key, variant)

        if self._turns is None:
            variant = await make()
            return Lookup(variant, "", store(variant))
        ours = await self._turns.acquire(key, deadline=deadline)
        if not ours and (found := await self.lookup(key, kind)):
            return found
        try:
            variant = await make()
        except BaseException:
            await self._turns.release(key)
            raise
        stored = store(variant)
        if key in self._slow[-1]:
            self._turns.complete(key)
        else:
            await self._turns.release(key)
        return Lookup(variant, "", stored)

    async def close(self, deadline: float) -> None:
        """Drains the writers until `deadline`, then closes the tiers."""
        await asyncio.gather(*(behind.close(deadline) for behind in self._slow))
