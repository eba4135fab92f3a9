"""Messages for invalid settings: one line that names the key and never repeats a value, which could be a secret."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from proxy.core.nearest import meant

_LONGEST_NAME = 24
_MANY_BYTES = 2**20
_SIMILAR = 0.6

_MESSAGES = {
    "missing": "must be given",
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "must be a whole number"),
    "int_parsing_size": "must be a smaller number",
    **dict.fromkeys(("float_parsing", "float_type"), "must be a number"),
    "finite_number": "must be a finite number",
    **dict.fromkeys(("bool_parsing", "bool_type"), "must be true or false"),
    "string_type": "must be a text",
    "path_type": "must be a path",
    "tuple_type": "must be a list",
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "must be a table"),
    **dict.fromkeys(("byte_size", "byte_size_unit"), 'must be a size such as "256MiB" or "50MB"'),
    "ip_any_network": "must be an address or a network such as 10.0.0.0/8",
    "greater_than_equal": "must be {ge} or more",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be {le} or less",
    "less_than": "must be less than {lt}",
    "too_short": "must have {min_length} or more",
    **dict.fromkeys(("literal_error", "enum"), "must be {expected}"),
}


def one_line(problems: ValidationError, root: type[BaseModel], within: tuple[str, ...] = ()) -> str:
    """The first problem of settings of class `root`. An unknown key comes first, because it explains the other
    problems."""
    every = problems.errors(include_url=False, include_input=False)
    problem = next((each for each in every if each["type"] == "extra_forbidden"), every[0])
    loc = (*within, *map(str, problem["loc"]))
    parts = list(map(shown, loc))
    if parts[:1] == ["sources"] and len(parts) > 2:
        del parts[2]  # The kind of source, which pydantic inserts.
    if problem["type"] == "kind":
        parts.append("kind")
    key = ".".join(parts)
    reason = _reason(problem) if problem["type"] != "extra_forbidden" else unknown(loc, root)
    return f"{key}: {reason}" if key else reason


def shown(name: str) -> str:
    """`name`, unless it is longer than any name: it may be a secret."""
    return name if len(name) <= _LONGEST_NAME else "..."


def _reason(problem: ErrorDetails) -> str:
    text = _MESSAGES.get(problem["type"])
    if text is None:
        return problem["msg"].removeprefix("Value error, ")
    return text.format_map({name: _plain(value) for name, value in problem.get("ctx", {}).items()})


def _plain(value: object) -> str:
    if isinstance(value, int | float) and value >= _MANY_BYTES and value % _MANY_BYTES == 0:
        return f"{int(value) // _MANY_BYTES}MiB"
    return str(value).replace("'", "")


def unknown(loc: tuple[str, ...], root: type[BaseModel]) -> str:
    """The message for an unknown setting at `loc`, with a suggestion: a similar name in the same table, or the same
    name in another table."""
    *table, name = loc
    parent = tuple(table[:2] + table[3:]) if table[:1] == ["sources"] else tuple(table)
    beside = get_close_matches(name, _keys_at(root, table), n=1, cutoff=_SIMILAR)
    suggested = [".".join((*parent, each)) for each in beside] or [
        ".".join(path) for path, _ in leaves(root) if path[-1] == name
    ]
    return "there is no such setting" + meant(*suggested)


def leaves(
    root: type[BaseModel], before: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """All settings with their dotted path; a table whose keys the user chooses is one setting."""
    for name, field in root.model_fields.items():
        model = _below(field.annotation)
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from leaves(model, (*before, name))
        else:
            yield (*before, name), field


def _keys_at(root: type[BaseModel], table: Iterable[str]) -> list[str]:
    """The keys of a table; empty if the user chooses them."""
    at: Any = root
    for part in table:
        at = _below(at)
        if isinstance(at, type) and issubclass(at, BaseModel):
            field = at.model_fields.get(part)
            at = field.annotation if field is not None else None
        elif isinstance(at, Mapping):
            at = at.get(part)
        elif get_origin(at) is dict:
            at = get_args(at)[1]
    at = _below(at)
    return [*at.model_fields] if isinstance(at, type) and issubclass(at, BaseModel) else []


def _below(annotation: Any) -> Any:
    """A model, a table with the user's keys, or the models of a union by their tags."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is not Union:
        return annotation
    tagged = {}
    for member in get_args(annotation):
        model, *metadata = get_args(member) or (member,)
        tagged.update({tag.tag: model for tag in metadata if isinstance(tag, Tag)})
    return tagged
