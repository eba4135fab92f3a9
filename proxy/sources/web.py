"""Originals on web servers. A key is an absolute URL of an allowed host, or a path below the base URL of the source.

The version of an original is the digest of its bytes and, if the server sends a usable one, its validator: entity
tag, else Last-Modified (RFC 9110, section 8.8).
"""

from collections.abc import AsyncIterator

from proxy.core.errors import MethodNotAllowed, OriginalNotFound, SourceNotAllowed
from proxy.core.image.formats import Format
from proxy.core.image.original import OriginalRef
from proxy.ports.originals import Fetched, OriginalFile, OriginalStore, Version
from proxy.remote.web import Validator, WebClient
from proxy.sources.receiving import NEGATIVE_TTL_S, receiving


class WebSource:
    """Satisfies Source. `ttl_s` is the freshness lifetime of a version. The caller closes `web`."""

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

    async def identify(self, key: str, known: str | None = None) -> Version:
        """Revalidates the original. A new version is fetched into the store at once, because it will be needed."""
        version, file = await self._get(key, known)
        if file is not None:
            file.close()
        return version

    async def fetch(self, key: str) -> Fetched:
        version, file = await self._get(key, None)
        assert file is not None
        return Fetched(version, file)

    async def tag(self, key: str) -> str:
        return ""

    async def _get(self, key: str, known: str | None) -> tuple[Version, OriginalFile | None]:
        async with receiving(self._store, OriginalRef(self._name, key), self.max_bytes) as incoming:
            last = Validator.read(known) if known is not None else None
            validator = await self._web.get(key, incoming, known=last, max_bytes=self.max_bytes)
            if validator is None:
                assert known is not None
                return Version(key, known), None
            version = str(validator.with_digest(incoming.digest()))
            return Version(key, version), await incoming.commit(version)

    async def store(self, key: str, content: OriginalFile, *, kind: Format, overwrite: bool = False) -> None:
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
