"""The back's end: takes calls from the fronts and has the node's one Producer do them.

A front that closes its connection has lost interest: what it waited for is cancelled here as for any client.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

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

    def _own(self, work: "Awaitable[None]") -> None:
        async def run() -> None:
            await work

        task = asyncio.create_task(run(), name="relay")
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
            while await self._answer_next(channel):
                pass
        except Closed:
            pass
        finally:
            channel.close()

    async def _answer_next(self, channel: Channel) -> bool:
        """One call; False where its connection is of no more use."""
        call: Call = (await channel.receive()).value
        gone = asyncio.create_task(channel.ended(), name="front's end")
        work = asyncio.create_task(self._work(call, channel, gone), name=f"call {call.method}")
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            return False
        finally:
            work.cancel()
            gone.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)

    async def _work(self, call: Call, channel: Channel, gone: asyncio.Task[None]) -> bool:
        answer: object
        try:
            match call.method:
                case "name":
                    answer = await self._producer.name(*call.arguments, deadline=call.deadline)
                case "variant":
                    wanted, redirect = call.arguments
                    answer = await self._producer.variant(wanted, deadline=call.deadline, redirect=redirect)
                case "latest":
                    await self._lend(call, channel, gone)
                    return False
                case "explain":
                    answer = await self._explain(*call.arguments)
        except CalotypeError as failure:
            answer = failure.with_traceback(None)
        except Closed:
            raise
        except Exception:
            self._log.exception("internal error")
            answer = Internal("an unexpected error was logged")
        await channel.send(answer)
        return True

    async def _lend(self, call: Call, channel: Channel, gone: asyncio.Task[None]) -> None:
        """The original's descriptor, and the original held until the front closes the connection."""
        async with self._producer.latest(*call.arguments, deadline=call.deadline) as original:
            status = os.fstat(original.fileno())
            opened = Opened(original.identity, original.size_bytes, (status.st_size, status.st_mtime_ns))
            if not original.unchanged():
                raise SourceUnavailable("the original is being written", retry_after_s=1)
            await channel.send(opened, [original.fileno()])
            await asyncio.wait({gone})
