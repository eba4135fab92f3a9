"""What stands in front of the fleet and keeps our answers, a CDN: told of each purge by its own API."""

from collections.abc import Sequence
from urllib.parse import quote

import aiohttp

from proxy.core.cache.generations import PurgeScope

TIMEOUT_S = 5.0


class PurgeHook:
    """Satisfies Hook. `url` is a template with {kind} (original, prefix, variant or plan) and {key}, percent-encoded:
    the original's, or what keys begin with. `header` is one line of a request's head, a secret; empty for none."""

    def __init__(self, url: str, *, method: str, header: str) -> None:
        self._url = url
        self._method = method
        name, _, value = header.partition(":")
        self._headers = {name.strip(): value.strip()} if name else {}

    async def call(self, scopes: Sequence[PurgeScope]) -> list[str]:
        urls = dict.fromkeys(map(self._url_for, scopes))
        # Nothing but the CDN is spoken to, whatever the environment says of proxies, or it of other places.
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
