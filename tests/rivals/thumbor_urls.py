"""URLs in the grammar of thumbor, as often as clients write each part. Filters of chance and of other pictures are left
out: noise, watermark, frame, round_corner; and those that the node refuses: fill with blur or auto."""

import re
from collections.abc import Callable, Iterator

from tests.rivals import gallery
from tests.rivals.chance import SEED, URLS, Chance
from tests.rivals.comparison import WRONG, Case

COLOURS = ("ff0000", "white", "black", "336699", "blue", "ccc")

MATRICES = (
    "1;2;1;2;4;2;1;2;1,3,true",
    "-1;-1;-1;-1;8;-1;-1;-1;-1,3,false",
    "0;-1;0;-1;5;-1;0;-1;0,3,true",
    "1;1;1;1;1,5,true",
)

TONES: dict[str, Callable[[Chance], str]] = {
    "grayscale": lambda chance: "grayscale()",
    "brightness": lambda chance: f"brightness({chance.randint(-60, 60)})",
    "contrast": lambda chance: f"contrast({chance.randint(-60, 40)})",
    "saturation": lambda chance: f"saturation({chance.choice(('0', '0.3', '0.5', '1.2', '1.5', '2'))})",
    "blur": lambda chance: f"blur({chance.choice(('1', '2', '3', '5', '8', '10,2', '7,3'))})",
    "sharpen": lambda chance: (
        f"sharpen({chance.choice(('0.5,0.5,true', '1,0.5,true', '0.8,1,false', '2,1,true'))})"
    ),
    "rgb": lambda chance: "rgb({},{},{})".format(*(chance.randint(-40, 40) for _ in "rgb")),
    "equalize": lambda chance: "equalize()",
    "colorize": lambda chance: "colorize({},{},{},{})".format(
        *(chance.randint(0, 100) for _ in "rgb"), chance.choice(("ff0000", "336699"))
    ),
    "convolution": lambda chance: f"convolution({chance.choice(MATRICES)})",
}
"""Filters of tone and sharpness."""

REFUSED = ("1.5x2", "smart/top", "-100", "filters:quality(80", "axb", "100x100/fit-in")
"""Parts in no place of the grammar: the rival takes them for the beginning of a name. Two sizes are not among them, since
the second is imagor's padding."""


def urls(seed: int = SEED, count: int = URLS) -> Iterator[Case]:
    chance = Chance(f"thumbor {seed}")
    for _ in range(count):
        yield case(chance)


def case(chance: Chance) -> Case:
    name = chance.choice(tuple(gallery.SIZES))
    region = gallery.SIZES[name]
    if chance.one_in(40):
        return Case(f"/unsafe/{chance.choice(REFUSED)}/{name}", region, (WRONG,))
    if chance.one_in(60):
        return Case(f"/unsafe/{chance.side()}x{chance.side()}/missing-{name}", region, ("missing",))
    path: list[str] = []
    parts: list[str] = []
    if name == gallery.FRAMED and chance.one_in(2):
        path.append(chance.choice(("trim", "trim:top-left:10", "trim:bottom-right", "trim:top-left:30")))
        parts.append("trim")
    if chance.one_in(8):
        text, region = crop(chance, region)
        path.append(text)
        parts.append("crop")
    fit = chance.weighted(
        {"": 60, "fit-in": 30, "adaptive-fit-in": 4, "full-fit-in": 4, "adaptive-full-fit-in": 2}
    )
    if gallery.is_long(region):
        fit = fit.replace("full-", "")
    # The node refuses an adaptive box with `orig`, and its fill.
    dimensions = sides(chance, fit, both=gallery.is_long(region) or "adaptive" in fit)
    if not fit and is_cut_to_nothing(dimensions, region):
        fit = "fit-in"
    if dimensions:
        path += [fit, dimensions] if fit else [dimensions]
        parts += [fit or "size", *(["flip"] if "-" in dimensions else [])]
    for choices in (("left", "center", "right"), ("top", "middle", "bottom"), ("smart",)):
        # Without detectors thumbor does not do what its users expect of `smart`: it crops at the alignment.
        if chance.one_in(6) and (fit or choices != ("smart",)):
            path.append(chance.choice(choices))
            parts.append(path[-1])
    filters = filters_of(chance, fit, dimensions, name)
    if is_small(dimensions, region) or "proportion" in dict(filters):
        filters = [(part, text) for part, text in filters if part != "sharpen"]
    if filters:
        path.append("filters:" + ":".join(text for _, text in filters))
        parts += [part for part, _ in filters]
    return Case("/".join(["/unsafe", *path, name]), region, tuple(parts))


def sides(chance: Chance, fit: str, *, both: bool) -> str:
    """Two sides, one, or `orig`; a minus mirrors. Full fits stay small, for they cover the box."""
    width, height = chance.side(500 if "full" in fit else 760), chance.side(500 if "full" in fit else 760)
    if both:
        return f"{width}x{height}"
    return chance.weighted(
        {
            f"{width}x{height}": 60,
            f"{width}x": 10,
            f"{width}x0": 6,
            f"x{height}": 5,
            f"0x{height}": 5,
            f"origx{min(height, 300)}": 1,
            f"{min(width, 300)}xorig": 1,
            f"-{width}x{height}": 3,
            f"{width}x-{height}": 2,
            "": 0 if fit else 6,
            "-0x-0": 0 if fit else 1,
        }
    )


def is_cut_to_nothing(dimensions: str, region: tuple[int, int]) -> bool:
    """Whether thumbor cuts less than half a pixel. It then answers with a black picture."""
    numbers = [int(number) for number in re.findall(r"\d+", dimensions) if number != "0"]
    return len(numbers) == 2 and max(numbers) > 1.5 * min(region) * min(numbers)


def is_small(dimensions: str, region: tuple[int, int]) -> bool:
    """Whether a side may become shorter than 32 pixels. There thumbor's sharpen writes beyond its memory, and dies later."""
    numbers = [int(number) for number in re.findall(r"\d+", dimensions) if number != "0"]
    return min(*region, *numbers) < 96 or max(region) > 3 * min(region)


def crop(chance: Chance, region: tuple[int, int]) -> tuple[str, tuple[int, int]]:
    """A rectangle, sometimes reaching out of the picture or empty, and the size of what is left."""
    width, height = region
    left, top = chance.randrange(width), chance.randrange(height)
    right = min(left + chance.randint(1, width), width + 20)
    bottom = min(top + chance.randint(1, height), height + 20)
    if chance.one_in(12):
        left, right = right, left
    text = f"{left}x{top}:{right}x{bottom}"
    if left >= min(right, width) or top >= min(bottom, height):
        return text, region
    return text, (min(right, width) - left, min(bottom, height) - top)


def filters_of(chance: Chance, fit: str, dimensions: str, name: str) -> list[tuple[str, str]]:
    """Pairs of a name and a text; mostly a format without loss, so that resamplers are compared."""
    found: list[tuple[str, str]] = []
    if name.endswith(".gif"):
        # Thumbor ignores filters of a GIF, the format too.
        return found
    if fit and "adaptive" not in fit and chance.one_in(3) and "orig" not in dimensions:
        colour = chance.weighted({"white": 4, "black": 2, "transparent": 1, "ff8800": 2})
        found.append(("fill-transparent" if colour == "transparent" else "fill", f"fill({colour})"))
    if fit and chance.one_in(10) and "orig" not in dimensions:
        found.append(("upscale", "upscale()"))
    if chance.one_in(8) and "orig" not in dimensions:
        found.append(("no_upscale", "no_upscale()"))
    if not fit and chance.one_in(25):
        found.append(("stretch", "stretch()"))
    if not fit and chance.one_in(15):
        width, height = gallery.SIZES[name]
        x, y = chance.randrange(width), chance.randrange(height)
        found.append(("focal", f"focal({x}x{y}:{x + 1 + width // 10}x{y + 1 + height // 10})"))
    if chance.one_in(4):
        found += [(tone, TONES[tone](chance)) for tone in chance.some(tuple(TONES), 2)]
    if chance.one_in(15):
        found.append(("rotate", f"rotate({chance.choice((90, 180, 270))})"))
    if chance.one_in(20):
        found.append(("proportion", f"proportion({chance.choice(('0.5', '0.75', '0.33'))})"))
    if name in gallery.CUT_OUTS and chance.one_in(3):
        found.append(("background_color", f"background_color({chance.choice(COLOURS)})"))
    output = chance.weighted({"png": 70, "": 14, "jpeg": 8, "webp": 8})
    if output:
        found.append((f"format-{output}", f"format({output})"))
    if chance.one_in(3):
        found.append(("quality", f"quality({chance.choice((60, 70, 75, 80, 85, 90, 95))})"))
    found += [(text[:-2], text) for text in ("strip_icc()", "strip_exif()") if chance.one_in(12)]
    return found
