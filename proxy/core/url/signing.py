"""Signed URLs: signs and verifies raw request targets, byte for byte, before they are parsed.

Keys and the time are arguments. The mount decides whether a signature is required.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import TypeVar
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

Key = TypeVar("Key")
Keys = Mapping[str, bytes]
"""Secrets by key id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restrictions:
    """Where a signature is valid: from and until Unix times in seconds, on pages of a domain, in one session; None is any."""

    from_s: int | None = None
    until_s: int | None = None
    domain: str | None = None
    session: str | None = field(default=None, repr=False)

    @property
    def varies_by_client(self) -> bool:
        """Whether validity depends on the client's page or session."""
        return self.domain is not None or self.session is not None

    def until(self, until_s: int | None) -> "Restrictions":
        """These restrictions, with `until_s` too if it is given."""
        if until_s is None or (self.until_s is not None and self.until_s <= until_s):
            return self
        return replace(self, until_s=until_s)

    def check_time(self, now_s: float) -> None:
        """Raises SignatureExpired at or after `until_s`, and BadSignature before `from_s`; there is no leeway."""
        if self.from_s is not None and now_s < self.from_s:
            raise BadSignature("the signed URL is not valid yet: its start is in the future")
        if self.until_s is not None and now_s >= self.until_s:
            raise SignatureExpired("the signed URL has expired: parameter exp is in the past")

    def check(self, now_s: float, *, origin: str | None, referer: str | None, session: str | None) -> None:
        """Raises SignatureExpired or BadSignature if a request with these headers is outside the restrictions."""
        self.check_time(now_s)
        if self.domain is not None:
            host = _host(referer if origin is None else origin)
            if host != self.domain and not host.endswith(f".{self.domain}"):
                raise BadSignature("the URL is signed for pages of another domain: parameter dom")
        if self.session is not None and not _equal(self.session, session or ""):
            raise BadSignature("the URL is signed for another session: parameter ses")


UNRESTRICTED = Restrictions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A target with a valid signature; `target` is without the parameters of the signature."""

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
    """`raw`, a request target, with its signature appended, and with the parameter kid if `key_id` is given.

    Raises BadUrl if `raw` has parameters of a signature already, or if a restriction is invalid.
    """
    if unsigned(raw) != raw:
        raise BadUrl("the URL is already signed: remove the parameters sig, exp, kid, dom and ses")
    try:
        spelled = quote(session, safe="")
    except UnicodeEncodeError:
        raise BadUrl("parameter ses is not UTF-8") from None
    restrictions = {
        "exp": "" if until_s is None else str(until_s),
        "kid": key_id,
        "dom": domain,
        "ses": spelled,
    }
    for name, value in restrictions.items():
        if value:
            raw = f"{raw}{joint(raw)}{name}={value}"
    signed = f"{raw}{joint(raw)}{_SIG}={_mac(secret, raw)}"
    verify(signed, {key_id: secret})
    return signed


def verify(raw: str, keys: Keys) -> Signed | None:
    """The content of the signature of `raw`; None without one. Parameters of trackers may follow the signature.

    Raises BadSignature if no key of `keys`, or not the key that kid names, made it, or if another parameter follows
    it; BadUrl for an invalid signed parameter.
    """
    found = cut_at(raw, _SIG)
    if found is None:
        return None
    message, given = found
    target, parameters = without(message, _NAMES)
    ids = [value for name, value in parameters if name == "kid"]
    candidates = keys if not ids else {key_id: keys[key_id] for key_id in ids if key_id in keys}
    makers = makers_of(candidates, _bytes(given), lambda secret: [_mac(secret, message).encode()])
    if not makers:
        raise BadSignature("the signature does not match the URL" + _trailing_text(given))
    signed = dict(parameters)
    if len(signed) < len(parameters):
        raise BadUrl("a parameter of the signature is given twice")
    return Signed(target=target, key_id=makers[0], restrictions=restrictions_of(signed))


def makers_of(keys: Mapping[str, Key], given: bytes, expected: Callable[[Key], Iterable[bytes]]) -> list[str]:
    """The ids of the keys that made the signature `given`, which is one of those that `expected` makes with the key.

    Every key and signature is compared, so that the time does not reveal the matching one.
    """
    return [
        key_id
        for key_id, key in keys.items()
        if [made for made in expected(key) if hmac.compare_digest(made, given)]
    ]


def unsigned(raw: str) -> str:
    """`raw` without the parameters of a signature, valid or not."""
    return without(raw, _NAMES)[0]


def secret_length(secret: str) -> int:
    """How many bytes a secret has that may be any text. Raises ValueError for an empty one."""
    if not secret:
        raise ValueError("must not be empty")
    return len(secret.encode())


def is_restricted(raw: str) -> bool:
    """Whether `raw` has restrictions, which limit how long and where an answer, even an error, may be cached."""
    return any(name in _SCOPES for name, _ in without(raw, _NAMES)[1])


def without(raw: str, names: Set[str]) -> tuple[str, list[tuple[str, str]]]:
    """`raw` without the parameters called `names`, and those parameters, not decoded."""
    path, mark, query = raw.partition("?")
    if not mark:
        return raw, []
    parts = [(part, part.partition("=")) for part in query.split("&")]
    rest = [part for part, (name, _, _) in parts if name not in names]
    if len(rest) == len(parts):
        return raw, []
    target = path + ("?" + "&".join(rest) if rest else "")
    return target, [(name, value) for _, (name, _, value) in parts if name in names]


def cut_at(raw: str, signature: str) -> tuple[str, str] | None:
    """The text before the parameter called `signature`, and its value; None without one. Raises BadSignature if it is not
    the last parameter but for those of trackers."""
    path, _, query = raw.partition("?")
    parts = query.split("&")
    at = next((at for at, part in enumerate(parts) if part.startswith(f"{signature}=")), None)
    if at is None:
        return None
    for position, part in enumerate(parts[at + 1 :], start=at + 2):
        if not is_tracker(name := _name(part)):
            raise BadSignature(
                f"parameter {named(name, position)} follows the signature: {signature} must be the last parameter"
            )
    message = "&".join(parts[:at])
    return f"{path}?{message}" if at else path, parts[at].removeprefix(f"{signature}=")


def _trailing_text(given: str) -> str:
    """Describes text after a value that begins like a signature."""
    match = _AND_MORE.fullmatch(given)
    return f": text of length {len(match[1])} follows its {_SIG_LENGTH} characters" if match else ""


def _name(part: str) -> str:
    return part.partition("=")[0]


def joint(raw: str) -> str:
    """What precedes a further parameter of the query."""
    return "&" if "?" in raw else "?"


def _mac(secret: bytes, message: str) -> str:
    mac = hmac.digest(secret, _bytes(message), hashlib.sha256)
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def _equal(expected: str, given: str) -> bool:
    """Compares text, so that only one spelling matches, in a time that does not depend on the difference."""
    return hmac.compare_digest(expected.encode(), _bytes(given))


def _bytes(text: str) -> bytes:
    """The bytes of a part of a raw target."""
    return text.encode("utf-8", "surrogateescape")


def restrictions_of(signed: Mapping[str, str]) -> Restrictions:
    """Those of the values, not decoded, of exp, dom and ses. Raises BadUrl."""
    until, domain, session = signed.get("exp"), signed.get("dom"), signed.get("ses")
    if until is not None and not _EXPIRY.fullmatch(until):
        raise BadUrl("parameter exp must be a time in whole Unix seconds")
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
