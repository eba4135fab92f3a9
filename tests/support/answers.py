"""An HTTP answer as tests examine it."""

import contextlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tests.support.waiting import LONGEST_S


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


@contextlib.contextmanager
def opened(
    request: str | urllib.request.Request,
) -> Iterator[http.client.HTTPResponse | urllib.error.HTTPError]:
    """The answer to a request, whatever its status. Its connection is closed at the end; left to a garbage collection,
    it would be a warning in some other test. Raises OSError if there is no answer."""
    try:
        answer = urllib.request.urlopen(request, timeout=LONGEST_S)
    except urllib.error.HTTPError as refusal:
        answer = refusal
    with answer:
        yield answer
