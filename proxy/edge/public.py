"""The public listener: an aiohttp request into core values, the service, and back through `respond`.

The raw request target is read here and nowhere below; of the headers only those named in `_answer` count.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from aiohttp import hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.core.delivery import Delivered, Delivery, Outcome, Visit
from proxy.core.dialects.native import OriginalAsked, Presets, VariantAsked, negotiates, parse
from proxy.core.dialects.target import cut
from proxy.core.errors import (
    BadUrl,
    CalotypeError,
    Internal,
    MethodNotAllowed,
    UnknownRoute,
    UnsupportedFormat,
)
from proxy.core.formats import SNIFF_BYTES, sniff
from proxy.core.freshness import Whole, byte_range, etag, matches
from proxy.core.keys import original_key
from proxy.core.memo import Memo
from proxy.core.mounts import Mount, admit, host_name, route
from proxy.core.negotiate import AcceptClass, accept_class
from proxy.core.transform import Auto, Smart, Transform
from proxy.core.wanted import Wanted
from proxy.edge import respond
from proxy.ports import Clock, Ledger, Original
from proxy.service.deliver import Deliver

_MEMO_URLS = 20_000
_MEMO_ACCEPTS = 1024
_CHUNK_BYTES = 256 * 1024
_SLOW_BODY_S = 30.0
_QUIET = {"/": "calotype\n", "/robots.txt": "User-agent: *\nDisallow:\n", "/favicon.ico": ""}


_METHODS = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})

Address = tuple[str, str, AcceptClass]
"""What of a request tells variants apart: host, where a mount has one, raw target, and Accept class."""


@dataclass(slots=True, eq=False)
class Page:
    """A URL of a variant, understood once for each Accept class; `headers` are those of `delivery`, its last, and
    made anew with the next."""

    wanted: Wanted
    terms: respond.Terms
    delivery: Delivery | None = None
    headers: CIMultiDict[str] = field(default_factory=CIMultiDict)


class Public:
    """The handler of the public listener. `mounts` is not empty."""

    def __init__(
        self,
        deliver: Deliver,
        *,
        mounts: Sequence[Mount],
        presets: Mapping[str, Transform],
        redirects: bool,
        url_max_bytes: int,
        request_timeout_s: float,
        clock: Clock,
        ledger: Ledger,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._deliver = deliver
        self._mounts = mounts
        self._hosts = frozenset(mount.host for mount in mounts) - {"*"}
        self._presets: Presets = presets
        self._redirects = redirects
        self._url_max_bytes = url_max_bytes
        self._request_timeout_s = request_timeout_s
        self._clock = clock
        self._ledger = ledger
        self._log = log
        self._pages: Memo[Address, Page] = Memo(_MEMO_URLS)
        self._accepts: Memo[str, AcceptClass] = Memo(_MEMO_ACCEPTS)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers every request; only a cancelled one raises."""
        began_s = self._clock()
        visit = Visit(request.method, request.raw_path)
        response: web.StreamResponse
        try:
            if visit.method not in _METHODS:
                raise MethodNotAllowed("only GET and HEAD are answered")
            headers = request.headers
            host = host_name(headers.get(hdrs.HOST, "")) if self._hosts else ""
            address = host, visit.target, self._accepted(_joined(headers, hdrs.ACCEPT))
            page = self._pages.get(address)
            conditional = hdrs.IF_NONE_MATCH in headers
            hit = None if page is None or conditional else self._deliver.recall(page.wanted)
            if page is not None and hit is not None:
                response = self._picture(request, visit, page, hit, began_s)
            else:
                response = await self._answer(request, visit, address, page, began_s)
        except CalotypeError as failure:
            visit.outcome, visit.error = respond.outcome_of(failure), failure.slug
            response = respond.problem(failure, negotiates=self._negotiates(request))
        except Exception:
            self._log.exception("internal error")
            visit.outcome, visit.error = Outcome.FAILED, Internal.slug
            response = respond.problem(Internal("an unexpected error was logged"))
        if visit.outcome is not None:
            visit.status, visit.bytes = response.status, response.content_length or 0
            visit.seconds = self._clock() - began_s
            self._ledger.enter(visit)
        return response

    async def _answer(
        self, request: web.BaseRequest, visit: Visit, address: Address, page: Page | None, began_s: float
    ) -> web.StreamResponse:
        """All that is no unconditional memory hit; `page` is None for a URL not met before."""
        host, target, accepted = address
        if (text := _QUIET.get(target)) is not None:
            return respond.quiet(text)
        if target == "/healthz":
            return respond.quiet('{"status":"ok"}\n', "application/json")
        if page is None:
            mount, asked = self._understood(request, host)
            if isinstance(asked, OriginalAsked):
                return await self._original(request, visit, mount, asked, began_s)
            page = self._page(mount, asked, accepted)
        none_match = _joined(request.headers, hdrs.IF_NONE_MATCH)
        delivered = await self._deliver.variant(
            page.wanted,
            deadline=began_s + self._request_timeout_s,
            # A pre-signed URL is good for GET alone.
            redirect=self._redirects and visit.method == hdrs.METH_GET,
            is_current=(lambda key: matches(none_match, etag(key))) if none_match else None,
        )
        # Kept only now: a URL without a picture is not worth remembering.
        self._pages.keep(address, page)
        if delivered.delivery.location:
            visit.delivered(delivered.delivery)
            return respond.elsewhere(delivered.delivery, page.terms)
        if none_match.strip() == "*":
            delivered = Delivered(delivered.delivery, None)
        return self._picture(request, visit, page, delivered, began_s)

    def _picture(
        self, request: web.BaseRequest, visit: Visit, page: Page, delivered: Delivered, began_s: float
    ) -> web.Response:
        delivery = delivered.delivery
        visit.delivered(delivery)
        if delivery is not page.delivery:
            page.delivery, page.headers = delivery, respond.picture_headers(delivery, page.terms)
        return respond.picture(
            delivery,
            delivered.variant,
            page.terms,
            page.headers,
            # HEAD has no parts (RFC 9110 14.2).
            range_header=request.headers.get(hdrs.RANGE) if visit.method == hdrs.METH_GET else None,
            if_range=request.headers.get(hdrs.IF_RANGE),
            total_s=self._clock() - began_s,
        )

    def _accepted(self, accept: str) -> AcceptClass:
        known = self._accepts.get(accept)
        if known is None:
            known = self._accepts.keep(accept, accept_class(accept))
        return known

    def _understood(self, request: web.BaseRequest, host: str) -> tuple[Mount, VariantAsked | OriginalAsked]:
        raw = request.raw_path
        if len(raw) > self._url_max_bytes:
            raise BadUrl(f"the URL is longer than {self._url_max_bytes} bytes")
        cut(raw)
        mount, below = route(self._mounts, host, raw)
        return mount, parse(below, self._presets)

    def _negotiates(self, request: web.BaseRequest) -> bool:
        """Whether an error depends on Accept too: asked of the URL alone, however wrong the rest of it is."""
        try:
            host = host_name(request.headers.get(hdrs.HOST, ""))
            _, below = route(self._mounts, host, request.raw_path)
        except CalotypeError:
            return False
        return negotiates(below, self._presets)

    def _page(self, mount: Mount, asked: VariantAsked, accepted: AcceptClass) -> Page:
        transform = admit(mount, asked, self._presets)
        terms = respond.terms(
            max_age_s=mount.max_age_s,
            negotiates=transform.format is Auto.AUTO,
            notice="gravity=face; used=auto" if transform.gravity is Smart.FACE else "",
        )
        return Page(Wanted(mount.ref(asked.key), transform, accepted), terms)

    async def _original(
        self, request: web.BaseRequest, visit: Visit, mount: Mount, asked: OriginalAsked, began_s: float
    ) -> web.StreamResponse:
        if mount.presets_only:
            raise UnknownRoute("this mount serves presets only")
        terms = respond.terms(max_age_s=mount.max_age_s, negotiates=False)
        async with self._deliver.latest(
            mount.ref(asked.key), deadline=began_s + self._request_timeout_s
        ) as original:
            kind = sniff(await asyncio.to_thread(os.pread, original.fileno(), SNIFF_BYTES, 0))
            if kind is None:
                raise UnsupportedFormat("the original is not a JPEG, PNG, WebP, GIF, AVIF or HEIC picture")
            visit.outcome, visit.tier, visit.format = Outcome.HIT, "source", kind
            visit.key = original_key(original.identity)
            tag = etag(visit.key)
            headers = respond.original_headers(kind, tag, terms)
            none_match = _joined(request.headers, hdrs.IF_NONE_MATCH)
            if none_match.strip() == "*" or matches(none_match, tag):
                del headers[hdrs.CONTENT_TYPE]
                return web.Response(status=304, headers=headers)
            part: range | Whole | None = Whole.WHOLE
            wanted = request.headers.get(hdrs.RANGE)
            if wanted is not None and request.method == hdrs.METH_GET:
                part = byte_range(wanted, request.headers.get(hdrs.IF_RANGE), tag, original.size_bytes)
            if part is None:
                return respond.unsatisfiable(original.size_bytes, terms)
            if part is Whole.WHOLE:
                response = web.StreamResponse(headers=headers)
                part = range(original.size_bytes)
            else:
                headers[hdrs.CONTENT_RANGE] = respond.content_range(part, original.size_bytes)
                response = web.StreamResponse(status=206, headers=headers)
            response.content_length = len(part)
            try:
                await response.prepare(request)
                if request.method == hdrs.METH_GET:
                    await _send(response, original, part)
            except (OSError, TimeoutError):
                # The head is out: an error can only be shown by breaking off.
                visit.outcome, visit.error = Outcome.FAILED, "broken-off"
                if request.transport is not None:
                    request.transport.abort()
            return response


def _joined(headers: CIMultiDictProxy[str], name: str) -> str:
    """All lines of a list-valued header as one (RFC 9110 5.3)."""
    lines = headers.getall(name, ())
    return lines[0] if len(lines) == 1 else ", ".join(lines)


async def _send(response: web.StreamResponse, original: Original, part: range) -> None:
    """The bytes of `part`; raises OSError or TimeoutError where the file has become shorter, the connection is
    gone, or the reader stalls."""
    at = part.start
    while at < part.stop:
        wanted = min(_CHUNK_BYTES, part.stop - at)
        chunk = await asyncio.to_thread(os.pread, original.fileno(), wanted, at)
        if not chunk or not original.unchanged():
            raise ConnectionResetError("the original was written into while it was sent")
        async with asyncio.timeout(_SLOW_BODY_S):
            await response.write(chunk)
        at += len(chunk)
