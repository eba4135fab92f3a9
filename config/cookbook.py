"""Makes the pictures of docs/cookbook.md: each is the variant whose URL stands above it, of an original of the demo. `./run docs`
runs it; a test keeps the pictures equal to what it makes.
"""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from proxy.cli.render import render
from proxy.config.settings import load

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "cookbook.md"
_PICTURE = re.compile(r"^`/([^/`]+)/([^/`]+)`[^\n]*\n\n!\[[^\]]*\]\((images/cookbook/[^)]+)\)$", re.MULTILINE)


def pictures() -> Iterator[tuple[str, str, str]]:
    """The transform, the key of the original and the path of the picture below docs/, of each picture."""
    return (found.groups() for found in _PICTURE.finditer(PAGE.read_text()))  # type: ignore[misc] # It has three groups.


def make(folder: Path) -> None:
    """Writes the pictures below `folder`. Raises CalledProcessError, or CalotypeError for a URL that is no longer valid."""
    settings = load(None, {"render": {"timeout": "60s", "workers": 1}})
    with TemporaryDirectory() as originals:
        subprocess.run([sys.executable, "-m", "proxy.cli.demo_originals", originals], check=True)  # noqa: S603 (our own)
        for transform, key, path in pictures():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            asyncio.run(render(settings, Path(originals, key), transform, folder / path))


if __name__ == "__main__":
    make(ROOT / "docs")
