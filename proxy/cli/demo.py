"""The demo: where its configuration and originals are, and the URLs a newcomer is given to open."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import proxy
from proxy.config.errors import ConfigError
from proxy.config.sections import DirectorySection
from proxy.config.settings import Settings

_SHOWN = (
    ("a card", "t_card/lake.jpg"),
    ("a banner, cut around a focal point", "w_1280,h_320,c_fill,g_0.7:0.4/lake.jpg"),
    ("a square, cut where it is interesting", "w_400,h_400,c_fill,g_auto/lake.jpg"),
    ("upright, by its EXIF orientation", "w_400/tower.jpg"),
    ("AVIF", "w_800,f_avif/poppies.jpg"),
    ("WebP with its alpha", "w_600,f_webp/bottle.png"),
    ("on a coloured card", "w_480,h_480,c_pad,b_f4e8cc,f_jpg/bottle.png"),
    ("an animation, as your browser likes it", "w_200,f_auto/orbit.gif"),
    ("by query", "thumbnail?url=marble.webp&w=640&h=300&fit=cover&format=auto"),
)

_PAGES = (
    ("the status of this node", "/"),
    ("its admin API, as OpenAPI", "/v1/openapi.json"),
    ("what a URL means", "/v1/explain?url=/t_card/lake.jpg"),
)


def with_originals(settings: Settings) -> Settings:
    """`settings` with a source `demo`."""
    directory = DirectorySection(path=_directory(settings))
    return settings.model_copy(update={"sources": {**settings.sources, "demo": directory}})


def _directory(settings: Settings) -> Path:
    return settings.disk_path().with_name(settings.disk_path().name + "-demo-originals")


def paint(settings: Settings) -> None:
    """Paints the originals if they are not there yet; of two demos that start at once, one paints."""
    directory = _directory(settings)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = os.open(directory, os.O_RDONLY)
    except OSError as fault:
        raise ConfigError(f"the demo's originals cannot be kept: {fault.strerror}: {directory}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        painted = subprocess.run(  # noqa: S603 (our own interpreter and module)
            [sys.executable, "-P", "-m", "proxy.cli.demo_originals", str(directory)],
            env={"PYTHONPATH": str(Path(proxy.__file__).parent.parent)},
            check=False,
        )
    finally:
        os.close(lock)
    if painted.returncode:
        raise ConfigError("the demo's originals could not be painted; the reason is above")


def announce(public_url: str, admin_url: str) -> str:
    """The URLs of pictures, and the pages to look at last; nothing behind a unix socket, whose URLs others know."""
    if not public_url.startswith("http"):
        return ""
    pictures = "".join(f"  {public_url}/{below}\n      {what}\n" for what, below in _SHOWN)
    pages = "".join(f"  {admin_url}{path}\n      {what}\n" for what, path in _PAGES)
    return (
        f"\nOpen one of these, twice, and look at its Cache-Status:\n\n{pictures}"
        f"\nMetrics: {admin_url}/metrics\n"
        f"\nPages to look at:\n\n{pages}\nStop: Ctrl-C\n\n"
    )
