"""Image services of web frameworks: `/_next/image`, `/_vercel/image`, `/.netlify/images` and `/_ipx/<modifiers>/<id>`.

Their URLs have no signatures. The `dimensions` of the mount limit the sizes, as `deviceSizes`, `imageSizes` and
`qualities` do in next; the prefix of the mount is the `basePath`. Formats are negotiated among those of the node. Unlike
these services, the node resizes animations, and answers 400 where ipx answers 403 or 500 for an invalid URL.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, NoReturn, TypeVar
from urllib.parse import unquote

from proxy.core.errors import BadTransform, BadUrl, CalotypeError, UnknownRoute
from proxy.core.image.formats import Format
from proxy.core.nearest import named
from proxy.core.transform.operations import (
    CENTER,
    Auto,
    Enlarge,
    Fit,
    FocalPoint,
    Gravity,
    Resize,
    Transform,
)
from proxy.core.url.dialects.dialect import Dialect, DocumentedOption, QueryRule, Reading, Support
from proxy.core.url.dialects.next import ipx
from proxy.core.url.dialects.next.ipx_modifiers import OPTIONS as IPX_OPTIONS
from proxy.core.url.dialects.unused_query import NO_EFFECT, unused_query
from proxy.core.url.parsed_url import ParsedUrl, Unused, VariantUrl
from proxy.core.url.signing import Keys, Signed
from proxy.core.url.target import (
    checked_key,
    checked_locator,
    cut,
    decoded,
    is_absolute,
    query_parts,
    with_both_slashes,
)

_T = TypeVar("_T")

_IPX, _NETLIFY = "/_ipx/", "/.netlify/images"
_LONGEST_URL = 3072
_MAX_DIGITS = 18


def parse(target: str, reading: Reading) -> ParsedUrl:
    """Parses the raw target below a mount. Raises UnknownRoute, BadUrl, BadTransform or SourceNotAllowed."""
    path, query = cut(target)
    if path.startswith(_IPX):
        return _of_ipx(path[len(_IPX) :], query, reading.query)
    read = _FORMS.get(path.removesuffix("/"))
    if read is None:
        raise UnknownRoute(f"no such route: a URL begins with {', '.join(_FORMS)} or {_IPX}")
    return read(query or "")


class _Query(NamedTuple):
    """The decoded values of each known parameter, and the unknown ones."""

    values: dict[str, list[str]]
    unused: tuple[Unused, ...]


def _parameters(query: str, known: Sequence[str]) -> _Query:
    values: dict[str, list[str]] = {}
    unused: list[Unused] = []
    for position, part in enumerate(query_parts(query), start=1):
        name, _, value = part.partition("=")
        if "%" in name:
            name = unquote(name)
        if name in known:
            values.setdefault(name, []).append(decoded(value.replace("+", "%20"), f"parameter {name}"))
        elif name:
            unused.append(Unused(named(name, position), NO_EFFECT))
    return _Query(values, tuple(unused))


def _of_next(query: str) -> VariantUrl:
    """`url`, `w` and `q`, checked in the order of next, whose messages the errors have."""
    values, unused = _parameters(query, ("url", "w", "q"))
    key = _original(_single(values, "url", '"url" parameter'))
    quality_range = "must be an integer between 1 and 100"
    width = _single(values, "w", '"w" parameter (width)')
    width_px = _whole(width, '"w" parameter (width) must be an integer greater than 0')
    quality = _whole(
        _single(values, "q", '"q" parameter (quality)'), f'"q" parameter (quality) {quality_range}'
    )
    if width_px < 1:
        raise BadTransform('"w" parameter (width) must be an integer greater than 0')
    if not 1 <= quality <= 100:
        raise BadTransform(f'"q" parameter (quality) {quality_range}')
    transform = Transform(ops=(Resize(width=width_px),), format=Auto.AUTO, quality=quality)
    return VariantUrl(key=key, transform=transform, unused=unused)


def _single(values: dict[str, list[str]], name: str, subject: str) -> str:
    value = _once(values, name, subject)
    if not value:
        raise _error(name)(f"{subject} is required")
    return value


def _once(values: dict[str, list[str]], name: str, subject: str) -> str:
    given = values.get(name, [""])
    if len(given) > 1:
        raise _error(name)(f"{subject} cannot be an array")
    return given[0]


def _error(name: str) -> type[BadUrl | BadTransform]:
    return BadUrl if name == "url" else BadTransform


def _whole(text: str, message: str) -> int:
    """A number in ASCII digits; leading zeros do not count, and more digits than needed give a number out of range."""
    if not (text.isascii() and text.isdecimal()):
        raise BadTransform(message)
    digits = text.lstrip("0")
    return int(digits or "0") if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS


def _original(url: str) -> str:
    """The key for a path, which is percent-decoded like the path of a URL, or an absolute URL."""
    if len(url) > _LONGEST_URL:
        raise BadUrl('"url" parameter is too long')
    if url.startswith("//"):
        raise BadUrl('"url" parameter cannot be a protocol-relative URL (//)')
    if not url.startswith("/"):
        if url.partition("://")[0].lower() not in ("http", "https") or not is_absolute(url):
            raise BadUrl('"url" parameter is invalid')
        return checked_locator(url)
    path, mark, _ = url.partition("#")[0].partition("?")
    path = decoded(path, '"url" parameter')
    if "/_next/image/" in f"{path}/":
        raise BadUrl('"url" parameter cannot be recursive')
    if mark:
        raise BadUrl('"url" parameter is not allowed')
    return checked_key(path[1:])


_NETLIFY_NAMES = ("url", "w", "h", "fit", "position", "fm", "q")
_FITS = {"contain": Fit.INSIDE, "cover": Fit.COVER, "fill": Fit.FILL}
_POSITIONS: dict[str, Gravity] = {
    "center": CENTER,
    "top": FocalPoint(0.5, 0.0),
    "bottom": FocalPoint(0.5, 1.0),
    "left": FocalPoint(0.0, 0.5),
    "right": FocalPoint(1.0, 0.5),
}
_FORMATS: dict[str, Format | Auto] = {
    "avif": Format.AVIF,
    "jpg": Format.JPEG,
    "png": Format.PNG,
    "webp": Format.WEBP,
    "gif": Format.GIF,
}


def _of_netlify(query: str) -> VariantUrl:
    values, unused = _parameters(query, _NETLIFY_NAMES)
    url = _single(values, "url", "parameter url")
    key = _original(url if url.startswith("/") or is_absolute(url) else f"/{url}")
    given = {name: _once(values, name, f"parameter {name}") for name in values}
    width_px, height_px = _side(given, "w"), _side(given, "h")
    fit = _choice(given, "fit", _FITS, Fit.INSIDE)
    gravity = _choice(given, "position", _POSITIONS, CENTER)
    is_box = width_px is not None and height_px is not None
    if not is_box:
        fit = Fit.INSIDE
    if fit is not Fit.COVER:
        gravity = CENTER
        if "position" in given:
            unused = (*unused, Unused("position", "the picture is not cropped", is_option=True))
    quality = None
    if "q" in given:
        quality = _whole(given["q"], "parameter q must be a whole number from 1 to 100")
        if not 1 <= quality <= 100:
            raise BadTransform("parameter q must be a whole number from 1 to 100")
    enlarge = Enlarge.NEVER if fit is Fit.INSIDE else Enlarge.ORIGINAL
    size = Resize(width=width_px, height=height_px, fit=fit, enlarge=enlarge, gravity=gravity)
    transform = Transform(
        ops=() if width_px is None and height_px is None else (size,),
        format=_choice(given, "fm", _FORMATS, Auto.AUTO),
        quality=quality,
    )
    return VariantUrl(key=key, transform=transform, unused=unused)


def _side(given: dict[str, str], name: str) -> int | None:
    if name not in given:
        return None
    message = f"parameter {name} must be a whole number of pixels from 1"
    side_px = _whole(given[name], message)
    if side_px < 1:
        raise BadTransform(message)
    return side_px


def _choice(given: dict[str, str], name: str, choices: Mapping[str, _T], default: _T) -> _T:
    if name not in given:
        return default
    if given[name] not in choices:
        raise BadTransform(f"parameter {name} must be one of {', '.join(choices)}")
    return choices[given[name]]


def _of_ipx(rest: str, query: str | None, rule: QueryRule) -> VariantUrl:
    modifiers, slash, written = rest.partition("/")
    if not modifiers:
        raise BadUrl("the modifiers are missing: a URL is /_ipx/<modifiers>/<id>, with _ for none")
    if not slash or written in ("", "/"):
        raise BadUrl(
            "the id of the original is missing: a URL is /_ipx/<modifiers>/<id>, with _ for no modifiers"
        )
    locator = with_both_slashes(decoded(written, "the id"))
    if is_absolute(locator):
        key = checked_locator(locator if query is None else f"{locator}?{decoded(query, 'the query')}")
        rest_of_query: tuple[Unused, ...] = ()
    else:
        key = checked_key(locator.removeprefix("/"))
        rest_of_query = unused_query(query, rule, "modifiers belong in the path")
    transform, unused = ipx.read(modifiers)
    return VariantUrl(key=key, transform=transform, unused=(*rest_of_query, *unused))


_FORMS: dict[str, Callable[[str], VariantUrl]] = {
    "/_next/image": _of_next,
    "/_vercel/image": _of_next,
    _NETLIFY: _of_netlify,
}


def recognises(target: str) -> bool:
    """Whether the path is that of one of the services."""
    return target.startswith(_IPX) or target.partition("?")[0].removesuffix("/") in _FORMS


def negotiates(target: str, reading: Reading) -> bool:
    """Whether the answer depends on Accept: always without a way to choose a format, else if none is chosen."""
    path, _, query = target.partition("?")
    if path.startswith(_IPX):
        return ipx.format_name(ipx.given(path[len(_IPX) :].partition("/")[0])) == Auto.AUTO.value
    form = path.removesuffix("/")
    if form == _NETLIFY:
        return not any(unquote(part.partition("=")[0]) == "fm" for part in query.split("&"))
    return form in _FORMS


def _error_text(target: str, failure: CalotypeError) -> str | None:
    """The message alone, as next sends it; ipx sends JSON."""
    return None if target.startswith(_IPX) else failure.detail


def _verify(raw: str, prefix: str, keys: Keys) -> Signed | None:
    """No URL of these services is signed."""
    return None


def _check_key(secret: str) -> NoReturn:
    raise ValueError("cannot be used: URLs of the dialect next have no signatures")


def _rows(form: str, *rows: tuple[str, Support, str]) -> tuple[DocumentedOption, ...]:
    return tuple(
        DocumentedOption(names=(name,), support=how, note=f"{form}: {note}") for name, how, note in rows
    )


_DONE, _APPROXIMATED = Support.DONE, Support.APPROXIMATED

DIALECT = Dialect(
    name="next",
    recognises=recognises,
    parse=parse,
    verify=_verify,
    unsigned=lambda raw, _: raw,
    negotiates=negotiates,
    check_key=_check_key,
    statuses={
        "source-not-allowed": 400,
        "unsupported-format": 400,
        "undecodable": 400,
        "original-too-large": 413,
    },
    error_text=_error_text,
    options=(
        *_rows(
            "`/_next/image`, `/_vercel/image`",
            (
                "url",
                _DONE,
                "A path without a query, which is the key after its slash, or an http or https URL. At most 3072 "
                "characters.",
            ),
            ("w", _DONE, "Width in pixels; never enlarges. `dimensions` says which ones are allowed."),
            ("q", _APPROXIMATED, "1 to 100, on the scale of JPEG in every format."),
        ),
        *_rows(
            "`/.netlify/images`",
            ("url", _DONE, "A path without a query, with or without a slash, or an http or https URL."),
            ("w", _DONE, "Width in pixels; never enlarges."),
            ("h", _DONE, "Height in pixels; never enlarges."),
            (
                "fit",
                _APPROXIMATED,
                "contain, cover or fill; with both sides only. Pictures are never enlarged; a box larger than the "
                "picture is reduced at its own aspect.",
            ),
            ("position", _DONE, "center, top, bottom, left or right, for cover."),
            ("fm", _APPROXIMATED, "avif, jpg, png, webp or gif; negotiated without it. blurhash is refused."),
            ("q", _APPROXIMATED, "1 to 100, on the scale of JPEG in every format."),
        ),
        *IPX_OPTIONS,
    ),
)
