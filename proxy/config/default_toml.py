"""Writes config/default.toml: every setting, its default and its description, from the settings themselves.

Run as `python -m proxy.config.default_toml FILE`; a test keeps the file equal to what this writes.
"""

import sys
from pathlib import Path

from proxy.config.tables import Table, tables
from proxy.config.toml import toml

_HEAD = """\
# Every setting of Calotype with its default. Copy the settings that you change into a file of your own, and name that
# file with --config or CALOTYPE_CONFIG. An environment variable overrides the file: CALOTYPE_SERVER__PORT=8080.
# Sizes are written "256MiB" or "50MB", durations "500ms", "30s" or "365d". The same settings, with their types and
# environment variables, are in docs/configuration.md.
# `./run fix` generates this file from the code.
"""


def default_toml() -> str:
    """The text of config/default.toml."""
    return "\n\n".join(part.strip() for part in (_HEAD, *map(_text, tables()))) + "\n"


def _text(table: Table) -> str:
    """One table; commented out if the user chooses its name or its keys."""
    if table.open is not None:
        return "\n".join(
            f"# {line}" for line in (f"[{table.name}]", table.open.description, *(table.open.examples or ()))
        )
    lines = [f"[{table.name}]"]
    for key, field in table.settings.items():
        value = table.examples[key] if key in table.examples else toml(field.default)
        lines += [f"# {field.description}", f"{key} = {value}"]
    return "\n".join(f"# {line}" if table.is_named else line for line in lines)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(default_toml())
