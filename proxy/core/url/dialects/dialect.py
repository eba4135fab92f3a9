"""The record of a dialect: all that differs between the URLs of vendors, as one value that a mount holds.

A dialect reads raw targets. `prefix` is that of the mount, `/` or `/name/`; the path below it begins with a slash.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from proxy.core.errors import BadTransform, CalotypeError, NotSupported
from proxy.core.url.dialects.component import Presets
from proxy.core.url.parsed_url import ParsedUrl
from proxy.core.url.signing import Keys, Signed


class QueryRule(StrEnum):
    """The treatment of unknown query parameters after a path. In `/thumbnail?`, whose parameters are the transform,
    they are always refused."""

    STRICT = "strict"
    IGNORE = "ignore"


class Unsupported(StrEnum):
    """The treatment of a vendor's options that the node does not support. IGNORE ignores those that only polish; an
    option that changes what the picture shows is refused. UPSTREAM passes URLs with any of them to the vendor's own
    service."""

    REFUSE = "refuse"
    IGNORE = "ignore"
    UPSTREAM = "upstream"


class Support(StrEnum):
    """How far the node does what an option of a vendor requests. REFUSED options follow the `unsupported` rule of the
    mount if they only polish."""

    DONE = "done"
    APPROXIMATED = "approximated"
    IGNORED = "ignored"
    REFUSED = "refused"


class OnlyPolishes(Exception):
    """An option or a value that the node does not support, and that hardly changes what the picture shows."""


SUFFIXES = ("jpg", "png", "webp", "gif", "avif")
"""The suffixes of originals that a URL may name without one, in the order of the lookups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a mount lets a dialect know when it parses a URL. Two are of imgproxy: what separates the arguments of an
    option, and whether a file name follows an original in base64url. `suffixes` are of Cloudinary: those of the keys that
    a public id may stand for."""

    presets: Presets
    query: QueryRule = QueryRule.STRICT
    unsupported: Unsupported = Unsupported.REFUSE
    arguments_separator: str = ":"
    base64_url_includes_filename: bool = False
    suffixes: tuple[str, ...] = SUFFIXES


class UnsupportedValue(ValueError):
    """A value of an option that the vendor's service takes, or may take, and the node does not."""


def refusal(reason: ValueError, detail: str) -> BadTransform:
    """The error for an option with a wrong value."""
    return (NotSupported if isinstance(reason, UnsupportedValue) else BadTransform)(detail)


OWN_SETTINGS = ("arguments_separator", "base64_url_includes_filename", "suffixes")
"""The keys of a mount that only some dialects take: those that have them in `settings`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentedOption:
    """A row of `docs/dialects/<name>.md`: an option with its aliases, how far it is done, and how."""

    names: tuple[str, ...]
    support: Support
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """`recognises` says whether a target below the mount has the form of a URL of this dialect, valid or not.

    `parse` takes the target below the mount, with the place of a signature in it. It raises UnknownRoute, BadUrl,
    BadTransform or SourceNotAllowed; NotSupported or UrlNotSupported for what the vendor's service does, or may do, and
    the node does not.

    `verify` takes the whole target, prefix and keys, and returns None for an unsigned one; it raises BadSignature or
    BadUrl. `unsigned` removes a signature, valid or not, from a target that then parses to the same. `negotiates` says
    whether the answer to a target below the mount depends on Accept, also if the target is invalid. `check_key` returns
    how many secret bytes a key of the configuration has; it raises ValueError, with a reason that does not repeat the key,
    for one that the scheme cannot use.
    `statuses` has the HTTP statuses, by slug, that differ from those of the native dialect; `error_text` gives the body of
    the answer to a target below the mount that failed, as plain text, or None for a problem, and `error_headers` the
    headers that the vendor adds; `success_headers` are those of an answer that did not fail. `error_location` gives the
    location to which the client of a failed target is redirected, empty for none, from the Host of the request too.
    `is_always_signed` says whether a target below the mount needs a signature whatever the mount requires. `health` is
    the path below the mount with which the vendor's service tells that it runs, `preset_url` the form of a URL of a preset
    alone; both are empty if the vendor has none. `settings` are those of OWN_SETTINGS that a mount of the dialect may have.
    `sign` takes an unsigned whole target, the prefix and one secret, and returns the target with its signature; it raises
    ValueError for a secret that signs no URLs. It is None if the vendor has no signatures. `omits_scheme` says whether URLs
    name originals of the web without `http://`.
    """

    name: str
    recognises: Callable[[str], bool]
    parse: Callable[[str, Reading], ParsedUrl]
    verify: Callable[[str, str, Keys], Signed | None]
    unsigned: Callable[[str, str], str]
    negotiates: Callable[[str, Reading], bool]
    check_key: Callable[[str], int]
    statuses: Mapping[str, int] = field(default_factory=dict)
    error_text: Callable[[str, CalotypeError], str | None] = lambda _, __: None
    error_headers: Callable[[str, CalotypeError], Mapping[str, str]] = lambda _, __: {}
    success_headers: Mapping[str, str] = field(default_factory=dict)
    error_location: Callable[[str, str, CalotypeError], str] = lambda _, __, ___: ""
    is_always_signed: Callable[[str], bool] = lambda _: False
    health: str = ""
    preset_url: str = ""
    settings: frozenset[str] = frozenset()
    sign: Callable[[str, str, bytes], str] | None = None
    omits_scheme: bool = False
    options: tuple[DocumentedOption, ...] = ()
