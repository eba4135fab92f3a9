"""An HTTP answer as tests examine it."""

from collections.abc import Mapping
from typing import NamedTuple


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float = 0.0
    """How long the client waited for all of it, where that was measured."""

    @property
    def cache(self) -> str:
        """Cache-Status (RFC 9211), or nothing."""
        return str(self.headers.get("Cache-Status", ""))
