"""Tests wait for a condition, never for a time. The deadline is long enough for a busy machine."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tests.support.virtual_time import LONGEST_S as LONGEST_S
from tests.support.virtual_time import VirtualTimeLoop

PAUSE_S = 0.02

T = TypeVar("T")


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


async def eventually(condition: Callable[[], T | Awaitable[T]], pause_s: float = PAUSE_S) -> T:
    """Waits until the condition is true, and returns its value. Fails after LONGEST_S on the clock of the running loop."""
    end_s = deadline(LONGEST_S)
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value  # type: ignore[return-value]
        assert asyncio.get_running_loop().time() < end_s, "the condition never became true"
        await asyncio.sleep(pause_s)


def eventually_sync(condition: Callable[[], T], pause_s: float = PAUSE_S) -> T:
    """`eventually` for tests without an event loop."""
    end_s = time.monotonic() + LONGEST_S
    while not (value := condition()):
        assert time.monotonic() < end_s, "the condition never became true"
        time.sleep(pause_s)
    return value
