"""The ports of a comparison of two servers: one requests URLs, the other reads the pictures of the responses."""

from typing import Protocol

from proxy.core.comparing.response import Response
from proxy.core.image.facts import Facts


class Responder(Protocol):
    """Answers request targets, by HTTP or from saved responses."""

    async def ask(self, target: str) -> Response:
        """The response to a valid request target, of whatever status; one with a `fault` if there is none."""
        ...


class PictureJudge(Protocol):
    """Reads untrusted pictures. Raises UnsupportedFormat, OriginalTooLarge, Undecodable, RenderTimeout or WorkerDied."""

    async def facts(self, body: bytes) -> Facts:
        """The facts of its header."""
        ...

    async def difference(self, one: bytes, other: bytes) -> float:
        """The visual difference in percent."""
        ...
