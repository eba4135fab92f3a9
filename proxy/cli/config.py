"""`calotype config`: the effective settings, and the origin of each value."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from proxy.cli.examples import example
from proxy.cli.options import json_option, node_options, one_line, traced_settings
from proxy.config.errors import ConfigError
from proxy.config.settings import Layer, Settings, variable_of
from proxy.config.toml import MASK, duration, toml

_USER = re.compile(r"://[^/?#]*@")
_FLAGS = {"cache.disk.path": "--cache", "sources.originals.path": "--originals"}


class Value(NamedTuple):
    """One setting: its dotted name, its value as TOML, its origin (default, file, environment, flag), and the name of
    that file, variable or flag. `means` is the effective value of an empty one."""

    name: str
    value: str
    origin: str
    where: str
    means: str

    def line(self) -> str:
        """The setting as a line of a TOML file."""
        spelled = f"{self.origin} {self.where}".rstrip() + (f": {self.means}" if self.means else "")
        return f"{f'{self.name} = {self.value}':<50}  # {spelled}"

    def as_dict(self) -> dict[str, Any]:
        """The setting for JSON."""
        value = tomllib.loads(f"value = {self.value}")["value"]
        return {"value": value, "origin": self.origin, "where": self.where}


def effective(settings: Settings, layers: Sequence[Layer]) -> list[Value]:
    """All settings in the order of config/default.toml, with secrets masked."""
    whole = settings.model_copy(update={"mounts": settings.named_mounts()})
    return [
        Value(".".join(path), text, *_origin(path, layers), _means(".".join(path), text, settings))
        for path, text in _values(whole, ())
    ]


def _values(
    section: BaseModel | Mapping[str, Any], before: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], str]]:
    fields = type(section).model_fields if isinstance(section, BaseModel) else {}
    items = [(name, getattr(section, name)) for name in fields] if fields else [*dict(section).items()]
    for name, value in items:
        path = (*before, name)
        if isinstance(value, BaseModel | dict):
            yield from _values(value, path)
        else:
            yield path, _text(value, fields.get(name))


def _text(value: object, field: FieldInfo | None) -> str:
    is_duration = isinstance(value, int | float) and field is not None and isinstance(field.default, str)
    if is_duration and type(value) in (int, float):
        return toml(duration(value))  # type: ignore[arg-type]
    return toml(_masked(value) if isinstance(value, str) and "://" in value else value)


def _masked(url: str) -> str:
    """Masks the password and the query of a URL."""
    masked, mark, _ = _USER.sub(f"://{MASK}@", url, count=1).partition("?")
    return f"{masked}?{MASK}" if mark else masked


def _origin(path: tuple[str, ...], layers: Sequence[Layer]) -> tuple[str, str]:
    for layer in layers:
        value: Any = layer.values
        for name in path:
            value = value.get(name, ...) if isinstance(value, Mapping) else ...
        if value is not ...:
            name = ".".join(path)
            match layer.origin:
                case "flag":
                    return "flag", _FLAGS.get(name, f"--{path[-1]}")
                case "environment":
                    return "environment", variable_of(path)
                case file:
                    return "file", file
    return "default", ""


def _means(name: str, text: str, settings: Settings) -> str:
    try:
        if name == "cache.disk.path" and text == '""':
            return str(settings.disk_path())
    except ConfigError:
        return "must be set: this user has no home directory"
    return f"{settings.workers()}" if name == "render.workers" and text == "0" else ""


@click.command(
    "config",
    epilog=example("calotype config --config shop.toml"),
)
@json_option
@node_options
def command(config: Path | None, originals: Path | None, flags: dict[str, Any], as_json: bool) -> None:
    """Print every setting, and whether its value comes from a default, a file, the environment or a flag.

    The output is a TOML file. Secrets are masked.
    """
    with one_line():
        values = effective(*traced_settings(config, originals, **flags))
    if as_json:
        click.echo(json.dumps({each.name: each.as_dict() for each in values}))
        return
    for each in values:
        click.echo(each.line())
