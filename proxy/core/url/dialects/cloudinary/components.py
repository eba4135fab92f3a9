"""The components of a Cloudinary URL, from left to right: parameters, variables and conditions become a Transform."""

from copy import deepcopy
from dataclasses import dataclass
from fractions import Fraction

from proxy.core.errors import BadTransform, NotSupported
from proxy.core.image.formats import Format
from proxy.core.nearest import meant, named, nearest
from proxy.core.transform.conditions import Condition
from proxy.core.transform.operations import (
    NOTHING,
    Auto,
    Choice,
    Effect,
    Operation,
    Transform,
    with_branches,
)
from proxy.core.url.dialects.cloudinary.expressions import VARIABLE, evaluate, holds
from proxy.core.url.dialects.cloudinary.layers import LAYERS, component_count, layer
from proxy.core.url.dialects.cloudinary.operations import multiplied, operations
from proxy.core.url.dialects.cloudinary.params import BY_NAME, IF, NAMES, OF_OUTPUT
from proxy.core.url.dialects.cloudinary.requested import CloudinaryRequested, Parameters
from proxy.core.url.dialects.cloudinary.scope import Scope
from proxy.core.url.dialects.component import MAX_EFFECTS, transform_of
from proxy.core.url.dialects.dialect import refusal
from proxy.core.url.dialects.native.urls import MAX_COMPONENTS
from proxy.core.url.target import decoded

MAX_SEGMENTS, MAX_PARAMETERS = 32, 32
_MOST_OPERATIONS = MAX_COMPONENTS - 1
_MIN_DPR_PERCENT, _MAX_DPR_PERCENT = 100, 400
_ELSE, _END = "else", "end"
_REPEATED = frozenset({"e", "fl"})


@dataclass(slots=True)
class _Undecided:
    """A condition on the original. `before` are the operations before it and `scope` is what was known there; `then` are
    those of its first branch, with what is known behind it, once that has ended."""

    condition: Condition
    before: list[Operation]
    scope: Scope
    output: object
    then: tuple[tuple[Operation, ...], Scope] | None = None


@dataclass(slots=True)
class _Decided:
    """A condition that is true or not: whether the components are read now, and whether those are the second branch."""

    applies: bool
    has_else: bool = False


_Branch = _Decided | _Undecided | None
"""The condition that is open."""


def read_components(segments: tuple[str, ...], requested: CloudinaryRequested) -> None:
    """Reads the segments of a transformation, which are not decoded. Raises BadTransform or BadUrl."""
    if len(segments) > MAX_SEGMENTS:
        raise NotSupported(f"a transformation may have {MAX_SEGMENTS} components at most")
    components = [_parameters(segment) for segment in segments]
    branch: _Branch = None
    position = 0
    while position < len(components):
        pairs, count = components[position], 1
        ends_here = False
        if pairs[0][0] == IF:
            condition = pairs[0][1]
            requested.is_preset = False
            branch = _next_branch(branch, condition, requested)
            pairs = pairs[1:]
            ends_here = bool(pairs) and not _closes(components[position + 1 :])
        is_read = bool(pairs) and not (isinstance(branch, _Decided) and not branch.applies)
        if pairs and pairs[0][0] in LAYERS:
            count = component_count([pairs, *components[position + 1 :]])
            if is_read:
                requested.is_preset = False
                of_layer = [pairs, *components[position + 1 : position + count]]
                requested.ops.append(layer(of_layer, requested.scope))
                _check_count(requested.ops)
        elif is_read:
            _read(pairs, requested)
        position += count
        if ends_here:
            branch = _next_branch(branch, _END, requested)
    _next_branch(branch, _END, requested)


def _next_branch(branch: _Branch, condition: str, requested: CloudinaryRequested) -> _Branch:
    """The branch of the components after `if_<condition>`."""
    if condition == _END:
        if isinstance(branch, _Undecided):
            _end(branch, requested)
        return None
    if condition == _ELSE:
        match branch:
            case None:
                raise BadTransform("parameter if_else needs a condition before it")
            case _Decided(has_else=True) | _Undecided(then=tuple()):
                raise BadTransform("parameter if_else is given twice for one condition")
            case _Undecided():
                _check_output(branch, requested)
                branch.then = tuple(requested.ops), requested.scope
                requested.ops, requested.scope = [], deepcopy(branch.scope)
                return branch
            case _Decided(applies):
                return _Decided(not applies, has_else=True)
    if branch is not None:
        raise NotSupported("parameter if may not stand between another if and its if_end")
    try:
        outcome = holds(condition, requested.scope)
    except ValueError as reason:
        raise refusal(reason, f"parameter if {reason}") from None
    if not isinstance(outcome, Condition):
        return _Decided(outcome)
    undecided = _Undecided(outcome, requested.ops, requested.scope, _output(requested))
    requested.ops, requested.scope = [], deepcopy(requested.scope)
    return undecided


def _end(branch: _Undecided, requested: CloudinaryRequested) -> None:
    """Ends a condition on the original: an operation chooses between its branches."""
    _check_output(branch, requested)
    last = tuple(requested.ops)
    then, scope = branch.then or (last, branch.scope)
    otherwise = last if branch.then else ()
    requested.ops = [*branch.before, Choice(branch.condition, then, otherwise)]
    requested.scope = requested.scope.merged(scope)
    _check_count(requested.ops)


def _output(requested: CloudinaryRequested) -> object:
    """What of the request is no operation, for comparison."""
    names = ("dpr_percent", "named", "is_attachment", "file_name", "default", "keeps_transparency")
    return deepcopy([requested.output, *(getattr(requested, name) for name in names)])


def _check_output(branch: _Undecided, requested: CloudinaryRequested) -> None:
    if _output(requested) != branch.output:
        raise NotSupported(
            "a condition on the original may decide operations only: f, q, dpr, pg, t and flags of the delivery must"
            " stand outside of it"
        )


def _closes(components: list[list[tuple[str, str]]]) -> bool:
    """Whether the next condition is if_else or if_end: a component with a condition of its own then does not end it."""
    following = next((pairs[0][1] for pairs in components if pairs[0][0] == IF), "")
    return following in (_ELSE, _END)


def _parameters(segment: str) -> list[tuple[str, str]]:
    """The names and values of a component, its condition first. Raises BadUrl or BadTransform."""
    text = decoded(segment, "the transformation") if "%" in segment else segment
    parts = text.split(",", MAX_PARAMETERS)
    if len(parts) > MAX_PARAMETERS:
        raise BadTransform(f"a component may have {MAX_PARAMETERS} parameters at most")
    pairs: list[tuple[str, str]] = []
    for position, part in enumerate(parts, start=1):
        name, mark, value = part.partition("_")
        is_known = name in NAMES or VARIABLE.fullmatch(name)
        if not mark or not is_known:
            near = meant(nearest(name, BY_NAME)) if mark else ""
            raise NotSupported(
                f"parameter {named(part, position)} of a component is unknown{near}; write v1/ before a public id whose"
                " folder looks like a component"
            )
        pairs.append((name, value))
    if "if_" in text and any(name == IF for name, _ in pairs[1:]):
        pairs.sort(key=lambda pair: pair[0] != IF)
        if pairs[1][0] == IF:
            raise BadTransform("parameter if is given twice in a component")
    return pairs


def _read(pairs: list[tuple[str, str]], requested: CloudinaryRequested) -> None:
    requested.here = Parameters()
    seen: dict[str, str] = {}
    for name, value in pairs:
        if name[0] == "$":
            requested.is_preset = False
            try:
                requested.scope.variables[name] = evaluate(value, requested.scope)
            except ValueError as reason:
                raise refusal(reason, f"variable {named(name[1:], 1)} {reason}") from None
            continue
        if seen.setdefault(name, value) != value and name not in _REPEATED:
            raise BadTransform(f"parameter {name} is given twice in a component, with two values")
        if not value:
            raise BadTransform(f"parameter {name} is empty")
        BY_NAME[name].apply(requested, "parameter", name, value)
    if seen.keys() <= OF_OUTPUT:
        return
    requested.ops += operations(requested)
    _check_count(requested.ops)


def _check_count(ops: list[Operation]) -> None:
    """Raises NotSupported if a native URL has no room for the operations."""
    if len(ops) > MAX_EFFECTS or any(isinstance(op, Choice) for op in ops):
        every = list(with_branches(ops))
        components = len(every) + sum(2 for op in every if isinstance(op, Choice))
        effects = sum(isinstance(op, Effect) for op in every)
        if components <= _MOST_OPERATIONS and effects <= MAX_EFFECTS:
            return
        raise NotSupported(
            f"a transformation may have {_MOST_OPERATIONS} operations and {MAX_EFFECTS} effects and backgrounds at most"
        )


def transform(requested: CloudinaryRequested, extension: Format | None, version: str | None) -> Transform:
    """The transform of all components. `extension` is the format of the URL where none is requested."""
    output = dict(requested.output)
    kind = output.setdefault("format", extension)
    if requested.keeps_transparency and kind is Format.JPEG:
        output["format"] = Auto.JPEG_FOR_PNG
    ops, percent = tuple(requested.ops), requested.dpr_percent
    if isinstance(percent, int) and _MIN_DPR_PERCENT <= percent <= _MAX_DPR_PERCENT:
        output["dpr_percent"] = percent
    elif percent is not None:
        ops = tuple(multiplied(op, Fraction(percent) / 100) for op in ops)
    if version is not None:
        output["version"] = version
    return Transform(ops=ops, **output)  # type: ignore[arg-type] # The names are those of its fields.


def of_presets(requested: CloudinaryRequested) -> Transform:
    """What the named transformations of the URL request alone."""
    if not requested.named:
        return NOTHING
    return transform_of(component for name in requested.named for component in requested.presets[name])
