"""The old service behind a mount, and which requests it answers.

Pure. The originals are divided by a hash of their names, so that all nodes divide them alike.
"""

import hashlib
from dataclasses import dataclass
from urllib.parse import unquote

from proxy.core.errors import BadUrl, CalotypeError, NotSupported, UnknownRoute, UnsupportedFormat
from proxy.core.url.parsed_url import ParsedUrl

_POSITION_BYTES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """`url` is a base URL without a final slash. The node answers for the `share` of the originals, from 0 to 1; with
    `takes_unsupported` the upstream answers what the node does not do. Methods that return a reason return an empty text
    if the node answers."""

    url: str
    share: float = 1.0
    takes_unsupported: bool = False
    allow_private: bool = False

    def reason(self, parsed: ParsedUrl) -> str:
        """Why the upstream answers a valid URL."""
        # All names of an original have one answer: the shortest is the one without a suffix.
        return self._outside_share(min((parsed.key, *parsed.alternatives), key=len))

    def reason_for_failed(self, target: str, failure: CalotypeError) -> str:
        """Why the upstream answers a target below the mount that the node cannot parse, so that its original is not
        known."""
        return self.reason_for_unsupported(failure) or self._outside_share(target)

    def reason_for_unsupported(self, failure: CalotypeError) -> str:
        """Why the upstream answers what has failed in the node."""
        is_unsupported = isinstance(failure, NotSupported | UnknownRoute | UnsupportedFormat)
        return failure.detail if self.takes_unsupported and is_unsupported else ""

    def url_of(self, target: str) -> str:
        """The URL of a raw target below the mount. Raises BadUrl for dot segments, which might lead out of `url`."""
        path = unquote(target.partition("?")[0]).replace("\\", "/")
        if {".", ".."} & set(path.split("/")):
            raise BadUrl("the path has a segment that is . or .., which is not passed to the upstream")
        return f"{self.url}{target}"

    def _outside_share(self, name: str) -> str:
        return "" if _position(name) < self.share else "the original is not in the share of the node"


def _position(name: str) -> float:
    """A number from 0 to below 1, the same on all nodes."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:_POSITION_BYTES]
    return int.from_bytes(digest, "big") / (1 << 8 * _POSITION_BYTES)
