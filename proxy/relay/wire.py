"""What front and back say to each other."""

from typing import Any, Literal, NamedTuple

from proxy.core.keys import Identity


class Call(NamedTuple):
    """One thing to do until `deadline`, a point on the Clock, which all processes of a machine share."""

    method: Literal["name", "variant", "latest", "explain"]
    arguments: tuple[Any, ...]
    deadline: float


class Opened(NamedTuple):
    """An original whose descriptor comes beside this; `stamp` is size and mtime_ns of the file while it was known to
    be unchanged."""

    identity: Identity
    size_bytes: int
    stamp: tuple[int, int]
