"""Messages between front and back."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from proxy.core.cache.generations import PurgeScope
from proxy.core.cache.keys import CacheKey
from proxy.local.files import Stamp


class Call(NamedTuple):
    """A call of `method`. `deadline` is a point on the monotonic clock, which all processes of a machine share."""

    method: Literal[
        "resolve_key", "check_version", "variant", "open_current", "execute", "subscribe", "retire"
    ]
    arguments: tuple[Any, ...]
    deadline: float


class Invalidate(NamedTuple):
    """Sent to a subscribed front: the scopes and keys to invalidate. The front answers with the number of `keys` it
    held. `scopes` None invalidates everything."""

    scopes: Sequence[PurgeScope] | None
    keys: Sequence[CacheKey]


class OpenedOriginal(NamedTuple):
    """An Original, sent with its file descriptor. `stamp` is that of the unchanged file."""

    name: str
    size_bytes: int
    stamp: Stamp
