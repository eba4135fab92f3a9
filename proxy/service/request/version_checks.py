"""Versions in URLs: an unknown version makes the node revalidate the original.

A version is for browsers and CDNs; it is in no cache key. An original is revalidated at most once a second for all
versions together, and a revalidation counts for every version that was requested before it began.
"""

import asyncio
import math
from collections.abc import Sequence
from contextlib import suppress

import structlog

from proxy.core.cache.delivery import VersionCheck
from proxy.core.cache.freshness import NEVER_FRESH, Freshness
from proxy.core.cache.generations import PurgeScope
from proxy.core.errors import CalotypeError
from proxy.core.image.original import OriginalRef
from proxy.local.tasks import Tasks, all_of
from proxy.ports.clock import Clock
from proxy.service.admin.purges import Purges
from proxy.service.request.originals import Originals
from proxy.service.request.ttl_cache import TtlCache

CHECK_TTL_S = 60.0
"""A checked version needs no other revalidation for this time."""
MIN_INTERVAL_S = 1.0
REVALIDATE_TIMEOUT_S = 5.0
WAIT_S = 1.0
"""A response waits this long for a revalidation that has begun."""
RETRY_AFTER_S = 5.0
"""A failed revalidation of an original is not repeated for this time after its start."""
MAX_CHECKED_BYTES = 8 * 2**20
MAX_REVALIDATED_BYTES = 4 * 2**20
NOT_CHECKED = VersionCheck(0.0)
_FAILED = 0.0, NEVER_FRESH


class _Revalidations:
    """The revalidations of one original: the running one, the next one, and the start and result of the last one."""

    def __init__(self) -> None:
        self.scheduled: asyncio.Task[float] | None = None
        self.running: asyncio.Task[float] | None = None
        self.began_s = -math.inf
        self.has_failed = False


class VersionChecks:
    """One instance per node, in the process that owns the tiers."""

    def __init__(
        self,
        originals: Originals,
        purges: Purges,
        clock: Clock,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._originals = originals
        self._purges = purges
        self._clock = clock
        self._log = log
        self._checked_until_s: TtlCache[tuple[OriginalRef, str], float] = TtlCache(
            MAX_CHECKED_BYTES, clock, lambda key, _: (key[0].key, key[1])
        )
        self._revalidations: TtlCache[OriginalRef, _Revalidations] = TtlCache(
            MAX_REVALIDATED_BYTES, clock, lambda ref, _: (ref.key,)
        )
        self._tasks = Tasks()

    async def check(self, refs: Sequence[OriginalRef], version: str, *, deadline: float) -> VersionCheck:
        """How long `version` counts as checked for all of `refs`, after revalidations if necessary; NOT_CHECKED if one
        failed or was too slow. Raises nothing."""
        checks = await all_of([self._check(ref, version, deadline) for ref in refs])
        until_s, freshness = zip(*checks, strict=True)
        return VersionCheck(min(until_s), freshness) if all(until_s) else NOT_CHECKED

    async def _check(self, ref: OriginalRef, version: str, deadline: float) -> tuple[float, Freshness]:
        until_s = self._checked_until_s.get((ref, version)) or 0.0
        if until_s <= self._clock():
            began_s = await self._revalidated_since(ref, deadline)
            if not began_s:
                return _FAILED
            until_s = began_s + CHECK_TTL_S
            self._checked_until_s.store((ref, version), until_s, until_s)
        try:
            identity = await self._originals.identify(ref, deadline=deadline)
        except CalotypeError:
            return _FAILED
        return until_s, self._originals.freshness(identity)

    async def close(self) -> None:
        """Cancels all revalidations."""
        await self._tasks.close()

    async def _revalidated_since(self, ref: OriginalRef, deadline: float) -> float:
        """Waits for a revalidation; returns its start, 0 if it failed or took too long."""
        now_s = self._clock()
        state = self._revalidations.get(ref)
        if state is None:
            state = _Revalidations()
            self._revalidations.store(ref, state, now_s + REVALIDATE_TIMEOUT_S + RETRY_AFTER_S)
        is_paused = state.has_failed and now_s < state.began_s + RETRY_AFTER_S
        is_slow = state.running is not None and now_s > state.began_s + WAIT_S
        if is_paused or is_slow:
            return 0.0
        if state.scheduled is None:
            state.scheduled = self._tasks.start(self._run(ref, state), f"revalidate {ref}")
        scheduled = state.scheduled
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await asyncio.wait({scheduled}, timeout=MIN_INTERVAL_S + WAIT_S)
        return scheduled.result() if scheduled.done() and not scheduled.cancelled() else 0.0

    async def _run(self, ref: OriginalRef, state: _Revalidations) -> float:
        """Revalidates MIN_INTERVAL_S after the last start. Requests that arrive after the start need the next run."""
        if state.running is not None:
            await asyncio.wait({state.running})
        if (pause_s := state.began_s + MIN_INTERVAL_S - self._clock()) > 0:
            await asyncio.sleep(pause_s)
        state.running, state.scheduled = state.scheduled, None
        state.began_s = self._clock()
        self._revalidations.store(ref, state, state.began_s + REVALIDATE_TIMEOUT_S + RETRY_AFTER_S)
        try:
            state.has_failed = not await self._revalidate(ref, state.began_s + REVALIDATE_TIMEOUT_S)
        finally:
            state.running = None
        return 0.0 if state.has_failed else state.began_s

    async def _revalidate(self, ref: OriginalRef, deadline: float) -> bool:
        """Revalidates, and purges an original that has changed. Returns whether both succeeded."""
        try:
            result = await self._originals.revalidate(ref, deadline=deadline)
            if result.has_changed:
                await self._purges.purge([PurgeScope.of_original(ref)])
                self._originals.store_tag(ref, result.tag)
        except CalotypeError:
            return False
        except Exception:
            self._log.exception("an original could not be revalidated")
            return False
        return True
