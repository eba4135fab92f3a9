"""The dialect of ImageKit: `/tr:<step>:<step>/<path>`, `/<path>?tr=<step>:<step>`, or both.

Parses and verifies raw request targets. A segment that begins with `tr:` may stand anywhere in the path. The prefix of
the mount holds the ImageKit id, as in `/demo/`; on a host of one's own there is none. The rest of the path is a key of
the mount's `source`, or one percent-encoded URL of `remote`. A key in `[signing.keys]` is the private key of the
account. Transformations of a step are separated by commas, and their order has no effect; each step works on the
result of the one before, steps of the path first. `n-<name>` names a preset of the node. `v` and `updatedAt` in the
query are versions; `ik-attachment=true` lets browsers save the answer.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain as joined
from typing import Any, NamedTuple

from proxy.core.errors import BadTransform, BadUrl, CalotypeError, NotSupported, UnknownRoute
from proxy.core.nearest import meant, named, nearest
from proxy.core.transform.operations import (
    NOTHING,
    Auto,
    Choice,
    Colour,
    Effect,
    Operation,
    Overlay,
    Transform,
    with_branches,
)
from proxy.core.url.dialects.component import MAX_EFFECTS, Component, components_of, transform_of
from proxy.core.url.dialects.dialect import Dialect, QueryRule, Reading, Unsupported, UnsupportedValue
from proxy.core.url.dialects.imagekit.layers import without_layers
from proxy.core.url.dialects.imagekit.parameters import BY_NAME, DOCUMENTED
from proxy.core.url.dialects.imagekit.signatures import sign, unsigned, verify
from proxy.core.url.dialects.imagekit.steps import Step
from proxy.core.url.dialects.native.urls import MAX_COMPONENTS, no_preset
from proxy.core.url.dialects.parameter import Given, ParameterReader
from proxy.core.url.dialects.shared_values import version, whole_percent
from proxy.core.url.disposition import Disposition
from proxy.core.url.parsed_url import OriginalUrl, ParsedUrl, VariantUrl
from proxy.core.url.signing import secret_length
from proxy.core.url.target import (
    checked_locator,
    cut,
    decoded,
    has_path,
    is_tracker,
    query_parts,
    with_both_slashes,
)

_STEPS = "tr"
_IN_PATH = ("tr:", "tr%3A", "tr%3a")
_VERSIONS = ("v", "updatedAt")
_ATTACHMENT = "ik-attachment"
_READ = frozenset({*_VERSIONS, _ATTACHMENT})
_QUIET = frozenset({"ik-s", "ik-t", "ik-sdk-version"})
_MOST_STEPS, _MOST_PARTS = 8, 32
_AUTO_OR_SIDE = frozenset({"w", "h", "dpr"})
_BOX_AND_RATIO = frozenset({"w", "h", "ar"})
_OF_ORIGINAL = ("iw", "ih")
"""Sides of the original in an expression; cw and ch are those of the canvas."""


class _Target(NamedTuple):
    """The path without steps, the texts of steps in order, and the other parameters of the query."""

    path: str
    steps: list[str]
    query: list[tuple[str, str]]


def parse(target: str, reading: Reading) -> ParsedUrl:
    """Parses the raw target below a mount; a signature is ignored.

    Raises UnknownRoute, BadUrl, BadTransform, SourceNotAllowed or UnsupportedFormat.
    """
    cut(target)
    if not has_path(target):
        raise UnknownRoute("no such route: the URL of a picture is /tr:<transformations>/<path>")
    parts = _split(target)
    # The vendor's clients write two slashes after an endpoint that ends in one.
    key = checked_locator(with_both_slashes(decoded(parts.path, "the path").lstrip("/")))
    chain, layers = _chain(parts.steps)
    reader = ParameterReader(ignores_polishing=reading.unsupported is Unsupported.IGNORE)
    query = _read_query(parts.query, reader, reading)
    disposition = str(Disposition(True)) if query.get(_ATTACHMENT) == "true" else ""
    if _is_original(chain):
        return OriginalUrl(key, disposition=disposition)
    steps = [
        replace(_step(given, reader, is_first=at == 0), layers=tuple(layers[at]))
        for at, given in enumerate(chain)
    ]
    presets = [_preset(step.preset, position, reading) for position, step in enumerate(steps, start=1)]
    of_presets = transform_of(joined.from_iterable(presets)) if any(presets) else NOTHING
    return VariantUrl(
        key=key,
        transform=_transform(steps, presets, of_presets, query.get("version", "")),
        of_presets=of_presets,
        is_preset=any(presets) and [set(given) for given in chain] == [{"n"}],
        unused=tuple(reader.unused),
        reduced=tuple(reader.reduced),
        disposition=disposition,
        defaults=tuple(step.default for step in steps if step.default)[-1:],
    )


def _split(target: str) -> _Target:
    """Raises BadUrl."""
    path, _, query = target.partition("?")
    found = _Target("", [], [])
    rest: list[str] = []
    for segment in path[1:].split("/"):
        if segment.startswith(_IN_PATH):
            found.steps.append(decoded(segment, "the transformation").partition(":")[2])
        else:
            rest.append(segment)
    for position, part in enumerate(query_parts(query) if query else (), start=1):
        name, _, text = part.partition("=")
        if not name or name in _QUIET or is_tracker(name):
            continue
        if name == _STEPS:
            found.steps.append(decoded(text.replace("+", "%20"), "parameter tr"))
        elif name in _READ:
            found.query.append((name, decoded(text, f"parameter {name}")))
        else:
            found.query.append((named(name, position), ""))
    return found._replace(path="/".join(rest))


def _read_query(
    parameters: Sequence[tuple[str, str]], reader: ParameterReader, reading: Reading
) -> dict[str, str]:
    """The version, and whether the answer is saved. Raises BadUrl for a parameter that the mount does not ignore."""
    found: dict[str, str] = {}
    for name, value in parameters:
        if name in _VERSIONS:
            found["version"] = value
        elif name == _ATTACHMENT:
            found[name] = value
        elif reading.query is QueryRule.IGNORE or reading.unsupported is Unsupported.IGNORE:
            reader.ignore(name, "ImageKit has no such parameter")
        else:
            raise BadUrl(f"parameter {name} is not supported: transformations are in tr")
    return found


def _chain(texts: Sequence[str]) -> tuple[list[dict[str, Given]], list[list[Overlay]]]:
    """The transformations of each step by name, of equal ones the last, and the layers of each step. A step without any is left
    out. Raises BadTransform."""
    steps = [step for text in texts for step in text.split(":", _MOST_STEPS) if step]
    if len(steps) > _MOST_STEPS:
        raise BadTransform(f"the URL has more than {_MOST_STEPS} steps, which colons separate")
    parts = [without_layers(_parts(step)) for step in steps]
    return [_given(rest) for rest, _ in parts], [layers for _, layers in parts]


def _parts(step: str) -> list[str]:
    parts = step.split(",", _MOST_PARTS)
    if len(parts) > _MOST_PARTS:
        raise BadTransform(f"a step has more than {_MOST_PARTS} transformations, which commas separate")
    return parts


def _given(parts: Sequence[str]) -> dict[str, Given]:
    found: dict[str, Given] = {}
    for position, part in enumerate(parts, start=1):
        name, _, value = part.partition("-")
        if name == "e":
            effect, _, value = value.partition("-")
            name = f"e-{effect}"
        if (parameter := BY_NAME.get(name)) is None:
            raise NotSupported(
                f"transformation {named(name, position)} is unknown{meant(nearest(name, BY_NAME))}"
            )
        found[name] = Given(name, parameter, value)
        if name == "if":
            # It is refused, with all that belongs to it.
            break
    return found


def _is_original(chain: Sequence[dict[str, Given]]) -> bool:
    return any("orig" in given and given["orig"].value == "true" for given in chain)


def _step(given: dict[str, Given], reader: ParameterReader, *, is_first: bool) -> Step:
    """Raises BadTransform or UnsupportedFormat."""
    for name in [name for name in given if name in _AUTO_OR_SIDE]:
        text = given[name].value
        if text == "auto":
            reader.ignore(name, "client hints have no effect")
            del given[name]
        elif not is_first and text.startswith(_OF_ORIGINAL):
            raise NotSupported(
                f"parameter {name} has a side of the original after the first step: cw and ch are supported"
            )
    if given.keys() >= _BOX_AND_RATIO:
        reader.ignore("ar", "both sides are given")
        del given["ar"]
    words = set[str]()
    if any(each.parameter.needs for each in given.values()):
        words = {*given, *(f"{name}={each.value}" for name, each in given.items())}
    values = {
        each.parameter.field: value
        for each in given.values()
        if (value := reader.read(each, words)) is not None
    }
    step = Step(**values)
    if step.dpr == 1:
        return step
    if step.is_extracted:
        reader.ignore("dpr", "what is extracted has its own size")
    elif step.exceeds_dpr_limit:
        reader.ignore("dpr", "a side would exceed 5000 pixels")
    else:
        return step
    return replace(step, dpr=1)


def _preset(name: str, position: int, reading: Reading) -> Sequence[Component]:
    """The components of a preset; none without a name. Raises BadTransform."""
    if not name:
        return ()
    if name not in reading.presets:
        raise no_preset("n", name, position, reading.presets)
    return reading.presets[name]


def _transform(
    steps: Sequence[Step], presets: Sequence[Sequence[Component]], of_presets: Transform, written_version: str
) -> Transform:
    """The operations of all steps, each after those of its preset; of an output that is given twice, the last. Raises
    BadTransform."""
    ops: list[Operation] = []
    percent = _dpr_percent(steps)
    output: dict[str, Any] = {} if of_presets.format else {"format": Auto.AUTO}
    for step, components in zip(steps, presets, strict=True):
        if components:
            ops += transform_of(components).ops
        try:
            ops += step.ops(1 if percent else step.dpr)
        except UnsupportedValue as reason:
            raise NotSupported(f"transformation cm {reason}") from None
        if step.format is not None:
            (output["format"],) = step.format
        if step.quality is not None:
            output["quality"] = step.quality
        if isinstance(step.background, Colour):
            output["background"] = step.background
    if percent:
        output["dpr_percent"] = percent
    if written_version:
        output["version"] = version(written_version)
    _check(ops)
    output["ops"] = tuple(ops)
    return _checked(replace(of_presets, **output)) if of_presets is not NOTHING else Transform(**output)


def _dpr_percent(steps: Sequence[Step]) -> int | None:
    """The dpr of the only size, as the Transform applies it; None if the steps apply theirs."""
    sized = [step for step in steps if step.has_side]
    if len(sized) != 1 or sized[0].dpr == 1 or not sized[0].is_in_pixels:
        return None
    return whole_percent(sized[0].dpr)


def _check(ops: Sequence[Operation]) -> None:
    """Raises BadTransform for more effects than native URLs can have."""
    every = list(with_branches(ops))
    if len(every) > MAX_EFFECTS and sum(isinstance(op, Effect) for op in every) > MAX_EFFECTS:
        raise BadTransform(f"the URL has more than {MAX_EFFECTS} effects and backgrounds")


def _checked(transform: Transform) -> Transform:
    """`transform` if native URLs can have as many operations. Raises BadTransform."""
    is_long = len(transform.ops) > MAX_COMPONENTS or any(isinstance(op, Choice) for op in transform.ops)
    if is_long and len(components_of(transform)) > MAX_COMPONENTS:
        raise BadTransform("the presets of the URL have too many operations")
    return transform


def negotiates(target: str, reading: Reading) -> bool:
    """Whether the answer depends on Accept: always without a format, but for an original."""
    try:
        chain, _ = _chain(_split(target).steps)
    except CalotypeError:
        return False
    if _is_original(chain):
        return False
    given = [each["f"].value for each in chain if "f" in each]
    if given:
        return given[-1] == Auto.AUTO.value
    names = [each["n"].value for each in chain if "n" in each]
    components = [component for name in names for component in reading.presets.get(name, ())]
    return (transform_of(components).format or Auto.AUTO) is Auto.AUTO


DIALECT = Dialect(
    name="imagekit",
    # Any path may be that of a picture.
    recognises=has_path,
    parse=parse,
    verify=verify,
    sign=sign,
    unsigned=unsigned,
    negotiates=negotiates,
    check_key=secret_length,
    statuses={"bad-signature": 401, "signature-required": 401, "signature-expired": 401},
    preset_url="/tr:n-<preset>/<path>",
    options=DOCUMENTED,
)
