"""Cache-Control, entity tags, conditional and range requests (RFC 9110 13 and 14, RFC 9111).

Decisions on header text only. A variant's entity tag is made of its cache key, so a conditional request is
answered before anything is looked up.
"""

import re
from enum import Enum

IMMUTABLE_S = 365 * 86_400

NO_STORE = "no-store"

_ETAG = re.compile(r'[\s,]*(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)')
_DIGITS = "[0-9]{0,4000}"
"""More than any file needs, and no more than Python makes a number of."""
_RANGE = re.compile(
    rf"bytes=(?:(?:[ \t]*,)+[ \t]*)?({_DIGITS})-({_DIGITS})(?:[ \t]*,)*", re.ASCII | re.IGNORECASE
)


def cache_control(max_age_s: int, *, private: bool = False) -> str:
    """What a variant carries; only the full year is promised `immutable` (RFC 8246)."""
    immutable = ", immutable" if max_age_s == IMMUTABLE_S else ""
    return f"{'private' if private else 'public'}, max-age={max_age_s}{immutable}"


def etag(digest: str) -> str:
    """A strong entity tag of the first 128 bits of a hex digest."""
    return f'"{digest[:32]}"'


def matches(if_none_match: str, tag: str) -> bool:
    """If-None-Match by weak comparison (RFC 9110 13.1.2); what is not a list of tags matches nothing.

    `*` asks whether there is a picture at all, which its tag cannot tell: it matches nothing here.
    """
    at = 0
    while match := _ETAG.match(if_none_match, at):
        if match[1] == tag:
            return True
        at = match.end()
    return False


class Whole(Enum):
    """A range request that is answered with the whole."""

    WHOLE = "whole"


def byte_range(wanted: str, if_range: str | None, tag: str, length: int) -> range | Whole | None:
    """The bytes of a single range; WHOLE where Range is to be ignored; None where it cannot be satisfied.

    Several ranges, other units and malformed ones are ignored, as RFC 9110 14.2 allows; empty elements of the list
    are none (5.6.1.2). If-Range counts only as this strong tag.
    """
    match = _RANGE.fullmatch(wanted.strip())
    if match is None or (if_range is not None and if_range.strip() != tag):
        return Whole.WHOLE
    first, last = match[1], match[2]
    if not first:
        if not last:
            return Whole.WHOLE
        return range(max(0, length - int(last)), length) if int(last) and length else None
    if last and int(last) < int(first):
        return Whole.WHOLE
    start = int(first)
    stop = min(int(last) + 1, length) if last else length
    return range(start, stop) if start < length else None
