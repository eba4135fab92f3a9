"""Authorization on the admin listener: bearer tokens with scopes, and a cookie for the pages."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from proxy.core.errors import Unauthorized
from proxy.ports.clock import WallClock

COOKIE = "calotype-admin"
LOGIN_S = 12 * 3600
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class AdminAuth:
    """`token` grants every scope, each of `tokens` its own. Without `token` no token is required, and the listener
    must be reachable from this machine only; a write must then not come from a page of another origin."""

    def __init__(self, token: str, tokens: Mapping[str, frozenset[str]], wall: WallClock) -> None:
        self._token = token.encode()
        self._tokens = {other.encode(): scopes for other, scopes in tokens.items()}
        self._wall = wall

    @property
    def is_open(self) -> bool:
        """Whether no token is required."""
        return not self._token

    def is_master_token(self, token: str) -> bool:
        """Whether `token` grants every scope."""
        return _equal(token, self._token)

    def enforce(self, request: web.Request, scope: str | None) -> None:
        """Raises Unauthorized unless the request has the scope `scope`; None accepts every token. A cookie grants
        only the `read` scope."""
        reads = scope in ("read", None)
        if not self._token:
            if not reads and not _is_local(request):
                raise Unauthorized(
                    "admin.token is not set: a write must come from this machine, without an Origin header"
                )
            return
        given = _given(request, basic=scope in ("events", None))
        # Every token is compared, so that the time does not reveal the matching one.
        granted = {scope} if self.is_master_token(given) else set[str | None]()
        for token, scopes in self._tokens.items():
            if _equal(given, token):
                granted |= {*scopes, None}
        if scope in granted or (reads and self._is_valid(request.cookies.get(COOKIE, ""))):
            return
        if granted:
            raise Unauthorized(f"the token does not have the scope {scope}")
        if given:
            raise Unauthorized("the token is unknown to this node")
        required = f" with the scope {scope}" if scope else ""
        raise Unauthorized(f"a token{required} must be sent as Authorization: Bearer <token>")

    def cookie(self) -> str:
        """A cookie value that is valid for LOGIN_S."""
        until = str(int(self._wall()) + LOGIN_S)
        return f"{until}.{self._mac(until)}"

    def _is_valid(self, cookie: str) -> bool:
        until, _, mac = cookie.partition(".")
        return _equal(mac, self._mac(until).encode()) and int(until) > self._wall()

    def _mac(self, until: str) -> str:
        message = b"calotype admin page\n" + until.encode("utf-8", "surrogateescape")
        return hmac.digest(self._token, message, hashlib.sha256).hex()


def _given(request: web.Request, *, basic: bool) -> str:
    """The token of a request. Webhooks of object stores send it bare, or as the password of basic authentication."""
    header = request.headers.get(hdrs.AUTHORIZATION, "")
    kind, _, given = header.partition(" ")
    if kind.lower() == "bearer":
        return given.strip()
    if basic and kind.lower() == "basic":
        with suppress(ValueError):
            return base64.b64decode(given, validate=True).decode("utf-8", "replace").partition(":")[2]
    return header if basic and not given else ""


def _is_local(request: web.Request) -> bool:
    if hdrs.ORIGIN in request.headers:
        return False
    with suppress(ValueError):
        return urlsplit(f"//{request.headers.get(hdrs.HOST, '')}").hostname in _LOOPBACK
    return False


def _equal(given: str, expected: bytes) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected)
