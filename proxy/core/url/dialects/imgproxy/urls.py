"""The dialect of imgproxy: `/<signature>/<option>:<argument>.../plain/<URL>@<format>`, or the URL in base64url.

Parses and verifies raw request targets. The query is ignored, as in imgproxy. The signature is a path segment; a URL
without one has `unsafe`, `insecure` or `_` in its place. `arguments_separator` and `base64_url_includes_filename` of a mount
are the settings of imgproxy with these names. `s3://bucket/key` and `local:///key` are originals of `source` or `remote` of
the mount: of the one that has this bucket, or is a directory. A key in `[signing.keys]` is `HEXKEY:HEXSALT`, with
`:BYTES` behind it for truncated signatures, or `trusted:TEXT`.
"""

import re
from dataclasses import replace
from urllib.parse import quote

from proxy.core.errors import (
    BadSignature,
    BadTransform,
    BadUrl,
    CalotypeError,
    NotSupported,
    OptionNotAllowed,
    UrlNotSupported,
)
from proxy.core.image.formats import TRAITS, Format
from proxy.core.nearest import meant, named, nearest
from proxy.core.transform.operations import NOTHING, Auto, Transform
from proxy.core.url.dialects.component import transform_of
from proxy.core.url.dialects.dialect import (
    Dialect,
    OnlyPolishes,
    Reading,
    Unsupported,
    UnsupportedValue,
    refusal,
)
from proxy.core.url.dialects.imgproxy.operations import transform
from proxy.core.url.dialects.imgproxy.options import BY_NAME, DOCUMENTED, Option
from proxy.core.url.dialects.imgproxy.readers import Requested, apply_preset
from proxy.core.url.dialects.imgproxy.signatures import (
    NO_SIGNATURE,
    check_key,
    repaired,
    sign,
    split,
    unsigned,
    verify,
)
from proxy.core.url.dialects.imgproxy.values import FORMATS
from proxy.core.url.original_urls import DIRECTORY, LOCAL
from proxy.core.url.parsed_url import OriginalUrl, ParsedUrl, Unused, VariantUrl
from proxy.core.url.target import checked_locator, decoded, is_absolute, of_base64

_PLAIN, _ENCRYPTED, _DEFAULT = "plain", "enc", "default"
_MOST_OPTIONS = 32
_NO_ORIGINAL = "the original is missing: the options are followed by plain/<URL>, or by the URL in base64url"
_UNFIT_FOR_NAME = re.compile(r'[^\x20-\x7e]|["\\%/;]')


def parse(target: str, reading: Reading) -> ParsedUrl:
    """Parses the raw target below a mount; the segment of the signature may hold anything but a colon. A URL of presets
    may have an extension too, as in imgproxy.

    Raises UnknownRoute, BadSignature, BadUrl, BadTransform or UnsupportedFormat.
    """
    signature, rest = split(target)
    if ":" in signature:
        raise BadSignature(NO_SIGNATURE)
    segments = repaired(rest).split("/")
    requested = Requested(presets=reading.presets)
    if _DEFAULT in reading.presets:
        apply_preset(requested, _DEFAULT, 1)
    at = _read_options(segments, requested, reading)
    locator, extension = _original(segments[at:], has_name=reading.base64_url_includes_filename)
    key = _key(locator)
    until_s = requested.until_s or None
    if requested.is_raw or _is_skipped(requested, key, extension):
        disposition = _disposition(requested, key, is_original=True)
        return OriginalUrl(key, until_s=until_s, disposition=disposition)
    is_preset = requested.is_preset and bool(requested.named)
    if extension:
        _apply("format", BY_NAME["format"], [extension], requested, reading)
    return VariantUrl(
        key=key,
        transform=transform(requested),
        of_presets=_of_presets(requested),
        is_preset=is_preset,
        unused=tuple(requested.unused),
        reduced=tuple(requested.reduced),
        until_s=until_s,
        disposition=_disposition(requested, key, is_original=False),
    )


_OPTION = re.compile(r"([a-z_]+)[!$&'()*+,:;=@|~-]", re.ASCII)
"""The name of an option before any separator that a mount may have, but for an underscore, which names have too."""


def recognises(target: str) -> bool:
    """Whether an option or `plain` follows the first segment, or an absolute URL in base64url."""
    _, slash, rest = target.partition("?")[0][1:].partition("/")
    first, *others = repaired(rest).split("/")
    if not slash or first in (_PLAIN, _ENCRYPTED) or _PLAIN in others:
        return bool(slash)
    option = _OPTION.match(first)
    if option and option[1] in BY_NAME:
        return True
    try:
        return is_absolute(of_base64("".join((first, *others)).partition(".")[0]))
    except ValueError:
        return False


def _of_presets(requested: Requested) -> Transform:
    """What the presets of the URL request alone."""
    if not requested.named:
        return NOTHING
    return transform_of(component for name in requested.named for component in requested.presets[name])


def _read_options(segments: list[str], requested: Requested, reading: Reading) -> int:
    """Reads the options; returns the number of their segments. A first segment of names of presets is one of a URL that
    has nothing but presets."""
    separator = reading.arguments_separator
    names = segments[0].split(separator)
    is_of_options = segments[0] == _PLAIN or (len(names) > 1 and names[0] in BY_NAME)
    if not is_of_options and all(name in reading.presets for name in names):
        _apply("preset", BY_NAME["preset"], names, requested, reading)
        return 1
    for at, segment in enumerate(segments):
        name, separated, arguments = segment.partition(separator)
        if not separated:
            return at
        if at == _MOST_OPTIONS:
            raise BadTransform(f"the URL has more than {_MOST_OPTIONS} options")
        option = BY_NAME.get(name)
        if option is None:
            raise NotSupported(f"option {named(name, at + 1)} is unknown{meant(nearest(name, BY_NAME))}")
        _apply(name, option, arguments.split(separator), requested, reading)
    return len(segments)


def _apply(name: str, option: Option, args: list[str], requested: Requested, reading: Reading) -> None:
    """Applies an option by the name that the URL has for it. Raises BadTransform or UnsupportedFormat."""
    requested.is_preset &= option.is_delivery
    if option.is_security:
        raise OptionNotAllowed(f"option {name} is not allowed: the node has limits of its own")
    try:
        if option.read is None:
            raise (
                OnlyPolishes("it is not supported")
                if option.polishes
                else UnsupportedValue("is not supported")
            )
        if len(args) > option.at_most:
            raise ValueError(f"takes {option.at_most} arguments at most")
        option.read(requested, args)
    except ValueError as reason:
        raise refusal(reason, f"option {name} {reason}") from None
    except OnlyPolishes as reason:
        if reading.unsupported is not Unsupported.IGNORE:
            raise NotSupported(f"option {name} cannot be followed: {reason}") from None
        requested.unused.append(Unused(name, str(reason), is_option=True))


def _original(segments: list[str], *, has_name: bool) -> tuple[str, str]:
    """The locator of the original, and the extension after it. With `has_name` the last of several segments in base64url
    is a file name. Raises BadUrl."""
    if not segments:
        raise BadUrl(_NO_ORIGINAL)
    if segments[0] == _PLAIN and len(segments) > 1:
        text, *extensions = "/".join(segments[1:]).split("@")
        locator = decoded(text, "the URL of the original")
    elif segments[0] == _ENCRYPTED and len(segments) > 1:
        raise UrlNotSupported("encrypted URLs of originals are not supported")
    else:
        text, *extensions = "".join(segments[:-1] if has_name and len(segments) > 1 else segments).split(".")
        try:
            locator = of_base64(text)
        except ValueError as reason:
            raise BadUrl(f"the URL of the original {reason}, and plain/ does not precede it") from None
    if not locator or len(extensions) > 1:
        raise BadUrl(_NO_ORIGINAL if not locator else "the URL has more than one extension")
    return locator, extensions[0] if extensions else ""


def _key(locator: str) -> str:
    """A key, or an absolute URL; one of a local original has three slashes. Raises BadUrl."""
    if locator.startswith(LOCAL):
        return DIRECTORY.url_of(DIRECTORY.key_for(locator))
    return checked_locator(locator if is_absolute(locator) else locator.removeprefix("/"))


def _is_skipped(requested: Requested, key: str, extension: str) -> bool:
    """Whether the original is served as it is: its name ends in a format to skip, and no other is requested."""
    if not requested.skipped:
        return False
    suffix = key.partition("?")[0].rpartition(".")[2].lower()
    own = FORMATS.get(suffix)
    if suffix not in requested.skipped and (own is None or own not in map(FORMATS.get, requested.skipped)):
        return False
    output = FORMATS.get(extension) if extension else requested.format
    return output is own or (output is None and not extension)


def _disposition(requested: Requested, key: str, *, is_original: bool) -> str:
    """The value of Content-Disposition (RFC 6266); empty if the URL requests none."""
    if not requested.file_name and not requested.is_attachment:
        return ""
    stem, dot, own = key.partition("?")[0].rpartition("/")[2].rpartition(".")
    name = requested.file_name or (stem if dot else own) or "image"
    output = requested.format if isinstance(requested.format, Format) else FORMATS.get(own.lower())
    suffix = own if is_original else TRAITS[output].suffix if output is not None else ""
    if dot and suffix and not name.lower().endswith(f".{suffix.lower()}"):
        name = f"{name}.{suffix}"
    kind = "attachment" if requested.is_attachment else "inline"
    if _UNFIT_FOR_NAME.search(name):
        return f"{kind}; filename*=UTF-8''{quote(name.encode('utf-8', 'replace'), safe='')}"
    return f'{kind}; filename="{name}"'


def negotiates(target: str, reading: Reading) -> bool:
    """Whether the answer depends on Accept. Only presets can request that."""
    if not any(one.format is Auto.AUTO for components in reading.presets.values() for one in components):
        return False
    try:
        parsed = parse(target, replace(reading, unsupported=Unsupported.IGNORE))
    except CalotypeError:
        return False
    return isinstance(parsed, VariantUrl) and parsed.transform.format is Auto.AUTO


DIALECT = Dialect(
    name="imgproxy",
    recognises=recognises,
    parse=parse,
    verify=verify,
    sign=sign,
    unsigned=unsigned,
    negotiates=negotiates,
    check_key=check_key,
    statuses={
        "bad-transform": 404,
        "bad-url": 404,
        "dimension-not-allowed": 404,
        "colour-not-allowed": 404,
        "source-not-allowed": 404,
        "signature-expired": 404,
        "original-too-large": 422,
        "undecodable": 422,
        "unsupported-format": 422,
        "overloaded": 429,
        "worker-died": 500,
        "render-timeout": 503,
    },
    health="/health",
    settings=frozenset({"arguments_separator", "base64_url_includes_filename"}),
    preset_url="/<signature>/<preset>/plain/<URL>",
    options=DOCUMENTED,
)
