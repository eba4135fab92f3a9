"""The `calotype` command. A command is the module with its name: it reads arguments, calls a room, and prints.

Exit codes: 0 done, 1 an error, 2 a wrong command line, 130 Ctrl-C.
"""

import gc
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from keyword import iskeyword
from typing import Any

import click

import proxy
from proxy.cli.examples import example

COMMANDS = {
    "serve": "Run the node.",
    "render": "Render pictures without a server.",
    "url": "Print the URL of a variant.",
    "sign": "Sign a URL.",
    "explain": "Explain a URL.",
    "upload": "Store originals through a running node.",
    "info": "Print what is known of an original.",
    "warm": "Generate variants before clients request them.",
    "purge": "Purge cached variants on all nodes.",
    "gc": "List or remove unneeded variants of the bucket.",
    "config": "Print the effective configuration.",
    "check": "Validate the configuration and test every part.",
    "import": "Print the configuration of another service as TOML.",
    "compare": "Compare a node with the server that it replaces.",
}
"""The commands with what they do, in the order of the help text, which imports none of them."""
_INTERRUPTED = 128 + signal.SIGINT


def module_of(command: str) -> str:
    """The module of a command. A keyword is no name of a module, and has an underscore behind it."""
    return f"proxy.cli.{command}_" if iskeyword(command) else f"proxy.cli.{command}"


@contextmanager
def loading() -> Iterator[None]:
    """Modules are imported without collections of garbage: these would find little, and visit every object often.
    Later collections spare the objects of these modules too."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class _Program(click.Group):
    """The group of commands; each is imported when it runs."""

    def main(self, *args: Any, **extra: Any) -> Any:
        return super().main(*args, **{"prog_name": "calotype", **extra})

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted", err=True)
            sys.exit(_INTERRUPTED)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        with loading():
            command: click.Command = import_module(module_of(name)).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_Program,
    epilog=example("calotype serve --originals ~/Pictures"),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(proxy.__version__, prog_name="calotype")
def main() -> None:
    """Calotype: a self-hosted image CDN node.

    A URL describes a variant, as in /w_400,h_300,c_fill,f_auto/photo.jpg. The node renders the variant once and then
    serves it from its cache.
    """
