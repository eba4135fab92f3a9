"""Cache tags of answers, and those that a purge names."""

from unicodedata import normalize

import pytest

from proxy.core.cache.generations import PurgeScope, ScopeKind
from proxy.core.cache.tags import TaggedMount, answer_tags, purge_tags
from proxy.core.image.original import OriginalRef

A, B, LOGO = OriginalRef("photos", "a"), OriginalRef("photos", "b"), OriginalRef("logos", "logo")
SHOP = TaggedMount("shop", frozenset({"photos", "logos"}))
BLOG = TaggedMount("blog", frozenset({"photos"}))


def test_an_answer_has_a_tag_of_its_mount_and_of_each_original() -> None:
    tags = answer_tags("shop", [A, LOGO])
    assert len(set(tags)) == 3
    assert all(len(tag) == 16 and tag.isalnum() and tag.isascii() for tag in tags)
    assert answer_tags("shop", [A, A]) == answer_tags("shop", [A]) == tags[:2]
    assert not set(answer_tags("blog", [A, LOGO])) & set(tags)


@pytest.mark.parametrize("ref", [A, LOGO])
def test_a_purge_of_an_original_names_the_tags_of_its_answers(ref: OriginalRef) -> None:
    [tag] = purge_tags(PurgeScope.of_original(ref), [SHOP])
    assert tag in answer_tags("shop", [A, LOGO])
    assert tag not in answer_tags("shop", [B])
    variant = PurgeScope(ref.source, ScopeKind.VARIANT, f"{ref.key}\nresize")
    assert purge_tags(variant, [SHOP]) == [tag]


@pytest.mark.parametrize("kind", [ScopeKind.PREFIX, ScopeKind.PLAN])
def test_a_purge_of_many_originals_names_the_mount(kind: ScopeKind) -> None:
    [tag] = purge_tags(PurgeScope("photos", kind, "x"), [SHOP])
    assert tag in answer_tags("shop", [A])
    assert tag in answer_tags("shop", [B])


def test_each_mount_of_a_source_has_tags_of_its_own() -> None:
    assert len(purge_tags(PurgeScope.of_original(A), [SHOP, BLOG, SHOP])) == 2
    assert len(purge_tags(PurgeScope.of_original(LOGO), [SHOP, BLOG])) == 1


def test_all_normal_forms_of_a_key_have_one_tag() -> None:
    forms = [OriginalRef("photos", normalize(form, "größe.jpg")) for form in ("NFC", "NFD")]
    assert len(answer_tags("shop", forms)) == 2
