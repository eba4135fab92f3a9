"""URLs of ipx: `/_ipx/MODIFIERS/NAME`, as Nuxt Image writes them and as people do by hand."""

from collections.abc import Callable, Iterator

from tests.rivals import gallery
from tests.rivals.chance import SEED, URLS, Chance
from tests.rivals.comparison import WRONG, Case

FITS = {"": 45, "cover": 15, "contain": 12, "inside": 12, "outside": 6, "fill": 8}

POSITIONS = ("top", "right", "bottom", "left", "center", "left%20top", "right%20bottom", "north", "southwest")

EFFECTS: dict[str, Callable[[Chance], str]] = {
    "blur": lambda chance: f"blur_{chance.choice(('0.5', '1', '2', '5', '10', 'true'))}",
    "sharpen": lambda chance: f"sharpen_{chance.choice(('0.5', '1', '2', '3_1_2', 'true'))}",
    "median": lambda chance: f"median_{chance.choice((2, 3, 5))}",
    "gamma": lambda chance: f"gamma_{chance.choice(('1.5', '2.2', '2', '3_1', '1_2.2', '2_1.5'))}",
    "negate": lambda chance: "negate",
    "normalize": lambda chance: "normalize",
    "grayscale": lambda chance: "grayscale",
    "threshold": lambda chance: f"threshold_{chance.choice((64, 100, 128, 200, 'true'))}",
    "tint": lambda chance: f"tint_{chance.choice(('red', 'navy', 'teal'))}",
}

REFUSED = (
    "w_0",
    "w_abc",
    "h_-5",
    "w_1.5",
    "q_0",
    "q_101",
    "blur_0.1",
    "s_-5x5",
    "rotate_x",
    "gamma_9",
    "threshold_256",
)
"""Arguments that ipx refuses."""


def urls(seed: int = SEED, count: int = URLS) -> Iterator[Case]:
    chance = Chance(f"ipx {seed}")
    for _ in range(count):
        yield case(chance)


def case(chance: Chance) -> Case:
    name = chance.choice(tuple(gallery.SIZES))
    region = gallery.SIZES[name]
    if chance.one_in(40):
        wrong = chance.choice(REFUSED)
        return Case(f"/_ipx/{wrong}/{name}", region, (WRONG, wrong.partition("_")[0]))
    if chance.one_in(60):
        return Case(f"/_ipx/w_{chance.side()}/missing-{name}", region, ("missing",))
    found: list[tuple[str, str]] = []
    if chance.one_in(12) and min(region) > 2:
        text, region = extract(chance, region)
        found.append(("extract", text))
    found += sizing(chance, is_long=gallery.is_long(region))
    if chance.one_in(5):
        found += [(effect, EFFECTS[effect](chance)) for effect in chance.some(tuple(EFFECTS), 2)]
    found += [(part, text) for part, text, rare in turns(chance) if chance.one_in(rare)]
    output = chance.weighted({"png": 65, "": 15, "webp": 12, "jpeg": 8})
    if output:
        found.append((f"f-{output}", f"{chance.choice(('f', 'format'))}_{output}"))
    # A PNG of a quality has a palette.
    if output not in ("png", "") and chance.one_in(2):
        found.append(("q", f"q_{chance.choice((60, 70, 75, 80, 90))}"))
    chance.shuffle(found)
    separator = chance.choice((",", ",", "&"))
    modifiers = separator.join(text for _, text in found) or "_"
    return Case(f"/_ipx/{modifiers}/{name}", region, tuple(part for part, _ in found))


def sizing(chance: Chance, *, is_long: bool) -> list[tuple[str, str]]:
    """A width, a height, both, or a box with its fit. Beside a width a height has no effect."""
    width, height = chance.side(), chance.side()
    kind = chance.weighted({"w": 35, "h": 10, "w h": 5, "s": 40, "square": 3, "": 7})
    found: list[tuple[str, str]] = []
    if "w" in kind:
        found.append(("w", f"{chance.choice(('w', 'w', 'width'))}_{width}"))
    if "h" in kind:
        found.append(("h", f"{chance.choice(('h', 'h', 'height'))}_{height}"))
    if kind == "square":
        found.append(("s", f"s_{width}"))
    if kind == "s":
        found.append(("s", f"{chance.choice(('s', 's', 'resize'))}_{width}x{height}"))
        fit = chance.weighted(FITS)
        if fit:
            found.append((f"fit-{fit}", f"fit_{fit}"))
        if fit == "contain" and chance.one_in(2):
            found.append(
                ("b", f"{chance.choice(('b', 'background'))}_{chance.choice(('ffffff', 'f80', '336699'))}")
            )
        if fit in ("", "cover") and chance.one_in(4):
            found.append(("position", f"{chance.choice(('pos', 'position'))}_{chance.choice(POSITIONS)}"))
        if chance.one_in(20):
            found.append(("kernel", f"kernel_{chance.choice(('nearest', 'cubic', 'lanczos2'))}"))
    if kind and not is_long and chance.one_in(6):
        found.append(("enlarge", chance.choice(("enlarge", "enlarge_true"))))
    return found


def extract(chance: Chance, region: tuple[int, int]) -> tuple[str, tuple[int, int]]:
    width, height = region
    left, top = chance.randrange(width - 1), chance.randrange(height - 1)
    size = chance.randint(1, width - left), chance.randint(1, height - top)
    return f"{chance.choice(('crop', 'extract'))}_{left}_{top}_{size[0]}_{size[1]}", size


def turns(chance: Chance) -> list[tuple[str, str, int]]:
    """What turns or surrounds: the part, its text, and that it is in one of so many URLs."""
    return [
        ("rotate", f"rotate_{chance.choice((90, 180, 270))}", 20),
        ("flip", "flip", 25),
        ("flop", "flop", 25),
        ("extend", f"extend_{chance.randint(0, 30)}_{chance.randint(0, 30)}_5_{chance.randint(0, 30)}", 25),
        ("flatten", "flatten,b_ff8800", 30),
        ("unknown", "loading_lazy", 50),
    ]
