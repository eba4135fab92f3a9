"""The tiers in order: a lookup begins with the fastest and promotes hits; slow tiers are written in the background.
Around them the leases, so that one of the nodes that share the last tier makes an entry.

Only the chain knows the order; a tier never calls another one. The chain owns the write queues of the slow tiers.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from proxy.core.cache.delivery import Variant
from proxy.core.cache.keys import CacheKey
from proxy.local.tasks import Tasks
from proxy.ports.telemetry import Metrics
from proxy.ports.tiers import InstantTier, Leases, Tier

MAX_QUEUED = 1024
MAX_QUEUED_BYTES = 64 * 2**20


class Lookup(NamedTuple):
    """A hit: a variant and its tier."""

    variant: Variant
    tier: str


class Receipt(NamedTuple):
    """The result of storing a variant: `stored` is whether a tier has accepted it, `written` whether the last tier has
    written it."""

    stored: bool
    written: asyncio.Future[bool]

    @property
    def is_pending(self) -> bool:
        """Whether the write to the last tier is not done."""
        return not self.written.done()

    async def durable(self) -> bool:
        """Waits for the write to the last tier; returns whether it succeeded."""
        return await asyncio.shield(self.written)


class _Queued(NamedTuple):
    variant: Variant
    written: asyncio.Future[bool]


class _QueuedTier:
    """A slow tier with a bounded write queue and `tier.writers` writers. Lookups include queued variants."""

    def __init__(self, tier: Tier, metrics: Metrics) -> None:
        self.tier = tier
        self._metrics = metrics
        self._queued: OrderedDict[CacheKey, _Queued] = OrderedDict()
        self._queued_bytes = 0
        self._keys: asyncio.Queue[CacheKey | None] = asyncio.Queue()
        self._is_closing = False
        tasks = Tasks()
        self._writers = [tasks.start(self._write(), f"writer of {tier.name}") for _ in range(tier.writers)]

    def peek(self, key: CacheKey) -> Variant | None:
        """The queued variant."""
        queued = self._queued.get(key)
        return None if queued is None else queued.variant

    async def lookup(self, key: CacheKey) -> Variant | None:
        return self.peek(key) or await self.tier.lookup(key)

    async def contains(self, key: CacheKey) -> bool:
        return key in self._queued or await self.tier.contains(key)

    async def remove(self, key: CacheKey) -> bool | None:
        was_queued = self._dequeue(key, is_written=False)
        removed = await self.tier.remove(key)
        return removed if removed is None else removed or was_queued

    def store(self, key: CacheKey, variant: Variant) -> asyncio.Future[bool] | None:
        """Queues the variant; the future is whether it was written. If the queue is full, counts that and returns None."""
        queued = self._queued.get(key)
        more_bytes = len(variant.body) - (len(queued.variant.body) if queued else 0)
        is_full = queued is None and (self._is_closing or len(self._queued) >= MAX_QUEUED)
        if is_full or self._queued_bytes + more_bytes > MAX_QUEUED_BYTES:
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
                        await self.tier.remove(key)  # `remove` was called during the write.
                except Exception:
                    # Violates the tier's contract; but if the writer ended, the queue would never be written.
                    is_written = False
                    self._metrics.tier_failed(self.tier.name, "internal")
            self._dequeue(key, is_written=is_written)
            del variant, stored  # Frees the memory while the writer waits for the next key.

    def _dequeue(self, key: CacheKey, *, is_written: bool) -> bool:
        queued = self._queued.pop(key, None)
        if queued is None:
            return False
        self._queued_bytes -= len(queued.variant.body)
        queued.written.set_result(is_written)
        return True

    async def close(self, deadline: float) -> None:
        """Writes the queue until `deadline`; drops and counts the rest."""
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
        self._slow = [_QueuedTier(tier, metrics) for tier in slow]

    @property
    def fast(self) -> str:
        """The name of the fast tier."""
        return self._fast.name

    def peek(self, key: CacheKey) -> Lookup | None:
        """A hit in the fast tier or in a write queue, without waiting."""
        if (variant := self._fast.lookup(key)) is not None:
            return Lookup(variant, self._fast.name)
        for slow in self._slow:
            if (variant := slow.peek(key)) is not None:
                return Lookup(variant, slow.tier.name)
        return None

    async def lookup(self, key: CacheKey) -> Lookup | None:
        """A hit in the first tier that has the variant; promotes it to all faster tiers."""
        if (variant := self._fast.lookup(key)) is not None:
            return Lookup(variant, self._fast.name)
        for depth, slow in enumerate(self._slow):
            variant = await slow.lookup(key)
            if variant is not None:
                self._fast.store(key, variant)
                for faster in self._slow[:depth]:
                    faster.store(key, variant)
                return Lookup(variant, slow.tier.name)
        return None

    async def contains(self, key: CacheKey) -> bool:
        """Whether the last tier or its write queue has the variant."""
        return await self._slow[-1].contains(key) if self._slow else self._fast.lookup(key) is not None

    def store(self, key: CacheKey, variant: Variant, *, into_memory: bool = True) -> Receipt:
        """Stores the variant in the fast tier now and in the slow ones in the background. Without `into_memory` only in
        the slow ones, if there are any."""
        stored = (into_memory or not self._slow) and self._fast.store(key, variant)
        written = [slow.store(key, variant) for slow in self._slow]
        stored = stored or any(future is not None for future in written)
        last = written[-1] if written else None
        if last is None:
            last = asyncio.get_running_loop().create_future()
            last.set_result(stored and not written)
        return Receipt(stored, last)

    async def remove(self, key: CacheKey) -> tuple[list[str], bool]:
        """Removes the variant from all tiers, also during a write; returns the names of the tiers that had it, and
        whether none has it any more."""
        names, is_removed = [self._fast.name] if self._fast.remove(key) else [], True
        for slow in self._slow:
            removed = await slow.remove(key)
            is_removed = is_removed and removed is not None
            if removed:
                names.append(slow.tier.name)
        return names, is_removed

    async def close(self, deadline: float) -> None:
        """Writes the queues until `deadline`, then closes the tiers."""
        await asyncio.gather(*(slow.close(deadline) for slow in self._slow))


class Made(NamedTuple):
    """A variant that was made and stored, or a hit, with its `tier` and without a receipt."""

    variant: Variant
    tier: str = ""
    receipt: Receipt | None = None


class Leased:
    """`leases` is None if no other node shares the last tier: this node then makes everything."""

    def __init__(self, chain: TierChain, leases: Leases | None = None) -> None:
        self._chain = chain
        self._leases = leases

    async def make(
        self,
        key: CacheKey,
        make: Callable[[], Awaitable[Variant]],
        *,
        deadline: float,
        into_memory: bool = True,
    ) -> Made:
        """Makes the variant under a lease and stores it, or looks it up if another node has stored it meanwhile.

        The lease is released if `make` fails or the last tier will not store the result, otherwise completed, which
        gives the last tier time to store it. Raises the errors of `make`.
        """
        if self._leases is None:
            return self._store(key, await make(), into_memory=into_memory)
        is_ours = await self._leases.acquire(key.digest, deadline=deadline)
        if not is_ours and (hit := await self._chain.lookup(key)):
            return Made(*hit)
        try:
            made = self._store(key, await make(), into_memory=into_memory)
        except BaseException:
            await self._leases.release(key.digest)
            raise
        if made.receipt is not None and made.receipt.is_pending:
            self._leases.complete(key.digest)
        else:
            await self._leases.release(key.digest)
        return made

    def _store(self, key: CacheKey, variant: Variant, *, into_memory: bool) -> Made:
        return Made(variant, "", self._chain.store(key, variant, into_memory=into_memory))
