"""The time of a request is divided into steps."""

import pytest

from proxy.core.cache.delivery import NO_TIMINGS, Outcome, Timings, steps

TIMINGS = Timings(fetch_s=0.25, queue_s=0.5, render_s=1.0)


@pytest.mark.parametrize(
    ("outcome", "timings", "expected"),
    [
        (Outcome.MISS, TIMINGS, [("lookup", 0.25), ("fetch", 0.25), ("queue", 0.5), ("render", 1.0)]),
        (Outcome.MISS, NO_TIMINGS, [("lookup", 2.0), ("fetch", 0.0), ("queue", 0.0), ("render", 0.0)]),
        (Outcome.COLLAPSED, TIMINGS, [("wait", 2.0)]),
        (Outcome.HIT, NO_TIMINGS, [("lookup", 2.0)]),
        (Outcome.SHED, NO_TIMINGS, [("lookup", 2.0)]),
        (Outcome.FAILED, NO_TIMINGS, [("lookup", 2.0)]),
        (None, NO_TIMINGS, [("lookup", 2.0)]),
    ],
)
def test_the_steps_add_up_to_the_whole_request(
    outcome: Outcome | None, timings: Timings, expected: list[tuple[str, float]]
) -> None:
    assert steps(outcome, timings, 2.0) == expected


def test_no_step_has_a_negative_duration() -> None:
    """Another clock may have run a little ahead."""
    assert steps(Outcome.MISS, TIMINGS, 1.5)[0] == ("lookup", 0.0)
