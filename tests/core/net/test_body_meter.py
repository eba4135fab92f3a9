"""A body that is too large or too slow is ended."""

import pytest

from proxy.core.net.body_meter import BodyMeter


class TooLarge(Exception):
    pass


class TooSlow(Exception):
    pass


def meter(max_bytes: int = 10_000) -> BodyMeter:
    return BodyMeter(
        100.0,
        max_bytes=max_bytes,
        min_bytes_per_s=1000,
        grace_s=3.0,
        too_large=TooLarge(),
        too_slow=TooSlow(),
    )


def test_received_bytes_are_counted() -> None:
    body = meter()
    for count in (1, 0, 400):
        body.take(count, 100.5)
    assert body.received_bytes == 401


def test_a_body_may_be_as_large_as_the_limit() -> None:
    body = meter()
    body.expect(10_000)
    body.take(9_999, 100.0)
    body.take(1, 100.0)
    with pytest.raises(TooLarge):
        body.take(1, 100.0)


def test_an_announced_size_is_refused_before_a_byte_arrives() -> None:
    body = meter()
    with pytest.raises(TooLarge):
        body.expect(10_001)
    assert body.received_bytes == 0


@pytest.mark.parametrize(
    ("count", "after_s", "is_slow"),
    [(0, 0.0, False), (0, 3.0, False), (3_000, 3.01, True), (3_011, 3.01, False), (1, 3.1, True), (9_999, 10.0, True)],
)  # fmt: skip
def test_the_average_rate_is_checked_after_the_grace_period(
    count: int, after_s: float, is_slow: bool
) -> None:
    body = meter()
    if is_slow:
        with pytest.raises(TooSlow):
            body.take(count, 100.0 + after_s)
    else:
        body.take(count, 100.0 + after_s)


def test_a_burst_compensates_for_a_later_pause() -> None:
    body = meter()
    body.take(6_000, 100.1)
    body.take(0, 106.0)
    with pytest.raises(TooSlow):
        body.take(0, 106.1)


def test_a_body_that_is_too_large_and_too_slow_is_too_large() -> None:
    with pytest.raises(TooLarge):
        meter(max_bytes=1).take(2, 200.0)
