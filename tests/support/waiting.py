"""How tests wait: for a condition, never for a time. A deadline is so generous that no machine is too busy for it."""

import asyncio
import time
from collections.abc import Callable

from tests.support.virtual_time import LONGEST_S as LONGEST_S
from tests.support.virtual_time import VirtualTimeLoop

PAUSE_S = 0.02


def deadline(seconds: float = 5.0) -> float:
    """A point in time on the clock of the running loop, `seconds` from now."""
    return asyncio.get_running_loop().time() + seconds


async def settle() -> None:
    """Returns when every background task waits for something that time or another part has to bring."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, VirtualTimeLoop):
        await loop.settle()
        return
    for _ in range(500):
        await asyncio.sleep(0)


settled = settle


async def eventually(condition: Callable[[], object]) -> None:
    """Waits until the condition is true. Fails after LONGEST_S on the clock of the running loop."""
    end_s = deadline(LONGEST_S)
    while not condition():
        assert asyncio.get_running_loop().time() < end_s, "the condition never became true"
        await asyncio.sleep(PAUSE_S)


def eventually_sync(condition: Callable[[], object]) -> None:
    """`eventually` for tests without an event loop."""
    end_s = time.monotonic() + LONGEST_S
    while not condition():
        assert time.monotonic() < end_s, "the condition never became true"
        time.sleep(PAUSE_S)
