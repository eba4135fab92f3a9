"""An event loop with virtual time: when no callback is ready, the clock jumps to the next timer instead of waiting for it.

A test on this loop takes no real time for its timers, and its result does not depend on how busy the machine is. Real
threads are waited for: while `run_in_executor` has work under way, the clock stands still.
"""

import asyncio
import selectors
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any

LONGEST_S = 120.0
"""Real time after which a loop gives up to wait for a thread or a socket."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`time()` begins at 1000 and moves only by jumps from timer to timer."""

    def __init__(self) -> None:
        self._now_s = 1000.0
        self._in_threads = 0
        self._settling: list[asyncio.Future[None]] = []
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self._now_s

    def advance(self, seconds: float) -> None:
        """Moves the clock without running anything, as a callback that blocks the loop would."""
        self._now_s += seconds

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, work: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future = super().run_in_executor(executor, work, *args)  # type: ignore[arg-type]
        self._in_threads += 1
        future.add_done_callback(self._thread_done)
        return future

    async def settle(self) -> None:
        """Returns when every other task waits for a timer, a socket or an event: no callback is ready, no thread works."""
        settled = self.create_future()
        self._settling.append(settled)
        await settled

    def _thread_done(self, _: asyncio.Future[Any]) -> None:
        self._in_threads -= 1

    def _idle(self, timeout_s: float | None) -> bool:
        """Called when no callback and no socket is ready. Whether the loop can go on without a real wait."""
        if self._in_threads:
            return False
        if self._settling:
            for settled in self._settling:
                if not settled.done():
                    settled.set_result(None)
            self._settling.clear()
            return True
        if timeout_s is None:
            return False
        self._now_s += timeout_s
        return True


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0 or self._loop._idle(timeout):
            return ready
        ready = super().select(LONGEST_S)
        if not ready:
            raise TimeoutError(f"no thread and no socket made the loop go on within {LONGEST_S:.0f} s")
        return ready


def loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """What a conftest returns from `pytest_asyncio_loop_factories` so that the tests of its folder have virtual time."""
    return {"virtual time": VirtualTimeLoop}
