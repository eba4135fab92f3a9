"""Signs URLs with the keys of the configuration."""

from collections.abc import Iterable
from typing import NamedTuple

from proxy.config.errors import ConfigError
from proxy.config.settings import Settings
from proxy.core.errors import BadUrl
from proxy.core.url.mounts import Mount, Signing, host_name, route
from proxy.core.url.signing import sign
from proxy.core.url.target import cut, origin_and_target
from proxy.node import factory


class SignOptions(NamedTuple):
    """The key to sign with, None for the mount's first; the validity in seconds; the domain and the session."""

    key_id: str | None = None
    seconds: float | None = None
    domain: str = ""
    session: str = ""


def signed_urls(
    settings: Settings, urls: Iterable[str], *, mount: str | None, signing: SignOptions
) -> list[str]:
    """`urls`, absolute or bare targets, with their signatures. Raises ConfigError, BadUrl or UnknownRoute."""
    mounts, signed = factory.mounts(settings), []
    for url in urls:
        origin, target = origin_and_target(url)
        cut(target)
        chosen = route(mounts, host_name(origin.partition("://")[2]), target)
        if mount not in (None, chosen.name):
            raise ConfigError(f"--mount: this URL belongs to mount {chosen.name}")
        signed.append(origin + signed_target(settings, chosen, target, signing))
    return signed


def signed_target(settings: Settings, mount: Mount, target: str, signing: SignOptions) -> str:
    """`target` of `mount` with its signature. Raises ConfigError, BadUrl or UnknownRoute."""
    if mount.signing is Signing.OFF:
        raise ConfigError(f"mounts.{mount.name}.signing: is off; set it to optional or required")
    key_id = signing.key_id or next(iter(mount.keys))
    if key_id not in mount.keys:
        raise ConfigError(f"--key: mount {mount.name} has no key with this id")
    if not mount.is_native:
        return _signed_by_vendor(mount, target, key_id, signing)
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


def _signed_by_vendor(mount: Mount, target: str, key_id: str, signing: SignOptions) -> str:
    """`target` of a mount in the dialect of a vendor, with its signature."""
    sign_target = mount.dialect.sign
    assert sign_target is not None, "settings refuse signing for a dialect without signatures"
    if signing.seconds is not None or signing.domain or signing.session:
        raise ConfigError(
            f"mounts.{mount.name}.dialect: is {mount.dialect.name}; --expires, --domain and --session are of native URLs"
        )
    if mount.unsigned(target) != target:
        raise BadUrl("the URL is already signed: remove its signature")
    try:
        return sign_target(target, mount.prefix, mount.keys[key_id])
    except ValueError as reason:
        raise ConfigError(f"signing.keys.{key_id}: {reason}") from None
