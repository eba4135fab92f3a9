"""The freshness of an original: fresh, then stale (RFC 9111 section 4.2, RFC 5861)."""

import math
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from proxy.core.image.original import OriginalRef


class Freshness(NamedTuple):
    """The current version of an original, empty if it is not known.

    Fresh until `fresh_until_s`. Until `stale_until_s` a cached variant is served while the original is revalidated in the
    background. Both are points on the monotonic clock, in seconds.
    """

    version: str
    fresh_until_s: float
    stale_until_s: float = 0.0


NEVER_FRESH = Freshness("", 0.0)
MISSING = "missing"
"""The version of an original that does not exist: a variant that another original is used for depends on that too."""


class State(Enum):
    """The use of a cached variant of an original; of several originals, the worst of their states counts."""

    FRESH = auto()
    """Served."""
    REFRESH = auto()
    """Served, and the original is revalidated in the background (stale-while-revalidate)."""
    STALE = auto()
    """Served only if a revalidation does not end in time."""


def state(freshness: Freshness, now_s: float) -> State:
    """The state at `now_s`; an unknown version is stale."""
    if freshness.fresh_until_s > now_s:
        return State.FRESH
    return State.REFRESH if freshness.stale_until_s > now_s else State.STALE


@dataclass(slots=True, eq=False)
class OriginalRecord:
    """The record of one original in one process.

    A purge drops the record, and a new version replaces it. An answer is valid while the records of all its originals
    are the current ones, so work that began earlier writes into a record that no request reads.
    """

    ref: OriginalRef
    freshness: Freshness = NEVER_FRESH
    revalidating_since_s: float = math.inf
    """The start of the current revalidation; infinite if there is none."""
