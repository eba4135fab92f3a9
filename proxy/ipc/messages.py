"""What front and back say to each other."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from proxy.core.cache.generations import PurgeScope
from proxy.core.image.original import Identity


class Call(NamedTuple):
    """One thing to do until `deadline`, a point on the Clock, which all processes of a machine share."""

    method: Literal[
        "resolve_key", "check_version", "variant", "open_current", "execute", "subscribe", "retire"
    ]
    arguments: tuple[Any, ...]
    deadline: float


class Invalidate(NamedTuple):
    """Told to a front that follows: what it must forget. It answers with a number, of the `keys` it had; None, the
    first word to it, is for all it believes."""

    scopes: Sequence[PurgeScope] | None
    keys: Sequence[str] = ()


class OpenedOriginal(NamedTuple):
    """An original whose descriptor comes beside this; `stamp` is size and mtime_ns of the file while it was known to
    be unchanged."""

    identity: Identity
    size_bytes: int
    stamp: tuple[int, int]
