"""`calotype url`: prints URLs of variants, signed or not."""

import json
from pathlib import Path
from typing import Any

import click

from proxy.cli.examples import example
from proxy.cli.options import config_option, json_option, listener_url, one_line, settings_of, sign_options
from proxy.config.errors import ConfigError
from proxy.config.settings import Settings
from proxy.core.errors import BadTransform, UnknownRoute
from proxy.core.url.dialects.native.urls import parse_tokens, path_url, query_url
from proxy.core.url.mounts import Mount, Rules, mount_named, only_mount
from proxy.node import factory
from proxy.node.signed_urls import SignOptions, signed_target


def variant_url(
    settings: Settings,
    key: str,
    transform: str,
    *,
    mount: str | None,
    query: bool,
    signing: SignOptions | None,
) -> str:
    """The URL of a variant, signed if `signing` is given. Raises ConfigError and CalotypeError."""
    chosen = chosen_mount(factory.rules(settings), mount)
    if chosen is not None and not chosen.is_native:
        raise ConfigError(
            f"mounts.{chosen.name}.dialect: is {chosen.dialect.name}; this command writes native URLs"
        )
    components = parse_tokens(transform, settings.parsed_presets()).components
    if query and len(components) > 1:
        raise BadTransform("the query form has no chains (~): leave out --query")
    below = query_url(key, components[0]) if query else path_url(key, *components)
    target = below if chosen is None else chosen.prefix.removesuffix("/") + below
    host = "*" if chosen is None else chosen.host
    server = settings.server
    origin = f"https://{host}" if host != "*" else listener_url(server.host, server.port)
    if signing is not None:
        if chosen is None:
            raise ConfigError("mounts: there is none; add a [sources.NAME] table")
        target = signed_target(settings, chosen, target, signing)
    return origin + target


def chosen_mount(rules: Rules, name: str | None) -> Mount | None:
    """The mount with this name; without a name the only one, None if there is none. Raises ConfigError."""
    names = ", ".join(dict.fromkeys(mount.name for mount in rules.mounts))
    if name is None and len({mount.name for mount in rules.mounts}) > 1:
        raise ConfigError(f"--mount: must be given; the mounts are {names}")
    if name is None:
        return only_mount(rules)
    try:
        return mount_named(rules, name)
    except UnknownRoute:
        raise ConfigError(f"--mount: no mount has this name; the mounts are {names}") from None


@click.command(
    "url",
    epilog=example("calotype url shoes/red.jpg w_400,f_auto --sign --expires 1h --config shop.toml"),
)
@click.argument("key", metavar="KEY")
@click.argument("transform", metavar="TRANSFORM")
@json_option
@click.option("--query", is_flag=True, help="Print the /thumbnail?url= form.")
@click.option("--sign", "is_signed", is_flag=True, help="Sign the URL.")
@sign_options
@config_option
def command(
    key: str,
    transform: str,
    mount: str | None,
    query: bool,
    is_signed: bool,
    as_json: bool,
    config: Path | None,
    **how: Any,
) -> None:
    """Print the URL of a variant: KEY of the original, TRANSFORM as in w_400,h_300,c_fill,f_auto."""
    if not is_signed and any(how.values()):
        raise click.UsageError("--key, --expires, --domain and --session require --sign")
    signing = SignOptions(**how) if is_signed else None
    with one_line():
        settings = settings_of(config)
        made = variant_url(settings, key, transform, mount=mount, query=query, signing=signing)
    click.echo(json.dumps({"url": made}) if as_json else made)
