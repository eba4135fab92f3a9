"""The demo: its configuration, its originals, and the URLs that it prints."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import proxy
from proxy.config.errors import ConfigError
from proxy.config.sections import DirectorySection
from proxy.config.settings import Settings

_EXAMPLES = (
    ("a card", "t_card/lake.jpg"),
    ("a banner, cropped around a focal point", "w_1280,h_320,c_fill,g_0.7:0.4/lake.jpg"),
    ("a square, cropped to the most striking part", "w_400,h_400,c_fill,g_auto/lake.jpg"),
    ("rotated by its EXIF orientation", "w_400/tower.jpg"),
    ("AVIF", "w_800,f_avif/poppies.jpg"),
    ("WebP with transparency", "w_600,f_webp/bottle.png"),
    ("on a coloured background", "w_480,h_480,c_pad,b_f4e8cc,f_jpg/bottle.png"),
    ("an animation, in a format that your browser accepts", "w_200,f_auto/orbit.gif"),
    ("the query form", "thumbnail?url=marble.webp&w=640&h=300&fit=cover&format=auto"),
)

_PAGES = (
    ("the status of this node", "/"),
    ("its admin API, as OpenAPI", "/v1/openapi.json"),
    ("the explanation of a URL", "/v1/explain?url=/t_card/lake.jpg"),
)


def with_originals(settings: Settings) -> Settings:
    """`settings` with a source `demo`."""
    directory = DirectorySection(path=_directory(settings))
    return settings.model_copy(update={"sources": {**settings.sources, "demo": directory}})


def _directory(settings: Settings) -> Path:
    return settings.disk_path().with_name(settings.disk_path().name + "-demo-originals")


def paint(settings: Settings) -> None:
    """Paints the originals that are missing. A lock keeps two demos from painting at the same time."""
    directory = _directory(settings)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = os.open(directory, os.O_RDONLY)
    except OSError as fault:
        raise ConfigError(f"the demo's originals cannot be stored: {fault.strerror}: {directory}") from None
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
        raise ConfigError("the demo's originals could not be painted; see the error above")


def announce(public_url: str, admin_url: str) -> str:
    """The URLs of pictures and pages to open; empty for a unix socket."""
    if not public_url.startswith("http"):
        return ""
    pictures = "".join(f"  {public_url}/{below}\n      {what}\n" for what, below in _EXAMPLES)
    pages = "".join(f"  {admin_url}{path}\n      {what}\n" for what, path in _PAGES)
    return (
        f"\nOpen {public_url}/ in a browser: the gallery of this node.\n"
        f"\nOr open one of these URLs twice and compare the Cache-Status header:\n\n{pictures}"
        f"\nMetrics: {admin_url}/metrics\n"
        f"\nPages:\n\n{pages}\nStop: Ctrl-C\n\n"
    )
