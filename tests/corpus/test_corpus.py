"""The extra corpus: every picture ends as its manifest expects, drawn or refused by one of our errors.

Collected only where the corpus is: all that it shows, the project's own pictures show too.
"""

import json

from proxy.core.errors import CalotypeError
from tests.corpus.conftest import CORPUS
from tests.render.conftest import draw


def manifest() -> list[tuple[str, str]]:
    listed = json.loads((CORPUS / "manifest.json").read_text())["images"]
    return [(entry["file"], entry.get("expect", "decode")) for entry in listed]


def test_the_whole_corpus() -> None:
    refused_formats = {".svg", ".svgz", ".tif", ".tiff", ".icc", ".heic", ".heif"}
    wrong = []
    for name, expected in manifest():
        path = CORPUS / name
        if path.suffix in refused_formats:
            expected = "reject"
        # An AVIF sequence, of which libvips reads none, and a side of 10,328 pixels.
        if name in ("avif/animated.avif", "edge/over-limit-99mp.jpg"):
            expected = "reject"
        try:
            drawn = draw(path.read_bytes(), "w_64,h_64,f_gif") and "decode"
        except CalotypeError as failure:
            drawn = failure.slug
        refused = drawn != "decode"
        if (expected in ("reject", "limit", "no-fetch") and not refused) or (
            expected == "decode" and refused
        ):
            wrong.append((name, expected, drawn))
    assert wrong == []
