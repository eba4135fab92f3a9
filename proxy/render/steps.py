"""The commands of a layout as pixel operations: each takes the pages of an image and returns new pages.

The pages of an animation all get the same box, colour and strength.
"""

from dataclasses import replace
from typing import assert_never

import pyvips

from proxy.core.image.size import Box, Size
from proxy.core.transform.geometry import outside
from proxy.core.transform.layout import Cut, Embed, Find, FindBorders, InBoxes, Rotation, Scale
from proxy.core.transform.operations import (
    Adjust,
    Backdrop,
    Blur,
    Colour,
    Effect,
    Flatten,
    Pixelate,
    Sharpen,
    Smart,
    Tone,
    Trim,
    Turn,
    is_translucent,
)
from proxy.render.alpha import on_colours, on_visible, resized, with_premultiplied
from proxy.render.dominant import dominant
from proxy.render.filters import filtered


def apply(
    command: Cut | Scale | Embed | Rotation | Turn | Effect | InBoxes, pages: list[pyvips.Image]
) -> list[pyvips.Image]:
    """The pages after `command`."""
    match command:
        case Cut(box):
            return [image.crop(*box) for image in pages]
        case Scale(size):
            return [resized(image, size) for image in pages]
        case Embed():
            if command.background is Backdrop.DOMINANT:
                pages = [pages[0].copy_memory(), *pages[1:]]
                command = replace(command, background=dominant(pages[0]))
            return [_embedded(image, command) for image in pages]
        case Rotation():
            return [_rotated(image, command) for image in pages]
        case Turn():
            return [_turned(image, command) for image in pages]
        case Blur(sigma_px):
            return [with_premultiplied(image, lambda rgb: rgb.gaussblur(sigma_px)) for image in pages]
        case Pixelate(side_px):
            return [with_premultiplied(image, lambda rgb: _pixelated(rgb, side_px)) for image in pages]
        case Flatten(colour):
            background = [colour.red, colour.green, colour.blue]
            return [image.flatten(background=background) if image.hasalpha() else image for image in pages]
        case Sharpen(sigma_px):
            return [on_visible(image, lambda rgb: rgb.sharpen(sigma=sigma_px)) for image in pages]
        case InBoxes():
            return [_changed_within(image, command) for image in pages]
        case Adjust():
            return [on_colours(image, lambda rgb: _toned(rgb, command)) for image in pages]
        case _:
            return filtered(command, pages)


def found(command: Find | FindBorders, pages: list[pyvips.Image]) -> Box:
    """The answer to `command`. Only the first page is looked at, so that an animation does not jump."""
    pages[0] = pages[0].copy_memory()
    if isinstance(command, FindBorders):
        return _within_borders(pages[0], command.trim)
    image = pages[0].smartcrop(*command.size, interesting=_INTERESTING[command.smart])
    return Box(-image.xoffset, -image.yoffset, *command.size)


_UNLIKELY = [255, 0, 255]
"""What transparency is shown on while borders are looked for."""
_INTERESTING = {Smart.ATTENTION: "attention", Smart.ENTROPY: "entropy"}


def _within_borders(image: pyvips.Image, trim: Trim) -> Box:
    whole = Box(0, 0, image.width, image.height)
    seen = image.flatten(background=_UNLIKELY) if image.hasalpha() else image
    match trim.colour:
        case None:
            corner = (whole.width - 1, whole.height - 1) if trim.from_lower_right else (0, 0)
            background = seen(*corner)
        case Colour(alpha=0) if not image.hasalpha():
            return whole
        case Colour(alpha=0):
            background = _UNLIKELY
        case Colour(red, green, blue):
            background = [red, green, blue]
    # Without line_art libvips takes the median of three pixels each way, which a smaller picture does not have.
    is_small = min(whole.width, whole.height) < 3
    left, top, width, height = seen.find_trim(
        threshold=trim.threshold, background=background, line_art=is_small
    )
    if not width or not height:
        return whole
    right, bottom = whole.width - left - width, whole.height - top - height
    if trim.equal_x:
        left = right = min(left, right)
    if trim.equal_y:
        top = bottom = min(top, bottom)
    return Box(left, top, whole.width - left - right, whole.height - top - bottom)


def _pixelated(image: pyvips.Image, side_px: int) -> pyvips.Image:
    """The mean of each square; squares at the right and lower edge are completed by mirroring."""
    side_px = min(side_px, max(image.width, image.height))
    across, down = -(-image.width // side_px), -(-image.height // side_px)
    whole = image.copy_memory().embed(0, 0, across * side_px, down * side_px, extend="mirror")
    return whole.shrink(side_px, side_px).zoom(side_px, side_px).crop(0, 0, image.width, image.height)


def _changed_within(image: pyvips.Image, command: InBoxes) -> pyvips.Image:
    """`image` with the effect in each of the boxes, which sees nothing of what is around it."""
    for box in command.boxes:
        image = image.copy_memory()
        [part] = apply(command.effect, [image.crop(*box)])
        image = image.insert(part, box.left, box.top)
    return image


def _embedded(image: pyvips.Image, embed: Embed) -> pyvips.Image:
    background = embed.background
    match background:
        case Backdrop.EDGES:
            return image.copy_memory().embed(embed.left, embed.top, *embed.size, extend="copy")
        case Backdrop.BLURRED:
            image = image.copy_memory()
            return _laid_on(_blurred(image, embed.size), image, embed)
        case Backdrop.DOMINANT:
            raise AssertionError("apply looks for the colour of the first page")
    if is_translucent(background) and not image.hasalpha():
        image = image.addalpha()
    colour = [background.red, background.green, background.blue, background.alpha][: image.bands]
    return image.embed(embed.left, embed.top, *embed.size, extend="background", background=colour)


_BLURRED_PX = 64
"""The longer side at which a picture is blurred that fills a background; the sigma is a part of it."""
_BLURRED_SIGMA_PX = 4.0


def _blurred(image: pyvips.Image, size: Size) -> pyvips.Image:
    """`image` blurred, and cut to the shape of `size`, which it fills."""
    cover = outside(Size(image.width, image.height), size, None)
    scale = _BLURRED_PX / max(size)
    small = resized(image, Size(*(max(1, round(side * scale)) for side in cover)))
    small = with_premultiplied(small, lambda rgb: rgb.gaussblur(_BLURRED_SIGMA_PX))
    large = resized(small.copy_memory(), cover)
    left, top = (cover.width - size.width) // 2, (cover.height - size.height) // 2
    return large.crop(left, top, *size).copy_memory()


def _laid_on(base: pyvips.Image, image: pyvips.Image, embed: Embed) -> pyvips.Image:
    if not image.hasalpha():
        return base.insert(image, embed.left, embed.top)
    return base.composite2(image, "over", x=embed.left, y=embed.top, compositing_space="srgb").cast("uchar")


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
        case Turn.TRANSPOSE:
            return image.copy_memory().fliphor().rot270()
        case Turn.TRANSVERSE:
            return image.copy_memory().fliphor().rot90()
    assert_never(turn)


def _rotated(image: pyvips.Image, rotation: Rotation) -> pyvips.Image:
    background = rotation.background
    if background.alpha < 255 and not image.hasalpha():
        image = image.addalpha()
    opacity = background.alpha / 255 if image.hasalpha() else 1
    # Like the picture, what fills the rest is premultiplied.
    colour = [
        background.red * opacity,
        background.green * opacity,
        background.blue * opacity,
        background.alpha,
    ]
    interpolate = pyvips.Interpolate.new("bicubic")

    def rotated(whole: pyvips.Image) -> pyvips.Image:
        turned = whole.copy_memory().similarity(
            angle=rotation.degrees, interpolate=interpolate, background=colour[: whole.bands]
        )
        return turned.gravity("centre", *rotation.size, extend="background", background=colour[: whole.bands])

    return with_premultiplied(image, rotated)


_LUMA = (0.2126, 0.7152, 0.0722)
_LUMA_601 = (0.299, 0.587, 0.114)
_SEPIA = ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131))


def _toned(rgb: pyvips.Image, adjust: Adjust) -> pyvips.Image:
    """The colour functions of CSS Filter Effects 1, section 8, on sRGB values, and two with other weights."""
    amount = adjust.percent / 100
    match adjust.tone:
        case Tone.GRAYSCALE:
            matrix, offset = _towards((_LUMA, _LUMA, _LUMA), amount), 0.0
        case Tone.GRAYSCALE_601:
            matrix, offset = _towards((_LUMA_601, _LUMA_601, _LUMA_601), amount), 0.0
        case Tone.SATURATION_HSP:
            return _saturated(rgb, 1 + amount)
        case Tone.VIBRANCE:
            return _vibrant(rgb, amount)
        case Tone.SHADOWS | Tone.HIGHLIGHTS:
            return _relit(rgb, adjust.tone, amount)
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


def _saturated(rgb: pyvips.Image, factor: float) -> pyvips.Image:
    """Colours moved from their perceived brightness, the root of the luma of their squares (HSP); rounded down."""
    brightness = (rgb * rgb).recomb(pyvips.Image.new_from_array([list(_LUMA_601)])) ** 0.5
    moved = brightness + (rgb - brightness) * factor
    return moved.floor().cast("uchar").copy(interpretation="srgb")


def _vibrant(rgb: pyvips.Image, amount: float) -> pyvips.Image:
    """Saturation as in CSS, with an amount that goes to 0 as the difference of the highest and the lowest channel grows."""
    red, green, blue = rgb.bandsplit()
    ranked = red.bandrank([green, blue], index=2), red.bandrank([green, blue], index=0)
    weight = (ranked[0].cast("float") - ranked[1]) * (-amount / 255) + amount
    luma = rgb.recomb(pyvips.Image.new_from_array([list(_LUMA)]))
    return (rgb + (rgb - luma) * weight).rint().cast("uchar").copy(interpretation="srgb")


def _relit(rgb: pyvips.Image, tone: Tone, amount: float) -> pyvips.Image:
    """The lightness of CIE Lab, moved by a cubic that is 0 in black and white and has its greatest value, 15 at the amount 1,
    at a third of the range: from black for shadows, from white for highlights."""
    lab = rgb.colourspace("lab")
    lightness = lab.extract_band(0) / 100
    dark = 1 - lightness
    moved = lightness * dark * (dark if tone is Tone.SHADOWS else lightness) * (
        100 * amount
    ) + lab.extract_band(0)
    return moved.bandjoin(lab.extract_band(1, n=2)).copy(interpretation="lab").colourspace("srgb")


def _towards(matrix: tuple[tuple[float, ...], ...], amount: float) -> list[list[float]]:
    """From the identity a part of the way to `matrix`, or for a negative amount away from it."""
    return [
        [(1 - amount) * (row == column) + amount * matrix[row][column] for column in range(3)]
        for row in range(3)
    ]
