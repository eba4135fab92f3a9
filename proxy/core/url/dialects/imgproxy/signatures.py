"""The signatures of imgproxy: the first segment of a path, an HMAC-SHA256 in base64url of a salt and all that follows it.

A key is HEXKEY:HEXSALT, with the number of bytes of a truncated signature behind it, or `trusted:TEXT`.
"""

import base64
import hashlib
import hmac
import re
from functools import lru_cache
from typing import NamedTuple

from proxy.core.errors import BadSignature, BadUrl, UnknownRoute
from proxy.core.url.signing import UNRESTRICTED, Keys, Signed, makers_of

UNSIGNED = ("unsafe", "insecure", "_")
_MERGED_SLASHES = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/(?=[^/])")
_DIGEST_BYTES = 32
NO_SIGNATURE = (
    "the first segment must be a signature, or unsafe where none is required: /unsafe/w:400/plain/<URL>"
)


def split(target: str) -> tuple[str, str]:
    """The segment of the signature, and all behind it without the query. Raises UnknownRoute."""
    signature, _, rest = target.partition("?")[0][1:].partition("/")
    if not signature or not rest:
        raise UnknownRoute("no such route: the URL of a variant is /<signature>/<options>/plain/<URL>")
    return signature, rest


def repaired(rest: str) -> str:
    """`rest` with the slashes that proxies merge after a scheme, and with the colons of options not percent-encoded."""
    options, plain, url = f"/{rest}".partition("/plain/")
    if "%3" in options:
        options = options.replace("%3A", ":").replace("%3a", ":")
    if plain and (match := _MERGED_SLASHES.match(url)):
        slashes = "///" if match[1] == "local" else "//"
        url = f"{match[1]}:{slashes}{url[match.end() :]}"
    return f"{options}{plain}{url}"[1:]


class _KeyPair(NamedTuple):
    """A key, a salt, and how many bytes of the digest a signature has."""

    key: bytes
    salt: bytes
    length: int

    def signature(self, rest: str) -> bytes:
        message = self.salt + b"/" + rest.encode("utf-8", "surrogatepass")
        digest = hmac.digest(self.key, message, hashlib.sha256)[: self.length]
        return base64.urlsafe_b64encode(digest).rstrip(b"=")


@lru_cache(maxsize=256)
def _scheme(secret: bytes) -> _KeyPair | bytes:
    """A pair, or the text of a trusted signature. Raises ValueError."""
    kind, colon, rest = secret.partition(b":")
    if kind == b"trusted" and colon:
        if not re.fullmatch(rb"[^/?:\x00-\x20\x7f-\xff]+", rest):
            raise ValueError("must have a path segment without a colon after trusted:")
        return rest
    key, salt, *length = secret.decode("ascii", "replace").split(":")[:4] if colon else ("", "")
    try:
        pair = _KeyPair(bytes.fromhex(key), bytes.fromhex(salt), int(length[0]) if length else _DIGEST_BYTES)
    except ValueError:
        pair = _KeyPair(b"", b"", 0)
    if not pair.key or not pair.salt or not 1 <= pair.length <= _DIGEST_BYTES or len(length) > 1:
        raise ValueError(
            f"must be HEXKEY:HEXSALT, HEXKEY:HEXSALT:BYTES with 1 to {_DIGEST_BYTES} bytes, or trusted:TEXT"
        )
    return pair


def verify(raw: str, prefix: str, keys: Keys) -> Signed | None:
    """The verified signature of a raw target; None for an unsigned one. Raises BadSignature or BadUrl."""
    try:
        signature, rest = split(raw[len(prefix) - 1 :])
    except UnknownRoute as failure:
        raise BadUrl(failure.detail) from None
    given = signature.encode("utf-8", "surrogatepass")
    messages = {rest, repaired(rest)}
    if makers := makers_of(keys, given, lambda secret: _expected(_scheme(secret), messages)):
        return Signed(target=raw, key_id=makers[0], restrictions=UNRESTRICTED)
    if signature in UNSIGNED:
        return None
    raise BadSignature(NO_SIGNATURE if ":" in signature else "the signature does not match the URL")


def sign(raw: str, prefix: str, secret: bytes) -> str:
    """`raw`, an unsigned target, with a signature in place of the word for unsigned URLs."""
    _, rest = split(raw[len(prefix) - 1 :])
    [signature, *_] = _expected(_scheme(secret), {rest})
    return f"{prefix}{signature.decode()}/{rest}"


def _expected(scheme: _KeyPair | bytes, messages: set[str]) -> list[bytes]:
    """The signatures that a key accepts for a URL."""
    if isinstance(scheme, bytes):
        return [scheme]
    return [scheme.signature(message) for message in messages]


def unsigned(raw: str, prefix: str) -> str:
    """`raw` with a word for unsigned URLs in place of its signature, valid or not."""
    signature, slash, rest = raw[len(prefix) :].partition("/")
    if not signature or not slash or signature in UNSIGNED or ":" in signature or "?" in signature:
        return raw
    return f"{prefix}{UNSIGNED[0]}/{rest}"


def check_key(secret: str) -> int:
    """The length of the key of a pair, or of a trusted signature. Raises ValueError for any other secret."""
    scheme = _scheme(secret.encode("utf-8", "surrogatepass"))
    return len(scheme.key if isinstance(scheme, _KeyPair) else scheme)
