"""Cache keys: equal for equal pictures, different for all else, and the same tomorrow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.cache.keys import facts_key, original_key, variant_key
from proxy.core.image.formats import Format
from proxy.core.image.original import Identity, OriginalRef, forms, missing
from proxy.core.transform.plan import RenderDefaults, resolve
from proxy.core.url.dialects.native import parse_tokens

PLAN = resolve(
    parse_tokens("w_400", {}).own, Format.JPEG, RenderDefaults(quality=80, effort={}, max_side_px=4000)
)
IDENTITY = Identity(OriginalRef("photos", "a/b.jpg"), "12-34")


def test_keys_are_fixed() -> None:
    """A change here empties every cache in the world."""
    assert variant_key(IDENTITY, PLAN) == "0c66fcba8069d32961c7c0bc79e815371b7a768e5fe107b85b82376fa0e27698"
    assert len(facts_key(IDENTITY)) == 64


def test_everything_that_tells_pictures_apart_is_in_the_key() -> None:
    others = [
        Identity(OriginalRef("photos", "a/b.jpg"), "12-35"),
        Identity(OriginalRef("photos", "a/c.jpg"), "12-34"),
        Identity(OriginalRef("other", "a/b.jpg"), "12-34"),
    ]
    keys = {variant_key(identity, PLAN) for identity in (IDENTITY, *others)}
    keys |= {variant_key(IDENTITY, PLAN, "g"), facts_key(IDENTITY), original_key(IDENTITY)}
    assert len(keys) == 7


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("deep/groß.jpg", "'deep/groß.jpg'"),
        ("it's <b>.jpg", "'it%27s %3Cb%3E.jpg'"),
        ("100%.jpg", "'100%.jpg'"),
        ("\udcff.jpg", "'%3F.jpg'"),
        ("a\u202eb.jpg", "'a%E2%80%AEb.jpg'"),
        ("a" * 300, f"'{'a' * 200}...'"),
        ("https://x.example/a.jpg?token=secret", "'https://x.example/a.jpg?...'"),
        ("https://me:secret@x.example/a.jpg", "'https:...'"),
    ],
)
def test_what_is_missing_is_named_without_what_is_secret(key: str, shown: str) -> None:
    failure = missing(OriginalRef("photos", key), " that the node may read")
    assert failure.detail == f"there is no original {shown} in source photos that the node may read"


def test_the_normal_forms_of_a_text() -> None:
    assert forms("plain.jpg") == ("plain.jpg",)
    assert forms("gr\u00fcn") == ("gr\u00fcn", "gru\u0308n")
    assert forms("gru\u0308n") == ("gru\u0308n", "gr\u00fcn")
    assert forms("\u00fcu\u0308") == ("\u00fcu\u0308", "\u00fc\u00fc", "u\u0308u\u0308")
    assert forms("写真") == ("写真",)


words = st.text(max_size=12)


@given(words, words, words, words, words, words)
def test_parts_do_not_run_into_each_other(a: str, b: str, c: str, d: str, e: str, f: str) -> None:
    one, other = Identity(OriginalRef(a, b), c), Identity(OriginalRef(d, e), f)
    assert (one == other) is (facts_key(one) == facts_key(other))
