"""Protection of calls to remote servers: retry budget, circuit breaker, size limit and minimum transfer rate."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from proxy.core.net.body_meter import BodyMeter
from proxy.core.net.breaker import Breaker, RetryBudget
from proxy.ports.clock import Clock
from proxy.remote.errors import Broken, Busy, CircuitOpen, RemoteError, TooLarge, TooSlow, Unavailable

MAX_FAILURES = 5
CIRCUIT_OPEN_S = 1.0
MAX_RETRY_PAUSE_S = 0.2
MIN_BYTES_PER_S = 16 * 1024
MIN_RATE_AFTER_S = 3.0

T = TypeVar("T")


class Guard:
    """Protects calls of one kind to one server. `chance` returns numbers from 0 to 1."""

    def __init__(self, clock: Clock, chance: Callable[[], float], budget: RetryBudget) -> None:
        self._clock = clock
        self._chance = chance
        self._budget = budget
        self._breaker = Breaker(failures=MAX_FAILURES, pause_s=CIRCUIT_OPEN_S)
        self._reason = ""

    @property
    def circuit_open(self) -> bool:
        """Whether the circuit breaker is open, after repeated failures."""
        return self._breaker.open

    async def call(self, call: Callable[[], Awaitable[T]], within_s: float | None = None) -> T:
        """Runs `call`, which raises RemoteError, with at most one retry. An attempt takes `within_s` at most."""
        self._budget.earn()
        if not self._breaker.admits(self._clock()):
            raise CircuitOpen(f"it failed repeatedly ({self._reason}), and is not asked for a moment")
        try:
            return await self._try(call, within_s)
        except (Unavailable, Broken) as failure:
            if isinstance(failure, Busy) or self._breaker.open or not self._budget.spend():
                raise
            await asyncio.sleep(MAX_RETRY_PAUSE_S * self._chance())
            if not self._breaker.admits(self._clock()):
                raise  # Another call has opened the circuit.
        return await self._try(call, within_s)

    async def _try(self, call: Callable[[], Awaitable[T]], within_s: float | None) -> T:
        """One attempt. Only Unavailable and TooSlow count as failures: after other errors the server has answered."""
        try:
            result = await _within(call, within_s)
        except (Unavailable, TooSlow) as failure:
            self._breaker.failed(self._clock())
            self._reason = str(failure)
            raise
        except RemoteError:
            self._breaker.succeeded()
            raise
        self._breaker.succeeded()
        return result


async def _within(call: Callable[[], Awaitable[T]], within_s: float | None) -> T:
    try:
        async with asyncio.timeout(within_s):
            return await call()
    except TimeoutError:
        raise TooSlow("it did not answer in time") from None


def body_meter(clock: Clock, max_bytes: int, promised_bytes: int | None) -> BodyMeter:
    """A meter of a response, which raises TooLarge or TooSlow; raises TooLarge for its Content-Length too."""
    meter = BodyMeter(
        clock(),
        max_bytes=max_bytes,
        min_bytes_per_s=MIN_BYTES_PER_S,
        grace_s=MIN_RATE_AFTER_S,
        too_large=TooLarge(f"it is larger than {max_bytes} bytes"),
        too_slow=TooSlow("the bytes come too slowly"),
    )
    meter.expect(promised_bytes or 0)
    return meter
