"""Writes docs/configuration.md: every setting with its type, default, description and environment variable.

Run as `python -m proxy.config.configuration_md FILE`; a test keeps the file equal to what this writes.
"""

import sys
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from textwrap import fill
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BeforeValidator, ByteSize, IPvAnyNetwork, SecretStr

from proxy.config.sections import duration_s
from proxy.config.settings import PREFIX
from proxy.config.tables import Table, tables
from proxy.config.toml import toml
from proxy.core.image.formats import Format

_HEAD = """\
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


def configuration_md() -> str:
    """The text of docs/configuration.md."""
    return _HEAD + "".join(map(_text, tables()))


def _text(table: Table) -> str:
    """One table of the configuration as a section of the page."""
    kind = table.settings.get("kind") if table.is_named else None
    lines = [f"\n## `[{table.name}]`" + (f", kind {get_args(kind.annotation)[0]}" if kind else ""), ""]
    variable = f"{PREFIX}{table.name.replace('.', '__').upper()}"
    if table.open is not None:
        lines += [
            fill(
                f"{table.open.description} Environment variable: `{variable}`, a JSON object, or `{variable}__NAME` for"
                " one entry.",
                _WIDTH,
                break_on_hyphens=False,
            ),
            "",
            *("```toml", f"[{table.name}]", *(table.open.examples or ()), "```"),
        ]
    if table.settings:
        lines += [
            "| key | type | default | description | environment variable |",
            "| --- | --- | --- | --- | --- |",
        ]
    for key, field in table.settings.items():
        cells = (
            f"`{key}`",
            _type(field.annotation, field.metadata),
            "required" if field.is_required() else f"`{toml(field.default)}`",
            (field.description or "").replace("<", "&lt;"),
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
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{toml(value)}`" for value in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Enum) and annotation not in _WORDS:
        return " or ".join(f"`{toml(value)}`" for value in annotation)
    bounds = {name: getattr(each, name) for each in metadata for name in ("ge", "le") if hasattr(each, name)}
    least, most = bounds.get("ge"), bounds.get("le")
    within = "" if most is None else f", {least} to {most}"
    return _WORDS.get(annotation, "text") + within


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(configuration_md())
