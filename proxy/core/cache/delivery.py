"""What moves through the node: a variant, and how a request came by its answer.

Plain values. Headers are made of them in `edge.respond`, never here.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from proxy.core.cache.freshness import NEVER_FRESH, Freshness
from proxy.core.image.formats import Format


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Variant:
    """One servable result. `kind` is its format, or None for facts, which are kept in the same tiers. `of` says of which
    original it was just made, `source:key`; what a tier gives back does not know any more."""

    kind: Format | None
    body: bytes = field(repr=False)
    of: str = field(default="", compare=False, repr=False)


class Outcome(StrEnum):
    """How a request ended: the same word in log, metric and Cache-Status."""

    __hash__ = str.__hash__  # Enum's own is written in Python, and this is a key on the path of every hit.

    HIT = "hit"
    MISS = "miss"
    COLLAPSED = "collapsed"
    SHED = "shed"
    FAILED = "failed"


class Timings(NamedTuple):
    """Seconds spent in each step of a miss; 0 where the step was not taken, or by another request."""

    fetch_s: float = 0.0
    queue_s: float = 0.0
    render_s: float = 0.0


NO_TIMINGS = Timings()


def steps(outcome: Outcome | None, timings: Timings, total_s: float) -> list[tuple[str, float]]:
    """What a request's time went into, in order, by name and seconds, which add up to all of it."""
    if outcome is Outcome.MISS:
        lookup_s = max(0.0, total_s - sum(timings))
        return [("lookup", lookup_s), *zip(("fetch", "queue", "render"), timings, strict=True)]
    return [("wait" if outcome is Outcome.COLLAPSED else "lookup", total_s)]


class VersionCheck(NamedTuple):
    """Until when, on the Clock, a version that a URL names needs no look at its original, and what is believed of that
    since the look; 0 where there was none."""

    valid_until_s: float
    freshness: Freshness = NEVER_FRESH


VALIDATOR = "validator"
"""The tier of a hit on the client's own copy, which its entity tag proved current."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Delivery:
    """The answer to a request for a variant, without its bytes: whoever remembers a Delivery holds no picture.

    `tier` is where a hit was found, VALIDATOR for the client's own copy; `stored` says that a miss was taken into
    at least one tier. `belief` is about the original that `key` was made of. `provisional` says that the version
    its URL names has not had its look yet. `location`, if not empty, is the URL at which the client finds the bytes itself.
    """

    key: str
    format: Format
    outcome: Outcome
    tier: str = ""
    stored: bool = False
    timings: Timings = NO_TIMINGS
    freshness: Freshness = NEVER_FRESH
    location: str = field(default="", repr=False)
    provisional: bool = False


class Delivered(NamedTuple):
    """A Delivery and its bytes; None where the client has them, or is told where to find them."""

    delivery: Delivery
    variant: Variant | None


@dataclass(slots=True, eq=False)
class AccessRecord:
    """One request as log and metrics see it, filled in on its way out; without an outcome it is not told.

    The one value here that changes: it belongs to a single request. `settings` are keys that would allow what was refused. `target`, `client` and `request_id` are what was
    heard; the log cleans them.
    """

    method: str
    target: str
    outcome: Outcome | None = None
    mount: str = ""
    tier: str = ""
    key: str = ""
    format: str = ""
    error: str = ""
    detail: str = ""
    settings: tuple[str, ...] = ()
    status: int = 0
    bytes: int = 0
    seconds: float = 0.0
    timings: Timings = NO_TIMINGS
    client: str = ""
    request_id: str = ""

    def record(self, delivery: Delivery) -> None:
        self.outcome, self.tier = delivery.outcome, delivery.tier
        self.key, self.format = delivery.key, delivery.format
        self.timings = delivery.timings
