"""The request targets to compare: of URLs that are given, and of those that an access log names."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from proxy.core.admin.access_log import served
from proxy.core.errors import BadUrl
from proxy.core.url.mounts import Mount, host_name
from proxy.core.url.target import cut, origin_and_target

_MASKED_END = "..."
"""How `core/masking` ends a URL whose signature it has removed."""


class Targets(NamedTuple):
    """Each target once, below the mount; and the URLs of a log whose signatures are masked, which cannot be asked for."""

    found: list[str]
    masked: int = 0


def target_of(url: str, mount: Mount | None) -> str:
    """The target of a URL, absolute or beginning with a slash, without the path of `mount`. Raises BadUrl."""
    _, target = origin_and_target(url)
    cut(target)
    is_below = mount is not None and target.startswith(mount.prefix)
    return mount.below(target) if mount is not None and is_below else target


def given_targets(urls: Iterable[str], mount: Mount | None) -> Targets:
    """Raises BadUrl, which names the URL by its number."""
    found: dict[str, None] = {}
    for number, url in enumerate(urls, start=1):
        try:
            found[target_of(url, mount)] = None
        except BadUrl as failure:
            raise BadUrl(f"URL number {number}: {failure.detail}") from None
    return Targets(list(found))


def logged_targets(lines: Iterable[str], mount: Mount | None) -> Targets:
    """The targets that were answered with a picture, in the order of their first request. Lines of another host than that
    of `mount` are skipped, and so are lines that name no valid target."""
    found: dict[str, None] = {}
    masked: set[str] = set()
    for target in _logged(lines, mount):
        if target.endswith(_MASKED_END):
            masked.add(target)
        else:
            found[target] = None
    return Targets(list(found), len(masked))


def _logged(lines: Iterable[str], mount: Mount | None) -> Iterator[str]:
    for line in served(lines):
        host = host_name(line.host)
        if mount is not None and mount.host != "*" and host not in ("", mount.host):
            continue
        try:
            yield target_of(line.target, mount)
        except BadUrl:
            continue
