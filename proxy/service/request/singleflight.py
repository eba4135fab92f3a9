"""One flight per key: the leader starts it, and all equal requests wait for it. The flight is a separate task, so that
it continues for the other waiters if the client of the leader disconnects.

| flight                                 | outcome                                                     |
| -------------------------------------- | ----------------------------------------------------------- |
| succeeds                               | waiters get the result, and whether they joined the flight  |
| fails                                  | waiters get the same error; the error is not cached         |
| is cancelled (the node stops)          | waiters get Draining                                        |
| is not done at the waiter's deadline   | the waiter gets RenderTimeout; the flight continues         |
| last waiter leaves, flight attached    | the flight is cancelled                                     |
| last waiter leaves, flight detached    | the flight continues and its result is stored               |
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar, cast

from proxy.core.errors import Draining, RenderTimeout
from proxy.local.tasks import Tasks
from proxy.ports.clock import Clock
from proxy.ports.rendering import Priority

T = TypeVar("T")

GRACE_S = 0.1
"""A waiter waits this much longer than its deadline: work with the same deadline then raises its more precise error."""


class FlightResult(NamedTuple, Generic[T]):
    """The result of a flight; `collapsed` is true for all but the leader."""

    result: T
    collapsed: bool


@dataclass(slots=True, eq=False)
class Flight:
    """Passed to the work, which calls `keep_running` once it should finish without waiters."""

    priority: Priority
    began_s: float
    is_detached: bool = False
    waiters: int = 0
    task: asyncio.Task[object] | None = None
    _on_promote: list[Callable[[], None]] = field(default_factory=list)

    def keep_running(self) -> None:
        self.is_detached = True

    def on_promote(self, call: Callable[[], None]) -> None:
        self._on_promote.append(call)

    def promote(self) -> None:
        """Raises a background flight to interactive priority, because a client waits for it."""
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
        """The result of `work`, or of the flight for `key` if there is one. Raises RenderTimeout at `deadline`, Draining, and
        the errors of `work`.

        A flight has background priority as long as all its waiters have. A flight that began more than `join_within_s`
        ago is not joined: its result may be outdated.
        """
        flight = self._flights.get(key)
        now_s = self._clock()
        # A flight that is done, but not yet removed, is not joined: its result may be closed already.
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
            # Either this waiter was cancelled, or the flight.
            me = asyncio.current_task()
            if me is None or me.cancelling() or not task.cancelled():
                raise
            raise Draining("the node is stopping", retry_after_s=1) from None
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.is_detached and not task.done():
                self._remove(key, flight)
                task.cancel()
        return FlightResult(cast("T", result), collapsed)

    def start_detached(self, key: Hashable, work: Callable[[Flight], Awaitable[object]]) -> None:
        """Starts `work` as a flight without waiters, unless there is a flight for `key`."""
        if key not in self._flights:
            self._start(key, work, Priority.INTERACTIVE).keep_running()

    def _start(self, key: Hashable, work: Callable[[Flight], Awaitable[T]], priority: Priority) -> Flight:
        flight = Flight(priority, self._clock())

        async def fly() -> object:
            return await work(flight)

        # The first part of a tuple names it: the text of a whole key takes long to make on every request.
        name = key[0] if isinstance(key, tuple) else key
        flight.task = self._tasks.start(fly(), f"flight {name}")
        self._flights[key] = flight
        flight.task.add_done_callback(lambda task: self._finish(key, flight, task))
        return flight

    def _finish(self, key: Hashable, flight: Flight, task: asyncio.Task[object]) -> None:
        self._remove(key, flight)
        if not task.cancelled():
            task.exception()  # Retrieved, so that asyncio does not report an error without a waiter.

    def _remove(self, key: Hashable, flight: Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    async def close(self) -> None:
        """Cancels all flights and waits until they have ended."""
        await self._tasks.close()
