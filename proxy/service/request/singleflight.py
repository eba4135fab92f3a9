"""One flight per key: the first to ask starts it, everybody waits for it, nobody's connection owns it.

Why a waiter wakes, and what it gets:

| flight                         | waiter                                        |
| ------------------------------ | --------------------------------------------- |
| succeeded                      | the result, and whether it was the leader     |
| failed                         | the same error; nothing is remembered         |
| was cancelled (node stops)     | Draining                                      |
| not done at the waiter's deadline | RenderTimeout; the flight goes on |
| last waiter left, flight not kept running | cancelled             |
| last waiter left, flight kept running | it goes on and its result is stored                 |
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, NamedTuple, TypeVar, cast

from proxy.core.errors import Draining, RenderTimeout
from proxy.local.tasks import Tasks
from proxy.ports.clock import Clock
from proxy.ports.rendering import Priority

T = TypeVar("T")

GRACE_S = 0.1
"""A waiter waits this much longer than its deadline: work that keeps the same one then tells the better reason."""


class FlightResult(NamedTuple, Generic[T]):
    """The result of a flight; `collapsed` is true for all but the one who started it."""

    result: T
    collapsed: bool


class Flight:
    """Handed to the work, which calls `keep_running` once it is worth finishing though no request waits."""

    __slots__ = ("_on_promote", "began_s", "is_kept_running", "priority", "task", "waiters")

    def __init__(self, priority: Priority, began_s: float) -> None:
        self.began_s = began_s
        self.is_kept_running = False
        self.waiters = 0
        self.priority = priority
        self.task: asyncio.Task[object] | None = None
        self._on_promote: list[Callable[[], None]] = []

    def keep_running(self) -> None:
        self.is_kept_running = True

    def on_promote(self, call: Callable[[], None]) -> None:
        self._on_promote.append(call)

    def promote(self) -> None:
        """A client waits for it now."""
        if self.priority is Priority.BACKGROUND:
            self.priority = Priority.INTERACTIVE
            for call in self._on_promote:
                call()


class Flights:
    """The registry of flights in this process; event loop only."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._flights: dict[Hashable, Flight] = {}
        self._tasks = Tasks()

    def __len__(self) -> int:
        return len(self._flights)

    async def run(
        self,
        key: Hashable,
        work: Callable[[Flight], Awaitable[T]],
        *,
        deadline: float,
        priority: Priority = Priority.INTERACTIVE,
        join_within_s: float | None = None,
    ) -> FlightResult[T]:
        """The result of `work`, begun here unless a flight for `key` is up; waits until `deadline` at most.

        A flight stays in the background as long as all its waiters are. With `join_within_s` a flight that
        began longer ago is not joined: what it found out may be old by now.
        """
        flight = self._flights.get(key)
        now_s = self._clock()
        # A flight that has landed in this very turn of the loop is not joined: its result may be used up already.
        collapsed = (
            flight is not None
            and flight.task is not None
            and not flight.task.done()
            and (join_within_s is None or now_s - flight.began_s <= join_within_s)
        )
        if flight is None or not collapsed:
            flight = self._start(key, work, priority)
        elif priority is Priority.INTERACTIVE:
            flight.promote()
        task = flight.task
        assert task is not None
        flight.waiters += 1
        try:
            async with asyncio.timeout_at(deadline + GRACE_S):
                result = await asyncio.shield(task)
        except TimeoutError:
            raise RenderTimeout("the picture was not ready in time") from None
        except asyncio.CancelledError:
            # Either this waiter was cancelled, or the flight was, under a waiter that is alive.
            me = asyncio.current_task()
            if me is None or me.cancelling() or not task.cancelled():
                raise
            raise Draining("the node is stopping", retry_after_s=1) from None
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.is_kept_running and not task.done():
                self._remove(key, flight)
                task.cancel()
        return FlightResult(cast("T", result), collapsed)

    def start_detached(self, key: Hashable, work: Callable[[Flight], Awaitable[object]]) -> None:
        """Has `work` be done, unless a flight for `key` is up, for whoever comes later: nobody waits for it now."""
        if key not in self._flights:
            self._start(key, work, Priority.INTERACTIVE).keep_running()

    def _start(self, key: Hashable, work: Callable[[Flight], Awaitable[T]], priority: Priority) -> Flight:
        flight = Flight(priority, self._clock())

        async def fly() -> object:
            return await work(flight)

        flight.task = self._tasks.start(fly(), f"flight {key}")
        self._flights[key] = flight
        flight.task.add_done_callback(lambda task: self._finish(key, flight, task))
        return flight

    def _finish(self, key: Hashable, flight: Flight, task: asyncio.Task[object]) -> None:
        self._remove(key, flight)
        if not task.cancelled():
            task.exception()  # Read, so that a failure nobody waits for is not reported as lost.

    def _remove(self, key: Hashable, flight: Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    async def close(self) -> None:
        """Cancels what is up and waits until it is down."""
        await self._tasks.close()
