"""The render pipeline from bytes to bytes: load the pixels of an original, execute the commands of the
Plan's layout, encode.

Opens no files. `core.transform.layout` decides sizes and steps; this file decides only how libvips loads: shrink-on-load
and cached pixels. Only `render/` imports pyvips, and there `image` means
a pyvips image.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import NamedTuple, assert_never

import pyvips

from proxy.core.errors import Internal, OriginalTooLarge, UnsupportedFormat
from proxy.core.image.copyright import ONLY_COPYRIGHT
from proxy.core.image.facts import Facts
from proxy.core.image.formats import TRAITS, Format
from proxy.core.image.limits import InputLimits, check
from proxy.core.image.size import Box, Size, pixels
from proxy.core.transform.layout import Find, FindBorders, Load, commands
from proxy.core.transform.operations import AsStored, with_branches
from proxy.core.transform.plan import Describe, Encode, Plan
from proxy.render.alpha import hides, is_opaque, resized, with_hidden_like_visible
from proxy.render.checked_original import (
    CACHED_FORMATS,
    MAX_CACHED_BYTES,
    CheckedOriginal,
    fault_of_original,
    is_memory,
    orientation,
    pixel_bytes,
)
from proxy.render.colours import Colours, converted, prepared
from proxy.render.info import info_json
from proxy.render.pages import pages_of
from proxy.render.steps import apply, found

_LOADERS = ("Jpeg", "Png", "Webp", "Nsgif", "Heif")
_COLOURS = 3
_NO_METADATA = "none"
"""Outputs have no EXIF, GPS, XMP, IPTC or ICC profile of the original: the pixels are upright and in sRGB."""
_OF_METADATA = ("exif", "xmp", "iptc", "photoshop", "orientation")
"""How libvips' fields of metadata begin."""


def harden() -> None:
    """Blocks every loader that is not in `_LOADERS`, and disables libvips' operation cache. Once per process."""
    pyvips.cache_set_max(0)
    pyvips.operation_block_set("VipsForeignLoad", True)
    for loader in _LOADERS:
        pyvips.operation_block_set(f"VipsForeignLoad{loader}", False)


def libvips_version() -> tuple[int, int, int]:
    return pyvips.version(0), pyvips.version(1), pyvips.version(2)


def working_formats() -> list[Format]:
    """The output formats that this libvips can encode and decode, found by trying both."""
    image = pyvips.Image.black(16, 16, bands=3).copy(interpretation="srgb")
    working = []
    for kind in Format:
        if TRAITS[kind].shown:
            try:
                encode = Encode(format=kind, quality=80, effort=1, flatten=None)
                pyvips.Image.new_from_buffer(_encoded([image], encode), "").avg()
            except pyvips.Error:
                continue
            working.append(kind)
    return working


def render(opened: CheckedOriginal, plan: Plan, limits: InputLimits) -> bytes:
    """The encoded variant. Raises the errors of an original, or Internal if the plan fails on an undamaged one."""
    facts = opened.facts
    size = Size(facts.width_px, facts.height_px)
    pages = _drawn(facts, plan)
    check(limits, facts.format, size, pages.stop)
    original = _Original(opened, facts.format, size, pages, opened.colours)
    try:
        return _run(original, plan)
    except (pyvips.Error, MemoryError) as fault:
        out_of_memory, was_shared = is_memory(fault), opened.drop_cache()
    if was_shared:
        # Without the cache a render needs less memory, and reads no more of a damaged original than the plan needs.
        return render(opened, plan, limits)
    if out_of_memory:
        raise OriginalTooLarge("the picture needs more memory than a worker may use")
    # libvips reads pixels while it writes; decoding again tells whether the original is at fault.
    try:
        _decode_all(original)
    except (pyvips.Error, MemoryError) as fault:
        raise fault_of_original(fault) from None
    try:
        # The remaining cause is an unusable ICC profile, which is treated as no profile.
        return _run(original._replace(colours=opened.colours._replace(profile=b"", is_plain=False)), plan)
    except (pyvips.Error, MemoryError):
        raise Internal("the picture cannot be rendered with these operations") from None


class _Original(NamedTuple):
    """The input of loading. `size` is the upright size; `pages` are those to draw, from 0. A page of an animation is
    composed of all before it."""

    opened: CheckedOriginal
    kind: Format
    size: Size
    pages: range
    colours: Colours

    @property
    def content(self) -> bytes:
        return self.opened.content

    def composed(self) -> Iterator[pyvips.Image] | None:
        """The pages to draw, if libvips cannot load the first one as it is."""
        if self.pages == range(1) and self.opened.canvas is None:
            return None
        first = self.pages.stop if self.pages.stop < self.opened.facts.pages else None
        return islice(pages_of(self.content, self.opened.canvas, first), self.pages.start, None)


def _drawn(facts: Facts, plan: Plan) -> range:
    """The pages of an original that `plan` draws, from 0."""
    if not facts.animated:
        return range(1)
    if plan.page is not None:
        last = min(plan.page, facts.pages)
        return range(last - 1, last)
    if not TRAITS[plan.output.format].animation:
        return range(1)
    return range(min(plan.frames or facts.pages, facts.pages))


def _run(original: _Original, plan: Plan) -> bytes:
    pages: list[pyvips.Image] = []
    stored = original.opened.turn_to_stored() if AsStored() in with_branches(plan.ops) else None
    layout = commands(plan.ops, plan.limit_px, original.size, plan.faces, stored)
    command = next(layout, None)
    while command is not None:
        answer: Box | None = None
        match command:
            case Load(region, size):
                pages = _loaded(original, region, size)
            case Find() | FindBorders():
                answer = found(command, pages)
            case _:
                pages = apply(command, pages)
        try:
            command = layout.send(answer)
        except StopIteration:
            break
    match plan.output:
        case Describe(gps=gps):
            opened, header = original.opened, pyvips.Image.new_from_buffer(original.content, "")
            return info_json(header, opened.facts, opened.size_bytes, pages[0], gps=gps)
        case Encode() as encode:
            return _encoded(pages, encode, _copyright(original) if encode.keeps_copyright else {})
    assert_never(plan.output)


def first_page(opened: CheckedOriginal, size: Size) -> pyvips.Image:
    """The first page, upright, 8-bit sRGB with or without alpha, at exactly `size`. Raises pyvips.Error or MemoryError."""
    facts = opened.facts
    whole = Size(facts.width_px, facts.height_px)
    original = _Original(opened, facts.format, whole, range(1), opened.colours)
    return _loaded(original, _whole(whole), size)[0]


def _copyright(original: _Original) -> dict[str, bytes]:
    """Blocks with the copyright fields of an original, by libvips' name."""
    header = pyvips.Image.new_from_buffer(original.content, "")
    found = header.get_fields()
    blocks = {name: only(bytes(header.get(name))) for name, only in ONLY_COPYRIGHT.items() if name in found}
    return {name: block for name, block in blocks.items() if block}


def _decode_all(original: _Original) -> None:
    if (pages := original.composed()) is not None:
        for page in pages:
            page.avg()
    else:
        pyvips.Image.new_from_buffer(original.content, "", fail_on="error").avg()


def _loaded(original: _Original, region: Box, size: Size) -> list[pyvips.Image]:
    """The pages of `region`, upright, 8-bit sRGB with or without alpha, each exactly `size`; with shrink-on-load."""
    opened, colours = original.opened, original.colours

    def fitted(image: pyvips.Image) -> pyvips.Image:
        return _fitted(_region(image, region, original.size), size, colours)

    if (pages := original.composed()) is not None:
        return [fitted(page).copy_memory() for page in pages]
    shrink = _shrink(original, region, size)
    if _is_decoded_whole(original, shrink):
        whole = opened.cached(f"decoded by {shrink}", None, lambda: _decoded(original, shrink))
        return [opened.cached("resized", (region, size), lambda: fitted(whole))]
    if region != _whole(original.size):
        return [fitted(_opened(original, shrink, access="sequential"))]
    if opened.facts.alpha or colours.need_care:
        return [fitted(_opened(original, 1, access="sequential"))]
    # thumbnail_buffer ignores a fail_on argument but passes the option string to the loader.
    image = pyvips.Image.thumbnail_buffer(
        original.content,
        size.width,
        height=size.height,
        size="force",
        option_string="[fail_on=error]",
        **({} if colours.is_plain else {"output_profile": "srgb"}),
    )
    return [_with_three_bands(image)]


def _opened(original: _Original, shrink: int, **options: str) -> pyvips.Image:
    """The original reduced by `shrink`, not decoded yet."""
    loading = f"[shrink={shrink},fail_on=error]" if shrink > 1 else "[fail_on=error]"
    return pyvips.Image.new_from_buffer(original.content, loading, **options)


def _whole(size: Size) -> Box:
    return Box(0, 0, *size)


def _region(image: pyvips.Image, region: Box, upright: Size) -> pyvips.Image:
    """`region` of `image`, which is the original of size `upright` or a reduction of it, not turned upright yet."""
    if region == _whole(upright):
        return image
    if orientation(image) > 1:
        # Sequential access does not allow a rotation.
        image = image.copy_memory().autorot()
    left = region.left * image.width // upright.width
    top = region.top * image.height // upright.height
    right = -(-(region.left + region.width) * image.width // upright.width)
    bottom = -(-(region.top + region.height) * image.height // upright.height)
    return image.crop(left, top, right - left, bottom - top)


def _fitted(image: pyvips.Image, size: Size, colours: Colours) -> pyvips.Image:
    """A decoded image upright, in sRGB, exactly `size`."""
    image = prepared(image, colours)
    if image.hasalpha():
        if image.width * image.height * pixel_bytes(image) <= MAX_CACHED_BYTES:
            image = image.copy_memory()
            if is_opaque(image):
                seen = image.extract_band(0, n=image.bands - 1)
                return _fitted(seen, size, colours._replace(is_premultiplied=False)).bandjoin(255)
        if orientation(image) > 1:
            # Sequential access does not allow a rotation.
            image = image.copy_memory().autorot()
        image = resized(image, size)
        return _with_three_bands(image if colours.is_plain else converted(image))
    convert = {} if colours.is_plain else {"output_profile": "srgb"}
    return _with_three_bands(image.thumbnail_image(size.width, height=size.height, size="force", **convert))


def _with_three_bands(image: pyvips.Image) -> pyvips.Image:
    return image if image.bands >= _COLOURS else image.colourspace("srgb")


def _is_decoded_whole(original: _Original, shrink: int) -> bool:
    """Whether the image is decoded into memory."""
    if original.kind in (Format.AVIF, Format.HEIC):
        # Sequential access would call the decoder many times.
        return True
    if not original.opened.is_shared or original.kind not in CACHED_FORMATS:
        return False
    return pixels(original.size) * original.opened.pixel_bytes // shrink**2 <= MAX_CACHED_BYTES


def _shrink(original: _Original, region: Box, size: Size) -> int:
    """The shrink-on-load factor. As thumbnail_buffer does, a factor of at least two is left for the resampling filter."""
    if original.kind is not Format.JPEG:
        return 1
    least = min(region.width / size.width, region.height / size.height)
    return next((factor for factor in (8, 4, 2) if least >= 2 * factor), 1)


def _decoded(original: _Original, shrink: int) -> pyvips.Image:
    image = _opened(original, shrink).copy()
    if original.kind in CACHED_FORMATS:
        # Marked as sequential, so that resizing gives the same bytes as without the cache.
        image.set_type(pyvips.GValue.gint_type, "vips-sequential", 1)
    return image.copy_memory()


def _encoded(pages: list[pyvips.Image], encode: Encode, metadata: Mapping[str, bytes] = {}) -> bytes:
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
    if encode.max_bytes is None or encode.quality is None:
        return _saved(image, encode, keep)
    image = image.copy_memory()
    content, quality = _saved(image, encode, keep), encode.quality
    while len(content) > encode.max_bytes and quality > 1:
        # The larger the excess, the larger the step: each encode costs as much as the first.
        excess = len(content) / encode.max_bytes
        quality = max(1, int(quality * (0.25 if excess > 3 else 0.5 if excess > 1.5 else 0.75)))
        content = _saved(image, replace(encode, quality=quality), keep)
    return content


def _with_only(image: pyvips.Image, metadata: Mapping[str, bytes]) -> pyvips.Image:
    """`image` with these blocks of metadata and no others."""
    image = image.copy()
    for field in image.get_fields():
        if field.startswith(_OF_METADATA):
            image.remove(field)
    for name, block in metadata.items():
        image.set_type(pyvips.GValue.blob_type, name, block)
    return image


def _saved(image: pyvips.Image, encode: Encode, keep: str) -> bytes:
    match encode.format:
        case Format.JPEG:
            content = image.jpegsave_buffer(Q=encode.quality, optimize_coding=True, keep=keep)
        case Format.PNG:
            content = image.pngsave_buffer(compression=encode.effort, filter="all", keep=keep)
        case Format.WEBP:
            content = image.webpsave_buffer(Q=encode.quality, effort=encode.effort, exact=True, keep=keep)
        case Format.AVIF:
            content = image.heifsave_buffer(
                compression="av1", Q=encode.quality, effort=encode.effort, bitdepth=8, keep=keep
            )
        case Format.GIF:
            content = image.gifsave_buffer(effort=max(1, encode.effort), keep=keep)
        case Format.HEIC | Format.INFO:
            raise UnsupportedFormat(f"{encode.format} is not an output format")
    return bytes(content)


def _split(strip: pyvips.Image) -> list[pyvips.Image]:
    height = strip.get_page_height()
    return [strip.crop(0, top, strip.width, height) for top in range(0, strip.height, height)]


def _joined(pages: list[pyvips.Image]) -> pyvips.Image:
    if len(pages) == 1:
        return pages[0]
    strip = pyvips.Image.arrayjoin(pages, across=1).copy()
    strip.set_type(pyvips.GValue.gint_type, "page-height", pages[0].height)
    return strip
