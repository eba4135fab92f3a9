"""Clocks, passed as arguments."""

from collections.abc import Callable
from typing import TypeAlias

Clock: TypeAlias = Callable[[], float]
"""Seconds of CLOCK_MONOTONIC, the clock of asyncio and uvloop, so that a deadline can be passed to
`asyncio.timeout_at`. Finer than uvloop's own clock, which advances by milliseconds."""

WallClock: TypeAlias = Callable[[], float]
"""Unix seconds, for dates that other systems write; never for a duration."""
