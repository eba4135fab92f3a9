"""The processes that answer requests, and the position of the purge log that each has acknowledged.

A process acknowledges a position when it has dropped all records that the purges before it cover. It begins with
everything, so that it is current after its first acknowledgement, also if it has missed purges.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from proxy.core.cache.generations import PurgeScope
from proxy.core.cache.keys import CacheKey
from proxy.ports.operations import NotAcknowledged, PurgeSubscriber
from proxy.service.admin.purge_log import PurgeLog

ACKNOWLEDGE_TIMEOUT_S = 3.0
"""The time for a process to acknowledge a purge; a purge also waits this long for a process that is being replaced."""
_NONE = -1


@dataclass(eq=False, slots=True)
class _Process:
    """A process and the position that it has acknowledged; `_NONE` before the first acknowledgement, and after the
    subscription has ended."""

    subscriber: PurgeSubscriber
    acknowledged: int = _NONE


class PurgeSubscribers:
    """Satisfies PurgeSubscriptions. `processes` is the number of processes that must acknowledge. Purges wait for
    none until the first one subscribes. `are_running`: this back replaces a dead one, so purges wait for all from the
    start."""

    def __init__(self, log: PurgeLog, *, processes: int, are_running: bool = False) -> None:
        self._log = log
        self._expected = processes
        self._are_running = are_running
        self._processes: dict[str, _Process | None] = {}
        """The processes by name; None for a process that has retired."""
        self._confirmed_position = _NONE
        self._changed = asyncio.Condition()

    async def subscribe(self, name: str, subscriber: PurgeSubscriber) -> None:
        process = self._processes[name] = _Process(subscriber)
        try:
            with suppress(TimeoutError, NotAcknowledged):
                while await self._wait_for_purges(name, process):
                    position, last = self._log.position, process.acknowledged
                    async with asyncio.timeout(ACKNOWLEDGE_TIMEOUT_S):
                        await subscriber.invalidate(
                            None if last == _NONE else self._log.scopes_after(last), []
                        )
                    process.acknowledged = position
        finally:
            process.acknowledged = _NONE

    async def _wait_for_purges(self, name: str, process: _Process) -> bool:
        """Waits until the log has purges for `process`; False if the process was replaced or has retired."""
        async with self._changed:
            self._changed.notify_all()
            await self._changed.wait_for(
                lambda: self._processes[name] is not process or process.acknowledged < self._log.position
            )
        return self._processes[name] is process

    async def retire(self, name: str) -> None:
        async with self._changed:
            self._processes[name] = None
            self._changed.notify_all()

    async def confirmed(self, position: int) -> list[str]:
        """Waits until all processes have acknowledged `position`, also those that subscribe meanwhile; returns one
        message if some have not within `ACKNOWLEDGE_TIMEOUT_S`."""
        if position <= self._confirmed_position:
            return []  # All have confirmed it. A process that started since begins with everything, so it is current.
        with suppress(TimeoutError):
            async with asyncio.timeout(ACKNOWLEDGE_TIMEOUT_S), self._changed:
                self._changed.notify_all()
                await self._changed.wait_for(lambda: not self._missing(position))
        if not (missing := self._missing(position)):
            self._confirmed_position = max(self._confirmed_position, position)
            return []
        expected = max(self._expected, len(self._processes)) - list(self._processes.values()).count(None)
        return [f"this node: {missing} of its {expected} processes did not confirm"]

    def _missing(self, position: int) -> int:
        """The number of processes that have not acknowledged `position`."""
        if not self._processes and not self._are_running:
            return 0
        running = [process for process in self._processes.values() if process is not None]
        unsubscribed = max(0, self._expected - len(self._processes))
        return unsubscribed + sum(process.acknowledged < position for process in running)

    async def remove(self, keys: Sequence[CacheKey]) -> int:
        """Removes variants from the memory tiers of all processes; returns how many these had. This only frees memory:
        a process that does not answer evicts the variants later."""
        return await self._invalidate([], keys)

    async def drop_records(self, scopes: Sequence[PurgeScope]) -> None:
        """Drops what the processes know of the originals that `scopes` cover, so that the next request asks for it. A
        process that does not answer does so when its records expire."""
        await self._invalidate(scopes, [])

    async def _invalidate(self, scopes: Sequence[PurgeScope], keys: Sequence[CacheKey]) -> int:
        removed = 0
        for process in list(self._processes.values()):
            if process is not None and process.acknowledged != _NONE:
                with suppress(TimeoutError, NotAcknowledged):
                    async with asyncio.timeout(ACKNOWLEDGE_TIMEOUT_S):
                        removed += await process.subscriber.invalidate(scopes, keys)
        return removed
