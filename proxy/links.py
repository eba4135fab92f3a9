"""`calotype url` and `calotype sign`: URLs as this node answers them, signed with one of its keys."""

from typing import NamedTuple

from proxy import parts
from proxy.config import ConfigError, Settings
from proxy.core.dialects.native import parse_tokens, path_url, query_url
from proxy.core.dialects.target import cut, origin_and_target
from proxy.core.mounts import Mount, Signing, host_name, route
from proxy.core.signing import sign


class Wish(NamedTuple):
    """How to sign: with which key, none being the mount's first, for how many seconds, for whose pages and session."""

    key_id: str | None = None
    seconds: float | None = None
    domain: str = ""
    session: str = ""


def variant_url(
    settings: Settings, key: str, transform: str, *, mount: str | None, query: bool, wish: Wish | None
) -> str:
    """The URL of a variant, signed if there is a `wish`. Raises ConfigError or what is wrong with key or transform."""
    asked = parse_tokens(transform, settings.parsed_presets())
    below = (query_url if query else path_url)(key, asked.own, asked.preset)
    chosen = _chosen(parts.mounts(settings), mount)
    target = below if chosen is None else chosen.prefix.removesuffix("/") + below
    host = "*" if chosen is None else chosen.host
    server = settings.server
    bracketed = f"[{server.host}]" if ":" in server.host else server.host
    origin = f"https://{host}" if host != "*" else f"http://{bracketed}:{server.port}"
    if wish is not None:
        if chosen is None:
            raise ConfigError("mounts: there is none to sign for; add a [sources.NAME] table")
        target = _signed(settings, chosen, target, wish)
    return origin + target


def signed_url(settings: Settings, url: str, *, mount: str | None, wish: Wish) -> str:
    """`url`, absolute or a target alone, with its signature. Raises ConfigError, BadUrl or UnknownRoute."""
    origin, target = origin_and_target(url)
    cut(target)
    chosen = route(parts.mounts(settings), host_name(origin.partition("://")[2]), target)
    if mount not in (None, chosen.name):
        raise ConfigError(f"--mount: this URL belongs to mount {chosen.name}")
    return origin + _signed(settings, chosen, target, wish)


def _chosen(mounts: list[Mount], name: str | None) -> Mount | None:
    names = ", ".join(mount.name for mount in mounts)
    if name is None:
        if len(mounts) > 1:
            raise ConfigError(f"--mount: is needed, for there are {names}")
        return mounts[0] if mounts else None
    for mount in mounts:
        if mount.name == name:
            return mount
    raise ConfigError(f"--mount: there is no mount of that name; there are {names}")


def _signed(settings: Settings, mount: Mount, target: str, wish: Wish) -> str:
    if mount.signing is Signing.OFF:
        raise ConfigError(f"mounts.{mount.name}.signing: is off; set it to optional or required")
    key_id = wish.key_id or next(iter(mount.keys))
    if key_id not in mount.keys:
        raise ConfigError(f"--key: mount {mount.name} has no key of that id")
    if wish.session and not settings.signing.session:
        raise ConfigError("signing.session: must say which cookie or header --session is compared with")
    if wish.seconds is not None and wish.seconds < 1:
        raise ConfigError("--expires: must be a second or more")
    until_s = None if wish.seconds is None else int(parts.wall() + wish.seconds)
    return sign(
        target,
        mount.keys[key_id],
        until_s=until_s,
        key_id=wish.key_id or "",
        domain=wish.domain,
        session=wish.session,
    )
