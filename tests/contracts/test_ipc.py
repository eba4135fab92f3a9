"""IPC of a front and a back over a real unix socket: calls, results, and the death of the back."""

import asyncio
import math
import os
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from proxy.core.admin.commands import AdminCommand, Explain, RetryJob, Upload
from proxy.core.cache.delivery import Delivered, Delivery, Outcome, Timings, Variant, VersionCheck
from proxy.core.cache.freshness import Freshness
from proxy.core.cache.generations import PurgeScope
from proxy.core.cache.keys import CacheKey
from proxy.core.cache.variant_request import ResolvedKey, VariantRequest
from proxy.core.errors import (
    CalotypeError,
    Internal,
    OriginalNotFound,
    Overloaded,
    RenderTimeout,
    UnknownRoute,
    WorkerDied,
)
from proxy.core.image.formats import Format
from proxy.core.image.original import OriginalRef
from proxy.core.url.dialects.native.urls import parse_transform
from proxy.ipc import producer_client as client_module
from proxy.ipc.channel import Channel, Closed
from proxy.ipc.producer_client import ProducerClient
from proxy.ipc.producer_server import ProducerServer
from proxy.ports.operations import NotAcknowledged, PurgeSubscriber
from proxy.ports.originals import Original
from tests.support.fakes import FakeOriginalFile
from tests.support.waiting import deadline, eventually, settle

REF = OriginalRef("photos", "deep/a é.jpg")
REQUEST = VariantRequest(
    REF,
    parse_transform("w_4,g_0.3:0.7,e_blur:2,e_sepia:30,f_auto", {}),
    frozenset({Format.WEBP}),
    4000,
)
KEY, OTHER_KEY = CacheKey("k", Format.WEBP), CacheKey("l", Format.WEBP)
VARIANT = Variant(body=os.urandom(3_000_000))
LOG = structlog.wrap_logger(structlog.ReturnLogger())


class Producer:
    """Records its calls; `release`, while not set, holds them."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.cancelled = 0
        self.failure: Exception | None = None
        self.originals: list[FakeOriginalFile] = []
        self.release = asyncio.Event()
        self.release.set()

    async def resolve_key(self, variant_request: VariantRequest, *, deadline: float) -> ResolvedKey:
        await self._pass("resolve_key", variant_request, deadline)
        return ResolvedKey(KEY, (Freshness("1", float("inf")),))

    async def check_version(
        self, refs: Sequence[OriginalRef], version: str, *, deadline: float
    ) -> VersionCheck:
        await self._pass("check_version", refs, version, deadline)
        return VersionCheck(5.0, (Freshness("2", 6.0),))

    async def variant(
        self, variant_request: VariantRequest, *, deadline: float, redirect_until_s: float
    ) -> Delivered:
        await self._pass("variant", variant_request, deadline, redirect_until_s)
        delivery = Delivery(key=KEY, outcome=Outcome.MISS, stored=True, timings=Timings(render_s=0.5))
        return Delivered(delivery, VARIANT)

    @asynccontextmanager
    async def open_current(
        self, ref: OriginalRef, *alternatives: OriginalRef, deadline: float
    ) -> AsyncIterator[Original]:
        await self._pass("open_current", ref, *alternatives, deadline)
        file = FakeOriginalFile(b"bytes of it")
        self.originals.append(file)
        try:
            yield Original(ref.key, file)
        finally:
            file.close()

    async def _pass(self, *call: Any) -> None:
        self.calls.append(call)
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure


class FakeDispatch:
    """Returns the command and the bytes that came with it."""

    async def execute(
        self, command: AdminCommand, *, content: int | None = None, size_bytes: int = 0
    ) -> object:
        if isinstance(command, RetryJob):
            raise UnknownRoute("there is no job of this id")
        return command, content if content is None else os.pread(content, 100, 0), size_bytes


class Purges:
    """The subscribed fronts. A subscription ends when `end` is set."""

    def __init__(self) -> None:
        self.subscribers: list[PurgeSubscriber] = []
        self.subscribed, self.end = asyncio.Event(), asyncio.Event()

    async def subscribe(self, name: str, subscriber: PurgeSubscriber) -> None:
        self.subscribers.append(subscriber)
        await subscriber.invalidate(None, [])
        self.subscribed.set()
        await self.end.wait()
        self.subscribers.remove(subscriber)

    async def retire(self, name: str) -> None:
        self.retired = name


@pytest.fixture
async def setup(tmp_path: Path) -> AsyncIterator[SimpleNamespace]:
    path = str(tmp_path / "socket")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    made = SimpleNamespace(
        producer=Producer(),
        client=ProducerClient(path, connections=64, clock=time.monotonic),
        dispatch=FakeDispatch(),
        purges=Purges(),
        listener=listener,
        path=path,
    )

    def begin() -> None:
        made.server = ProducerServer(listener, made.producer, made.dispatch, made.purges, LOG)
        made.server.start()

    made.begin = begin
    begin()
    yield made
    made.client.close()
    await made.server.close()
    listener.close()


async def test_a_call_arrives_with_its_arguments(setup: SimpleNamespace) -> None:
    end_s = deadline()
    assert await setup.client.resolve_key(REQUEST, deadline=end_s) == ResolvedKey(
        KEY, (Freshness("1", float("inf")),)
    )
    delivery, variant = await setup.client.variant(REQUEST, deadline=end_s, redirect_until_s=math.inf)
    assert variant == VARIANT
    assert (delivery.outcome, delivery.stored, delivery.timings.render_s) == (Outcome.MISS, True, 0.5)
    (_, first_request, first_end_s), (_, second_request, second_end_s, redirect_until_s) = (
        setup.producer.calls
    )
    assert first_request.by_value == second_request.by_value == REQUEST.by_value
    assert (first_end_s, second_end_s, redirect_until_s) == (end_s, end_s, math.inf)
    assert await setup.client.check_version(REQUEST.refs, "7", deadline=end_s) == VersionCheck(
        5.0, (Freshness("2", 6.0),)
    )
    assert setup.producer.calls[-1] == ("check_version", REQUEST.refs, "7", end_s)
    assert await setup.client.execute(Explain("/w_1/a", "x")) == (Explain("/w_1/a", "x"), None, 0)


async def test_one_connection_serves_one_call_after_another(setup: SimpleNamespace) -> None:
    for _ in range(20):
        await setup.client.resolve_key(REQUEST, deadline=deadline())
    assert len(setup.client._idle) == 1
    await asyncio.gather(
        *(setup.client.variant(REQUEST, deadline=deadline(), redirect_until_s=0) for _ in range(30))
    )
    assert len(setup.producer.calls) == 50


@pytest.mark.parametrize(
    "failure",
    [OriginalNotFound("gone", lasts_s=7.5), Overloaded("busy", retry_after_s=7), WorkerDied("died")],
)
async def test_errors_arrive_unchanged(setup: SimpleNamespace, failure: CalotypeError) -> None:
    setup.producer.failure = failure
    with pytest.raises(type(failure)) as caught:
        await setup.client.variant(REQUEST, deadline=deadline(), redirect_until_s=0)
    assert vars(caught.value) == vars(failure)
    with pytest.raises(type(failure)):
        async with setup.client.open_current(REF, deadline=deadline()):
            pass


async def test_an_unexpected_exception_is_an_internal_error(setup: SimpleNamespace) -> None:
    setup.producer.failure = ZeroDivisionError()
    with pytest.raises(Internal):
        await setup.client.resolve_key(REQUEST, deadline=deadline())


async def test_an_original_is_open_at_the_back_until_the_front_closes_it(setup: SimpleNamespace) -> None:
    async with setup.client.open_current(REF, deadline=deadline()) as (name, original):
        assert name == REF.key
        assert os.pread(original.fileno(), original.size_bytes, 0) == b"bytes of it"
        assert original.unchanged()
        assert not setup.producer.originals[0].closed
        os.pwrite(setup.producer.originals[0].fileno(), b"more bytes than before", 0)
        assert not original.unchanged()
    await eventually(lambda: setup.producer.originals[0].closed)
    await eventually(lambda: len(setup.server._tasks._tasks) == 1)  # The task that accepts connections.


async def test_the_back_gets_all_names_of_an_original(setup: SimpleNamespace) -> None:
    end_s, other = deadline(), OriginalRef("photos", "other")
    async with setup.client.open_current(REF, other, deadline=end_s):
        assert setup.producer.calls[-1] == ("open_current", REF, other, end_s)


async def test_a_cancelled_call_is_cancelled_at_the_back(setup: SimpleNamespace) -> None:
    setup.producer.release.clear()
    asking = asyncio.create_task(setup.client.variant(REQUEST, deadline=deadline(), redirect_until_s=0))
    await eventually(lambda: setup.producer.calls)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await eventually(lambda: setup.producer.cancelled == 1)


async def test_a_call_is_repeated_when_the_back_has_restarted(setup: SimpleNamespace) -> None:
    await setup.client.resolve_key(REQUEST, deadline=deadline())
    setup.producer.release.clear()
    asking = [
        asyncio.create_task(setup.client.variant(REQUEST, deadline=deadline(), redirect_until_s=0))
        for _ in range(5)
    ]
    await eventually(lambda: setup.producer.calls)
    await setup.server.close()
    await settle()
    assert not any(task.done() for task in asking)
    setup.producer.release.set()
    setup.begin()
    assert {(await task).variant for task in asking} == {VARIANT}


async def test_a_back_that_does_not_restart_is_a_timeout(setup: SimpleNamespace) -> None:
    await setup.server.close()
    with pytest.raises(RenderTimeout):
        await setup.client.variant(REQUEST, deadline=deadline(0.2), redirect_until_s=0)
    setup.begin()


async def test_a_back_that_dies_repeatedly_is_an_error(
    setup: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "RECONNECT_PAUSE_S", 0.001)
    await setup.server.close()

    async def hang_up() -> None:
        while True:
            end, _ = await asyncio.get_running_loop().sock_accept(setup.listener)
            end.close()

    setup.listener.setblocking(False)
    hanging_up = asyncio.create_task(hang_up())
    with pytest.raises(WorkerDied):
        await setup.client.variant(REQUEST, deadline=deadline(), redirect_until_s=0)
    hanging_up.cancel()
    await asyncio.gather(hanging_up, return_exceptions=True)
    setup.begin()


async def test_a_slow_back_is_a_timeout(setup: SimpleNamespace) -> None:
    setup.producer.release.clear()
    with pytest.raises(RenderTimeout):
        await setup.client.resolve_key(REQUEST, deadline=deadline(0.1))


async def test_a_channel_reports_that_the_other_end_is_closed() -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    gone = asyncio.Event()
    with channel.watched(gone.set):
        await settle()
        assert not gone.is_set()
        theirs.sendall(b"\0\0\0")
        theirs.close()
        await gone.wait()
    with pytest.raises(Closed):
        await channel.receive()
    with pytest.raises(Closed):
        await channel.send("x" * 1_000_000)
    channel.close()
    with pytest.raises(OSError, match="No such file"):
        await Channel.connect("/nonexistent/socket")


async def test_a_cancelled_receive_leaves_no_open_descriptor() -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    before = len(os.listdir("/proc/self/fd"))
    with open(os.devnull) as file:
        socket.send_fds(theirs, [(1000).to_bytes(8, "big") + b"half"], [file.fileno()])
    receiving = asyncio.create_task(channel.receive())
    await settle()
    receiving.cancel()
    await asyncio.gather(receiving, return_exceptions=True)
    with pytest.raises(Closed):
        await channel.receive()
    theirs.close()
    assert len(os.listdir("/proc/self/fd")) == before - 2


async def test_an_admin_command_is_executed_with_the_file_that_comes_with_it(
    setup: SimpleNamespace, tmp_path: Path
) -> None:
    with (tmp_path / "upload").open("w+b") as file:
        file.write(b"the bytes")
        file.flush()
        command = Upload(mount="", name="a.jpg", once="")
        assert await setup.client.execute(command, content=file.fileno(), size_bytes=9) == (
            command,
            b"the bytes",
            9,
        )
    with pytest.raises(UnknownRoute):
        await setup.client.execute(RetryJob("x"))


async def test_a_front_drops_everything_and_then_what_each_purge_covers(setup: SimpleNamespace) -> None:
    dropped: list[tuple[Any, Any]] = []

    async def invalidate(scopes: Any, keys: Any) -> int:
        dropped.append((scopes, keys))
        return len(keys)

    subscribing = asyncio.create_task(setup.client.subscribe("front 1", invalidate))
    await asyncio.wait_for(setup.purges.subscribed.wait(), 5)
    assert dropped == [(None, [])]
    (subscriber,) = setup.purges.subscribers
    scope = PurgeScope.of_original(REF)
    assert await subscriber.invalidate([scope], [KEY, OTHER_KEY]) == 2
    assert dropped[1] == ([scope], [KEY, OTHER_KEY])
    subscribing.cancel()
    await asyncio.gather(subscribing, return_exceptions=True)
    with pytest.raises(NotAcknowledged):
        await subscriber.invalidate([scope], [])


async def test_a_front_that_does_not_acknowledge_in_time_subscribes_again(setup: SimpleNamespace) -> None:
    answers, dropped = asyncio.Event(), []

    async def invalidate(scopes: Any, keys: Any) -> int:
        dropped.append(scopes)
        if scopes is not None and len(dropped) == 2:
            await answers.wait()
        return 0

    subscribing = asyncio.create_task(setup.client.subscribe("front 1", invalidate))
    await asyncio.wait_for(setup.purges.subscribed.wait(), 5)
    (subscriber,) = setup.purges.subscribers
    setup.purges.subscribed.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await subscriber.invalidate([PurgeScope.of_original(REF)], [])
    with pytest.raises(NotAcknowledged):
        await subscriber.invalidate([PurgeScope.of_original(REF)], [])
    setup.purges.end.set()
    answers.set()
    await asyncio.wait_for(setup.purges.subscribed.wait(), 5)
    assert dropped[-1] is None
    assert subscriber not in setup.purges.subscribers
    subscribing.cancel()
    await asyncio.gather(subscribing, return_exceptions=True)
