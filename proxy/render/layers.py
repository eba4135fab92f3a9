"""Draws originals over or under the pages of another: layers of a URL, and the watermark of a mount."""

from collections.abc import Sequence
from fractions import Fraction

import pyvips

from proxy.core.image.size import Box, Size
from proxy.core.transform.geometry import pad_offset
from proxy.core.transform.operations import Blend, Colour, Fit, Overlay, Placing, Shifted, Watermark
from proxy.render.loading import LoadInput, only_page
from proxy.render.shapes import masked, plane

_COLOURS = 3
_MOST_PX = 16_384


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


def overlaid(layer: Overlay, pages: Sequence[pyvips.Image], original: LoadInput | None) -> list[pyvips.Image]:
    """The pages with `layer`, whose lengths are in pixels, over or under them; `original` is None for a colour. Raises
    pyvips.Error or MemoryError."""
    canvas = Size(pages[0].width, pages[0].height)
    size = _layer_size(layer, canvas if original is None else original.size)
    left, top = pad_offset(size, canvas, layer.at.point if isinstance(layer.at, Shifted) else layer.at)
    if isinstance(layer.at, Shifted):
        assert isinstance(layer.at.x, int)
        assert isinstance(layer.at.y, int)
        left, top = left + layer.at.x, top + layer.at.y
    if original is None:
        assert isinstance(layer.of, Colour)
        image = plane(size, layer.of)
    else:
        image = only_page(original, size)
    if layer.opacity_percent < 100:
        image = masked(image, layer.opacity_percent / 100)
    if layer.placing is Placing.TILE:
        left, top = left % size.width - size.width, top % size.height - size.height
        across, down = (
            -(-(side - start) // own) for side, start, own in zip(canvas, (left, top), size, strict=True)
        )
        image = image.copy_memory().replicate(across, down)
    right, bottom = min(left + image.width, canvas.width), min(top + image.height, canvas.height)
    seen = Box(max(0, -left), max(0, -top), right - max(0, left), bottom - max(0, top))
    if seen.width <= 0 or seen.height <= 0:
        return list(pages)
    image = image.crop(*seen).copy_memory()  # Each page reads it from the start.
    left, top = max(0, left), max(0, top)
    if layer.placing is Placing.UNDER:
        return [_under(page, image, left, top) for page in pages]
    return [_over(page, image, left, top, _MODES.get(layer.blend, layer.blend.value)) for page in pages]


def _layer_size(layer: Overlay, own: Size) -> Size:
    """The size of a layer whose original has the size `own`, which is that of the canvas for a colour. A narrow original is not
    enlarged beyond `_MOST_PX`."""
    width, height = layer.width, layer.height
    assert width is None or isinstance(width, int)
    assert height is None or isinstance(height, int)
    if isinstance(layer.of, Colour):
        return Size(width or own.width, height or own.height)
    if layer.fit is Fit.FILL and width is not None and height is not None:
        return Size(width, height)
    scales = [Fraction(side, of) for side, of in zip((width, height), own, strict=True) if side is not None]
    scale = min(*scales, Fraction(_MOST_PX, max(own))) if scales else Fraction(1)
    return Size(*(max(1, int(side * scale + Fraction(1, 2))) for side in own))


def _under(page: pyvips.Image, image: pyvips.Image, left: int, top: int) -> pyvips.Image:
    if not page.hasalpha():
        return page
    image = image if image.hasalpha() else image.addalpha()
    base = image.embed(left, top, page.width, page.height, background=[0, 0, 0, 0])
    return base.composite2(page, "over", compositing_space="srgb").cast("uchar")


_MODES = {
    Blend.NORMAL: "over",
    Blend.COLOR_DODGE: "colour-dodge",
    Blend.COLOR_BURN: "colour-burn",
}
"""libvips' names, where they are others than those of CSS."""


def _over(page: pyvips.Image, image: pyvips.Image, left: int, top: int, mode: str = "over") -> pyvips.Image:
    """`image` over `page` (W3C Compositing and Blending 1). The page stays without alpha if it has none."""
    drawn = page.composite2(image, mode, x=left, y=top, compositing_space="srgb").cast("uchar")
    return drawn if page.hasalpha() else drawn.extract_band(0, n=_COLOURS)
