"""Writes config/default.toml: every setting, its default and its one line, from the settings themselves.

Run as `python -m proxy.config.default_toml FILE`; a test keeps the file equal to what this writes.
"""

import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from proxy.config.sections import DirectorySection, HttpSection, MountSection, S3Section
from proxy.config.settings import Settings
from proxy.config.toml import toml

_HEAD = """\
# Every setting of Calotype with its default. Copy what you change into a file of your own, and name that file with
# --config or CALOTYPE_CONFIG. An environment variable overrides it: CALOTYPE_SERVER__PORT=8080.
# Sizes take "256MiB" or "50MB", durations "500ms", "30s", "365d".
# Written from the code by `./run fix`.
"""
_NAMED: dict[str, list[tuple[type[BaseModel], dict[str, str]]]] = {
    "sources": [
        (DirectorySection, {"path": '"/srv/pictures"'}),
        (S3Section, {"kind": '"s3"', "bucket": '"pictures"'}),
        (HttpSection, {"kind": '"http"', "hosts": '["images.example"]'}),
    ],
    "mounts": [(MountSection, {"source": '"NAME"'})],
}


def default_toml() -> str:
    """The text of config/default.toml."""
    parts = [_HEAD]
    for name, field in Settings.model_fields.items():
        if name in _NAMED:
            for model, examples in _NAMED[name]:
                lines = _lines(model, examples)
                parts.append("\n".join([f"# [{name}.NAME]", *(f"# {line}" for line in lines)]))
                parts.extend(_open_tables(f"{name}.NAME", model))
        elif isinstance(field.default, dict):
            parts.append(_open_table(name, field))
        else:
            parts.extend(_tables(name, field.annotation))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _tables(name: str, model: Any) -> list[str]:
    inner = {key: field for key, field in model.model_fields.items() if _is_section(field)}
    if inner:
        return [table for key, field in inner.items() for table in _tables(f"{name}.{key}", field.annotation)]
    return ["\n".join([f"[{name}]", *_lines(model, {})]), *_open_tables(name, model)]


def _open_tables(name: str, model: Any) -> list[str]:
    return [
        _open_table(f"{name}.{key}", field)
        for key, field in model.model_fields.items()
        if isinstance(field.default, dict)
    ]


def _open_table(name: str, field: FieldInfo) -> str:
    """A table whose keys are the user's."""
    return "\n".join(f"# {line}" for line in (f"[{name}]", field.description, *(field.examples or ())))


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _lines(model: type[BaseModel], examples: dict[str, str]) -> list[str]:
    lines = []
    for key, field in model.model_fields.items():
        if isinstance(field.default, dict):
            continue
        value = examples[key] if key in examples else toml(field.default)
        lines += [f"# {field.description}", f"{key} = {value}"]
    return lines


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(default_toml())
