"""URLs that imagor and thumbor share: those of thumbor without what imagor lacks or means otherwise."""

from collections.abc import Iterator

from tests.rivals import thumbor_urls
from tests.rivals.chance import SEED, URLS, Chance
from tests.rivals.comparison import Case

OTHERWISE = {
    "blur",
    "colorize",
    "contrast",
    "convolution",
    "equalize",
    "fill-auto",
    "focal",
    "rotate",
    "saturation",
    "sharpen",
    "smart",
    "trim",
    "wrong",
}
"""Parts of other units, other directions or other answers: imagor's blur is half a sigma, its rotation is clockwise."""


def urls(seed: int = SEED, count: int = URLS) -> Iterator[Case]:
    chance = Chance(f"imagor {seed}")
    while count:
        case = thumbor_urls.case(chance)
        if OTHERWISE.isdisjoint(case.parts) and "orig" not in case.target:
            yield case
            count -= 1
