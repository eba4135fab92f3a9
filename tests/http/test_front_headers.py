"""A proxy in front of the node: caching headers, forwarded addresses, and closing connections."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from proxy.node import listeners
from proxy.node.front import Front
from proxy.node.readiness import Phase
from tests.http.conftest import ORIGINALS, Running, running, shares_node
from tests.http.test_signed import NEW, STRICT, signed_by
from tests.support.fakes import temporary_file
from tests.support.waiting import eventually, settle

CLAIMS = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9", "X-Request-Id": "0123456789abcdef" * 2}


async def connected(node: Running, count: int) -> None:
    """Waits until so many clients are connected."""

    async def are_connected() -> bool:
        return await node.metric("calotype_connections") == count

    await eventually(are_connected)


@pytest.mark.parametrize(
    ("target", "status", "expires"),
    [
        ("/w_50/photo.jpg", 200, "5"),
        ("/w_50,f_auto/photo.jpg", 200, "5"),
        ("/original/photo.jpg", 200, "0"),
        ("/w_50/nope.jpg", 404, "0"),
        ("/w_x/photo.jpg", 400, "0"),
        ("/nowhere", 404, "0"),
        ("/w_50/broken.jpg", 422, "0"),
        ("/healthz", 200, "0"),
        ("/robots.txt", 200, "0"),
    ],
)
@shares_node
async def test_accel_expires_limits_the_caching_of_a_proxy(
    shared_node: Running, target: str, status: int, expires: str
) -> None:
    for _ in range(2):
        answer = await shared_node.get(target)
        assert (answer.status, answer.headers["X-Accel-Expires"]) == (status, expires)


async def test_signed_and_short_lived_answers_are_not_cached_by_a_proxy(tmp_path: Path) -> None:
    changes: dict[str, Any] = {**STRICT, "mounts": {**STRICT["mounts"]}}
    changes["mounts"]["brief"] = {"source": "photos", "prefix": "/brief/", "max_age": "2s"}
    async with running(tmp_path, **changes) as node:
        temporary_file(node.originals, "photo.jpg", ORIGINALS["photo.jpg"]())
        for target, expires in [
            (signed_by(NEW, "/both/w_300/photo.jpg"), "0"),
            (signed_by(NEW, "/both/w_300/photo.jpg", until_s=2**33), "0"),
            (signed_by(NEW, "/both/w_300/photo.jpg", session="s"), "0"),
            ("/both/w_300/photo.jpg", "5"),
            ("/brief/w_300/photo.jpg", "2"),
        ]:
            answer = await node.get(target, Cookie="sid=s")
            assert (answer.status, answer.headers["X-Accel-Expires"]) == (200, expires), target


class Lines:
    """What the log says from now on."""

    readable = False
    dropped = 0

    def __init__(self, node: Running) -> None:
        _, front = node.node.halves
        assert isinstance(front, Front)
        self.access_log = front.access_log
        self.access_log._out = self  # type: ignore[assignment]
        self.written = b""

    def write(self, lines: bytes) -> None:
        self.written += lines

    def last(self) -> dict[str, Any]:
        self.access_log.flush()
        line: dict[str, Any] = json.loads(self.written.splitlines()[-1])
        return line


@pytest.mark.parametrize("trusted", [[], ["192.0.2.0/24"], ["127.0.0.0/8"]])
async def test_only_a_trusted_proxy_may_forward_addresses(tmp_path: Path, trusted: list[str]) -> None:
    believed = trusted == ["127.0.0.0/8"]
    async with running(tmp_path, server={"port": 0, "trusted_proxies": trusted}) as node:
        temporary_file(node.originals, "photo.jpg", ORIGINALS["photo.jpg"]())
        lines = Lines(node)
        await node.get("/w_50/photo.jpg", **CLAIMS)
        assert lines.last()["client"] == ("203.0.113.9" if believed else "127.0.0.1")
        assert lines.last().get("id", "") == (CLAIMS["X-Request-Id"] if believed else "")
        assert lines.last()["render_ms"] > 0
        await node.get("/w_50/photo.jpg", **{"X-Request-Id": "not; an id", "X-Forwarded-For": "<script>"})
        assert lines.last()["client"] == "127.0.0.1"
        assert "id" not in lines.last()
        assert "render_ms" not in lines.last(), lines.last()


async def test_while_stopping_an_answer_closes_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is open while the node stops is not cut off: it may ask once more, and is told."""
    monkeypatch.setattr(listeners, "CLOSE_GRACE_S", 0.5)
    async with running(tmp_path) as node:
        temporary_file(node.originals, "photo.jpg", ORIGINALS["photo.jpg"]())
        host, port = node.node.public_url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))

        async def ask() -> bytes:
            writer.write(b"GET /w_50/photo.jpg HTTP/1.1\r\nHost: x\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            return head

        assert b"Connection: close" not in await ask()
        stopping = asyncio.create_task(node.stop())
        await eventually(lambda: node.node.phase is Phase.STOPPING)
        await settle()
        assert b"Connection: close" in await ask()
        assert await reader.read() == b""
        await stopping
        writer.close()


async def test_connections_beyond_the_limit_get_503(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "max_connections", lambda: 3)
    async with running(tmp_path) as node:
        temporary_file(node.originals, "photo.jpg", ORIGINALS["photo.jpg"]())
        host, port = node.node.public_url.removeprefix("http://").split(":")
        held = [await asyncio.open_connection(host, int(port)) for _ in range(3)]
        await connected(node, 3)
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /w_50/photo.jpg HTTP/1.1\r\nHost: x\r\n\r\n")
        response = await reader.read()
        assert response.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1" in response
        assert b"urn:calotype:error:overloaded" in response
        writer.close()
        held[0][1].close()
        await connected(node, 2)
        assert (await node.get("/w_50/photo.jpg")).status == 200
        assert await node.metric("calotype_connections_turned_away_total") == 1
        assert await node.metric("calotype_connections") == 3
        for _, one in held:
            one.close()
