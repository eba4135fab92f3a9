"""Passes a request on to the upstream of its mount, and the answer to the client."""

import re
from types import MappingProxyType
from typing import NoReturn

from aiohttp import hdrs, web
from multidict import CIMultiDict

from proxy.core.access_record import AccessRecord
from proxy.core.cache.delivery import Outcome
from proxy.core.errors import CalotypeError
from proxy.core.url.mounts import Mount
from proxy.edge.headers import PUBLIC_HEADERS, cache_status, joined
from proxy.edge.public.original import break_off
from proxy.ports.upstream import UpstreamAnswer, UpstreamServer

TIER = "upstream"
_REQUEST_HEADERS = (
    *(hdrs.ACCEPT, hdrs.RANGE, hdrs.IF_RANGE, hdrs.IF_MATCH, hdrs.IF_NONE_MATCH),
    *(hdrs.IF_MODIFIED_SINCE, hdrs.IF_UNMODIFIED_SINCE, hdrs.ORIGIN, hdrs.REFERER, "CDN-Loop"),
)
"""Those that the node reads itself. `Host` is that of the upstream."""
_RESPONSE_HEADERS = (
    *(hdrs.CONTENT_TYPE, hdrs.CONTENT_LENGTH, hdrs.CONTENT_ENCODING, hdrs.CONTENT_RANGE),
    *(hdrs.CONTENT_DISPOSITION, hdrs.ACCEPT_RANGES, hdrs.ETAG, hdrs.LAST_MODIFIED, hdrs.CACHE_CONTROL),
    *(hdrs.EXPIRES, hdrs.AGE, hdrs.VARY, hdrs.LOCATION, hdrs.RETRY_AFTER, "X-Cld-Error", "Cf-Resized"),
)
"""Those of the representation and of caching, and the vendors' reasons for an error."""
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_NO_BODY = frozenset({204, 304})
_PDF = "application/pdf"
_HEADERS_OF_PDF = MappingProxyType(
    {name: value for name, value in PUBLIC_HEADERS.items() if name != "Content-Security-Policy"}
)
"""Browsers show no PDF in a sandbox."""


class PassedOn(Exception):
    """The upstream of `mount` answers the request; `reason` is for the log."""

    def __init__(self, mount: Mount, reason: str) -> None:
        super().__init__()
        self.mount, self.reason = mount, reason

    @classmethod
    def to(cls, mount: Mount, reason: str) -> NoReturn:
        raise cls(mount, reason)


async def pass_on(
    request: web.BaseRequest,
    record: AccessRecord,
    server: UpstreamServer,
    mount: Mount,
    target: str,
    *,
    deadline: float,
) -> web.StreamResponse:
    """The answer of the upstream of `mount` to a raw target, streamed. Raises BadUrl and the errors of `server`."""
    upstream = mount.upstream
    assert upstream is not None
    sent = {name: joined(request.headers, name) for name in _REQUEST_HEADERS if name in request.headers}
    sent = {name: value for name, value in sent.items() if _VALUE.fullmatch(value)}
    async with server.request(
        request.method,
        upstream.url_of(mount.below(target)),
        sent,
        allow_private=upstream.allow_private,
        deadline=deadline,
    ) as answer:
        record.outcome, record.tier = Outcome.BYPASS, TIER
        response = web.StreamResponse(status=answer.status, headers=_headers_of(answer))
        try:
            await response.prepare(request)
            if request.method == hdrs.METH_GET and answer.status not in _NO_BODY:
                async for chunk in answer.body:
                    await response.write(chunk)
                    record.bytes += len(chunk)
        except (CalotypeError, OSError):
            break_off(request, record)
        return response


def _headers_of(answer: UpstreamAnswer) -> CIMultiDict[str]:
    passed = {name: joined(answer.headers, name) for name in _RESPONSE_HEADERS if name in answer.headers}
    is_pdf = passed.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower() == _PDF
    headers = CIMultiDict(_HEADERS_OF_PDF if is_pdf else PUBLIC_HEADERS)
    headers.update({name: value for name, value in passed.items() if _VALUE.fullmatch(value)})
    if answer.status in _NO_BODY:
        headers.pop(hdrs.CONTENT_LENGTH, None)
    headers["Cache-Status"] = cache_status(Outcome.BYPASS, TIER)
    return headers
