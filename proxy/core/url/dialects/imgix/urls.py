"""The dialect of imgix: `/<path>?<parameters>&s=<signature>`, or a percent-encoded URL as the path.

Parses and verifies raw request targets. The path is a key of the mount's `source` (a web folder, or any other one),
or, as in a web proxy source, one percent-encoded URL of `remote`, which is always signed. A key in `[signing.keys]` is
the token of the source. Presets and default parameters of imgix's dashboard are unknown to the node. Parameters and
values that imgix does not know are refused, or ignored, as imgix does, if `unsupported` of the mount is `ignore`. The
order of the parameters has no effect. A parameter that is given twice has its last value, except for `auto`, which
adds up. Any name but `auto` and `ch` may end in `64`, for a value in base64url. `fm=json`, `fm=blurhash` and `palette`
describe the original, as `/info/` does, and not the result of the other parameters; the native spelling of such a URL
has the same cache entry, but is another document.
"""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote

from proxy.core.errors import BadUrl, NotSupported, UnknownRoute
from proxy.core.nearest import meant, named, nearest
from proxy.core.url.dialects.dialect import Dialect, QueryRule, Reading, Unsupported, UnsupportedValue
from proxy.core.url.dialects.imgix.documents import document_of
from proxy.core.url.dialects.imgix.operations import transform
from proxy.core.url.dialects.imgix.parameter_values import ParameterValues
from proxy.core.url.dialects.imgix.parameters import BY_NAME, CROP_OF_SIDE, DOCUMENTED, QUIET, SUGGESTED
from proxy.core.url.dialects.imgix.signatures import sign, unsigned, verify
from proxy.core.url.dialects.imgix.values import DOCUMENTS
from proxy.core.url.dialects.parameter import Given, ParameterReader
from proxy.core.url.parsed_url import InfoUrl, ParsedUrl, VariantUrl
from proxy.core.url.signing import secret_length
from proxy.core.url.target import (
    checked_locator,
    cut,
    decoded,
    has_path,
    is_absolute,
    is_tracker,
    of_base64,
    query_parts,
    with_both_slashes,
)

_BASE64 = "64"
_LIST = "auto"
"""A list of words, each of which is a row of the table. Equal ones add up."""


class _Parameters(NamedTuple):
    """The parameters by the first of their names, of equal ones the last; and the names of unknown ones, or their
    positions if they are not plain text."""

    given: dict[str, Given]
    unknown: list[str]

    @property
    def described(self) -> str:
        """The `fm` that asks for a description; empty without one."""
        written = self.given["fm"].value if "fm" in self.given else ""
        return written if written in DOCUMENTS else ""


def parse(target: str, reading: Reading) -> ParsedUrl:
    """Parses the raw target below a mount; a signature is ignored.

    Raises UnknownRoute, BadUrl, BadTransform, SourceNotAllowed or UnsupportedFormat.
    """
    path, written = cut(target)
    if not has_path(target):
        raise UnknownRoute("no such route: the URL of a picture is /<path>?<parameters>")
    key = checked_locator(with_both_slashes(decoded(path[1:], "the path")))
    query = _query(written or "")
    ignores = reading.unsupported is Unsupported.IGNORE
    reader = ParameterReader(ignores_polishing=ignores, ignores_mistakes=ignores)
    for name in query.unknown:
        if not ignores and reading.query is not QueryRule.IGNORE:
            raise NotSupported(f"parameter {name} is unknown{meant(nearest(name, SUGGESTED))}")
        reader.ignore(name, "imgix has no such parameter")
    needs = any(each.parameter.needs for each in query.given.values())
    words = _words(query.given) if needs else set[str]()
    values = {
        each.parameter.field: value
        for name, each in query.given.items()
        if not (name == "fm" and query.described) and (value := reader.read(each, words)) is not None
    }
    requested = ParameterValues(**values)
    if query.described or requested.palette:
        return InfoUrl(key, own=document_of(requested, query.described), until_s=requested.until_s)
    try:
        made = transform(requested)
    except UnsupportedValue as reason:
        raise NotSupported(f"parameter rot {reason}") from None
    return VariantUrl(
        key=key,
        transform=made,
        unused=tuple(reader.unused),
        reduced=tuple(reader.reduced),
        until_s=requested.until_s,
        disposition=requested.disposition,
    )


def _query(written: str) -> _Parameters:
    """Raises BadUrl."""
    query = _Parameters({}, [])
    for position, part in enumerate(query_parts(written), start=1):
        name, _, text = part.partition("=")
        if "%" in name:
            name = unquote(name)
        if not name or name in QUIET or is_tracker(name):
            continue
        value = text
        if "%" in text or "+" in text:
            value = decoded(text.replace("+", "%20"), f"parameter {named(name, position)}")
        if name == _LIST:
            given = [(f"{name}={word}", "true") for word in value.split(",") if word]
        elif name not in BY_NAME and name.endswith(_BASE64) and _takes_base64(name[:-2]):
            given = [(name[:-2], _of_base64(name, value))]
        else:
            given = [(name, value)]
        for each, text in given:
            if (parameter := BY_NAME.get(each)) is None:
                query.unknown.append(named(name, position))
            else:
                shown = each if name == _LIST else name
                query.given[parameter.names[0]] = Given(shown, parameter, text)
    return query


def _takes_base64(name: str) -> bool:
    return name in BY_NAME and name != "ch"


def _of_base64(name: str, value: str) -> str:
    try:
        return of_base64(value)
    except ValueError as reason:
        raise BadUrl(f"parameter {name} {reason}") from None


def _words(given: Mapping[str, Given]) -> set[str]:
    """What `needs` of a parameter may name: the parameters, and each with each word of its value."""
    words = {*given}
    for name, each in given.items():
        words.update([f"{name}={word}" for word in each.value.split(",")])
    if "fit=crop" in words and not words.isdisjoint(("w", "h")):
        words.add(CROP_OF_SIDE)
    return words


def negotiates(target: str, reading: Reading) -> bool:
    """Whether the answer depends on Accept: with `auto=format`, unless it is a description."""
    try:
        query = _query(target.partition("?")[2])
    except BadUrl:
        return False
    return "auto=format" in query.given and "palette" not in query.given and not query.described


def is_always_signed(target: str) -> bool:
    """Whether the path is a URL: imgix requires a signature of web proxies."""
    return is_absolute(with_both_slashes(unquote(target.partition("?")[0][1:])))


DIALECT = Dialect(
    name="imgix",
    # Any path may be that of a picture.
    recognises=has_path,
    parse=parse,
    verify=verify,
    sign=sign,
    unsigned=unsigned,
    negotiates=negotiates,
    check_key=secret_length,
    statuses={"signature-expired": 404},
    is_always_signed=is_always_signed,
    options=DOCUMENTED,
)
