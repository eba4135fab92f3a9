"""Signed URLs: sign and verify raw request targets, byte for byte, before anything of them is parsed.

Keys and the time are arguments. What a mount asks of a signature is not decided here.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from proxy.core.errors import BadSignature, BadUrl, SignatureExpired
from proxy.core.nearest import named
from proxy.core.url.target import decoded, is_tracker

MIN_SECRET_BYTES = 32

_SIG = "sig"
_SCOPES = frozenset({"exp", "dom", "ses"})
_NAMES = _SCOPES | {"kid", _SIG}
_SIG_LENGTH = 43
_AND_MORE = re.compile(rf"[A-Za-z0-9_-]{{{_SIG_LENGTH}}}([^A-Za-z0-9_-].*)", re.DOTALL)
_EXPIRY = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)
_DOMAIN = re.compile(r"(?=.{1,253}\Z)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*", re.ASCII)

Keys = Mapping[str, bytes]
"""Secrets by key id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restrictions:
    """What a signature holds for: until a point in unix seconds, on pages of a domain, in one session; None is any."""

    until_s: int | None = None
    domain: str | None = None
    session: str | None = field(default=None, repr=False)

    @property
    def varies_by_client(self) -> bool:
        """Whether it depends on who asks, and from where."""
        return self.domain is not None or self.session is not None

    def check_time(self, now_s: float) -> None:
        """Raises SignatureExpired where its time is over; there is no leeway."""
        if self.until_s is not None and now_s >= self.until_s:
            raise SignatureExpired("the URL was signed for a time that is over (exp)")

    def check(self, now_s: float, *, origin: str | None, referer: str | None, session: str | None) -> None:
        """Raises SignatureExpired or BadSignature unless a request that brings these is within the scope."""
        self.check_time(now_s)
        if self.domain is not None:
            host = _host(referer if origin is None else origin)
            if host != self.domain and not host.endswith(f".{self.domain}"):
                raise BadSignature("the URL was signed for pages of another site (dom)")
        if self.session is not None and not _equal(self.session, session or ""):
            raise BadSignature("the URL was signed for another session (ses)")


UNRESTRICTED = Restrictions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A target whose signature is valid; `target` is what is left without the parameters of the signature."""

    target: str
    key_id: str
    restrictions: Restrictions


def sign(
    raw: str,
    secret: bytes,
    *,
    until_s: int | None = None,
    key_id: str = "",
    domain: str = "",
    session: str = "",
) -> str:
    """`raw`, a target as it will be requested, with its signature; names its key where `key_id` is given.

    Raises BadUrl where it holds parameters of a signature already, or a scope that makes no sense.
    """
    if unsigned(raw) != raw:
        raise BadUrl("the URL is signed already: leave out sig, exp, kid, dom and ses")
    try:
        spelled = quote(session, safe="")
    except UnicodeEncodeError:
        raise BadUrl("parameter ses is not UTF-8") from None
    named = {
        "exp": "" if until_s is None else str(until_s),
        "kid": key_id,
        "dom": domain,
        "ses": spelled,
    }
    for name, value in named.items():
        if value:
            raw = f"{raw}{_joint(raw)}{name}={value}"
    signed = f"{raw}{_joint(raw)}{_SIG}={_mac(secret, raw)}"
    verify(signed, {key_id: secret})
    return signed


def verify(raw: str, keys: Keys) -> Signed | None:
    """What is signed in `raw`, which may have trackers' parameters behind its signature; None if it has none.

    Raises BadSignature where none of `keys`, or not the one it names, made it, or where something else stands behind it;
    BadUrl for a signed parameter that makes no sense.
    """
    found = _cut(raw)
    if found is None:
        return None
    message, given = found
    target, parameters = _parted(message)
    ids = [value for name, value in parameters if name == "kid"]
    candidates = keys if not ids else {key_id: keys[key_id] for key_id in ids if key_id in keys}
    # Every key is tried, so that the time tells nothing of which it was.
    makers = [key_id for key_id, secret in candidates.items() if _equal(_mac(secret, message), given)]
    if not makers:
        raise BadSignature("the signature does not fit the URL" + _behind(given))
    signed = dict(parameters)
    if len(signed) < len(parameters):
        raise BadUrl("a parameter of the signature is given twice")
    return Signed(target=target, key_id=makers[0], restrictions=_scope(signed))


def unsigned(raw: str) -> str:
    """`raw` without the parameters of a signature, whether it is valid or not."""
    return _parted(raw)[0]


def is_restricted(raw: str) -> bool:
    """Whether an answer to `raw`, even an error, may not be kept as long or as widely as others."""
    return any(name in _SCOPES for name, _ in _parted(raw)[1])


def _parted(raw: str) -> tuple[str, list[tuple[str, str]]]:
    """`raw` without the parameters of a signature, and those, as they are spelled."""
    path, mark, query = raw.partition("?")
    if not mark:
        return raw, []
    parts = [(part, part.partition("=")) for part in query.split("&")]
    rest = [part for part, (name, _, _) in parts if name not in _NAMES]
    if len(rest) == len(parts):
        return raw, []
    target = path + ("?" + "&".join(rest) if rest else "")
    return target, [(name, value) for _, (name, _, value) in parts if name in _NAMES]


def _cut(raw: str) -> tuple[str, str] | None:
    """What is signed and the signature; raises BadSignature where that is not the last parameter."""
    path, _, query = raw.partition("?")
    parts = query.split("&")
    at = next((at for at, part in enumerate(parts) if part.startswith(f"{_SIG}=")), None)
    if at is None:
        return None
    for place, part in enumerate(parts[at + 1 :], start=at + 2):
        if not is_tracker(name := _name(part)):
            raise BadSignature(
                f"parameter {named(name, place)} stands behind the signature: sig must be the last parameter"
            )
    message = "&".join(parts[:at])
    return f"{path}?{message}" if at else path, parts[at].removeprefix(f"{_SIG}=")


def _behind(given: str) -> str:
    """That a value begins like a signature and goes on."""
    match = _AND_MORE.fullmatch(given)
    return f": text of length {len(match[1])} stands behind its {_SIG_LENGTH} characters" if match else ""


def _name(part: str) -> str:
    return part.partition("=")[0]


def _joint(raw: str) -> str:
    return "&" if "?" in raw else "?"


def _mac(secret: bytes, message: str) -> str:
    mac = hmac.digest(secret, message.encode("utf-8", "surrogateescape"), hashlib.sha256)
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def _equal(ours: str, given: str) -> bool:
    """As text, so that one spelling alone is right; in a time that does not tell where they differ."""
    return hmac.compare_digest(ours.encode(), given.encode("utf-8", "surrogateescape"))


def _scope(signed: Mapping[str, str]) -> Restrictions:
    until, domain, session = signed.get("exp"), signed.get("dom"), signed.get("ses")
    if until is not None and not _EXPIRY.fullmatch(until):
        raise BadUrl("parameter exp must be a time in whole unix seconds")
    if domain is not None and not _DOMAIN.fullmatch(domain):
        raise BadUrl("parameter dom must be a host name in lower case")
    if session == "":
        raise BadUrl("parameter ses is empty")
    if until is domain is session is None:
        return UNRESTRICTED
    return Restrictions(
        until_s=None if until is None else int(until),
        domain=domain,
        session=None if session is None else decoded(session, "parameter ses"),
    )


def _host(url: str | None) -> str:
    try:
        return (urlsplit(url or "").hostname or "").removesuffix(".")
    except ValueError:
        return ""
