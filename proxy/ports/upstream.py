"""The old service behind a mount."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from multidict import CIMultiDictProxy


class UpstreamAnswer(NamedTuple):
    """The head of a response, and its body as it arrives. `body` raises SourceUnavailable or SourceTimeout."""

    status: int
    headers: CIMultiDictProxy[str]
    body: AsyncIterator[bytes]


class UpstreamServer(Protocol):
    """Passes requests on."""

    def request(
        self, method: str, url: str, headers: Mapping[str, str], *, allow_private: bool, deadline: float
    ) -> AbstractAsyncContextManager[UpstreamAnswer]:
        """The response, which is open while the context is. Its head arrives by `deadline`, a point on the Clock. Without
        `allow_private` the server must have a public address. Raises SourceUnavailable, SourceTimeout, or Overloaded if
        too many requests are under way."""
        ...
