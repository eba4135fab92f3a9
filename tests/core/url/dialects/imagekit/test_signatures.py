"""The signatures of ImageKit, against those that its Node library (npm imagekit 6.0.0) makes."""

import hmac
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.errors import BadSignature
from proxy.core.url.dialects.imagekit.signatures import unsigned, verify
from proxy.core.url.signing import UNRESTRICTED, Restrictions, secret_length

KEY = "private_key_test"
KEYS = {"old": b"another", "shop": KEY.encode()}
MADE = [
    ("/", "//lake.jpg?ik-s=7453f2dd5f476db55ebe3aafeb9394ced8ce2129", None),
    ("/", "/tr:w-300,h-200:rt-90/lake.jpg?ik-s=d7c47401d13a21a38652d29627511e24d909e267", None),
    (
        "/",
        "//a%20b%20%C3%A9.jpg?v=1&tr=w-300&ik-t=1700000300&ik-s=8266e61a9a105c04c03b1ae7044dce518c76472f",
        1700000300,
    ),
    (
        "/demo/",
        "/demo/tr:w-300,n-card/img/lake.jpg?ik-t=1700000060&ik-s=3ba5adfe0b32b301d406c33b42952c562b789c24",
        1700000060,
    ),
    (
        "/demo/",
        "/demo/tr:w-300/https%3A%2F%2Fo.test%2Fa.jpg?ik-s=b3da7d4e3e031f4833657397a0dc1ab7e6708a52",
        None,
    ),
]


def signed(text: str, until: str = "9999999999") -> str:
    return hmac.digest(KEY.encode(), f"{text}{until}".encode(), "sha1").hex()


@pytest.mark.parametrize(("prefix", "url", "until_s"), MADE)
def test_signatures_of_the_library(prefix: str, url: str, until_s: int | None) -> None:
    found = verify(url, prefix, KEYS)
    assert found is not None
    assert (found.key_id, found.target) == ("shop", unsigned(url, prefix))
    assert found.restrictions == (UNRESTRICTED if until_s is None else Restrictions(until_s=until_s))
    assert verify(found.target, prefix, KEYS) is None


def test_the_parameters_stand_anywhere_and_trackers_are_not_signed() -> None:
    mac = signed("a.jpg?tr=w-3", "1700000300")
    for query in (
        f"tr=w-3&ik-s={mac}&ik-t=1700000300",
        f"ik-t=1700000300&tr=w-3&ik-s={mac}",
        f"tr=w-3&ik-t=1700000300&ik-s={mac}&fbclid=1&utm_source=x",
    ):
        found = verify(f"/a.jpg?{query}", "/", KEYS)
        assert found is not None
        assert (found.target, found.restrictions.until_s) == ("/a.jpg?tr=w-3", 1700000300)
    only_trackers = verify(f"/a.jpg?ik-s={signed('a.jpg')}&utm_source=x", "/", KEYS)
    assert only_trackers is not None
    assert verify("/a.jpg?utm_source=x", "/", KEYS) is None


MAC = signed("a.jpg?tr=w-3")


@pytest.mark.parametrize(
    "url",
    [
        "/a.jpg?ik-s=",
        "/a.jpg?ik-s=0123",
        f"/a.jpg?tr=w-3&ik-s={MAC[:-1]}",
        f"/a.jpg?tr=w-3&ik-s={MAC.upper()}",
        f"/a.jpg?tr=w-4&ik-s={MAC}",
        f"/b.jpg?tr=w-3&ik-s={MAC}",
        f"/a.jpg?tr=w-3&&ik-s={MAC}",
        f"/a.jpg?tr=w-3&v=1&ik-s={MAC}",
        f"/a.jpg?tr=w-3&ik-s={MAC}&v=1",
        f"/a.jpg?tr=w-3&ik-s={MAC}&ik-s={MAC}",
        f"/a.jpg?tr=w-3&ik-t=99999999999&ik-s={MAC}",
        f"/a.jpg?tr=w-3&ik-t=&ik-s={MAC}",
        f"/a.jpg?tr=w-3&ik-t=x&ik-s={MAC}",
        f"/a.jpg?tr=w-3&ik-t=9999999999&ik-t=1&ik-s={MAC}",
        f"/demo/a.jpg?tr=w-3&ik-s={MAC}",
    ],
)
def test_other_signatures_are_refused(url: str) -> None:
    assert verify(f"/a.jpg?tr=w-3&ik-s={MAC}", "/", KEYS) is not None
    with pytest.raises(BadSignature):
        verify(url, "/", KEYS)


@given(st.sampled_from(MADE), st.data())
def test_no_mutant_has_a_valid_signature(made: tuple[str, str, int | None], data: st.DataObject) -> None:
    prefix, url, _ = made
    at = data.draw(st.integers(len(prefix), len(url) - 1))
    other = data.draw(st.characters(codec="ascii", exclude_characters=url[at]))
    mutant = f"{url[:at]}{other}{url[at + 1 :]}"
    with suppress(BadSignature):
        assert verify(mutant, prefix, KEYS) is None, (
            "without its name the signature is one of an unsigned URL"
        )


def test_keys() -> None:
    assert secret_length(KEY) == 16
    with pytest.raises(ValueError, match="must not be empty"):
        secret_length("")
