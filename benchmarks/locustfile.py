"""Visitors of a shop, for Locust: `locust -f benchmarks/locustfile.py --host http://127.0.0.1:8080`.

Locust is no dependency: `pip install locust` into an environment of its own. A visitor opens pages of a catalogue. The
pictures of a page are chosen by Zipf's law, each in the width of a srcset that fits the screen, in the format that the
browser takes. CALOTYPE_ORIGINALS names the keys, one a line, of the originals; without it they are those of the demo.
"""

import os
import random
from itertools import accumulate
from pathlib import Path
from typing import ClassVar

from locust import FastHttpUser, between, task

EXPONENT = 1.1
"""Of Zipf's law: the popularity of a rank is 1 / rank ** EXPONENT."""
WIDTHS = (320, 640, 960, 1280, 1920)
SCREENS = ((320, 0.25), (640, 0.35), (960, 0.15), (1280, 0.15), (1920, 0.10))
"""Widths with their share of the visitors."""
ACCEPTS = (
    ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", 0.72),
    ("image/webp,image/avif,image/jxl,image/heic,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5", 0.18),
    ("image/webp,*/*", 0.07),
    ("*/*", 0.03),
)
"""Headers of Chromium, Safari, older browsers and crawlers, with their share of the visitors."""
PICTURES_OF_A_PAGE = 12
DEMO = ("lake.jpg", "tower.jpg", "poppies.jpg", "bottle.png")


def originals() -> list[str]:
    """The keys of originals, the most popular first."""
    named = os.environ.get("CALOTYPE_ORIGINALS")
    return Path(named).read_text().split("\n") if named else list(DEMO)


class Visitor(FastHttpUser):
    """One browser: its screen and its Accept header stay the same."""

    wait_time = between(1, 5)
    keys: ClassVar[list[str]] = [key for key in originals() if key]
    weights: ClassVar[list[float]] = list(accumulate(1 / rank**EXPONENT for rank in range(1, len(keys) + 1)))

    def on_start(self) -> None:
        (self.screen_px,) = random.choices(*zip(*SCREENS, strict=True))
        (self.accept,) = random.choices(*zip(*ACCEPTS, strict=True))

    @task
    def open_page(self) -> None:
        for key in random.choices(self.keys, cum_weights=self.weights, k=PICTURES_OF_A_PAGE):
            self.client.get(
                f"/w_{self.screen_px},f_auto/{key}",
                headers={"Accept": self.accept},
                name="/w_WIDTH,f_auto/KEY",
            )
