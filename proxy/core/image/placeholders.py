"""Placeholders of a picture: ThumbHash (Evan Wallace, 2023), BlurHash (Wolt, 2018) and the main colours.

Pixels come as rows of red, green, blue and alpha, a byte each; a few dozen a side suffice.
"""

import base64
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from proxy.core.image import srgb

_BASE83 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"
_PALETTE = 5
_OPAQUE_ENOUGH = 128
_BIN_BITS = 3
_MIN_DISTANCE = 48
"""The smallest distance between two colours of a palette, in sRGB units."""


class Pixels(NamedTuple):
    """A picture of `width` by `height` pixels; four bytes a pixel."""

    width: int
    height: int
    rgba: bytes


def thumbhash(pixels: Pixels) -> str:
    """A ThumbHash in base64, about 25 bytes, with alpha and aspect."""
    width, height, rgba = pixels
    alphas = [value / 255 for value in rgba[3::4]]
    total = sum(alphas)
    planes = [[value / 255 for value in rgba[channel::4]] for channel in range(3)]
    averages = [sum(map(_times, alphas, plane)) / total if total else 0.0 for plane in planes]
    red, green, blue = (
        [average * (1 - alpha) + alpha * value for alpha, value in zip(alphas, plane, strict=True)]
        for average, plane in zip(averages, planes, strict=True)
    )
    has_alpha = total < width * height
    most = 5 if has_alpha else 7
    across = max(1, _round(most * width / max(width, height)))
    down = max(1, _round(most * height / max(width, height)))
    light = _dct(
        [(r + g + b) / 3 for r, g, b in zip(red, green, blue, strict=True)],
        pixels,
        max(3, across),
        max(3, down),
    )
    yellow = _dct([(r + g) / 2 - b for r, g, b in zip(red, green, blue, strict=True)], pixels, 3, 3)
    redder = _dct([r - g for r, g in zip(red, green, strict=True)], pixels, 3, 3)
    head = (
        _round(63 * light.mean)
        | _round(31.5 + 31.5 * yellow.mean) << 6
        | _round(31.5 + 31.5 * redder.mean) << 12
        | _round(31 * light.scale) << 18
        | has_alpha << 23
    )
    is_wide = width > height
    shape = (
        (down if is_wide else across)
        | _round(63 * yellow.scale) << 3
        | _round(63 * redder.scale) << 9
        | is_wide << 15
    )
    nibbles = [*light.rest, *yellow.rest, *redder.rest]
    encoded = head.to_bytes(3, "little") + shape.to_bytes(2, "little")
    if has_alpha:
        alpha = _dct(alphas, pixels, 5, 5)
        encoded += bytes([_round(15 * alpha.mean) | _round(15 * alpha.scale) << 4])
        nibbles += alpha.rest
    numbers = [_round(15 * value) for value in nibbles]
    if len(numbers) % 2:
        numbers.append(0)
    encoded += bytes(low | high << 4 for low, high in zip(numbers[::2], numbers[1::2], strict=True))
    return base64.b64encode(encoded).decode()


class _Waves(NamedTuple):
    mean: float
    rest: list[float]
    scale: float


def _dct(plane: Sequence[float], pixels: Pixels, across: int, down: int) -> _Waves:
    """The lowest cosine terms of a plane, above the diagonal; all but the first are scaled to 0 to 1."""
    width, height, _ = pixels
    columns = [[math.cos(math.pi / width * at * (x + 0.5)) for x in range(width)] for at in range(across)]
    mean, rest, scale = 0.0, list[float](), 0.0
    rows = [plane[start : start + width] for start in range(0, width * height, width)]
    sums = [[sum(map(_times, row, column)) for row in rows] for column in columns]
    for wave_y in range(down):
        row_of = [math.cos(math.pi / height * wave_y * (y + 0.5)) for y in range(height)]
        wave_x = 0
        while wave_x * down < across * (down - wave_y):
            found = sum(map(_times, sums[wave_x], row_of)) / (width * height)
            if wave_x or wave_y:
                rest.append(found)
                scale = max(scale, abs(found))
            else:
                mean = found
            wave_x += 1
    if scale:
        rest = [0.5 + 0.5 / scale * value for value in rest]
    return _Waves(mean, rest, scale)


def blurhash(pixels: Pixels) -> str:
    """A BlurHash of four terms along the longer side and three along the other; transparent pixels count as white."""
    width, height, rgba = pixels
    across, down = (4, 3) if width >= height else (3, 4)
    planes = [
        [
            _linear((value * alpha + 255 * (255 - alpha)) / 255)
            for value, alpha in zip(rgba[channel::4], rgba[3::4], strict=True)
        ]
        for channel in range(3)
    ]
    columns = [[math.cos(math.pi * at * x / width) for x in range(width)] for at in range(across)]
    rows = [[math.cos(math.pi * at * y / height) for y in range(height)] for at in range(down)]
    factors: list[list[float]] = [[] for _ in range(across * down)]
    for plane in planes:
        lines = [plane[start : start + width] for start in range(0, width * height, width)]
        sums = [[sum(map(_times, line, column)) for line in lines] for column in columns]
        for at_y, row in enumerate(rows):
            for at_x in range(across):
                weight = (1 if at_x == at_y == 0 else 2) / (width * height)
                factors[at_y * across + at_x].append(weight * sum(map(_times, sums[at_x], row)))
    first, rest = factors[0], factors[1:]
    largest = max(abs(value) for factor in rest for value in factor)
    step = max(0, min(82, int(largest * 166 - 0.5)))
    most = (step + 1) / 166
    encoded = _base83((across - 1) + (down - 1) * 9, 1) + _base83(step, 1)
    red, green, blue = (_srgb(value) for value in first)
    encoded += _base83(red << 16 | green << 8 | blue, 4)
    for factor in rest:
        number = 0
        for value in factor:
            root = math.copysign(math.sqrt(abs(value / most)), value)
            number = number * 19 + max(0, min(18, int(root * 9 + 9.5)))
        encoded += _base83(number, 2)
    return encoded


def palette(pixels: Pixels) -> list[str]:
    """The main colours, the most common first, as `#rrggbb`; empty for a fully transparent picture."""
    bins: defaultdict[tuple[int, ...], list[tuple[int, ...]]] = defaultdict(list)
    rgba = pixels.rgba
    for at in range(0, len(rgba), 4):
        *colour, alpha = rgba[at : at + 4]
        if alpha >= _OPAQUE_ENOUGH:
            bins[tuple(value >> (8 - _BIN_BITS) for value in colour)].append(tuple(colour))
    found: list[tuple[int, ...]] = []
    for colours in sorted(bins.values(), key=lambda colours: (-len(colours), colours)):
        mean = tuple(_round(sum(values) / len(colours)) for values in zip(*colours, strict=True))
        if all(math.dist(mean, other) >= _MIN_DISTANCE for other in found):
            found.append(mean)
        if len(found) == _PALETTE:
            break
    return ["#" + bytes(colour).hex() for colour in found]


def _times(one: float, other: float) -> float:
    return one * other


def _round(value: float) -> int:
    """Rounds halves up, as both hashes require."""
    return math.floor(value + 0.5)


def _linear(value: float) -> float:
    """Linear light of an sRGB value, 0 to 255 (IEC 61966-2-1)."""
    return srgb.light(value / 255)


def _srgb(light: float) -> int:
    return int(srgb.value(light) * 255 + 0.5)


def _base83(number: int, length: int) -> str:
    return "".join(_BASE83[number // 83**at % 83] for at in reversed(range(length)))
