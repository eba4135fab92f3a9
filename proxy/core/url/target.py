"""The raw request target: split, percent-decoded exactly once, and the rules for keys.

Nothing is normalised: an ambiguous target is refused (RFC 3986 2.1, 3.3). A character that browsers send raw equals
its percent-encoded form.
"""

import binascii
import re
from functools import lru_cache
from ipaddress import IPv6Address
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from proxy.core.errors import BadUrl, SourceNotAllowed

BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNFIT = re.compile(r"[^\x21-\x7e]|#")
"""Characters that every client percent-encodes; browsers send the others raw (WHATWG URL 1.3)."""
_TRACKERS = frozenset({"fbclid", "gclid", "msclkid", "_ga", "mc_cid", "mc_eid", "ver"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]")
_ORIGIN = re.compile(
    r"https?://(?:\[[0-9a-f:.]+\]|[^/?#@:\[\]]+)(?::[0-9]{1,5})?(?=[/?#]|\Z)", re.IGNORECASE | re.ASCII
)
_ABSOLUTE = re.compile(r"https?://([^/?]+)(.*)", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(
    r"(?P<name>\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})+)(?::0{0,9}[0-9]{0,5})?",
    re.ASCII,
)
_MOST_PORT = 65_535
MAX_PARAMETERS = 64
_LONGEST_PREFIX = 4096
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class Target(NamedTuple):
    """A request target in origin form, not decoded; `query` is None without a `?`."""

    path: str
    query: str | None


def cut(raw: str) -> Target:
    """Splits a target. Raises BadUrl if it is not in origin form or has characters that must be percent-encoded."""
    if not raw.startswith("/"):
        raise BadUrl("the request target must be a path that begins with /")
    if _UNFIT.search(raw):
        raise BadUrl("the URL holds a character that must be percent-encoded")
    path, mark, query = raw.partition("?")
    return Target(path, query if mark else None)


def has_path(raw: str) -> bool:
    """Whether a target has a path below its first slash."""
    return raw.startswith("/") and raw.partition("?")[0] != "/"


def is_tracker(name: str) -> bool:
    """Whether trackers add a parameter of this name to URLs: it is ignored."""
    return name in _TRACKERS or name.startswith("utm_")


def query_parts(query: str) -> list[str]:
    """The parameters of a query. Raises BadUrl for more than `MAX_PARAMETERS`, so that a long URL is refused quickly."""
    parts = query.split("&", MAX_PARAMETERS)
    if len(parts) > MAX_PARAMETERS:
        raise BadUrl(f"a query may have {MAX_PARAMETERS} parameters at most")
    return parts


@lru_cache(256)
def checked_host(host: str) -> str:
    """`host` if it is a valid Host field (RFC 9110 7.2): empty, or a host with or without a port. Raises BadUrl, also
    for a comma, which RFC 3986 allows in names: it may separate two hosts."""
    if not host:
        return host
    match = _HOST.fullmatch(host)
    if match is None or int(host[match.end("name") + 1 :] or 0) > _MOST_PORT:
        raise BadUrl("header Host must be a host, or a host and a port")
    if match["v6"] is not None:
        try:
            IPv6Address(match["v6"])
        except ValueError:
            raise BadUrl("header Host is not a valid IPv6 address") from None
    return host


def in_origin_form(raw: str) -> tuple[str, str]:
    """The host and the target of a target in absolute form (RFC 9112 3.2.2). Raises BadUrl for any other form."""
    match = _ABSOLUTE.fullmatch(raw)
    if match is None:
        raise BadUrl("the request target must be a path that begins with /, or an http URL")
    host, rest = match.groups()
    return checked_host(host), rest if rest.startswith("/") else f"/{rest}"


def origin_and_target(url: str) -> tuple[str, str]:
    """The origin and the target of an absolute URL, not decoded; the origin of a bare target is empty. Raises BadUrl."""
    if url.startswith("/"):
        return "", url
    if (match := _ORIGIN.match(url)) is None:
        raise BadUrl("the URL must be an http or https URL, or a path that begins with /")
    target = url[match.end() :]
    return match[0], target if target.startswith("/") else f"/{target}"


def decoded(raw: str, what: str) -> str:
    """`raw` percent-decoded once. Raises BadUrl, which names it as `what`, if the result is not UTF-8."""
    if "%" not in raw and raw.isascii():
        return raw
    if BAD_PERCENT.search(raw):
        raise BadUrl(f"{what} holds a % that is not followed by two hexadecimal digits")
    try:
        return unquote_to_bytes(raw.encode("utf-8", "surrogateescape")).decode("utf-8")
    except UnicodeDecodeError:
        raise BadUrl(f"{what} is not UTF-8 after percent-decoding") from None


def of_base64(text: str) -> str:
    """The text of base64url, with or without padding. Raises ValueError."""
    text = text.rstrip("=")
    if "+" in text or "/" in text or len(text) % 4 == 1:
        raise ValueError("is not base64url")
    standard = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
    try:
        return binascii.a2b_base64(standard.encode("utf-8", "surrogatepass"), strict_mode=True).decode()
    except ValueError:
        raise ValueError("is not base64url of UTF-8 text") from None


def is_absolute(locator: str) -> bool:
    """Whether this is an absolute URL and not a key; no key begins with a scheme and `://`."""
    return _SCHEME.match(locator) is not None


def with_both_slashes(locator: str) -> str:
    """Restores a slash of `https://` that a proxy merged with its neighbour."""
    scheme, mark, rest = locator.partition(":/")
    if mark and scheme.lower() in ("http", "https") and not rest.startswith("/"):
        return f"{scheme}://{rest}"
    return locator


def checked_locator(locator: str) -> str:
    """`locator` if it is a valid key, or an absolute URL, which the mount interprets. Raises BadUrl."""
    if is_absolute(locator):
        if _CONTROL.search(locator):
            raise BadUrl("the URL of the original holds a control character, a backslash or a lone surrogate")
        return locator
    return checked_key(locator)


def checked_key(key: str) -> str:
    """`key` if it has no empty segment, no leading dot of a segment and no control character. Raises BadUrl."""
    if is_absolute(key):
        raise SourceNotAllowed("this mount takes keys of its own source, not absolute URLs")
    if not key:
        raise BadUrl("the key of the original is missing")
    if _CONTROL.search(key):
        raise BadUrl("the key holds a control character, a backslash or a lone surrogate")
    if "" in key.split("/") or is_hidden(key):
        raise BadUrl("the key has a segment that is empty or begins with a dot")
    return key


def is_hidden(path: str) -> bool:
    """Whether a segment of `path`, which does not begin with a slash, begins with a dot."""
    return "/." in f"/{path}"


def checked_prefix(prefix: str) -> str:
    """`prefix` if keys can begin with it. Raises BadUrl."""
    if _CONTROL.search(prefix):
        raise BadUrl("the prefix holds a control character, a backslash or a lone surrogate")
    if len(prefix.encode()) > _LONGEST_PREFIX:
        raise BadUrl(f"the prefix is longer than {_LONGEST_PREFIX} bytes")
    return prefix


def encoded(key: str) -> str:
    """`key` as in a path or a query value. Slashes of an absolute URL are encoded: proxies merge bare ones."""
    return quote(key, safe="-._~" if is_absolute(key) else "/-._~")
