"""Two servers are asked for the same target, and their pictures judged."""

import asyncio

import pytest

from proxy.core.comparing.response import Response
from proxy.core.errors import Undecodable, UnsupportedFormat
from proxy.core.image.facts import Facts
from proxy.core.image.formats import Format
from proxy.service.admin.compare import compare


class Server:
    """Satisfies Responder."""

    def __init__(self, response: Response, waits_for: asyncio.Event | None = None) -> None:
        self.response = response
        self.was_requested = asyncio.Event()
        self._waits_for = waits_for

    async def ask(self, target: str) -> Response:
        self.was_requested.set()
        if self._waits_for is not None:
            await self._waits_for.wait()
        return self.response


class Judge:
    """Satisfies PictureJudge: a body is `WIDTHxHEIGHT FRAMES TEXT`, damaged if the text says so."""

    async def facts(self, body: bytes) -> Facts:
        if not body[:1].isdigit():
            raise UnsupportedFormat("the original is not a picture")
        sides, frames, _ = body.split()
        width, height = map(int, sides.split(b"x"))
        return Facts(format=Format.WEBP, width_px=width, height_px=height, pages=int(frames), alpha=False)

    async def difference(self, one: bytes, other: bytes) -> float:
        for position, body in enumerate((one, other)):
            if body.endswith(b"damaged"):
                raise Undecodable("the original is damaged").at(position)
        return 12.5


def ok(body: bytes, kind: str = "image/webp") -> Response:
    return Response(200, kind, body)


async def test_pictures_are_described_and_judged() -> None:
    pair = await compare("/t", Server(ok(b"30x20 1 a")), Server(ok(b"30x21 4 b", "image/gif")), Judge())
    compared = pair.compared
    assert (compared.target, compared.difference, compared.reason) == ("/t", 12.5, "")
    assert (compared.ours.sides, compared.ours.format, compared.ours.size_bytes) == ("30x20", "webp", 9)
    assert compared.theirs.sides == "30x21, 4 frames"
    assert (pair.ours, pair.theirs) == (b"30x20 1 a", b"30x21 4 b")


async def test_both_requests_are_sent_at_the_same_time() -> None:
    theirs = Server(ok(b"1x1 1 a"))
    ours = Server(ok(b"1x1 1 a"), waits_for=theirs.was_requested)
    assert (await compare("/t", ours, theirs, Judge())).compared.difference == 0.0


@pytest.mark.parametrize("body", [b"<svg/>", b"", b"9x9 1 damaged"])
async def test_equal_bytes_do_not_differ(body: bytes) -> None:
    compared = (await compare("/t", Server(ok(body)), Server(ok(body)), Judge())).compared
    assert (compared.difference, compared.reason) == (0.0, "")


@pytest.mark.parametrize(
    ("ours", "theirs", "reason"),
    [
        (b"<svg/>", b"9x9 1 a", "node: the response is not a picture"),
        (b"9x9 1 a", b"<svg/>", "vendor: the response is not a picture"),
        (b"9x9 1 damaged", b"9x9 1 a", "node: the response is damaged"),
        (b"9x9 1 a", b"9x9 1 damaged", "vendor: the response is damaged"),
    ],
)
async def test_the_reason_names_the_side_at_fault(ours: bytes, theirs: bytes, reason: str) -> None:
    compared = (await compare("/t", Server(ok(ours)), Server(ok(theirs)), Judge())).compared
    assert (compared.difference, compared.reason) == (None, reason)


async def test_errors_and_faults_are_not_judged() -> None:
    refused, silent = Response(404, "text/plain", b"1x1 1 a"), Response(fault="it refuses connections")
    compared = (await compare("/t", Server(refused), Server(silent), Judge())).compared
    assert (compared.ours.status, compared.ours.format, compared.ours.is_picture) == (
        404,
        "text/plain",
        False,
    )
    assert compared.ours.message == "1x1 1 a"
    assert (compared.theirs.fault, compared.difference, compared.reason) == (
        "it refuses connections",
        None,
        "",
    )
