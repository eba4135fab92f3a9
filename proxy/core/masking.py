"""Removes credentials from URLs before they are logged, in any parameter and any encoding.

A parameter is masked by its name, a value by its form: a long run of letters and digits may be a signature.
"""

import re
from urllib.parse import quote, unquote_to_bytes

CREDENTIALS = (
    *("x-amz-signature", "x-amz-credential", "x-amz-security-token", "x-goog-signature", "x-goog-credential"),
    *("awsaccesskeyid", "key-pair-id", "signature", "sig", "hmac", "hdnts", "hdnea"),
)
"""Parameter names, in lower case, that carry a credential."""

_NAMED = re.compile(
    rf"(?:{'|'.join(CREDENTIALS)}|hdntl|(?<![a-z])(?:ses|sign|auth|authorization|jwt)|session(?:id)?|token|secret|password|passwd|api_?key"
    r"|credential)s?(?:[^a-z=:&?/][^=:&?/]{0,100})?[=:]"
    r"|//[^/@]*@",
    re.IGNORECASE,
)
"""A credential's name, also with a suffix such as an index, or user information before a host."""
_VALUE = re.compile(
    r"(?<=[?&;])(?!(?:url|preset)=)[^=&?;]*=[^&?;]*?(?P<value>[A-Za-z0-9+/_-]{20,})",
)
"""A query value as long as a signature; keys and preset names may have that length."""
_SEGMENT = re.compile(
    r"(?<=/)(?:(?=[a-z0-9_-]*[A-Z])(?=[A-Z0-9_-]*[a-z])[A-Za-z0-9_-]{27,}={0,2}|s--[A-Za-z0-9_-]{8,}--)(?=[/?&]|\Z)"
    r"|(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
)
"""A path segment that is a signature of at least 20 bytes in base64, a Cloudinary signature, or a JSON Web Token."""
_DECODINGS = 4


def without_secrets(raw: str) -> str:
    """`raw` up to the first credential of its own or of a URL within it."""
    plain, is_decoded = raw, False
    for _ in range(_DECODINGS):
        deeper = unquote_to_bytes(plain.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")
        if is_decoded := deeper == plain:
            break
        plain = deeper
    patterns = (_NAMED, _VALUE, _SEGMENT) if any(mark in plain for mark in "=:@") else (_SEGMENT,)
    found = [
        match.start("value" if pattern is _VALUE else 0)
        for pattern in patterns
        if (match := pattern.search(plain))
    ]
    if found:
        return quote(plain[: min(found)], safe="/:?&=;,@.-_~") + "..."
    # A value that is still encoded after these passes may hide a credential.
    return raw if is_decoded else raw.partition("%25")[0] + "..."
