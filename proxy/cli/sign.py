"""`calotype sign`: signs a URL."""

import json
from pathlib import Path
from typing import Any

import click

from proxy.cli.examples import example
from proxy.cli.options import config_option, json_option, one_line, settings_of, sign_options
from proxy.node.signed_urls import SignOptions, signed_urls


@click.command(
    "sign",
    epilog=example('calotype sign "/thumbnail?url=shoes/red.jpg&w=1234" --expires 1h --config shop.toml'),
)
@click.argument("url", metavar="URL")
@json_option
@sign_options
@config_option
def command(url: str, mount: str | None, config: Path | None, as_json: bool, **how: Any) -> None:
    """Print URL, absolute or beginning with a slash, with its signature."""
    with one_line():
        [made] = signed_urls(settings_of(config), [url], mount=mount, signing=SignOptions(**how))
    click.echo(json.dumps({"url": made}) if as_json else made)
