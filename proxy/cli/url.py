"""`calotype url`: prints URLs of variants, signed or not."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import click

from proxy.cli.examples import example
from proxy.cli.options import config_option, json_option, listener_url, one_line, settings_of, sign_options
from proxy.config.errors import ConfigError
from proxy.config.settings import Settings
from proxy.core.errors import BadTransform, UnknownRoute
from proxy.core.url.dialects.native.urls import parse_tokens, path_url, query_url
from proxy.core.url.mounts import Mount, Rules, Signing, host_name, mount_named, only_mount, route
from proxy.core.url.signing import sign
from proxy.core.url.target import cut, origin_and_target
from proxy.node import factory


class SignOptions(NamedTuple):
    """The key to sign with, None for the mount's first; the validity in seconds; the domain and the session."""

    key_id: str | None = None
    seconds: float | None = None
    domain: str = ""
    session: str = ""


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
        target = _signed(settings, chosen, target, signing)
    return origin + target


def signed_url(settings: Settings, url: str, *, mount: str | None, signing: SignOptions) -> str:
    """`url`, absolute or a bare target, with its signature. Raises ConfigError, BadUrl or UnknownRoute."""
    origin, target = origin_and_target(url)
    cut(target)
    chosen = route(factory.mounts(settings), host_name(origin.partition("://")[2]), target)
    if mount not in (None, chosen.name):
        raise ConfigError(f"--mount: this URL belongs to mount {chosen.name}")
    return origin + _signed(settings, chosen, target, signing)


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


def _signed(settings: Settings, mount: Mount, target: str, signing: SignOptions) -> str:
    if not mount.is_native:
        raise ConfigError(
            f"mounts.{mount.name}.dialect: is {mount.dialect.name}; sign its URLs with a client library of that vendor"
        )
    if mount.signing is Signing.OFF:
        raise ConfigError(f"mounts.{mount.name}.signing: is off; set it to optional or required")
    key_id = signing.key_id or next(iter(mount.keys))
    if key_id not in mount.keys:
        raise ConfigError(f"--key: mount {mount.name} has no key with this id")
    if signing.session and not settings.signing.session:
        raise ConfigError("signing.session: must name the cookie or header for --session")
    if signing.seconds is not None and signing.seconds < 1:
        raise ConfigError("--expires: must be at least one second")
    until_s = None if signing.seconds is None else int(factory.wall() + signing.seconds)
    return sign(
        target,
        mount.keys[key_id],
        until_s=until_s,
        key_id=signing.key_id or "",
        domain=signing.domain,
        session=signing.session,
    )


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
