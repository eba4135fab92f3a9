"""Errors as HTTP responses: the one table of statuses and titles (RFC 9457)."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from aiohttp import hdrs, web
from multidict import CIMultiDict

from proxy.core.cache.delivery import Outcome
from proxy.core.cache.http_caching import NO_STORE, cache_control
from proxy.core.errors import CalotypeError, OriginalNotFound, Overloaded, PurgeIncomplete
from proxy.edge.headers import ALLOWED_METHODS, BASE_HEADERS, PUBLIC_HEADERS, cache_status


class Problem(NamedTuple):
    """`reports_cache` says that a response has Cache-Status, because the request got as far as the cache."""

    status: int
    title: str
    reports_cache: bool = True


PROBLEMS = {
    "bad-transform": Problem(400, "Invalid transform", reports_cache=False),
    "bad-url": Problem(400, "Invalid URL", reports_cache=False),
    "dimension-not-allowed": Problem(400, "Size not allowed", reports_cache=False),
    "colour-not-allowed": Problem(400, "Colour not allowed", reports_cache=False),
    "bad-request": Problem(400, "Invalid request", reports_cache=False),
    "unauthorized": Problem(401, "Valid token required", reports_cache=False),
    "bad-signature": Problem(403, "Invalid signature", reports_cache=False),
    "signature-required": Problem(403, "Signed URL required", reports_cache=False),
    "signature-expired": Problem(403, "Signed URL expired", reports_cache=False),
    "source-not-allowed": Problem(403, "Source not allowed", reports_cache=False),
    "option-not-allowed": Problem(403, "Option not allowed", reports_cache=False),
    "unknown-route": Problem(404, "Not found: no route matches this URL", reports_cache=False),
    "original-not-found": Problem(404, "Original not found"),
    "method-not-allowed": Problem(405, "Method not allowed", reports_cache=False),
    "conflict": Problem(409, "Conflict with an existing resource", reports_cache=False),
    "precondition-failed": Problem(412, "Precondition failed"),
    "url-too-long": Problem(414, "URL too long", reports_cache=False),
    "unsupported-format": Problem(415, "Unsupported format of the original"),
    "range-not-satisfiable": Problem(416, "Range not satisfiable"),
    "expectation-failed": Problem(417, "Expectation failed", reports_cache=False),
    "original-too-large": Problem(422, "Original too large"),
    "undecodable": Problem(422, "Original cannot be decoded"),
    "rate-limited": Problem(429, "Too many requests", reports_cache=False),
    "internal": Problem(500, "Internal error"),
    "source-unavailable": Problem(502, "Source unavailable"),
    "worker-died": Problem(502, "Render worker died"),
    "overloaded": Problem(503, "Node overloaded"),
    "draining": Problem(503, "Node shutting down"),
    "purge-incomplete": Problem(503, "Purge incomplete"),
    "source-timeout": Problem(504, "Source timeout"),
    "render-timeout": Problem(504, "Render timeout"),
}

STATUSES = tuple(sorted({problem.status for problem in PROBLEMS.values()}))
NOT_FOUND_CACHE_S = 60
_NO_STATUSES: Mapping[str, int] = {}
_NO_HEADERS: Mapping[str, str] = {}


def outcome_of(failure: CalotypeError) -> Outcome:
    return Outcome.SHED if isinstance(failure, Overloaded) else Outcome.FAILED


def problem(
    failure: CalotypeError,
    *,
    negotiates: bool = False,
    lasting: bool = True,
    statuses: Mapping[str, int] = _NO_STATUSES,
    text: str | None = None,
    headers: Mapping[str, str] = _NO_HEADERS,
    location: str = "",
) -> web.Response:
    """An RFC 9457 problem, or `text` in its place, not cached, with these `headers` besides; with a `location`, 302 to it.
    `statuses`, by slug, take precedence over those of PROBLEMS. A missing original is cached if `lasting`: for the
    remaining lifetime of its negative entry, at most NOT_FOUND_CACHE_S."""
    response = _response(failure, PUBLIC_HEADERS, statuses)
    if text is not None:
        response.text = text
        response.headers[hdrs.CONTENT_TYPE] = "text/plain; charset=utf-8"
    response.headers.update(headers)
    if location:
        response.set_status(302)
        response.headers[hdrs.LOCATION] = location
    elif lasting and isinstance(failure, OriginalNotFound):
        lasts_s = NOT_FOUND_CACHE_S if failure.lasts_s is None else math.ceil(failure.lasts_s)
        response.headers[hdrs.CACHE_CONTROL] = cache_control(min(max(0, lasts_s), NOT_FOUND_CACHE_S))
    if PROBLEMS[failure.slug].reports_cache:
        response.headers["Cache-Status"] = cache_status(outcome_of(failure), "")
    if negotiates:
        response.headers[hdrs.VARY] = hdrs.ACCEPT
    return response


def admin_problem(failure: CalotypeError, *, allowed: Sequence[str] = ()) -> web.Response:
    """A problem on the admin listener, which pages of other origins cannot read."""
    response = _response(failure, BASE_HEADERS)
    if allowed:
        response.headers[hdrs.ALLOW] = ", ".join(allowed)
    return response


def _response(
    failure: CalotypeError, base: Mapping[str, str], statuses: Mapping[str, int] = _NO_STATUSES
) -> web.Response:
    status, title, _ = PROBLEMS[failure.slug]
    status = statuses.get(failure.slug, status)
    headers = CIMultiDict(base)
    headers[hdrs.CACHE_CONTROL] = NO_STORE
    headers[hdrs.CONTENT_TYPE] = "application/problem+json"
    if failure.retry_after_s is not None:
        headers[hdrs.RETRY_AFTER] = str(failure.retry_after_s)
    if status == 405:
        headers[hdrs.ALLOW] = ALLOWED_METHODS
    if status == 401:
        headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
    body: dict[str, object] = {
        "type": f"urn:calotype:error:{failure.slug}",
        "title": title,
        "status": status,
        "detail": failure.detail,
    }
    if isinstance(failure, PurgeIncomplete):
        body["open"] = failure.open
    return web.Response(status=status, headers=headers, body=msgspec.json.encode(body))
