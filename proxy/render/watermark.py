"""Draws an original over the pages of another."""

from collections.abc import Sequence

import pyvips

from proxy.core.image.size import Size
from proxy.core.transform.operations import Watermark
from proxy.render.loading import LoadInput, only_page
from proxy.render.shapes import masked

_COLOURS = 3


def watermarked(mark: Watermark, pages: Sequence[pyvips.Image], original: LoadInput) -> list[pyvips.Image]:
    """The pages with `original` over them. Raises pyvips.Error or MemoryError."""
    canvas = Size(pages[0].width, pages[0].height)
    if canvas.width < mark.least_width_px:
        return list(pages)
    margin = min(round(mark.margin * canvas.width), (canvas.width - 1) // 2, (canvas.height - 1) // 2)
    room = Size(canvas.width - 2 * margin, canvas.height - 2 * margin)
    scale = min(
        mark.share * canvas.width / original.size.width,
        room.width / original.size.width,
        room.height / original.size.height,
    )
    size = Size(*(max(1, round(side * scale)) for side in original.size))
    image = only_page(original, size)
    if mark.opacity_percent < 100:
        image = masked(image, mark.opacity_percent / 100)
    image = image.copy_memory()  # Each page reads it from the start.
    left = margin + round((room.width - size.width) * mark.at.x)
    top = margin + round((room.height - size.height) * mark.at.y)
    return [_over(page, image, left, top) for page in pages]


def _over(page: pyvips.Image, image: pyvips.Image, left: int, top: int) -> pyvips.Image:
    """`image` over `page` (W3C Compositing 1, source-over). The page stays without alpha if it has none."""
    drawn = page.composite2(image, "over", x=left, y=top, compositing_space="srgb").cast("uchar")
    return drawn if page.hasalpha() else drawn.extract_band(0, n=_COLOURS)
