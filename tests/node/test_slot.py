"""A process of a node as its supervisor starts it."""

import asyncio
import socket

import pytest

from proxy.node.slot import Child


@pytest.mark.parametrize("fault", [BlockingIOError(), asyncio.CancelledError()])
async def test_a_process_of_the_node_that_fails_to_start_leaves_no_socket_open(
    monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise fault

    ends = socket.socketpair()
    monkeypatch.setattr(socket, "socketpair", lambda: ends)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", fail)
    with pytest.raises(type(fault)):
        await Child.of_new_interpreter()
    assert [end.fileno() for end in ends] == [-1, -1]
