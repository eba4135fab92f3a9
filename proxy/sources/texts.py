"""The source of texts: a key describes a text, and fetching it draws it. A drawn text is stored as any original is."""

import asyncio
import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

from proxy.core.image.original import OriginalRef
from proxy.core.transform.layers import TEXTS, text_of
from proxy.ports.clock import Clock
from proxy.ports.originals import Fetched, OriginalStore, Version
from proxy.ports.rendering import TextRenderer

_DRAWING = "1"
"""Raised when texts are drawn otherwise."""


class TextSource:
    """Satisfies Source."""

    freshness_lifetime_s = math.inf
    negative_ttl_s = 1.0
    serves_stale = False

    def __init__(
        self,
        renderer: TextRenderer,
        store: OriginalStore,
        clock: Clock,
        *,
        folders: Sequence[str],
        timeout_s: float,
    ) -> None:
        """`folders` are those of the fonts."""
        self._renderer = renderer
        self._store = store
        self._clock = clock
        self._folders = folders
        self._timeout_s = timeout_s
        self._version = ""

    async def identify(self, key: str, known: str | None) -> Version:
        """The version is that of the fonts at the first text: with others, after a restart, texts are drawn anew."""
        if not self._version:
            self._version = await asyncio.to_thread(_version, self._folders)
        return Version(key, self._version)

    async def tag(self, key: str) -> str:
        return ""

    async def fetch(self, key: str) -> Fetched:
        """Draws the text. Raises BadTransform for one that cannot be drawn."""
        incoming = self._store.receive(OriginalRef(TEXTS, key))
        try:
            picture = await self._renderer.draw(text_of(key), deadline=self._clock() + self._timeout_s)
            await incoming.begin()
            await incoming.write(picture)
            version = await self.identify(key, None)
            return Fetched(version, await incoming.commit(version.text))
        finally:
            await incoming.discard()


def _version(folders: Sequence[str]) -> str:
    """A digest of the names and sizes of all files in `folders`: nodes with the same fonts have the same."""
    files = sorted(
        f"{path.relative_to(folder)} {path.stat().st_size}"
        for folder in folders
        for path in Path(folder).rglob("*")
        if path.is_file()
    )
    return hashlib.sha256("\n".join([_DRAWING, *files]).encode(errors="surrogateescape")).hexdigest()[:16]
