"""The handler of the public listener: from an aiohttp request through the service to a response.

Only this file reads the raw request target. Only the headers named here count. Longer than other files because a
request is one path from target to response.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from http import HTTPStatus

import structlog
from aiohttp import hdrs, web
from multidict import CIMultiDictProxy

from proxy.core.access_record import AccessRecord
from proxy.core.cache.delivery import Delivered, Outcome
from proxy.core.cache.http_caching import etag, matches, precondition_fails
from proxy.core.cache.keys import CacheKey
from proxy.core.errors import (
    BadUrl,
    CalotypeError,
    Internal,
    MethodNotAllowed,
    NotAllowed,
    RequestLoop,
    UnsupportedFormat,
    UrlTooLong,
)
from proxy.core.image.formats import Format
from proxy.core.image.metadata import info_key
from proxy.core.memo import Memo
from proxy.core.transform.negotiate import AcceptClass, accept_class
from proxy.core.url.interpret import Interpreted, Verified, interpret, verify_signature
from proxy.core.url.mounts import Mount, Rules, host_name, route
from proxy.core.url.signing import UNRESTRICTED, Restrictions, is_restricted
from proxy.core.url.target import checked_host, in_origin_form
from proxy.edge import problems, responses
from proxy.edge.gallery import File
from proxy.edge.headers import cache_status, joined, list_of, range_of, session_of
from proxy.edge.public.compiled_url import CompiledUrl, compiled_url, original_caching
from proxy.edge.public.original import stream
from proxy.edge.public.server import sender
from proxy.edge.public.upstream import PassedOn, pass_on
from proxy.edge.public.whole_picture import WholePicture, head_of, may_have_whole
from proxy.ports.clock import Clock, WallClock
from proxy.ports.telemetry import RequestLog
from proxy.ports.upstream import UpstreamServer
from proxy.service.request.deliver import Deliver

_MEMO_URLS = 20_000
_MEMO_ACCEPTS = 1024
_QUIET = {"/": "calotype\n", "/robots.txt": "User-agent: *\nDisallow:\n", "/favicon.ico": ""}


_METHODS = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})

Address = tuple[str, str, AcceptClass]
"""The part of a request that distinguishes variants: the mount's host if it has one, raw target, Accept class."""


class PublicHandler:
    """The request handler. `mounts` of the rules is not empty."""

    def __init__(
        self,
        deliver: Deliver,
        upstream: UpstreamServer,
        *,
        rules: Rules,
        redirects: bool,
        request_timeout_s: float,
        node_id: str,
        clock: Clock,
        wall: WallClock,
        request_log: RequestLog,
        pages: Mapping[str, File],
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._deliver = deliver
        self._upstream = upstream
        self._redirects = redirects
        self._request_timeout_s = request_timeout_s
        self._node_id = node_id
        self._clock = clock
        self._wall = wall
        self._request_log = request_log
        self._pages = pages
        self._log = log
        self._accepts: Memo[str, AcceptClass] = Memo(_MEMO_ACCEPTS)
        self._is_stopping = False
        self.reload(rules)

    def stop(self) -> None:
        """From now on every response closes its connection."""
        self._is_stopping = True

    def reload(self, rules: Rules) -> None:
        """Replaces the rules; requests in progress continue with the old ones."""
        self._rules = rules
        self._hosts = frozenset(mount.host for mount in rules.mounts) - {"*"}
        self._health = {
            mount.prefix[:-1] + mount.dialect.health for mount in rules.mounts if mount.dialect.health
        }
        self._compiled: Memo[Address, CompiledUrl] = Memo(_MEMO_URLS)
        self._request_log.expect(list(dict.fromkeys(mount.name for mount in rules.mounts)), problems.STATUSES)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Responds to every request; raises only if cancelled."""
        began_s = self._clock()
        record = AccessRecord(request.method, request.raw_path)
        record.client, record.request_id = sender(request)
        response: web.StreamResponse
        headers = request.headers
        named = headers.get(hdrs.HOST, "")
        host, is_clear = self._mount_host(named), False
        try:
            if record.method not in _METHODS:
                raise MethodNotAllowed("the public listener supports GET, HEAD and OPTIONS only")
            if request.body_exists:
                raise BadUrl("the request must not have a body")
            checked_host(named)
            if record.target[0] != "/" and (record.target != "*" or record.method != hdrs.METH_OPTIONS):
                named, record.target = in_origin_form(record.target)
                host = self._mount_host(named)
            is_clear = True
            if len(record.target) > self._rules.url_max_bytes:
                raise UrlTooLong(f"the URL is longer than {self._rules.url_max_bytes} bytes")
            if record.method == hdrs.METH_OPTIONS:
                return self._last(responses.options(headers))
            address = host, record.target, self._accepted(joined(headers, hdrs.ACCEPT))
            compiled_urls = self._compiled
            compiled = compiled_urls.get(address)
            if compiled is not None:
                record.mount, record.unsigned_target = compiled.mount, compiled.unsigned_target
                if compiled.restrictions is not UNRESTRICTED:
                    self._enforce(compiled.restrictions, headers)
            conditional = hdrs.IF_NONE_MATCH in headers or hdrs.IF_MATCH in headers
            hit = None if compiled is None or conditional else self._deliver.fresh_hit(compiled.request)
            if compiled is not None and hit is not None:
                response = self._picture(request, record, compiled, hit, began_s)
            else:
                response = await self._answer_or_pass_on(
                    request, record, compiled_urls, address, compiled, began_s
                )
        except CalotypeError as failure:
            record.outcome, record.error = problems.outcome_of(failure), failure.slug
            record.detail = failure.detail
            if isinstance(failure, NotAllowed):
                record.settings = failure.settings
            response = self._problem(failure, named, record.target)
            if not is_clear:
                response.force_close()  # The bytes that follow cannot be parsed reliably.
        except Exception:
            self._log.exception("internal error")
            record.outcome, record.error = Outcome.FAILED, Internal.slug
            response = problems.problem(Internal("an unexpected error was logged"))
        if record.outcome is not None:
            record.status = response.status
            if record.method != hdrs.METH_HEAD:
                record.bytes = record.bytes or response.content_length or 0
            record.seconds = self._clock() - began_s
            self._request_log.record(record)
        return self._last(response)

    def refused(self, failure: CalotypeError, target: str) -> web.Response:
        """The response to a message that is not a valid request; `target` is empty if unknown."""
        return self._problem(failure, "", target)

    def _last(self, response: web.StreamResponse) -> web.StreamResponse:
        """`response`; closes its connection while the node stops."""
        if self._is_stopping:
            response.force_close()
        return response

    async def _answer_or_pass_on(
        self,
        request: web.BaseRequest,
        record: AccessRecord,
        compiled_urls: Memo[Address, CompiledUrl],
        address: Address,
        compiled: CompiledUrl | None,
        began_s: float,
    ) -> web.StreamResponse:
        """The response of `_answer`, or that of the mount's upstream to a verified URL that the upstream answers."""
        host, target, _ = address
        try:
            return await self._answer(request, record, compiled_urls, address, compiled, began_s)
        except PassedOn as passed:
            mount, record.detail = passed.mount, passed.reason
        except UnsupportedFormat as failure:
            mount = route(self._rules.mounts, host, target)
            record.detail = mount.upstream.reason_for_unsupported(failure) if mount.upstream else ""
            if not record.detail:
                raise
        deadline = began_s + self._request_timeout_s
        return await pass_on(request, record, self._upstream, mount, target, deadline=deadline)

    async def _answer(
        self,
        request: web.BaseRequest,
        record: AccessRecord,
        compiled_urls: Memo[Address, CompiledUrl],
        address: Address,
        compiled: CompiledUrl | None,
        began_s: float,
    ) -> web.StreamResponse:
        """Every response except an unconditional memory hit; `compiled` is None for a URL that is not in the memo."""
        host, target, accepted = address
        if (file := self._pages.get(target)) is not None:
            return responses.public_page(file.text, file.media_type)
        if (text := _QUIET.get(target)) is not None:
            return responses.plain(text)
        if target == "/healthz" or target in self._health:
            return responses.plain('{"status":"ok"}\n', "application/json")
        if self._node_id in joined(request.headers, "CDN-Loop"):
            raise RequestLoop("request loop: a source of this node leads back to the node (CDN-Loop)")
        if compiled is None:
            verify = partial(self._verify, record, request.headers)
            meaning = interpret(self._rules, host, target, verify=verify, pass_on=PassedOn.to)
            if meaning.transform is None:
                return await self._original(request, record, meaning, began_s)
            compiled = compiled_url(
                meaning,
                record.unsigned_target,
                meaning.transform,
                accepted,
                self._rules,
                self._restrictions(meaning),
            )
        document = compiled.document
        none_match, if_match = (
            joined(request.headers, hdrs.IF_NONE_MATCH),
            list_of(request.headers, hdrs.IF_MATCH),
        )

        def needs_no_body(key: CacheKey) -> bool:
            tag = etag(info_key(key.digest, document))
            # The modification time of a variant is unknown.
            return precondition_fails(if_match, None, tag, None) or matches(none_match, tag)

        redirect_until_s = self._redirect_until_s(compiled)
        # Conditions do not apply to a redirect (RFC 9110 13.2.1).
        is_conditional = bool(none_match or if_match is not None) and not redirect_until_s
        delivered = await self._deliver.variant(
            compiled.request,
            deadline=began_s + self._request_timeout_s,
            redirect_until_s=redirect_until_s,
            needs_no_body=needs_no_body if is_conditional else None,
        )
        # Stored after the delivery, because only URLs with a picture are worth an entry. A reload replaces the memo.
        compiled_urls.store(address, compiled)
        if delivered.delivery.location:
            record.set_delivery(delivered.delivery)
            return responses.redirect(delivered.delivery, self._caching(compiled))
        tag = etag(info_key(delivered.delivery.key.digest, document))
        if precondition_fails(if_match, None, tag, None):
            record.set_delivery(delivered.delivery)
            status = cache_status(delivered.delivery.outcome, delivered.delivery.tier)
            return responses.refused_condition(self._caching(compiled), status)
        if none_match.strip() == "*" or matches(none_match, tag):
            delivered = Delivered(delivered.delivery, None)
        return self._picture(request, record, compiled, delivered, began_s)

    def _picture(
        self,
        request: web.BaseRequest,
        record: AccessRecord,
        compiled: CompiledUrl,
        delivered: Delivered,
        began_s: float,
    ) -> web.StreamResponse:
        delivery, variant = delivered
        record.set_delivery(delivery)
        if compiled.document:
            digest = info_key(delivery.key.digest, compiled.document)
            delivery = replace(delivery, key=delivery.key._replace(digest=digest))
            variant = variant and replace(variant, body=compiled.document.make(variant.body))
        caching = compiled.caching if compiled.restrictions is UNRESTRICTED else self._caching(compiled)
        status = HTTPStatus.OK
        if delivery.provisional or compiled.request.is_default(delivery.freshness):
            max_age_s = responses.PROVISIONAL_CACHE_S
            if compiled.fallback and compiled.request.is_last_default(delivery.freshness):
                status, max_age_s = HTTPStatus(compiled.fallback.status), compiled.fallback.max_age_s
            caching = caching.within(max_age_s)
            headers = responses.picture_headers(delivery, caching)
        elif delivery is compiled.delivery:
            headers = compiled.headers
            if variant is not None and may_have_whole(request):
                compiled.head = compiled.head or head_of(headers)
                timing = responses.server_timing(delivery, self._clock() - began_s)
                return WholePicture(compiled.head, variant.body, timing)
        else:
            compiled.delivery, compiled.head = delivery, b""
            compiled.headers = responses.picture_headers(delivery, caching)
            headers = compiled.headers
        if compiled.document and hdrs.CONTENT_TYPE in headers:
            headers[hdrs.CONTENT_TYPE] = compiled.document.mime
        answer = responses.picture(
            delivery,
            variant,
            caching,
            headers,
            range_header=range_of(request) if status == HTTPStatus.OK else None,
            if_range=request.headers.get(hdrs.IF_RANGE),
            total_s=self._clock() - began_s,
        )
        if answer.status == HTTPStatus.OK:
            answer.set_status(status)
        return answer

    def _mount_host(self, named: str) -> str:
        """The request's host if a mount has it, else `*`: clients must not fill the memo with invented names."""
        if not self._hosts:
            return "*"
        host = host_name(named)
        return host if host in self._hosts else "*"

    def _accepted(self, accept: str) -> AcceptClass:
        known = self._accepts.get(accept)
        if known is None:
            known = self._accepts.store(accept, accept_class(accept))
        return known

    def _enforce(self, restrictions: Restrictions, headers: CIMultiDictProxy[str]) -> None:
        """Raises SignatureExpired or BadSignature if the request is outside the restrictions of its signature."""
        restrictions.check(
            self._wall(),
            origin=headers.get(hdrs.ORIGIN),
            referer=headers.get(hdrs.REFERER),
            session=session_of(headers, self._rules.session) if restrictions.session is not None else None,
        )

    def _caching(self, compiled: CompiledUrl) -> responses.CachingHeaders:
        """The caching headers at this moment: no response outlives its signature."""
        caching = self._within(compiled.caching, compiled.restrictions)
        if caching is not compiled.caching:
            compiled.caching, compiled.delivery = caching, None
        return caching

    def _within(
        self, caching: responses.CachingHeaders, restrictions: Restrictions
    ) -> responses.CachingHeaders:
        if restrictions.until_s is None:
            return caching
        return caching.within(max(0, int(restrictions.until_s - self._wall())))

    def _redirect_until_s(self, compiled: CompiledUrl) -> float:
        """The Clock time until which a redirect may be valid, because the bucket does not check signatures; infinite
        without an expiry. 0 for none, as for a URL with a file name, which the bucket does not send. In whole seconds, so
        that equal requests share a flight."""
        restrictions = compiled.restrictions
        is_info = compiled.request.transform.format is Format.INFO
        has_name = hdrs.CONTENT_DISPOSITION in compiled.caching.headers
        if not self._redirects or restrictions.varies_by_client or is_info or has_name:
            return 0
        if restrictions.until_s is None:
            return math.inf
        return math.floor(self._clock() + restrictions.until_s - self._wall())

    def _verify(
        self, record: AccessRecord, headers: CIMultiDictProxy[str], mount: Mount, raw: str
    ) -> Verified:
        """Verifies the signature of the raw target and its restrictions, before the target is parsed."""
        record.mount, record.unsigned_target = mount.name, mount.unsigned(raw)
        signed = verify_signature(mount, raw)
        if signed is None:
            return Verified(raw, False)
        self._enforce(signed.restrictions, headers)
        return Verified(signed.target, True, signed)

    def _problem(self, failure: CalotypeError, named: str, raw: str) -> web.Response:
        """The response to an error, in the manner of the dialect of the mount; `named` is the Host of the request. Whether
        it depends on Accept is decided by the URL alone, even if the rest of the URL is invalid."""
        try:
            if not raw.startswith("/"):
                named, raw = in_origin_form(raw)
            mount = route(self._rules.mounts, self._mount_host(named), raw)
        except CalotypeError:
            return problems.problem(failure)
        dialect, target = mount.dialect, mount.below(raw)
        return problems.problem(
            failure,
            negotiates=mount.negotiates(raw, self._rules.presets),
            lasting=not is_restricted(raw),
            statuses=dialect.statuses,
            text=dialect.error_text(target, failure),
            headers=dialect.error_headers(target, failure),
            location=dialect.error_location(target, named, failure),
        )

    def _restrictions(self, meaning: Interpreted) -> Restrictions:
        """Those of the signature, with the expiry of the URL itself. Raises SignatureExpired if that has passed."""
        restrictions = meaning.restrictions
        restrictions.check_time(self._wall())
        return restrictions

    async def _original(
        self, request: web.BaseRequest, record: AccessRecord, meaning: Interpreted, began_s: float
    ) -> web.StreamResponse:
        restrictions = self._restrictions(meaning)
        refs = meaning.candidates
        caching = original_caching(meaning, refs, restrictions)
        async with self._deliver.open_current(*refs, deadline=began_s + self._request_timeout_s) as original:
            caching = self._within(caching, restrictions)
            return await stream(request, record, original, caching, now_s=self._wall())
