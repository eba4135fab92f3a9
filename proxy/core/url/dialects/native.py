"""The native dialect in its two forms: `/<transform>/<key>` and `/thumbnail?url=<key>&...`.

Parses and writes raw request targets. The policy of the mount is applied elsewhere.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from urllib.parse import unquote

from proxy.core.errors import BadTransform, BadUrl, UnknownRoute
from proxy.core.image.formats import Format
from proxy.core.image.metadata import FIELDS
from proxy.core.nearest import meant, named, nearest
from proxy.core.transform.operations import Auto, Transform, overlay
from proxy.core.url.dialects.native_params import PATH, QUERY, Param, nearest_name, nearest_token
from proxy.core.url.target import checked_locator, cut, decoded, encoded, is_tracker

Presets = Mapping[str, Transform]

_PATH_PRESET, _QUERY_PRESET, _URL, _VERSION, _FIELDS = "t", "preset", "url", "v", "fields"
_SLASH = "/"


class QueryRule(StrEnum):
    """The treatment of unknown query parameters after a path. In `/thumbnail?`, whose parameters are the transform,
    they are always refused."""

    STRICT = "strict"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantUrl:
    """`own` is the transform of the URL's own parameters, `preset` the name of its preset. `clamped` has the
    parameters that were out of range, with the requested value; `unused` the parameters without a meaning. `params`
    is the parameter table of the form. `key` may be an absolute URL; the mount interprets it."""

    key: str
    own: Transform
    preset: str | None = None
    clamped: tuple[tuple[str, str], ...] = ()
    unused: tuple[str, ...] = field(default=(), compare=False)
    params: Mapping[str, Param] = field(default_factory=lambda: PATH, compare=False, repr=False)

    def transform(self, presets: Presets) -> Transform:
        """The URL's own parameters over its preset."""
        return self.own if self.preset is None else overlay(presets[self.preset], self.own)


@dataclass(frozen=True, slots=True)
class OriginalUrl:
    """The original itself, byte for byte."""

    key: str


@dataclass(frozen=True, slots=True)
class InfoUrl:
    """The description of an original; all of it without `fields`."""

    key: str
    fields: tuple[str, ...] = ()

    def transform(self, _: Presets) -> Transform:
        """A description is rendered and cached like a variant."""
        return Transform(format=Format.INFO)


ParsedUrl = VariantUrl | OriginalUrl | InfoUrl


@dataclass(frozen=True, slots=True)
class _Pair:
    """One parameter: its position, from 1; its text as `written`, a token or a query name; its name in this form of
    the dialect, None if unknown; its value."""

    position: int
    written: str
    spelled: str | None
    value: str


def parse(raw: str, presets: Presets, *, query: QueryRule = QueryRule.STRICT) -> ParsedUrl:
    """Parses the raw target below a mount.

    Raises UnknownRoute if the first segment is neither a route nor a transform, else BadUrl, BadTransform or
    SourceNotAllowed.
    """
    target = cut(raw)
    first, slash, rest = target.path[1:].partition(_SLASH)
    if first == "thumbnail" and not slash:
        return _parse_query(target.query or "", presets)
    if first == "original" and slash:
        _parameters(target.query, (), query)
        return OriginalUrl(checked_locator(decoded(rest, "the key")))
    if first == "info" and slash:
        values, _ = _parameters(target.query, (_FIELDS,), query)
        return InfoUrl(checked_locator(decoded(rest, "the key")), _fields(values.get(_FIELDS)))
    if not _is_transform(first):
        parts = unquote(first).split(",")
        near = [nearest_token(part) or "" for part in parts]
        unknown = f"; parameter {named(parts[0], 1)} is unknown{meant(','.join(near))}" if all(near) else ""
        raise UnknownRoute(
            f"no such route: the URL of a variant is /<transform>/<key>, as in /w_400/photo.jpg{unknown}"
        )
    values, unused = _parameters(target.query, (_VERSION,), query)
    if not slash:
        raise BadUrl("the key is missing: the URL of a variant is /<transform>/<key>")
    parsed = parse_tokens(first, presets)
    own = parsed.own
    if (version := values.get(_VERSION)) is not None:
        if own.version is not None:
            raise BadTransform("parameter v is given twice: in the path and in the query")
        own = _with(own, PATH[_VERSION], _VERSION, version)
    return replace(parsed, key=checked_locator(decoded(rest, "the key")), own=own, unused=unused)


def parse_tokens(tokens: str, presets: Presets) -> VariantUrl:
    """Parses the transform of a path URL, for a preset or a command line too; the key is empty."""
    return _read(_path_pairs(decoded(tokens, "the transform")), PATH, _PATH_PRESET, presets, nearest_token)


def no_preset(parameter: str, name: str, position: int, presets: Presets) -> BadTransform:
    """The error for a `parameter` whose value `name` is not one of `presets`."""
    return BadTransform(
        f"parameter {parameter} names no preset of this node: {named(name, position)}{meant(nearest(name, presets))}"
    )


def _parse_query(query: str, presets: Presets) -> VariantUrl:
    pairs = [_query_pair(position, part) for position, part in enumerate(query.split("&"), start=1)]
    urls = [pair.value for pair in pairs if pair.spelled == _URL]
    if len(urls) != 1:
        raise BadUrl("parameter url must be given once: the key of the original")
    unused = tuple(pair.written for pair in pairs if is_tracker(pair.written))
    rest = [pair for pair in pairs if pair.spelled != _URL and not is_tracker(pair.written)]
    parsed = _read(rest, QUERY, _QUERY_PRESET, presets, nearest_name)
    return replace(parsed, key=checked_locator(urls[0]), unused=unused)


def _parameters(
    query: str | None, supported: tuple[str, ...], rule: QueryRule
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The values of the `supported` parameters in the query after a path, and the names of the other parameters."""
    values: dict[str, str] = {}
    unused: list[str] = []
    for position, part in enumerate([] if query is None else query.split("&"), start=1):
        name, _, value = part.partition("=")
        if name in values:
            raise BadUrl(f"parameter {name} is given twice")
        if name in supported:
            values[name] = decoded(value, f"parameter {name}")
        elif is_tracker(name) or rule is QueryRule.IGNORE:
            unused.append(named(name, position))
        else:
            raise BadUrl(
                f"parameter {named(name, position)} is not supported: the query of this URL may have"
                f" {', '.join(supported) or 'none'}; a transform belongs in /thumbnail?url= or in the first path segment"
                + meant(nearest(name, supported))
            )
    return values, tuple(unused)


def _fields(value: str | None) -> tuple[str, ...]:
    fields = [] if value is None else value.split(",")
    for position, name in enumerate(fields, start=1):
        if name not in FIELDS or name in fields[: position - 1]:
            raise BadUrl(
                f"parameter fields is invalid at position {position}: it takes, once each, {', '.join(FIELDS)}"
            )
    return tuple(name for name in FIELDS if name in fields)


def _is_transform(segment: str) -> bool:
    """Whether a first segment is a transform: one known token suffices, even if another is invalid."""
    with suppress(BadUrl):
        segment = decoded(segment, "the transform")
    return any(pair.spelled is not None for pair in _path_pairs(segment))


def _path_pairs(segment: str) -> list[_Pair]:
    return [_path_pair(position, part) for position, part in enumerate(segment.split(","), start=1)]


def _path_pair(position: int, part: str) -> _Pair:
    name, mark, value = part.partition("_")
    return _Pair(position, part, name if mark and (name in PATH or name == _PATH_PRESET) else None, value)


def _query_pair(position: int, part: str) -> _Pair:
    name, _, value = part.partition("=")
    known = name in QUERY or name in (_QUERY_PRESET, _URL)
    value = decoded(value.replace("+", "%20"), name) if known else ""
    return _Pair(position, name, name if known else None, value)


def _read(
    pairs: Iterable[_Pair],
    tokens: Mapping[str, Param],
    preset_name: str,
    presets: Presets,
    near: Callable[[str], str | None],
) -> VariantUrl:
    """The URL of these parameters, without a key."""
    own = Transform()
    preset: str | None = None
    seen: set[str] = set()
    for pair in pairs:
        name = pair.spelled
        if name is None:
            raise BadTransform(
                f"parameter {named(pair.written, pair.position)} is unknown"
                + (meant(near(pair.written)) or f"; known are {', '.join([*tokens, preset_name])}")
            )
        if name in seen and not (name in tokens and tokens[name].repeats):
            raise BadTransform(f"parameter {name} is given twice")
        seen.add(name)
        if not pair.value:
            raise BadTransform(f"parameter {name} is empty")
        if name != preset_name:
            own = _with(own, tokens[name], name, pair.value)
        elif pair.value in presets:
            preset = pair.value
        else:
            raise no_preset(name, pair.value, pair.position, presets)
    clamped: tuple[tuple[str, str], ...] = ()
    if own.quality is not None and not 1 <= own.quality <= 100:
        clamped = (("q", str(own.quality)),)
        own = replace(own, quality=max(1, min(100, own.quality)))
    return VariantUrl(key="", own=own, preset=preset, clamped=clamped, params=tokens)


def _with(to: Transform, token: Param, name: str, value: str) -> Transform:
    """`to` with one more parameter. Raises BadTransform."""
    try:
        return token.read(to, value)
    except ValueError as reason:
        raise BadTransform(f"parameter {name} {reason}") from None


def negotiates(raw: str, presets: Presets) -> bool:
    """Whether the answer to `raw`, even an error, depends on Accept: whether the URL has `f_auto` in any form, even
    if the rest of the URL is invalid."""
    path, _, query = raw.partition("?")
    first = path[1:].partition(_SLASH)[0]
    if first == "thumbnail":
        renamed = {"format": "f", _QUERY_PRESET: _PATH_PRESET}
        parts = (part.partition("=") for part in query.split("&"))
        spelled = [(renamed.get(name), unquote(value)) for name, _, value in parts]
    else:
        spelled = [(pair.spelled, pair.value) for pair in _path_pairs(unquote(first))]
    formats = {value for name, value in spelled if name == "f"}
    if formats:
        return Auto.AUTO.value in formats
    return any(
        name == _PATH_PRESET and value in presets and presets[value].format is Auto.AUTO
        for name, value in spelled
    )


def spell(transform: Transform, preset: str | None = None) -> str:
    """The transform segment of a path URL; `parse_tokens` is its inverse. Empty for an empty transform."""
    parts = [f"t_{preset}"] if preset else []
    parts += [f"{name}_{value}" for name, token in PATH.items() for value in token.write(transform)]
    return ",".join(parts)


def path_url(key: str, transform: Transform, preset: str | None = None) -> str:
    """The path form of a URL below its mount. Raises BadTransform for an empty transform."""
    segment = spell(transform, preset)
    if not segment:
        raise BadTransform("the transform is empty; f_auto alone re-encodes the original")
    return f"/{segment}/{encoded(checked_locator(key))}"


def native_url(parsed: ParsedUrl, key: str, transform: Transform | None) -> str:
    """The target below its mount for `key` as in `parsed`; only a variant has a `transform`."""
    match parsed:
        case OriginalUrl():
            return f"/original/{encoded(key)}"
        case InfoUrl(fields=fields):
            return f"/info/{encoded(key)}" + (f"?{_FIELDS}={','.join(fields)}" if fields else "")
        case VariantUrl():
            url = path_url if transform and spell(transform) else query_url
            return url(key, transform or Transform())


def query_url(key: str, transform: Transform, preset: str | None = None) -> str:
    """The query form of a URL below its mount."""
    parts = [f"url={encoded(checked_locator(key))}"]
    if preset:
        parts.append(f"preset={preset}")
    parts += [f"{name}={value}" for name, token in QUERY.items() for value in token.write(transform)]
    return "/thumbnail?" + "&".join(parts)
