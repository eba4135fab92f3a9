"""The front's end: a Producer that forwards its calls to the back, another process of this node.

Each call has a connection of its own, which is reused. If the back dies, the call is repeated to its replacement.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from io import FileIO
from typing import Any

from proxy.core.admin.commands import AdminCommand
from proxy.core.cache.delivery import Delivered, VersionCheck
from proxy.core.cache.generations import PurgeScope
from proxy.core.cache.keys import CacheKey
from proxy.core.cache.variant_request import ResolvedKey, VariantRequest
from proxy.core.errors import RenderTimeout, WorkerDied
from proxy.core.image.original import OriginalRef
from proxy.ipc.channel import Channel, Closed, Message
from proxy.ipc.messages import Call, Invalidate, OpenedOriginal
from proxy.local.files import OpenFile
from proxy.ports.clock import Clock
from proxy.ports.originals import Original

GRACE_S = 0.1
DISPATCH_TIMEOUT_S = 120.0
MAX_ATTEMPTS = 4
RECONNECT_PAUSE_S = 0.05
_MAX_IDLE = 64


Invalidation = Callable[[Sequence[PurgeScope] | None, Sequence[CacheKey]], Awaitable[int]]


class ProducerClient:
    """Satisfies Producer and CommandDispatcher. `path` is the socket of the back, which may not listen yet."""

    def __init__(self, path: str, *, connections: int, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._idle: list[Channel] = []
        self._connections = asyncio.Semaphore(connections)
        self._max_idle = min(_MAX_IDLE, connections)

    async def resolve_key(self, request: VariantRequest, *, deadline: float) -> ResolvedKey:
        resolved: ResolvedKey = await self._call(Call("resolve_key", (request,), deadline))
        return resolved

    async def check_version(
        self, refs: Sequence[OriginalRef], version: str, *, deadline: float
    ) -> VersionCheck:
        check: VersionCheck = await self._call(Call("check_version", (refs, version), deadline))
        return check

    async def variant(
        self, request: VariantRequest, *, deadline: float, redirect_until_s: float
    ) -> Delivered:
        answer: Delivered = await self._call(Call("variant", (request, redirect_until_s), deadline))
        return answer

    async def execute(
        self, command: AdminCommand, *, content: int | None = None, size_bytes: int = 0
    ) -> object:
        """A call whose connection breaks is not repeated, because the command may have been executed."""
        call = Call("execute", (command, size_bytes), self._clock() + DISPATCH_TIMEOUT_S)
        descriptors = [] if content is None else [content]
        return _value(await self._call_once(call, descriptors))

    async def _call_once(self, call: Call, descriptors: list[int]) -> Message:
        try:
            async with asyncio.timeout_at(call.deadline), self._connections:
                with closing(await self._connect()) as channel:
                    await channel.send(call, descriptors)
                    return await channel.receive()
        except TimeoutError:
            raise RenderTimeout("the back process did not answer in time") from None
        except Closed:
            raise WorkerDied("the back process died; the command may have been executed") from None

    async def retire(self, name: str, *, deadline: float) -> None:
        """Unregisters the process `name`, which has answered its last request and is not replaced."""
        await self._call(Call("retire", (name,), deadline))

    async def subscribe(self, name: str, invalidate: Invalidation) -> None:
        """Subscribes under `name` and calls `invalidate` for every purge; reconnects forever. A process that is
        disconnected misses purges, but the back counts it as unconfirmed, so no purge is reported as complete."""
        while True:
            with suppress(Closed), closing(await self._connect()) as channel:
                await channel.send(Call("subscribe", (name,), 0.0))
                while True:
                    message: Invalidate = (await channel.receive()).value
                    await channel.send(await invalidate(message.scopes, message.keys))
            await asyncio.sleep(RECONNECT_PAUSE_S)

    @asynccontextmanager
    async def open_current(
        self, ref: OriginalRef, *alternatives: OriginalRef, deadline: float
    ) -> AsyncIterator[Original]:
        channel, answer = await self._call_with_retries(Call("open_current", (ref, *alternatives), deadline))
        # The back holds the original as long as this connection is open.
        with closing(channel):
            opened: OpenedOriginal = _value(answer)
            with FileIO(answer.descriptors[0]) as file:
                yield Original(opened.name, OpenFile(file, opened.size_bytes, opened.stamp))

    async def _call(self, call: Call) -> Any:
        channel, answer = await self._call_with_retries(call)
        if len(self._idle) < self._max_idle:
            self._idle.append(channel)
        else:
            channel.close()
        return _value(answer)

    async def _call_with_retries(self, call: Call) -> tuple[Channel, Message]:
        try:
            async with asyncio.timeout_at(call.deadline + GRACE_S), self._connections:
                for _ in range(MAX_ATTEMPTS):
                    channel = self._idle.pop() if self._idle else await self._connect()
                    try:
                        return channel, await self._try(call, channel)
                    except Closed:
                        self.close()
                        await asyncio.sleep(RECONNECT_PAUSE_S)
        except TimeoutError:
            raise RenderTimeout("the back process did not answer in time") from None
        raise WorkerDied("the back process died repeatedly")

    async def _connect(self) -> Channel:
        """Connects; retries until the caller's timeout. While the back is replaced its backlog may be full."""
        while True:
            try:
                return await Channel.connect(self._path)
            except OSError:
                await asyncio.sleep(RECONNECT_PAUSE_S)

    async def _try(self, call: Call, channel: Channel) -> Message:
        try:
            await channel.send(call)
            return await channel.receive()
        except BaseException:
            # The other end treats a closed connection as a client that left, so this also covers cancellation.
            channel.close()
            raise

    def close(self) -> None:
        """Closes the idle connections."""
        while self._idle:
            self._idle.pop().close()


def _value(answer: Message) -> Any:
    if isinstance(answer.value, Exception):
        raise answer.value
    return answer.value
