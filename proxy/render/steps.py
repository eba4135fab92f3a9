"""The commands of a layout as pixel operations: each takes the pages of an image and returns new pages.

The pages of an animation all get the same box, colour and strength.
"""

from typing import assert_never

import pyvips

from proxy.core.image.size import Box
from proxy.core.transform.layout import Cut, Embed, Find, Scale
from proxy.core.transform.operations import Adjust, Blur, Effect, Sharpen, Smart, Tone, Turn
from proxy.render.alpha import on_colours, on_visible, resized, with_premultiplied


def apply(command: Cut | Scale | Embed | Turn | Effect, pages: list[pyvips.Image]) -> list[pyvips.Image]:
    """The pages after `command`."""
    match command:
        case Cut(box):
            return [image.crop(*box) for image in pages]
        case Scale(size):
            return [resized(image, size) for image in pages]
        case Embed():
            return [_embedded(image, command) for image in pages]
        case Turn():
            return [_turned(image, command) for image in pages]
        case Blur(sigma_px):
            return [with_premultiplied(image, lambda rgb: rgb.gaussblur(sigma_px)) for image in pages]
        case Sharpen(sigma_px):
            return [on_visible(image, lambda rgb: rgb.sharpen(sigma=sigma_px)) for image in pages]
        case Adjust():
            return [on_colours(image, lambda rgb: _toned(rgb, command)) for image in pages]
    assert_never(command)


def found(command: Find, pages: list[pyvips.Image]) -> Box:
    """The answer to `command`. Only the first page is looked at, so that an animation does not jump."""
    pages[0] = pages[0].copy_memory()
    image = pages[0].smartcrop(*command.size, interesting=_INTERESTING[command.smart])
    return Box(-image.xoffset, -image.yoffset, *command.size)


_INTERESTING = {Smart.ATTENTION: "attention", Smart.ENTROPY: "entropy"}


def _embedded(image: pyvips.Image, embed: Embed) -> pyvips.Image:
    background = embed.background
    if background.alpha < 255 and not image.hasalpha():
        image = image.addalpha()
    colour = [background.red, background.green, background.blue, background.alpha][: image.bands]
    return image.embed(embed.left, embed.top, *embed.size, extend="background", background=colour)


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
