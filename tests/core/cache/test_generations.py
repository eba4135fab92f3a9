"""Each purge covers the originals of its scope; the order in which purges arrive does not matter."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.cache.generations import Generations, Purge, PurgeScope, ScopeKind
from proxy.core.cache.keys import facts_key, identity_key, original_key, variant_key
from proxy.core.image.formats import Format
from proxy.core.image.original import Identity, OriginalRef
from proxy.core.transform.plan import Plan, RenderDefaults, resolve
from proxy.core.transform.plan_text import canonical
from proxy.core.url.dialects.native.urls import parse_transform

A = OriginalRef("photos", "a/b.jpg")
DEFAULTS = RenderDefaults(quality=80, effort={}, max_side_px=4000)


def plan(tokens: str = "w_100") -> Plan:
    return resolve(parse_transform(tokens, {}), Format.WEBP, DEFAULTS)


def scope(reach: ScopeKind, text: str, source: str = "photos") -> PurgeScope:
    return PurgeScope(source, reach, text)


def table(*purges: Purge) -> Generations:
    made = Generations()
    for purge in purges:
        made.apply(purge)
    return made


def test_without_a_purge_there_is_no_generation_and_keys_are_unchanged() -> None:
    made = Generations()
    assert made.original_generation(A) == made.plan_generation(A, plan()) == ""
    assert not len(made)
    assert variant_key([Identity(A, "1")], plan()) == variant_key([Identity(A, "1", "")], plan(), "")


def test_a_generation_is_part_of_every_key() -> None:
    old, new = Identity(A, "1"), Identity(A, "1", "t1")
    keys = [
        *(variant_key([each], plan()) for each in (old, new)),
        *(facts_key(each) for each in (old, new)),
        *(original_key(each) for each in (old, new)),
        *(identity_key(A, each) for each in ("", "t1")),
        variant_key([old], plan(), "t1"),
        variant_key([new], plan(), "t1"),
    ]
    assert len(set(keys)) == len(keys)


def test_each_scope_covers_only_its_originals() -> None:
    other = OriginalRef("photos", "a/c.jpg")
    of_original = table(Purge(PurgeScope.of_original(A), "t1"))
    assert (of_original.original_generation(A), of_original.original_generation(other)) == ("t1", "")
    assert of_original.original_generation(OriginalRef("others", A.key)) == ""
    of_prefix = table(Purge(scope(ScopeKind.PREFIX, "a/"), "t1"))
    assert (
        of_prefix.original_generation(A),
        of_prefix.original_generation(other),
        of_prefix.original_generation(OriginalRef("photos", "b")),
    ) == (
        "t1",
        "t1",
        "",
    )
    of_all = table(Purge(scope(ScopeKind.PREFIX, ""), "t1"))
    assert of_all.original_generation(OriginalRef("photos", "x")) == "t1"
    of_plan = table(Purge(scope(ScopeKind.PLAN, canonical(plan())), "t1"))
    assert (
        of_plan.original_generation(A),
        of_plan.plan_generation(A, plan()),
        of_plan.plan_generation(other, plan()),
    ) == ("", "t1", "t1")
    assert of_plan.plan_generation(A, plan("w_200")) == ""
    of_variant = table(Purge(PurgeScope.of_variant(A, plan()), "t1"))
    assert (of_variant.plan_generation(A, plan()), of_variant.plan_generation(other, plan())) == ("t1", "")
    assert of_variant.plan_purge_count == of_plan.plan_purge_count == 1


def test_purges_covered_by_a_wider_purge_are_dropped_permanently() -> None:
    narrow = [
        Purge(PurgeScope.of_original(A), "t1"),
        Purge(scope(ScopeKind.PREFIX, "a/"), "t2"),
        Purge(PurgeScope.of_variant(A, plan()), "t2"),
        Purge(scope(ScopeKind.PLAN, canonical(plan())), "t2"),
        Purge(PurgeScope.of_original(OriginalRef("others", "a/b.jpg")), "t2"),
    ]
    made = table(*narrow, Purge(scope(ScopeKind.PREFIX, ""), "t3"))
    assert [purge.scope.source for purge in made] == ["others", "photos"]
    for purge in narrow:
        made.apply(purge)
    assert len(made) == 2
    assert (made.original_generation(A), made.plan_generation(A, plan())) == ("t3", "")
    made.apply(Purge(PurgeScope.of_original(A), "t4"))
    assert made.original_generation(A) == "t4"
    made.apply(Purge(scope(ScopeKind.PREFIX, "a/b"), "t5"))
    made.apply(Purge(scope(ScopeKind.PREFIX, "a/"), "t6"))
    assert made.original_generation(A) == "t6"


def test_tokens_grow_even_if_the_clock_goes_back() -> None:
    made = Generations()
    first = made.next_token(1000, "aa")
    made.apply(Purge(PurgeScope.of_original(A), first))
    second = made.next_token(10, "00")
    assert first < second
    assert made.next_token(5000, "bb") > second
    assert len(first) == 18


SCOPES = st.builds(
    PurgeScope,
    st.sampled_from(["p", "q"]),
    st.sampled_from(ScopeKind),
    st.sampled_from(["", "a", "a/", "a/b", "b", "a\nx"]),
)
PURGES = st.lists(
    st.tuples(SCOPES, st.integers(0, 9)).map(lambda made: Purge(made[0], f"{made[1]:016x}")), max_size=5
)


@given(PURGES)
def test_the_order_of_purges_does_not_matter(purges: list[Purge]) -> None:
    tables = [table(*order) for order in permutations(purges)][:24]
    refs = [OriginalRef(source, key) for source in "pq" for key in ("a", "a/b", "b", "c")]
    results = {
        (tuple(sorted(made)), tuple(map(made.original_generation, refs)), made.latest) for made in tables
    }
    assert len(results) == 1


@given(PURGES, st.integers(0, 20))
def test_the_last_applied_purges_bring_an_older_table_up_to_date(purges: list[Purge], count: int) -> None:
    made = table(*purges)
    older = purges[: max(0, len(purges) - count)]
    last = made.last_applied(len(purges) - len(older))
    assert dict(table(*older, *last)) == dict(made)
    assert len(last) <= count


@given(PURGES)
def test_a_known_purge_is_not_newer(purges: list[Purge]) -> None:
    made = table(*purges)
    assert not any(made.is_newer(purge) for purge in purges)
    for purge in purges:
        covering = made.original_generation(OriginalRef(purge.scope.source, purge.scope.text))
        assert purge.scope.kind in (ScopeKind.PLAN, ScopeKind.VARIANT) or covering >= purge.token


@given(
    st.sampled_from(list(ScopeKind)),
    st.sampled_from(["gr\u00fcn", "gru\u0308n"]),
    st.sampled_from(["gr\u00fcn", "gru\u0308n"]),
)
def test_a_purge_covers_both_normal_forms(reach: ScopeKind, purged: str, requested: str) -> None:
    generations, ref = Generations(), OriginalRef("photos", f"{requested}/a.jpg")
    texts = {
        ScopeKind.ORIGINAL: f"{purged}/a.jpg",
        ScopeKind.PREFIX: purged,
        ScopeKind.PLAN: canonical(plan()),
        ScopeKind.VARIANT: f"{purged}/a.jpg\n{canonical(plan())}",
    }
    for scope in PurgeScope("photos", reach, texts[reach]).normal_forms():
        generations.apply(Purge(scope, "1"))
    assert max(generations.original_generation(ref), generations.plan_generation(ref, plan())) == "1"


def test_the_latest_purge_of_either_normal_form_counts() -> None:
    generations = Generations()
    generations.apply(Purge(PurgeScope("photos", ScopeKind.ORIGINAL, "gr\u00fcn"), "1"))
    generations.apply(Purge(PurgeScope("photos", ScopeKind.PREFIX, "gru"), "2"))
    for key in ("gr\u00fcn", "gru\u0308n"):
        assert generations.original_generation(OriginalRef("photos", key)) == "2"
