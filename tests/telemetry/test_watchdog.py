"""A loop that stands still is noticed while it does, and it is said where."""

import asyncio
import time
from typing import Any

import structlog

from proxy.telemetry.watchdog import STALL_S, Watchdog


class Heard:
    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.stalls = 0

    def stalled(self) -> None:
        self.stalls += 1

    def watch(self) -> Watchdog:
        def keep(_: Any, __: str, event: dict[str, Any]) -> str:
            self.lines.append(dict(event))
            # As on a terminal, where some names of fields mean something.
            return str(structlog.dev.ConsoleRenderer()(None, "warning", event))

        log = structlog.wrap_logger(structlog.ReturnLogger(), processors=[keep])
        return Watchdog(time.monotonic, log, self.stalled)


def busy(seconds: float) -> None:
    secret = "s3cret"
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s and secret:
        pass


async def test_a_stall_is_told_once_with_its_place() -> None:
    heard = Heard()
    with heard.watch():
        await asyncio.sleep(0.15)
        busy(4 * STALL_S)
        await asyncio.sleep(0.3)
        assert heard.stalls == 1
        busy(4 * STALL_S)
        await asyncio.sleep(0.3)
    assert heard.stalls == 2
    [first, _] = heard.lines
    assert any(place.endswith(" busy") for place in first["at"])
    assert first["seconds"] > STALL_S
    assert "s3cret" not in str(first)


async def test_waiting_is_no_stall_and_what_is_over_is_not_watched() -> None:
    heard = Heard()
    with heard.watch():
        await asyncio.sleep(0.5)
    busy(3 * STALL_S)
    await asyncio.sleep(0.2)
    assert heard.stalls == 0
