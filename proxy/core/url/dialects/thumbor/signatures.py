"""The signatures of thumbor and imagor: the first segment of a path, an HMAC in base64url of all that follows it.

A key is a secret, for SHA-1, or `ALGORITHM:LENGTH:SECRET` with sha1, sha256 or sha512, as imagor truncates signatures.
"""

import base64
import hmac
import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote, unquote_to_bytes

from proxy.core.errors import BadSignature, BadUrl
from proxy.core.url.dialects.thumbor.options import written
from proxy.core.url.signing import UNRESTRICTED, Keys, Signed, makers_of

UNSAFE = "unsafe"
"""The first segment of an unsigned URL."""
SIGNATURE = re.compile(r"[A-Za-z0-9_-]{8,86}(?:=|%3[Dd]){0,2}", re.ASCII)
NO_SIGNATURE = "the URL must be /unsafe/<options>/<image>, or have a signature in place of unsafe"
_LENGTHS = {b"sha1": 28, b"sha256": 44, b"sha512": 88}
"""The characters of a signature by algorithm, with padding."""
_MIN_LENGTH = 8


class _Scheme(NamedTuple):
    """A secret, its hash algorithm, and how many characters of the signature URLs have."""

    algorithm: str
    length: int
    secret: bytes


@lru_cache(maxsize=256)
def _scheme(key: bytes) -> _Scheme:
    """The scheme of a configured key. Raises ValueError."""
    algorithm, colon, rest = key.partition(b":")
    if not colon or algorithm not in _LENGTHS:
        if not key:
            raise ValueError("must not be empty")
        return _Scheme("sha1", _LENGTHS[b"sha1"], key)
    length, _, secret = rest.partition(b":")
    most = _LENGTHS[algorithm]
    if not (secret and length.isdigit() and len(length) <= 2 and _MIN_LENGTH <= int(length) <= most):
        name = algorithm.decode()
        raise ValueError(f"must be {name}:LENGTH:SECRET with a LENGTH from {_MIN_LENGTH} to {most}")
    return _Scheme(algorithm.decode(), int(length), secret)


def verify(raw: str, prefix: str, keys: Keys) -> Signed | None:
    """The content of the signature of `raw`, which is of all that follows it, as sent or percent-decoded; None for
    `unsafe`. Raises BadSignature or BadUrl."""
    first, slash, rest = _below(raw, prefix).partition("/")
    if not slash:
        raise BadUrl(NO_SIGNATURE)
    if first == UNSAFE:
        return None
    given = unquote_to_bytes(first.encode("utf-8", "surrogateescape"))
    sent = rest.encode("utf-8", "surrogateescape")
    makers = makers_of(keys, given, lambda key: [_mac(key, sent)])
    if not makers and "%" in rest:
        plain = unquote_to_bytes(sent)
        makers = makers_of(keys, given, lambda key: [_mac(key, plain)])
        makers = makers if makers and _has_plain_options(rest) else []
    if not makers:
        raise BadSignature("the signature does not match the URL")
    return Signed(target=unsigned(raw, prefix), key_id=makers[0], restrictions=UNRESTRICTED)


def _below(raw: str, prefix: str) -> str:
    return raw[len(prefix) :].partition("?")[0]


def _has_plain_options(rest: str) -> bool:
    """Whether the options end at the same location if they are percent-decoded: else a signature of options would also
    be one of an image with their name."""
    plain = unquote(rest, errors="surrogateescape")
    return unquote(written(rest).image, errors="surrogateescape") == written(plain).image


def _mac(key: bytes, text: bytes) -> bytes:
    scheme = _scheme(key)
    mac = base64.urlsafe_b64encode(hmac.digest(scheme.secret, text, scheme.algorithm))
    return mac[: scheme.length]


def sign(raw: str, prefix: str, secret: bytes) -> str:
    """`raw`, an unsigned target, with a signature in place of `unsafe`."""
    rest = _below(raw, prefix).removeprefix(f"{UNSAFE}/")
    return f"{prefix}{_mac(secret, rest.encode('utf-8', 'surrogateescape')).decode()}/{rest}"


def unsigned(raw: str, prefix: str) -> str:
    """`raw` with `unsafe` in place of a signature, valid or not."""
    path, mark, query = raw[len(prefix) :].partition("?")
    first, slash, rest = path.partition("/")
    return f"{prefix}{UNSAFE}/{rest}{mark}{query}" if slash and SIGNATURE.fullmatch(first) else raw


def check_key(secret: str) -> int:
    """How many secret bytes a key has. Raises ValueError for one that is not in one of the forms."""
    return len(_scheme(secret.encode()).secret)
