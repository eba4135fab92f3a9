"""The native dialect in its two forms: `/<transform>/<key>` and `/thumbnail?url=<key>&...`.

Parses and writes raw request targets. The policy of the mount is applied elsewhere.
Longer than other files because both forms share one way from parameters to a URL and back.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import NamedTuple
from urllib.parse import unquote

from proxy.core.errors import BadTransform, BadUrl, UnknownRoute
from proxy.core.image.metadata import FIELDS
from proxy.core.nearest import meant, named, nearest
from proxy.core.transform.conditions import Condition
from proxy.core.transform.layers import MAX_LAYERS
from proxy.core.transform.operations import CENTER, NOTHING, Auto, CloseUp, Fit, Smart, Transform
from proxy.core.url import signing
from proxy.core.url.dialects.component import (
    MAX_EFFECTS,
    OUTPUT_FIELDS,
    Branch,
    Component,
    CropFit,
    Presets,
    components_of,
    expanded,
    transform_of,
)
from proxy.core.url.dialects.dialect import Dialect, QueryRule
from proxy.core.url.dialects.native.params import PATH, QUERY, Param, nearest_name, nearest_token
from proxy.core.url.parsed_url import InfoUrl, OriginalUrl, ParsedUrl, Unused, VariantUrl
from proxy.core.url.target import checked_locator, cut, decoded, encoded, is_tracker, query_parts

_PATH_PRESET, _QUERY_PRESET, _URL, _VERSION, _FIELDS = "t", "preset", "url", "v", "fields"
_SLASH, _CHAIN = "/", "~"
_NO_EFFECT = "it has no effect here"
_OF_OUTPUT = frozenset((*OUTPUT_FIELDS, "disposition"))
"""Fields of the whole transform, whose parameters may stand in any component, once."""
MAX_COMPONENTS = 16
_MAX_PARTS = 64
"""More parameters than a component can have, so that a long URL is refused quickly."""


class _Pair(NamedTuple):
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
        key, written, unused = parse_query(target.query or "", presets)
        return _variant(key, written, presets, QUERY, unused)
    if first == "original" and slash:
        _parameters(target.query, (), query)
        return OriginalUrl(checked_locator(decoded(rest, "the key")))
    if first == "info" and slash:
        values, _ = _parameters(target.query, (_FIELDS,), query)
        return InfoUrl(checked_locator(decoded(rest, "the key")), _fields(values.get(_FIELDS)))
    invalid: BadUrl | None = None
    try:
        segment = decoded(first, "the transform")
    except BadUrl as failure:
        segment, invalid = first, failure
    chain = _path_chain(segment)
    # One known token suffices, even if another is invalid.
    if all(pair.spelled is None for pairs in chain for pair in pairs):
        parts = unquote(first).split(",", _MAX_PARTS)
        near = [nearest_token(part) or "" for part in parts]
        unknown = f"; parameter {named(parts[0], 1)} is unknown{meant(','.join(near))}" if all(near) else ""
        raise UnknownRoute(
            f"no such route: the URL of a variant is /<transform>/<key>, as in /w_400/photo.jpg{unknown}"
        )
    values, unused = _parameters(target.query, (_VERSION,), query)
    if not slash:
        raise BadUrl("the key is missing: the URL of a variant is /<transform>/<key>")
    if invalid:
        raise invalid
    written = _read(chain, PATH, _PATH_PRESET, presets, nearest_token)
    if (version := values.get(_VERSION)) is not None:
        if any(component.version is not None for component in written.components):
            raise BadTransform("parameter v is given twice: in the path and in the query")
        versioned = Component(version=str(_value(PATH[_VERSION], _VERSION, version)))
        written = written._replace(components=(*written.components, versioned))
    return _variant(checked_locator(decoded(rest, "the key")), written, presets, PATH, unused)


class Written(NamedTuple):
    """The components as written, with their presets not applied; `clamped` as in VariantUrl."""

    components: tuple[Component, ...]
    clamped: tuple[tuple[str, str], ...] = ()


def parse_tokens(tokens: str, presets: Presets) -> Written:
    """Parses the transform of a path URL, for a preset or a command line too."""
    chain = _path_chain(decoded(tokens, "the transform"))
    return _read(chain, PATH, _PATH_PRESET, presets, nearest_token)


def parse_transform(tokens: str, presets: Presets) -> Transform:
    """The transform of a path URL with its presets applied."""
    return transform_of(expanded(parse_tokens(tokens, presets).components, presets))


def _variant(
    key: str,
    written: Written,
    presets: Presets,
    params: Mapping[str, Param],
    unused: tuple[Unused, ...],
) -> VariantUrl:
    named_presets = [each.preset for each in written.components if each.preset is not None]
    whole = expanded(written.components, presets) if named_presets else written.components
    is_preset, of_presets = False, NOTHING
    if named_presets:
        plain = [each._replace(preset=None, version=None, disposition=None) for each in written.components]
        is_preset = len(named_presets) == 1 and all(each == Component() for each in plain)
        of_presets = transform_of(part for name in named_presets for part in presets[name])
    return VariantUrl(
        key=key,
        transform=transform_of(whole),
        of_presets=of_presets,
        is_preset=is_preset,
        clamped=written.clamped,
        unused=unused + tuple(one for component in whole for one in _unused(component, params)),
        params=params,
        disposition=next((each.disposition for each in reversed(whole) if each.disposition), ""),
    )


def _unused(component: Component, params: Mapping[str, Param]) -> Iterator[Unused]:
    """The parameters of a component that need another one to have an effect."""
    has_side = component.width is not None or component.height is not None
    is_box = component.width is not None and component.height is not None
    if component.ratio is not None:
        is_box = has_side
    is_crop = component.fit is CropFit.CROP or (component.ratio is not None and not has_side)
    is_fitted = is_box and component.fit not in (None, Fit.INSIDE)
    fit_name = "c" if "c" in params else "fit"

    def written(name: str, of: Component) -> str:
        return ",".join(params[name].write(of))

    if component.fit not in (None, CropFit.CROP) and not is_box:
        shown = (component, component._replace(fit=Fit.INSIDE))
        requested, applied = (
            (written(fit_name, of) for of in shown) if component.fit is not Fit.INSIDE else ("", "")
        )
        yield Unused("c", "a fit needs both w and h", requested, applied)
    if component.gravity is not None and not is_crop:
        if not is_fitted or component.fit not in (Fit.COVER, Fit.CONTAIN, Fit.ADAPTIVE):
            yield Unused("g", "the picture is neither cropped nor padded")
        elif component.fit is Fit.CONTAIN and isinstance(component.gravity, Smart | CloseUp):
            requested, applied = (written("g", of) for of in (component, component._replace(gravity=CENTER)))
            yield Unused("g", "padding does not depend on the content", requested, applied)
    if component.enlarge is not None and (is_crop or not has_side):
        yield Unused("el", "the picture is not resized")
    for name, most_px in (("maxw", component.max_width_px), ("maxh", component.max_height_px)):
        if most_px is not None and is_crop:
            yield Unused(name, "the picture is not resized")


def no_preset(parameter: str, name: str, position: int, presets: Presets) -> BadTransform:
    """The error for a `parameter` whose value `name` is not one of `presets`."""
    return BadTransform(
        f"parameter {parameter} names no preset of this node: {named(name, position)}{meant(nearest(name, presets))}"
    )


class WrittenQuery(NamedTuple):
    """The key of a query URL, its transform, and the parameters without an effect."""

    key: str
    written: Written
    unused: tuple[Unused, ...]


def parse_query(query: str, presets: Presets) -> WrittenQuery:
    """Parses the query of a query URL."""
    pairs = [_query_pair(position, part) for position, part in enumerate(query_parts(query), start=1)]
    urls = [pair.value for pair in pairs if pair.spelled == _URL]
    if len(urls) != 1:
        raise BadUrl("parameter url must be given once: the key of the original")
    unused = tuple(Unused(pair.written, _NO_EFFECT) for pair in pairs if is_tracker(pair.written))
    rest = [pair for pair in pairs if pair.spelled != _URL and not is_tracker(pair.written)]
    written = _read([rest], QUERY, _QUERY_PRESET, presets, nearest_name)
    return WrittenQuery(checked_locator(urls[0]), written, unused)


def _parameters(
    query: str | None, supported: tuple[str, ...], rule: QueryRule
) -> tuple[dict[str, str], tuple[Unused, ...]]:
    """The values of the `supported` parameters in the query after a path, and the other parameters."""
    values: dict[str, str] = {}
    unused: list[Unused] = []
    for position, part in enumerate([] if query is None else query_parts(query), start=1):
        name, _, value = part.partition("=")
        if name in values:
            raise BadUrl(f"parameter {name} is given twice")
        if name in supported:
            values[name] = decoded(value, f"parameter {name}")
        elif is_tracker(name) or rule is QueryRule.IGNORE:
            unused.append(Unused(named(name, position), _NO_EFFECT))
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


def _path_chain(segment: str) -> list[list[_Pair]]:
    """The parameters of each component. Parts beyond the limit are one, which is unknown."""
    position = count(1)
    return [
        [_path_pair(next(position), part) for part in component.split(",", _MAX_PARTS)]
        for component in segment.split(_CHAIN, MAX_COMPONENTS)
    ]


def _path_pair(position: int, part: str) -> _Pair:
    name, mark, value = part.partition("_")
    return _Pair(position, part, name if mark and (name in PATH or name == _PATH_PRESET) else None, value)


def _query_pair(position: int, part: str) -> _Pair:
    name, _, value = part.partition("=")
    known = name in QUERY or name in (_QUERY_PRESET, _URL)
    value = decoded(value.replace("+", "%20"), name) if known else ""
    return _Pair(position, name, name if known else None, value)


def _read(
    chain: Iterable[Iterable[_Pair]],
    tokens: Mapping[str, Param],
    preset_name: str,
    presets: Presets,
    near: Callable[[str], str | None],
) -> Written:
    components: list[Component] = []
    output: set[str] = set()
    for pairs in chain:
        values: dict[str, object] = {}
        for pair in pairs:
            name = pair.spelled
            if name is None:
                raise BadTransform(
                    f"parameter {named(pair.written, pair.position)} is unknown"
                    + (meant(near(pair.written)) or f"; known are {', '.join([*tokens, preset_name])}")
                )
            param = tokens.get(name)
            field = param.field if param is not None else "preset"
            if (field in values and not (param and param.repeats)) or field in output:
                raise BadTransform(f"parameter {name} is given twice")
            if not pair.value:
                raise BadTransform(f"parameter {name} is empty")
            if param is None:
                if pair.value not in presets:
                    raise no_preset(name, pair.value, pair.position, presets)
                values[field] = pair.value
                continue
            value = _value(param, name, pair.value)
            before = values.get(field, ())
            values[field] = (*before, value) if param.repeats and isinstance(before, tuple) else value
        output |= values.keys() & _OF_OUTPUT
        components.append(Component(**values))  # type: ignore[arg-type] # Each parameter reads the type of its field.
    _check(components, presets)
    clamped: list[tuple[str, str]] = []
    for position, component in enumerate(components):
        quality = component.quality
        if isinstance(quality, int) and not 1 <= quality <= 100:
            clamped.append(("q", str(quality)))
            components[position] = component._replace(quality=max(1, min(100, quality)))
    return Written(tuple(components), tuple(clamped))


def _check(components: Sequence[Component], presets: Presets) -> None:
    """Raises BadTransform if parameters contradict each other."""
    if len(components) > MAX_COMPONENTS:
        raise BadTransform(f"a chain may have {MAX_COMPONENTS} components (~) at most")
    if sum(len(component.effects or ()) for component in components) > MAX_EFFECTS:
        raise BadTransform(f"parameter e may be given {MAX_EFFECTS} times at most")
    if sum(len(component.layers or ()) for component in components) > MAX_LAYERS:
        raise BadTransform(f"parameter l may be given {MAX_LAYERS} times at most")
    _check_branches(components)
    has_preset = False
    for component in components:
        if component.preset is None:
            continue
        has_preset = True
        alone = Component(
            preset=component.preset, version=component.version, disposition=component.disposition
        )
        if len(presets[component.preset]) > 1 and component != alone:
            raise BadTransform(
                "parameter t names a preset that is a chain: it must stand alone in its component, as in t_<preset>~w_400"
            )
    for component in expanded(components, presets) if has_preset else components:
        if component.ratio is not None and component.width is not None and component.height is not None:
            raise BadTransform("parameter ar gives the side that is not named: leave out w or h")
        for name, side_px in (("x", component.left), ("y", component.top)):
            if side_px is not None and component.fit is not CropFit.CROP:
                raise BadTransform(f"parameter {name} is the corner of a crop: it needs c_crop")


def _check_branches(components: Sequence[Component]) -> None:
    """Raises BadTransform if the parameters `if` do not pair."""
    marks: list[Branch] = []
    for component in components:
        match component.branch:
            case None:
                continue
            case Condition():
                marks.append(Branch.ELSE)
            case Branch.ELSE if marks[-1:] == [Branch.ELSE]:
                marks[-1] = Branch.END
            case Branch.END if marks:
                marks.pop()
            case Branch() as mark:
                raise BadTransform(
                    f"parameter if: {mark} needs a condition before it, as in if_w_gt_1000~w_500~if_end"
                )
        if component != Component(branch=component.branch):
            raise BadTransform(
                "parameter if must stand alone in its component, as in if_w_gt_1000~w_500~if_end"
            )
    if marks:
        raise BadTransform(
            "parameter if needs if_end behind what it decides, as in if_w_gt_1000~w_500~if_end"
        )


def _value(param: Param, name: str, value: str) -> object:
    """Reads a value. Raises BadTransform."""
    try:
        return param.read(value)
    except ValueError as reason:
        raise BadTransform(f"parameter {name} {reason}") from None


def recognises(target: str) -> bool:
    """Whether the first segment has a known parameter, or is that of another form of URL."""
    first, slash, _ = target.partition("?")[0][1:].partition(_SLASH)
    if first in ("thumbnail", "original", "info"):
        return bool(slash) is (first != "thumbnail")
    return any(pair.spelled for pairs in _path_chain(unquote(first)) for pair in pairs)


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
        chain = _path_chain(unquote(first))
        spelled = [(pair.spelled, pair.value) for pairs in chain for pair in pairs]
    formats = {value for name, value in spelled if name == "f"}
    if formats:
        return Auto.AUTO.value in formats
    return any(
        name == _PATH_PRESET and transform_of(presets.get(value, ())).format is Auto.AUTO
        for name, value in spelled
    )


def spell(components: Iterable[Component]) -> str:
    """The transform segment of a path URL; `parse_tokens` is its inverse. Empty for an empty transform."""
    return _CHAIN.join(filter(None, map(_tokens, components)))


def _tokens(component: Component) -> str:
    parts = [f"t_{component.preset}"] if component.preset else []
    parts += [f"{name}_{value}" for name, token in PATH.items() for value in token.write(component)]
    return ",".join(parts)


def path_url(key: str, *components: Component) -> str:
    """The path form of a URL below its mount. Raises BadTransform for an empty transform."""
    segment = spell(components)
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
            components = components_of(transform or Transform())
            last = components[-1]._replace(disposition=parsed.disposition or None)
            components = (*components[:-1], last)
            return path_url(key, *components) if spell(components) else query_url(key, Component())


def query_url(key: str, component: Component) -> str:
    """The query form of a URL below its mount."""
    parts = [f"url={encoded(checked_locator(key))}"]
    if component.preset:
        parts.append(f"preset={component.preset}")
    parts += [f"{name}={value}" for name, token in QUERY.items() for value in token.write(component)]
    return "/thumbnail?" + "&".join(parts)


def _check_key(secret: str) -> int:
    length = len(secret.encode())
    if length < signing.MIN_SECRET_BYTES:
        raise ValueError(f"must be {signing.MIN_SECRET_BYTES} bytes or more")
    return length


DIALECT = Dialect(
    name="native",
    recognises=recognises,
    parse=lambda target, reading: parse(target, reading.presets, query=reading.query),
    verify=lambda raw, _, keys: signing.verify(raw, keys),
    sign=lambda raw, _, secret: signing.sign(raw, secret),
    unsigned=lambda raw, _: signing.unsigned(raw),
    negotiates=lambda target, reading: negotiates(target, reading.presets),
    check_key=_check_key,
    preset_url="/t_<preset>/<key>",
)
