"""Writes config/default.toml and docs/configuration.md from the settings: every setting with its type, default,
description and environment variable; and docs/dialects/ from the tables of the parsers. `./run fix` runs it; a test keeps
the files equal to what it writes.

The description of a setting is the docstring below it in `proxy/config/sections.py`.
"""

import ast
import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from textwrap import dedent, fill
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ByteSize, IPvAnyNetwork, SecretStr
from pydantic.fields import FieldInfo

from proxy.config.sections import DirectorySection, HttpSection, MountSection, S3Section, duration_s
from proxy.config.settings import PREFIX, Settings
from proxy.config.toml import toml
from proxy.core.image.formats import Format
from proxy.core.url.dialects.dialect import Dialect
from proxy.core.url.dialects.registry import DIALECTS

ROOT = Path(__file__).parent.parent
_TOML_HEAD = """\
# Every setting of Calotype with its default. Copy the settings that you change into a file of your own, and name that
# file with --config or CALOTYPE_CONFIG. An environment variable overrides the file: CALOTYPE_SERVER__PORT=8080.
# Sizes are written "256MiB" or "50MB", durations "500ms", "30s" or "365d". The same settings, with their types and
# environment variables, are in docs/configuration.md.
# `./run fix` generates this file from the code.
"""
_PAGE_HEAD = """\
# Configuration

<!-- `./run fix` generates this page from the code (proxy/config/sections.py). -->

Calotype reads its settings from four places. An earlier one overrides a later one:

1. flags of the command line, such as `--port 8080`;
2. environment variables: `CALOTYPE_`, the section, two underscores, the key, as in `CALOTYPE_SERVER__PORT=8080`;
3. a TOML file, named with `--config` or `CALOTYPE_CONFIG`;
4. the defaults.

A small file, `shop.toml`. The examples in these documents use it:

```toml
[sources.shop]
path = "pictures"

[mounts.shop]              # which host and path it answers to, and what its URLs may ask for
source = "shop"
dimensions = "listed"      # unsigned URLs may ask for the sizes of [dimensions]
signing = "optional"       # signed URLs may ask for any size

[presets]
card = "w_480,h_320,c_fill,g_auto,f_auto"

[eager]
presets = ["card"]         # rendered for every upload
```

Its secrets come from the environment:

```sh
export CALOTYPE_ADMIN__TOKEN=$(openssl rand -hex 32)
export CALOTYPE_SIGNING__KEYS__WEB1=$(openssl rand -hex 32)
```

- An unknown key, a wrong type or settings that contradict one another stop the start. The error names the key.
- A source without a `[mounts.NAME]` table is mounted at `/` if it is the only source.
- Relative paths are relative to the working directory.
- A list or a table in an environment variable is JSON: `CALOTYPE_EAGER__PRESETS='["card"]'`.
- Environment variables are read in lower case. Write the names of sources, mounts, presets and keys in lower case, so
  that a variable can override them.
- Secrets never appear in logs, metrics, errors or the output of `calotype config`, which prints every setting and the
  place that its value comes from.
- On SIGHUP a node reads `[signing]`, `[mounts]`, `[dimensions]`, `[limits]` and `[presets]` again; see [Rotating
  keys](operations.md#rotating-keys). Other settings need a restart.

Types: a **size** is a number of bytes, or text such as `"256MiB"` or `"50MB"`. A **duration** is a number of seconds,
or text such as `"500ms"`, `"30s"`, `"1h"` or `"365d"`. A **secret** is text that is masked wherever settings are
printed.

[config/default.toml](../config/default.toml) has the same settings as a file to copy from,
[config/production.toml](../config/production.toml) a configuration for two nodes.
"""
_WIDTH = 120
_WORDS: Mapping[Any, str] = {
    bool: "true or false",
    int: "integer",
    float: "number",
    ByteSize: "size",
    Format: "format",
    SecretStr: "secret",
    IPvAnyNetwork: "address or network",
}
_NAMED_TABLES: Mapping[str, tuple[tuple[type[BaseModel], Mapping[str, str]], ...]] = {
    "sources": (
        (DirectorySection, {"path": '"/srv/pictures"'}),
        (S3Section, {"kind": '"s3"', "bucket": '"pictures"'}),
        (HttpSection, {"kind": '"http"', "hosts": '["images.example"]'}),
    ),
    "mounts": ((MountSection, {"source": '"NAME"'}),),
}
"""The models of tables whose names the user chooses, each with examples of the keys without a default."""
_OPEN_TABLES = {
    "admin.tokens": 'shop = { token = "...", scopes = ["upload", "purge"] }',
    "sources.NAME.headers": 'Authorization = "Bearer ..."',
    "signing.keys": 'KEYID = "..."',
    "presets": 'NAME = "w_300,h_200,c_fill,f_webp"',
}
"""An example of each table whose keys the user chooses."""


class Setting(NamedTuple):
    """A setting and its description."""

    field: FieldInfo
    description: str


class Table(NamedTuple):
    """`name` is like `cache.disk`, or `sources.NAME` if the user chooses it. `settings` are its keys; a table whose keys
    the user chooses has none, but a `description`. `examples` are values in TOML."""

    name: str
    settings: Mapping[str, Setting]
    examples: Mapping[str, str]
    description: str = ""

    @property
    def is_named(self) -> bool:
        """Whether the user chooses the name of the table."""
        return self.name.endswith(".NAME")


def default_toml() -> str:
    """The text of config/default.toml."""
    return "\n\n".join(part.strip() for part in (_TOML_HEAD, *map(_toml_table, tables()))) + "\n"


def configuration_md() -> str:
    """The text of docs/configuration.md."""
    return _PAGE_HEAD + "".join(map(_page_section, tables()))


def tables() -> Iterator[Table]:
    """All tables in the order of the settings."""
    for name, (field, description) in _settings_of(Settings).items():
        if name in _NAMED_TABLES:
            for model, examples in _NAMED_TABLES[name]:
                yield from _of_model(f"{name}.NAME", model, examples)
        elif isinstance(field.default, dict):
            yield Table(name, {}, {}, description)
        else:
            yield from _of_model(name, field.annotation)


def _of_model(name: str, model: Any, examples: Mapping[str, str] = {}) -> Iterator[Table]:
    settings = _settings_of(model)
    if inner := {key: setting.field for key, setting in settings.items() if _is_section(setting.field)}:
        for key, field in inner.items():
            yield from _of_model(f"{name}.{key}", field.annotation)
        return
    opened = {key: setting for key, setting in settings.items() if isinstance(setting.field.default, dict)}
    yield Table(name, {key: settings[key] for key in settings if key not in opened}, examples)
    for key, setting in opened.items():
        yield Table(f"{name}.{key}", {}, {}, setting.description)


def _settings_of(model: type[BaseModel]) -> dict[str, Setting]:
    """The settings of a section, each with the docstring below it on one line."""
    (section,) = ast.parse(dedent(inspect.getsource(model))).body
    assert isinstance(section, ast.ClassDef)
    descriptions = {}
    for statement, below in zip(section.body, [*section.body[1:], ast.Pass()], strict=True):
        match statement, below:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                descriptions[name] = " ".join(text.split())
    return {name: Setting(field, descriptions.get(name, "")) for name, field in model.model_fields.items()}


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _toml_table(table: Table) -> str:
    """One table; commented out if the user chooses its name or its keys."""
    if table.name in _OPEN_TABLES:
        lines = [f"[{table.name}]", table.description, _OPEN_TABLES[table.name]]
        return "\n".join(f"# {line}" for line in lines)
    lines = [f"[{table.name}]"]
    for key, (field, description) in table.settings.items():
        value = table.examples[key] if key in table.examples else toml(field.default)
        lines += [f"# {description}", f"{key} = {value}"]
    return "\n".join(f"# {line}" if table.is_named else line for line in lines)


def _page_section(table: Table) -> str:
    """One table of the configuration as a section of the page."""
    kind = table.settings.get("kind") if table.is_named else None
    lines = [f"\n## `[{table.name}]`" + (f", kind {get_args(kind.field.annotation)[0]}" if kind else ""), ""]
    variable = f"{PREFIX}{table.name.replace('.', '__').upper()}"
    if table.name in _OPEN_TABLES:
        lines += [
            fill(
                f"{table.description} Environment variable: `{variable}`, a JSON object, or `{variable}__NAME` for"
                " one entry.",
                _WIDTH,
                break_on_hyphens=False,
            ),
            "",
            *("```toml", f"[{table.name}]", _OPEN_TABLES[table.name], "```"),
        ]
    if table.settings:
        lines += [
            "| key | type | default | description | environment variable |",
            "| --- | --- | --- | --- | --- |",
        ]
    for key, (field, description) in table.settings.items():
        cells = (
            f"`{key}`",
            _type(field.annotation, field.metadata),
            "required" if field.is_required() else f"`{toml(field.default)}`",
            description.replace("<", "&lt;"),
            f"`{variable}__{key.upper()}`",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _type(annotation: Any, metadata: Sequence[object] = ()) -> str:
    """The type of a setting in words, with its bounds."""
    if get_origin(annotation) is Annotated:
        annotation, *metadata = get_args(annotation)
    if any(isinstance(each, BeforeValidator) and each.func is duration_s for each in metadata):
        return "duration"
    if get_origin(annotation) is tuple:
        return f"list: {_type(get_args(annotation)[0])}"
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(map(_type, get_args(annotation)))
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{toml(value)}`" for value in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Enum) and annotation not in _WORDS:
        return " or ".join(f"`{toml(value)}`" for value in annotation)
    bounds = {name: getattr(each, name) for each in metadata for name in ("ge", "le") if hasattr(each, name)}
    least, most = bounds.get("ge"), bounds.get("le")
    within = "" if most is None else f", {least} to {most}"
    return _WORDS.get(annotation, "text") + within


def dialect_md(dialect: Dialect) -> str:
    """The page of a dialect: the description of its module, statuses, and every option of its vendor."""
    about = inspect.cleandoc(sys.modules[dialect.parse.__module__].__doc__ or "")
    statuses = [f"| `{slug}` | {status} |" for slug, status in dialect.statuses.items()]
    lines = [
        f"# URLs of {dialect.name}",
        "",
        f"<!-- `./run fix` generates this page from the code ({dialect.parse.__module__}). -->",
        "",
        f'Set `dialect = "{dialect.name}"` in a [mount](../configuration.md) to answer these URLs.',
        "",
        about,
        "",
        *([f"`{dialect.health}` answers 200 while the node runs.", ""] if dialect.health else []),
        "## Options",
        "",
        "`done`: as the vendor does it. `approximated`: with a difference, which the note describes. `ignored`: no effect on",
        'the picture; the answer lists it in `Calotype-Notice`. `refused`: an error, or with `unsupported = "ignore"` ignored',
        'if it only polishes the picture; with `unsupported = "upstream"` the URL goes to [the old service](../cutting-over.md).',
        "",
        "| option | support | note |",
        "| --- | --- | --- |",
        *(
            f"| {' '.join(f'`{name}`' for name in option.names)} | {option.support} | {option.note.replace('|', chr(92) + '|')} |"
            for option in dialect.options
        ),
        "",
        "## Statuses",
        "",
        "Errors have the statuses of this table, and else those of [the native URLs](../errors.md).",
        "",
        "| error | status |",
        "| --- | --- |",
        *statuses,
    ]
    return "\n".join(lines) + "\n"


def dialect_pages() -> dict[str, str]:
    """The pages of `docs/dialects/` by file name."""
    return {f"{name}.md": dialect_md(each) for name, each in DIALECTS.items() if each.options}


def client_tables() -> dict[str, str]:
    """The tables of parameters of the clients and of the playground, by path."""
    tokens = json.loads((ROOT / "clients" / "parameters.json").read_text())
    by_name = {re.sub("_(.)", lambda found: found[1].upper(), name): token for name, token in tokens.items()}
    rows = "".join(f'    "{name}": "{token}",\n' for name, token in tokens.items())
    javascript = "".join(f'  {name}: "{token}",\n' for name, token in by_name.items())
    return {
        "clients/python/calotype_urls/_parameters.py": '"""Made by `./run fix` from clients/parameters.json."""\n\n'
        f'PARAMETERS = {{\n{rows}}}\n"""The parameters by name, with their tokens in URLs, in the order in which they are written."""\n',
        "clients/javascript/parameters.js": f"// Made by `./run fix` from clients/parameters.json.\nexport const PARAMETERS = {{\n{javascript}}};\n",
        "proxy/edge/admin/pages/parameter_names.js": "// Made by `./run fix` from clients/parameters.json.\n"
        f"export const NAMES = {json.dumps({token: name for name, token in tokens.items()})};\n",
        "clients/javascript/parameters.d.ts": "// Made by `./run fix` from clients/parameters.json.\nexport declare const PARAMETERS: {\n"
        + "".join(f"  readonly {name}: string;\n" for name in by_name)
        + "};\n",
    }


if __name__ == "__main__":
    (ROOT / "docs" / "dialects").mkdir(exist_ok=True)
    for page, text in dialect_pages().items():
        (ROOT / "docs" / "dialects" / page).write_text(text)
    for path, text in client_tables().items():
        (ROOT / path).write_text(text)
    (ROOT / "config" / "default.toml").write_text(default_toml())
    (ROOT / "docs" / "configuration.md").write_text(configuration_md())
