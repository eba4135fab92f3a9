"""Imgproxy's documented rules, applied to the gallery: a stand-in that answers the generated URLs where no imgproxy is.

It shares nothing with the dialect, so that two readings of the same documentation meet. Sides and offsets are in pixels.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import pyvips

from tests.rivals.comparison import Reply
from tests.rivals.imgproxy_options import (
    TYPES,
    Gravity,
    Options,
    Refused,
    colour_of,
    half_up,
    parsed,
    smaller,
)

NOTHING = Reply(404, "text/plain", b"")

QUALITY = {"jpeg": 80, "webp": 79}


@dataclass(slots=True)
class Plan:
    """Factors, and the sizes that follow from them."""

    x: float
    y: float
    dpr: float
    target: tuple[int, int]
    cut: tuple[int, int]
    ratio_canvas: tuple[int, int]


def factors(options: Options, width: int, height: int) -> tuple[float, float, float]:
    """How much the two sides shrink, and the dpr that is left of the one asked for."""
    to_width, to_height = options.width or width, options.height or height
    x, y = width / to_width, height / to_height
    if x != 1 or y != 1:
        kind = options.kind
        if kind == "auto":
            kind = "fill" if (width >= height) == (to_width >= to_height) else "fit"
        if not options.width and kind != "force":
            x = y
        elif not options.height and kind != "force":
            y = x
        elif kind == "fit":
            x = y = max(x, y)
        elif kind in ("fill", "fill-down"):
            x = y = min(x, y)
    x, y = x / options.zoom[0], y / options.zoom[1]
    dpr = options.dpr
    if not options.enlarge:
        least = min(x, y)
        if least < 1:
            x, y = x / least, y / least
            if not options.extend:
                dpr /= least
        dpr = min(dpr, x, y)
    if options.min_width and width / options.min_width < x:
        x, y = width / options.min_width, y * (width / options.min_width) / x
    if options.min_height and height / options.min_height < y:
        x, y = x * (height / options.min_height) / y, height / options.min_height
    return min(x / dpr, width), min(y / dpr, height), dpr


def planned(options: Options, width: int, height: int) -> Plan:
    x, y, dpr = factors(options, width, height)
    target = half_up(options.width * dpr * options.zoom[0]), half_up(options.height * dpr * options.zoom[1])
    scaled = half_up(width / x), half_up(height / y)
    cut = target
    if options.kind == "fill-down" and not options.enlarge:
        wider, higher = target[0] / scaled[0], target[1] / scaled[1]
        if wider > higher and wider > 1:
            cut = scaled[0], half_up(scaled[0] * (target[1] / target[0]))
        elif higher > wider and higher > 1:
            cut = half_up(scaled[1] * (target[0] / target[1])), scaled[1]
    canvas = (0, 0)
    if options.extend_ratio and all(target):
        out = smaller(scaled[0], cut[0]), smaller(scaled[1], cut[1])
        wider, higher = target[0] / out[0], target[1] / out[1]
        if higher > wider:
            canvas = out[0], half_up(out[0] * (target[1] / target[0]))
        elif wider > higher:
            canvas = half_up(out[1] * (target[0] / target[1])), out[1]
    return Plan(1 / x, 1 / y, dpr, target, cut, canvas)


def position(outer: tuple[int, int], inner: tuple[int, int], gravity: Gravity, dpr: float) -> tuple[int, int]:
    if gravity.kind == "fp":
        found = [
            round(side * share) - part // 2
            for side, share, part in zip(outer, (gravity.x, gravity.y), inner, strict=True)
        ]
    else:
        found = []
        for side, part, offset, first, last in zip(
            outer, inner, (gravity.x, gravity.y), ("we", "no"), ("ea", "so"), strict=True
        ):
            moved = round(offset * dpr) if abs(offset) >= 1 else round(side * offset)
            if first in gravity.kind:
                found.append(moved)
            elif last in gravity.kind:
                found.append(side - part - moved)
            else:
                found.append(round((side - part + 1) / 2) + moved)
    left, top = (
        max(0, min(start, side - part)) for start, side, part in zip(found, outer, inner, strict=True)
    )
    return left, top


def cropped(image: pyvips.Image, size: tuple[int, int], gravity: Gravity, dpr: float = 1.0) -> pyvips.Image:
    width, height = smaller(size[0], image.width), smaller(size[1], image.height)
    if not any(size) or (width >= image.width and height >= image.height):
        return image
    if gravity.kind == "sm":
        return image.smartcrop(width, height)
    left, top = position((image.width, image.height), (width, height), gravity, dpr)
    return image.crop(left, top, width, height)


def surrounded(image: pyvips.Image, left: int, top: int, width: int, height: int) -> pyvips.Image:
    """On a larger canvas of nothing."""
    if not image.hasalpha():
        image = image.bandjoin(255)
    return image.embed(left, top, width, height, extend="black")


def extended(image: pyvips.Image, size: tuple[int, int], gravity: Gravity, dpr: float) -> pyvips.Image:
    width, height = size
    if width <= image.width and height <= image.height:
        return image
    width, height = width or image.width, height or image.height
    left, top = position((width, height), (image.width, image.height), gravity, dpr)
    return surrounded(image, left, top, width, height)


def trimmed(image: pyvips.Image, trim: tuple[float, str, bool, bool]) -> pyvips.Image:
    threshold, colour, horizontal, vertical = trim
    flat = image.flatten(background=[255, 0, 255]) if image.hasalpha() else image
    background = colour_of([colour]) if colour else flat(0, 0)
    left, top, width, height = flat.find_trim(threshold=threshold, background=background)
    right, bottom = image.width - left - width, image.height - top - height
    if horizontal:
        left = right = min(left, right)
    if vertical:
        top = bottom = min(top, bottom)
    if not width or not height:
        return image
    return image.crop(left, top, image.width - left - right, image.height - top - bottom)


def pixelated(image: pyvips.Image, pixels: int) -> pyvips.Image:
    pixels = min(pixels, max(image.width, image.height))
    if pixels < 2:
        return image
    width, height = (math.ceil(side / pixels) * pixels for side in (image.width, image.height))
    blocks = image.embed(0, 0, width, height, extend="mirror").shrink(pixels, pixels)
    return blocks.zoom(pixels, pixels).crop(0, 0, image.width, image.height)


def filtered(image: pyvips.Image, options: Options) -> pyvips.Image:
    has_alpha = image.hasalpha() and (options.blur > 0 or options.sharpen > 0)
    if has_alpha:
        image = image.premultiply().cast("uchar")
    if options.blur:
        image = image.gaussblur(options.blur)
    if options.sharpen:
        image = image.sharpen(sigma=options.sharpen).colourspace("srgb")
    image = pixelated(image, options.pixelate)
    return image.unpremultiply().cast("uchar") if has_alpha else image


def scaled(image: pyvips.Image, plan: Plan) -> pyvips.Image:
    if plan.x == 1 and plan.y == 1:
        return image
    if not image.hasalpha():
        return image.resize(plan.x, vscale=plan.y)
    return image.premultiply().resize(plan.x, vscale=plan.y).unpremultiply().cast("uchar")


def rendered(image: pyvips.Image, options: Options) -> pyvips.Image:
    """The steps in the order that imgproxy has; turned first, which is the same but for rounding."""
    if options.trim:
        image = trimmed(image, options.trim)
    if options.is_oriented:
        image = image.autorot()
    turns = {90: image.rot90, 180: image.rot180, 270: image.rot270}
    image = turns.get(options.rotate % 360, image.copy)()
    source = image.width, image.height
    size = tuple(
        int(part) if part >= 1 else max(1, half_up(side * part)) if part else 0
        for part, side in zip(options.crop, source, strict=True)
    )
    plan = planned(options, smaller(size[0], source[0]), smaller(size[1], source[1]))
    image = cropped(image, (size[0], size[1]), options.crop_gravity or options.gravity)
    image = cropped(scaled(image, plan), plan.cut, options.gravity, plan.dpr)
    image = filtered(image, options)
    if options.extend:
        image = extended(image, plan.target, options.extend_gravity, plan.dpr)
    if options.extend_ratio and all(plan.ratio_canvas):
        image = extended(image, plan.ratio_canvas, Gravity(), plan.dpr)
    if any(options.padding):
        top, right, bottom, left = (round(side * plan.dpr) for side in options.padding)
        image = surrounded(image, left, top, image.width + left + right, image.height + top + bottom)
    return image


class ImgproxyRules:
    """Answers as imgproxy would, from a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ask(self, target: str) -> Reply:
        try:
            options, name = parsed(target)
        except Refused:
            return NOTHING
        path = self.folder / name
        if not path.is_file():
            return NOTHING
        image = rendered(pyvips.Image.new_from_file(str(path)).colourspace("srgb"), options)
        kind = options.format or TYPES[path.suffix[1:]]
        if not options.format and kind not in ("jpeg", "png", "gif"):
            kind = "png" if image.hasalpha() and options.background is None else "jpeg"
        if image.hasalpha() and (options.background is not None or kind == "jpeg"):
            image = image.flatten(background=options.background or [255, 255, 255])
        saved = {"Q": options.quality or QUALITY[kind]} if kind in QUALITY else {}
        return Reply(200, f"image/{kind}", bytes(image.write_to_buffer(f".{kind}", **saved)))
