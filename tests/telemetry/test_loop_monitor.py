"""A loop that stands still is noticed while it does, and it is said where."""

import asyncio
import time
from typing import Any

import structlog

from proxy.telemetry.loop_monitor import BEAT_INTERVAL_S, MIN_STALL_S, LoopMonitor


class Heard:
    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.stalls = 0

    def stalled(self) -> None:
        self.stalls += 1

    def watch(self) -> LoopMonitor:
        def keep(_: Any, __: str, event: dict[str, Any]) -> str:
            self.lines.append(dict(event))
            # As on a terminal, where some names of fields mean something.
            return str(structlog.dev.ConsoleRenderer()(None, "warning", event))

        log = structlog.wrap_logger(structlog.ReturnLogger(), processors=[keep])
        return LoopMonitor(time.monotonic, log, self.stalled)

    def of(self, name: str) -> list[dict[str, Any]]:
        """Those told of that function; of a machine that is busy there may be others."""
        return [line for line in self.lines if any(place.endswith(f" {name}") for place in line["at"])]


def busy(seconds: float) -> None:
    secret = "s3cret"
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s and secret:
        pass


async def beats() -> None:
    """Until the loop has beaten again, so that it is seen to live."""
    await asyncio.sleep(3 * BEAT_INTERVAL_S)


async def test_a_stall_is_told_once_with_its_place() -> None:
    heard = Heard()
    with heard.watch():
        await beats()
        busy(4 * MIN_STALL_S)
        await beats()
        assert len(heard.of("busy")) == 1
        busy(4 * MIN_STALL_S)
        await beats()
    assert len(heard.of("busy")) == 2
    assert heard.stalls == len(heard.lines)
    [first, _] = heard.of("busy")
    assert first["seconds"] > MIN_STALL_S
    assert "s3cret" not in str(first)


async def test_waiting_is_no_stall_and_what_is_over_is_not_watched() -> None:
    heard = Heard()
    with heard.watch():
        await asyncio.sleep(2 * MIN_STALL_S)
    busy(3 * MIN_STALL_S)
    await beats()
    assert heard.of("busy") == []
    # A machine that does not let us run looks like a stall in `select`; an idle loop on any other is none.
    assert heard.stalls == len(heard.of("select"))
