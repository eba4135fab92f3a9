"""`calotype serve`: runs the node until a signal stops it."""

import signal
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from proxy.cli import demo
from proxy.cli.commands import loading
from proxy.cli.examples import example
from proxy.cli.options import node_options, one_line, run, settings_of
from proxy.config.settings import Settings
from proxy.config.shipped import demo_configuration
from proxy.node.first_worker import start_first_worker


@click.command("serve", epilog=example("calotype serve --originals ~/Pictures --port 8000"))
@node_options
@click.option("--demo", "is_demo", is_flag=True, help="Serve painted originals, and print URLs to open.")
def command(config: Path | None, originals: Path | None, flags: dict[str, Any], is_demo: bool) -> None:
    """Run the node until SIGTERM or Ctrl-C. Requests in progress are completed."""
    announce: Callable[[str, str], str] | None = None
    if not sys.stdout.isatty():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # Until the node can reload.
    with one_line():
        if is_demo and config is None:
            config = demo_configuration()

        def read() -> Settings:
            settings = settings_of(config, originals, **flags)
            return demo.with_originals(settings) if is_demo else settings

        settings = read()
        if is_demo:
            demo.paint(settings)
            announce = demo.announce
        first_worker = start_first_worker(settings)
        with loading():  # While the worker starts.
            from proxy.node.runtime import exit_process
            from proxy.node.serve import prepare, serve_until_signal
            from proxy.telemetry.log_writer import LogWriter

        children = prepare(settings)
    with closing(LogWriter(form=settings.log.format)) as out:
        run(serve_until_signal(settings, out, children, first_worker, read=read, announce=announce))
    exit_process()
