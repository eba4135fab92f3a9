"""Paints the demo's originals, so that the demo needs no download. Photographs of scikit-image are added if it is installed.

Runs as `python -m proxy.cli.demo_originals DIRECTORY`, a process of its own: the node never loads libvips.
"""

import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pyvips

RGB = tuple[int, int, int]


def paint(directory: Path) -> None:
    """Writes every original that is missing in `directory`; the pictures are always the same."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, (painted, options) in ORIGINALS.items():
        path = directory / name
        if not path.exists():
            part = path.with_name(f".{name}")
            part.write_bytes(painted().write_to_buffer(path.suffix, **options))
            part.rename(path)
    for name, photograph in _photographs():
        path = directory / name
        if not path.exists():
            part = path.with_name(f".{name}")
            shutil.copyfile(photograph, part)
            part.rename(path)


def _photographs() -> Iterator[tuple[str, Path]]:
    """The names of photographs with their files. Only the data of the package is used, which needs none of its dependencies."""
    package = find_spec("skimage")
    for folder in (package.submodule_search_locations or ()) if package else ():
        for name, file in PHOTOGRAPHS.items():
            if (path := Path(folder, "data", file)).exists():
                yield name, path


def _lake() -> pyvips.Image:
    return _landscape(
        2400, 1600, seed=11, dusk=((38, 52, 106), (250, 166, 92)), near=(18, 26, 44), sun=(0.68, 0.44)
    )


def _tower() -> pyvips.Image:
    """Stored rotated, as a camera held upright writes it, with EXIF orientation 6."""
    upright = _landscape(
        1200, 1800, seed=5, dusk=((16, 18, 60), (232, 92, 120)), near=(14, 10, 32), sun=(0.3, 0.36)
    )
    tower = _disc(1200, 1800, 760, 520, 70) + _box(1200, 1800, 700, 520, 120, 900)
    standing = (tower > 0).ifthenelse([12, 9, 26], upright).cast("uchar").copy(interpretation="srgb")
    lying = standing.rot270().copy()
    lying.set_type(pyvips.GValue.gint_type, "orientation", 6)
    return lying


def _poppies() -> pyvips.Image:
    """Reds and greens outside sRGB, in Display P3."""
    width, height = 1800, 1200
    field = _mixed((20, 120, 40), (6, 60, 30), _noise(width, height, 90, seed=3))
    petals = hearts = pyvips.Image.black(width, height)
    for number in range(70):
        # Multiples of the plastic number spread points evenly without random numbers.
        x, y = (
            int(number * 0.7548777 * width) % width,
            160 + int(number * 0.5698403 * height) % (height - 160),
        )
        radius = 10 + y // 26
        petals = petals.draw_circle(255, x, y, radius, fill=True)
        hearts = hearts.draw_circle(255, x, y, radius // 4, fill=True)
    field = _over(field, (235, 20, 24), petals.gaussblur(2) / 255)
    field = _over(field, (25, 8, 14), hearts.gaussblur(1) / 255)
    wide = _finished(field, grain=4)
    return wide.copy_memory().icc_transform("p3", input_profile="srgb", embedded=False)


def _bottle() -> pyvips.Image:
    """A cut-out product with a soft shadow: straight alpha."""
    width, height = 1200, 1600
    shape = (
        _box(width, height, 430, 520, 340, 880)
        + _disc(width, height, 600, 560, 170)
        + _box(width, height, 540, 220, 120, 260)
        + _box(width, height, 525, 180, 150, 70)
    )
    shape = (shape > 0).ifthenelse(255, 0).gaussblur(2).cast("uchar")
    x = pyvips.Image.xyz(width, height)[0]
    shine = _bell((x - 520) / 60) * 90 + _bell((x - 720) / 30) * 35
    glass = _flat(width, height, (24, 110, 92)) + shine
    label = _box(width, height, 430, 840, 340, 300).gaussblur(1) / 255
    glass = _over(glass, (244, 232, 204), label)
    glass = _over(glass, (190, 60, 44), _disc(width, height, 600, 990, 80).gaussblur(1) / 255)
    glass = _over(glass, (60, 40, 32), _box(width, height, 525, 180, 150, 110) / 255)
    shadow = _disc(width, height, 600, 1400, 220).gaussblur(40) / 255 * 110
    alpha = (shape > shadow).ifthenelse(shape, shadow)
    colours = (shape > 0).ifthenelse(glass, [0, 0, 0])
    return colours.bandjoin(alpha).cast("uchar").copy(interpretation="srgb")


def _marble() -> pyvips.Image:
    width, height = 1600, 1200
    x = pyvips.Image.xyz(width, height)[0]
    veins = ((_noise(width, height, 200, seed=21) * 6 + x / 160) * 180 / 3.14159).sin() / 2 + 0.5
    stone = _mixed((236, 232, 226), (84, 88, 104), veins**3)
    return _finished(stone, grain=3)


def _orbit() -> pyvips.Image:
    """Twenty frames of an orbiting moon."""
    size, count = 360, 20
    frames = []
    for number in range(count):
        turn = pyvips.Image.black(1, 1) + number * 360 / count
        x, y = int(size / 2 + 120 * turn.cos().avg()), int(size / 2 + 60 * turn.sin().avg())
        sky = _mixed((10, 12, 40), (52, 24, 84), pyvips.Image.xyz(size, size)[1] / size)
        planet, moon = (
            _disc(size, size, 180, 180, 70).gaussblur(2) / 255,
            _disc(size, size, x, y, 22).gaussblur(1) / 255,
        )
        first, then = ((planet, (230, 150, 80)), (moon, (240, 240, 235)))[:: 1 if y > 180 else -1]
        frames.append(_rgb(_over(_over(sky, first[1], first[0]), then[1], then[0])))
    strip = pyvips.Image.arrayjoin(frames, across=1).copy()
    strip.set_type(pyvips.GValue.gint_type, "page-height", size)
    strip.set_type(pyvips.GValue.array_int_type, "delay", [60] * count)
    strip.set_type(pyvips.GValue.gint_type, "loop", 0)
    return strip


def _landscape(
    width: int, height: int, *, seed: int, dusk: tuple[RGB, RGB], near: RGB, sun: tuple[float, float]
) -> pyvips.Image:
    """Ridges in front of a low sun over water."""
    xy = pyvips.Image.xyz(width, height)
    x, y = xy[0], xy[1]
    horizon = int(height * 0.62)
    sky = _mixed(dusk[0], dusk[1], (y / horizon) ** 1.5)
    clouds = (_noise(width, height, 260, seed=seed + 1) - 0.55).linear([2.2], [0]) * (y < horizon).ifthenelse(
        1, 0
    )
    sky = _over(sky, (255, 214, 190), (clouds > 0).ifthenelse(clouds, 0) * 0.6)
    sun_x, sun_y = int(width * sun[0]), int(height * sun[1])
    glow = (((x - sun_x) ** 2 + (y - sun_y) ** 2) ** 0.5 / (width * -0.16)).exp()
    scene = _over(sky, (255, 236, 190), glow * 0.85)
    scene = _over(scene, (255, 250, 232), _disc(width, height, sun_x, sun_y, width // 34).gaussblur(3) / 255)
    for depth, (share, rough) in enumerate(((0.50, 300), (0.56, 210), (0.60, 130))):
        line = _noise(width, 1, rough, seed=seed + 10 + depth) * height * (0.22 - depth * 0.05)
        ridge = y - (height * (share + 0.06) - line.replicate(1, height))
        tone = tuple((near[band] * (depth + 1) + dusk[1][band] * (2 - depth)) // 3 for band in range(3))
        cover = (ridge > 1.5).ifthenelse(1, (ridge < 0).ifthenelse(0, ridge / 1.5))
        scene = _over(scene, tone, cover * (y < horizon).ifthenelse(1, 0))
    scene = _rgb(scene).copy_memory()
    mirrored = scene.crop(0, 2 * horizon - height, width, height - horizon).flipver().gaussblur(4)
    ripples = _noise(width, height - horizon, 24, seed=seed + 40) * 0.25 + 0.62
    water = _rgb(mirrored * ripples)
    return _finished(scene.insert(water, 0, horizon), grain=5)


def _noise(width: int, height: int, cell: int, *, seed: int) -> pyvips.Image:
    """Three octaves of Perlin noise, about 0 to 1."""
    octaves = [
        pyvips.Image.perlin(width, height, cell_size=max(2, cell >> octave), seed=seed + octave) / (2**octave)
        for octave in range(3)
    ]
    return (octaves[0] + octaves[1] + octaves[2]) / 3.5 + 0.5


def _bell(x: pyvips.Image) -> pyvips.Image:
    return ((x**2) * -1).exp()


def _flat(width: int, height: int, colour: RGB) -> pyvips.Image:
    return pyvips.Image.black(width, height, bands=3) + list(colour)


def _mixed(one: RGB, other: RGB, share: pyvips.Image) -> pyvips.Image:
    return share * [other[band] - one[band] for band in range(3)] + list(one)


def _over(scene: pyvips.Image, colour: tuple[int, ...], cover: pyvips.Image) -> pyvips.Image:
    return scene + (scene * -1 + list(colour)) * cover


def _disc(width: int, height: int, x: int, y: int, radius: int) -> pyvips.Image:
    return pyvips.Image.black(width, height).draw_circle(255, x, y, radius, fill=True)


def _box(width: int, height: int, left: int, top: int, across: int, down: int) -> pyvips.Image:
    return pyvips.Image.black(width, height).draw_rect(255, left, top, across, down, fill=True)


def _rgb(scene: pyvips.Image) -> pyvips.Image:
    return scene.cast("uchar").copy(interpretation="srgb")


def _finished(scene: pyvips.Image, *, grain: float) -> pyvips.Image:
    noise = pyvips.Image.gaussnoise(scene.width, scene.height, mean=0, sigma=grain, seed=7)
    return _rgb(scene + noise)


PHOTOGRAPHS = {
    "astronaut.png": "astronaut.png",
    "cat.png": "chelsea.png",
    "coffee.png": "coffee.png",
    "galaxies.jpg": "hubble_deep_field.jpg",
    "garage.png": "motorcycle_left.png",
    "page.png": "page.png",
    "rocket.jpg": "rocket.jpg",
}
"""Photographs without restrictions (public domain, CC0), by their names in the demo."""

ORIGINALS: dict[str, tuple[Callable[[], pyvips.Image], dict[str, int]]] = {
    "lake.jpg": (_lake, {"Q": 92}),
    "tower.jpg": (_tower, {"Q": 90}),
    "poppies.jpg": (_poppies, {"Q": 92}),
    "bottle.png": (_bottle, {"compression": 6}),
    "marble.webp": (_marble, {"Q": 90}),
    "orbit.gif": (_orbit, {"effort": 3}),
}


if __name__ == "__main__":
    paint(Path(sys.argv[1]))
