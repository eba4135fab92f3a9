"""What moves through the node: a variant, and how a request came by its answer.

Plain values. Headers are made of them in `edge.respond`, never here.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from proxy.core.formats import Format


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One servable result. `kind` is its format, or None for facts, which are kept in the same tiers."""

    kind: Format | None
    body: bytes = field(repr=False)


class Outcome(StrEnum):
    """How a request ended: the same word in log, metric and Cache-Status."""

    HIT = "hit"
    MISS = "miss"
    COLLAPSED = "collapsed"
    SHED = "shed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds spent in each step of a miss; 0 where the step was not taken."""

    fetch_s: float = 0.0
    queue_s: float = 0.0
    render_s: float = 0.0


NO_TIMINGS = Timings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The answer to a request for a variant.

    `variant` is None when the client's own copy, named by its entity tag, is still the one. `tier` is where a
    hit was found; `stored` says that a miss was taken into at least one tier.
    """

    key: str
    format: Format
    outcome: Outcome
    variant: Variant | None
    tier: str = ""
    stored: bool = False
    timings: Timings = NO_TIMINGS
