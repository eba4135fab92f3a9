"""Conditional and range requests follow RFC 9110."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.cache.http_caching import (
    IMMUTABLE_S,
    Whole,
    byte_range,
    cache_control,
    etag,
    http_date,
    is_unmodified,
    matches,
    precondition_fails,
)

TAG = etag("0123456789abcdef" * 4)


def test_the_tag_is_strong_and_short() -> None:
    assert TAG == '"0123456789abcdef0123456789abcdef"'


def test_only_the_longest_max_age_is_immutable() -> None:
    assert cache_control(IMMUTABLE_S) == "public, max-age=31536000, immutable"
    assert cache_control(600) == "public, max-age=600"
    assert cache_control(600, private=True) == "private, max-age=600"


@pytest.mark.parametrize(
    ("header", "same"),
    [
        (TAG, True),
        (f"W/{TAG}", True),
        (f'"x", {TAG}', True),
        (f'"x",W/"y" ,  {TAG} ', True),
        (f'"a,b", {TAG}', True),
        (f'"x",, {TAG}', True),
        (f", {TAG}", True),
        ("*", False),
        ('"x"', False),
        (TAG.strip('"'), False),
        (TAG[:-1], False),
        (TAG.upper(), False),
        (f"w/{TAG}", False),
        (f"x {TAG}", False),
        ("", False),
        ('"' * 9999, False),
    ],
)
def test_if_none_match_compares_weakly(header: str, same: bool) -> None:
    assert matches(header, TAG) is same


@given(st.text(max_size=60))
def test_if_none_match_never_raises(header: str) -> None:
    assert matches(header, TAG) in (True, False)


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", range(0, 1)),
        ("bytes=0-99", range(100)),
        ("bytes=10-", range(10, 100)),
        ("bytes=90-1000", range(90, 100)),
        ("bytes=-10", range(90, 100)),
        ("bytes=-1000", range(100)),
        ("bytes=99-99", range(99, 100)),
        (" bytes=5-6 ", range(5, 7)),
        ("BYTES=0-0", range(0, 1)),
        ("bytes=100-", None),
        ("bytes=500-600", None),
        ("bytes=-0", None),
        ("bytes=5-4", Whole.WHOLE),
        ("bytes=-", Whole.WHOLE),
        ("bytes=0-1,3-4", Whole.WHOLE),
        ("bytes=" + "0-1," * 1000 + "0-1", Whole.WHOLE),
        ("bytes=٣-٤", Whole.WHOLE),
        ("bytes=+1-2", Whole.WHOLE),
        ("bytes=1_0-20", Whole.WHOLE),
        ("bytes = 1-2", Whole.WHOLE),
        ("items=0-1", Whole.WHOLE),
        ("", Whole.WHOLE),
        ("bytes=0-5,", range(6)),
        ("bytes=,0-5", range(6)),
        ("bytes=, ,\t0-5 , ,", range(6)),
        ("bytes=,-5,", range(95, 100)),
        ("bytes=,", Whole.WHOLE),
        ("bytes=, ,", Whole.WHOLE),
        ("bytes=,-,", Whole.WHOLE),
        ("bytes=0-5;", Whole.WHOLE),
        ("bytes=,0-5,7-8", Whole.WHOLE),
        ("bytes= 0-5", Whole.WHOLE),
        ("bytes=" + " ," * 4000 + "0-5", range(6)),
        ("bytes=" + " ," * 4000 + "x", Whole.WHOLE),
        (f"bytes=5-{2**63 - 1}", range(5, 100)),
        (f"bytes=5-{2**64}", range(5, 100)),
        (f"bytes=5-{'9' * 4000}", range(5, 100)),
        (f"bytes=-{2**64}", range(100)),
        (f"bytes=-{'9' * 4000}", range(100)),
        (f"bytes={'0' * 30}5-{'0' * 30}6", range(5, 7)),
        (f"bytes={'9' * 40}-", None),
        (f"bytes={2**64}-{2**65}", None),
        (f"bytes={2**65}-{2**64}", Whole.WHOLE),
        (f"bytes=5-{'9' * 5000}", Whole.WHOLE),
        ("bytes=a-b", Whole.WHOLE),
        ("bytes=9-5", Whole.WHOLE),
    ],
)
def test_range_headers(header: str, part: object) -> None:
    assert byte_range(header, None, TAG, 100) == part


@pytest.mark.parametrize(
    ("if_range", "part"),
    [
        (TAG, range(0, 10)),
        (f" {TAG} ", range(0, 10)),
        (f"W/{TAG}", Whole.WHOLE),
        ('"other"', Whole.WHOLE),
        ("Sat, 21 Nov 2026 09:00:00 GMT", Whole.WHOLE),
    ],
)
def test_if_range_needs_the_strong_tag(if_range: str, part: object) -> None:
    assert byte_range("bytes=0-9", if_range, TAG, 100) == part


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 150))
def test_a_range_lies_within_the_body(first: int, last: int, length: int) -> None:
    part = byte_range(f"bytes={first}-{last}", None, TAG, length)
    if isinstance(part, range):
        assert 0 <= part.start < part.stop <= length


def test_an_empty_body_has_no_ranges() -> None:
    assert byte_range("bytes=-5", None, TAG, 0) is None
    assert byte_range("bytes=0-", None, TAG, 0) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 784111777),
        ("Sun Nov  6 08:49:37 1994", 784111777),
        ("06 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37 +0100", None),
        ("Sun, 32 Nov 1994 08:49:37 GMT", None),
        ("784111777", None),
        ("", None),
    ],
)
def test_http_dates(header: str, seconds: int | None) -> None:
    assert http_date(header) == seconds


def test_if_unmodified_since() -> None:
    since = "Sun, 06 Nov 1994 08:49:37 GMT"
    assert precondition_fails(None, since, TAG, 784111778)
    assert not precondition_fails(None, since, TAG, 784111777.9)
    assert not precondition_fails(None, since, TAG, None), "it is not known"
    assert not precondition_fails(None, "yesterday", TAG, 784111778)
    assert not precondition_fails(TAG, since, TAG, 784111778), "If-Match comes first"
    assert precondition_fails(f"W/{TAG}", None, TAG, None)


def test_if_modified_since() -> None:
    since = "Sun, 06 Nov 1994 08:49:37 GMT"
    assert is_unmodified(since, 784111777)
    assert is_unmodified(since, 0)
    assert not is_unmodified(since, 784111778)
    assert not is_unmodified(since, None), "it is not known"
    assert not is_unmodified("yesterday", 784111777)


@pytest.mark.parametrize(
    ("if_match", "refused"),
    [(TAG, False), (f'"x", {TAG}', False), ("*", False), (" * ", False), ('"x"', True), (f"W/{TAG}", True), ("", True)],
)  # fmt: skip
def test_if_match_compares_strongly(if_match: str, refused: bool) -> None:
    assert precondition_fails(if_match, None, TAG, None) is refused
