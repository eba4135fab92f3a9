"""The tables of the configuration in the order of the settings, for `default_toml` and `configuration_md`."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from proxy.config.sections import DirectorySection, HttpSection, MountSection, S3Section
from proxy.config.settings import Settings

_NAMED_TABLES: Mapping[str, tuple[tuple[type[BaseModel], Mapping[str, str]], ...]] = {
    "sources": (
        (DirectorySection, {"path": '"/srv/pictures"'}),
        (S3Section, {"kind": '"s3"', "bucket": '"pictures"'}),
        (HttpSection, {"kind": '"http"', "hosts": '["images.example"]'}),
    ),
    "mounts": ((MountSection, {"source": '"NAME"'}),),
}
"""The models of tables whose names the user chooses, each with examples of the keys without a default."""


class Table(NamedTuple):
    """`name` is like `cache.disk`, or `sources.NAME` if the user chooses it. `settings` are its keys. `open` is the
    description of a table whose keys the user chooses; such a table has no `settings`. `examples` are values in TOML.
    """

    name: str
    settings: Mapping[str, FieldInfo]
    examples: Mapping[str, str]
    open: FieldInfo | None = None

    @property
    def is_named(self) -> bool:
        """Whether the user chooses the name of the table."""
        return self.name.endswith(".NAME")


def tables() -> Iterator[Table]:
    """All tables."""
    for name, field in Settings.model_fields.items():
        if name in _NAMED_TABLES:
            for model, examples in _NAMED_TABLES[name]:
                yield from _of_model(f"{name}.NAME", model, examples)
        elif isinstance(field.default, dict):
            yield Table(name, {}, {}, field)
        else:
            yield from _of_model(name, field.annotation)


def _of_model(name: str, model: Any, examples: Mapping[str, str] = {}) -> Iterator[Table]:
    fields: dict[str, FieldInfo] = model.model_fields
    inner = {key: field for key, field in fields.items() if _is_section(field)}
    for key, field in inner.items():
        yield from _of_model(f"{name}.{key}", field.annotation)
    if inner:
        return
    closed = {key: field for key, field in fields.items() if not isinstance(field.default, dict)}
    yield Table(name, closed, examples)
    for key in fields:
        if key not in closed:
            yield Table(f"{name}.{key}", {}, {}, fields[key])


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
