"""Use cases over fakes run in virtual time. Work for threads runs in the event loop, so that `settle` includes it."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from tests.support.virtual_time import loop_factories


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return loop_factories()


@pytest.fixture(autouse=True)
def _without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    async def done_here(work: Callable[..., object], *args: object) -> object:
        await asyncio.sleep(0)
        return work(*args)

    monkeypatch.setattr(asyncio, "to_thread", done_here)
