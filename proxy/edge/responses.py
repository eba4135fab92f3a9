"""Deliveries as HTTP responses, and the pages of the admin listener. Errors are in `problems`.

Repeats no byte of the request.
"""

import re
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from types import MappingProxyType
from typing import NamedTuple

import msgspec
from aiohttp import hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.core.cache.delivery import VALIDATOR, Delivery, Outcome, Variant, steps
from proxy.core.cache.http_caching import NO_STORE, Whole, byte_range, cache_control, etag
from proxy.core.errors import (
    PreconditionFailed,
    RangeNotSatisfiable,
)
from proxy.core.image.formats import TRAITS, Format
from proxy.core.url.signing import UNRESTRICTED, Restrictions
from proxy.edge.headers import ALLOWED_METHODS, PUBLIC_HEADERS, cache_status, joined
from proxy.edge.problems import problem

FRONT_CACHE_S = 5
"""Seconds that nginx may cache a response without revalidation; a purge takes effect behind nginx within ten."""
REDIRECT_CACHE_S = 60
PROVISIONAL_CACHE_S = 60
"""Seconds that a response may be cached before its version is checked."""
PREFLIGHT_CACHE_S = 86_400
NOTICE = "Calotype-Notice"
_NAMES = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z, \t-]+")


class CachingHeaders(NamedTuple):
    """The part of a URL and its mount that shows in every cacheable response; `headers` is copied, never changed."""

    negotiates: bool
    max_age_s: int
    private: bool
    headers: CIMultiDict[str]

    def within(self, most_s: int) -> "CachingHeaders":
        """The same headers with a max-age of at most `most_s` seconds."""
        if self.max_age_s <= most_s:
            return self
        headers = self.headers.copy()
        headers[hdrs.CACHE_CONTROL] = cache_control(most_s, private=self.private)
        return self._replace(max_age_s=most_s, headers=headers)


def caching_headers(
    *,
    max_age_s: int,
    negotiates: bool,
    restrictions: Restrictions | None,
    notice: str = "",
    disposition: str = "",
    of_dialect: Mapping[str, str] = MappingProxyType({}),
    tags: Sequence[str] = (),
) -> CachingHeaders:
    """`restrictions` are those of the URL or its signature, None without any; `notice` is the value of Calotype-Notice,
    `disposition` that of Content-Disposition. `of_dialect` are headers that the vendor adds. CDNs read `tags` in either of
    two headers."""
    may_repeat = restrictions is None
    restrictions = restrictions or UNRESTRICTED
    private = restrictions.session is not None
    headers = CIMultiDict(PUBLIC_HEADERS)
    headers[hdrs.CACHE_CONTROL] = cache_control(max_age_s, private=private)
    headers[hdrs.ACCEPT_RANGES] = "bytes"
    if may_repeat:
        headers["X-Accel-Expires"] = str(min(FRONT_CACHE_S, max_age_s))
    depends_on = [hdrs.ACCEPT] if negotiates else []
    if restrictions.domain is not None:
        depends_on += [hdrs.ORIGIN, hdrs.REFERER]
    if depends_on:
        headers[hdrs.VARY] = ", ".join(depends_on)
    if notice:
        headers[NOTICE] = notice
    if disposition:
        headers[hdrs.CONTENT_DISPOSITION] = disposition
    if tags:
        headers["Cache-Tag"], headers["Surrogate-Key"] = ",".join(tags), " ".join(tags)
    headers.update(of_dialect)
    return CachingHeaders(negotiates, max_age_s, private, headers)


def picture_headers(delivery: Delivery, caching: CachingHeaders) -> CIMultiDict[str]:
    """The headers of a delivery, except those that differ between its responses."""
    headers = caching.headers.copy()
    headers[hdrs.ETAG] = etag(delivery.key.digest)
    headers["Cache-Status"] = cache_status(delivery.outcome, delivery.tier, stored=delivery.stored)
    if delivery.tier != VALIDATOR:
        headers[hdrs.CONTENT_TYPE] = delivery.key.mime
    if delivery.notice:
        of_url = headers.get(NOTICE)
        headers[NOTICE] = f"{of_url}, {delivery.notice}" if of_url else delivery.notice
    return headers


def picture(
    delivery: Delivery,
    variant: Variant | None,
    caching: CachingHeaders,
    headers: CIMultiDict[str],
    *,
    range_header: str | None,
    if_range: str | None,
    total_s: float,
) -> web.Response:
    """200, 206, 304 or 416 for a delivery with its `picture_headers`, which are copied."""
    if variant is None:
        response = web.Response(status=304, headers=headers)
        response.headers.pop(hdrs.CONTENT_TYPE, None)
    else:
        body = variant.body
        part = byte_range(range_header, if_range, etag(delivery.key.digest), len(body))
        if part is None:
            return range_not_satisfiable(len(body), caching, headers["Cache-Status"])
        if part is Whole.WHOLE:
            response = web.Response(headers=headers, body=body)
        else:
            response = web.Response(status=206, headers=headers, body=body[part.start : part.stop])
            response.headers[hdrs.CONTENT_RANGE] = content_range(part, len(body))
    response.headers["Server-Timing"] = server_timing(delivery, total_s)
    return response


def original_headers(
    kind: Format, tag: str, modified_s: int | None, caching: CachingHeaders
) -> CIMultiDict[str]:
    """The headers of an original served byte for byte; `modified_s` is in Unix seconds, None if unknown."""
    headers = caching.headers.copy()
    headers[hdrs.ETAG] = tag
    headers[hdrs.CONTENT_TYPE] = TRAITS[kind].mime
    if modified_s is not None:
        headers[hdrs.LAST_MODIFIED] = formatdate(modified_s, usegmt=True)
    headers["X-Accel-Expires"] = "0"
    headers["Cache-Status"] = "calotype; fwd=bypass"
    return headers


def content_range(part: range, length: int) -> str:
    return f"bytes {part.start}-{part.stop - 1}/{length}"


def refused_condition(caching: CachingHeaders, cache_status: str) -> web.Response:
    """412 for a failed If-Match or If-Unmodified-Since."""
    response = problem(
        PreconditionFailed("the picture differs from the one that If-Match or If-Unmodified-Since names"),
        negotiates=caching.negotiates,
    )
    response.headers["Cache-Status"] = cache_status
    return response


def range_not_satisfiable(length: int, caching: CachingHeaders, cache_status: str) -> web.Response:
    """416 with the length of the picture (RFC 9110 15.5.17)."""
    response = problem(
        RangeNotSatisfiable("the range begins after the last byte"), negotiates=caching.negotiates
    )
    response.headers[hdrs.CONTENT_RANGE] = f"bytes */{length}"
    response.headers["Cache-Status"] = cache_status
    return response


def redirect(delivery: Delivery, caching: CachingHeaders) -> web.Response:
    """302 to the location of the bytes. The response is cached briefly, because the location may be signed for a
    limited time."""
    headers = caching.headers.copy()
    del headers[hdrs.ACCEPT_RANGES]
    headers[hdrs.CACHE_CONTROL] = cache_control(min(REDIRECT_CACHE_S, caching.max_age_s))
    headers["X-Accel-Expires"] = "0"
    headers["Cache-Status"] = cache_status(delivery.outcome, delivery.tier)
    headers[hdrs.LOCATION] = delivery.location
    return web.Response(status=302, headers=headers)


def server_timing(delivery: Delivery, total_s: float) -> str:
    """The steps, which add up to the total. A hit has one step and names only the total."""
    total = f"total;dur={total_s * 1000:.2f}"
    if delivery.outcome is Outcome.HIT:
        return total
    taken = steps(delivery.outcome, delivery.timings, total_s)
    return ", ".join([*(f"{name};dur={seconds * 1000:.2f}" for name, seconds in taken), total])


_PAGE = MappingProxyType(
    {
        hdrs.SERVER: "calotype",
        hdrs.CACHE_CONTROL: NO_STORE,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    }
)


def page(text: str, content_type: str, status: int = 200) -> web.Response:
    """A page of the admin listener or a part of it; the policy blocks content of other origins."""
    return web.Response(status=status, headers=_PAGE, text=text, content_type=content_type)


def page_with_pictures(text: str, origin: str) -> web.Response:
    """A page of the admin listener that shows pictures of the public listener at `origin`."""
    response = page(text, "text/html")
    of_public = f" {origin}" if origin else ""
    own = response.headers["Content-Security-Policy"].replace(
        "connect-src 'self'", f"connect-src 'self'{of_public}"
    )
    response.headers["Content-Security-Policy"] = f"{own}; img-src 'self' blob:{of_public}"
    return response


def public_page(text: str, content_type: str) -> web.Response:
    """A page of the public listener or a part of it, which may show pictures of the node."""
    policy = "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'"
    response = page(text, content_type)
    response.headers["Content-Security-Policy"] = f"{policy}; frame-ancestors 'none'"
    return response


def json_response(value: object, status: int = 200) -> web.Response:
    """JSON for the admin listener."""
    body = msgspec.json.encode(value)
    return web.Response(status=status, headers=_PAGE, body=body, content_type="application/json")


def with_admin_headers(response: web.StreamResponse) -> web.StreamResponse:
    """Adds the headers of the admin listener to a response made elsewhere."""
    response.headers.update(_PAGE)
    return response


def see_other(path: str) -> web.Response:
    """303 to another page."""
    return web.Response(status=303, headers={**_PAGE, hdrs.LOCATION: path})


def logged_in(name: str, value: str, seconds: int) -> web.Response:
    """303 to the status page, with a cookie that is valid for `seconds`."""
    response = see_other("/")
    response.set_cookie(name, value, max_age=seconds, httponly=True, samesite="Strict")
    return response


def options(request_headers: CIMultiDictProxy[str]) -> web.Response:
    """204 for OPTIONS on every target: the methods, and a CORS preflight that allows every page and every header."""
    headers = CIMultiDict(PUBLIC_HEADERS)
    headers[hdrs.CACHE_CONTROL] = NO_STORE
    headers[hdrs.ALLOW] = ALLOWED_METHODS
    if hdrs.ORIGIN in request_headers and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request_headers:
        headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = "GET, HEAD"
        headers[hdrs.ACCESS_CONTROL_MAX_AGE] = str(PREFLIGHT_CACHE_S)
        names = joined(request_headers, hdrs.ACCESS_CONTROL_REQUEST_HEADERS)
        if _NAMES.fullmatch(names):
            headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = names
    return web.Response(status=204, headers=headers)


def plain(text: str, content_type: str = "text/plain") -> web.Response:
    """A small response that is not a picture: health, robots.txt, the root."""
    headers = CIMultiDict(PUBLIC_HEADERS)
    headers[hdrs.CACHE_CONTROL] = NO_STORE
    headers[hdrs.CONTENT_TYPE] = content_type
    return web.Response(status=200 if text else 204, headers=headers, body=text.encode() or None)
