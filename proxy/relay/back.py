"""The back's end: takes calls from the fronts and has the node's one Producer do them.

A front that closes its connection has lost interest: what it waited for is cancelled here as for any client.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from proxy.channel import Channel, Closed
from proxy.core.errors import CalotypeError, Internal, SourceUnavailable
from proxy.ports import Producer
from proxy.relay.wire import Call, Opened

ACCEPT_PAUSE_S = 0.1


class RelayServer:
    """Serves `producer` on `listener` from `start` to `close`; event loop only."""

    def __init__(
        self,
        listener: socket.socket,
        producer: Producer,
        explain: Callable[[str, str], Awaitable[object]],
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._producer = producer
        self._explain = explain
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begins to accept."""
        self._own(self._accept())

    async def close(self) -> None:
        """Stops, and cancels what is under way. The listener is closed by whoever made it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="relay")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                end, _ = await loop.sock_accept(self._listener)
            except OSError:
                await asyncio.sleep(ACCEPT_PAUSE_S)  # No descriptor is left; one will be.
            else:
                self._own(self._converse(Channel(end)))

    async def _converse(self, channel: Channel) -> None:
        try:
            while True:
                await self._answer_next(channel)
        except Closed:
            pass
        finally:
            channel.close()

    async def _answer_next(self, channel: Channel) -> None:
        """One call. Cancelled with its connection: who has asked says nothing until it is answered."""
        call: Call = (await channel.receive()).value
        me = asyncio.current_task()
        assert me is not None
        with channel.watched(me.cancel):
            answer = await self._answer(call, channel)
        await channel.send(answer)

    async def _answer(self, call: Call, channel: Channel) -> object:
        answer: object = None
        try:
            match call.method:
                case "name":
                    answer = await self._producer.name(*call.arguments, deadline=call.deadline)
                case "variant":
                    wanted, redirect_until_s = call.arguments
                    answer = await self._producer.variant(
                        wanted, deadline=call.deadline, redirect_until_s=redirect_until_s
                    )
                case "latest":
                    await self._lend(call, channel)
                case "explain":
                    answer = await self._explain(*call.arguments)
        except CalotypeError as failure:
            answer = failure.with_traceback(None)
        except Closed:
            raise
        except Exception:
            self._log.exception("internal error")
            answer = Internal("an unexpected error was logged")
        return answer

    async def _lend(self, call: Call, channel: Channel) -> None:
        """The original's descriptor, and the original held until the front closes the connection."""
        async with self._producer.latest(*call.arguments, deadline=call.deadline) as original:
            status = os.fstat(original.fileno())
            opened = Opened(original.identity, original.size_bytes, (status.st_size, status.st_mtime_ns))
            if not original.unchanged():
                raise SourceUnavailable("the original is being written", retry_after_s=1)
            await channel.send(opened, [original.fileno()])
            await asyncio.Event().wait()  # Until the watch ends it.
