"""The public listener: an aiohttp request into core values, the service, and back through `respond`.

The raw request target is read here and nowhere below; of the headers only those named in `_answer` count.
"""

import math
from dataclasses import dataclass, field, replace

import structlog
from aiohttp import hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.core.cache.delivery import Delivered, Delivery, Outcome, Visit
from proxy.core.cache.http_caching import etag, is_refused, matches
from proxy.core.cache.variant_request import Wanted
from proxy.core.errors import (
    BadUrl,
    CalotypeError,
    Internal,
    MethodNotAllowed,
    NotAllowed,
    SourceNotAllowed,
    UrlTooLong,
)
from proxy.core.image.formats import Format
from proxy.core.image.metadata import key_of, only
from proxy.core.memo import Memo
from proxy.core.transform.negotiate import AcceptClass, accept_class
from proxy.core.transform.operations import Auto
from proxy.core.url.diagnostics import notices
from proxy.core.url.dialects.native import Asked, InfoAsked, OriginalAsked, VariantAsked, negotiates
from proxy.core.url.mounts import Mount, Rules, admit, admit_original, host_name, proven, route
from proxy.core.url.notice import notice_list
from proxy.core.url.signing import ANY, Scope, Signed, is_scoped
from proxy.core.url.target import checked_host, cut, in_origin_form
from proxy.edge import responses
from proxy.edge.headers import joined, list_of, range_of, session_of
from proxy.edge.public.original import stream
from proxy.edge.public.server import sender
from proxy.ports.clock import Clock, WallClock
from proxy.ports.telemetry import Ledger
from proxy.service.request.deliver import Deliver

_MEMO_URLS = 20_000
_MEMO_ACCEPTS = 1024
_QUIET = {"/": "calotype\n", "/robots.txt": "User-agent: *\nDisallow:\n", "/favicon.ico": ""}


_METHODS = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})

Address = tuple[str, str, AcceptClass]
"""What of a request tells variants apart: host, where a mount has one, raw target, and Accept class."""


@dataclass(slots=True, eq=False)
class Page:
    """A URL of a variant, understood once for each Accept class; `headers` are those of `delivery`, its last, and
    made anew with the next. `scope` is checked with every request, if it is any."""

    mount: str
    wanted: Wanted
    terms: responses.Terms
    scope: Scope
    fields: tuple[str, ...] = ()
    delivery: Delivery | None = None
    headers: CIMultiDict[str] = field(default_factory=CIMultiDict)


class Public:
    """The handler of the public listener. `mounts` is not empty."""

    def __init__(
        self,
        deliver: Deliver,
        *,
        rules: Rules,
        redirects: bool,
        request_timeout_s: float,
        me: str,
        clock: Clock,
        wall: WallClock,
        ledger: Ledger,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._deliver = deliver
        self._redirects = redirects
        self._request_timeout_s = request_timeout_s
        self._me = me
        self._clock = clock
        self._wall = wall
        self._ledger = ledger
        self._log = log
        self._accepts: Memo[str, AcceptClass] = Memo(_MEMO_ACCEPTS)
        self._is_stopping = False
        self.adopt(rules)

    def stop(self) -> None:
        """From now on every answer is the last on its connection."""
        self._is_stopping = True

    def adopt(self, rules: Rules) -> None:
        """From now on these rules count; a request under way keeps to those it began with."""
        self._rules = rules
        self._hosts = frozenset(mount.host for mount in rules.mounts) - {"*"}
        self._pages: Memo[Address, Page] = Memo(_MEMO_URLS)
        self._ledger.expect([mount.name for mount in rules.mounts], responses.STATUSES)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers every request; only a cancelled one raises."""
        began_s = self._clock()
        visit = Visit(request.method, request.raw_path)
        visit.client, visit.request_id = sender(request)
        response: web.StreamResponse
        headers = request.headers
        named = headers.get(hdrs.HOST, "")
        host, is_clear = self._of_mounts(named), False
        try:
            if visit.method not in _METHODS:
                raise MethodNotAllowed("only GET, HEAD and OPTIONS are answered")
            if request.body_exists:
                raise BadUrl("GET, HEAD and OPTIONS are answered without a body only")
            checked_host(named)
            if visit.target[0] != "/" and (visit.target != "*" or visit.method != hdrs.METH_OPTIONS):
                named, visit.target = in_origin_form(visit.target)
                host = self._of_mounts(named)
            is_clear = True
            if len(visit.target) > self._rules.url_max_bytes:
                raise UrlTooLong(f"the URL is longer than {self._rules.url_max_bytes} bytes")
            if visit.method == hdrs.METH_OPTIONS:
                return self._last(responses.options(headers))
            address = host, visit.target, self._accepted(joined(headers, hdrs.ACCEPT))
            pages = self._pages
            page = pages.get(address)
            if page is not None:
                visit.mount = page.mount
                if page.scope is not ANY:
                    self._enforce(page.scope, headers)
            conditional = hdrs.IF_NONE_MATCH in headers or hdrs.IF_MATCH in headers
            hit = None if page is None or conditional else self._deliver.recall(page.wanted)
            if page is not None and hit is not None:
                response = self._picture(request, visit, page, hit, began_s)
            else:
                response = await self._answer(request, visit, pages, address, page, began_s)
        except CalotypeError as failure:
            visit.outcome, visit.error = responses.outcome_of(failure), failure.slug
            visit.detail = failure.detail
            if isinstance(failure, NotAllowed):
                visit.settings = failure.settings
            response = responses.problem(
                failure, negotiates=self._negotiates(host, visit.target), lasting=not is_scoped(visit.target)
            )
            if not is_clear:
                response.force_close()  # What comes behind it is nobody's request.
        except Exception:
            self._log.exception("internal error")
            visit.outcome, visit.error = Outcome.FAILED, Internal.slug
            response = responses.problem(Internal("an unexpected error was logged"))
        if visit.outcome is not None:
            visit.status = response.status
            if visit.method != hdrs.METH_HEAD:
                visit.bytes = response.content_length or 0
            visit.seconds = self._clock() - began_s
            self._ledger.enter(visit)
        return self._last(response)

    def refused(self, failure: CalotypeError, target: str) -> web.Response:
        """The answer to what is no request, of which no more than the target is known, or not even that."""
        return responses.problem(failure, negotiates=self._negotiates("*", target))

    def _last(self, response: web.StreamResponse) -> web.StreamResponse:
        """`response`, the last on its connection while the node stops."""
        if self._is_stopping:
            response.force_close()
        return response

    async def _answer(
        self,
        request: web.BaseRequest,
        visit: Visit,
        pages: Memo[Address, Page],
        address: Address,
        page: Page | None,
        began_s: float,
    ) -> web.StreamResponse:
        """All that is no unconditional memory hit; `page` is None for a URL not met before."""
        host, target, accepted = address
        if (text := _QUIET.get(target)) is not None:
            return responses.quiet(text)
        if target == "/healthz":
            return responses.quiet('{"status":"ok"}\n', "application/json")
        if self._me in joined(request.headers, "CDN-Loop"):
            raise SourceNotAllowed("the originals of this node lead back to itself")
        if page is None:
            mount = self._routed(visit, host, target)
            asked, signed = self._understood(mount, target, request.headers)
            if isinstance(asked, OriginalAsked):
                return await self._original(request, visit, mount, asked, signed, began_s)
            page = self._page(mount, asked, accepted, signed)
        fields = page.fields
        none_match, if_match = (
            joined(request.headers, hdrs.IF_NONE_MATCH),
            list_of(request.headers, hdrs.IF_MATCH),
        )

        def is_settled(key: str) -> bool:
            tag = etag(key_of(key, fields))
            # When a variant was last modified is not known.
            return is_refused(if_match, None, tag, None) or matches(none_match, tag)

        redirect_until_s = self._redirect_until_s(page)
        # Where the answer may lie elsewhere, conditions wait: they are none on a redirect (RFC 9110 13.2.1).
        is_conditional = bool(none_match or if_match is not None) and not redirect_until_s
        delivered = await self._deliver.variant(
            page.wanted,
            deadline=began_s + self._request_timeout_s,
            redirect_until_s=redirect_until_s,
            is_current=is_settled if is_conditional else None,
        )
        # Kept only now: a URL without a picture is not worth remembering. And not where other rules count by now.
        pages.keep(address, page)
        if delivered.delivery.location:
            visit.delivered(delivered.delivery)
            return responses.elsewhere(delivered.delivery, self._terms(page))
        tag = etag(key_of(delivered.delivery.key, fields))
        if is_refused(if_match, None, tag, None):
            visit.delivered(delivered.delivery)
            status = responses.cache_status(delivered.delivery.outcome, delivered.delivery.tier)
            return responses.refused_condition(self._terms(page), status)
        if none_match.strip() == "*" or matches(none_match, tag):
            delivered = Delivered(delivered.delivery, None)
        return self._picture(request, visit, page, delivered, began_s)

    def _picture(
        self, request: web.BaseRequest, visit: Visit, page: Page, delivered: Delivered, began_s: float
    ) -> web.Response:
        delivery, variant = delivered
        visit.delivered(delivery)
        if page.fields:
            delivery = replace(delivery, key=key_of(delivery.key, page.fields))
            variant = variant and replace(variant, body=only(variant.body, page.fields))
        terms = page.terms if page.scope is ANY else self._terms(page)
        if delivery.provisional:
            terms = terms.within(responses.PROVISIONAL_CACHE_S)
            headers = responses.picture_headers(delivery, terms)
        elif delivery is page.delivery:
            headers = page.headers
        else:
            page.delivery, page.headers = delivery, responses.picture_headers(delivery, terms)
            headers = page.headers
        return responses.picture(
            delivery,
            variant,
            terms,
            headers,
            range_header=range_of(request),
            if_range=request.headers.get(hdrs.IF_RANGE),
            total_s=self._clock() - began_s,
        )

    def _of_mounts(self, named: str) -> str:
        """One of the mounts' own hosts, or `*`: a client must not make up names to be remembered."""
        if not self._hosts:
            return "*"
        host = host_name(named)
        return host if host in self._hosts else "*"

    def _accepted(self, accept: str) -> AcceptClass:
        known = self._accepts.get(accept)
        if known is None:
            known = self._accepts.keep(accept, accept_class(accept))
        return known

    def _enforce(self, scope: Scope, headers: CIMultiDictProxy[str]) -> None:
        """Raises SignatureExpired or BadSignature for a request outside of what its URL was signed for."""
        scope.check(
            self._wall(),
            origin=headers.get(hdrs.ORIGIN),
            referer=headers.get(hdrs.REFERER),
            session=session_of(headers, self._rules.session) if scope.session is not None else None,
        )

    def _terms(self, page: Page) -> responses.Terms:
        """As they are now: no answer outlives its signature."""
        terms = self._within(page.terms, page.scope)
        if terms is not page.terms:
            page.terms, page.delivery = terms, None
        return terms

    def _within(self, terms: responses.Terms, scope: Scope) -> responses.Terms:
        if scope.until_s is None:
            return terms
        return terms.within(max(0, int(scope.until_s - self._wall())))

    def _redirect_until_s(self, page: Page) -> float:
        """Until when, on the Clock, a client may be sent elsewhere, where nothing is known of signatures; 0 is not at
        all. In whole seconds, so that those who ask for the same ask alike."""
        scope = page.scope
        told = page.wanted.transform.format is Format.INFO
        if not self._redirects or scope.of_the_client or told:
            return 0
        if scope.until_s is None:
            return math.inf
        return math.floor(self._clock() + scope.until_s - self._wall())

    def _routed(self, visit: Visit, host: str, raw: str) -> Mount:
        cut(raw)
        mount = route(self._rules.mounts, host, raw)
        visit.mount = mount.name
        return mount

    def _understood(
        self, mount: Mount, raw: str, headers: CIMultiDictProxy[str]
    ) -> tuple[Asked, Signed | None]:
        """What is asked of the mount, and what of the URL is signed."""
        signed = proven(mount, raw)
        if signed is None:
            return mount.asked(raw, self._rules.presets), None
        self._enforce(signed.scope, headers)
        return mount.asked(signed.target, self._rules.presets), signed

    def _negotiates(self, host: str, raw: str) -> bool:
        """Whether an error depends on Accept too: asked of the URL alone, however wrong the rest of it is."""
        try:
            if not raw.startswith("/"):
                named, raw = in_origin_form(raw)
                host = self._of_mounts(named)
            mount = route(self._rules.mounts, host, raw)
        except CalotypeError:
            return False
        return negotiates(mount.below(raw), self._rules.presets)

    def _page(
        self, mount: Mount, asked: VariantAsked | InfoAsked, accepted: AcceptClass, signed: Signed | None
    ) -> Page:
        presets = self._rules.presets
        if isinstance(asked, InfoAsked):
            admit_original(mount)
            transform, fields, told = asked.transform(presets), asked.fields, []
        else:
            transform, fields = admit(mount, asked, presets, signed=signed is not None), ()
            told = notices(asked, transform, self._rules.max_side_px)
        scope = ANY if signed is None else signed.scope
        terms = responses.terms(
            max_age_s=mount.max_age_s,
            negotiates=transform.format is Auto.AUTO,
            scope=None if signed is None else scope,
            notice=notice_list(told),
        )
        wanted = Wanted(mount.ref(asked.key), transform, accepted, self._rules.max_side_px)
        return Page(mount.name, wanted, terms, scope, fields)

    async def _original(
        self,
        request: web.BaseRequest,
        visit: Visit,
        mount: Mount,
        asked: OriginalAsked,
        signed: Signed | None,
        began_s: float,
    ) -> web.StreamResponse:
        admit_original(mount)
        scope = ANY if signed is None else signed.scope
        terms = responses.terms(
            max_age_s=mount.max_age_s, negotiates=False, scope=None if signed is None else scope
        )
        async with self._deliver.latest(
            mount.ref(asked.key), deadline=began_s + self._request_timeout_s
        ) as original:
            return await stream(request, visit, original, self._within(terms, scope), now_s=self._wall())
