"""`calotype upload`: stores originals through a running node."""

import json
import sys
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
    one_line,
    run,
    settings_of,
    token_option,
)
from proxy.config.errors import ConfigError


@click.command("upload", epilog=example("calotype upload red.jpg blue.jpg --config shop.toml"))
@click.argument(
    "files",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option(
    "--key", help="Key of the original; for one file. Default: a new one that ends with the file name."
)
@click.option("--overwrite", is_flag=True, help="Replace an original that has this key, and purge it.")
@mount_option
@node_option
@token_option
@json_option
@config_option
def command(
    files: tuple[Path, ...],
    key: str | None,
    overwrite: bool,
    mount: str | None,
    node: str | None,
    token: str | None,
    as_json: bool,
    config: Path | None,
) -> None:
    """Store FILEs, which must be pictures, in the source of a mount.

    Prints the key of each original, and its URLs for the presets of eager.presets. Exit 1 if one was refused; the others are
    stored.
    """
    query = {"mount": mount} if mount else {}
    with one_line():
        if key == "":
            raise ConfigError("--key: is empty")
        if key is not None and len(files) > 1:
            raise ConfigError("--key: give one FILE, because a key is that of one original")
        if overwrite and key is None:
            raise ConfigError("--overwrite: needs --key, the original to replace")
        client = AdminClient(settings_of(config), node, token)

    async def store(file: Path) -> dict[str, Any]:
        named = {"name": file.name} if key is None else {"key": key, "overwrite": str(overwrite).lower()}
        try:
            with file.open("rb") as content:
                return await client.call("POST", "/v1/originals", query=query | named, file=content)
        except OSError as fault:
            raise ConfigError(f"cannot be read: {fault.strerror}") from None

    async def store_all() -> int:
        refused = 0
        for file in files:
            try:
                answer = await store(file)
            except ConfigError as failure:
                refused += 1
                click.echo(
                    json.dumps({"file": str(file), "error": str(failure)})
                    if as_json
                    else f"{file}: {failure}",
                    err=True,
                )
                continue
            if as_json:
                click.echo(json.dumps({"file": str(file), **answer}))
                continue
            click.echo(answer["key"])
            for preset, url in answer["urls"].items():
                click.echo(f"  {preset}: {url}")
        return refused

    sys.exit(1 if run(store_all()) else 0)
