"""Writes values as TOML."""

import json
from collections.abc import Mapping
from enum import Enum

from pydantic import ByteSize, SecretStr

_SECONDS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))
_BYTES = (("GiB", 2**30), ("MiB", 2**20), ("GB", 10**9), ("MB", 10**6), ("KiB", 2**10))
MASK = "********"


def toml(value: object) -> str:
    """`value` on one line; a secret is masked."""
    match value:
        case bool():
            return str(value).lower()
        case SecretStr():
            return toml(MASK if value.get_secret_value() else "")
        case Enum():
            return toml(value.value)
        case tuple() | list():
            return f"[{', '.join(map(toml, value))}]"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
        case ByteSize():
            return next(
                (f'"{value // unit}{name}"' for name, unit in _BYTES if value and value % unit == 0),
                str(int(value)),
            )
        case int() if value >= 100_000:
            return f"{int(value):_}"
        case int() | float():
            return str(value)
    return toml(str(value))


def document(settings: Mapping[tuple[str, ...], object]) -> str:
    """A TOML file with the values by section, table and key, in the order of the first key of each table."""
    tables: dict[tuple[str, ...], list[str]] = {}
    for (*table, key), value in settings.items():
        tables.setdefault(tuple(table), []).append(f"{key} = {toml(value)}\n")
    return "\n".join(f"[{'.'.join(table)}]\n{''.join(lines)}" for table, lines in tables.items())


def duration(seconds: float) -> str:
    """A duration as in the configuration, in the largest unit that gives a whole number."""
    for name, unit_s in _SECONDS:
        if seconds and seconds % unit_s == 0:
            return f"{int(seconds // unit_s)}{name}"
    return f"{seconds * 1000:g}ms" if seconds else "0s"
