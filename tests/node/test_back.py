"""What a running back is without."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

from proxy.config.settings import load
from proxy.node.back import open_back
from proxy.node.readiness import MissingParts
from proxy.telemetry.event_log import silent_log
from proxy.telemetry.metrics import PrometheusMetrics


async def test_a_back_tells_what_it_is_without(tmp_path: Path) -> None:
    settings = load(None, {"cache": {"disk": {"path": str(tmp_path)}}, "render": {"workers": 1}})
    async with open_back(settings, PrometheusMetrics(), silent_log()) as back:
        assert back.missing() is MissingParts.NOTHING
        caught_up = asyncio.Event()

        async def close() -> None: ...

        back.path.fleet = SimpleNamespace(caught_up=caught_up, close=close)  # type: ignore[assignment]
        assert back.missing() is MissingParts.PURGES
        waiting = asyncio.create_task(back.caught_up())
        caught_up.set()
        await waiting
        assert back.missing() is MissingParts.NOTHING
        await back.path.pool.close()
        assert back.missing() is MissingParts.WORKERS
