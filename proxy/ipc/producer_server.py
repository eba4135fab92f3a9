"""The back's end: receives calls from the fronts and forwards them to the node's Producer.

A front closes its connection when its client leaves; the call is then cancelled.
"""

import asyncio
import os
import socket
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from proxy.core.cache.generations import PurgeScope
from proxy.core.cache.keys import CacheKey
from proxy.core.errors import CalotypeError, Internal, SourceUnavailable
from proxy.ipc.channel import Channel, Closed
from proxy.ipc.messages import Call, Invalidate, OpenedOriginal
from proxy.local.files import stamp_of
from proxy.local.tasks import Tasks
from proxy.ports.operations import CommandDispatcher, NotAcknowledged, Producer, PurgeSubscriber

ACCEPT_PAUSE_S = 0.1


class PurgeSubscriptions(Protocol):
    """The processes that must acknowledge purges."""

    async def subscribe(self, name: str, subscriber: PurgeSubscriber) -> None:
        """Sends purges to the process `name`, first everything, until it fails to acknowledge, is replaced or retires.
        A successor is expected, unless it has retired."""
        ...

    async def retire(self, name: str) -> None:
        """Removes the process `name`, which has answered its last request."""
        ...


class _Front:
    """Satisfies PurgeSubscriber for a front. The channel carries only invalidations."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._lock = asyncio.Lock()

    async def invalidate(self, scopes: Sequence[PurgeScope] | None, keys: Sequence[CacheKey]) -> int:
        """A front that does not answer in time must subscribe again."""
        async with self._lock:
            try:
                await self._channel.send(Invalidate(scopes, keys))
                answer: int = (await self._channel.receive()).value
            except Closed:
                raise NotAcknowledged from None
            except BaseException:
                self._channel.close()
                raise
            return answer


@dataclass(slots=True, eq=False)
class ProducerServer:
    """Serves `producer` and `dispatcher` on `listener` from `start` to `close`; event loop only."""

    listener: socket.socket
    producer: Producer
    dispatcher: CommandDispatcher
    purges: PurgeSubscriptions
    log: structlog.typing.FilteringBoundLogger
    _tasks: Tasks = field(default_factory=Tasks, init=False)

    def start(self) -> None:
        """Starts to accept connections."""
        self.listener.setblocking(False)
        self._tasks.start(self._accept(), "accept fronts")

    async def close(self) -> None:
        """Stops and cancels running calls. The caller closes the listener."""
        await self._tasks.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                end, _ = await loop.sock_accept(self.listener)
            except OSError:
                await asyncio.sleep(ACCEPT_PAUSE_S)  # No file descriptor is free.
            else:
                self._tasks.start(self._serve_connection(Channel(end)), "front")

    async def _serve_connection(self, channel: Channel) -> None:
        with suppress(Closed), closing(channel):
            while True:
                await self._answer_next(channel)

    async def _answer_next(self, channel: Channel) -> None:
        """Answers a call. A connection that becomes readable before the answer cancels it: the front has left."""
        call, descriptors = await channel.receive()
        if call.method == "subscribe":
            (name,) = call.arguments
            await self.purges.subscribe(name, _Front(channel))
            raise Closed
        task = asyncio.current_task()
        assert task is not None
        try:
            with channel.watched(task.cancel):
                answer = await self._answer(call, channel, descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        await channel.send(answer)

    async def _answer(self, call: Call, channel: Channel, descriptors: Sequence[int]) -> object:
        answer: object = None
        try:
            match call.method:
                case "resolve_key":
                    answer = await self.producer.resolve_key(*call.arguments, deadline=call.deadline)
                case "check_version":
                    answer = await self.producer.check_version(*call.arguments, deadline=call.deadline)
                case "variant":
                    request, redirect_until_s = call.arguments
                    answer = await self.producer.variant(
                        request, deadline=call.deadline, redirect_until_s=redirect_until_s
                    )
                case "open_current":
                    await self._send_original(call, channel)
                case "retire":
                    await self.purges.retire(*call.arguments)
                case "execute":
                    command, size_bytes = call.arguments
                    content = descriptors[0] if descriptors else None
                    answer = await self.dispatcher.execute(command, content=content, size_bytes=size_bytes)
        except CalotypeError as failure:
            answer = failure.with_traceback(None)
        except Closed:
            raise
        except Exception:
            self.log.exception("internal error")
            answer = Internal("an unexpected error was logged")
        return answer

    async def _send_original(self, call: Call, channel: Channel) -> None:
        """Sends the original's file descriptor and holds the original until the front closes the connection."""
        async with self.producer.open_current(*call.arguments, deadline=call.deadline) as (name, file):
            opened = OpenedOriginal(name, file.size_bytes, stamp_of(os.fstat(file.fileno())))
            if not file.unchanged():
                raise SourceUnavailable("the original is being written", retry_after_s=1)
            await channel.send(opened, [file.fileno()])
            await asyncio.Event().wait()  # Cancelled when the connection closes.
