"""For use cases over fakes: what they hand to threads is done at once, so that `settled` waits for it too."""

import asyncio
from collections.abc import Callable

import pytest


@pytest.fixture(autouse=True)
def _without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    async def done_here(work: Callable[..., object], *args: object) -> object:
        await asyncio.sleep(0)
        return work(*args)

    monkeypatch.setattr(asyncio, "to_thread", done_here)
