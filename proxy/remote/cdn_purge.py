"""Calls the purge API of a CDN in front of the nodes for each purge."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote

import aiohttp
from aiohttp import hdrs

from proxy.core.cache.generations import PurgeScope
from proxy.core.cache.tags import TaggedMount, purge_tags

TIMEOUT_S = 5.0
TAG = "{tag}"


class _Call(NamedTuple):
    """`header` is one request header line; empty for none. `body` is JSON; empty for none."""

    url: str
    header: str
    body: str

    def replace(self, mark: str, value: str) -> "_Call":
        return _Call(*(part.replace(mark, value) for part in self))


class PurgeHook:
    """Satisfies CdnPurge. `url`, `header` (one request header line, a secret) and `body` (JSON) are templates: {kind} is
    original, prefix, variant or plan, {key} the key of the original or the prefix, percent-encoded. With {tag} there is a
    call for each cache tag of the purge, of the mounts that `tagged` returns."""

    def __init__(
        self,
        url: str,
        *,
        method: str,
        header: str,
        body: str = "",
        tagged: Callable[[], Iterable[TaggedMount]] = tuple,
    ) -> None:
        self._template = _Call(url, header, body)
        self._method = method
        self._tagged = tagged

    async def call(self, scopes: Sequence[PurgeScope]) -> list[str]:
        calls = dict.fromkeys(each for scope in scopes for each in self._calls_for(scope))
        # Proxies of the environment and redirects are ignored.
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), trust_env=False
        ) as session:
            for url, header, body in calls:
                name, _, value = header.partition(":")
                headers = {name.strip(): value.strip()} if name else {}
                if body:
                    headers.setdefault(hdrs.CONTENT_TYPE, "application/json")
                try:
                    async with session.request(
                        self._method, url, headers=headers, data=body.encode() or None, allow_redirects=False
                    ) as answer:
                        if answer.status >= 300:
                            return [f"purge.hook: it answered {answer.status}"]
                except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
                    return ["purge.hook: it cannot be reached"]
        return []

    def _calls_for(self, scope: PurgeScope) -> Iterator[_Call]:
        call = self._template.replace("{kind}", scope.kind).replace("{key}", quote(scope.key, safe="/"))
        if any(TAG in part for part in self._template):
            for tag in purge_tags(scope, self._tagged()):
                yield call.replace(TAG, tag)
        else:
            yield call
