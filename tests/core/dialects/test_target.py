"""The raw target: decoded once, and refused where it has two readings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.dialects.target import Target, checked_key, cut, decoded, encoded, without_secrets
from proxy.core.errors import BadUrl, CalotypeError, SourceNotAllowed
from tests.strategies import keys


def test_a_target_is_cut_at_its_first_question_mark() -> None:
    assert cut("/a/b?c=d?e") == Target("/a/b", "c=d?e")
    assert cut("/a") == Target("/a", None)
    assert cut("/a?") == Target("/a", "")


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "*",
        "http://evil/x",
        "evil:443",
        "/a b",
        "/a\0",
        "/a#b",
        "/a\\b",
        '/a"',
        "/a<b>",
        "/a\x7f",
        "/a\tb",
    ],
)
def test_targets_that_no_url_has(raw: str) -> None:
    with pytest.raises(BadUrl):
        cut(raw)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("caf%C3%A9", "café"),
        ("caf\udcc3\udca9", "café"),
        ("a%20b", "a b"),
        ("a+b", "a+b"),
        ("100%25", "100%"),
        ("%252e%252e", "%2e%2e"),
    ],
)
def test_decoding_happens_once(raw: str, text: str) -> None:
    assert decoded(raw, "the key") == text


@pytest.mark.parametrize(
    "raw", ["%", "%4", "%zz", "a%2", "%ff", "%C3", "%C0%AE", "%E0%80%AE", "%ED%A0%80", "\udcff", "%u0041"]
)
def test_what_is_not_utf8_is_refused(raw: str) -> None:
    with pytest.raises(BadUrl, match="the key"):
        decoded(raw, "the key")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/..",
        "../a",
        "a/./b",
        "a\0b",
        "a\nb",
        "a\x7f",
        "a\x85b",
        "a\\b",
        "..\\a",
    ],
)
def test_keys_that_could_leave_their_place(key: str) -> None:
    with pytest.raises(BadUrl):
        checked_key(key)


@pytest.mark.parametrize("key", ["...", "....", "a..b", ".hidden", "a b", "é", "x:y", "100%"])
def test_keys_that_are_only_odd(key: str) -> None:
    assert checked_key(key) == key


@pytest.mark.parametrize("key", ["http://a/b.jpg", "HTTPS://a", "s3://bucket/key", "file:///etc/passwd"])
def test_absolute_urls_are_no_keys_of_a_directory(key: str) -> None:
    with pytest.raises(SourceNotAllowed):
        checked_key(key)


@given(keys)
def test_encoding_is_undone_by_decoding(key: str) -> None:
    assert decoded(encoded(key), "the key") == key


@given(st.text(max_size=60))
def test_nothing_but_our_errors_is_raised(raw: str) -> None:
    try:
        checked_key(decoded(cut("/" + raw).path[1:], "the key"))
    except CalotypeError as failure:
        assert failure.detail


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("/w_400/a.jpg", "/w_400/a.jpg"),
        ("/w_400/design=1/assign.jpg", "/w_400/design=1/assign.jpg"),
        ("/thumbnail?url=a%20b.jpg&w=4", "/thumbnail?url=a%20b.jpg&w=4"),
        ("/thumbnail?url=s3://b/a.jpg&w=4", "/thumbnail?url=s3://b/a.jpg&w=4"),
        (
            "/thumbnail?w=4&url=https%3A%2F%2Fs3.example%2Fb%2Fa.jpg%3FX-Amz-Credential%3Dsecret",
            "/thumbnail?w=4&url=https://s3.example/b/a.jpg?...",
        ),
        ("/w_400/a.jpg?sig=secret", "/w_400/a.jpg?..."),
        ("/thumbnail?x-amz-security-token=secret", "/thumbnail?..."),
        ("/thumbnail?url=%ff%3FSignature%3Dsecret", "/thumbnail?url=%EF%BF%BD?..."),
    ],
)
def test_a_log_shows_no_credential(raw: str, shown: str) -> None:
    assert without_secrets(raw) == shown


@pytest.mark.parametrize(
    "raw",
    [
        "/thumbnail?url=https%253A%252F%252Fs3.x%252Fa%253FX-Amz-Signature%253Dsecret",
        "/w_100/https%3A%2F%2Fs3.x%2Fa%3FX-Amz-Signature%3Dsecret",
        "/original/https%3A//s3.x/a%3FX-Amz-Credential%3Dsecret",
        "/thumbnail?%75rl=https://s3.x/a?X-Amz-Signature=secret",
        "/thumbnail?URL=https://s3.x/a&Signature=secret",
        "/thumbnail?w=https://s3.x/a;Signature=secret",
        "/thumbnail?url=https://s3.x/a%23Signature=secret",
        "/thumbnail?url=https://s3.x/a?X%2DAmz%2DSignature=secret",
        "/thumbnail?url=https://s3.x/a?X%252DAmz%252DSignature=secret",
        "/thumbnail?url=http://secret:secret@host/a.jpg",
        "/thumbnail?url=http%3A%2F%2Fkey:secret%40host/a.jpg",
        "/thumbnail?url=https://s3.x/a?AWSAccessKeyId=secret&Signature=secret",
    ],
)
def test_however_a_credential_is_spelled(raw: str) -> None:
    assert "secret" not in without_secrets(raw)


@given(st.text(alphabet="abc%3Fxurl=&?-S", max_size=60))
def test_no_target_is_too_strange_for_a_log(tail: str) -> None:
    assert without_secrets("/thumbnail?" + tail)
