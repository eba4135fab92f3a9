"""The source of texts: a key describes a text, and fetching it draws it. A drawn text is stored as any original is."""

import math

from proxy.core.image.original import OriginalRef
from proxy.core.transform import texts
from proxy.ports.clock import Clock
from proxy.ports.originals import Fetched, OriginalStore, Version
from proxy.ports.rendering import TextRenderer

_VERSION = "1"
"""A text that is drawn otherwise, after an update of the program or of a font, is purged with everything else."""


class TextSource:
    """Satisfies Source."""

    freshness_lifetime_s = math.inf
    negative_ttl_s = 1.0
    serves_stale = False

    def __init__(
        self, renderer: TextRenderer, store: OriginalStore, clock: Clock, *, timeout_s: float
    ) -> None:
        self._renderer = renderer
        self._store = store
        self._clock = clock
        self._timeout_s = timeout_s

    async def identify(self, key: str, known: str | None) -> Version:
        return Version(key, _VERSION)

    async def tag(self, key: str) -> str:
        return ""

    async def fetch(self, key: str) -> Fetched:
        """Draws the text. Raises BadTransform for one that cannot be drawn."""
        incoming = self._store.receive(OriginalRef(texts.SOURCE, key))
        try:
            picture = await self._renderer.draw(texts.text_of(key), deadline=self._clock() + self._timeout_s)
            await incoming.begin()
            await incoming.write(picture)
            return Fetched(Version(key, _VERSION), await incoming.commit(_VERSION))
        finally:
            await incoming.discard()
