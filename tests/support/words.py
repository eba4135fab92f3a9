"""Checks the identifiers of `proxy/` and `tests/` against "Words not to use" in docs/glossary.md; `./run lint` runs it.

An identifier is split at underscores and capitals. No class name of `proxy/` may be defined twice.
"""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

ALLOWED: dict[str, set[str]] = {
    "tests/support/virtual_time.py": {"settle", "settled"},
    "tests/support/waiting.py": {"settle"},
}
"""Words still in use, by file. Remove an entry with its last identifier; add none."""


def banned() -> dict[str, str]:
    """Each banned word with its replacement."""
    section = (ROOT / "docs/glossary.md").read_text().partition("## Words not to use")[2]
    rows = re.findall(r"^\| (`.*`) \| (.+) \|$", section, re.MULTILINE)
    return {word: instead for words, instead in rows for word in re.findall(r"`([a-z]+)`", words)}


def definitions(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """The names that a module defines, with their lines: classes, functions, parameters, variables, attributes."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name, node.lineno
            case ast.arg(arg=name):
                yield name, node.lineno
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name, node.lineno


def problems(root: Path = ROOT) -> list[str]:
    """One line for each banned identifier and each class name that is defined twice."""
    words, found = banned(), []
    classes: dict[str, list[str]] = defaultdict(list)
    for path in sorted(path for folder in ("proxy", "tests") for path in (root / folder).rglob("*.py")):
        tree, file = ast.parse(path.read_text()), path.relative_to(root).as_posix()
        for name, line in definitions(tree):
            parts = {part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}
            for word in sorted(parts & words.keys() - ALLOWED.get(file, set())):
                found.append(f"{file}:{line}: {name}: do not use {word!r}; use {words[word]}")
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and file.startswith("proxy/"):
                classes[node.name].append(f"{file}:{node.lineno}")
    return found + [
        f"class {name} is defined twice: {', '.join(at)}" for name, at in classes.items() if at[1:]
    ]


if __name__ == "__main__":
    print(*(found := problems()), sep="\n", end="\n" if found else "")
    sys.exit(bool(found))
