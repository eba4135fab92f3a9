"""The signatures of imgix, against those of imgix's own library."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imgix import UrlBuilder  # type: ignore[import-untyped]

from proxy.core.errors import BadSignature
from proxy.core.url.dialects.imgix.signatures import unsigned, verify

TOKEN = "FOO123bar"
KEYS = {"old": b"another", "shop": TOKEN.encode()}


def signed(path: str, parameters: dict[str, object], *, library: bool = True) -> str:
    builder = UrlBuilder("i.test", sign_key=TOKEN, include_library_param=library)
    url: str = builder.create_url(path, parameters)
    return url.removeprefix("https://i.test")


URLS = [
    signed("/users/1.png", {}),
    signed("/users/1.png", {}, library=False),
    signed("/users/1.png", {"w": 400, "h": 300}, library=False),
    signed("/users/a b&c.png", {"w": 400, "txt64": "I cannøt belîév∑", "txt": "a b,c"}),
    signed("http://avatars.com/john-smith.png?x=1", {"w": 400, "h": 300}),
    signed("/é.png", {"auto": "format,compress", "expires": 1477789261}),
]
DOCUMENTED = "/users/1.png?h=300&w=400&s=1a4e48641614d1109c6a7af51be23d18"
"""An example of imgix's documentation, with the token FOO123bar."""


@pytest.mark.parametrize("url", [*URLS, DOCUMENTED])
def test_signatures_of_the_library(url: str) -> None:
    found = verify(url, "/", KEYS)
    assert found is not None
    assert (found.key_id, found.target) == ("shop", url.rpartition("s=")[0][:-1])
    assert unsigned(url, "/") == found.target
    assert verify(found.target, "/", KEYS) is None


def test_a_mount_with_a_prefix_takes_signatures_with_and_without_it() -> None:
    below = signed("/a.jpg", {"w": 400})
    whole = signed("/shop/a.jpg", {"w": 400})
    for url in (f"/shop{below}", whole):
        found = verify(url, "/shop/", KEYS)
        assert found is not None
        assert found.target.startswith("/shop/a.jpg?")
    with pytest.raises(BadSignature):
        verify(f"/other{below}", "/", KEYS)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("/a.jpg?s=", "does not match"),
        ("/a.jpg?s=0123", "does not match"),
        (DOCUMENTED.upper(), None),
        (DOCUMENTED[:-1], "does not match"),
        (f"{DOCUMENTED}0", "does not match"),
        (DOCUMENTED.replace("1a4e", "1A4E"), "does not match"),
        ("/users/1.png?w=400&h=300&s=1a4e48641614d1109c6a7af51be23d18", "does not match"),
        (f"{DOCUMENTED}&w=9", "parameter w follows the signature: s must be the last parameter"),
        (f"{DOCUMENTED}&s=1", "parameter s follows"),
    ],
)
def test_other_signatures(url: str, says: str | None) -> None:
    if says is None:
        assert verify(url, "/", KEYS) is None
        return
    with pytest.raises(BadSignature, match=says):
        verify(url, "/", KEYS)


def test_trackers_may_follow_the_signature() -> None:
    found = verify(f"{DOCUMENTED}&fbclid=x&utm_source=y", "/", KEYS)
    assert found is not None
    assert found.target == "/users/1.png?h=300&w=400"


@given(st.sampled_from(URLS), st.data())
def test_no_mutant_has_a_valid_signature(url: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(url) - 1))
    other = data.draw(st.characters(codec="ascii", exclude_characters=url[at]))
    mutant = f"{url[:at]}{other}{url[at + 1 :]}"
    with suppress(BadSignature):
        assert verify(mutant, "/", KEYS) is None, "without its name the signature is one of an unsigned URL"
