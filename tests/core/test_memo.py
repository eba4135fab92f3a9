"""A memo is bounded."""

from proxy.core.memo import Memo


def test_a_full_memo_is_emptied_before_the_next_entry() -> None:
    memo: Memo[int, str] = Memo(3)
    for number in range(3):
        assert memo.store(number, str(number)) == str(number)
    assert memo.store(2, "again") == "again"
    assert len(memo) == 3
    memo.store(3, "3")
    assert dict(memo) == {3: "3"}
