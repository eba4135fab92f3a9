"""A front listens while it serves, and passes its usage records on when it stops."""

import socket

import aiohttp
import pytest

from proxy.config.settings import load
from proxy.core.admin.commands import AdminCommand, RecordUsage
from proxy.node import factory
from proxy.node.front import Front
from proxy.node.sockets import bound_sockets, url_of
from proxy.service.request.singleflight import Flights
from proxy.telemetry.event_log import silent_log
from proxy.telemetry.log_writer import LogWriter
from proxy.telemetry.metrics import PrometheusMetrics


class Dispatcher:
    def __init__(self) -> None:
        self.executed: list[AdminCommand] = []

    async def execute(
        self, command: AdminCommand, *, content: int | None = None, size_bytes: int = 0
    ) -> object:
        self.executed.append(command)
        return None


async def test_a_front_listens_while_its_context_is_open(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings, dispatcher = load(), Dispatcher()
    with open(tmp_path_factory.mktemp("log") / "log", "w") as file:
        out = LogWriter(file)
        front = Front(
            settings,
            None,  # type: ignore[arg-type]
            dispatcher,
            factory.memory(settings),
            Flights(),
            PrometheusMetrics(),
            silent_log(),
            out,
        )
        sockets = bound_sockets("127.0.0.1", 0, section="server")
        url = url_of(sockets)
        with socket.socket() as early, pytest.raises(ConnectionRefusedError):
            early.connect(sockets[0].getsockname())
        async with aiohttp.ClientSession() as client:
            async with front.serve(sockets), client.get(url + "/unknown/route") as answer:
                assert answer.status == 404
            assert dispatcher.executed == [RecordUsage(frozenset())]
            with pytest.raises(aiohttp.ClientConnectionError):
                await client.get(url)
        out.close()
