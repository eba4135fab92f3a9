"""The visual difference of two pictures: one number, which finds a local change and passes over encoders.

Both first pages are drawn upright in sRGB, at the size of the second one or smaller, and blurred a little. Colours are
multiplied by alpha. The picture is divided into squares, and the mean absolute difference of each band is taken in each
square: the largest of them counts. A mean over the whole picture would hide a missing logo.
"""

import pyvips

from proxy.core.errors import CalotypeError
from proxy.core.image.limits import InputLimits
from proxy.core.image.size import Size
from proxy.render.checked_original import CheckedOriginal, fault_of_original
from proxy.render.loading import LoadInput, only_page

MAX_SIDE_PX = 512
SQUARES = 8
"""Squares along each side."""
LEAST_SQUARE_PX = 8
BLUR_PX = 1.0
"""Hides the noise of encoders, and the half pixel by which scalers differ."""


def difference(one: CheckedOriginal, other: CheckedOriginal, limits: InputLimits) -> float:
    """In percent: 0 for equal pictures, 100 for black and white. Raises the errors of an original, with its position."""
    longest = max(other.facts.width_px, other.facts.height_px)
    part = min(1.0, MAX_SIDE_PX / longest)
    size = Size(max(1, round(other.facts.width_px * part)), max(1, round(other.facts.height_px * part)))
    drawn = [_drawn(original, size, limits, position) for position, original in enumerate((one, other))]
    apart = abs(drawn[0] - drawn[1])
    across, down = (max(LEAST_SQUARE_PX, -(-side // SQUARES)) for side in size)
    columns, rows = -(-size.width // across), -(-size.height // down)
    # Squares at the right and lower edge are completed by mirroring.
    whole = apart.copy_memory().embed(0, 0, columns * across, rows * down, extend="mirror")
    return min(100.0, float(whole.shrink(across, down).max()) * 100 / 255)


def _drawn(original: CheckedOriginal, size: Size, limits: InputLimits, position: int) -> pyvips.Image:
    """The first page at exactly `size`: red, green and blue multiplied by alpha, and alpha, in floating point."""
    try:
        image = only_page(LoadInput.checked(original, range(1), limits), size)
        image = (image if image.hasalpha() else image.bandjoin(255)).cast("float")
        alpha = image[3]
        return (image[0:3] * alpha / 255).bandjoin(alpha).gaussblur(BLUR_PX).copy_memory()
    except CalotypeError as failure:
        raise failure.at(position) from None
    except (pyvips.Error, MemoryError) as fault:
        raise fault_of_original(fault).at(position) from None
