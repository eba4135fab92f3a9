"""How tests wait: for a condition, never for a time. What is well comes soon; what never comes fails after a while that no
machine is too busy for."""

import asyncio
import time
from collections.abc import Callable

LONGEST_S = 120.0
"""After which a test gives up what never comes. Nothing that is well waits for it to pass."""


async def settled() -> None:
    """Until everything has gone on that waits for no time and no thread."""
    for _ in range(500):
        await asyncio.sleep(0)


async def eventually(so: Callable[[], object]) -> None:
    """Waits until it is so."""
    deadline = time.monotonic() + LONGEST_S
    while not so():
        assert time.monotonic() < deadline, "it never came so"
        await asyncio.sleep(0.02)
