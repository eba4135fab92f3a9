"""What a log may show of a URL: nothing that lets its bearer in, by whatever name and however it is encoded.

A parameter is masked for its name, a value for its looks: a long run of letters and digits is taken for a signature.
"""

import re
from urllib.parse import quote, unquote_to_bytes

CREDENTIALS = (
    *("x-amz-signature", "x-amz-credential", "x-amz-security-token", "x-goog-signature", "x-goog-credential"),
    *("awsaccesskeyid", "key-pair-id", "signature", "sig", "hmac", "hdnts", "hdnea"),
)
"""Names of parameters, in lower case, by which a URL lets its bearer in."""

_NAMED = re.compile(
    rf"(?:{'|'.join(CREDENTIALS)}|hdntl|(?<![a-z])(?:ses|sign|auth|authorization|jwt)|session(?:id)?|token|secret|password|passwd|api_?key"
    r"|credential)s?(?:[^a-z=:&?/][^=:&?/]{0,100})?[=:]"
    r"|//[^/@]*@",
    re.IGNORECASE,
)
"""A name that says so, also with an index or anything else behind it, or a user before a host."""
_VALUE = re.compile(
    r"(?<=[?&;])(?!(?:url|preset)=)[^=&?;]*=[^&?;]*?(?P<value>[A-Za-z0-9+/_-]{20,})",
)
"""A value of a query that is as long as a signature; keys and names of presets may be."""
_SEGMENT = re.compile(
    r"(?<=/)(?:(?=[a-z0-9_-]*[A-Z])(?=[A-Z0-9_-]*[a-z])[A-Za-z0-9_-]{27,}={0,2}|s--[A-Za-z0-9_-]{8,}--)(?=[/?&]|\Z)"
    r"|(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
)
"""A segment of a path that is a signature of 20 bytes or more in base64, or Cloudinary's; or a JSON Web Token."""
_DECODINGS = 4


def without_secrets(raw: str) -> str:
    """`raw` as a log may show it: up to the first credential of its own or of a URL within it."""
    plain, rests = raw, False
    for _ in range(_DECODINGS):
        deeper = unquote_to_bytes(plain.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")
        if rests := deeper == plain:
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
    # What is encoded deeper still is not for showing.
    return raw if rests else raw.partition("%25")[0] + "..."
