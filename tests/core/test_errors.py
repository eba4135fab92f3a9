"""Errors pass unchanged from process to process."""

import pickle
from collections.abc import Iterator

import pytest

from proxy.core import errors
from proxy.core.errors import CalotypeError, OriginalNotFound, PurgeIncomplete


def kinds(of: type[CalotypeError] = CalotypeError) -> Iterator[type[CalotypeError]]:
    yield of
    for kind in of.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield from kinds(kind)


@pytest.mark.parametrize("kind", sorted(set(kinds()), key=lambda kind: kind.__name__))
@pytest.mark.parametrize("retry_after_s", [None, 0, 7])
def test_pickling_preserves_the_detail_of_an_error(
    kind: type[CalotypeError], retry_after_s: int | None
) -> None:
    failure = kind("say it so", retry_after_s=retry_after_s)
    again = pickle.loads(pickle.dumps(failure))
    assert type(again) is kind
    assert (again.slug, again.detail, again.retry_after_s) == (kind.slug, "say it so", retry_after_s)
    assert str(again) == "say it so"


def test_pickling_preserves_additional_fields_of_an_error() -> None:
    missing = pickle.loads(pickle.dumps(OriginalNotFound("gone", retry_after_s=2, lasts_s=1.5)))
    assert (type(missing), missing.detail, missing.retry_after_s, missing.lasts_s) == (
        OriginalNotFound, "gone", 2, 1.5,
    )  # fmt: skip
    purge = pickle.loads(pickle.dumps(PurgeIncomplete("old", retry_after_s=3, open=("node b", "a hook"))))
    assert (type(purge), purge.detail, purge.retry_after_s, purge.open) == (
        PurgeIncomplete, "old", 3, ("node b", "a hook"),
    )  # fmt: skip


def test_an_error_is_placed_at_an_original_as_a_copy() -> None:
    failure = OriginalNotFound("gone", lasts_s=1.5)
    placed = pickle.loads(pickle.dumps(failure.at(1, "'logo' in source photos")))
    assert (type(placed), placed.original, placed.lasts_s) == (OriginalNotFound, 1, 1.5)
    assert placed.detail == str(placed) == "gone: 'logo' in source photos"
    assert (failure.original, failure.detail, failure.at(2).detail) == (0, "gone", "gone")
