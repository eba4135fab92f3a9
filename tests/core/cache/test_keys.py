"""Cache keys are equal for equal pictures, different for all others, and fixed."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.cache.keys import faces_key, facts_key, original_key, variant_key
from proxy.core.image.formats import Format
from proxy.core.image.original import Identity, OriginalRef
from proxy.core.transform.plan import RenderDefaults, resolve
from proxy.core.url.dialects.native.urls import parse_transform

PLAN = resolve(
    parse_transform("w_400", {}), Format.JPEG, RenderDefaults(quality=80, effort={}, max_side_px=4000)
)
IDENTITY = Identity(OriginalRef("photos", "a/b.jpg"), "12-34")


def test_keys_are_fixed() -> None:
    """A change here empties every cache in the world."""
    digest = "74102c16c5bea3fe0987f36ca925ebb22a940a80798153ab68359d1c351e21ec"
    assert variant_key([IDENTITY], PLAN) == (digest, Format.JPEG)
    assert len(facts_key(IDENTITY).digest) == 64
    assert facts_key(IDENTITY).format is None


def test_the_key_covers_every_part_of_identity_plan_and_generation() -> None:
    others = [
        Identity(OriginalRef("photos", "a/b.jpg"), "12-35"),
        Identity(OriginalRef("photos", "a/c.jpg"), "12-34"),
        Identity(OriginalRef("other", "a/b.jpg"), "12-34"),
    ]
    keys = {variant_key([identity], PLAN) for identity in (IDENTITY, *others)}
    keys |= {variant_key([IDENTITY], PLAN, "g"), facts_key(IDENTITY), original_key(IDENTITY)}
    keys |= {faces_key(IDENTITY, "1"), faces_key(IDENTITY, "2"), faces_key(others[0], "1")}
    assert len(keys) == 10


words = st.text(max_size=12)
tokens = st.text("0123456789abcdef", max_size=3)
identities = st.builds(Identity, st.builds(OriginalRef, words, words), words, tokens)


@given(words, words, words, words, words, words)
def test_different_identities_never_have_the_same_key(a: str, b: str, c: str, d: str, e: str, f: str) -> None:
    one, other = Identity(OriginalRef(a, b), c), Identity(OriginalRef(d, e), f)
    assert (one == other) is (facts_key(one) == facts_key(other))


def test_the_key_covers_every_part_of_every_original_and_their_order() -> None:
    logo = Identity(OriginalRef("logos", "logo.png"), "7", "g")
    others = [
        logo._replace(version="8"),
        logo._replace(generation=""),
        logo._replace(ref=OriginalRef("logos", "b.png")),
        logo._replace(ref=OriginalRef("photos", "logo.png")),
    ]
    orders = [[IDENTITY], [logo], [IDENTITY, logo], [logo, IDENTITY], [IDENTITY, logo, logo]]
    keys = {variant_key(each, PLAN) for each in (*orders, *([IDENTITY, other] for other in others))}
    assert len(keys) == 9


@given(st.lists(identities, min_size=1), st.lists(identities, min_size=1), tokens, tokens)
def test_different_originals_never_have_the_same_key(
    one: list[Identity], other: list[Identity], first: str, second: str
) -> None:
    are_equal = (one, first) == (other, second)
    assert are_equal is (variant_key(one, PLAN, first) == variant_key(other, PLAN, second))
