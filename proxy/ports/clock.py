"""Time, as an argument."""

from typing import Protocol


class Clock(Protocol):
    """Seconds of CLOCK_MONOTONIC: what asyncio's and uvloop's own clocks count, so that a deadline taken here can be
    handed to `asyncio.timeout_at`, but finer than uvloop's, which stands still within a millisecond."""

    def __call__(self) -> float: ...


class WallClock(Protocol):
    """Seconds of the unix epoch; for what the world outside dates, never for how long something takes."""

    def __call__(self) -> float: ...
