"""The filters of the language on pixels: they change colours, mix neighbouring pixels, or make parts transparent."""

from collections.abc import Callable
from functools import lru_cache
from hashlib import shake_128
from typing import assert_never

import pyvips

from proxy.core.image import srgb
from proxy.core.image.size import Size
from proxy.core.transform.operations import (
    BlurFaces,
    Colorize,
    Colour,
    Convolve,
    Duotone,
    Ellipse,
    Exposure,
    Filter,
    Gamma,
    Hue,
    Median,
    Noise,
    Opacity,
    Outline,
    PixelateFaces,
    Remap,
    Rgb,
    Rotate,
    Rounded,
    Shadow,
    Threshold,
    Tint,
    UnsharpMask,
    Vignette,
)
from proxy.render.alpha import on_colours, on_visible
from proxy.render.shapes import corners, ellipse, masked, outlined, shadowed

_Work = Callable[[pyvips.Image], pyvips.Image]
_OF_ALPHA = (Threshold, Opacity, Rounded, Ellipse, Outline, Shadow)
"""Filters of the whole image, alpha included."""


def filtered(effect: Filter, pages: list[pyvips.Image]) -> list[pyvips.Image]:
    """The pages after `effect`. What is measured is measured on the first page, so that an animation does not flicker."""
    work = _work(effect, pages)
    if effect is Remap.NEGATE_ALPHA or isinstance(effect, _OF_ALPHA):
        return [work(image) for image in pages]
    around = on_visible if isinstance(effect, Median | Convolve | UnsharpMask) else on_colours
    return [around(image, work) for image in pages]


def _work(effect: Filter, pages: list[pyvips.Image]) -> _Work:
    """The change of the colours, or of the whole image."""
    match effect:
        case Remap.NEGATE | Remap.NEGATE_ALPHA:
            return lambda rgb: rgb.invert()
        case Remap.EQUALIZE:
            return _equalizing(_measured(pages))
        case Remap.NORMALIZE:
            return _normalizing(_measured(pages))
        case Rgb(red, green, blue):
            shifts = [int(255 * percent / 100) for percent in (red, green, blue)]
            return lambda rgb: _levels(rgb + shifts)
        case Colorize(red, green, blue, colour):
            parts = [percent / 100 for percent in (red, green, blue)]
            added = [part * value for part, value in zip(parts, _values(colour), strict=True)]
            return lambda rgb: _levels(rgb.linear([1 - part for part in parts], added))
        case Tint(colour):
            table = _tinting(colour)
            return lambda rgb: rgb.colourspace("b-w").maplut(table)
        case Hue(degrees):
            return lambda rgb: _from(rgb.colourspace("lch").linear([1, 1, 1], [0, 0, degrees]), "lch")
        case Gamma(gamma):
            return lambda rgb: rgb.gamma(exponent=gamma)
        case Threshold(level):
            return lambda image: (image.colourspace("b-w") >= level).colourspace("srgb")
        case Noise(levels):
            return lambda rgb: _levels(rgb + (_numbers(rgb) * (levels / 256)).floor() - levels // 2)
        case Median(side_px):
            return lambda rgb: _median(rgb, side_px)
        case Convolve(columns, divisor, weights):
            rows = [list(weights[start : start + columns]) for start in range(0, len(weights), columns)]
            mask = pyvips.Image.new_from_array(rows, scale=divisor)
            return lambda rgb: _levels(rgb.copy_memory().conv(mask, precision="float"))
        case Exposure(stops):
            table = _exposing(stops)
            return lambda rgb: rgb.maplut(table)
        case Duotone(dark, light):
            table = _between(dark, light)
            return lambda rgb: rgb.colourspace("b-w").maplut(table)
        case UnsharpMask():
            return lambda rgb: _unsharp(rgb, effect)
        case Vignette(percent):
            return lambda rgb: _levels(rgb * (_from_middle(rgb) * (-percent / 100) + 1))
        case Opacity(percent):
            return lambda image: masked(image, percent / 100)
        case Rounded(radii_px):
            mask = corners(Size(pages[0].width, pages[0].height), radii_px)
            return lambda image: masked(image, mask / 255)
        case Ellipse():
            mask = ellipse(Size(pages[0].width, pages[0].height))
            return lambda image: masked(image, mask / 255)
        case Outline(width_px, colour):
            return lambda image: outlined(image, width_px, colour)
        case Shadow():
            return lambda image: shadowed(image, effect)
        case Rotate() | BlurFaces() | PixelateFaces():
            raise AssertionError("the layout has a command of its own in its place")
    assert_never(effect)


def _exposing(stops: float) -> pyvips.Image:
    """The level of each level, whose light is multiplied by 2 to the power of `stops`."""
    levels = [srgb.value(srgb.light(level / 255) * 2**stops) for level in range(256)]
    return pyvips.Image.new_from_array([levels]).linear(255, 0).rint().cast("uchar")


def _between(dark: Colour, light: Colour) -> pyvips.Image:
    """The colours for each luminance, from `dark` to `light`."""
    share = pyvips.Image.identity() / 255
    channels = [share * (high - low) + low for low, high in zip(_values(dark), _values(light), strict=True)]
    return _levels(channels[0].bandjoin(channels[1:]))


def _unsharp(rgb: pyvips.Image, mask: UnsharpMask) -> pyvips.Image:
    rgb = rgb.copy_memory()
    difference = rgb.cast("float") - rgb.gaussblur(mask.sigma_px, precision="float")
    added = (difference.abs() > mask.threshold).ifthenelse(difference * (mask.percent / 100), 0)
    return _levels(rgb + added)


def _from_middle(image: pyvips.Image) -> pyvips.Image:
    """The square of the distance of each pixel from the middle, as a part of that of the corners."""
    across = (pyvips.Image.xyz(image.width, image.height) * 2 + 1) / [image.width, image.height] - 1
    return (across * across).bandmean()


def _median(image: pyvips.Image, side_px: int) -> pyvips.Image:
    """libvips takes no window that is larger than the picture, so that the pixels at its edges are repeated."""
    before = side_px // 2
    wide, high = image.width + side_px - 1, image.height + side_px - 1
    return (
        image.embed(before, before, wide, high, extend="copy")
        .median(side_px)
        .crop(before, before, image.width, image.height)
    )


def _measured(pages: list[pyvips.Image]) -> pyvips.Image:
    """The colours of the first page."""
    pages[0] = pages[0].copy_memory()
    return pages[0].extract_band(0, n=3)


def _values(colour: Colour) -> list[int]:
    return [colour.red, colour.green, colour.blue]


def _levels(image: pyvips.Image) -> pyvips.Image:
    """Values rounded to levels, and those out of range moved into it."""
    return image.rint().cast("uchar").copy(interpretation="srgb")


def _from(image: pyvips.Image, space: str) -> pyvips.Image:
    return image.copy(interpretation=space).colourspace("srgb")


def _equalizing(rgb: pyvips.Image) -> _Work:
    """A value becomes the part of the pixels that are not above it, without those of the lowest value of all, as in
    thumbor."""
    lowest = [int(band.min()) for band in rgb.bandsplit()]
    counts = rgb.hist_find().hist_cum()
    below = [counts(low, 0)[band] if low == min(lowest) else 0 for band, low in enumerate(lowest)]
    factors = [255 / max(1, rgb.width * rgb.height - count) for count in below]
    offsets = [-factor * count for factor, count in zip(factors, below, strict=True)]
    table = counts.linear(factors, offsets).floor().cast("uchar")
    return lambda image: image.maplut(table).copy(interpretation="srgb")


def _normalizing(rgb: pyvips.Image) -> _Work:
    lightness = rgb.colourspace("lab").extract_band(0)
    low, high = lightness.percent(1), lightness.percent(99)
    if high - low <= 1:
        return lambda image: image
    factor = 100 / (high - low)
    return lambda image: _from(image.colourspace("lab").linear([factor, 1, 1], [-low * factor, 0, 0]), "lab")


def _tinting(colour: Colour) -> pyvips.Image:
    """The colours for each luminance: the chroma is full at the middle lightness, and none in black and white."""
    chroma = (
        (pyvips.Image.black(1, 1, bands=3) + _values(colour))
        .copy(interpretation="srgb")
        .colourspace("lab")(0, 0)[1:]
    )
    lightness = pyvips.Image.identity(bands=3).copy(interpretation="srgb").colourspace("lab").extract_band(0)
    distance = lightness / 100 - 0.5
    weight = 1 - 4 * distance * distance
    return _from(lightness.bandjoin(weight * chroma), "lab")


_TILE_PX = 512


@lru_cache(maxsize=1)
def _tile() -> pyvips.Image:
    numbers = shake_128(b"noise").digest(_TILE_PX * _TILE_PX)
    return pyvips.Image.new_from_memory(numbers, _TILE_PX, _TILE_PX, 1, "uchar")


def _numbers(image: pyvips.Image) -> pyvips.Image:
    """For each pixel a number from 0 to 255 that looks random and is always the same."""
    across, down = -(-image.width // _TILE_PX), -(-image.height // _TILE_PX)
    return _tile().replicate(across, down).crop(0, 0, image.width, image.height)
