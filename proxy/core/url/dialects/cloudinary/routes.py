"""The parts of a Cloudinary path: cloud name, asset type, delivery type, signature, components, version, public id.

The host does not tell whether there is a cloud name, so that one mount answers both forms: the first segment is one if
the second is an asset type. In the root form, which has no asset type, it is one unless it is the only segment, a
signature, a component or a version; clients write a version before a public id with a slash.
"""

import re
from typing import NamedTuple
from urllib.parse import unquote

from proxy.core.errors import BadUrl, UnknownRoute
from proxy.core.url.dialects.cloudinary.params import NAMES
from proxy.core.url.target import is_tracker, query_parts

TOKEN = "__cld_token__"  # noqa: S105 # The name of a parameter.
ANALYTICS = frozenset({"_a", "_i", "_s"})
"""Query parameters with which clients name themselves."""
UPLOAD, PRIVATE, AUTHENTICATED, FETCH = "upload", "private", "authenticated", "fetch"

_SHORT = {
    **dict.fromkeys(("iu", "images"), UPLOAD),
    "private_images": PRIVATE,
    "authenticated_images": AUTHENTICATED,
}
"""Asset types that stand for `image` and a delivery type."""
_SEO = frozenset({"images", "private_images", "authenticated_images"})
_DELIVERIES = frozenset({UPLOAD, PRIVATE, AUTHENTICATED, FETCH})
_OTHER_DELIVERIES = frozenset(
    (
        *("animoto", "asset", "dailymotion", "facebook", "gravatar", "hulu", "instagram_name", "list"),
        *("multi", "sprite", "text", "twitter", "twitter_name", "vimeo", "worldstarhiphop", "youtube"),
    )
)
_KNOWN_DELIVERIES = _DELIVERIES | _OTHER_DELIVERIES
_OTHER_ASSETS = frozenset({"video", "raw", "videos", "files"})
_WITH_DELIVERY = frozenset({"image", "video", "raw"})
ASSETS = frozenset({*_WITH_DELIVERY, *_SHORT, *_OTHER_ASSETS})

_SIGNATURE = re.compile(r"s--.*--")
_CLOUD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*", re.ASCII)
_VERSION = re.compile(r"v([0-9]{1,20})", re.ASCII)
_SIGNATURE_OR_VERSION = re.compile(rf"{_SIGNATURE.pattern}|{_VERSION.pattern}", re.ASCII)
_FIRST_TOKEN = re.compile(r"\$[A-Za-z][A-Za-z0-9]*_|([a-z]{1,3})_", re.ASCII)
_MOST_SEGMENTS = 256


class Route(NamedTuple):
    """`head` are the segments before the signature, or before its place; `components` and `source`, the rest, are as
    written. `signature` and `version` are empty without one. `unsupported` says why the node has no such assets."""

    head: tuple[str, ...]
    delivery: str
    is_seo: bool
    signature: str
    components: tuple[str, ...]
    version: str
    source: tuple[str, ...]
    unsupported: str = ""


def route_of(path: str) -> Route:
    """The parts of a path below a mount, not decoded. Raises UnknownRoute or BadUrl."""
    segments = path[1:].split("/", _MOST_SEGMENTS)
    if not segments[0]:
        raise UnknownRoute(
            "no such route: a URL is /<cloud>/image/upload/<transformation>/<version>/<public id>, also without <cloud>"
        )
    at = _head_length(segments)
    delivery, is_seo, unsupported = UPLOAD, False, ""
    if at and (asset := segments[at - 1]) in ASSETS:
        delivery, is_seo = _SHORT.get(asset, ""), asset in _SEO
        if asset in _OTHER_ASSETS:
            unsupported = f"assets of type {asset} are not supported: only images are"
        if asset in _WITH_DELIVERY:
            delivery = segments[at] if at < len(segments) else ""
            at += 1
            if delivery in _OTHER_DELIVERIES:
                unsupported = f"the delivery type {delivery} is not supported"
            elif delivery not in _DELIVERIES:
                raise BadUrl(
                    f"the delivery type after {asset} must be one of {', '.join(sorted(_DELIVERIES))}"
                )
    head = tuple(segments[:at])
    signature = segments[at] if at < len(segments) and _SIGNATURE.fullmatch(segments[at]) else ""
    rest = segments[at + bool(signature) :]
    count = _component_count(rest)
    components, source = rest[:count], rest[count:]
    version = source[0] if len(source) > 1 and _VERSION.fullmatch(source[0]) else ""
    return Route(
        head,
        delivery,
        is_seo,
        signature,
        tuple(components),
        version,
        tuple(source[bool(version) :]),
        unsupported,
    )


def _head_length(segments: list[str]) -> int:
    """The number of the segments of cloud name and asset type."""
    if segments[0] in ASSETS:
        return 1
    if len(segments) == 1 or _is_marker(segments[0]):
        return 0
    return 2 if segments[1] in ASSETS else 1


def _is_marker(segment: str) -> bool:
    """Whether the segment is none of a public id: a signature, a component or a version."""
    return bool(_SIGNATURE_OR_VERSION.fullmatch(segment)) or is_component(segment)


def is_component(segment: str) -> bool:
    """Whether the segment begins like a parameter of a transformation."""
    text = unquote(segment) if "%" in segment else segment
    match = _FIRST_TOKEN.match(text) if "_" in text else None
    return match is not None and (match[1] is None or match[1] in NAMES)


def _component_count(segments: list[str]) -> int:
    """How many segments are components; the last one is always of the public id."""
    for count, segment in enumerate(segments[:-1]):
        if not is_component(segment):
            return count
    return max(0, len(segments) - 1)


def fetched_query(query: str | None) -> str:
    """The part of a query that belongs to the URL to fetch: all but the parameters of Cloudinary and of trackers. Raises
    BadUrl."""
    return "&".join(
        part
        for part in (query_parts(query) if query else ())
        if (name := part.partition("=")[0]) not in ANALYTICS and name != TOKEN and not is_tracker(name)
    )


def version_of(version: str) -> str | None:
    """The version of an original; None for the one that clients write before every public id with a slash."""
    match = _VERSION.fullmatch(version)
    return match[1] if match and match[1] != "1" else None


def recognises(target: str) -> bool:
    """Whether a raw target below a mount has the form of Cloudinary's URLs: an asset type and a delivery type, with or
    without a cloud name before them, or the root form. The root form of a public id alone may be any path without
    another query than Cloudinary's own: a list of dialects should name those first whose URLs are such paths."""
    path, _, query = target.partition("?")
    segments = path[1:].split("/", 3)
    if not segments[0]:
        return False
    if segments[0] not in ASSETS and len(segments) > 1 and _CLOUD.fullmatch(segments[0]):
        segments = segments[1:] if segments[1] in ASSETS or _is_marker(segments[1]) else segments
    if segments[0] in ASSETS:
        return segments[0] not in _WITH_DELIVERY or not _KNOWN_DELIVERIES.isdisjoint(segments[1:2])
    if _is_marker(segments[0]):
        return True
    names = (part.partition("=")[0] for part in query.split("&"))
    return not query or all(name in ANALYTICS or name == TOKEN for name in names)
