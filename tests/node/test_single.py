"""The start of a node of one process."""

import asyncio
from pathlib import Path

from proxy.config.environment import SystemdEnvironment
from proxy.config.settings import load
from proxy.node.readiness import Phase
from proxy.node.single import SingleProcessNode
from proxy.node.systemd import Systemd
from proxy.ports.operations import CommandDispatcher
from proxy.telemetry.event_log import silent_log
from proxy.telemetry.log_writer import LogWriter
from tests.support.waiting import eventually


async def test_settings_that_are_reloaded_during_the_start_are_applied(tmp_path: Path) -> None:
    flags = {
        "server": {"port": 0},
        "admin": {"port": 0},
        "sources": {"photos": {"path": str(tmp_path)}},
        "cache": {"disk": {"path": str(tmp_path / "cache")}},
        "render": {"workers": 1},
    }
    stop, ready, systemd = asyncio.Event(), asyncio.Event(), Systemd(SystemdEnvironment())

    async def on_ready(_: CommandDispatcher) -> None:
        ready.set()

    with open(tmp_path / "log", "w") as file:
        out = LogWriter(file)
        node = SingleProcessNode(load(None, flags), silent_log(), out, systemd)
        running = asyncio.create_task(node.run(stop, on_ready))
        await eventually(lambda: (tmp_path / "cache/records").exists())
        assert (node.phase, node.halves, node.public_url) == (Phase.STARTING, [], "")
        node.reload(load(None, {**flags, "limits": {"original_max_bytes": "7KB"}}))
        await eventually(ready.is_set)
        back, _ = node.halves
        assert back.path.pool.limits.max_bytes == 7000
        assert node.phase is Phase.SERVING
        stop.set()
        await running
        assert node.phase is Phase.STOPPING
        out.close()
    systemd.close()
