"""Calls the purge API of a CDN in front of the nodes for each purge."""

from collections.abc import Sequence
from urllib.parse import quote

import aiohttp

from proxy.core.cache.generations import PurgeScope

TIMEOUT_S = 5.0


class PurgeHook:
    """Satisfies CdnPurge. `url` is a template with {kind} (original, prefix, variant or plan) and {key}, the key of
    the original or the prefix, percent-encoded. `header` is one request header line, a secret; empty for none."""

    def __init__(self, url: str, *, method: str, header: str) -> None:
        self._url = url
        self._method = method
        name, _, value = header.partition(":")
        self._headers = {name.strip(): value.strip()} if name else {}

    async def call(self, scopes: Sequence[PurgeScope]) -> list[str]:
        urls = dict.fromkeys(map(self._url_for, scopes))
        # Proxies of the environment and redirects are ignored.
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), trust_env=False
        ) as session:
            for url in urls:
                try:
                    async with session.request(
                        self._method, url, headers=self._headers, allow_redirects=False
                    ) as answer:
                        if answer.status >= 300:
                            return [f"purge.hook: it answered {answer.status}"]
                except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
                    return ["purge.hook: it cannot be reached"]
        return []

    def _url_for(self, scope: PurgeScope) -> str:
        return self._url.replace("{kind}", scope.kind).replace("{key}", quote(scope.key, safe="/"))
