"""Generations: what covers what, in whichever order it is heard of."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.cache.generations import Generations, Purge, Reach, Scope
from proxy.core.cache.keys import facts_key, identity_key, original_key, variant_key
from proxy.core.image.formats import Format
from proxy.core.image.original import Identity, OriginalRef
from proxy.core.transform.plan import Plan, Recipe, canonical, resolve
from proxy.core.url.dialects.native import parse_tokens

A = OriginalRef("photos", "a/b.jpg")
RECIPE = Recipe(quality=80, effort={}, max_side_px=4000)


def plan(tokens: str = "w_100") -> Plan:
    return resolve(parse_tokens(tokens, {}).own, Format.WEBP, RECIPE)


def scope(reach: Reach, text: str, source: str = "photos") -> Scope:
    return Scope(source, reach, text)


def table(*purges: Purge) -> Generations:
    made = Generations()
    for purge in purges:
        made.apply(purge)
    return made


def test_without_a_purge_there_is_no_generation_and_keys_are_what_they_were() -> None:
    made = Generations()
    assert made.of(A) == made.of_plan(A, plan()) == ""
    assert not len(made)
    assert variant_key(Identity(A, "1"), plan()) == variant_key(Identity(A, "1", ""), plan(), "")


def test_a_generation_is_part_of_every_key() -> None:
    old, new = Identity(A, "1"), Identity(A, "1", "t1")
    keys = [
        *(variant_key(each, plan()) for each in (old, new)),
        *(facts_key(each) for each in (old, new)),
        *(original_key(each) for each in (old, new)),
        *(identity_key(A, each) for each in ("", "t1")),
        variant_key(old, plan(), "t1"),
        variant_key(new, plan(), "t1"),
    ]
    assert len(set(keys)) == len(keys)


def test_each_reach_covers_what_it_says() -> None:
    other = OriginalRef("photos", "a/c.jpg")
    of_original = table(Purge(Scope.of_original(A), "t1"))
    assert (of_original.of(A), of_original.of(other)) == ("t1", "")
    assert of_original.of(OriginalRef("others", A.key)) == ""
    of_prefix = table(Purge(scope(Reach.PREFIX, "a/"), "t1"))
    assert (of_prefix.of(A), of_prefix.of(other), of_prefix.of(OriginalRef("photos", "b"))) == (
        "t1",
        "t1",
        "",
    )
    of_all = table(Purge(scope(Reach.PREFIX, ""), "t1"))
    assert of_all.of(OriginalRef("photos", "x")) == "t1"
    of_plan = table(Purge(scope(Reach.PLAN, canonical(plan())), "t1"))
    assert (of_plan.of(A), of_plan.of_plan(A, plan()), of_plan.of_plan(other, plan())) == ("", "t1", "t1")
    assert of_plan.of_plan(A, plan("w_200")) == ""
    of_variant = table(Purge(Scope.of_variant(A, plan()), "t1"))
    assert (of_variant.of_plan(A, plan()), of_variant.of_plan(other, plan())) == ("t1", "")
    assert of_variant.of_plans == of_plan.of_plans == 1


def test_what_a_wider_purge_covers_is_dropped_and_not_taken_back() -> None:
    narrow = [
        Purge(Scope.of_original(A), "t1"),
        Purge(scope(Reach.PREFIX, "a/"), "t2"),
        Purge(Scope.of_variant(A, plan()), "t2"),
        Purge(scope(Reach.PLAN, canonical(plan())), "t2"),
        Purge(Scope.of_original(OriginalRef("others", "a/b.jpg")), "t2"),
    ]
    made = table(*narrow, Purge(scope(Reach.PREFIX, ""), "t3"))
    assert [purge.scope.source for purge in made] == ["others", "photos"]
    for purge in narrow:
        made.apply(purge)
    assert len(made) == 2
    assert (made.of(A), made.of_plan(A, plan())) == ("t3", "")
    made.apply(Purge(Scope.of_original(A), "t4"))
    assert made.of(A) == "t4"
    made.apply(Purge(scope(Reach.PREFIX, "a/b"), "t5"))
    made.apply(Purge(scope(Reach.PREFIX, "a/"), "t6"))
    assert made.of(A) == "t6"


def test_tokens_grow_whatever_the_clock_does() -> None:
    made = Generations()
    first = made.next_token(1000, "aa")
    made.apply(Purge(Scope.of_original(A), first))
    second = made.next_token(10, "00")
    assert first < second
    assert made.next_token(5000, "bb") > second
    assert len(first) == 18


SCOPES = st.builds(
    Scope,
    st.sampled_from(["p", "q"]),
    st.sampled_from(Reach),
    st.sampled_from(["", "a", "a/", "a/b", "b", "a\nx"]),
)
PURGES = st.lists(
    st.tuples(SCOPES, st.integers(0, 9)).map(lambda made: Purge(made[0], f"{made[1]:016x}")), max_size=5
)


@given(PURGES)
def test_the_order_in_which_they_are_heard_of_does_not_matter(purges: list[Purge]) -> None:
    tables = [table(*order) for order in permutations(purges)][:24]
    refs = [OriginalRef(source, key) for source in "pq" for key in ("a", "a/b", "b", "c")]
    told = {(tuple(sorted(made)), tuple(map(made.of, refs)), made.latest) for made in tables}
    assert len(told) == 1


@given(PURGES)
def test_what_was_heard_of_once_is_no_news(purges: list[Purge]) -> None:
    made = table(*purges)
    assert not any(made.is_news(purge) for purge in purges)
    for purge in purges:
        covering = made.of(OriginalRef(purge.scope.source, purge.scope.text))
        assert purge.scope.reach in (Reach.PLAN, Reach.VARIANT) or covering >= purge.token


@given(
    st.sampled_from(list(Reach)),
    st.sampled_from(["gr\u00fcn", "gru\u0308n"]),
    st.sampled_from(["gr\u00fcn", "gru\u0308n"]),
)
def test_a_purge_covers_both_normal_forms(reach: Reach, purged: str, asked: str) -> None:
    generations, ref = Generations(), OriginalRef("photos", f"{asked}/a.jpg")
    texts = {
        Reach.ORIGINAL: f"{purged}/a.jpg",
        Reach.PREFIX: purged,
        Reach.PLAN: canonical(plan()),
        Reach.VARIANT: f"{purged}/a.jpg\n{canonical(plan())}",
    }
    for scope in Scope("photos", reach, texts[reach]).spelled():
        generations.apply(Purge(scope, "1"))
    assert max(generations.of(ref), generations.of_plan(ref, plan())) == "1"


def test_the_generation_is_that_of_any_form() -> None:
    generations = Generations()
    generations.apply(Purge(Scope("photos", Reach.ORIGINAL, "gr\u00fcn"), "1"))
    generations.apply(Purge(Scope("photos", Reach.PREFIX, "gru"), "2"))
    for key in ("gr\u00fcn", "gru\u0308n"):
        assert generations.of(OriginalRef("photos", key)) == "2"
