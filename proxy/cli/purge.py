"""`calotype purge`: purges cached variants through a running node."""

import json
from pathlib import Path
from typing import Any

import click

from proxy.cli.admin_client import AdminClient
from proxy.cli.examples import example
from proxy.cli.options import (
    config_option,
    json_option,
    mount_option,
    node_option,
    run,
    settings_of,
    token_option,
)
from proxy.config.errors import ConfigError


@click.command(
    "purge",
    epilog=example("calotype purge --original shoes/red.jpg --config shop.toml"),
)
@click.option("--original", help="Purge all variants of this original, and fetch it again.")
@click.option("--prefix", help="Purge all originals whose keys begin with this prefix.")
@click.option("--url", help="Purge the variant at this URL, in every format.")
@click.option("--preset", help="Purge the variants of this preset, of all originals.")
@click.option("--all", "everything", is_flag=True, help="Purge everything.")
@mount_option
@node_option
@token_option
@json_option
@config_option
def command(
    everything: bool,
    node: str | None,
    token: str | None,
    as_json: bool,
    config: Path | None,
    **scope: str | None,
) -> None:
    """Purge cached variants on all nodes.

    The node informs the other nodes. Exit 1 if not every node has confirmed; the error lists those that have not.
    """
    body = {name: value for name, value in scope.items() if value is not None}
    if everything:
        body["all"] = True  # type: ignore[assignment]

    async def call() -> dict[str, Any]:
        if len(body.keys() - {"mount"}) != 1:
            raise ConfigError("give one of --original, --prefix, --url, --preset and --all")
        return await AdminClient(settings_of(config), node, token).call("POST", "/v1/purge", body)

    answer = run(call())
    if as_json:
        click.echo(json.dumps(answer))
        return
    tiers = ", ".join(f"{name} {count}" for name, count in answer["tiers"].items())
    pending = f"; {answer['behind']} more are being removed" if answer["behind"] else ""
    click.echo(f"purged: {answer['removed']} entries removed{f' ({tiers})' if tiers else ''}{pending}")
