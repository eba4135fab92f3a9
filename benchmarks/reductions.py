"""How much of a picture a reduction loses, by how much of its size is left to the resampling filter.

`python -m benchmarks.reductions PHOTOGRAPH...`, of 5 megapixels and more; needs `pip install ssimulacra2`. Each is shown at
1/factor/left of its size, made of a reduction by `factor`, and compared with the same size made of a whole decode. Prints the
SSIMULACRA2 scores (90 and above: no difference is seen) of the photographs as they are, and encoded as WebP and as PNG.
"""

import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import pyvips

from benchmarks.common import ssimulacra2
from proxy.core.image.limits import InputLimits
from proxy.core.image.size import Box, Size
from proxy.render import loading
from proxy.render.checked_original import CheckedOriginal
from proxy.render.loading import LoadInput, loaded

FACTORS, LEFT = (8, 4, 2), (1.0, 1.25, 1.5, 2.0, 3.0)
MAX_WIDTH_PX = 1000
"""A larger result takes minutes to score."""
LIMITS = InputLimits(
    max_bytes=10**9, max_side_px=30_000, max_pixels=10**9, max_pixels_heif=10**9, max_frames=100
)
KINDS: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda content: content,
    "WebP": lambda content: pyvips.Image.new_from_buffer(content, "").webpsave_buffer(Q=90, effort=0),
    "PNG": lambda content: pyvips.Image.new_from_buffer(content, "").pngsave_buffer(compression=1),
}


def main(paths: list[str]) -> None:
    for kind, encoded in KINDS.items():
        contents = [encoded(Path(path).read_bytes()) for path in paths]
        for factor in FACTORS:
            for left in LEFT:
                scores = [
                    score for content in contents if (score := _score(content, factor, left)) is not None
                ]
                if scores:
                    least, middle = min(scores), statistics.median(scores)
                    print(
                        f"{kind:9} 1/{factor}, {left:4} left: least {least:5.1f}, median {middle:5.1f}",
                        flush=True,
                    )


def _score(content: bytes, factor: int, left: float) -> float | None:
    opened = CheckedOriginal.of(content, LIMITS)
    whole = Size(opened.facts.width_px, opened.facts.height_px)
    width = round(whole.width / factor / left)
    if width > MAX_WIDTH_PX:
        return None
    size = Size(width, max(1, round(whole.height * width / whole.width)))
    return ssimulacra2(_shown(content, whole, size, 1), _shown(content, whole, size, factor))


def _shown(content: bytes, whole: Size, size: Size, factor: int) -> pyvips.Image:
    loading._factor = lambda *_: factor
    opened = CheckedOriginal.of(content, LIMITS)
    original = LoadInput(opened, opened.facts.format, whole, range(1), opened.colours)
    return loaded(original, Box(0, 0, *whole), size)[0]


if __name__ == "__main__":
    main(sys.argv[1:])
