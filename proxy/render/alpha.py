"""Pixels with alpha: whatever mixes neighbours must take neither colour nor overshoot from what is not seen."""

from collections.abc import Callable

import pyvips

from proxy.core.image.size import Size

_MAX_FAINT_ALPHA = 4
"""An alpha up to which a pixel may have another colour, and nobody sees it."""
_HALF_WEIGHT_ALPHA = 64
"""A mean alpha at which a square counts as much as the wider one around it."""
_STEP = 4
_COLOURS = 3


def is_opaque(image: pyvips.Image) -> bool:
    """Whether the alpha of `image`, which is in memory, hides nothing, as in many files that have one."""
    values = bytes(
        image.extract_band(image.bands - 1).cast("uchar", shift=_max_value(image) > 255).write_to_memory()
    )
    return values.count(b"\xff") == len(values)


def hides(image: pyvips.Image) -> bool:
    """Whether any pixel of `image`, which has 8 bits and alpha, is hardly seen."""
    return bool((image.extract_band(_COLOURS) <= _MAX_FAINT_ALPHA).max())


def resized(image: pyvips.Image, size: Size) -> pyvips.Image:
    """`image` at exactly `size`. With alpha in floating point: cut to 8 bits, the overshoot of alpha ends at 255 and that of
    the colours does not, and their ratio is another colour."""
    if (image.width, image.height) == size:
        return _in_range(image)
    if not image.hasalpha():
        return image.thumbnail_image(size.width, height=size.height, size="force")
    across, down = size.width / image.width, size.height / image.height
    return with_premultiplied(image, lambda whole: whole.resize(across, vscale=down))


def with_premultiplied(image: pyvips.Image, work: Callable[[pyvips.Image], pyvips.Image]) -> pyvips.Image:
    """`work` on colours that weigh as much as they are seen."""
    if not image.hasalpha():
        return work(image)
    return _in_range(work(image.premultiply()).unpremultiply().copy(interpretation=image.interpretation))


def on_colours(image: pyvips.Image, work: Callable[[pyvips.Image], pyvips.Image]) -> pyvips.Image:
    """`work` on each pixel's colour, alpha left alone."""
    if not image.hasalpha():
        return work(image)
    return work(image.extract_band(0, n=_COLOURS)).bandjoin(image.extract_band(_COLOURS))


def on_visible(image: pyvips.Image, work: Callable[[pyvips.Image], pyvips.Image]) -> pyvips.Image:
    """`work` on the colours, each laid on those that are seen around it: what is transparent would count as an edge."""
    if not image.hasalpha():
        return work(image)
    image = image.copy_memory()
    colours, alpha = image.extract_band(0, n=_COLOURS), image.extract_band(_COLOURS)
    opacity = alpha / 255
    seen = colours * opacity + _around(image) * (1 - opacity)
    return work(seen.rint().cast("uchar").copy(interpretation="srgb")).bandjoin(alpha)


def with_hidden_like_visible(image: pyvips.Image) -> pyvips.Image:
    """The same to look at, for lossy encoders, whose blocks mix what is seen with what is not."""
    image = image.copy_memory()
    colours, alpha = image.extract_band(0, n=_COLOURS), image.extract_band(_COLOURS)
    return (
        (alpha > _MAX_FAINT_ALPHA)
        .ifthenelse(colours, _around(image))
        .copy(interpretation="srgb")
        .bandjoin(alpha)
    )


def _around(image: pyvips.Image) -> pyvips.Image:
    """For every pixel the mean colour of what is seen in its square of 4 pixels a side; the less is seen there, the more
    that of its square of 16, of 64, and so on up to the whole."""
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
    """Numbers of floating point as those of a picture."""
    if image.format != "float":
        return image
    return image.rint().cast("uchar" if _max_value(image) < 256 else "ushort")


def _max_value(image: pyvips.Image) -> int:
    """The largest number a band has."""
    return 65_535 if image.interpretation in ("rgb16", "grey16") else 255
