"""The dialect of Cloudinary: `/<cloud>/image/upload/<signature>/<transformation>/<version>/<public id>.<extension>`.

The cloud name may be missing, as on a private host, and is ignored. Pictures of the types upload, private,
authenticated and fetch are answered, also as `iu`, with an SEO suffix (`images/<public id>/<suffix>`), and in the root
form without types. Video, raw files and other types are refused, with a text that says so. An error has its reason in
`X-Cld-Error`.

The extension is the output format where no `f_` is given. An original is looked for under the public id as it is, then
without the extension, then with each of `suffixes` of the mount. `fetch` names originals of `remote`, or of `source` if
that is a web server. A version other than `v1` is `v_` of a native URL. A URL without a transformation has the picture
in the format of its extension, without metadata, and not the bytes of the original. In a component the size comes
first, then turns, effects and the background.

A key in `[signing.keys]` is the API secret `"SECRET"` (SHA-1), `"sha256:SECRET"` or `"token:HEXKEY"`. A signature of 32
characters (SHA-256) is taken with either secret. Authenticated pictures, and private ones without a transformation,
need a signature or a token, and are refused where `signing` is off. All types name the same originals: a mount for
private ones needs `signing = "required"`. A token may cover many URLs by its `acl`, and lifts the limits on unsigned
URLs as a signature does; one for an IP address is refused.

A path of the root form may be any path: name this dialect last in a list of dialects.
"""

from collections.abc import Mapping
from dataclasses import replace

from proxy.core.errors import BadUrl, CalotypeError, NotSupported, UrlNotSupported
from proxy.core.image.formats import TRAITS, Format
from proxy.core.nearest import named
from proxy.core.transform.operations import Auto
from proxy.core.url.alternatives import alternatives
from proxy.core.url.dialects.cloudinary.components import of_presets, read_components, transform
from proxy.core.url.dialects.cloudinary.params import DOCUMENTED
from proxy.core.url.dialects.cloudinary.requested import CloudinaryRequested
from proxy.core.url.dialects.cloudinary.routes import (
    ANALYTICS,
    FETCH,
    TOKEN,
    Route,
    fetched_query,
    recognises,
    route_of,
    version_of,
)
from proxy.core.url.dialects.cloudinary.signatures import check_key, is_always_signed, sign, unsigned, verify
from proxy.core.url.dialects.cloudinary.values import FORMATS, OTHER_EXTENSIONS
from proxy.core.url.dialects.dialect import Dialect, Reading, Unsupported
from proxy.core.url.disposition import Disposition
from proxy.core.url.parsed_url import ParsedUrl, Unused, VariantUrl
from proxy.core.url.target import (
    checked_key,
    checked_locator,
    cut,
    decoded,
    is_absolute,
    query_parts,
    with_both_slashes,
)

_MOST_OF_REASON = 500
"""Proxies have room for few headers."""
_EXTENSIONS = {name: kind for name, kind in FORMATS.items() if isinstance(kind, Format)}


def parse(raw: str, reading: Reading) -> ParsedUrl:
    """Parses the raw target below a mount; a signature in it is not verified. Raises UnknownRoute, BadUrl, BadTransform
    or SourceNotAllowed."""
    path, query = cut(raw)
    route = route_of(path)
    if route.unsupported:
        raise UrlNotSupported(route.unsupported)
    requested = CloudinaryRequested(
        presets=reading.presets, ignores_polish=reading.unsupported is Unsupported.IGNORE
    )
    read_components(route.components, requested)
    key, unused = _fetched(route, query) if route.delivery == FETCH else _public_id(route, query)
    _, dot, extension = key.rpartition(".")
    extension = extension.lower() if dot and route.delivery != FETCH else ""
    kind = _EXTENSIONS.get(extension)
    if extension in OTHER_EXTENSIONS and "format" not in requested.output:
        raise NotSupported(
            "the extension of the URL is a format that is not supported: write f_auto, or the extension jpg, png, webp,"
            " avif or gif"
        )
    result = transform(requested, kind, version_of(route.version))
    return VariantUrl(
        key=key,
        transform=result,
        of_presets=of_presets(requested),
        is_preset=requested.is_preset and len(requested.named) == 1,
        unused=(*requested.unused, *unused),
        disposition=_disposition(requested, result.format),
        alternatives=alternatives(key, reading.suffixes),
        defaults=(requested.default, *alternatives(requested.default, reading.suffixes))
        if requested.default
        else (),
    )


def _public_id(route: Route, query: str | None) -> tuple[str, tuple[Unused, ...]]:
    """The key of a public id, with its extension and without an SEO suffix; and what of the query is ignored."""
    segments = list(route.source)
    if route.is_seo:
        if len(segments) < 2:
            raise BadUrl("the SEO suffix is missing: the URL is images/<public id>/<suffix>.<extension>")
        _, dot, extension = segments.pop().rpartition(".")
        segments[-1] += f"{dot}{extension}" if dot else ""
    key = checked_key(decoded("/".join(segments), "the public id"))
    unused = [
        Unused(named(name, position), "the query is ignored")
        for position, name in enumerate(_names(query), start=1)
        if name not in ANALYTICS and name != TOKEN
    ]
    return key, tuple(unused)


def _names(query: str | None) -> list[str]:
    return [] if not query else [part.partition("=")[0] for part in query_parts(query)]


def _fetched(route: Route, query: str | None) -> tuple[str, tuple[Unused, ...]]:
    """The absolute URL to fetch, which may be percent-encoded as a whole, or for its special characters only. The query
    is part of it, without the parameters of Cloudinary."""
    url = with_both_slashes(decoded("/".join(route.source), "the URL of the original"))
    if not is_absolute(url):
        raise BadUrl(
            "the original of fetch must be an absolute URL, as in /image/fetch/https://example.org/a.jpg"
        )
    own_query = fetched_query(query)
    joint = "&" if "?" in url else "?"
    return checked_locator(f"{url}{joint}{own_query}" if own_query else url), ()


def _disposition(requested: CloudinaryRequested, kind: Format | Auto | None) -> str:
    if not requested.is_attachment:
        return ""
    name = requested.file_name
    if name and isinstance(kind, Format):
        name = f"{name}.{TRAITS[kind].suffix}"
    return str(Disposition(True, name))


def negotiates(target: str, reading: Reading) -> bool:
    """Whether the answer depends on Accept; of an invalid URL, whether it has `f_auto`."""
    try:
        parsed = parse(target, replace(reading, unsupported=Unsupported.IGNORE))
    except CalotypeError:
        return "f_auto" in target.partition("?")[0]
    return isinstance(parsed, VariantUrl) and parsed.transform.format is Auto.AUTO


def error_headers(_: str, failure: CalotypeError) -> Mapping[str, str]:
    """`x-cld-error` with the reason, in ASCII."""
    reason = "".join(each if " " <= each <= "~" else "?" for each in failure.detail[:_MOST_OF_REASON])
    return {"X-Cld-Error": reason}


DIALECT = Dialect(
    name="cloudinary",
    recognises=recognises,
    parse=parse,
    verify=verify,
    sign=sign,
    unsigned=unsigned,
    negotiates=negotiates,
    check_key=check_key,
    statuses={
        **dict.fromkeys(("bad-signature", "signature-required", "signature-expired"), 401),
        **dict.fromkeys(("source-not-allowed", "dimension-not-allowed", "colour-not-allowed"), 401),
        **dict.fromkeys(("unsupported-format", "undecodable", "original-too-large"), 400),
    },
    error_headers=error_headers,
    is_always_signed=is_always_signed,
    preset_url="/image/upload/t_<name>/<public id>",
    settings=frozenset({"suffixes"}),
    options=DOCUMENTED,
)
