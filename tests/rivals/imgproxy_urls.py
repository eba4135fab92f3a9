"""URLs of the open-source imgproxy, unsigned, as often as clients write each option."""

import base64
from collections.abc import Callable, Iterator

from tests.rivals import gallery
from tests.rivals.chance import SEED, URLS, Chance
from tests.rivals.comparison import WRONG, Case

TYPES = {"fit": 40, "fill": 40, "fill-down": 8, "force": 6, "auto": 6}

GRAVITIES = ("no", "so", "ea", "we", "noea", "nowe", "soea", "sowe", "ce")

SIZES = gallery.SIZES | {gallery.ORIENTED: (300, 400)}

OPTIONS: dict[str, tuple[int, Callable[[Chance], str]]] = {
    "dpr": (10, lambda chance: f"dpr:{chance.choice(('2', '1.5', '3', '0.5'))}"),
    "zoom": (40, lambda chance: f"{chance.choice(('z', 'zoom'))}:{chance.choice(('0.5', '1.5', '2:1'))}"),
    "min-width": (40, lambda chance: f"mw:{chance.side(600)}"),
    "min-height": (40, lambda chance: f"min-height:{chance.side(600)}"),
    "extend_ar": (25, lambda chance: f"{chance.choice(('exar', 'extend_ar'))}:1"),
    "padding": (15, lambda chance: f"pd:{chance.choice(('10', '10:20', '5:10:15:20', '0:30'))}"),
    "background": (8, lambda chance: f"bg:{chance.choice(('ff0000', 'fff', '10:200:30'))}"),
    "blur": (12, lambda chance: f"{chance.choice(('bl', 'blur'))}:{chance.choice(('0.5', '1', '3', '8'))}"),
    "sharpen": (12, lambda chance: f"sh:{chance.choice(('0.5', '1', '2'))}"),
    "pixelate": (25, lambda chance: f"pix:{chance.choice((2, 5, 10, 16))}"),
    "rotate": (12, lambda chance: f"{chance.choice(('rot', 'rotate'))}:{chance.choice((90, 180, 270))}"),
    "auto_rotate": (40, lambda chance: "ar:0"),
    "cachebuster": (12, lambda chance: f"cb:{chance.randrange(1000)}"),
    "filename": (40, lambda chance: "fn:picture"),
    "strip_metadata": (25, lambda chance: "sm:1"),
}
"""Each is in one of so many URLs."""

REFUSED = (
    "rs:nearly:100:100",
    "w:-1",
    "w:ten",
    "unknown:1",
    "g:up",
    "rot:45",
    "bg:1:2",
    "q:101",
    "f:xyz",
    "dpr:0",
    "c:-1",
)
"""Options that imgproxy refuses."""


def urls(seed: int = SEED, count: int = URLS) -> Iterator[Case]:
    chance = Chance(f"imgproxy {seed}")
    for _ in range(count):
        yield case(chance)


def case(chance: Chance) -> Case:
    name = chance.choice(tuple(SIZES))
    region = SIZES[name]
    if chance.one_in(40):
        wrong = chance.choice(REFUSED)
        return Case(f"/unsafe/{wrong}/plain/local:///{name}", region, (WRONG, wrong.partition(":")[0]))
    if chance.one_in(60):
        return Case(f"/unsafe/w:100/plain/local:///missing-{name}", region, ("missing",))
    found: list[tuple[str, str]] = []
    if chance.one_in(8):
        text, region = crop(chance, region)
        found.append(("crop", text))
    found += sizing(chance, is_long=gallery.is_long(region))
    if name == gallery.FRAMED and chance.one_in(2):
        found.append(("trim", f"t:{chance.choice(('10', '10:ffffff', '20::1:1'))}"))
    found += [(part, make(chance)) for part, (rare, make) in OPTIONS.items() if chance.one_in(rare)]
    extension = chance.weighted({"png": 70, "": 14, "jpg": 8, "webp": 8})
    if extension == "png" and chance.one_in(4):
        found.append(("format", "f:png"))
        extension = ""
    if chance.one_in(3):
        found.append(("quality", f"{chance.choice(('q', 'quality'))}:{chance.choice((60, 75, 80, 90))}"))
    chance.shuffle(found)
    path = [text for _, text in found] + source(chance, f"local:///{name}", extension)
    parts = [part for part, _ in found] + ([f"to-{extension}"] if extension else [])
    return Case("/unsafe/" + "/".join(path), region, tuple(parts))


def sizing(chance: Chance, *, is_long: bool) -> list[tuple[str, str]]:
    """A resizing option, or width and height; with gravity where something may be cut."""
    kind = chance.weighted(TYPES)
    width, height = chance.side(), chance.side()
    width, height = chance.weighted({(width, height): 70, (width, 0): 18, (0, height): 8, (0, 0): 4})
    enlarge, extend = int(not is_long and chance.one_in(5)), int(chance.one_in(8))
    form = chance.weighted({"rs": 60, "w h": 25, "s": 15})
    found: list[tuple[str, str]] = []
    if form == "rs":
        text = f"{chance.choice(('rs', 'resize'))}:{kind}:{width}:{height}:{enlarge}" + (
            ":1" if extend else ""
        )
        found.append((kind, text))
    else:
        found.append((kind, f"rt:{kind}"))
        if form == "s":
            found.append(("size", f"s:{width}:{height}"))
        else:
            found += [("width", f"w:{width}"), ("height", f"height:{height}")]
        if enlarge:
            found.append(("enlarge", "el:1"))
        if extend:
            found.append(("extend", chance.choice(("ex:1", "extend:1:no", "ex:t:soea:10:10"))))
    if chance.one_in(3):
        found.append(gravity(chance))
    return found


def gravity(chance: Chance) -> tuple[str, str]:
    kind = chance.weighted({"side": 60, "offset": 12, "part": 8, "fp": 15, "sm": 5})
    side = chance.choice(GRAVITIES)
    match kind:
        case "offset":
            return "gravity-offset", f"g:{side}:{chance.randint(0, 60)}:{chance.randint(0, 60)}"
        case "part":
            return "gravity-offset", f"g:{side}:0.{chance.randint(0, 3)}:0.{chance.randint(0, 3)}"
        case "fp":
            return "gravity-fp", f"g:fp:0.{chance.randint(0, 9)}:0.{chance.randint(0, 9)}"
        case "sm":
            return "gravity-sm", "g:sm"
        case _:
            return "gravity", f"{chance.choice(('g', 'gravity'))}:{side}"


def crop(chance: Chance, region: tuple[int, int]) -> tuple[str, tuple[int, int]]:
    width, height = chance.randint(1, region[0] + 20), chance.randint(1, region[1] + 20)
    where = chance.choice(("", "", ":nowe:10:20", ":so", ":fp:0.3:0.6", ":ea:0.1:0"))
    if chance.one_in(4):
        return f"c:0.5:0.{chance.randint(1, 9)}{where}", region
    return f"{chance.choice(('c', 'crop'))}:{width}:{height}{where}", (width, height)


def source(chance: Chance, url: str, extension: str) -> list[str]:
    """The segments that name the original: plain, or base64url in one piece or several."""
    if chance.one_in(2):
        return ["plain", url + (f"@{extension}" if extension else "")]
    text = base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
    if chance.one_in(4):
        text = f"{text[:8]}/{text[8:]}"
    return [text + (f".{extension}" if extension else "")]
