"""URLs of pictures that a node has found, to be opened once it is ready."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from proxy.config.settings import Settings
from proxy.core.admin.commands import ListOriginals
from proxy.core.errors import CalotypeError
from proxy.core.image.formats import Format
from proxy.core.transform.operations import Fit, Transform
from proxy.core.url.dialects.native import path_url
from proxy.core.url.mounts import Mount, Rules, client_url
from proxy.node import factory
from proxy.ports.operations import CommandDispatcher
from proxy.telemetry.log_writer import LogWriter

URLS = 3
LISTED_S = 2.0
_WIDE_PX = 640
_SQUARE_PX = 320


async def found(settings: Settings, public_url: str, operator: CommandDispatcher) -> list[str]:
    """Three of them, or none where no picture was found in time, or clients cannot come by http."""
    if not public_url.startswith("http"):
        return []
    originals: Sequence[tuple[str, str]] = ()
    with suppress(CalotypeError, TimeoutError):
        async with asyncio.timeout(LISTED_S):
            originals = await operator.execute(ListOriginals(URLS))  # type: ignore[assignment]
    rules = factory.rules(settings)
    mounts = {mount.name: mount for mount in rules.mounts}
    return [
        _url(mounts[name], key, place, rules, public_url)
        for place in range(URLS if originals else 0)
        for name, key in originals[place % len(originals) :][:1]
    ]


def _url(mount: Mount, key: str, place: int, rules: Rules, public_url: str) -> str:
    preset = next(iter(rules.presets), None) if mount.presets_only else None
    url = client_url(mount, path_url(key, Transform() if preset else _shown(mount, place), preset))
    return public_url + url if mount.host == "*" else url


def _shown(mount: Mount, place: int) -> Transform:
    """Something else at each place, in sizes that the mount grants."""
    wide, square = (min(mount.allowed_px, key=lambda px: abs(px - side)) for side in (_WIDE_PX, _SQUARE_PX))
    return (
        Transform(width_px=wide),
        Transform(width_px=square, height_px=square, fit=Fit.COVER),
        Transform(width_px=wide, format=Format.WEBP),
    )[place % URLS]


def logged(urls: list[str], out: LogWriter) -> dict[str, list[str]]:
    """What the line of the log that says ready tells of them; where the log is readable, `text` is written instead."""
    return {"open": urls} if urls and not out.readable else {}


def text(urls: Sequence[str]) -> str:
    """For a terminal."""
    return "".join(("\nPictures that were found:\n\n", *(f"  {url}\n" for url in urls), "\n"))
