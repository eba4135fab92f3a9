"""The loop monitor reports a blocked event loop while the loop is blocked, with its stack.

Time is virtual: the monitor's thread checks the loop when the test says so, not every BEAT_INTERVAL_S.
"""

import asyncio
import threading
from typing import Any

import structlog

from proxy.telemetry.loop_monitor import BEAT_INTERVAL_S, MIN_STALL_S, LoopMonitor
from tests.support.virtual_time import LONGEST_S, VirtualTimeLoop


class StepwiseEvent(threading.Event):
    """The event that ends the monitor's thread; its `wait` returns only when the test calls `step`, or at the end."""

    def __init__(self) -> None:
        super().__init__()
        self._steps = threading.Semaphore(0)
        self._checked = threading.Semaphore(0)

    def wait(self, timeout: float | None = None) -> bool:
        self._checked.release()
        assert self._steps.acquire(timeout=LONGEST_S)
        return self.is_set()

    def set(self) -> None:
        super().set()
        self._steps.release()

    def step(self) -> None:
        """Has the thread check the loop once, and returns when the check is done."""
        assert self._checked.acquire(timeout=LONGEST_S), "the thread of the monitor has ended"
        self._steps.release()
        assert self._checked.acquire(timeout=LONGEST_S)
        self._checked.release()


class Monitored:
    """The running loop under a LoopMonitor, and what the monitor reports."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.stalls = 0
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        self.loop = loop

        def keep(_: Any, __: str, event: dict[str, Any]) -> str:
            self.lines.append(dict(event))
            # As on a terminal, where some names of fields mean something.
            return str(structlog.dev.ConsoleRenderer()(None, "warning", event))

        log = structlog.wrap_logger(structlog.ReturnLogger(), processors=[keep])
        self.monitor = LoopMonitor(self.loop.time, log, self._stalled)
        self.monitor._ended = self.event = StepwiseEvent()

    def _stalled(self) -> None:
        self.stalls += 1

    def busy(self, seconds: float) -> None:
        """Blocks the loop for this long, while the monitor checks it every BEAT_INTERVAL_S."""
        secret = "s3cret"
        end_s = self.loop.time() + seconds
        while self.loop.time() < end_s and secret:
            self.loop.advance(BEAT_INTERVAL_S)
            self.event.step()

    def reports_of(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if any(frame.endswith(f" {name}") for frame in line["at"])]


async def test_a_stall_is_reported_once_with_its_stack() -> None:
    monitored = Monitored()
    with monitored.monitor:
        monitored.busy(4 * MIN_STALL_S)
        assert len(monitored.lines) == 1
        await asyncio.sleep(3 * BEAT_INTERVAL_S)
        monitored.busy(4 * MIN_STALL_S)
    assert len(monitored.reports_of("busy")) == 2
    assert monitored.stalls == len(monitored.lines) == 2
    [first, _] = monitored.reports_of("busy")
    assert first["seconds"] > MIN_STALL_S
    assert "s3cret" not in str(first)


async def test_a_block_shorter_than_a_stall_is_not_reported() -> None:
    monitored = Monitored()
    with monitored.monitor:
        monitored.busy(MIN_STALL_S - BEAT_INTERVAL_S)
    assert monitored.lines == []


async def test_an_idle_loop_is_not_reported() -> None:
    monitored = Monitored()
    with monitored.monitor:
        for _ in range(20):
            await asyncio.sleep(MIN_STALL_S)
            monitored.event.step()
    assert monitored.lines == []
    assert monitored.stalls == 0


async def test_a_closed_monitor_does_not_check_the_loop() -> None:
    monitored = Monitored()
    with monitored.monitor:
        [thread] = [each for each in threading.enumerate() if each.name == "loop monitor"]
    thread.join(LONGEST_S)
    assert not thread.is_alive()
    timers = [timer for timer in monitored.loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
    assert timers == []
    monitored.loop.advance(3 * MIN_STALL_S)
    await asyncio.sleep(3 * BEAT_INTERVAL_S)
    assert monitored.reports_of("busy") == []
    assert monitored.stalls == 0
