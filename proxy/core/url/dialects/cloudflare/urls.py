"""The dialect of Cloudflare Images: `/cdn-cgi/image/<options>/<source>`, and the hosted form
`/<account hash>/<image id>/<variant>`, also below `/cdn-cgi/imagedelivery/`.

A source is a key, or an absolute URL as it is, to which the query of the request then belongs, or one that is
percent-encoded as a whole. The image id of the hosted form is a key, of any number of segments; the account hash, 22
characters, has no effect. A variant is the name of a preset, or options. Only the hosted form can be signed, with
`?exp=<Unix time>&sig=<hex>`, which is an HMAC-SHA256 of the path and the query before `sig`: a key in `[signing.keys]` is
the vendor's. Errors are plain text, with the vendor's number, which is in `Cf-Resized` too.
"""

import hashlib
import hmac
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from proxy.core.errors import (
    BadSignature,
    BadTransform,
    BadUrl,
    CalotypeError,
    NotSupported,
    RequestLoop,
    UnknownRoute,
)
from proxy.core.image.formats import Format
from proxy.core.nearest import meant, named, nearest
from proxy.core.transform.operations import Auto
from proxy.core.url.dialects.cloudflare.documents import sizes_document
from proxy.core.url.dialects.cloudflare.operations import transform
from proxy.core.url.dialects.cloudflare.options import DOCUMENTED, format_name, read_options
from proxy.core.url.dialects.cloudflare.readers import CloudflareOptions
from proxy.core.url.dialects.component import transform_of
from proxy.core.url.dialects.dialect import Dialect, QueryRule, Reading, Unsupported
from proxy.core.url.dialects.unused_query import unused_query
from proxy.core.url.parsed_url import InfoUrl, ParsedUrl, Unused, VariantUrl
from proxy.core.url.signing import Keys, Signed, joint, makers_of, restrictions_of, secret_length
from proxy.core.url.target import (
    checked_key,
    checked_locator,
    cut,
    decoded,
    encoded,
    is_absolute,
    is_tracker,
    query_parts,
    with_both_slashes,
)

_IMAGE, _DELIVERY = "/cdn-cgi/image/", "/cdn-cgi/imagedelivery"
_HOSTED = re.compile(r"(?:/cdn-cgi/imagedelivery/[^/]+|/[A-Za-z0-9_-]{22})/(.+)/([^/]+)", re.ASCII)
_IN_PATH = "options are in the path"
_EXPIRY, _SIGNATURE = "exp", "sig"


def recognises(target: str) -> bool:
    """Whether a target below a mount has the form of Cloudflare's URLs."""
    path = target.partition("?")[0]
    return path.startswith((_IMAGE, f"{_DELIVERY}/")) or _HOSTED.fullmatch(path) is not None


def parse(target: str, reading: Reading) -> ParsedUrl:
    """Parses the raw target below a mount. Raises UnknownRoute, BadUrl, BadTransform or SourceNotAllowed."""
    path, query = cut(target)
    if path.startswith(_IMAGE):
        written, source = _options_and_source(path)
        options = read_options(written, reading.unsupported)
        origin = _source(source, query, reading.query)
        return _parsed(origin.locator, options, origin.unused)
    if (match := _HOSTED.fullmatch(path)) is None:
        raise UnknownRoute(
            f"no such route: a URL is {_IMAGE}<options>/<source>, or /<account hash>/<image id>/<variant>"
        )
    key = checked_key(decoded(match[1], "the image id"))
    unused = unused_query("&".join(_other_parameters(query or "")), reading.query, _IN_PATH)
    if "=" not in match[2]:
        return _of_preset(key, decoded(match[2], "the variant"), reading, unused)
    options = read_options(match[2], reading.unsupported)
    options.format = options.format or Auto.AUTO
    return _parsed(key, options, unused)


def _options_and_source(path: str) -> tuple[str, str]:
    """Both as they are written. Raises BadTransform or BadUrl."""
    options, _, source = path[len(_IMAGE) :].partition("/")
    if not options:
        raise BadTransform(f"there must be one option at least: a URL is {_IMAGE}<options>/<source>")
    if not source:
        raise BadUrl(f"the source is missing: a URL is {_IMAGE}<options>/<source>")
    return options, source


class _Source(NamedTuple):
    """A key or an absolute URL, and the parameters of the query that are not part of it."""

    locator: str
    unused: tuple[Unused, ...] = ()


def _source(source: str, query: str | None, rule: QueryRule) -> _Source:
    """The original of a source as it is written. Raises BadUrl or SourceNotAllowed."""
    whole = with_both_slashes(source.removeprefix("/"))
    if is_absolute(whole):
        return _Source(checked_locator(whole if query is None else f"{whole}?{query}"))
    locator = with_both_slashes(decoded(source, "the source").removeprefix("/"))
    return _Source(checked_locator(locator), unused_query(query, rule, _IN_PATH))


def _parsed(key: str, options: CloudflareOptions, unused: tuple[Unused, ...]) -> ParsedUrl:
    requested = transform(options)
    if requested.format is Format.INFO:
        return InfoUrl(key, own=sizes_document(requested))
    return VariantUrl(
        key=key,
        transform=requested,
        unused=(*unused, *options.unused),
        reduced=tuple(options.reduced),
    )


def _of_preset(key: str, name: str, reading: Reading, unused: tuple[Unused, ...]) -> VariantUrl:
    if name not in reading.presets:
        near = meant(nearest(name, reading.presets))
        raise NotSupported(
            f"the variant is neither a preset of this node nor options: {named(name, 1)}{near}"
        )
    of_preset = transform_of(reading.presets[name])
    return VariantUrl(key=key, transform=of_preset, of_presets=of_preset, is_preset=True, unused=unused)


def _other_parameters(query: str) -> list[str]:
    """The parameters of a query without those of a signature."""
    return [part for part in query_parts(query) if part.partition("=")[0] not in (_EXPIRY, _SIGNATURE)]


def verify(raw: str, prefix: str, keys: Keys) -> Signed | None:
    """The verified signature of a hosted URL; None for an unsigned one. The signed path is that of the URL, or that of the
    vendor's own host. Raises BadSignature or BadUrl."""
    path, mark, query = raw.partition("?")
    below = path[len(prefix) - 1 :]
    if not mark or _HOSTED.fullmatch(below) is None:
        return None
    parts = query_parts(query)
    at = next((at for at, part in enumerate(parts) if part.startswith(f"{_SIGNATURE}=")), None)
    if at is None:
        return None
    if not all(is_tracker(part.partition("=")[0]) for part in parts[at + 1 :]):
        raise BadSignature("a parameter follows the signature: sig must be the last parameter")
    given = parts[at].partition("=")[2].encode("utf-8", "surrogateescape")
    messages = {f"{each}?{'&'.join(parts[:at])}" for each in (path, below.removeprefix(_DELIVERY))}
    makers = makers_of(keys, given, lambda secret: [_mac(secret, message) for message in messages])
    if not makers:
        raise BadSignature("the signature does not match the URL")
    expiries = [part.partition("=")[2] for part in parts[:at] if part.partition("=")[0] == _EXPIRY]
    if len(expiries) > 1:
        raise BadUrl("parameter exp is given twice")
    restrictions = restrictions_of(dict.fromkeys([_EXPIRY] if expiries else [], "".join(expiries)))
    return Signed(target=unsigned(raw, prefix), key_id=makers[0], restrictions=restrictions)


def sign(raw: str, prefix: str, secret: bytes) -> str:
    """`raw`, an unsigned target, with a signature. Raises BadUrl unless it has the hosted form."""
    path, _, query = raw.partition("?")
    if _HOSTED.fullmatch(path[len(prefix) - 1 :]) is None:
        raise BadUrl("only URLs of the form /<account>/<image>/<variant> can be signed")
    return f"{raw}{joint(raw)}{_SIGNATURE}={_mac(secret, f'{path}?{query}').decode()}"


def _mac(secret: bytes, message: str) -> bytes:
    return hmac.new(secret, message.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest().encode()


def unsigned(raw: str, prefix: str) -> str:
    """`raw` without the signature of a hosted URL, valid or not, and its expiry."""
    path, mark, query = raw.partition("?")
    if not mark or _HOSTED.fullmatch(path[len(prefix) - 1 :]) is None:
        return raw
    rest = [part for part in query.split("&") if part.partition("=")[0] not in (_EXPIRY, _SIGNATURE)]
    return f"{path}?{'&'.join(rest)}" if rest else path


def negotiates(target: str, reading: Reading) -> bool:
    """Whether the answer depends on Accept, even if the URL is invalid."""
    path = target.partition("?")[0]
    if path.startswith(_IMAGE):
        return format_name(path[len(_IMAGE) :].partition("/")[0]) == Auto.AUTO.value
    if (match := _HOSTED.fullmatch(path)) is None:
        return False
    if "=" in match[2]:
        return format_name(match[2]) in ("", Auto.AUTO.value)
    return transform_of(reading.presets.get(match[2], ())).format is Auto.AUTO


class _Error(NamedTuple):
    """The vendor's number and status of an error."""

    number: int
    status: int


_BAD_OPTIONS = _Error(9401, 400)
_DENIED = _Error(9425, 403)
_ERRORS = {
    **dict.fromkeys(
        ("bad-transform", "bad-url", "dimension-not-allowed", "colour-not-allowed"), _BAD_OPTIONS
    ),
    **dict.fromkeys(("bad-signature", "signature-required", "signature-expired"), _DENIED),
    "source-not-allowed": _Error(9401, 403),
    "unknown-route": _Error(9431, 404),
    "original-not-found": _Error(9404, 404),
    "unsupported-format": _Error(9412, 415),
    "undecodable": _Error(9516, 422),
    "original-too-large": _Error(9402, 413),
    "source-unavailable": _Error(9509, 502),
    "source-timeout": _Error(9504, 522),
    "render-timeout": _Error(9529, 504),
    "worker-died": _Error(9523, 500),
    "overloaded": _Error(9522, 503),
    "draining": _Error(9522, 503),
    "rate-limited": _Error(9422, 429),
    "internal": _Error(9523, 500),
}
_LOOP = 9403
_FATAL = frozenset(
    {
        *(
            "original-not-found",
            "unsupported-format",
            "undecodable",
            "original-too-large",
            "source-unavailable",
        ),
        *("source-timeout", "render-timeout", "worker-died", "overloaded"),
    }
)
"""Errors of the original or its transformation, after which `onerror=redirect` applies."""


def _number(failure: CalotypeError) -> int | None:
    if isinstance(failure, RequestLoop):
        return _LOOP
    error = _ERRORS.get(failure.slug)
    return error and error.number


def error_text(_: str, failure: CalotypeError) -> str | None:
    number = _number(failure)
    return f"ERROR {number}: {failure.detail}" if number else None


def error_headers(_: str, failure: CalotypeError) -> dict[str, str]:
    number = _number(failure)
    return {"Cf-Resized": f"err={number}"} if number else {}


def error_location(target: str, host: str, failure: CalotypeError) -> str:
    """The path of the source on the same host, if the URL has `onerror=redirect`; empty for other errors and hosts. It
    has no host, so that it never leads elsewhere."""
    if failure.slug not in _FATAL or not target.startswith(_IMAGE):
        return ""
    try:
        path, query = cut(target)
        written, source = _options_and_source(path)
        if not read_options(written, Unsupported.IGNORE).redirects_errors:
            return ""
        locator = _source(source, query, QueryRule.IGNORE).locator
        if not is_absolute(locator):
            return f"/{encoded(locator)}" + (f"?{query}" if query else "")
        parts = urlsplit(locator)
    except (CalotypeError, ValueError):
        return ""
    if parts.scheme not in ("http", "https") or parts.netloc.lower() != host.strip().lower() or not host:
        return ""
    return f"/{parts.path.lstrip('/')}" + (f"?{parts.query}" if parts.query else "")


DIALECT = Dialect(
    name="cloudflare",
    recognises=recognises,
    parse=parse,
    verify=verify,
    sign=sign,
    unsigned=unsigned,
    negotiates=negotiates,
    check_key=secret_length,
    statuses={slug: error.status for slug, error in _ERRORS.items()},
    error_text=error_text,
    error_headers=error_headers,
    success_headers={"Cf-Resized": "internal=ok/-"},
    error_location=error_location,
    preset_url="/<account hash>/<image id>/<preset>",
    options=DOCUMENTED,
)
