"""`calotype purge`: has a running node purge."""

import json
from pathlib import Path
from typing import Any

import click

from proxy.cli.admin_client import AdminClient
from proxy.cli.options import config_option, example, json_option, run, settings_of, token_option
from proxy.config.errors import ConfigError


@click.command(
    "purge",
    short_help="Have no node serve what was made before.",
    epilog=example("calotype purge --original shoes/red.jpg --config shop.toml"),
)
@click.option("--original", help="All of this original, which is then fetched anew.")
@click.option("--prefix", help="All originals whose keys begin so.")
@click.option("--url", help="What is at this URL, in every format.")
@click.option("--preset", help="What this preset makes, of all originals.")
@click.option("--all", "everything", is_flag=True, help="Everything.")
@click.option("--mount", help="Name of the mount, where there are several.")
@click.option("--node", help="Admin URL of a running node; else that of admin.host and admin.port.")
@token_option
@json_option
@config_option
def command(
    everything: bool,
    node: str | None,
    token: str | None,
    as_json: bool,
    config: Path | None,
    **what: str | None,
) -> None:
    """Have no node serve any more what was made before.

    A node tells the others. Exit 1 where not every node has confirmed; the lines say which.
    """
    body = {name: value for name, value in what.items() if value is not None}
    if everything:
        body["all"] = True  # type: ignore[assignment]

    async def call() -> dict[str, Any]:
        if len(body.keys() - {"mount"}) != 1:
            raise ConfigError("give one of --original, --prefix, --url, --preset and --all")
        async with AdminClient(settings_of(config), node, token) as admin:
            return await admin.call("POST", "/v1/purge", body)

    answer = run(call())
    if as_json:
        click.echo(json.dumps(answer))
        return
    tiers = ", ".join(f"{name} {count}" for name, count in answer["tiers"].items())
    behind = f"; {answer['behind']} more are being removed" if answer["behind"] else ""
    click.echo(f"purged: {answer['removed']} entries removed{f' ({tiers})' if tiers else ''}{behind}")
