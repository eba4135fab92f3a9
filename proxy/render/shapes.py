"""Shapes as alpha: what is outside of rounded corners or of an ellipse is transparent. Edges are smooth: the alpha of a pixel is
about the part of it that is inside."""

import pyvips

from proxy.core.image.size import Size
from proxy.core.transform.operations import Colour, Shadow

_COLOURS = 3
_SMOOTH_PX = 0.6
"""The sigma of the blur that smooths the edge of an outline."""


def masked(image: pyvips.Image, part: pyvips.Image | float) -> pyvips.Image:
    """`image` with its alpha times `part`, from 0 to 1."""
    image = image if image.hasalpha() else image.addalpha()
    alpha = (image.extract_band(_COLOURS) * part).rint().cast("uchar")
    return image.extract_band(0, n=_COLOURS).bandjoin(alpha)


def outlined(image: pyvips.Image, width_px: int, colour: Colour) -> pyvips.Image:
    """`image` on an outline of its parts that are at least half opaque. What lies outside of the canvas is not drawn."""
    image = (image if image.hasalpha() else image.addalpha()).copy_memory()
    opaque = (image.extract_band(_COLOURS) >= 128).ifthenelse(255, 0).cast("uchar")
    grown = opaque.morph(_disc(width_px), "dilate").gaussblur(_SMOOTH_PX)
    return on_colour(image, colour, grown / 255)


def shadowed(image: pyvips.Image, shadow: Shadow) -> pyvips.Image:
    """`image` on its shadow. What lies outside of the canvas is not drawn."""
    image = (image if image.hasalpha() else image.addalpha()).copy_memory()
    moved = image.extract_band(_COLOURS).embed(shadow.x_px, shadow.y_px, image.width, image.height)
    return on_colour(image, shadow.colour, moved.copy_memory().gaussblur(shadow.sigma_px) / 255)


def plane(size: Size, colour: Colour) -> pyvips.Image:
    """A canvas of one colour, with alpha."""
    band = [colour.red, colour.green, colour.blue, colour.alpha]
    return (pyvips.Image.black(*size, bands=len(band)) + band).cast("uchar").copy(interpretation="srgb")


def on_colour(image: pyvips.Image, colour: Colour, part: pyvips.Image | float = 1) -> pyvips.Image:
    """`image` over a plane of `colour`, of which `part`, from 0 to 1, is seen."""
    base = masked(plane(Size(image.width, image.height), colour), part)
    return base.composite2(image, "over", compositing_space="srgb").cast("uchar")


def _disc(radius_px: int) -> pyvips.Image:
    """The mask of a dilation by a disc: 255 inside, 128, which means any value, outside."""
    offset = pyvips.Image.xyz(2 * radius_px + 1, 2 * radius_px + 1) - radius_px
    squared = (offset * offset).bandmean() * 2
    return (squared <= (radius_px + 0.5) ** 2).ifthenelse(255, 128).copy_memory()


def corners(size: Size, radii_px: tuple[int, int, int, int]) -> pyvips.Image:
    """The alpha of rounded corners, radii clockwise from the upper left. Those that do not fit are all reduced by one factor
    (CSS Backgrounds 3, section 4.5)."""
    upper_left, upper_right, lower_right, lower_left = radii_px
    factor = min(
        1.0,
        *(
            side / (one + other)
            for side, one, other in (
                (size.width, upper_left, upper_right),
                (size.width, lower_left, lower_right),
                (size.height, upper_left, lower_left),
                (size.height, upper_right, lower_right),
            )
            if one + other
        ),
    )
    mask = (pyvips.Image.black(*size) + 255).cast("uchar")
    for number, radius in enumerate(each * factor for each in radii_px):
        if radius <= 0:
            continue
        quarter = _quarter(radius, size)
        is_right, is_lower = number in (1, 2), number in (2, 3)
        quarter = quarter.fliphor() if is_right else quarter
        quarter = quarter.flipver() if is_lower else quarter
        left = size.width - quarter.width if is_right else 0
        top = size.height - quarter.height if is_lower else 0
        mask = mask.insert(quarter, left, top)
    return mask.copy_memory()


def _quarter(radius: float, size: Size) -> pyvips.Image:
    """The alpha of an upper left corner."""
    side_px = int(radius + 0.999)
    offset = pyvips.Image.xyz(min(side_px, size.width), min(side_px, size.height)) * -1 + (radius - 0.5)
    # Beyond the centre of the circle nothing is cut off.
    offset = (offset > 0).ifthenelse(offset, 0)
    distance = (offset * offset).bandmean() * 2
    return _coverage(distance**0.5 * -1 + radius)


def ellipse(size: Size) -> pyvips.Image:
    """The alpha of the ellipse that touches all sides."""
    radii = [size.width / 2, size.height / 2]
    offset = pyvips.Image.xyz(*size) + [0.5 - radius for radius in radii]
    length = _length(offset / radii)
    slope = _length(offset / [radius * radius for radius in radii])
    # The distance to the edge, but for terms of the second order. In the middle, where there is no slope, it is far.
    inside = (slope > 0).ifthenelse(length * (length * -1 + 1) / slope, max(radii))
    return _coverage(inside).copy_memory()


def _length(vector: pyvips.Image) -> pyvips.Image:
    return ((vector * vector).bandmean() * 2) ** 0.5


def _coverage(inside_px: pyvips.Image) -> pyvips.Image:
    """The alpha of pixels whose middle is so far inside, negative for outside."""
    return (inside_px * 255 + 127.5).rint().cast("uchar")
