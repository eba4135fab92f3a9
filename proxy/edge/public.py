"""The public listener: an aiohttp request into core values, the service, and back through `respond`.

The raw request target is read here and nowhere below; of the headers only those named in `_answer` count.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog
from aiohttp import hdrs, web
from cachetools import LRUCache

from proxy.core.delivery import Outcome
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
from proxy.core.keys import OriginalRef, original_key
from proxy.core.mounts import Mount, admit, host_name, route
from proxy.core.negotiate import AcceptClass, accept_class
from proxy.core.transform import Auto, Smart, Transform
from proxy.edge import respond
from proxy.ports import Clock, Metrics, Original
from proxy.service.deliver import Deliver, Wanted
from proxy.service.originals import Originals

_MEMO_URLS = 100_000
_MEMO_ACCEPTS = 1024
_CHUNK_BYTES = 256 * 1024
_SLOW_BODY_S = 30.0
_QUIET = {"/": "calotype\n", "/robots.txt": "User-agent: *\nDisallow:\n", "/favicon.ico": ""}


class Page(NamedTuple):
    """A URL of a variant, understood once for each Accept class."""

    wanted: Wanted
    terms: respond.Terms


@dataclass(slots=True)
class Visit:
    """What the log and the metrics will say of one request."""

    target: str
    outcome: Outcome | None = None
    tier: str = ""
    key: str = ""
    format: str = ""
    error: str = field(default="", kw_only=True)


class Public:
    """The handler of the public listener. `mounts` is not empty."""

    def __init__(
        self,
        deliver: Deliver,
        originals: Originals,
        *,
        mounts: Sequence[Mount],
        presets: Mapping[str, Transform],
        url_max_bytes: int,
        request_timeout_s: float,
        clock: Clock,
        metrics: Metrics,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._deliver = deliver
        self._originals = originals
        self._mounts = mounts
        self._hosts = frozenset(mount.host for mount in mounts) - {"*"}
        self._presets: Presets = presets
        self._url_max_bytes = url_max_bytes
        self._request_timeout_s = request_timeout_s
        self._clock = clock
        self._metrics = metrics
        self._log = log
        self._pages: LRUCache[tuple[str, str, AcceptClass], Page] = LRUCache(_MEMO_URLS)
        self._accepts: LRUCache[str, AcceptClass] = LRUCache(_MEMO_ACCEPTS)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers every request; only a cancelled one raises."""
        began_s = self._clock()
        visit = Visit(request.raw_path)
        try:
            response = await self._answer(request, visit, began_s)
        except CalotypeError as failure:
            visit.outcome, visit.error = respond.outcome_of(failure), failure.slug
            response = respond.problem(failure, negotiates=self._negotiates(request))
        except Exception:
            self._log.exception("internal error")
            visit.outcome, visit.error = Outcome.FAILED, Internal.slug
            response = respond.problem(Internal("an unexpected error was logged"))
        if visit.outcome is not None:
            self._record(request.method, visit, response, self._clock() - began_s)
        return response

    async def _answer(self, request: web.BaseRequest, visit: Visit, began_s: float) -> web.StreamResponse:
        if request.method not in (hdrs.METH_GET, hdrs.METH_HEAD):
            raise MethodNotAllowed("only GET and HEAD are answered")
        headers = request.headers
        host = host_name(headers.get(hdrs.HOST, "")) if self._hosts else ""
        accepted = self._accepted(headers.get(hdrs.ACCEPT, ""))
        page = self._pages.get((host, visit.target, accepted))
        if page is None:
            if (text := _QUIET.get(visit.target)) is not None:
                return respond.quiet(text)
            if visit.target == "/healthz":
                return respond.quiet('{"status":"ok"}\n', "application/json")
            mount, asked = self._understood(request, host)
            if isinstance(asked, OriginalAsked):
                return await self._original(request, visit, mount, asked, began_s)
            page = self._page(mount, asked, accepted)
            self._pages[host, visit.target, accepted] = page
        none_match = headers.get(hdrs.IF_NONE_MATCH)
        delivery = await self._deliver.variant(
            page.wanted,
            deadline=began_s + self._request_timeout_s,
            is_current=None if none_match is None else lambda key: matches(none_match, etag(key)),
        )
        visit.outcome, visit.tier = delivery.outcome, delivery.tier
        visit.key, visit.format = delivery.key, delivery.format
        conditions = respond.Conditions(headers.get(hdrs.RANGE), headers.get(hdrs.IF_RANGE))
        return respond.picture(delivery, page.terms, conditions, self._clock() - began_s)

    def _accepted(self, accept: str) -> AcceptClass:
        known = self._accepts.get(accept)
        if known is None:
            known = self._accepts[accept] = accept_class(accept)
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
        terms = respond.Terms(
            max_age_s=mount.max_age_s,
            negotiates=transform.format is Auto.AUTO,
            notice="gravity=face; used=auto" if transform.gravity is Smart.FACE else "",
        )
        return Page(Wanted(OriginalRef(mount.source, asked.key), transform, accepted), terms)

    async def _original(
        self, request: web.BaseRequest, visit: Visit, mount: Mount, asked: OriginalAsked, began_s: float
    ) -> web.StreamResponse:
        if mount.presets_only:
            raise UnknownRoute("this mount serves presets only")
        terms = respond.Terms(max_age_s=mount.max_age_s, negotiates=False)
        ref = OriginalRef(mount.source, asked.key)
        async with self._originals.latest(ref, deadline=began_s + self._request_timeout_s) as original:
            kind = sniff(await asyncio.to_thread(os.pread, original.fileno(), SNIFF_BYTES, 0))
            if kind is None:
                raise UnsupportedFormat("the original is not a JPEG, PNG, WebP, GIF, AVIF or HEIC picture")
            visit.outcome, visit.tier, visit.format = Outcome.HIT, "source", kind
            visit.key = original_key(original.identity)
            tag = etag(visit.key)
            headers = respond.original_headers(kind, tag, terms)
            none_match = request.headers.get(hdrs.IF_NONE_MATCH)
            if none_match is not None and matches(none_match, tag):
                del headers[hdrs.CONTENT_TYPE]
                return web.Response(status=304, headers=headers)
            part: range | Whole | None = Whole.WHOLE
            if (wanted := request.headers.get(hdrs.RANGE)) is not None:
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
            await response.prepare(request)
            if request.method == hdrs.METH_GET:
                await _send(response, original, part)
            return response

    def _record(self, method: str, visit: Visit, response: web.StreamResponse, seconds: float) -> None:
        assert visit.outcome is not None
        self._metrics.answered(visit.outcome, visit.tier, response.status, seconds)
        self._log.info(
            "request",
            method=method,
            target=visit.target,
            status=response.status,
            outcome=visit.outcome,
            tier=visit.tier,
            key=visit.key[:16],
            format=visit.format,
            error=visit.error,
            bytes=response.content_length or 0,
            ms=round(seconds * 1000, 2),
        )


async def _send(response: web.StreamResponse, original: Original, part: range) -> None:
    """The bytes of `part`; the connection is cut where the file has become shorter, or the reader stalls."""
    at = part.start
    while at < part.stop:
        wanted = min(_CHUNK_BYTES, part.stop - at)
        chunk = await asyncio.to_thread(os.pread, original.fileno(), wanted, at)
        if not chunk:
            raise ConnectionResetError("the original was cut while it was sent")
        async with asyncio.timeout(_SLOW_BODY_S):
            await response.write(chunk)
        at += len(chunk)
