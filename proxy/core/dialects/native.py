"""The two native dialects of one language: `/<transform>/<key>` and `/thumbnail?url=<key>&...`.

Raw request target <-> what is asked. Policy of a mount is not applied here, nor is anything looked up but presets.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import unquote

from proxy.core.dialects.target import Target, checked_locator, cut, decoded, encoded
from proxy.core.dialects.tokens import PATH, QUERY, Token
from proxy.core.errors import BadTransform, BadUrl, UnknownRoute
from proxy.core.formats import Format
from proxy.core.info import FIELDS
from proxy.core.transform import Auto, Transform, overlay

Presets = Mapping[str, Transform]

_PATH_PRESET, _QUERY_PRESET, _URL = "t", "preset", "url"
_SLASH = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantAsked:
    """`own` is what the URL's own tokens say, `preset` the name beside them; `clamped` names what was out of range.
    `key` may be an absolute URL where the dialect takes one; the mount says what it means."""

    key: str
    own: Transform
    preset: str | None = None
    clamped: tuple[str, ...] = ()

    def transform(self, presets: Presets) -> Transform:
        """Tokens over their preset."""
        return self.own if self.preset is None else overlay(presets[self.preset], self.own)


@dataclass(frozen=True, slots=True)
class OriginalAsked:
    """The original itself, byte for byte."""

    key: str


@dataclass(frozen=True, slots=True)
class InfoAsked:
    """What is told of the original; of all there is, where no `fields` are named."""

    key: str
    fields: tuple[str, ...] = ()

    def transform(self, _: Presets) -> Transform:
        """What it is to the miss path: a variant like others."""
        return Transform(format=Format.INFO)


Asked = VariantAsked | OriginalAsked | InfoAsked


@dataclass(frozen=True, slots=True)
class _Pair:
    """One parameter as written: `spelled` is its name in the dialect at hand, None if that is unknown."""

    spelled: str | None
    value: str


def parse(raw: str, presets: Presets) -> Asked:
    """What the raw target below a mount asks.

    Raises UnknownRoute where the first segment is no route and holds no known token, BadUrl, BadTransform or
    SourceNotAllowed where it is a mistake.
    """
    target = cut(raw)
    first, slash, rest = target.path[1:].partition(_SLASH)
    if first == "thumbnail" and not slash:
        return _parse_query(target.query or "", presets)
    if first == "original" and slash:
        _refuse_query(target)
        return OriginalAsked(checked_locator(decoded(rest, "the key")))
    if first == "info" and slash:
        return InfoAsked(checked_locator(decoded(rest, "the key")), _fields(target.query))
    if not _is_transform(first):
        raise UnknownRoute("no such route: a picture's URL is /<transform>/<key>, as in /w_400/photo.jpg")
    _refuse_query(target)
    if not slash:
        raise BadUrl("the key is missing: a picture's URL is /<transform>/<key>")
    asked = parse_tokens(first, presets)
    return replace(asked, key=checked_locator(decoded(rest, "the key")))


def parse_tokens(tokens: str, presets: Presets) -> VariantAsked:
    """The comma-separated tokens of a path URL, for a preset or a command line too; the key stays empty."""
    return _read("", _path_pairs(tokens), PATH, _PATH_PRESET, presets)


def _parse_query(query: str, presets: Presets) -> VariantAsked:
    pairs = [_query_pair(part) for part in query.split("&")]
    urls = [pair.value for pair in pairs if pair.spelled == _URL]
    if len(urls) != 1:
        raise BadUrl("parameter url must be given once: the key of the original")
    return _read(
        checked_locator(urls[0]),
        pairs,
        QUERY,
        _QUERY_PRESET,
        presets,
    )


def _fields(query: str | None) -> tuple[str, ...]:
    if query is None:
        return ()
    name, _, said = query.partition("=")
    if name != "fields" or "&" in said:
        raise BadUrl("this URL takes no parameter but fields, once")
    fields = decoded(said, "parameter fields").split(",")
    for place, field in enumerate(fields, start=1):
        if field not in FIELDS or field in fields[: place - 1]:
            raise BadUrl(
                f"parameter fields is wrong at place {place}: it takes, once each, {', '.join(FIELDS)}"
            )
    return tuple(field for field in FIELDS if field in fields)


def _refuse_query(target: Target) -> None:
    if target.query is not None:
        raise BadUrl("this URL takes no query: parameters stand in its first segment, or use /thumbnail?url=")


def _is_transform(segment: str) -> bool:
    """Whether a first segment means to be one: it holds a known token, whatever is wrong with the rest."""
    with suppress(BadUrl):
        segment = decoded(segment, "the transform")
    return any(_path_pair(part).spelled is not None for part in segment.split(","))


def _path_pairs(segment: str) -> list[_Pair]:
    return [_path_pair(part) for part in decoded(segment, "the transform").split(",")]


def _path_pair(part: str) -> _Pair:
    name, mark, value = part.partition("_")
    return _Pair(name if mark and (name in PATH or name == _PATH_PRESET) else None, value)


def _query_pair(part: str) -> _Pair:
    name, _, value = part.partition("=")
    known = name in QUERY or name in (_QUERY_PRESET, _URL)
    return _Pair(name if known else None, decoded(value.replace("+", "%20"), name) if known else "")


def _read(
    key: str, pairs: Iterable[_Pair], tokens: Mapping[str, Token], preset_name: str, presets: Presets
) -> VariantAsked:
    own = Transform()
    preset: str | None = None
    seen: set[str] = set()
    for position, pair in enumerate(pairs, start=1):
        name = pair.spelled
        if name == _URL:
            continue
        if name is None:
            raise BadTransform(
                f"parameter {position} is unknown; known are {', '.join([*tokens, preset_name])}"
            )
        if name in seen and not (name in tokens and tokens[name].repeats):
            raise BadTransform(f"parameter {name} is given twice")
        seen.add(name)
        if not pair.value:
            raise BadTransform(f"parameter {name} is empty")
        if name == preset_name:
            if pair.value not in presets:
                raise BadTransform(f"parameter {name} names no preset of this node")
            preset = pair.value
            continue
        try:
            own = tokens[name].read(own, pair.value)
        except ValueError as reason:
            raise BadTransform(f"parameter {name} {reason}") from None
    clamped: tuple[str, ...] = ()
    if own.quality is not None and not 1 <= own.quality <= 100:
        own = replace(own, quality=max(1, min(100, own.quality)))
        clamped = ("q",)
    return VariantAsked(key=key, own=own, preset=preset, clamped=clamped)


def negotiates(raw: str, presets: Presets) -> bool:
    """Whether an answer to `raw`, even an error, depends on Accept: whether it spells `f_auto` in any way, whatever
    else of it is no URL."""
    path, _, query = raw.partition("?")
    first = path[1:].partition(_SLASH)[0]
    if first == "thumbnail":
        renamed = {"format": "f", _QUERY_PRESET: _PATH_PRESET}
        parts = (part.partition("=") for part in query.split("&"))
        named = [(renamed.get(name), unquote(value)) for name, _, value in parts]
    else:
        named = [(pair.spelled, pair.value) for pair in map(_path_pair, unquote(first).split(","))]
    formats = {value for name, value in named if name == "f"}
    if formats:
        return Auto.AUTO.value in formats
    return any(
        name == _PATH_PRESET and value in presets and presets[value].format is Auto.AUTO
        for name, value in named
    )


def spell(transform: Transform, preset: str | None = None) -> str:
    """The transform segment of a path URL; `parse_tokens` is its inverse. Empty if nothing is asked."""
    parts = [f"t_{preset}"] if preset else []
    parts += [f"{name}_{value}" for name, token in PATH.items() for value in token.write(transform)]
    return ",".join(parts)


def path_url(key: str, transform: Transform, preset: str | None = None) -> str:
    """The path form of a URL below its mount; raises BadTransform where nothing is asked."""
    segment = spell(transform, preset)
    if not segment:
        raise BadTransform("the transform asks for nothing; f_auto alone re-encodes")
    return f"/{segment}/{encoded(checked_locator(key))}"


def query_url(key: str, transform: Transform, preset: str | None = None) -> str:
    """The query form of a URL below its mount."""
    parts = [f"url={encoded(checked_locator(key))}"]
    if preset:
        parts.append(f"preset={preset}")
    parts += [f"{name}={value}" for name, token in QUERY.items() for value in token.write(transform)]
    return "/thumbnail?" + "&".join(parts)
