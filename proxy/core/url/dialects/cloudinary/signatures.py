"""The signatures of Cloudinary: `s--<8 or 32 characters>--` in the path, and the token `__cld_token__` in the query.

A signature is of the transformation and the public id with its extension, as they are written, without version, cloud
name, types and SEO suffix. A key is the API secret, for SHA-1; `sha256:SECRET` for an account with SHA-256;
`token:HEXKEY` for tokens. A signature of 32 characters is of SHA-256 with either secret.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote, unquote_to_bytes

from proxy.core.errors import BadSignature, BadUrl, UnknownRoute
from proxy.core.url.dialects.cloudinary.routes import (
    AUTHENTICATED,
    FETCH,
    PRIVATE,
    TOKEN,
    Route,
    fetched_query,
    route_of,
)
from proxy.core.url.signing import UNRESTRICTED, Keys, Restrictions, Signed, makers_of

_SHORT, _LONG = 8, 32
_HASHES = {"sha1": hashlib.sha1, "sha256": hashlib.sha256}
_MARK = 3
"""The length of `s--`, and more than that of `--`."""
_WRONG = "the signature does not match the URL"
_UNIX_TIME = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)
_UNESCAPED = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in "\"#%&'/:;<=>?@[\\]^`{|}~")
"""The printable characters that Cloudinary leaves in the text of a token."""


class _SecretScheme(NamedTuple):
    """A secret, and the algorithm of signatures of 8 characters; empty for the key of tokens."""

    algorithm: str
    secret: bytes


@lru_cache(maxsize=256)
def _scheme(key: bytes) -> _SecretScheme:
    """The scheme of a configured key. Raises ValueError."""
    kind, colon, rest = key.partition(b":")
    if colon and kind == b"token":
        try:
            secret = bytes.fromhex(rest.decode("ascii"))
        except ValueError:
            secret = b""
        if not secret:
            raise ValueError("must be token:HEXKEY with hexadecimal digits")
        return _SecretScheme("", secret)
    algorithm, secret = ("sha256", rest) if colon and kind == b"sha256" else ("sha1", key)
    if not secret:
        raise ValueError("must be SECRET, sha256:SECRET or token:HEXKEY")
    return _SecretScheme(algorithm, secret)


def check_key(secret: str) -> int:
    """How many secret bytes a key has. Raises ValueError for one that is not in one of the forms."""
    return len(_scheme(secret.encode("utf-8", "surrogatepass")).secret)


def verify(raw: str, prefix: str, keys: Keys) -> Signed | None:
    """The content of the signature, the token or both; None for a URL without. Raises BadSignature or BadUrl.

    Each of them that is there must be valid, unless no key is of its kind.
    """
    path, _, query = raw.partition("?")
    try:
        route = route_of(path[len(prefix) - 1 :])
    except UnknownRoute as failure:
        raise BadUrl(failure.detail) from None
    token = _token(query)
    if not route.signature and token is None:
        return None
    if route.delivery == FETCH and fetched_query(query):
        raise BadSignature(
            "the signature does not cover the query of the URL to fetch: percent-encode that URL with its query"
        )
    makers: list[str] = []
    restrictions = UNRESTRICTED
    schemes = {key_id: _scheme(key) for key_id, key in keys.items()}
    secrets = {key_id: scheme for key_id, scheme in schemes.items() if scheme.algorithm}
    if route.signature and (secrets or token is None):
        makers += _makers_of_signature(route, secrets)
    tokens = {key_id: scheme.secret for key_id, scheme in schemes.items() if not scheme.algorithm}
    if token is not None and (tokens or not makers):
        restrictions = _restrictions(token, path, tokens, makers)
    return Signed(target=_without(raw, prefix, route), key_id=makers[0], restrictions=restrictions)


def sign(raw: str, prefix: str, secret: bytes) -> str:
    """`raw`, an unsigned target, with a signature of 8 characters. Raises ValueError for the key of tokens."""
    scheme = _scheme(secret)
    if not scheme.algorithm:
        raise ValueError("is of tokens, which the client libraries of Cloudinary make")
    route = route_of(raw[len(prefix) - 1 :].partition("?")[0])
    text = "/".join((*route.components, *_signed_source(route)))
    start = len(prefix) + sum(len(segment) + 1 for segment in route.head)
    return f"{raw[:start]}s--{_signature(scheme, text, _SHORT).decode()}--/{raw[start:]}"


def _makers_of_signature(route: Route, secrets: dict[str, _SecretScheme]) -> list[str]:
    """The keys that made the signature. Raises BadSignature."""
    given = route.signature[_MARK : 1 - _MARK].encode("utf-8", "surrogateescape")
    texts = _signed_texts(route)
    makers = makers_of(
        secrets, given, lambda scheme: [_signature(scheme, text, len(given)) for text in texts]
    )
    if not makers or len(given) not in (_SHORT, _LONG):
        raise BadSignature(_WRONG)
    return makers


def _signature(scheme: _SecretScheme, text: str, length: int) -> bytes:
    hashed = _HASHES["sha256" if length == _LONG else scheme.algorithm]
    digest = hashed(text.encode("utf-8", "surrogateescape") + scheme.secret).digest()
    return base64.urlsafe_b64encode(digest)[:length]


def _signed_texts(route: Route) -> set[str]:
    """What the signature may be of: transformation and public id as sent, or percent-decoded once; and with the
    version, which clients take for a part of the public id if that begins so."""
    named = _spellings(_signed_source(route))
    if route.version:
        named |= {f"{route.version}/{each}" for each in named}
    if not route.components:
        return named
    return {f"{first}/{rest}" for first in _spellings(route.components) for rest in named}


def _signed_source(route: Route) -> list[str]:
    """The segments of the public id with its extension, without an SEO suffix."""
    source = list(route.source)
    if route.is_seo and len(source) > 1:
        _, dot, extension = source.pop().rpartition(".")
        source[-1] += f"{dot}{extension}" if dot else ""
    return source


def _spellings(segments: Sequence[str]) -> set[str]:
    """The text of segments as sent, and percent-decoded if that moves no boundary and leaves nothing to decode."""
    sent = "/".join(segments)
    if "%" not in sent:
        return {sent}
    plain = unquote(sent, errors="surrogateescape")
    return {sent, plain} if "%" not in plain and plain.count("/") == sent.count("/") else {sent}


def _token(query: str) -> str | None:
    """The value of the token as it is written; None without one. Raises BadUrl."""
    if TOKEN not in query:
        return None
    found = [value for name, _, value in (part.partition("=") for part in query.split("&")) if name == TOKEN]
    if len(found) > 1:
        raise BadUrl(f"parameter {TOKEN} is given twice")
    return found[0] if found else None


def _restrictions(token: str, path: str, keys: dict[str, bytes], makers: list[str]) -> Restrictions:
    """The times of a valid token; adds the keys that made it to `makers`. Raises BadSignature."""
    parts = token.split("~")
    signed, last = parts[:-1], parts[-1]
    fields = dict(part.partition("=")[::2] for part in signed)
    if len(fields) < len(signed) or not last.startswith("hmac="):
        raise BadSignature("the token must be st, exp, acl and hmac, each once, hmac last, joined by ~")
    text = "~".join(signed if "acl" in fields else [*signed, f"url={_escaped(path)}"])
    message = text.encode("utf-8", "surrogateescape")
    given = last.removeprefix("hmac=").encode("utf-8", "surrogateescape")
    found = makers_of(keys, given, lambda key: [hmac.digest(key, message, "sha256").hex().encode()])
    if not found:
        raise BadSignature("the token does not match the URL")
    if fields.keys() - {"st", "exp", "acl"}:
        raise BadSignature(
            "the token is for another address or kind of client: only st, exp and acl are supported"
        )
    if "acl" in fields and not any(_covers(pattern, path) for pattern in fields["acl"].split("!")):
        raise BadSignature("the token is for other paths: its acl does not cover the URL")
    makers += found
    return Restrictions(from_s=_time(fields, "st"), until_s=_time(fields, "exp"))


def _time(fields: dict[str, str], name: str) -> int | None:
    text = fields.get(name)
    if text is None:
        return None
    if not _UNIX_TIME.fullmatch(text):
        raise BadSignature(f"the token must have {name} in whole Unix seconds")
    return int(text)


def _escaped(path: str) -> str:
    """A path as in the text of a token: percent-encoded in lower case."""
    return re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), quote(path, safe=_UNESCAPED))


def _covers(pattern: str, path: str) -> bool:
    """Whether a path matches the pattern of an acl: `*` is any text, and `?` any character."""
    plain = unquote_to_bytes(pattern).decode("utf-8", "surrogateescape")
    wild = {"*": ".*", "?": "."}
    return (
        re.fullmatch("".join(wild.get(each, re.escape(each)) for each in plain), path, re.DOTALL) is not None
    )


def unsigned(raw: str, prefix: str) -> str:
    """`raw` without its signature and token, valid or not."""
    try:
        return _without(raw, prefix, route_of(raw[len(prefix) - 1 :].partition("?")[0]))
    except (UnknownRoute, BadUrl):
        return raw


def _without(raw: str, prefix: str, route: Route) -> str:
    path, mark, query = raw.partition("?")
    if route.signature:
        start = len(prefix) + sum(len(segment) + 1 for segment in route.head)
        path = path[:start] + path[start + len(route.signature) + 1 :]
    if mark and TOKEN in query:
        parts = [part for part in query.split("&") if part.partition("=")[0] != TOKEN]
        query = "&".join(parts)
        mark = "?" if query else ""
    return f"{path}{mark}{query}"


def is_always_signed(target: str) -> bool:
    """Whether Cloudinary requires a signature: of authenticated assets, and of private originals."""
    try:
        route = route_of(target.partition("?")[0])
    except (UnknownRoute, BadUrl):
        return False
    return route.delivery == AUTHENTICATED or (route.delivery == PRIVATE and not route.components)
