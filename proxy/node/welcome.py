"""Example URLs of pictures in the node's sources, shown when the node is ready."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from proxy.config.settings import Settings
from proxy.core.admin.commands import ListOriginals
from proxy.core.errors import CalotypeError
from proxy.core.image.formats import Format
from proxy.core.transform.operations import Fit
from proxy.core.url.dialects.component import Component
from proxy.core.url.dialects.native.urls import path_url
from proxy.core.url.mounts import Mount, Rules, client_url
from proxy.node import factory
from proxy.ports.operations import CommandDispatcher

URL_COUNT = 3
LIST_TIMEOUT_S = 2.0
_WIDE_PX = 640
_SQUARE_PX = 320


async def example_urls(settings: Settings, public_url: str, dispatcher: CommandDispatcher) -> list[str]:
    """`URL_COUNT` URLs; none without a picture within `LIST_TIMEOUT_S`, or with a unix socket."""
    if not public_url.startswith("http"):
        return []
    originals: Sequence[tuple[str, str]] = ()
    with suppress(CalotypeError, TimeoutError):
        async with asyncio.timeout(LIST_TIMEOUT_S):
            originals = await dispatcher.execute(ListOriginals(URL_COUNT))  # type: ignore[assignment]
    rules = factory.rules(settings)
    mounts = {mount.name: mount for mount in rules.mounts if mount.is_native}
    return [
        _url(mounts[name], key, number, rules, public_url)
        for number in range(URL_COUNT if originals else 0)
        for name, key in originals[number % len(originals) :][:1]
        if name in mounts
    ]


def _url(mount: Mount, key: str, number: int, rules: Rules, public_url: str) -> str:
    preset = next(iter(rules.presets), None) if mount.presets_only else None
    url = client_url(mount, path_url(key, Component(preset=preset) if preset else _component(mount, number)))
    return public_url + url if mount.host == "*" else url


def _component(mount: Mount, number: int) -> Component:
    """A different transform for each `number`, in sizes that the mount allows."""
    wide, square = (min(mount.allowed_px, key=lambda px: abs(px - side)) for side in (_WIDE_PX, _SQUARE_PX))
    return (
        Component(width=wide),
        Component(width=square, height=square, fit=Fit.COVER),
        Component(width=wide, format=Format.WEBP),
    )[number % URL_COUNT]


def terminal_text(urls: Sequence[str]) -> str:
    """The URLs as text for a terminal."""
    return "".join(("\nPictures in your sources:\n\n", *(f"  {url}\n" for url in urls), "\n"))
