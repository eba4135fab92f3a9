"""A front accepts requests only when a purge waits for it."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from proxy.config.settings import load
from proxy.ipc.producer_server import ProducerServer
from proxy.node import child
from proxy.node.child import Setup
from proxy.node.sockets import bound_sockets, url_of
from proxy.ports.operations import PurgeSubscriber
from proxy.telemetry.event_log import silent_log
from proxy.telemetry.log_writer import LogWriter
from proxy.telemetry.metrics import PrometheusMetrics
from tests.support.waiting import LONGEST_S, eventually


class HeldSubscriptions:
    """Satisfies PurgeSubscriptions; registers a process when `registers` is set."""

    def __init__(self) -> None:
        self.registers = asyncio.Event()
        self.names: list[str] = []

    async def subscribe(self, name: str, subscriber: PurgeSubscriber) -> None:
        self.names.append(name)
        await self.registers.wait()
        await subscriber.invalidate(None, [])
        await asyncio.Event().wait()

    async def retire(self, name: str) -> None:
        self.names.remove(name)


@pytest.fixture
async def back(tmp_path: Path) -> AsyncIterator[tuple[HeldSubscriptions, int]]:
    """The subscriptions of a back, and the descriptor of its socket."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "back"))
    listener.listen()
    subscriptions = HeldSubscriptions()
    server = ProducerServer(listener, None, None, subscriptions, silent_log())  # type: ignore[arg-type]
    server.start()
    descriptor = os.open(tmp_path / "back", os.O_PATH)
    yield subscriptions, descriptor
    os.close(descriptor)
    await server.close()
    listener.close()


async def serve(descriptor: int, sockets: list[socket.socket], log: Path, stop: asyncio.Event) -> None:
    setup = Setup(name="front 1", role="front", settings=load())
    descriptors = [descriptor, *(os.dup(one.fileno()) for one in sockets)]
    with log.open("w") as file:
        out = LogWriter(file)
        async with child._front(setup, descriptors, PrometheusMetrics("front 1"), silent_log(), out):
            await stop.wait()
        out.close()


async def test_a_front_answers_only_after_it_has_subscribed_to_purges(
    back: tuple[HeldSubscriptions, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "SUBSCRIBE_TIMEOUT_S", LONGEST_S)
    subscriptions, descriptor = back
    sockets, stop = bound_sockets("127.0.0.1", 0, section="server"), asyncio.Event()
    url = url_of(sockets)
    for one in sockets:
        one.listen()
    serving = asyncio.create_task(serve(descriptor, sockets, tmp_path / "log", stop))
    async with aiohttp.ClientSession() as client:
        asking = asyncio.create_task(client.get(url + "/healthz"))
        await eventually(lambda: subscriptions.names)
        assert not asking.done()
        subscriptions.registers.set()
        async with await asking as answer:
            assert answer.status == 200
    stop.set()
    await serving
    assert subscriptions.names == []
    for one in sockets:
        one.close()


async def test_a_front_without_a_back_answers_after_a_while(
    back: tuple[HeldSubscriptions, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "SUBSCRIBE_TIMEOUT_S", 0.01)
    sockets, stop = bound_sockets("127.0.0.1", 0, section="server"), asyncio.Event()
    for one in sockets:
        one.listen()
    serving = asyncio.create_task(serve(back[1], sockets, tmp_path / "log", stop))
    async with aiohttp.ClientSession() as client, client.get(url_of(sockets) + "/healthz") as answer:
        assert answer.status == 200
    stop.set()
    await serving
    for one in sockets:
        one.close()
