"""The program's help text lists every command, and imports none of them."""

import gc
import subprocess
import sys

import click
import pytest

from proxy.cli.commands import COMMANDS, loading, main

HELP = """
import sys
from proxy.cli.commands import main
main(["--help"], standalone_mode=False)
print(*sys.modules, file=sys.stderr)
"""


def test_the_help_text_needs_no_command() -> None:
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    listed = [line.split()[0] for line in done.stdout.partition("Commands:")[2].splitlines() if line.strip()]
    assert listed[: len(COMMANDS)] == list(COMMANDS)
    rooms = {".".join(name.split(".")[:2]) for name in done.stderr.split() if name.startswith("proxy.")}
    assert rooms == {"proxy.cli"}
    assert not {"aiohttp", "pydantic", "msgspec", "pyvips"} & set(done.stderr.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_listed_command_is_there(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.name == name
    assert command.help


def test_nothing_is_collected_while_modules_are_loaded() -> None:
    with loading():
        assert not gc.isenabled()
        loaded = [[] for _ in range(1000)]  # type: ignore[var-annotated]
    assert gc.isenabled()
    assert not any(one is loaded for one in gc.get_objects())
    gc.unfreeze()
