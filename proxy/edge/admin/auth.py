"""Authorization on the admin listener: bearer tokens with scopes, and sessions of the pages, which a cookie names."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from proxy.core.errors import Unauthorized
from proxy.ports.clock import WallClock

COOKIE = "calotype-admin"
CSRF_HEADER = "X-CSRF-Token"
LOGIN_S = 12 * 3600
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Session(NamedTuple):
    """What a page may do, and the value of `CSRF_HEADER` that its writes need."""

    scopes: frozenset[str]
    csrf: str


class AdminAuth:
    """`tokens` are the scopes of each token. Without tokens every call is allowed, and the listener must be reachable from
    this machine only; a write must then not come from a page of another origin."""

    def __init__(
        self, tokens: Mapping[str, frozenset[str]], all_scopes: frozenset[str], wall: WallClock
    ) -> None:
        self._tokens = {token.encode(): scopes for token, scopes in tokens.items()}
        self._all_scopes = all_scopes
        self._wall = wall

    @property
    def is_open(self) -> bool:
        """Whether no token is required."""
        return not self._tokens

    def enforce(self, request: web.Request, scope: str | None) -> None:
        """Raises Unauthorized unless the request has the scope `scope`; None accepts every token."""
        reads = scope in ("read", None)
        if self.is_open:
            if not reads and not (_is_local(request) and _is_same_origin(request)):
                raise Unauthorized(
                    "admin.token is not set: a write must come from this machine, and from no page of another origin"
                )
            return
        given = _given(request, basic=scope in ("events", None))
        granted = self._scopes_of(given)
        if scope in granted or (granted and scope is None):
            return
        session = None if given else self.session(request)
        if session is not None and (scope in session.scopes or scope is None):
            if reads:
                return
            if not _is_same_origin(request, is_required=True):
                raise Unauthorized("a write with the cookie must come from a page of this listener")
            if not _equal(request.headers.get(CSRF_HEADER, ""), session.csrf.encode()):
                raise Unauthorized(
                    f"a write with the cookie must have the header {CSRF_HEADER} of its session"
                )
            return
        if granted or session is not None:
            raise Unauthorized(f"the token does not have the scope {scope}")
        if given:
            raise Unauthorized("the token is unknown to this node")
        required = f" with the scope {scope}" if scope else ""
        raise Unauthorized(f"a token{required} must be sent as Authorization: Bearer <token>")

    def cookie(self, token: str) -> str:
        """A cookie value that has the scopes of `token` for LOGIN_S. Raises Unauthorized for a token that no page can be
        read with."""
        scopes = self._scopes_of(token)
        if not scopes:
            raise Unauthorized("Invalid token.")
        if "read" not in scopes:
            raise Unauthorized("This token does not have the scope read.")
        until = str(int(self._wall()) + LOGIN_S)
        return f"{until}.{_mac(token.encode(), 'session', until)}"

    def session(self, request: web.Request) -> Session | None:
        """What a page of this request may do: all without tokens, what its token may, else what its cookie may. None without
        a valid cookie."""
        if self.is_open:
            return Session(self._all_scopes, "")
        if given := _given(request, basic=False):
            return Session(self._scopes_of(given), "")
        cookie = request.cookies.get(COOKIE, "")
        until, _, mac = cookie.partition(".")
        found = None
        # Every token is compared, so that the time does not reveal the matching one.
        for token, scopes in self._tokens.items():
            if _equal(mac, _mac(token, "session", until).encode()):
                found = Session(scopes, _mac(token, "csrf", until))
        return found if found is not None and int(until) > self._wall() else None

    def _scopes_of(self, given: str) -> frozenset[str]:
        granted: frozenset[str] = frozenset()
        for token, scopes in self._tokens.items():
            if _equal(given, token):
                granted |= scopes
        return granted


def _mac(token: bytes, purpose: str, until: str) -> str:
    message = f"calotype admin {purpose}\n{until}".encode("utf-8", "surrogateescape")
    return hmac.digest(token, message, hashlib.sha256).hex()


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


def _is_same_origin(request: web.Request, *, is_required: bool = False) -> bool:
    """Whether the Origin header, if any, names the host of the request. A page of this listener sends one with each write."""
    if hdrs.ORIGIN not in request.headers:
        return not is_required
    with suppress(ValueError):
        return urlsplit(request.headers[hdrs.ORIGIN]).netloc == request.headers.get(hdrs.HOST)
    return False


def _is_local(request: web.Request) -> bool:
    with suppress(ValueError):
        return urlsplit(f"//{request.headers.get(hdrs.HOST, '')}").hostname in _LOOPBACK
    return False


def _equal(given: str, expected: bytes) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected)
