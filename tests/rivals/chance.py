"""Chance for the generators: the same URLs for the same seed. CALOTYPE_RIVALS_SEED tries others."""

import os
import random
from collections.abc import Sequence
from typing import TypeVar

SEED = int(os.environ.get("CALOTYPE_RIVALS_SEED", "16"))
URLS = int(os.environ.get("CALOTYPE_RIVALS_URLS", "500"))

USUAL = (64, 100, 120, 150, 200, 240, 256, 300, 320, 360, 400, 480, 600, 640, 750)
"""Sides that pages ask for."""

T = TypeVar("T")


class Chance(random.Random):
    """A source of choices with weights."""

    def one_in(self, number: int) -> bool:
        return self.randrange(number) == 0

    def weighted(self, choices: dict[T, int]) -> T:
        return self.choices(tuple(choices), weights=tuple(choices.values()))[0]

    def side(self, largest: int = 760) -> int:
        """A usual side in pixels, or any."""
        usual = [side for side in USUAL if side <= largest]
        return self.choice(usual) if self.randrange(3) else self.randint(1, largest)

    def some(self, choices: Sequence[T], most: int) -> list[T]:
        return self.sample(choices, self.randint(1, most))
