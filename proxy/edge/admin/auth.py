"""Who may do what on the admin listener: bearer tokens with scopes, and a cookie for the pages."""

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
    """`token` is good for everything, each of `tokens` for its scopes. Without `token` there is nothing to prove, on a
    listener that only this machine reaches; then a write must not come from a page of somebody else."""

    def __init__(self, token: str, tokens: Mapping[str, frozenset[str]], wall: WallClock) -> None:
        self._token = token.encode()
        self._tokens = {other.encode(): scopes for other, scopes in tokens.items()}
        self._wall = wall

    @property
    def is_open(self) -> bool:
        """Whether there is nothing to prove."""
        return not self._token

    def is_master_token(self, token: str) -> bool:
        """Whether it is the one that is good for everything."""
        return _equal(token, self._token)

    def enforce(self, request: web.Request, scope: str | None) -> None:
        """Raises Unauthorized unless the request may do what `scope` names, or None, what everybody may who has a token;
        what is not read is never let in by cookie."""
        reads = scope in ("read", None)
        if not self._token:
            if not reads and not _from_here(request):
                raise Unauthorized(
                    "without an admin token a write must come from this machine, and from no page"
                )
            return
        given = _given(request, basic=scope in ("events", None))
        # Every token is compared, so that the time tells nothing of which it was.
        granted = {scope} if self.is_master_token(given) else set[str | None]()
        for token, scopes in self._tokens.items():
            if _equal(given, token):
                granted |= {*scopes, None}
        if scope in granted or (reads and self._holds(request.cookies.get(COOKIE, ""))):
            return
        if granted:
            raise Unauthorized(f"this token lacks the scope {scope}")
        if given:
            raise Unauthorized("the token that was sent is not known here")
        needed = f" with the scope {scope}" if scope else ""
        raise Unauthorized(f"a token{needed} must be sent as Authorization: Bearer")

    def cookie(self) -> str:
        """Good for LOGIN_S."""
        until = str(int(self._wall()) + LOGIN_S)
        return f"{until}.{self._mac(until)}"

    def _holds(self, cookie: str) -> bool:
        until, _, mac = cookie.partition(".")
        return _equal(mac, self._mac(until).encode()) and int(until) > self._wall()

    def _mac(self, until: str) -> str:
        message = b"calotype admin page\n" + until.encode("utf-8", "surrogateescape")
        return hmac.digest(self._token, message, hashlib.sha256).hex()


def _given(request: web.Request, *, basic: bool) -> str:
    """The token of a request. Stores that call a webhook send it as they can: bare, or as the password in its URL."""
    header = request.headers.get(hdrs.AUTHORIZATION, "")
    kind, _, given = header.partition(" ")
    if kind.lower() == "bearer":
        return given.strip()
    if basic and kind.lower() == "basic":
        with suppress(ValueError):
            return base64.b64decode(given, validate=True).decode("utf-8", "replace").partition(":")[2]
    return header if basic and not given else ""


def _from_here(request: web.Request) -> bool:
    if hdrs.ORIGIN in request.headers:
        return False
    with suppress(ValueError):
        return urlsplit(f"//{request.headers.get(hdrs.HOST, '')}").hostname in _LOOPBACK
    return False


def _equal(given: str, ours: bytes) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), ours)
