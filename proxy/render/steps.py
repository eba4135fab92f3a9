"""Pixels: header checks, then a fold of small steps over a libvips image, then the encoder. The only room, with
`demo`, that imports pyvips; `image` means a pyvips image here and nowhere else.

Bytes in, bytes out; no files, no decisions. What is to be done was settled in the Plan, where it goes in geometry.
"""

from collections.abc import Callable
from typing import assert_never

import pyvips

from proxy.core.container import gif_frames, is_whole
from proxy.core.errors import CalotypeError, Internal, OriginalTooLarge, Undecodable, UnsupportedFormat
from proxy.core.facts import Facts
from proxy.core.formats import SNIFF_BYTES, TRAITS, Format, sniff
from proxy.core.geometry import Box, Size, crop_box, inside, outside, pad_offset, pixels, ratio
from proxy.core.limits import Limits, check
from proxy.core.plan import Crop, Encode, Pad, Plan, Scale, ScaleInside, ScaleOutside, ScaleTo, Step
from proxy.core.transform import Adjust, Blur, Colour, FocalPoint, Sharpen, Smart, Tone, Turn

_LOADERS = ("Jpeg", "Png", "Webp", "Nsgif", "Heif")
_SWAPPING_ORIENTATIONS = range(5, 9)

_NO_DECODER = ("not been built in", "not in a known format", "unsupported codec")
_NO_MEMORY = ("out of memory", "memory allocation", "unable to allocate", "cannot allocate", "security limit")


def harden() -> None:
    """Closes every loader but those of the allow-list, and libvips' operation cache. Once per process."""
    pyvips.cache_set_max(0)
    pyvips.operation_block_set("VipsForeignLoad", True)
    for loader in _LOADERS:
        pyvips.operation_block_set(f"VipsForeignLoad{loader}", False)


def libvips_version() -> tuple[int, int, int]:
    return pyvips.version(0), pyvips.version(1), pyvips.version(2)


def working_formats() -> list[Format]:
    """The output formats that this libvips really encodes and decodes, found by doing both."""
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


def probe(content: bytes, limits: Limits) -> Facts:
    """The facts of an original, from its header. Raises UnsupportedFormat, OriginalTooLarge or Undecodable."""
    try:
        facts = _facts(content)
    except (pyvips.Error, MemoryError, UnicodeDecodeError) as fault:
        raise _fault_of_original(fault) from None
    check(limits, facts.format, Size(facts.width_px, facts.height_px), 1)
    return facts


def render(content: bytes, plan: Plan, limits: Limits) -> bytes:
    """The encoded variant. Raises UnsupportedFormat, OriginalTooLarge, Undecodable, or Internal where a sound
    original cannot be drawn as planned."""
    facts = probe(content, limits)
    original = Size(facts.width_px, facts.height_px)
    animates = facts.animated and TRAITS[plan.encode.format].animation
    check(limits, facts.format, original, facts.pages if animates else 1)
    try:
        return _drawn(content, plan, facts, animates=animates)
    except (pyvips.Error, MemoryError) as fault:
        # Pixels are read while they are written: only a second look tells whose fault it was.
        try:
            _decode_all(content, animates=animates)
        except (pyvips.Error, MemoryError) as fault_of_original:
            raise _fault_of_original(fault_of_original) from None
        if _is_memory(fault):
            raise OriginalTooLarge("the picture needs more memory than a worker may use") from None
        raise Internal("the picture cannot be drawn this way") from None


def _drawn(content: bytes, plan: Plan, facts: Facts, *, animates: bool) -> bytes:
    original = Size(facts.width_px, facts.height_px)
    size = scaled(original, plan.scale)
    steps = plan.steps
    match steps:
        case (Crop() as crop, *rest) if size.width > original.width and _is_vast(size, crop.box):
            # A long thin picture blown up to cover a box: cut first, or its area has no bound.
            strip = _cut_early(
                _loaded(content, original, facts.format, animates=animates), original, size, crop
            )
            pages, steps = _split(strip, crop.box.height), tuple(rest)
        case _:
            pages = _split(_loaded(content, size, facts.format, animates=animates), size.height)
    for step in steps:
        pages = _applied(step, pages)
    return _encoded(pages, plan.encode)


def scaled(original: Size, scale: Scale) -> Size:
    """The size of the picture after `scale`."""
    match scale:
        case ScaleInside(box=box, enlarge=enlarge):
            return inside(original, box, enlarge=enlarge)
        case ScaleOutside(box=box, max_side_px=max_side_px):
            return outside(original, box, max_side_px)
        case ScaleTo(box=box):
            return box
    assert_never(scale)


def _fault_of_original(fault: Exception) -> CalotypeError:
    """What libvips raised, as one of the errors of an original. libvips tells its reasons by text only."""
    if _is_memory(fault):
        return OriginalTooLarge("the original needs more memory than a worker may use")
    if any(phrase in str(fault).lower() for phrase in _NO_DECODER):
        return UnsupportedFormat("the original is in a format this node does not decode")
    return Undecodable("the original is damaged and cannot be decoded")


def _is_memory(fault: Exception) -> bool:
    return isinstance(fault, MemoryError) or any(phrase in str(fault).lower() for phrase in _NO_MEMORY)


def _decode_all(content: bytes, *, animates: bool) -> None:
    pyvips.Image.new_from_buffer(content, "[n=-1]" if animates else "", fail_on="error").avg()


def _facts(content: bytes) -> Facts:
    kind = sniff(content[:SNIFF_BYTES])
    if kind is None:
        raise UnsupportedFormat("the original is not a JPEG, PNG, WebP, GIF, AVIF or HEIC picture")
    if not is_whole(kind, content):
        raise Undecodable("the original is cut short")
    frames = gif_frames(content) if kind is Format.GIF else None
    if frames == 0:
        raise Undecodable("the original has no frame")
    header = pyvips.Image.new_from_buffer(content, "")
    size = Size(header.width, header.height)
    if _orientation(header) in _SWAPPING_ORIENTATIONS:
        size = Size(size.height, size.width)
    return Facts(
        format=kind,
        width_px=size.width,
        height_px=size.height,
        # libvips gives up counting at ten thousand.
        pages=frames or header.get_n_pages(),
        alpha=bool(header.hasalpha()),
    )


def _orientation(header: pyvips.Image) -> int:
    return header.get("orientation") if "orientation" in header.get_fields() else 1


def _loaded(content: bytes, size: Size, kind: Format, *, animates: bool) -> pyvips.Image:
    """Upright, in sRGB, 8 bits, with or without alpha, each page exactly `size`; shrunk while loading."""
    if kind in (Format.AVIF, Format.HEIC):
        # There is no shrinking while loading, and read row by row the decoder is asked again and again.
        whole = pyvips.Image.new_from_buffer(content, "", fail_on="error").copy_memory()
        return whole.thumbnail_image(size.width, height=size.height, size="force", output_profile="srgb")
    return pyvips.Image.thumbnail_buffer(
        content,
        size.width,
        height=size.height,
        size="force",
        # thumbnail_buffer ignores a fail_on argument; the loader's own option is heard.
        option_string=f"[fail_on=error{',n=-1' if animates else ''}]",
        output_profile="srgb",
    )


def _is_vast(size: Size, box: Size) -> bool:
    return pixels(size) > 4 * pixels(box)


def _cut_early(strip: pyvips.Image, original: Size, size: Size, crop: Crop) -> pyvips.Image:
    """The box of `crop` out of a picture that would be `size`, cut at its original size and enlarged then."""
    window = Size(
        min(original.width, ratio(crop.box.width, original.width, size.width)),
        min(original.height, ratio(crop.box.height, original.height, size.height)),
    )
    pages = _applied(Crop(box=window, gravity=crop.gravity), _split(strip, original.height))
    return _joined(
        [image.thumbnail_image(crop.box.width, height=crop.box.height, size="force") for image in pages]
    )


def _split(image: pyvips.Image, page_height_px: int) -> list[pyvips.Image]:
    if image.height == page_height_px:
        return [image]
    # Frames are read in turn again and again below, and the loader gives them only once.
    strip = image.copy_memory()
    return [strip.crop(0, top, strip.width, page_height_px) for top in range(0, strip.height, page_height_px)]


def _applied(step: Step, pages: list[pyvips.Image]) -> list[pyvips.Image]:
    match step:
        case Crop(box=box, gravity=gravity):
            if isinstance(gravity, FocalPoint):
                cut = crop_box(Size(pages[0].width, pages[0].height), box, gravity)
            else:
                # What is interesting is looked for once, in the first frame: the picture must not jump.
                pages[0] = pages[0].copy_memory()
                found = pages[0].smartcrop(*box, interesting=_INTERESTING[gravity])
                cut = Box(-found.xoffset, -found.yoffset, *box)
            return [image.crop(*cut) for image in pages]
        case Pad(box=box, place=place, background=background):
            return [_padded(image, box, place, background) for image in pages]
        case Turn():
            return [_turned(image, step) for image in pages]
        case Blur(sigma_px):
            return [_with_premultiplied(image, lambda rgb: rgb.gaussblur(sigma_px)) for image in pages]
        case Sharpen(sigma_px):
            return [_on_colours(image, lambda rgb: rgb.sharpen(sigma=sigma_px)) for image in pages]
        case Adjust():
            return [_on_colours(image, lambda rgb: _toned(rgb, step)) for image in pages]
    assert_never(step)


_INTERESTING = {Smart.ATTENTION: "attention", Smart.ENTROPY: "entropy"}


def _padded(image: pyvips.Image, box: Size, place: FocalPoint, background: Colour) -> pyvips.Image:
    if background.alpha < 255 and not image.hasalpha():
        image = image.addalpha()
    colour = [background.red, background.green, background.blue, background.alpha][: image.bands]
    left, top = pad_offset(Size(image.width, image.height), box, place)
    return image.embed(left, top, box.width, box.height, extend="background", background=colour)


def _turned(image: pyvips.Image, turn: Turn) -> pyvips.Image:
    match turn:
        case Turn.R90:
            return image.copy_memory().rot90()
        case Turn.R180:
            return image.copy_memory().rot180()
        case Turn.R270:
            return image.copy_memory().rot270()
        case Turn.HFLIP:
            return image.fliphor()
        case Turn.VFLIP:
            return image.copy_memory().flipver()
    assert_never(turn)


def _with_premultiplied(image: pyvips.Image, work: Callable[[pyvips.Image], pyvips.Image]) -> pyvips.Image:
    """For steps that mix neighbours: a transparent pixel must lend them no colour."""
    if not image.hasalpha():
        return work(image)
    return work(image.premultiply()).unpremultiply().cast("uchar")


def _on_colours(image: pyvips.Image, work: Callable[[pyvips.Image], pyvips.Image]) -> pyvips.Image:
    """For steps that leave alpha alone."""
    if not image.hasalpha():
        return work(image)
    return work(image.extract_band(0, n=3)).bandjoin(image.extract_band(3))


_LUMA = (0.2126, 0.7152, 0.0722)
_SEPIA = ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131))


def _toned(rgb: pyvips.Image, adjust: Adjust) -> pyvips.Image:
    """The colour functions of CSS Filter Effects 1, section 8, on sRGB values."""
    amount = adjust.percent / 100
    match adjust.tone:
        case Tone.GRAYSCALE:
            matrix, offset = _towards((_LUMA, _LUMA, _LUMA), amount), 0.0
        case Tone.SEPIA:
            matrix, offset = _towards(_SEPIA, amount), 0.0
        case Tone.SATURATION:
            matrix, offset = _towards((_LUMA, _LUMA, _LUMA), -amount), 0.0
        case Tone.BRIGHTNESS:
            matrix, offset = _towards(((0.0,) * 3,) * 3, -amount), 0.0
        case Tone.CONTRAST:
            matrix, offset = _towards(((0.0,) * 3,) * 3, -amount), -127.5 * amount
    toned = rgb.recomb(pyvips.Image.new_from_array(matrix))
    return (toned + offset).rint().cast("uchar").copy(interpretation="srgb")


def _towards(matrix: tuple[tuple[float, ...], ...], amount: float) -> list[list[float]]:
    """From the identity a part of the way to `matrix`, or for a negative amount away from it."""
    return [
        [(1 - amount) * (row == column) + amount * matrix[row][column] for column in range(3)]
        for row in range(3)
    ]


def _encoded(pages: list[pyvips.Image], encode: Encode) -> bytes:
    image = _joined(pages)
    if encode.flatten is not None and image.hasalpha():
        colour = encode.flatten
        image = image.flatten(background=[colour.red, colour.green, colour.blue])
    match encode.format:
        case Format.JPEG:
            content = image.jpegsave_buffer(Q=encode.quality, optimize_coding=True, keep="none")
        case Format.PNG:
            content = image.pngsave_buffer(compression=encode.effort, filter="all", keep="none")
        case Format.WEBP:
            content = image.webpsave_buffer(Q=encode.quality, effort=encode.effort, keep="none")
        case Format.AVIF:
            content = image.heifsave_buffer(
                compression="av1", Q=encode.quality, effort=encode.effort, bitdepth=8, keep="none"
            )
        case Format.GIF:
            content = image.gifsave_buffer(effort=max(1, encode.effort), keep="none")
        case Format.HEIC:
            raise UnsupportedFormat("HEIC is not an output format")
    return bytes(content)


def _joined(pages: list[pyvips.Image]) -> pyvips.Image:
    if len(pages) == 1:
        return pages[0]
    strip = pyvips.Image.arrayjoin(pages, across=1).copy()
    strip.set_type(pyvips.GValue.gint_type, "page-height", pages[0].height)
    return strip
