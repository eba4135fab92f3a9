"""Headers: those of every response, and request headers read more strictly than aiohttp does."""

from types import MappingProxyType

from aiohttp import hdrs, web
from multidict import CIMultiDictProxy

from proxy.core.cache.delivery import Outcome

ALLOWED_METHODS = "GET, HEAD, OPTIONS"
BASE_HEADERS = MappingProxyType(
    {
        hdrs.SERVER: "calotype",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
)
PUBLIC_HEADERS = MappingProxyType(
    {
        **BASE_HEADERS,
        "X-Accel-Expires": "0",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Timing-Allow-Origin": "*",
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "ETag, Content-Range, Cache-Status, Server-Timing, Calotype-Notice",
    }
)
"""Those of the public listener: pages of any origin may read its responses."""


def joined(headers: CIMultiDictProxy[str], name: str) -> str:
    """All lines of a list-valued header as one (RFC 9110 5.3)."""
    lines = headers.getall(name, ())
    return lines[0] if len(lines) == 1 else ", ".join(lines)


def list_of(headers: CIMultiDictProxy[str], name: str) -> str | None:
    """All lines of a list-valued header as one; None without any."""
    return joined(headers, name) if name in headers else None


def range_of(request: web.BaseRequest) -> str | None:
    """The Range header; None for HEAD (RFC 9110 14.2) and for two lines."""
    if hdrs.RANGE not in request.headers or request.method != hdrs.METH_GET:
        return None
    lines = request.headers.getall(hdrs.RANGE)
    return lines[0] if len(lines) == 1 else None


def session_of(headers: CIMultiDictProxy[str], at: str) -> str | None:
    """The value at `cookie:NAME` or `header:NAME`; None unless there is exactly one."""
    kind, _, name = at.partition(":")
    if kind == "cookie":
        cookies = [
            part.strip().partition("=")
            for line in headers.getall(hdrs.COOKIE, ())
            for part in line.split(";")
        ]
        values = [value for cookie, _, value in cookies if cookie == name]
    else:
        values = headers.getall(name, []) if name else []
    return values[0] if len(values) == 1 else None


def cache_status(outcome: Outcome, tier: str, *, stored: bool = False) -> str:
    """The Cache-Status header (RFC 9211)."""
    match outcome:
        case Outcome.HIT:
            return f"calotype; hit; detail={tier}"
        case Outcome.MISS | Outcome.COLLAPSED:
            parts = ["calotype", "fwd=miss"]
            if stored:
                parts.append("stored")
            if outcome is Outcome.COLLAPSED:
                parts.append("collapsed")
            return "; ".join(parts)
        case Outcome.SHED | Outcome.FAILED:
            return f"calotype; fwd=miss; detail={outcome}"
        case Outcome.BYPASS:
            return f"calotype; fwd=bypass; detail={tier}"
