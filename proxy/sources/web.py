"""Originals on web servers. A key is an absolute URL of an allowed host, or a path below the base URL of the source.

The version of an original is the digest of its bytes and, if the server sends a usable one, its validator: entity
tag, else Last-Modified (RFC 9110, section 8.8).
"""

from collections.abc import AsyncIterator

from proxy.core.errors import MethodNotAllowed, OriginalNotFound, SourceNotAllowed
from proxy.core.image.formats import Format
from proxy.core.image.original import Identity, OriginalRef
from proxy.ports.originals import Original, OriginalStore
from proxy.remote.web import Validator, WebClient
from proxy.sources.receiving import NEGATIVE_TTL_S, receiving


class WebSource:
    """Satisfies Source. `ttl_s` is the freshness lifetime of an identity. The caller closes `web`."""

    negative_ttl_s = NEGATIVE_TTL_S
    serves_stale = True

    def __init__(
        self, name: str, web: WebClient, store: OriginalStore, *, max_bytes: int, ttl_s: float
    ) -> None:
        self.freshness_lifetime_s = ttl_s
        self._name = name
        self._web = web
        self._store = store
        self.max_bytes = max_bytes

    async def identify(self, key: str, known: Identity | None = None, generation: str = "") -> Identity:
        """Revalidates the original. A new version is fetched into the store at once, because it will be needed."""
        identity, original = await self._get(key, known, generation)
        if original is not None:
            original.close()
        return identity

    async def fetch(self, key: str, generation: str = "") -> Original:
        _, original = await self._get(key, None, generation)
        assert original is not None
        return original

    async def tag(self, key: str) -> str:
        return ""

    async def _get(
        self, key: str, known: Identity | None, generation: str
    ) -> tuple[Identity, Original | None]:
        ref = OriginalRef(self._name, key)
        async with receiving(self._store, ref, self.max_bytes) as incoming:
            last = Validator.read(known.version) if known is not None else None
            validator = await self._web.get(key, incoming, known=last, max_bytes=self.max_bytes)
            if validator is None:
                assert known is not None
                return known, None
            identity = Identity(ref, str(validator.with_digest(incoming.digest())), generation)
            return identity, await incoming.commit(identity)

    async def store(
        self, key: str, content: Original, *, kind: Format, generation: str, overwrite: bool = False
    ) -> None:
        raise MethodNotAllowed("the source of this mount is a web server, which accepts no uploads")

    async def exists(self, key: str) -> bool:
        try:
            await self.identify(key)
        except OriginalNotFound:
            return False
        return True

    async def delete(self, key: str) -> None:
        """Does nothing: nothing is ever stored here."""

    async def keys(self, prefix: str) -> AsyncIterator[list[str]]:
        raise SourceNotAllowed("a web server cannot be listed: give keys")
        yield []

    def close(self) -> None:
        """Does nothing: the caller closes `web`."""
