"""Detects a blocked event loop and logs where it is blocked."""

import asyncio
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

MIN_STALL_S = 0.25
BEAT_INTERVAL_S = 0.1
_FRAMES = 8


@dataclass(eq=False)
class LoopMonitor:
    """Monitors the running loop from a thread; a context. `stalled` is called once for each stall."""

    clock: Callable[[], float]
    log: structlog.typing.FilteringBoundLogger
    stalled: Callable[[], None]
    _ended: threading.Event = field(default_factory=threading.Event, init=False)

    def __enter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._watched = threading.get_ident()
        self._beat()
        threading.Thread(target=self._watch, name="loop monitor", daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._timer.cancel()

    def _beat(self) -> None:
        self._last_s = self.clock()
        self._timer = self._loop.call_later(BEAT_INTERVAL_S, self._beat)

    def _watch(self) -> None:
        reported_s = 0.0
        while not self._ended.wait(BEAT_INTERVAL_S):
            last_s = self._last_s
            stall_s = self.clock() - last_s - BEAT_INTERVAL_S
            if stall_s > MIN_STALL_S and reported_s != last_s:
                reported_s = last_s
                frame = sys._current_frames().get(self._watched)
                # Locations only: variables may hold secrets.
                stack = [f"{at.filename}:{at.lineno} {at.name}" for at in traceback.extract_stack(frame)]
                self.stalled()
                self.log.warning("the event loop is blocked", seconds=round(stall_s, 2), at=stack[-_FRAMES:])
