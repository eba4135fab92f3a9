"""The most common colour of a picture."""

import pyvips

from proxy.core.image.placeholders import Pixels, palette
from proxy.core.transform.operations import WHITE, Colour

_SIDE_PX = 64


def pixels_of(image: pyvips.Image) -> Pixels:
    """All pixels of a small image."""
    image = image if image.hasalpha() else image.addalpha()
    return Pixels(image.width, image.height, bytes(image.cast("uchar").write_to_memory()))


def dominant(image: pyvips.Image) -> Colour:
    """White for a fully transparent picture."""
    small = image.thumbnail_image(_SIDE_PX, height=_SIDE_PX, size="down")
    colours = palette(pixels_of(small))
    return Colour.of_hex(colours[0].removeprefix("#")) if colours else WHITE
