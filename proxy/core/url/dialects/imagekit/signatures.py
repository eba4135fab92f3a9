"""The signatures of ImageKit: `ik-s`, an HMAC-SHA-1 in hexadecimal, and `ik-t`, the expiry in Unix seconds.

The signed text is all of the raw target below the mount without these parameters, and the expiry, or that of a URL
without one. The parameters may stand anywhere in the query; parameters of trackers at its end are not signed.
"""

import hmac
import re

from proxy.core.errors import BadSignature
from proxy.core.url.signing import UNRESTRICTED, Keys, Restrictions, Signed, joint, makers_of, without
from proxy.core.url.target import is_tracker

_SIGNATURE, _EXPIRY = "ik-s", "ik-t"
_NAMES = frozenset({_SIGNATURE, _EXPIRY})
_NEVER = "9999999999"
"""The expiry in the signed text of a URL that has none."""
_SECONDS = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)


def verify(raw: str, prefix: str, keys: Keys) -> Signed | None:
    """The content of the signature of `raw`; None without `ik-s`. Raises BadSignature."""
    target, parameters = without(_without_trackers(raw), _NAMES)
    signed = dict(parameters)
    if _SIGNATURE not in signed:
        return None
    until = signed.get(_EXPIRY, _NEVER)
    if len(signed) < len(parameters) or not _SECONDS.fullmatch(until):
        raise BadSignature("the URL must have ik-s and ik-t once, and ik-t must be a time in Unix seconds")
    message = f"{target[len(prefix) :]}{until}".encode("utf-8", "surrogateescape")
    given = signed[_SIGNATURE].encode("utf-8", "surrogateescape")
    makers = makers_of(keys, given, lambda secret: [hmac.digest(secret, message, "sha1").hex().encode()])
    if not makers:
        raise BadSignature("the signature does not match the URL")
    restrictions = Restrictions(until_s=int(until)) if _EXPIRY in signed else UNRESTRICTED
    return Signed(target=target, key_id=makers[0], restrictions=restrictions)


def sign(raw: str, prefix: str, secret: bytes) -> str:
    """`raw`, an unsigned target, with a signature that does not expire."""
    message = f"{raw[len(prefix) :]}{_NEVER}".encode("utf-8", "surrogateescape")
    return f"{raw}{joint(raw)}{_SIGNATURE}={hmac.digest(secret, message, 'sha1').hex()}"


def _without_trackers(raw: str) -> str:
    """`raw` without the parameters of trackers at its end."""
    path, mark, query = raw.partition("?")
    parts = query.split("&")
    while parts and is_tracker(parts[-1].partition("=")[0]):
        parts.pop()
    return f"{path}{mark}{'&'.join(parts)}" if parts else path


def unsigned(raw: str, prefix: str) -> str:
    """`raw` without a signature, valid or not."""
    return without(raw, _NAMES)[0]
