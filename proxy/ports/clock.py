"""Clocks, passed as arguments."""

from typing import Protocol


class Clock(Protocol):
    """Seconds of CLOCK_MONOTONIC, the clock of asyncio and uvloop, so that a deadline can be passed to
    `asyncio.timeout_at`. Finer than uvloop's own clock, which advances by milliseconds."""

    def __call__(self) -> float: ...


class WallClock(Protocol):
    """Unix seconds, for dates that other systems write; never for a duration."""

    def __call__(self) -> float: ...
