"""Encoding: the pages of a picture as bytes in a format, with the quality that a level or a limit of bytes leaves."""

from collections.abc import Mapping, Sequence

import pyvips

from proxy.core.errors import UnsupportedFormat
from proxy.core.image.formats import Format
from proxy.core.transform.plan import Encode
from proxy.core.transform.quality_level import SCORES, QualityLevel, corrected, quality_for
from proxy.render.alpha import hides, is_opaque, with_hidden_like_visible
from proxy.render.score import scales_of, score

_NO_METADATA = "none"
"""Outputs have no EXIF, GPS, XMP, IPTC or ICC profile of the original: the pixels are upright and in sRGB."""
_OF_METADATA = ("exif", "xmp", "iptc", "photoshop", "orientation")
"""How libvips' fields of metadata begin."""
_GREY = [128, 128, 128]
_OPAQUE_ALPHA = 255
_MOST_PALETTE_PIXELS = 1_000_000
"""Larger pictures are not tried with a palette: to find it takes seconds."""
_MAX_COLOURS = 256
_NEAR = 1.0
"""A picture whose score is so near to that of its level is not encoded again."""


def encoded(
    pages: Sequence[pyvips.Image],
    encode: Encode,
    metadata: Mapping[str, bytes] = {},
    *,
    had_palette: bool = False,
) -> bytes:
    """`pages` as one picture or animation, with these blocks of metadata, by libvips' name, and no others. A PNG whose
    original `had_palette` has one too, if it is smaller and equal. Raises pyvips.Error or UnsupportedFormat."""
    image = _joined(pages)
    if encode.quality is not None and encode.flatten is None and image.hasalpha():
        image = image.copy_memory()
        if hides(image):
            image = _joined([with_hidden_like_visible(page) for page in _split(image)])
    if encode.flatten is not None and image.hasalpha():
        colour = encode.flatten
        image = image.flatten(background=[colour.red, colour.green, colour.blue])
    keep = _NO_METADATA
    if metadata:
        image, keep = _with_only(image, metadata), "exif|xmp|iptc"
    few_pixels = image.width * image.height <= _MOST_PALETTE_PIXELS
    tries_palette = had_palette and encode.format is Format.PNG and few_pixels
    if encode.max_bytes is not None or isinstance(encode.quality, QualityLevel) or tries_palette:
        image = image.copy_memory()
    if tries_palette and (with_palette := _with_palette(image, encode, keep)):
        return min(_saved(image, encode, None, keep), with_palette, key=len)
    match encode.quality:
        case QualityLevel() as level:
            content, quality = _of_level(image, encode, level, keep)
        case quality:
            content = _saved(image, encode, quality, keep)
    if encode.max_bytes is None or quality is None:
        return content
    while len(content) > encode.max_bytes and quality > 1:
        # The larger the excess, the larger the step: each encode costs as much as the first.
        excess = len(content) / encode.max_bytes
        quality = max(1, int(quality * (0.25 if excess > 3 else 0.5 if excess > 1.5 else 0.75)))
        content = _saved(image, encode, quality, keep)
    return content


def _of_level(image: pyvips.Image, encode: Encode, level: QualityLevel, keep: str) -> tuple[bytes, int]:
    """`image` with the quality that has the score of `level` in the mean, or with the corrected one if the first page has
    another score; and that quality."""
    page, kind, aim = _split(image)[0], encode.format, SCORES[level]
    scales = scales_of(page)
    quality = quality_for(kind, aim, scales)
    content = _saved(page, encode, quality, keep)
    found = score(_opaque(page), _opaque(pyvips.Image.new_from_buffer(content, "")), kind)
    if found is not None and abs(found - aim) > _NEAR:
        better = corrected(kind, quality, scales, found, aim)
    else:
        better = quality
    is_whole = page.height == image.height and better == quality
    return (content if is_whole else _saved(image, encode, better, keep)), better


def _with_palette(image: pyvips.Image, encode: Encode, keep: str) -> bytes | None:
    """`image` as a PNG with a palette, if its colours fit in one."""
    if image.hasalpha() and is_opaque(image):
        image = image.extract_band(0, n=image.bands - 1)
    with_alpha = image if image.hasalpha() else image.bandjoin(_OPAQUE_ALPHA)
    colours = memoryview(with_alpha.write_to_memory()).cast("I")
    count = len(set(colours))
    if count > _MAX_COLOURS:
        return None
    bits = next(bits for bits in (1, 2, 4, 8) if count <= 2**bits)
    content = bytes(
        image.pngsave_buffer(
            compression=encode.effort, palette=True, bitdepth=bits, Q=100, dither=0, effort=7, keep=keep
        )
    )
    decoded = pyvips.Image.new_from_buffer(content, "")
    is_equal = decoded.bands == image.bands and (decoded != image).max() == 0
    return content if is_equal else None


def _opaque(image: pyvips.Image) -> pyvips.Image:
    return image.flatten(background=_GREY) if image.hasalpha() else image


def _with_only(image: pyvips.Image, metadata: Mapping[str, bytes]) -> pyvips.Image:
    """`image` with these blocks of metadata and no others."""
    image = image.copy()
    for field in image.get_fields():
        if field.startswith(_OF_METADATA):
            image.remove(field)
    for name, block in metadata.items():
        image.set_type(pyvips.GValue.blob_type, name, block)
    return image


def _saved(image: pyvips.Image, encode: Encode, quality: int | None, keep: str) -> bytes:
    match encode.format:
        case Format.JPEG:
            content = image.jpegsave_buffer(Q=quality, optimize_coding=True, keep=keep)
        case Format.PNG:
            content = image.pngsave_buffer(compression=encode.effort, filter="all", keep=keep)
        case Format.WEBP:
            content = image.webpsave_buffer(Q=quality, effort=encode.effort, exact=True, keep=keep)
        case Format.AVIF:
            content = image.heifsave_buffer(
                compression="av1", Q=quality, effort=encode.effort, bitdepth=8, keep=keep
            )
        case Format.GIF:
            content = image.gifsave_buffer(effort=max(1, encode.effort), keep=keep)
        case Format.HEIC | Format.INFO:
            raise UnsupportedFormat(f"{encode.format} is not an output format")
    return bytes(content)


def _split(strip: pyvips.Image) -> list[pyvips.Image]:
    height = strip.get_page_height()
    return [strip.crop(0, top, strip.width, height) for top in range(0, strip.height, height)]


def _joined(pages: Sequence[pyvips.Image]) -> pyvips.Image:
    if len(pages) == 1:
        return pages[0]
    strip = pyvips.Image.arrayjoin(pages, across=1).copy()
    strip.set_type(pyvips.GValue.gint_type, "page-height", pages[0].height)
    return strip
