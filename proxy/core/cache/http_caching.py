"""Cache-Control, entity tags, conditional and range requests (RFC 9110 13 and 14, RFC 9111).

Decides on header text only. A variant's entity tag is made of its cache key, so that a conditional request is
answered before any lookup.
"""

import re
from datetime import UTC, datetime
from enum import Enum

IMMUTABLE_S = 365 * 86_400

NO_STORE = "no-store"

_DATES = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")
_ETAG = re.compile(r'[\s,]*(W/)?("[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)')
_DIGITS = "[0-9]{0,4000}"
"""More digits than any file size has, and no more than Python converts to an integer."""
_RANGE = re.compile(
    rf"bytes=(?:(?:[ \t]*,)+[ \t]*)?({_DIGITS})-({_DIGITS})(?:[ \t]*,)*", re.ASCII | re.IGNORECASE
)


def cache_control(max_age_s: int, *, private: bool = False) -> str:
    """The Cache-Control value of a variant; `immutable` (RFC 8246) is added only for a full year."""
    immutable = ", immutable" if max_age_s == IMMUTABLE_S else ""
    return f"{'private' if private else 'public'}, max-age={max_age_s}{immutable}"


def etag(digest: str) -> str:
    """A strong entity tag of the first 128 bits of a hex digest."""
    return f'"{digest[:32]}"'


def matches(tags: str, tag: str, *, strongly: bool = False) -> bool:
    """Whether a list of entity tags has `tag`: If-None-Match by weak comparison (RFC 9110 13.1.2), If-Match by the
    strong one. A malformed list matches nothing.

    `*` matches nothing: it asks whether the picture exists, which the tag does not prove.
    """
    at = 0
    while match := _ETAG.match(tags, at):
        if match[2] == tag and not (strongly and match[1]):
            return True
        at = match.end()
    return False


def http_date(text: str) -> int | None:
    """Unix seconds of a date in any of the three forms of RFC 9110 5.6.7; None for another text."""
    for form in _DATES:
        try:
            return int(datetime.strptime(text.strip(), form).replace(tzinfo=UTC).timestamp())
        except ValueError:
            continue
    return None


def precondition_fails(
    if_match: str | None, unmodified_since: str | None, tag: str, modified_s: float | None
) -> bool:
    """Whether If-Match or If-Unmodified-Since fails (RFC 9110 13.2.2, steps 1 and 2). If `modified_s`, in Unix
    seconds, is None, If-Unmodified-Since is ignored."""
    if if_match is not None:
        return if_match.strip() != "*" and not matches(if_match, tag, strongly=True)
    if unmodified_since is None or modified_s is None:
        return False
    until_s = http_date(unmodified_since)
    return until_s is not None and int(modified_s) > until_s


def is_unmodified(since: str, modified_s: int | None) -> bool:
    """If-Modified-Since (RFC 9110 13.1.3), which counts only without If-None-Match: whether the client's copy is
    current. `modified_s` is in Unix seconds, None if unknown."""
    if modified_s is None:
        return False
    since_s = http_date(since)
    return since_s is not None and modified_s <= since_s


class Whole(Enum):
    """A range request that is answered with the whole picture."""

    WHOLE = "whole"


def byte_range(header: str | None, if_range: str | None, tag: str, length: int) -> range | Whole | None:
    """The bytes of a single range; WHOLE if Range is missing or ignored; None if the range cannot be satisfied.

    Several ranges, other units and malformed ones are ignored, as RFC 9110 14.2 allows; empty list elements do not
    count (5.6.1.2). If-Range must equal this strong tag.
    """
    match = _RANGE.fullmatch((header or "").strip())
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
