"""The signatures of imgix: the last parameter `s`, an MD5 in hexadecimal of the token and all that precedes it.

The text is that of the raw target, in the order of the URL. Clients know no prefix of a mount: a signature of the part
below the prefix is as good as one of the whole target.
"""

import hashlib

from proxy.core.errors import BadSignature
from proxy.core.url.signing import UNRESTRICTED, Keys, Signed, cut_at, joint, makers_of, without

_NAME = "s"


def verify(raw: str, prefix: str, keys: Keys) -> Signed | None:
    """The content of the signature of `raw`; None without one. Parameters of trackers may follow the signature.

    Raises BadSignature.
    """
    if (found := cut_at(raw, _NAME)) is None:
        return None
    message, given = found
    texts = {message, message[len(prefix) - 1 :]}
    made = given.encode("utf-8", "surrogateescape")
    makers = makers_of(keys, made, lambda secret: [_digest(secret, text) for text in texts])
    if not makers:
        raise BadSignature("the signature does not match the URL")
    return Signed(target=message, key_id=makers[0], restrictions=UNRESTRICTED)


def sign(raw: str, prefix: str, secret: bytes) -> str:
    """`raw`, an unsigned target, with the signature that the clients of imgix make."""
    return f"{raw}{joint(raw)}{_NAME}={_digest(secret, raw[len(prefix) - 1 :]).decode()}"


def _digest(secret: bytes, text: str) -> bytes:
    message = secret + text.encode("utf-8", "surrogateescape")
    return hashlib.md5(message, usedforsecurity=False).hexdigest().encode()


def unsigned(raw: str, prefix: str) -> str:
    """`raw` without a signature, valid or not."""
    return without(raw, frozenset({_NAME}))[0]
