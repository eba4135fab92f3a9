"""A circuit breaker limits calls to a failing part; a retry budget limits retries."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.net.breaker import Breaker, RetryBudget


def opened() -> Breaker:
    breaker = Breaker(failures=3, pause_s=1.0)
    for _ in range(3):
        assert breaker.admits(0.0)
        breaker.failed(0.0)
    return breaker


def test_a_breaker_opens_after_consecutive_failures() -> None:
    breaker = Breaker(failures=3, pause_s=1.0)
    for _ in range(2):
        breaker.failed(0.0)
    breaker.succeeded()
    for _ in range(2):
        breaker.failed(0.0)
    assert not breaker.open
    assert breaker.admits(0.0)
    breaker.failed(0.0)
    assert breaker.open
    assert not breaker.admits(0.5)


def test_an_open_breaker_lets_one_call_through_after_each_pause() -> None:
    breaker = opened()
    assert [breaker.admits(now) for now in (0.99, 1.0, 1.0, 1.99, 2.0, 2.5)] == [
        False, True, False, False, True, False,
    ]  # fmt: skip


def test_a_call_that_succeeds_closes_the_breaker() -> None:
    breaker = opened()
    assert breaker.admits(1.0)
    breaker.succeeded()
    assert not breaker.open
    assert all(breaker.admits(1.0) for _ in range(5))


def test_a_call_that_fails_keeps_the_breaker_open_for_another_pause() -> None:
    breaker = opened()
    assert breaker.admits(1.0)
    breaker.failed(1.5)
    assert not breaker.admits(2.4)
    assert breaker.admits(2.5)


@given(st.lists(st.booleans(), max_size=500))
def test_retries_are_at_most_a_tenth_of_the_calls(attempts: list[bool]) -> None:
    budget = RetryBudget()
    spent = 0
    for number, is_retry in enumerate(attempts, start=1):
        budget.earn()
        spent += is_retry and budget.spend()
        assert spent <= 1 + number / 10


def test_the_retry_budget_is_bounded() -> None:
    budget = RetryBudget()
    for _ in range(10_000):
        budget.earn()
    assert sum(budget.spend() for _ in range(100)) == 10
