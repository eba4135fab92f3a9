"""The raw target is decoded once, and refused if it is ambiguous."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.errors import BadUrl, CalotypeError, SourceNotAllowed
from proxy.core.url.target import (
    Target,
    checked_host,
    checked_key,
    checked_locator,
    checked_prefix,
    cut,
    decoded,
    encoded,
    has_path,
    in_origin_form,
    of_base64,
    origin_and_target,
)
from tests.support.strategies import keys


def test_a_target_is_cut_at_its_first_question_mark() -> None:
    assert cut("/a/b?c=d?e") == Target("/a/b", "c=d?e")
    assert cut("/a") == Target("/a", None)
    assert cut("/a?") == Target("/a", "")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        *(
            (raw, "the request target must be a path")
            for raw in ("", "*", "http://evil/x", "evil:443", "a b", "?/a")
        ),
        *(
            (raw, "the URL holds a character")
            for raw in (
                "/a b",
                "/a\0",
                "/a#b",
                "/a\x7f",
                "/a\tb",
                "/a?b#c",
            )
        ),
    ],
)
def test_targets_with_invalid_characters_are_refused(raw: str, says: str) -> None:
    with pytest.raises(BadUrl, match=f"^{says}"):
        cut(raw)


def test_characters_that_browsers_send_raw_are_preserved() -> None:
    assert cut('/a|{}^`"<>\\?b=|{}^`"<>\\') == Target('/a|{}^`"<>\\', 'b=|{}^`"<>\\')


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("/w_9/a.jpg?b", "", "/w_9/a.jpg?b"),
        ("/http://a/b", "", "/http://a/b"),
        ("//a/b", "", "//a/b"),
        ("http://a", "http://a", "/"),
        ("http://a/", "http://a", "/"),
        ("https://img.example:8443/w_9/a.jpg", "https://img.example:8443", "/w_9/a.jpg"),
        ("HTTPS://Img.example/w_9/a.jpg", "HTTPS://Img.example", "/w_9/a.jpg"),
        ("http://[::1]:80/a", "http://[::1]:80", "/a"),
        ("http://a?b=c", "http://a", "/?b=c"),
        ("http://a#b", "http://a", "/#b"),
        ("http://a/http://b/c", "http://a", "/http://b/c"),
    ],
)
def test_an_absolute_url_is_cut_after_its_origin(url: str, origin: str, target: str) -> None:
    assert origin_and_target(url) == (origin, target)


@pytest.mark.parametrize(
    "url",
    ["", "a", "a/b", "ftp://a/b", "http:/a", "http://", "http:///a", "http://a:b/c", "http://a:123456/b",
     "http://user:password@a/b", "http://user@a/b", "http://[::1/a", "http://::1/a", " http://a/b", "x-http://a/b"],
)  # fmt: skip
def test_text_that_is_neither_a_url_nor_a_path_is_refused(url: str) -> None:
    with pytest.raises(BadUrl, match="^the URL must be an http or https URL, or a path "):
        origin_and_target(url)


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
def test_bytes_that_are_not_utf8_are_refused(raw: str) -> None:
    with pytest.raises(BadUrl, match="the key"):
        decoded(raw, "the key")


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("", "the key of the original is missing"),
        *(
            (key, "the key has a segment that is empty or begins with a dot")
            for key in (
                "/a",
                "a/",
                "a//b",
                ".",
                "..",
                "a/..",
                "../a",
                "a/./b",
                ".a",
                "a/.b/c",
                "...",
                ".well-known/a.jpg",
            )
        ),
        *(
            (key, "the key holds a control character")
            for key in ("a\0b", "a\nb", "a\x7f", "a\x85b", "a\\b", "..\\a", "a\udcffb")
        ),
    ],
)
def test_keys_that_could_escape_the_source_are_refused(key: str, says: str) -> None:
    for check in (checked_key, checked_locator):
        with pytest.raises(BadUrl, match=f"^{says}"):
            check(key)


@pytest.mark.parametrize("key", ["a...", "a..b", "a b", "é", "x:y", "100%"])
def test_unusual_keys_are_accepted(key: str) -> None:
    assert checked_key(key) == key
    assert checked_locator(key) == key


@pytest.mark.parametrize("url", ["http://a/b.jpg", "HTTPS://a", "s3://bucket/key", "file:///etc/passwd"])
def test_absolute_urls_are_not_keys_of_a_directory(url: str) -> None:
    with pytest.raises(SourceNotAllowed, match="^this mount takes keys of its own source, not absolute URLs"):
        checked_key(url)
    assert checked_locator(url) == url


@pytest.mark.parametrize("character", ["\0", "\n", "\x7f", "\x85", "\\", "\udcff"])
def test_control_characters_in_an_absolute_url_are_refused(character: str) -> None:
    with pytest.raises(BadUrl, match="^the URL of the original holds a control character"):
        checked_locator(f"http://a/b{character}.jpg")


@pytest.mark.parametrize(
    ("key", "written"),
    [
        ("a/b.jpg", "a/b.jpg"),
        ("A-Z_0.9~/b", "A-Z_0.9~/b"),
        ("a b+c%&=?#é", "a%20b%2Bc%25%26%3D%3F%23%C3%A9"),
        ("http://a/b.jpg?c=d&e", "http%3A%2F%2Fa%2Fb.jpg%3Fc%3Dd%26e"),
    ],
)
def test_keys_are_percent_encoded(key: str, written: str) -> None:
    assert encoded(key) == written


@given(keys)
def test_encoding_is_undone_by_decoding(key: str) -> None:
    assert decoded(encoded(key), "the key") == key


@given(st.text(max_size=60))
def test_only_calotype_errors_are_raised(raw: str) -> None:
    try:
        checked_key(decoded(cut("/" + raw).path[1:], "the key"))
    except CalotypeError as failure:
        assert failure.detail


@pytest.mark.parametrize(
    "host_field",
    [
        "", "a", "img.example", "Img.Example.", "img.example:80", "img.example:", "img.example:65535", "img.example:00080",
        "127.0.0.1:8080", "[::1]", "[::1]:443", "[::ffff:1.2.3.4]:1", "a_b~c!$&'()*+;=-d", "caf%C3%A9.example",
    ],
)  # fmt: skip
def test_the_valid_forms_of_a_host_field(host_field: str) -> None:
    assert checked_host(host_field) == host_field


@pytest.mark.parametrize(
    ("host_field", "says"),
    [
        *((host_field, "must be a host, or a host and a port") for host_field in (
            " ", "a b", "a/b", "a,b", "a@b", "a:b", "a:80:80", ":80", "a:65536", "a:99999", "a%zz", "a%4", "é", "[::1", "::1",
            "[::1]x", "[]", "[v1.a]", "a:-1", "a: 80", "a\n", "http://a", "a:٣", f"a:{'9' * 30}",
        )),
        ("[::1::]", "not a valid IPv6 address"),
        ("[12345::]", "not a valid IPv6 address"),
        ("[1.2.3.4]", "not a valid IPv6 address"),
        ("[:]:80", "not a valid IPv6 address"),
    ],
)  # fmt: skip
def test_text_that_is_not_a_host_is_refused(host_field: str, says: str) -> None:
    with pytest.raises(BadUrl, match=says):
        checked_host(host_field)


@pytest.mark.parametrize(
    ("raw", "host", "rest"),
    [
        ("http://a/w_1/b", "a", "/w_1/b"),
        ("HTTPS://A:80/b?c=d", "A:80", "/b?c=d"),
        ("http://a", "a", "/"),
        ("http://a?b", "a", "/?b"),
        ("http://[::1]:80/b", "[::1]:80", "/b"),
        ("http://a/http://b/", "a", "/http://b/"),
    ],
)
def test_an_absolute_target_becomes_host_and_origin_form(raw: str, host: str, rest: str) -> None:
    assert in_origin_form(raw) == (host, rest)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("", "begins with /"),
        ("*", "begins with /"),
        ("a:443", "begins with /"),
        ("ftp://a/b", "begins with /"),
        ("http:///b", "begins with /"),
        ("http:a", "begins with /"),
        ("http://a b/c", "must be a host"),
        ("http://me@a/c", "must be a host"),
        ("http://a:99999/", "must be a host"),
        ("http://[1::2::]/", "not a valid IPv6 address"),
    ],
)
def test_a_target_in_neither_form_is_refused(raw: str, says: str) -> None:
    with pytest.raises(BadUrl, match=says):
        in_origin_form(raw)


def test_prefixes_of_keys_are_checked() -> None:
    for prefix in ("", "a", "a/", "/", "a//b", "é" * 2048):
        assert checked_prefix(prefix) == prefix
    for prefix in ("\0", "a\n", "a\\b", "\x7f", "\x85", "\ud800"):
        with pytest.raises(BadUrl, match="control character"):
            checked_prefix(prefix)
    with pytest.raises(BadUrl, match="longer than 4096 bytes"):
        checked_prefix("é" * 2048 + "a")


@pytest.mark.parametrize(
    ("locator", "error"),
    [
        ("a/b", None), ("https://a/b", None), ("ftp://a", None), ("https://a/../b", None),
        ("https://a\\b", BadUrl), ("https://a/\n", BadUrl), ("https://a/\ud800", BadUrl), ("a/../b", BadUrl), ("", BadUrl),
    ],
)  # fmt: skip
def test_a_locator_is_a_key_or_a_url(locator: str, error: type[CalotypeError] | None) -> None:
    if error is None:
        assert checked_locator(locator) == locator
        return
    with pytest.raises(error):
        checked_locator(locator)


def test_base64() -> None:
    assert of_base64("YS9i") == of_base64("YS9i==") == "a/b"
    for text in ("a", "YS+i", "YS/i", "YS i", "YS=i", "__79", "ä"):
        with pytest.raises(ValueError, match="is not base64url"):
            of_base64(text)


def test_a_target_may_have_no_path() -> None:
    assert [has_path(raw) for raw in ("/a", "/a?b", "/?b", "/", "", "a")] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
