"""Pixels with alpha: mixing neighbouring pixels must not take colour or overshoot from transparent ones."""

from collections.abc import Callable

import pyvips

from proxy.core.image.size import Size

_FAINT = 4
"""Up to this alpha a change of colour is invisible."""
_HALF_WEIGHT_ALPHA = 64
"""The mean alpha at which a square weighs as much as the wider square around it."""
_STEP = 4
_COLOURS = 3


def is_opaque(image: pyvips.Image) -> bool:
    """Whether the alpha of `image`, which is in memory, is opaque everywhere, as in many files."""
    values = bytes(
        image.extract_band(image.bands - 1).cast("uchar", shift=_max_value(image) > 255).write_to_memory()
    )
    return values.count(b"\xff") == len(values)


def hides(image: pyvips.Image) -> bool:
    """Whether `image`, 8 bits with alpha, has any pixel of at most `_FAINT`."""
    return bool((image.extract_band(_COLOURS) <= _FAINT).max())


def resized(image: pyvips.Image, size: Size) -> pyvips.Image:
    """`image` at exactly `size`. An image with alpha is resized in floating point. In 8 bits, alpha would be clipped at 255
    where it overshoots, the premultiplied colours would not, and dividing them would give a wrong colour."""
    if (image.width, image.height) == size:
        return _in_range(image)
    if not image.hasalpha():
        return image.thumbnail_image(size.width, height=size.height, size="force")
    horizontal_scale, vertical_scale = size.width / image.width, size.height / image.height
    return with_premultiplied(image, lambda whole: whole.resize(horizontal_scale, vscale=vertical_scale))


def with_premultiplied(image: pyvips.Image, work: Callable[[pyvips.Image], pyvips.Image]) -> pyvips.Image:
    """Applies `work` to premultiplied colours."""
    if not image.hasalpha():
        return work(image)
    return _in_range(work(image.premultiply()).unpremultiply().copy(interpretation=image.interpretation))


def on_colours(image: pyvips.Image, work: Callable[[pyvips.Image], pyvips.Image]) -> pyvips.Image:
    """Applies `work` to the colour bands and leaves alpha unchanged."""
    if not image.hasalpha():
        return work(image)
    return work(image.extract_band(0, n=_COLOURS)).bandjoin(image.extract_band(_COLOURS))


def on_visible(image: pyvips.Image, work: Callable[[pyvips.Image], pyvips.Image]) -> pyvips.Image:
    """Applies `work` to colours blended with the visible ones around: transparent pixels would look like edges."""
    if not image.hasalpha():
        return work(image)
    image = image.copy_memory()
    colours, alpha = image.extract_band(0, n=_COLOURS), image.extract_band(_COLOURS)
    opacity = alpha / 255
    visible = colours * opacity + _around(image) * (1 - opacity)
    return work(visible.rint().cast("uchar").copy(interpretation="srgb")).bandjoin(alpha)


def with_hidden_like_visible(image: pyvips.Image) -> pyvips.Image:
    """Gives transparent pixels the colours of visible neighbours: lossy encoders mix both within a block."""
    image = image.copy_memory()
    colours, alpha = image.extract_band(0, n=_COLOURS), image.extract_band(_COLOURS)
    return (alpha > _FAINT).ifthenelse(colours, _around(image)).copy(interpretation="srgb").bandjoin(alpha)


def _around(image: pyvips.Image) -> pyvips.Image:
    """For each pixel the mean visible colour of its square of 4 pixels a side. The less is visible there, the more
    weight the square of 16 has, then 64, up to the whole image."""
    levels = [image.premultiply()]
    while max(levels[-1].width, levels[-1].height) > 1:
        levels.append(levels[-1].shrink(_STEP, _STEP, ceil=True).copy_memory())
    around = levels[-1].unpremultiply().extract_band(0, n=_COLOURS).copy_memory()
    for level in reversed(levels[1:-1]):
        wider = around.zoom(_STEP, _STEP).crop(0, 0, level.width, level.height)
        colours, alpha = level.extract_band(0, n=_COLOURS), level.extract_band(_COLOURS)
        around = ((colours * 255 + wider * _HALF_WEIGHT_ALPHA) / (alpha + _HALF_WEIGHT_ALPHA)).copy_memory()
    if len(levels) > 1:
        around = around.zoom(_STEP, _STEP)
    return around.rint().cast("uchar").crop(0, 0, image.width, image.height)


def _in_range(image: pyvips.Image) -> pyvips.Image:
    """Rounds floating-point values to the integer range of the image."""
    if image.format != "float":
        return image
    return image.rint().cast("uchar" if _max_value(image) < 256 else "ushort")


def _max_value(image: pyvips.Image) -> int:
    """The largest value of a band."""
    return 65_535 if image.interpretation in ("rgb16", "grey16") else 255
