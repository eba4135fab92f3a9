"""The `calotype` command. A command is the module of its name here: it reads words, builds settings, calls a room, prints.

Exit codes: 0 done, 1 something failed or is wrong, 2 the command line is, 130 broken off with Ctrl-C.
"""

import signal
import sys
from importlib import import_module
from typing import Any

import click

import proxy
from proxy.cli.options import example

COMMANDS = ["serve", "render", "url", "sign", "explain", "warm", "purge", "gc", "config", "check"]
_INTERRUPTED = 128 + signal.SIGINT


class _Program(click.Group):
    """The commands under the program's name, however it was started, each imported when it is run. Ctrl-C is exit code 130."""

    def main(self, *args: Any, **extra: Any) -> Any:
        return super().main(*args, **{"prog_name": "calotype", **extra})

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted", err=True)
            sys.exit(_INTERRUPTED)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return COMMANDS

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"proxy.cli.{name}").command
        return command


@click.group(
    cls=_Program,
    epilog=example("calotype serve --originals ~/Pictures"),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(proxy.__version__, prog_name="calotype")
def main() -> None:
    """Calotype: a self-hosted image CDN node.

    URLs say what a picture should be, as in /w_400,h_300,c_fill,f_auto/photo.jpg; the node renders it once and
    serves it from its tiers ever after.
    """
