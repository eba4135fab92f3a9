"""An original is fresh, may be served stale, or must be revalidated."""

import math

import pytest

from proxy.core.cache.freshness import NEVER_FRESH, Freshness, OriginalRecord, State, state
from proxy.core.image.original import OriginalRef

REF = OriginalRef("photos", "a")
KNOWN = Freshness("1", fresh_until_s=100.0, stale_until_s=101.0)


@pytest.mark.parametrize(
    ("freshness", "now_s", "expected"),
    [
        (KNOWN, 0.0, State.FRESH),
        (KNOWN, 99.999, State.FRESH),
        (KNOWN, 100.0, State.REFRESH),
        (KNOWN, 100.999, State.REFRESH),
        (KNOWN, 101.0, State.STALE),
        (KNOWN, math.inf, State.STALE),
        (KNOWN._replace(fresh_until_s=math.inf), 1e12, State.FRESH),
        (KNOWN._replace(stale_until_s=0.0), 99.0, State.FRESH),
        (KNOWN._replace(stale_until_s=0.0), 100.0, State.STALE),
        (NEVER_FRESH, 0.0, State.STALE),
    ],
)
def test_the_state_is_decided_by_two_points_in_time(
    freshness: Freshness, now_s: float, expected: State
) -> None:
    assert state(freshness, now_s) is expected


def test_a_new_record_is_not_fresh_and_equals_no_other() -> None:
    one, other = OriginalRecord(REF), OriginalRecord(REF)
    assert (one.freshness, one.revalidating_since_s) == (NEVER_FRESH, math.inf)
    assert one != other
