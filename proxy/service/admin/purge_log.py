"""The purges of this node, in order: each is written to disk, then in the table of generations, then at a position of
the log. A purge that could not be written is applied too, and reported as not complete.

The miss path makes new cache keys from the table. Processes acknowledge a position of this log (`purge_subscribers`);
other nodes acknowledge a position of the log that they share (`fleet/purge_log`).
"""

import asyncio
from collections.abc import Callable, Sequence

from proxy.core.cache.generations import Generations, Purge, PurgeScope
from proxy.core.errors import PurgeIncomplete
from proxy.ports.clock import WallClock
from proxy.ports.operations import PurgeJournal


class PurgeLog:
    """`position` is the number of purges since the start of this process. `salt` makes tokens of this node differ from
    those of other nodes."""

    def __init__(
        self, generations: Generations, journal: PurgeJournal, wall: WallClock, salt: Callable[[], str]
    ) -> None:
        self.generations = generations
        self.position = 0
        self._journal = journal
        self._wall = wall
        self._salt = salt
        self._durable_position = 0
        self._write_error = ""
        self._lock = asyncio.Lock()

    def purges_of(self, scopes: Sequence[PurgeScope]) -> list[Purge]:
        """New purges of `scopes` with one token, in every Unicode normal form of their keys."""
        token = self.generations.next_token(int(self._wall() * 1e9), self._salt())
        return [Purge(each, token) for scope in scopes for each in scope.normal_forms()]

    async def append(self, purges: Sequence[Purge]) -> int:
        """Writes the purges to the journal, after those that could not be written before, then applies them. Returns
        the position after them. If the journal cannot be written, `unwritten` has the reason."""
        async with self._lock:
            unwritten = self.generations.last_applied(self.position - self._durable_position)
            unwritten += purges
            try:
                if unwritten:
                    await asyncio.to_thread(self._journal.append, unwritten)
                self._durable_position = self.position + len(purges)
            except OSError as fault:
                self._write_error = str(fault.strerror)
            for purge in purges:
                self.generations.apply(purge)
            self.position += len(purges)
            return self.position

    def scopes_after(self, position: int) -> list[PurgeScope]:
        """The scopes of the purges after `position`, without those that others cover."""
        return [purge.scope for purge in self.generations.last_applied(self.position - position)]

    @property
    def unwritten(self) -> list[str]:
        """One message if purges are not on disk."""
        if self._durable_position == self.position:
            return []
        return [f"this node: the purge could not be written ({self._write_error}); a restart loses it"]

    async def record_intent(self, scopes: Sequence[PurgeScope]) -> None:
        """Writes purges to the journal before an overwrite, so that a restart applies them if the overwrite is
        interrupted. Raises PurgeIncomplete if that fails; the overwrite must then not begin."""
        try:
            await asyncio.to_thread(self._journal.append, self.purges_of(scopes))
        except OSError as fault:
            raise PurgeIncomplete(
                f"the purge could not be written, so nothing was changed: {fault.strerror}"
            ) from None
