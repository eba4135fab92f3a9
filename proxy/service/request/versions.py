"""Versions that URLs name: one that was not met lately has the source asked whether its original is another by now.

A version tells browsers and CDNs apart and nothing here: it is in no cache key. However many are named, an original is
looked at once a second at most, and a look is good for every version that was asked before it began.
"""

import asyncio
import math
from contextlib import suppress

import structlog

from proxy.core.cache.delivery import VersionCheck
from proxy.core.cache.generations import PurgeScope
from proxy.core.errors import CalotypeError
from proxy.core.image.original import OriginalRef
from proxy.local.tasks import Tasks
from proxy.ports.clock import Clock
from proxy.service.admin.purges import Purges
from proxy.service.request.originals import Originals
from proxy.service.request.remembered import TtlCache

CHECKED_S = 60.0
PACE_S = 1.0
LOOK_S = 5.0
PATIENCE_S = 1.0
"""How long an answer waits for a look that has begun."""
RESTS_S = 5.0
"""How long a source that could not be asked about an original is not asked again."""
MAX_CHECKED_BYTES = 8 * 2**20
MAX_REVALIDATED_BYTES = 4 * 2**20
NOT_CHECKED = VersionCheck(0.0)


class _Looked:
    """The looks at one original: which is under way, which is to come, and from when on another may begin."""

    def __init__(self) -> None:
        self.coming: asyncio.Task[float] | None = None
        self.running: asyncio.Task[float] | None = None
        self.began_s = -math.inf
        self.has_failed = False


class VersionChecks:
    """One for the node, in the process that owns its tiers."""

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
        self._met: TtlCache[tuple[OriginalRef, str], float] = TtlCache(
            MAX_CHECKED_BYTES, clock, lambda of, _: (of[0].key, of[1])
        )
        self._looked: TtlCache[OriginalRef, _Looked] = TtlCache(
            MAX_REVALIDATED_BYTES, clock, lambda ref, _: (ref.key,)
        )
        self._tasks = Tasks()

    async def check(self, ref: OriginalRef, version: str, *, deadline: float) -> VersionCheck:
        """Until when `version` is met, after a look at the original where that is needed; not at all where the look has
        not been in time. Raises nothing."""
        until_s = self._met.get((ref, version)) or 0.0
        if until_s <= self._clock():
            began_s = await self._look(ref, deadline)
            if not began_s:
                return NOT_CHECKED
            until_s = began_s + CHECKED_S
            self._met.keep((ref, version), until_s, until_s)
        try:
            identity = await self._originals.identify(ref, deadline=deadline)
        except CalotypeError:
            return NOT_CHECKED
        return VersionCheck(until_s, self._originals.freshness(identity))

    async def close(self) -> None:
        """Ends what is under way."""
        await self._tasks.close()

    async def _look(self, ref: OriginalRef, deadline: float) -> float:
        """When a look began that knows all that was there when it was asked for; 0 if there was none in time."""
        now_s = self._clock()
        looked = self._looked.get(ref)
        if looked is None:
            looked = _Looked()
            self._looked.keep(ref, looked, now_s + LOOK_S + RESTS_S)
        rests = looked.has_failed and now_s < looked.began_s + RESTS_S
        hangs = looked.running is not None and now_s > looked.began_s + PATIENCE_S
        if rests or hangs:
            return 0.0
        if looked.coming is None:
            looked.coming = self._tasks.start(self._come(ref, looked), f"revalidate {ref}")
        coming = looked.coming
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await asyncio.wait({coming}, timeout=PACE_S + PATIENCE_S)
        return coming.result() if coming.done() and not coming.cancelled() else 0.0

    async def _come(self, ref: OriginalRef, looked: _Looked) -> float:
        """Looks once it may; then who comes needs another."""
        if looked.running is not None:
            await asyncio.wait({looked.running})
        if (early_s := looked.began_s + PACE_S - self._clock()) > 0:
            await asyncio.sleep(early_s)
        looked.running, looked.coming = looked.coming, None
        looked.began_s = self._clock()
        self._looked.keep(ref, looked, looked.began_s + LOOK_S + RESTS_S)
        try:
            looked.has_failed = not await self._is_known(ref, looked.began_s + LOOK_S)
        finally:
            looked.running = None
        return 0.0 if looked.has_failed else looked.began_s

    async def _is_known(self, ref: OriginalRef, deadline: float) -> bool:
        """Whether the original is the one that the fleet knows, if need be after a purge; False where that could not be
        found out."""
        try:
            found = await self._originals.revalidate(ref, deadline=deadline)
            if found.is_another:
                await self._purges.purge([PurgeScope.of_original(ref)])
                self._originals.note_tag(ref, found.tag)
        except CalotypeError:
            return False
        except Exception:
            self._log.exception("an original could not be looked at")
            return False
        return True
