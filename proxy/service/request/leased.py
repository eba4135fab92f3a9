"""Makes a variant or facts that no tier has, once for all nodes that share the last tier."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from proxy.core.cache.delivery import Variant
from proxy.core.cache.keys import CacheKey
from proxy.ports.tiers import Leases
from proxy.service.request.tier_chain import Receipt, TierChain


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

        The lease is released if `make` fails or no tier stores the result, otherwise completed, which gives
        the last tier time to store it. Raises the errors of `make`.
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
