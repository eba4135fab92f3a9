"""Which tests wait for real time or for another program, by the names that they use."""

import ast
from functools import cache
from pathlib import Path

WAITING_NAMES = frozenset(
    {
        *("eventually", "eventually_sync", "settle", "sleep", "monotonic", "perf_counter"),
        *("kill", "send_signal", "terminate"),
    }
)


@cache
def waiting_functions(path: Path) -> frozenset[str]:
    """The functions of a file that use one of WAITING_NAMES, themselves or through functions, methods and fixtures of
    the same file. Names are compared without their module or class."""
    uses: dict[str, set[str]] = {}
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            uses.setdefault(function.name, set()).update(_names(function))
    waiting: set[str] = set()
    while more := {name for name in uses if uses[name] & (waiting | WAITING_NAMES)} - waiting:
        waiting |= more
    return frozenset(waiting)


def _names(function: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(function):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                found.add(name)
    return found
