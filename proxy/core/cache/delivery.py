"""The values that move through the node: variants and deliveries.

`edge/responses` makes headers of them.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from proxy.core.cache.freshness import Freshness
from proxy.core.cache.keys import CacheKey


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Variant:
    """The bytes of an entry of the tiers: a picture, or the JSON of facts, identities and tags. `of` is its original,
    `source:key`; empty if the entry comes from a tier. `notice` is what `Calotype-Notice` says of this picture whatever
    URL it has: at most 255 characters of ASCII, kept in every tier, as is `original_bytes`, the size of its first original;
    0 if that is unknown."""

    body: bytes = field(repr=False)
    notice: str = ""
    original_bytes: int = 0
    of: str = field(default="", compare=False, repr=False)


class Outcome(StrEnum):
    """The outcome of a request: the same word in log, metrics and Cache-Status."""

    __hash__ = str.__hash__  # The hash of Enum is written in Python, and every hit computes it.

    HIT = "hit"
    MISS = "miss"
    COLLAPSED = "collapsed"
    SHED = "shed"
    FAILED = "failed"
    BYPASS = "bypass"


class Timings(NamedTuple):
    """Seconds of each step of a miss; 0 if this request did not take the step."""

    fetch_s: float = 0.0
    queue_s: float = 0.0
    render_s: float = 0.0


NO_TIMINGS = Timings()


def steps(outcome: Outcome | None, timings: Timings, total_s: float) -> list[tuple[str, float]]:
    """The steps of a request in order, each with its name and seconds; the sum is `total_s`."""
    if outcome is Outcome.MISS:
        lookup_s = max(0.0, total_s - sum(timings))
        return [("lookup", lookup_s), *zip(("fetch", "queue", "render"), timings, strict=True)]
    return [("wait" if outcome is Outcome.COLLAPSED else "lookup", total_s)]


class VersionCheck(NamedTuple):
    """A version in a URL needs no revalidation until `valid_until_s`, a point on the Clock; 0 if an original was not
    revalidated. `freshness` is that of each original since then."""

    valid_until_s: float
    freshness: tuple[Freshness, ...] = ()


VALIDATOR = "validator"
"""The tier of a hit on the client's own copy, by its entity tag."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Delivery:
    """The result of a request for a variant, without its bytes, so that stored Deliveries are small.

    `tier` is that of a hit, VALIDATOR for the client's own copy; `stored` is whether a tier has accepted a miss.
    `freshness` is as in ResolvedKey. `provisional`: an original was not revalidated for the version in the URL.
    `location`, if not empty, is the URL from which the client fetches the bytes. `notice` and `original_bytes` are those
    of the variant; empty and 0 if the bytes are not in memory and were not looked up.
    """

    key: CacheKey
    outcome: Outcome
    tier: str = ""
    stored: bool = False
    timings: Timings = NO_TIMINGS
    freshness: tuple[Freshness, ...] = ()
    location: str = field(default="", repr=False)
    notice: str = ""
    original_bytes: int = 0
    provisional: bool = False


class Delivered(NamedTuple):
    """A Delivery and its bytes; None if the client has them or is redirected."""

    delivery: Delivery
    variant: Variant | None
