"""The originals that every rival is asked for: generated, of odd and even sizes, upright and wide, one pixel to 1,200."""

from pathlib import Path

import pyvips

from tests.support.pictures import encoded, photo

JPEGS = {
    "lake.jpg": (1200, 800),
    "tower.jpg": (720, 1080),
    "square.jpg": (512, 512),
    "street.jpg": (641, 427),
    "tiny.jpg": (64, 48),
}
PNGS = {"chart.png": (801, 601), "door.png": (333, 501), "stripe.png": (301, 77), "dot.png": (1, 1)}
CUT_OUTS = {"logo.png": (400, 300), "icon.png": (37, 41)}
OTHERS = {"shop.webp": (500, 375), "still.gif": (240, 180)}
FRAMED = "framed.png"
"""A picture inside a white frame, to be trimmed."""

SIZES = JPEGS | PNGS | CUT_OUTS | OTHERS | {FRAMED: (300, 220)}
"""Width and height of each, in pixels."""


def is_long(size: tuple[int, int]) -> bool:
    """Whether the other side may become too long where one side is given."""
    return max(size) > 4 * min(size)


ORIENTED = "oriented.jpg"
"""A JPEG of 400x300 that EXIF lays on its side. Thumbor and ipx show it as it is stored."""


def scene(width: int, height: int, seed: int) -> pyvips.Image:
    """Smooth and a little noisy, with edges, and unlike its mirror images."""
    image = photo(max(width, 8), max(height, 8), seed=seed).crop(0, 0, width, height)
    if min(width, height) < 16:
        return image
    image = image.draw_rect([225, 40, 35], width // 10, height // 8, width // 3, height // 5, fill=True)
    image = image.draw_rect([250, 240, 220], width // 2, height // 2, width // 5, height // 3, fill=True)
    centre = 3 * width // 4, height // 4, min(width, height) // 8
    return image.draw_circle([20, 60, 160], *centre, fill=True)


def disc(width: int, height: int) -> pyvips.Image:
    """The alpha of a cut-out: opaque in an ellipse, half transparent around it, then nothing."""
    x = (pyvips.Image.xyz(width, height)[0] - width / 2) / (width / 2)
    y = (pyvips.Image.xyz(width, height)[1] - height / 2) / (height / 2)
    distance = (x**2 + y**2) ** 0.5
    return (distance < 0.9).ifthenelse((distance < 0.7).ifthenelse(255, 128), 0).cast("uchar")


def fill(folder: Path) -> None:
    """Writes the gallery."""
    for seed, (name, (width, height)) in enumerate(SIZES.items(), start=1):
        image = scene(width, height, seed)
        if name in CUT_OUTS:
            image = image.bandjoin(disc(width, height))
        if name == FRAMED:
            inner = image.crop(0, 0, width - 70, height - 50)
            image = inner.embed(40, 20, width, height, extend="background", background=[255, 255, 255])
        kind = {"jpg": "jpeg"}.get(name.rpartition(".")[2], name.rpartition(".")[2])
        (folder / name).write_bytes(encoded(image.copy(interpretation="srgb"), kind, keep="none"))
    lying = scene(400, 300, 99).copy()
    lying.set_type(pyvips.GValue.gint_type, "orientation", 6)
    (folder / ORIENTED).write_bytes(bytes(lying.jpegsave_buffer(Q=92)))
