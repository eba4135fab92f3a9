"""Makes the pictures of docs/cookbook.md: each is the variant whose URL stands above it, of an original of the demo. `./run docs`
runs it; a test keeps the pictures equal to what it makes.
"""

import asyncio
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from proxy.cli.render import render
from proxy.config.settings import load
from proxy.core.cache.variant_request import VariantRequest
from proxy.core.image.original import OriginalRef
from proxy.core.url.dialects.native.urls import parse_transform
from proxy.node import factory
from proxy.node.request_path import open_request_path
from proxy.telemetry.event_log import silent_log
from proxy.telemetry.metrics import PrometheusMetrics

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "cookbook.md"
_PICTURE = re.compile(r"^`/([^/`]+)/([^/`]+)`[^\n]*\n\n!\[[^\]]*\]\((images/cookbook/[^)]+)\)$", re.MULTILINE)


def pictures() -> Iterator[tuple[str, str, str]]:
    """The transform, the key of the original and the path of the picture below docs/, of each picture."""
    return (found.groups() for found in _PICTURE.finditer(PAGE.read_text()))  # type: ignore[misc] # It has three groups.


_MARKED = "images/cookbook/watermark.webp"


async def _render_in_mount(originals: str, transform: str, key: str, out: Path) -> None:
    """Renders a variant in the mount whose settings are on the page."""
    found = re.search(r"^```toml\n(\[mounts\.press\].*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    tables = tomllib.loads(found[1])
    settings = load(None, {"sources": {"pictures": {"path": originals}}, "render": {"workers": 1}, **tables})
    [mount] = factory.mounts(settings)
    request = VariantRequest(
        OriginalRef(mount.source, key), mount.layered(parse_transform(transform, {})), frozenset(), 4000
    )
    async with open_request_path(settings, PrometheusMetrics(), silent_log(), disk=None) as path:
        made = await path.produce.variant(request, deadline=factory.clock() + 60, redirect_until_s=0)
    assert made.variant is not None
    out.write_bytes(made.variant.body)


def make(folder: Path) -> None:
    """Writes the pictures below `folder`. Raises CalledProcessError, or CalotypeError for a URL that is no longer valid."""
    settings = load(None, {"render": {"timeout": "60s", "workers": 1}})
    with TemporaryDirectory() as originals:
        subprocess.run([sys.executable, "-m", "proxy.cli.demo_originals", originals], check=True)  # noqa: S603 (our own)
        for transform, key, path in pictures():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            if path == _MARKED:
                asyncio.run(_render_in_mount(originals, transform, key, folder / path))
            else:
                asyncio.run(render(settings, Path(originals, key), transform, folder / path))


if __name__ == "__main__":
    make(ROOT / "docs")
