"""Bounded, and nothing more."""

from proxy.core.memo import Memo


def test_it_keeps_until_full_and_starts_anew() -> None:
    memo: Memo[int, str] = Memo(3)
    for number in range(3):
        assert memo.store(number, str(number)) == str(number)
    assert memo.store(2, "again") == "again"
    assert len(memo) == 3
    memo.store(3, "3")
    assert dict(memo) == {3: "3"}
