"""Which requests an upstream answers."""

from dataclasses import replace

import pytest

from proxy.core.errors import (
    BadTransform,
    BadUrl,
    CalotypeError,
    DimensionNotAllowed,
    NotSupported,
    OptionNotAllowed,
    OriginalNotFound,
    Undecodable,
    UnknownRoute,
    UnsupportedFormat,
    UrlNotSupported,
)
from proxy.core.transform.operations import NOTHING
from proxy.core.url.alternatives import alternatives
from proxy.core.url.parsed_url import InfoUrl, OriginalUrl, VariantUrl
from proxy.core.url.upstream import Upstream

OLD = Upstream(url="https://old.example/base", takes_unsupported=True)
KEYS = [f"folder/{number}" for number in range(2000)]
FAILURES = [NotSupported, UrlNotSupported, OptionNotAllowed, UnknownRoute, UnsupportedFormat]
OTHERS = [BadTransform, BadUrl, DimensionNotAllowed, OriginalNotFound, Undecodable]


@pytest.mark.parametrize("kind", FAILURES)
def test_the_upstream_answers_what_the_node_does_not_do(kind: type[CalotypeError]) -> None:
    assert OLD.reason_for_unsupported(kind("no watermark")) == "no watermark"
    assert replace(OLD, takes_unsupported=False).reason_for_unsupported(kind("no watermark")) == ""


@pytest.mark.parametrize("kind", OTHERS)
def test_the_node_answers_other_failures_itself(kind: type[CalotypeError]) -> None:
    assert OLD.reason_for_unsupported(kind("wrong")) == ""
    assert OLD.reason_for_failed("/x", kind("wrong")) == ""


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 1.0])
def test_the_share_is_a_part_of_the_originals(share: float) -> None:
    upstream = replace(OLD, share=share)
    taken = [key for key in KEYS if not upstream.reason(OriginalUrl(key))]
    assert len(taken) / len(KEYS) == pytest.approx(share, abs=0.04)
    assert share not in (0.0, 1.0) or len(taken) == share * len(KEYS)
    wider = replace(OLD, share=min(1.0, share + 0.1))
    assert not any(wider.reason(OriginalUrl(key)) for key in taken)


def test_the_division_is_the_same_everywhere_and_for_ever() -> None:
    upstream = replace(OLD, share=0.5)
    assert [bool(upstream.reason(InfoUrl(key))) for key in ("a", "b", "ä.jpg", "\udcff")] == [
        True,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("key", KEYS[:20])
def test_all_names_of_an_original_have_one_answer(key: str) -> None:
    upstream = replace(OLD, share=0.5)
    names = key, f"{key}.jpg", f"{key}.webp", f"{key}.tif"
    parsed = [
        VariantUrl(
            key=name, transform=NOTHING, alternatives=alternatives(name, ("jpg", "png")), defaults=("a",)
        )
        for name in names
    ]
    assert len({upstream.reason(each) for each in parsed}) == 1


def test_a_url_without_an_original_is_divided_by_its_text() -> None:
    upstream = replace(OLD, share=0.5)
    reasons = {upstream.reason_for_failed(f"/{key}", BadTransform("wrong")) for key in KEYS}
    assert reasons == {"", "the original is not in the share of the node"}
    unsupported = {upstream.reason_for_failed(f"/{key}", NotSupported("no watermark")) for key in KEYS}
    assert unsupported == {"no watermark"}


def test_a_target_is_appended_to_the_url() -> None:
    assert (
        OLD.url_of("/s--a--/a%2Fb.jpg?x=1&y=..%2F") == "https://old.example/base/s--a--/a%2Fb.jpg?x=1&y=..%2F"
    )


@pytest.mark.parametrize(
    "target", ["/a/../b", "/./a", "/..", "/a/%2e%2E/b", "/a%2f..%2fb", "/a%5c..%5cb", "/a\\..\\b"]
)
def test_dot_segments_are_refused(target: str) -> None:
    with pytest.raises(BadUrl, match="upstream"):
        OLD.url_of(target)
