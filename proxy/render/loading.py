"""The pixels of an original: the region that a plan loads, upright, in sRGB and at exactly the size it needs.

Decoding is the dearest part of a render. An original is decoded at a half or a quarter of its size where that is enough: a
reduction, which also serves the jobs after this one. Pixels that the next job in the queue needs are cached.
"""

import math
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import pyvips

from proxy.core.image.formats import Format
from proxy.core.image.limits import InputLimits, check
from proxy.core.image.size import Box, Size, pixels
from proxy.render import heic
from proxy.render.alpha import is_opaque, resized
from proxy.render.checked_original import (
    CACHED_FORMATS,
    MAX_CACHED_BYTES,
    SEQUENTIAL,
    SWAPPING_ORIENTATIONS,
    CheckedOriginal,
    opened_image,
    orientation,
    pixel_bytes,
)
from proxy.render.colours import Colours, converted, prepared
from proxy.render.pages import pages_of

_COLOURS = 3
_FACTORS = (4, 2)
_LEAST_RATIO = 2
"""A reduction is at least so many times as large as the result. With it no photograph of benchmarks/reductions.py scores
below 90 in SSIMULACRA2 against a whole decode; with 1.5 some do, and so do reductions to an eighth by the JPEG decoder."""
_HEIF = (Format.AVIF, Format.HEIC)
_MIRRORED_X, _MIRRORED_Y = (2, 3, 6, 7), (3, 4, 7, 8)
"""The EXIF orientations whose turn makes the end of a stored side the beginning of the upright width or height."""


class LoadInput(NamedTuple):
    """The input of loading. `size` is the upright size; `pages` are those to draw, from 0. A page of an animation is
    composed of all before it."""

    opened: CheckedOriginal
    kind: Format
    size: Size
    pages: range
    colours: Colours

    @classmethod
    def checked(cls, opened: CheckedOriginal, pages: range, limits: InputLimits) -> "LoadInput":
        """The input for `pages` of `opened`. Raises OriginalTooLarge and the errors of an original that is not opened yet."""
        facts = opened.facts
        size = Size(facts.width_px, facts.height_px)
        check(limits, facts.format, size, pages.stop)
        return cls(opened, facts.format, size, pages, opened.colours)

    @property
    def content(self) -> bytes:
        return self.opened.content

    def composed(self) -> Iterator[pyvips.Image] | None:
        """The pages to draw, if libvips cannot load the first one as it is."""
        if self.pages == range(1) and self.opened.canvas is None:
            return None
        first = self.pages.stop if self.pages.stop < self.opened.facts.pages else None
        return islice(pages_of(self.content, self.opened.canvas, first), self.pages.start, None)


def loaded(original: LoadInput, region: Box, size: Size) -> list[pyvips.Image]:
    """The pages of `region`, upright, 8-bit sRGB with or without alpha, each exactly `size`."""
    opened = original.opened

    def fitted(image: pyvips.Image, factor: int) -> pyvips.Image:
        return _fitted(*_region(image, original, region, factor), size, original.colours)

    if (pages := original.composed()) is not None:
        return [fitted(page, 1).copy_memory() for page in pages]
    factor = _factor(original, region, size)
    if factor > 1 and opened.reduces and _fits_in_cache(original, factor):
        whole = opened.reduction(factor, lambda: _reduced(original, factor))
    elif _is_decoded_whole(original):
        whole = _reduction_of(opened.cached("decoded", None, lambda: _decoded(original)), factor)
    else:
        return [fitted(_reduced(original, factor, access="sequential"), factor)]
    return [opened.cached("resized", (region, size), lambda: fitted(whole, factor))]


def only_page(original: LoadInput, size: Size) -> pyvips.Image:
    """The whole of the one page to draw, as in `loaded`. Raises pyvips.Error or MemoryError."""
    [image] = loaded(original, Box(0, 0, *original.size), size)
    return image


def decode_all(original: LoadInput) -> None:
    """Decodes every pixel. Raises pyvips.Error or MemoryError."""
    if (pages := original.composed()) is not None:
        for page in pages:
            page.avg()
    else:
        _opened(original).avg()


def _opened(original: LoadInput) -> pyvips.Image:
    """The first page, which any error of a decoder fails."""
    image = opened_image(original.content, "[fail_on=error]")
    return (
        heic.decoded(original.content, image)
        if original.kind is Format.HEIC and heic.is_decodable()
        else image
    )


def _factor(original: LoadInput, region: Box, size: Size) -> int:
    """By how much the original is reduced before it is resized; alpha has to be premultiplied first."""
    header = original.opened.header
    if header.facts.alpha or header.is_deep:
        return 1
    least = min(region.width / size.width, region.height / size.height)
    return next((factor for factor in _FACTORS if least >= _LEAST_RATIO * factor), 1)


def _fits_in_cache(original: LoadInput, factor: int) -> bool:
    return pixels(original.size) * original.opened.header.pixel_bytes // factor**2 <= MAX_CACHED_BYTES


def _is_decoded_whole(original: LoadInput) -> bool:
    """Whether the original is decoded into memory. Sequential access would call the decoders of HEIF many times."""
    if original.kind in _HEIF:
        return True
    return original.opened.is_shared and original.kind in CACHED_FORMATS and _fits_in_cache(original, 1)


def _reduced(original: LoadInput, factor: int, **options: str) -> pyvips.Image:
    """The original reduced by `factor`, not decoded yet."""
    if original.kind in _HEIF:
        return _reduction_of(_decoded(original), factor)
    shrink = {Format.JPEG: f"shrink={factor},", Format.WEBP: f"scale={1 / factor},"}.get(original.kind, "")
    if factor == 1 or not shrink:
        return _reduction_of(opened_image(original.content, "[fail_on=error]", **options), factor)
    return opened_image(original.content, f"[{shrink}fail_on=error]", **options)


def _reduction_of(image: pyvips.Image, factor: int) -> pyvips.Image:
    """Each pixel the mean of a square."""
    return image if factor == 1 else image.shrink(factor, factor)


def _decoded(original: LoadInput) -> pyvips.Image:
    image = _opened(original)
    if original.kind in CACHED_FORMATS:
        image = image.copy()
        # Marked as sequential, so that resizing gives the same bytes as without the cache.
        image.set_type(pyvips.GValue.gint_type, SEQUENTIAL, 1)
    return image.copy_memory()


def _region(
    image: pyvips.Image, original: LoadInput, region: Box, factor: int
) -> tuple[pyvips.Image, tuple[float, float]]:
    """`region` of the original, of which `image` is a reduction, and its true size in pixels of the reduction: a fraction
    more or less than the image has, because libvips reduces to whole pixels."""
    upright = original.size
    if region == Box(0, 0, *upright) and factor == 1:
        return image, (image.width, image.height)
    turned = orientation(image)
    true_width, true_height = upright.width / factor, upright.height / factor
    if original.kind is Format.JPEG and factor > 1:
        # The decoder cuts off the last column and row, as they are stored, if they are not whole.
        whole = (true_height, true_width) if turned in SWAPPING_ORIENTATIONS else (true_width, true_height)
        image = image.embed(0, 0, *(max(1, _nearest(side)) for side in whole), extend="copy")
    if turned > 1:
        # Sequential access does not allow a rotation.
        image = image.copy_memory().autorot()
    if original.kind is Format.WEBP:  # Its decoder reduces the whole picture to whole pixels.
        true_width, true_height = image.width, image.height
    across, down = true_width / upright.width, true_height / upright.height
    # Where a turn has mirrored a side, the fraction of a pixel that is missing or too much is at its beginning.
    before_x = image.width - true_width if turned in _MIRRORED_X else 0
    before_y = image.height - true_height if turned in _MIRRORED_Y else 0
    left, width = _span(region.left * across + before_x, region.width * across, image.width)
    top, height = _span(region.top * down + before_y, region.height * down, image.height)
    return image.crop(left, top, width, height), (region.width * across, region.height * down)


def _span(start: float, length: float, most: int) -> tuple[int, int]:
    """The nearest whole start and length within `most` pixels."""
    first = min(max(0, _nearest(start)), most - 1)
    return first, min(max(first + 1, _nearest(start + length)), most) - first


def _nearest(length: float) -> int:
    return math.floor(length + 0.5)


def _fitted(
    image: pyvips.Image, true_size: tuple[float, float], size: Size, colours: Colours
) -> pyvips.Image:
    """A decoded image upright, in sRGB, exactly `size`."""
    image = prepared(image, colours)
    if image.hasalpha():
        if image.width * image.height * pixel_bytes(image) <= MAX_CACHED_BYTES:
            image = image.copy_memory()
            if is_opaque(image):
                seen = image.extract_band(0, n=image.bands - 1)
                return _fitted(seen, true_size, size, colours._replace(is_premultiplied=False)).bandjoin(255)
        if orientation(image) > 1:
            # Sequential access does not allow a rotation.
            image = image.copy_memory().autorot()
        image = resized(image, size)
        return _with_three_bands(image if colours.is_plain else converted(image))
    if colours.is_plain and true_size != (image.width, image.height):
        image = image.resize(size.width / true_size[0], vscale=size.height / true_size[1])
        return _with_three_bands(image.embed(0, 0, *size, extend="copy"))
    convert = {} if colours.is_plain else {"output_profile": "srgb"}
    return _with_three_bands(image.thumbnail_image(size.width, height=size.height, size="force", **convert))


def _with_three_bands(image: pyvips.Image) -> pyvips.Image:
    return image if image.bands >= _COLOURS else image.colourspace("srgb")
